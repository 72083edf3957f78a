//! Building blocks: records are split over blocks, blocks collect in one buffer so that many are written at once.

use types::{FileIndex, VolSession};

use crate::block::{BLOCK_BYTES_DEFAULT, BlockHeader, BlockVersion, HEADER_BYTES_MAX};
use crate::label::VolumeLabel;

/// Smallest usable block: header, one record header and some data.
const BLOCK_BYTES_MIN: usize = 512;

/// How a device wants its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockFormat {
    /// BB02 or BB03.
    pub version: BlockVersion,
    /// Block Checksum.
    pub checksum: bool,
    /// Maximum Block Size in bytes.
    pub bytes_max: usize,
}

impl Default for BlockFormat {
    fn default() -> Self {
        Self { version: BlockVersion::Bb02, checksum: true, bytes_max: BLOCK_BYTES_DEFAULT }
    }
}

/// What is known of a finished block beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltBlock {
    /// Length in bytes.
    pub bytes: usize,
    /// BlockNumber.
    pub number: u32,
    /// Lowest file number with data in it; `None` where it holds labels only.
    pub first: Option<FileIndex>,
    /// Highest file number with data in it.
    pub last: Option<FileIndex>,
}

/// Splits the records of one session into blocks (spec/03 §1.4).
#[derive(Debug)]
pub struct BlockBuilder {
    format: BlockFormat,
    session: VolSession,
    number: u32,
    buffer: Vec<u8>,
    /// Where the open block begins in `buffer`; what is before it is finished.
    open_at: usize,
    open_first: Option<FileIndex>,
    open_last: Option<FileIndex>,
    finished: Vec<BuiltBlock>,
}

impl BlockBuilder {
    /// An empty builder whose first block gets `number` (0 on a Volume that was labelled before, else 1; spec/03 §1.3).
    #[must_use]
    pub fn new(format: BlockFormat, session: VolSession, number: u32) -> Self {
        let format = BlockFormat { bytes_max: format.bytes_max.max(BLOCK_BYTES_MIN), ..format };
        let mut builder = Self {
            format,
            session,
            number,
            buffer: Vec::with_capacity(format.bytes_max * 2),
            open_at: 0,
            open_first: None,
            open_last: None,
            finished: Vec::new(),
        };
        builder.open();
        builder
    }

    /// Adds a record of a file, over as many blocks as it needs.
    pub fn push(&mut self, index: FileIndex, stream: i32, data: &[u8]) {
        let mut rest = data;
        let mut continued = false;
        loop {
            if self.free() < self.format.version.record_header_bytes() {
                self.finish_block();
            }
            let shown = if continued { stream.wrapping_neg() } else { stream };
            self.put_header(index, shown, rest.len());
            let (here, later) = rest.split_at(rest.len().min(self.free()));
            self.buffer.extend_from_slice(here);
            if later.is_empty() {
                return;
            }
            self.finish_block();
            rest = later;
            continued = true;
        }
    }

    /// Adds a session label, which is never split: it goes to the next block where this one has no room.
    pub fn push_label(&mut self, index: FileIndex, job: u32, data: &[u8]) {
        if self.free() < self.format.version.record_header_bytes() + data.len() {
            self.finish_block();
        }
        self.put_header(index, job.cast_signed(), data.len());
        self.buffer.extend_from_slice(data);
    }

    /// Finishes the open block, if anything is in it.
    pub fn finish_block(&mut self) {
        if !self.is_open_used() {
            return;
        }
        let header = BlockHeader {
            version: self.format.version,
            options: 0,
            len: 0,
            number: self.number,
            session: self.session,
            checksum: 0,
        };
        header.seal(&mut self.buffer[self.open_at..], self.format.checksum);
        self.finished.push(BuiltBlock {
            bytes: self.buffer.len() - self.open_at,
            number: self.number,
            first: self.open_first.take(),
            last: self.open_last.take(),
        });
        self.number = self.number.wrapping_add(1);
        self.open_at = self.buffer.len();
        self.open();
    }

    /// The finished blocks: their bytes, back to back, and what is known of each.
    #[must_use]
    pub fn finished(&self) -> (&[u8], &[BuiltBlock]) {
        (&self.buffer[..self.open_at], &self.finished)
    }

    /// Bytes of the finished blocks.
    #[must_use]
    pub const fn finished_bytes(&self) -> usize {
        self.open_at
    }

    /// Whether something is in the open block.
    #[must_use]
    pub fn is_open_used(&self) -> bool {
        self.buffer.len() > self.open_at + self.format.version.header_bytes()
    }

    /// Forgets the first `blocks` finished blocks: they are on the Volume.
    pub fn consume(&mut self, blocks: usize) {
        let bytes: usize = self.finished.drain(..blocks.min(self.finished.len())).map(|b| b.bytes).sum();
        self.buffer.drain(..bytes);
        self.open_at -= bytes;
    }

    fn open(&mut self) {
        let header = [0; HEADER_BYTES_MAX];
        self.buffer.extend_from_slice(&header[..self.format.version.header_bytes()]);
    }

    fn free(&self) -> usize {
        (self.open_at + self.format.bytes_max).saturating_sub(self.buffer.len())
    }

    fn put_header(&mut self, index: FileIndex, stream: i32, len: usize) {
        if index.0 > 0 {
            self.open_first.get_or_insert(index);
            self.open_last = Some(index);
        }
        if matches!(self.format.version, BlockVersion::Bb01) {
            self.buffer.extend_from_slice(&self.session.id.to_be_bytes());
            self.buffer.extend_from_slice(&self.session.time.to_be_bytes());
        }
        let len = u32::try_from(len).expect("records are bounded by the packet size");
        self.buffer.extend_from_slice(&index.0.to_be_bytes());
        self.buffer.extend_from_slice(&stream.to_be_bytes());
        self.buffer.extend_from_slice(&len.to_be_bytes());
    }
}

/// The first block of a Volume: the label alone, BlockNumber 0.
///
/// `ordinal` is 0 for a job's first Volume and for labelling, 2 for its second, 3 for its third … (spec/03 §1.6).
#[must_use]
pub fn label_block(format: BlockFormat, session: VolSession, ordinal: i32, label: &VolumeLabel) -> Vec<u8> {
    let mut builder = BlockBuilder::new(format, session, 0);
    builder.push_label(label.kind.index(), ordinal.cast_unsigned(), &label.encode(format.version));
    builder.finish_block();
    builder.buffer.truncate(builder.open_at);
    builder.buffer
}
