//! Reading a Volume: its label, then verified blocks with what is damaged between them.

use std::collections::HashSet;

use types::{VolAddr, VolSession};

use crate::block::{Block, BlockError, BlockHeader, Verify};
use crate::device::{Addressing, BlockDevice, DeviceError, DiskVolume, Position, RawFile, ReadOutcome};
use crate::label::{LabelError, VolumeKind, VolumeLabel};

/// Sessions that are remembered as met on a Volume.
const SESSIONS_MAX: usize = 65_536;

/// Why a Volume's label cannot be had (spec/03 §1.17).
#[derive(Debug, thiserror::Error)]
pub enum ReadLabelError {
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// There is nothing.
    #[error("the Volume is empty: it has no label")]
    Empty,
    /// The first block is damaged or none.
    #[error("the label block cannot be read")]
    Block(#[source] BlockError),
    /// The first block holds no record.
    #[error("the first block holds no label")]
    NoLabel,
    /// The first record is no label.
    #[error("the first record is no usable label")]
    Label(#[source] LabelError),
    /// A kind that is not read here.
    #[error("the Volume is of the kind {0:?}, which is not read here")]
    Kind(VolumeKind),
}

/// Reads and checks the label of the Volume in a device; the position is behind it.
///
/// # Errors
/// [`ReadLabelError`].
pub fn read_label<D: BlockDevice>(
    device: &mut D,
    verify: Verify,
) -> Result<(BlockHeader, VolumeLabel), ReadLabelError> {
    device.position(Position::Start)?;
    let mut buffer = Vec::new();
    match device.read(&mut buffer)? {
        ReadOutcome::Block { .. } => {}
        ReadOutcome::EndOfData => return Err(ReadLabelError::Empty),
        ReadOutcome::Mark => return Err(ReadLabelError::NoLabel),
        ReadOutcome::Damaged { reason, .. } => return Err(ReadLabelError::Block(reason)),
    }
    let block = Block::decode(&buffer, verify).map_err(ReadLabelError::Block)?;
    let piece = block.pieces().next().ok_or(ReadLabelError::NoLabel)?;
    let label =
        VolumeLabel::decode(piece.index, piece.data, block.header.version).map_err(ReadLabelError::Label)?;
    match label.volume_kind() {
        VolumeKind::Plain => Ok((block.header, label)),
        kind @ (VolumeKind::AlignedMetadata
        | VolumeKind::AlignedData
        | VolumeKind::Dedup
        | VolumeKind::Cloud) => Err(ReadLabelError::Kind(kind)),
    }
}

/// A stretch of a Volume that cannot be read as blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where it begins.
    pub at: VolAddr,
    /// How many bytes are given up.
    pub bytes: u64,
    /// What is wrong at its beginning.
    pub reason: BlockError,
}

/// What comes next on a Volume.
#[derive(Debug)]
pub enum VolumeBlock<'a> {
    /// A verified block.
    Block {
        /// Where it begins.
        at: VolAddr,
        /// It.
        block: Block<'a>,
    },
    /// Damage; reading goes on behind it.
    Damage(Damage),
    /// The end.
    End,
}

/// Reads blocks of a Volume in physical order, seeking as told, and finds its way behind damage.
#[derive(Debug)]
pub struct VolumeReader<D> {
    device: D,
    verify: Verify,
    buffer: Vec<u8>,
    /// Sessions met in good blocks.
    sessions: HashSet<VolSession>,
}

impl<F: RawFile> VolumeReader<DiskVolume<F>> {
    /// Over a Volume in a file.
    pub fn new(file: F, verify: Verify) -> Self {
        Self::over(DiskVolume::new(file), verify)
    }
}

impl<D: BlockDevice> VolumeReader<D> {
    /// Over the Volume in a device.
    pub fn over(device: D, verify: Verify) -> Self {
        Self { device, verify, buffer: Vec::new(), sessions: HashSet::new() }
    }

    /// What its addresses count.
    #[must_use]
    pub fn addressing(&self) -> Addressing {
        self.device.addressing()
    }

    /// The label; the position is behind it.
    ///
    /// # Errors
    /// [`ReadLabelError`].
    pub fn read_label(&mut self) -> Result<(BlockHeader, VolumeLabel), ReadLabelError> {
        read_label(&mut self.device, self.verify)
    }

    /// The address of the next block.
    #[must_use]
    pub fn address(&self) -> VolAddr {
        self.device.address()
    }

    /// Goes to an address.
    ///
    /// # Errors
    /// What the device reports.
    pub fn seek(&mut self, to: VolAddr) -> Result<(), DeviceError> {
        self.device.position(Position::Address(to)).map(drop)
    }

    /// The next block.
    ///
    /// # Errors
    /// Only what the device reports; damage is a value.
    pub fn next_block(&mut self) -> Result<VolumeBlock<'_>, DeviceError> {
        let at = loop {
            match self.device.read(&mut self.buffer)? {
                ReadOutcome::EndOfData => return Ok(VolumeBlock::End),
                ReadOutcome::Mark => {}
                ReadOutcome::Damaged { at, reason, .. } => {
                    let bytes = self.skip_damage(at)?;
                    return Ok(VolumeBlock::Damage(Damage { at, bytes, reason }));
                }
                ReadOutcome::Block { at } => break at,
            }
        };
        if let Err(reason) = Block::decode(&self.buffer, self.verify) {
            let bytes = match reason {
                // The whole header is in clear and right: nothing to search for.
                BlockError::Encrypted { .. } => self.buffer.len() as u64,
                BlockError::Checksum { .. }
                | BlockError::Short { .. }
                | BlockError::NotABlock { .. }
                | BlockError::Length { .. } => self.skip_damage(at)?,
            };
            return Ok(VolumeBlock::Damage(Damage { at, bytes, reason }));
        }
        // Verified above; decoding again only takes the header's fields.
        match Block::decode(&self.buffer, Verify::Nothing) {
            Ok(block) => {
                if self.sessions.len() < SESSIONS_MAX {
                    self.sessions.insert(block.header.session);
                }
                Ok(VolumeBlock::Block { at, block })
            }
            Err(reason) => Ok(VolumeBlock::Damage(Damage { at, bytes: self.buffer.len() as u64, reason })),
        }
    }

    /// Goes to the next block behind `bad` that is whole and right; gives how many bytes are given up.
    ///
    /// The length field of a damaged block is not believed: it may be what is damaged. And since a Volume may hold a file that is a
    /// Volume itself, a block found inside counts only if its session is one that was met before.
    fn skip_damage(&mut self, bad: VolAddr) -> Result<u64, DeviceError> {
        if self.device.addressing() == Addressing::Blocks {
            return self.device.resync(bad);
        }
        let mut from = bad;
        let mut bytes = Vec::new();
        loop {
            self.device.resync(from)?;
            let at = self.device.address();
            let is_good = match self.device.read(&mut bytes)? {
                ReadOutcome::EndOfData => true,
                ReadOutcome::Block { .. } => Block::decode(&bytes, self.verify)
                    .is_ok_and(|b| self.sessions.is_empty() || self.sessions.contains(&b.header.session)),
                ReadOutcome::Mark | ReadOutcome::Damaged { .. } => false,
            };
            if is_good {
                self.device.position(Position::Address(at))?;
                return Ok(at.0 - bad.0);
            }
            from = at;
        }
    }
}
