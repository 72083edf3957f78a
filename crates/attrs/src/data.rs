//! Headers inside data packets: the offset of sparse streams and the header of compressed ones (spec/02 §4.3, §5.2).

/// Length of the offset in front of each packet of a sparse stream.
pub const OFFSET_BYTES: usize = 8;
/// Length of the header of LZO and ZSTD packets.
pub const COMPRESSED_HEADER_BYTES: usize = 12;
/// The only version of the header.
const VERSION: u16 = 1;

/// What is inside a packet with a compressed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compressor {
    /// LZO1X.
    Lzo,
    /// One ZSTD frame.
    Zstd,
    /// A zlib stream; defined, not written by clients.
    Gzip,
    /// Stored; defined, not written by clients.
    None,
}

impl Compressor {
    /// The magic in the header.
    #[must_use]
    pub const fn magic(self) -> u32 {
        match self {
            Self::Lzo => 0x4C5A_4F58,
            Self::Zstd => 0x4C5A_4F59,
            Self::Gzip => 0x475A_4950,
            Self::None => 0x4E4F_4E45,
        }
    }

    /// Of a magic number.
    #[must_use]
    pub const fn from_magic(magic: u32) -> Option<Self> {
        Some(match magic {
            0x4C5A_4F58 => Self::Lzo,
            0x4C5A_4F59 => Self::Zstd,
            0x475A_4950 => Self::Gzip,
            0x4E4F_4E45 => Self::None,
            _ => return None,
        })
    }
}

/// The header of a compressed packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompressedHeader {
    /// What follows.
    pub compressor: Compressor,
    /// Length of what follows, in bytes.
    pub len: u32,
    /// Level; always written as 0.
    pub level: u16,
}

/// Why a data packet cannot be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// Shorter than its header.
    #[error("data packet of {len} bytes is shorter than its header")]
    Short {
        /// Length of the packet.
        len: usize,
    },
    /// Unknown compression.
    #[error("compressed data packet has the unknown compression {magic:#010x}")]
    Magic {
        /// As found.
        magic: u32,
    },
    /// Unknown version of the header.
    #[error("compressed data packet has the unknown version {version}")]
    Version {
        /// As found.
        version: u16,
    },
    /// The header's length is not the packet's.
    #[error("compressed data packet says {said} bytes but has {has}")]
    Length {
        /// By the header.
        said: u32,
        /// In the packet.
        has: usize,
    },
}

impl CompressedHeader {
    /// The twelve bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; COMPRESSED_HEADER_BYTES] {
        let mut out = [0; COMPRESSED_HEADER_BYTES];
        out[..4].copy_from_slice(&self.compressor.magic().to_be_bytes());
        out[4..8].copy_from_slice(&self.len.to_be_bytes());
        out[8..10].copy_from_slice(&self.level.to_be_bytes());
        out[10..].copy_from_slice(&VERSION.to_be_bytes());
        out
    }
}

/// Splits a packet with a compressed header into header and content.
///
/// # Errors
/// [`DataError`] when magic, version or length are wrong.
pub fn split_compressed(packet: &[u8]) -> Result<(CompressedHeader, &[u8]), DataError> {
    let Some((head, body)) = packet.split_first_chunk::<COMPRESSED_HEADER_BYTES>() else {
        return Err(DataError::Short { len: packet.len() });
    };
    let [m0, m1, m2, m3, l0, l1, l2, l3, level0, level1, v0, v1] = *head;
    let magic = u32::from_be_bytes([m0, m1, m2, m3]);
    let compressor = Compressor::from_magic(magic).ok_or(DataError::Magic { magic })?;
    let version = u16::from_be_bytes([v0, v1]);
    if version != VERSION {
        return Err(DataError::Version { version });
    }
    let said = u32::from_be_bytes([l0, l1, l2, l3]);
    if said as usize != body.len() {
        return Err(DataError::Length { said, has: body.len() });
    }
    Ok((CompressedHeader { compressor, len: said, level: u16::from_be_bytes([level0, level1]) }, body))
}

/// Appends the offset of a sparse packet, in bytes from the start of the file.
pub fn put_offset(offset: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&offset.to_be_bytes());
}

/// Splits a sparse packet into offset and content.
///
/// # Errors
/// [`DataError::Short`] when there are no eight bytes.
pub fn split_offset(packet: &[u8]) -> Result<(u64, &[u8]), DataError> {
    match packet.split_first_chunk::<OFFSET_BYTES>() {
        Some((head, body)) => Ok((u64::from_be_bytes(*head), body)),
        None => Err(DataError::Short { len: packet.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_recorded_header_decodes() {
        let mut packet = b"\x4c\x5a\x4f\x58\x00\x00\x00\x10\x00\x00\x00\x01".to_vec();
        packet.extend([0; 16]);
        let (header, body) = split_compressed(&packet).unwrap();
        assert_eq!((header.compressor, header.len, body.len()), (Compressor::Lzo, 16, 16));
        assert_eq!(header.encode(), packet[..12]);
        assert_eq!(split_compressed(&packet[..20]), Err(DataError::Length { said: 16, has: 8 }));
    }

    proptest! {
        #[test]
        fn any_packet_is_split_or_refused(packet: Vec<u8>) {
            if let Ok((header, body)) = split_compressed(&packet) {
                prop_assert_eq!([&header.encode()[..], body].concat(), packet);
            }
        }

        #[test]
        fn offsets_come_back(offset: u64) {
            let mut out = Vec::new();
            put_offset(offset, &mut out);
            prop_assert_eq!(split_offset(&out), Ok((offset, &[][..])));
        }
    }
}
