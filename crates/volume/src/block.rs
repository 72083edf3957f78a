//! Blocks: the header, the checksum, the records inside (spec/03 §1.2, §1.4).
//!
//! A block belongs to one session. On disk blocks are packed back to back; on tape each is padded ([`crate::vtape`]).

use types::{FileIndex, VolSession};

/// Default size of a block in bytes where the device sets none: 512 × 126 (spec/03 §1.12).
pub const BLOCK_BYTES_DEFAULT: usize = 64_512;

/// A longer block (or record) is taken as damage (spec/03 §1.2, §1.4).
pub const BLOCK_BYTES_MAX: u32 = 20_000_000;

/// Bytes that always hold enough of a header to know how long it is.
pub const HEADER_PREFIX_BYTES: usize = 16;

/// Longest block header of any version in bytes.
pub const HEADER_BYTES_MAX: usize = 32;

/// BB03 option bits (spec/03 §1.2).
pub mod options {
    /// A checksum is present.
    pub const CHECKSUM: u32 = 1;
    /// The Volume is encrypted.
    pub const VOLUME_ENCRYPTED: u32 = 2;
    /// This block is encrypted.
    pub const BLOCK_ENCRYPTED: u32 = 4;
}

/// The format of a block; chosen per block, not per Volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockVersion {
    /// Oldest: session ids in each record.
    Bb01,
    /// Bacula up to 13: CRC-32.
    Bb02,
    /// Bacula 15: XXH3-64.
    Bb03,
}

impl BlockVersion {
    /// The ASCII letters at offset 12.
    #[must_use]
    pub const fn id(self) -> &'static [u8; 4] {
        match self {
            Self::Bb01 => b"BB01",
            Self::Bb02 => b"BB02",
            Self::Bb03 => b"BB03",
        }
    }

    /// The version named by the letters at offset 12.
    #[must_use]
    pub const fn from_id(id: &[u8]) -> Option<Self> {
        match id {
            b"BB01" => Some(Self::Bb01),
            b"BB02" => Some(Self::Bb02),
            b"BB03" => Some(Self::Bb03),
            _ => None,
        }
    }

    /// Bytes of the block header.
    #[must_use]
    pub const fn header_bytes(self) -> usize {
        match self {
            Self::Bb01 => 16,
            Self::Bb02 => 24,
            Self::Bb03 => 32,
        }
    }

    /// Bytes of a record header.
    #[must_use]
    pub const fn record_header_bytes(self) -> usize {
        match self {
            Self::Bb01 => 20,
            Self::Bb02 | Self::Bb03 => 12,
        }
    }
}

/// Why bytes are no (whole, undamaged) block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Fewer bytes than the header or its length field say.
    #[error("short block: {have} bytes of {need}")]
    Short {
        /// Bytes there are.
        have: usize,
        /// Bytes there should be.
        need: usize,
    },
    /// The letters at offset 12 name no version.
    #[error("no block header here (wanted \"BB02\" or \"BB03\", got {found:?})")]
    NotABlock {
        /// What is there instead.
        found: [u8; 4],
    },
    /// The length field is out of range.
    #[error("block {number} says that it has {len} bytes, which no block has")]
    Length {
        /// BlockNumber.
        number: u32,
        /// The length field.
        len: u32,
    },
    /// The checksum is wrong: bits have changed since the block was written.
    #[error("block checksum mismatch in block={number} len={len}: calc={calculated:x} blk={stored:x}")]
    Checksum {
        /// BlockNumber.
        number: u32,
        /// The length field.
        len: u32,
        /// What the bytes give.
        calculated: u64,
        /// What the header says.
        stored: u64,
    },
    /// The block is encrypted (Bacula 15 "Volume Encryption").
    #[error(
        "block {number} is encrypted by Bacula's Volume Encryption, which this version cannot read; restore it with the Bacula 15 Storage Daemon that holds the key"
    )]
    Encrypted {
        /// BlockNumber.
        number: u32,
    },
}

