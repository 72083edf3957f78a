//! The port to a tape drive.

use std::io;

/// How a tape is moved; as the operations of Linux's `MTIOCTOP`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TapeMotion {
    /// To the beginning.
    Rewind,
    /// Behind so many marks.
    ForwardFiles(u32),
    /// Behind so many records. An error where a mark or the end of the data is met.
    ForwardRecords(u32),
    /// Behind all that was written.
    EndOfData,
    /// Writes so many marks; what was written before is on the tape when this returns.
    WriteMarks(u32),
    /// A block has the size with which it is written.
    VariableBlocks,
    /// Rewinds and lets go of the tape.
    Unload,
}

/// What a drive knows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TapeStatus {
    /// Number of the file that it is in, from 0.
    pub file: Option<u32>,
    /// Number of the block in that file, from 0.
    pub block: Option<u32>,
    /// A tape is in it, and ready.
    pub is_online: bool,
    /// It stands behind the data.
    pub is_end_of_data: bool,
    /// It stands at, or behind, the place where the end of the tape is near.
    pub is_end_of_tape: bool,
    /// The tape must not be written.
    pub is_write_protected: bool,
}

/// A tape drive with variable blocks, as Linux's `st` is with its device that does not rewind.
pub trait TapeDrive: Send + std::fmt::Debug {
    /// Reads one record. 0 where a mark was met, which the tape is behind then, and at the end of the data, where it stays.
    ///
    /// # Errors
    /// What the drive reports; the record is longer than the buffer.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes one record. What was behind it is lost.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] where the end of the tape is near: the record is not written, but a mark can still be. What else the
    /// drive reports.
    fn write(&mut self, record: &[u8]) -> io::Result<usize>;

    /// Moves the tape.
    ///
    /// # Errors
    /// What the drive reports.
    fn operate(&mut self, motion: TapeMotion) -> io::Result<()>;

    /// Where it is.
    ///
    /// # Errors
    /// What the drive reports.
    fn status(&mut self) -> io::Result<TapeStatus>;
}
