//! Takes data packets apart (spec/02 §4.3, §5) and writes them; digests what is written.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use attrs::{DataLayout, DigestKind, split_offset};

use crate::codec::{CodecError, Unpacker};
use crate::digest::Digester;

/// Zeros of this size and alignment become holes: the block size of most file systems.
const HOLE_BYTES: usize = 4096;

/// All kinds, for the first file: the kind that a backup uses is only known behind the data.
const ALL_KINDS: [DigestKind; 6] = [
    DigestKind::Md5,
    DigestKind::Sha1,
    DigestKind::Sha256,
    DigestKind::Sha512,
    DigestKind::Xxh64,
    DigestKind::Xxh3x128,
];

/// Which digests to compute: learned from the records of the restore itself.
#[derive(Debug, Clone, Default)]
pub(super) struct DigestPlan {
    seen: Vec<DigestKind>,
    learned: bool,
}

impl DigestPlan {
    /// Digests for a new file.
    pub(super) fn start(&self) -> Vec<(DigestKind, Digester)> {
        let kinds: &[DigestKind] = if self.learned { &self.seen } else { &ALL_KINDS };
        kinds.iter().map(|&kind| (kind, Digester::new(kind))).collect()
    }

    /// A record of this kind came; or none came for a file that had data.
    pub(super) fn learn(&mut self, kind: Option<DigestKind>) {
        self.learned = true;
        if let Some(kind) = kind
            && !self.seen.contains(&kind)
        {
            self.seen.push(kind);
        }
    }
}

/// Why a packet was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum DataError {
    #[error(transparent)]
    Codec(#[from] CodecError),
    #[error(transparent)]
    Packet(#[from] attrs::DataError),
    #[error("write at {offset}: {}", sys::error_text(source))]
    Write { offset: u64, source: io::Error },
}

/// Writes the data of one file.
pub(super) struct DataWriter {
    file: File,
    /// Where the next packet without an offset goes.
    position: u64,
    /// Streams (FIFO, device) are written in order.
    sequential: bool,
    digests: Vec<(DigestKind, Digester)>,
    /// Bytes written.
    pub(super) written: u64,
    /// End of what was restored, a hole at the end included.
    pub(super) end: u64,
    /// End of what was written.
    on_disk: u64,
}

impl DataWriter {
    pub(super) fn new(file: File, sequential: bool, plan: &DigestPlan) -> Self {
        Self { file, position: 0, sequential, digests: plan.start(), written: 0, end: 0, on_disk: 0 }
    }

    /// Takes a packet apart and writes it.
    pub(super) fn packet(
        &mut self,
        layout: DataLayout,
        packet: &[u8],
        unpacker: &mut Unpacker,
        buffer: &mut Vec<u8>,
    ) -> Result<(), DataError> {
        let mut packet = packet;
        if layout.offset {
            (self.position, packet) = split_offset(packet)?;
        }
        let plain: &[u8] = if layout.gzip {
            unpacker.gunzip(packet, buffer)?;
            buffer
        } else if layout.header {
            unpacker.unpack(packet, buffer)?;
            buffer
        } else {
            packet
        };
        for (_, digester) in &mut self.digests {
            digester.update(plain);
        }
        if layout.offset && !self.sequential { self.write_around_holes(plain) } else { self.write(plain) }
    }

    /// Writes sparse data: blocks of zeros inside a packet become holes again, which are finer than the packets. The file
    /// is new, so what is not written reads as zeros.
    fn write_around_holes(&mut self, plain: &[u8]) -> Result<(), DataError> {
        let is_hole = |block: &[u8]| block.iter().all(|&b| b == 0);
        let mut rest = plain;
        while !rest.is_empty() {
            let to_border = HOLE_BYTES - (self.position % HOLE_BYTES as u64) as usize;
            let mut len = to_border.min(rest.len());
            if is_hole(&rest[..len]) {
                self.skip(len as u64);
            } else {
                while len < rest.len() && !is_hole(&rest[len..rest.len().min(len + HOLE_BYTES)]) {
                    len = rest.len().min(len + HOLE_BYTES);
                }
                self.write(&rest[..len])?;
            }
            rest = &rest[len..];
        }
        Ok(())
    }

    /// Counts bytes as restored that need not be written.
    fn skip(&mut self, len: u64) {
        self.position += len;
        self.written += len;
        self.end = self.end.max(self.position);
    }

    fn write(&mut self, plain: &[u8]) -> Result<(), DataError> {
        let offset = self.position;
        let result = if self.sequential {
            io::Write::write_all(&mut self.file, plain)
        } else {
            self.file.write_all_at(plain, offset)
        };
        result.map_err(|source| DataError::Write { offset, source })?;
        self.skip(plain.len() as u64);
        self.on_disk = self.on_disk.max(self.position);
        Ok(())
    }

    /// Closes the file, which gets its length when it ends in a hole; gives the digests of what was written.
    pub(super) fn finish(self) -> Result<Vec<(DigestKind, Vec<u8>)>, DataError> {
        if !self.sequential && self.end > self.on_disk {
            let offset = self.end;
            self.file.set_len(offset).map_err(|source| DataError::Write { offset, source })?;
        }
        let digests = self.digests.into_iter().map(|(kind, digester)| (kind, digester.finish())).collect();
        Ok(digests)
    }
}