/// The fields of a block header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    /// Format.
    pub version: BlockVersion,
    /// BB03 options; 0 in older versions.
    pub options: u32,
    /// Bytes of header and records.
    pub len: u32,
    /// Counter of the writing job; no position.
    pub number: u32,
    /// The session; 0:0 in BB01 (there each record has it).
    pub session: VolSession,
    /// As stored; CRC-32 in the low half for BB01/BB02.
    pub checksum: u64,
}

impl BlockHeader {
    /// Reads a header from the beginning of `bytes`; the rest of the block need not be there.
    ///
    /// # Errors
    /// [`BlockError::Short`], [`BlockError::NotABlock`] or [`BlockError::Length`].
    pub fn decode(bytes: &[u8]) -> Result<Self, BlockError> {
        if bytes.len() < HEADER_PREFIX_BYTES {
            return Err(BlockError::Short { have: bytes.len(), need: HEADER_PREFIX_BYTES });
        }
        let found = [bytes[12], bytes[13], bytes[14], bytes[15]];
        let version = BlockVersion::from_id(&found).ok_or(BlockError::NotABlock { found })?;
        if bytes.len() < version.header_bytes() {
            return Err(BlockError::Short { have: bytes.len(), need: version.header_bytes() });
        }
        let (len, number) = (be32(bytes, 4), be32(bytes, 8));
        if len > BLOCK_BYTES_MAX || (len as usize) < version.header_bytes() {
            return Err(BlockError::Length { number, len });
        }
        let session = match version {
            BlockVersion::Bb01 => VolSession::default(),
            BlockVersion::Bb02 | BlockVersion::Bb03 => {
                VolSession { id: be32(bytes, 16), time: be32(bytes, 20) }
            }
        };
        let first = be32(bytes, 0);
        let (options, checksum) = match version {
            BlockVersion::Bb01 | BlockVersion::Bb02 => (0, u64::from(first)),
            BlockVersion::Bb03 => (first, be64(bytes, 24)),
        };
        Ok(Self { version, options, len, number, session, checksum })
    }

    /// Whether the block's records are encrypted.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        self.options & options::BLOCK_ENCRYPTED != 0
    }

    /// Whether the Volume that the block belongs to is encrypted.
    #[must_use]
    pub const fn is_volume_encrypted(&self) -> bool {
        self.options & options::VOLUME_ENCRYPTED != 0
    }

    /// Writes the header over the first bytes of `block`, with the checksum of the whole block where `checksum` is set.
    ///
    /// `block` is header and records; its length becomes the length field.
    pub fn seal(mut self, block: &mut [u8], checksum: bool) {
        assert!(block.len() >= self.version.header_bytes(), "a block has room for its header");
        self.len = u32::try_from(block.len()).expect("a block is far below 4 GiB");
        block[4..8].copy_from_slice(&self.len.to_be_bytes());
        block[8..12].copy_from_slice(&self.number.to_be_bytes());
        block[12..16].copy_from_slice(self.version.id());
        if !matches!(self.version, BlockVersion::Bb01) {
            block[16..20].copy_from_slice(&self.session.id.to_be_bytes());
            block[20..24].copy_from_slice(&self.session.time.to_be_bytes());
        }
        match self.version {
            BlockVersion::Bb01 | BlockVersion::Bb02 => {
                let sum = if checksum { crc32fast::hash(&block[4..]) } else { 0 };
                block[0..4].copy_from_slice(&sum.to_be_bytes());
            }
            BlockVersion::Bb03 => {
                let bit = if checksum { options::CHECKSUM } else { 0 };
                let flags = (self.options & !options::CHECKSUM) | bit;
                block[0..4].copy_from_slice(&flags.to_be_bytes());
                block[24..32].fill(0);
                let sum = if checksum { xxhash_rust::xxh3::xxh3_64(block) } else { 0 };
                block[24..32].copy_from_slice(&sum.to_be_bytes());
            }
        }
    }
}

/// Whether checksums are verified while reading (the device's Block Checksum).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verify {
    /// Yes.
    #[default]
    Checksum,
    /// No: Volumes that were written without.
    Nothing,
}

/// A block whose header, length and checksum have been found right.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// The header.
    pub header: BlockHeader,
    bytes: &'a [u8],
}

