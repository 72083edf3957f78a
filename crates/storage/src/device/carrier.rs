//! What carries a Volume's blocks: a file, or a tape that is in its drive as long as it is open.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use types::VolAddr;
use volume::{
    BlockDevice, BlockHeader, DeviceError, DiskVolume, Position, ReadLabelError, TapeEnd, TapeFormat,
    TapeMedium, TapeVolume, Verify, VolumeLabel, VtapeVolume, read_label,
};

use super::file::VolumeFile;
use super::kind::DeviceKind;
use super::tape::LinuxTape;
use crate::lock::lock;

/// An open tape, shared by all who have its Volume mounted. It is closed for all of them before anybody else gets its drive: the system opens
/// a drive once only, and a changer cannot take a tape out of an open one.
#[derive(Debug, Clone)]
pub struct Tape(Arc<Mutex<Option<Box<dyn TapeMedium>>>>);

impl Tape {
    /// Over a tape that was opened.
    #[must_use]
    pub fn new(medium: Box<dyn TapeMedium>) -> Self {
        Self(Arc::new(Mutex::new(Some(medium))))
    }

    /// Lets go of the drive. What was written behind the last mark gets one from the system, not from here.
    pub fn close(&self) {
        *lock(&self.0) = None;
    }

    /// Whether it is open still.
    #[must_use]
    pub fn is_open(&self) -> bool {
        lock(&self.0).is_some()
    }

    fn with<T>(
        &self,
        act: impl FnOnce(&mut Box<dyn TapeMedium>) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        match &mut *lock(&self.0) {
            Some(medium) => act(medium),
            None => Err(gone()),
        }
    }

    /// The label; the position is behind it.
    ///
    /// # Errors
    /// [`ReadLabelError`].
    pub fn read_label(&self, verify: Verify) -> Result<(BlockHeader, VolumeLabel), ReadLabelError> {
        match &mut *lock(&self.0) {
            Some(medium) => read_label(medium, verify),
            None => Err(gone().into()),
        }
    }

    /// Goes behind the last block ([`TapeMedium::end`]).
    ///
    /// # Errors
    /// What the drive reports.
    pub fn end(&self, expected: Option<u32>) -> Result<TapeEnd, DeviceError> {
        self.with(|medium| medium.end(expected))
    }

    /// Makes this block all that is on the tape, with a mark behind it; gives the bytes that it takes.
    ///
    /// # Errors
    /// What the drive reports.
    pub fn overwrite(&self, block: &[u8]) -> Result<u64, DeviceError> {
        self.with(|medium| {
            medium.position(Position::Start)?;
            sys::failpoint::reach("storage-label-truncated");
            medium.write(block)?;
            medium.mark()?;
            medium.sync()?;
            sys::failpoint::reach("storage-label-written");
            Ok(medium.padded(block.len()) as u64)
        })
    }

    /// Writes a block; gives its address.
    ///
    /// # Errors
    /// What the drive reports; [`DeviceError::is_full`] at the end of the tape, where the block is not on it.
    pub fn write(&self, block: &[u8]) -> Result<VolAddr, DeviceError> {
        self.with(|medium| medium.write(block))
    }

    /// Writes a mark: what stands before it outlives everything. Gives the address behind it.
    ///
    /// # Errors
    /// What the drive reports.
    pub fn mark(&self) -> Result<VolAddr, DeviceError> {
        self.with(|medium| {
            medium.mark()?;
            medium.sync()?;
            Ok(medium.address())
        })
    }

    /// Rewinds the tape and puts it out of the drive.
    ///
    /// # Errors
    /// What the drive reports.
    pub fn eject(&self) -> Result<(), DeviceError> {
        self.with(|medium| medium.eject())
    }

    /// Whether it stands at an address, as far as the drive knows.
    #[must_use]
    pub fn is_at(&self, address: VolAddr) -> bool {
        lock(&self.0).as_mut().is_some_and(|medium| medium.address() == address && medium.stands())
    }

    /// Whether it cannot be written.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        lock(&self.0).as_mut().is_some_and(|medium| medium.is_protected())
    }

    /// What a block of `len` bytes takes on the tape, in bytes.
    #[must_use]
    pub fn padded(&self, len: usize) -> u64 {
        lock(&self.0).as_ref().map_or(len, |medium| medium.padded(len)) as u64
    }
}

/// What is said of a tape that was closed for all.
fn gone() -> DeviceError {
    let source = io::Error::other("the tape was taken out of the drive");
    DeviceError { action: "reach the tape", at: 0, source }
}

/// A file, or a tape.
#[derive(Debug, Clone)]
pub enum Carrier {
    /// Addresses are bytes.
    File(VolumeFile),
    /// Addresses are files and blocks.
    Tape(Tape),
}

impl Carrier {
    /// The label.
    ///
    /// # Errors
    /// [`ReadLabelError`].
    pub fn read_label(&self, verify: Verify) -> Result<(BlockHeader, VolumeLabel), ReadLabelError> {
        match self {
            Self::File(file) => read_label(&mut DiskVolume::new(file.clone()), verify),
            Self::Tape(tape) => tape.read_label(verify),
        }
    }

    /// Whether it cannot be written; a file tells when it is opened.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        match self {
            Self::File(_) => false,
            Self::Tape(tape) => tape.is_protected(),
        }
    }

    /// Whether there is nothing but the label, whose block has this header.
    ///
    /// # Errors
    /// What the device says.
    pub fn holds_only_its_label(&self, header: &BlockHeader) -> io::Result<bool> {
        match self {
            Self::File(file) => Ok(file.len()? == u64::from(header.len)),
            Self::Tape(tape) => Ok(is_behind_label(tape.end(Some(1)).map_err(|e| e.source)?)),
        }
    }
}

/// Whether the end of a tape is that of one with a label alone.
#[must_use]
pub fn is_behind_label(end: TapeEnd) -> bool {
    end.at <= VolAddr::from_file_block(1, 0)
}

/// Opens what is in a drive.
///
/// # Errors
/// What the system says: no tape, another program has the drive, it is no tape drive.
pub fn open_tape(kind: DeviceKind, path: &Path, format: TapeFormat) -> io::Result<Box<dyn TapeMedium>> {
    let source = |error: DeviceError| error.source;
    match kind {
        DeviceKind::VTape => {
            let tape = VtapeVolume::new(VolumeFile::open_append(path)?).map_err(source)?;
            Ok(Box::new(tape.with_format(format)))
        }
        DeviceKind::Tape | DeviceKind::File | DeviceKind::Other => {
            Ok(Box::new(TapeVolume::open(LinuxTape::open(path)?, format).map_err(source)?))
        }
    }
}
