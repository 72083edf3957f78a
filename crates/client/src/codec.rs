//! Compression of data packets (spec/02 §5.1, §5.2), both ways.

use attrs::{CompressedHeader, Compressor};
use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use crate::fileset::Compression;

/// Largest plain content of one packet that is accepted: the limit of a packet on the wire is a million bytes, and a
/// writer's network buffer is smaller; this is far above both and bounds what a damaged packet can make us allocate.
const PLAIN_BYTES_MAX: usize = 8 << 20;

/// Why a packet cannot be compressed or decompressed.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Damaged content.
    #[error("{kind} data is damaged: {reason}")]
    Damaged {
        /// Which compression.
        kind: &'static str,
        /// What the library says.
        reason: String,
    },
    /// More plain bytes than any writer puts in a packet.
    #[error("{kind} data has more than {PLAIN_BYTES_MAX} bytes when decompressed")]
    TooLarge {
        /// Which compression.
        kind: &'static str,
    },
    /// The packet's own header is wrong.
    #[error(transparent)]
    Header(#[from] attrs::DataError),
    /// The library failed on our data.
    #[error("compress with {kind}: {reason}")]
    Compress {
        /// Which compression.
        kind: &'static str,
        /// What the library says.
        reason: String,
    },
}

/// Compresses packets of one thread; keeps the libraries' state between packets.
#[derive(Default)]
pub struct Packer {
    gzip: Option<(u8, Compress)>,
    lzo: Option<Box<lzokay_native::Dict>>,
    zstd: Option<(u8, zstd::bulk::Compressor<'static>)>,
}

impl Packer {
    /// Most bytes that `len` plain bytes can become, headers included.
    #[must_use]
    pub const fn bound(len: usize) -> usize {
        len + len / 16 + 256
    }

    /// Compresses `plain` behind what is in `out`.
    ///
    /// # Errors
    /// [`CodecError::Compress`] from the library.
    pub fn pack(&mut self, how: Compression, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        match how {
            Compression::Gzip(level) => self.gzip(level, plain, out),
            Compression::Lzo => {
                let dict = self.lzo.get_or_insert_with(|| Box::new(lzokay_native::Dict::new()));
                let packed = lzokay_native::compress_with_dict(plain, dict)
                    .map_err(|error| CodecError::Compress { kind: "LZO", reason: format!("{error:?}") })?;
                push_header(Compressor::Lzo, packed.len(), out);
                out.extend_from_slice(&packed);
                Ok(())
            }
            Compression::Zstd(level) => self.zstd(level, plain, out),
        }
    }

    fn gzip(&mut self, level: u8, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let fail = |reason: String| CodecError::Compress { kind: "GZIP", reason };
        if self.gzip.as_ref().is_none_or(|(have, _)| *have != level) {
            self.gzip = Some((level, Compress::new(flate2::Compression::new(level.into()), true)));
        }
        let (_, state) = self.gzip.as_mut().expect("just made");
        state.reset();
        out.reserve(Self::bound(plain.len()));
        let mut read = 0;
        loop {
            let before = state.total_in();
            let status = state
                .compress_vec(&plain[read..], out, FlushCompress::Finish)
                .map_err(|error| fail(error.to_string()))?;
            read += (state.total_in() - before) as usize;
            match status {
                Status::StreamEnd => return Ok(()),
                Status::Ok | Status::BufError => out.reserve(4096),
            }
        }
    }

    fn zstd(&mut self, level: u8, plain: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let fail = |error: std::io::Error| CodecError::Compress { kind: "ZSTD", reason: error.to_string() };
        if self.zstd.as_ref().is_none_or(|(have, _)| *have != level) {
            self.zstd = Some((level, zstd::bulk::Compressor::new(level.into()).map_err(fail)?));
        }
        let (_, state) = self.zstd.as_mut().expect("just made");
        let packed = state.compress(plain).map_err(fail)?;
        push_header(Compressor::Zstd, packed.len(), out);
        out.extend_from_slice(&packed);
        Ok(())
    }
}

fn push_header(compressor: Compressor, len: usize, out: &mut Vec<u8>) {
    let header = CompressedHeader { compressor, len: len as u32, level: 0 };
    out.extend_from_slice(&header.encode());
}

/// Decompresses packets; keeps its buffer between packets.
#[derive(Default)]
pub struct Unpacker {
    zlib: Option<Decompress>,
}

impl Unpacker {
    /// Decompresses one zlib stream into `out` (emptied first).
    ///
    /// # Errors
    /// [`CodecError`] for damaged or oversized content.
    pub fn gunzip(&mut self, packed: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let damaged = |reason: String| CodecError::Damaged { kind: "GZIP", reason };
        let state = self.zlib.get_or_insert_with(|| Decompress::new(true));
        state.reset(true);
        out.clear();
        out.reserve(packed.len().saturating_mul(2).clamp(64 * 1024, PLAIN_BYTES_MAX));
        let mut read = 0;
        loop {
            let (before_in, before_out) = (state.total_in(), state.total_out());
            let status = state
                .decompress_vec(&packed[read..], out, FlushDecompress::None)
                .map_err(|error| damaged(error.to_string()))?;
            read += (state.total_in() - before_in) as usize;
            let stuck = state.total_in() == before_in && state.total_out() == before_out;
            match status {
                Status::StreamEnd => return Ok(()),
                Status::Ok | Status::BufError if stuck && out.len() < out.capacity() => {
                    return Err(damaged("it ends too early".to_owned()));
                }
                Status::Ok | Status::BufError => {}
            }
            if out.len() >= PLAIN_BYTES_MAX {
                return Err(CodecError::TooLarge { kind: "GZIP" });
            }
            if out.len() == out.capacity() {
                out.reserve(out.len());
            }
        }
    }