impl<'a> Block<'a> {
    /// Checks the block at the beginning of `bytes`; bytes behind it (padding, the next block) are left alone.
    ///
    /// # Errors
    /// [`BlockError`]; an encrypted block is refused, as its checksum is that of the plain text.
    pub fn decode(bytes: &'a [u8], verify: Verify) -> Result<Self, BlockError> {
        let header = BlockHeader::decode(bytes)?;
        let need = header.len as usize;
        let bytes = bytes.get(..need).ok_or(BlockError::Short { have: bytes.len(), need })?;
        if header.is_encrypted() {
            return Err(BlockError::Encrypted { number: header.number });
        }
        let calculated = match (verify, header.version) {
            (Verify::Nothing, _) => None,
            (Verify::Checksum, BlockVersion::Bb01 | BlockVersion::Bb02) => {
                Some(u64::from(crc32fast::hash(&bytes[4..])))
            }
            (Verify::Checksum, BlockVersion::Bb03) => {
                (header.options & options::CHECKSUM != 0).then(|| xxh3_without_checksum_field(bytes))
            }
        };
        match calculated {
            Some(calculated) if calculated != header.checksum => Err(BlockError::Checksum {
                number: header.number,
                len: header.len,
                calculated,
                stored: header.checksum,
            }),
            _ => Ok(Self { header, bytes }),
        }
    }

    /// The whole block, header first.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The pieces of records in the block, in order.
    #[must_use]
    pub fn pieces(&self) -> Pieces<'a> {
        Pieces {
            version: self.header.version,
            session: self.header.session,
            rest: &self.bytes[self.header.version.header_bytes()..],
        }
    }
}

/// XXH3-64 over the block with bytes 24..32 taken as zero.
fn xxh3_without_checksum_field(block: &[u8]) -> u64 {
    let mut state = xxhash_rust::xxh3::Xxh3::new();
    state.update(&block[..24]);
    state.update(&[0; 8]);
    state.update(&block[32..]);
    state.digest()
}

/// What a block holds of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The session it belongs to.
    pub session: VolSession,
    /// File number, or a label (negative).
    pub index: FileIndex,
    /// As stored: negative for a continuation; the JobId (or Volume ordinal) for labels.
    pub stream: i32,
    /// Bytes of the record from here on: those in `data` and those in later blocks.
    pub remaining: u32,
    /// The bytes in this block.
    pub data: &'a [u8],
}

impl Piece<'_> {
    /// Whether the record began in an earlier block.
    #[must_use]
    pub const fn is_continuation(&self) -> bool {
        self.index.0 > 0 && self.stream < 0
    }

    /// Whether the record ends in this block.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.data.len() == self.remaining as usize
    }

    /// The stream id without the continuation mark.
    #[must_use]
    pub const fn stream_id(&self) -> i32 {
        if self.is_continuation() { self.stream.wrapping_neg() } else { self.stream }
    }
}

/// Iterator over the pieces of a block. Ends early at a record length that no record has.
#[derive(Debug, Clone)]
pub struct Pieces<'a> {
    version: BlockVersion,
    session: VolSession,
    rest: &'a [u8],
}

impl Pieces<'_> {
    /// Bytes that no piece has taken (after the iteration: unused tail, or what follows a corrupt header).
    #[must_use]
    pub const fn left_over(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let header_bytes = self.version.record_header_bytes();
        if self.rest.len() < header_bytes {
            return None;
        }
        let (header, rest) = self.rest.split_at(header_bytes);
        let fields = &header[header_bytes - 12..];
        let remaining = be32(fields, 8);
        if remaining >= BLOCK_BYTES_MAX {
            return None;
        }
        let here = rest.len().min(remaining as usize);
        let (data, rest) = rest.split_at(here);
        self.rest = rest;
        let session = match self.version {
            BlockVersion::Bb01 => VolSession { id: be32(header, 0), time: be32(header, 4) },
            BlockVersion::Bb02 | BlockVersion::Bb03 => self.session,
        };
        let index = FileIndex(be32(fields, 0).cast_signed());
        Some(Piece { session, index, stream: be32(fields, 4).cast_signed(), remaining, data })
    }
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub(crate) fn be64(bytes: &[u8], at: usize) -> u64 {
    (u64::from(be32(bytes, at)) << 32) | u64::from(be32(bytes, at + 4))
}