    /// Decompresses a packet with the twelve-byte header into `out` (emptied first).
    ///
    /// # Errors
    /// [`CodecError`] for a wrong header, damaged or oversized content.
    pub fn unpack(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Result<(), CodecError> {
        let (header, body) = attrs::split_compressed(packet)?;
        match header.compressor {
            Compressor::Lzo => {
                crate::lzo::decompress(body, PLAIN_BYTES_MAX, out).map_err(|error| match error {
                    crate::lzo::LzoError::TooLarge => CodecError::TooLarge { kind: "LZO" },
                    other => CodecError::Damaged { kind: "LZO", reason: other.to_string() },
                })
            }
            Compressor::Zstd => {
                out.clear();
                let limit = zstd::zstd_safe::get_frame_content_size(body)
                    .ok()
                    .flatten()
                    .unwrap_or(PLAIN_BYTES_MAX as u64);
                if limit > PLAIN_BYTES_MAX as u64 {
                    return Err(CodecError::TooLarge { kind: "ZSTD" });
                }
                let plain = zstd::bulk::decompress(body, limit as usize)
                    .map_err(|error| CodecError::Damaged { kind: "ZSTD", reason: error.to_string() })?;
                out.extend_from_slice(&plain);
                Ok(())
            }
            Compressor::Gzip => self.gunzip(body, out),
            Compressor::None => {
                out.clear();
                out.extend_from_slice(body);
                Ok(())
            }
        }
    }
}

/// Fuzzing: any bytes may come, nothing panics.
pub fn fuzz_unpack(data: &[u8]) {
    let mut out = Vec::new();
    let mut unpacker = Unpacker::default();
    let _ = unpacker.gunzip(data, &mut out);
    let _ = unpacker.unpack(data, &mut out);
    let _ = crate::lzo::decompress(data, 1 << 20, &mut out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Vec<u8>> {
        let mut state = 1u32;
        let noise: Vec<u8> = (0..65536)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let text = b"the quick brown fox jumps over the lazy dog. ".repeat(1500);
        vec![b"x".to_vec(), vec![0; 65536], noise, text]
    }

    #[test]
    fn every_compression_gives_the_content_back() {
        let (mut packer, mut unpacker) = (Packer::default(), Unpacker::default());
        for plain in samples() {
            for how in [
                Compression::Gzip(0),
                Compression::Gzip(6),
                Compression::Gzip(9),
                Compression::Lzo,
                Compression::Zstd(3),
            ] {
                let (mut packed, mut back) = (Vec::new(), Vec::new());
                packer.pack(how, &plain, &mut packed).unwrap();
                assert!(packed.len() <= Packer::bound(plain.len()), "{how:?} {}", packed.len());
                match how {
                    Compression::Gzip(_) => unpacker.gunzip(&packed, &mut back).unwrap(),
                    _ => unpacker.unpack(&packed, &mut back).unwrap(),
                }
                assert!(back == plain, "{how:?} of {} bytes", plain.len());
            }
        }
    }

    #[test]
    fn damage_is_found() {
        let (mut packer, mut unpacker) = (Packer::default(), Unpacker::default());
        let (mut packed, mut out) = (Vec::new(), Vec::new());
        packer.pack(Compression::Gzip(6), &samples()[3], &mut packed).unwrap();
        assert!(unpacker.gunzip(&packed[..packed.len() - 3], &mut out).is_err());
        let middle = packed.len() / 2;
        packed[middle] ^= 0x55;
        assert!(unpacker.gunzip(&packed, &mut out).is_err());
        for len in 0..64 {
            fuzz_unpack(&vec![0x11; len]);
        }
    }
}
