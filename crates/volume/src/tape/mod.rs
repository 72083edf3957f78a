//! A Volume on tape (spec/03 §1.11, §1.12, §1.15): one tape record per block, files between marks, addresses of file and block.
//!
//! The drive is a port ([`TapeDrive`]) with the meaning of Linux's `st`. Where the tape stands is counted here and compared with what the
//! drive knows: not every drive can tell its block.

mod drive;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;

pub use drive::{TapeDrive, TapeMotion, TapeStatus};

use std::io;

use types::VolAddr;

use crate::block::{BLOCK_BYTES_DEFAULT, BLOCK_BYTES_MAX, BlockHeader, HEADER_BYTES_MAX};
use crate::device::{Addressing, BlockDevice, DeviceError, Position, ReadOutcome};

/// Sizes of blocks on a tape are multiples of this, in bytes.
const BLOCK_STEP: usize = 1024;

/// How blocks lie on a tape: `Minimum Block Size` and `Maximum Block Size` of the device, in bytes; 0 where not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TapeFormat {
    /// Smallest block.
    pub bytes_min: usize,
    /// Largest block.
    pub bytes_max: usize,
}

impl TapeFormat {
    /// What a block of `len` bytes takes on the tape. With equal bounds (or none) all blocks have one size.
    ///
    /// //= spec/03-storage#1.12: if min = max → max; else if shorter than min → min rounded up to 1024; else rounded up to a multiple of 1024
    #[must_use]
    pub fn padded(self, len: usize) -> usize {
        if self.bytes_min == self.bytes_max {
            return len.max(self.largest());
        }
        len.max(self.bytes_min).next_multiple_of(BLOCK_STEP)
    }

    /// The largest block that is expected.
    #[must_use]
    pub const fn largest(self) -> usize {
        match self.bytes_max {
            0 => BLOCK_BYTES_DEFAULT,
            bytes if bytes > BLOCK_BYTES_MAX as usize => BLOCK_BYTES_MAX as usize,
            bytes => bytes,
        }
    }
}

/// What the end of the data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapeEnd {
    /// Where the next block goes.
    pub at: VolAddr,
    /// Whether a mark stands before it. Without one, the last writer ended before its time.
    pub is_marked: bool,
}

/// What writing behind the data of a tape needs beyond a [`BlockDevice`]; a drive, or a file that is one.
pub trait TapeMedium: BlockDevice + Send + std::fmt::Debug {
    /// Goes behind the last block, and tells where that is. `expected` is the file in which that should be, where it is known: a drive
    /// finds it faster then.
    ///
    /// # Errors
    /// What the drive reports; that the last file cannot be read to its end.
    fn end(&mut self, expected: Option<u32>) -> Result<TapeEnd, DeviceError>;

    /// What a block of `len` bytes takes on it, in bytes.
    fn padded(&self, len: usize) -> usize;

    /// Whether it cannot be written.
    fn is_protected(&mut self) -> bool;

    /// Rewinds it and lets go of it.
    ///
    /// # Errors
    /// What the drive reports.
    fn eject(&mut self) -> Result<(), DeviceError>;

    /// Whether it is where it was left, as far as the drive can tell.
    fn stands(&mut self) -> bool;
}

/// A tape that is loaded and rewound when it is opened.
#[derive(Debug)]
pub struct TapeVolume<D> {
    drive: D,
    format: TapeFormat,
    file: u32,
    block: u32,
    /// Blocks were written behind the last mark.
    is_open: bool,
    buffer: Vec<u8>,
}

impl<D: TapeDrive> TapeVolume<D> {
    /// Rewinds the tape. Blocks have the size that they are written with: the drive's own block size is switched off.
    ///
    /// # Errors
    /// What the drive reports: no tape, or no such mode.
    pub fn open(drive: D, format: TapeFormat) -> Result<Self, DeviceError> {
        let mut tape = Self { drive, format, file: 0, block: 0, is_open: false, buffer: Vec::new() };
        tape.go(TapeMotion::VariableBlocks, "set variable blocks of")?;
        tape.rewind()?;
        Ok(tape)
    }

    /// Gives the drive back.
    pub fn into_inner(self) -> D {
        self.drive
    }

    /// What the drive says.
    ///
    /// # Errors
    /// What it reports.
    pub fn status(&mut self) -> Result<TapeStatus, DeviceError> {
        let at = self.current();
        self.drive.status().map_err(|source| DeviceError {
            action: "ask the state of the drive",
            at: at.0,
            source,
        })
    }

    /// The file and block behind the last block. The drive is asked for the number of its last file and not believed: some tell any
    /// number there. Blocks that nobody closed with a mark (the power failed) are counted one by one: no drive knows their number.
    fn find_end(&mut self, expected: Option<u32>) -> Result<(u32, u32), DeviceError> {
        if let Some(end) = expected.map(|file| self.last_blocks(file)).transpose()?.flatten() {
            return Ok(end);
        }
        self.go(TapeMotion::EndOfData, "go to the end of the data")?;
        let told = self.status()?.file;
        match told.map(|file| self.last_blocks(file)).transpose()?.flatten() {
            Some(end) => Ok(end),
            None => self.walk_to_end(),
        }
    }

    /// Steps from mark to mark until there is none.
    fn walk_to_end(&mut self) -> Result<(u32, u32), DeviceError> {
        self.rewind()?;
        let mut file = 0;
        while self.drive.operate(TapeMotion::ForwardFiles(1)).is_ok() {
            file += 1;
        }
        let end = self.last_blocks(file)?;
        end.ok_or_else(|| self.fail("find the end of the data", "the last file cannot be read to its end"))
    }

    /// Goes to a file, which should be the last, and counts its blocks; `None` where the end of the data does not follow.
    fn last_blocks(&mut self, file: u32) -> Result<Option<(u32, u32)>, DeviceError> {
        self.rewind()?;
        if file > 0 && self.drive.operate(TapeMotion::ForwardFiles(file)).is_err() {
            return Ok(None);
        }
        // They are read: spacing over the end of the data leaves some drives nobody knows where.
        let mut blocks = 0;
        loop {
            match self.read_record() {
                Ok(Got::Record(_)) => blocks += 1,
                Ok(Got::End) => return Ok(Some((file, blocks))),
                Ok(Got::Mark) => return Ok(None),
                Err(_) => {
                    let is_end = self.drive.status().is_ok_and(|status| status.is_end_of_data);
                    return Ok(is_end.then_some((file, blocks)));
                }
            }
        }
    }

    fn rewind(&mut self) -> Result<(), DeviceError> {
        self.go(TapeMotion::Rewind, "rewind")?;
        (self.file, self.block, self.is_open) = (0, 0, false);
        Ok(())
    }

    fn go(&mut self, motion: TapeMotion, action: &'static str) -> Result<(), DeviceError> {
        let at = self.current().0;
        self.drive.operate(motion).map_err(|source| DeviceError { action, at, source })
    }

    fn fail(&self, action: &'static str, why: &str) -> DeviceError {
        DeviceError { action, at: self.current().0, source: io::Error::other(why.to_owned()) }
    }

    const fn current(&self) -> VolAddr {
        VolAddr::from_file_block(self.file, self.block)
    }

    fn seek(&mut self, to: VolAddr) -> Result<(), DeviceError> {
        if to < self.current() {
            self.rewind()?;
        }
        if to.file() > self.file {
            self.go(TapeMotion::ForwardFiles(to.file() - self.file), "space to a file")?;
            (self.file, self.block) = (to.file(), 0);
        }
        if to.block() > self.block {
            self.go(TapeMotion::ForwardRecords(to.block() - self.block), "space to a block")?;
            self.block = to.block();
        }
        let known = self.status()?.file;
        if known.is_some_and(|file| file != self.file) {
            return Err(self.fail("space to a file", "the drive is in another file than was counted"));
        }
        Ok(())
    }

    /// Reads a record into the buffer.
    ///
    /// A drive that does not say at the end of the data how much it has *not* read makes the system believe that all was read: what
    /// fills the buffer is a record only if the end was not met. The library of tgt even says that the tape ends there, and gives zeros
    /// for ever, where the last block has no mark behind it. No more is asked for than a block may have: it gives wrong bytes where a
    /// record is somewhat shorter than that.
    fn read_record(&mut self) -> io::Result<Got> {
        self.buffer.resize(self.format.largest(), 0);
        let len = self.drive.read(&mut self.buffer)?;
        if len > 0 && len < self.buffer.len() {
            return Ok(Got::Record(len));
        }
        let status = self.drive.status()?;
        let is_block = || BlockHeader::decode(&self.buffer[..HEADER_BYTES_MAX]).is_ok();
        Ok(match len {
            _ if status.is_end_of_data => Got::End,
            0 => Got::Mark,
            _ if status.is_end_of_tape && !is_block() => Got::End,
            len => Got::Record(len),
        })
    }
}

/// What a read of a record met.
enum Got {
    Record(usize),
    Mark,
    End,
}

impl<D: TapeDrive> TapeMedium for TapeVolume<D> {
    fn end(&mut self, expected: Option<u32>) -> Result<TapeEnd, DeviceError> {
        let (file, block) = self.find_end(expected)?;
        // Gone to anew: whoever has read over the end of the data is refused the second write behind it, as if the tape were full.
        self.rewind()?;
        self.seek(VolAddr::from_file_block(file, 0))?;
        // Read, not spaced over: a drive may call it an error to space to where nothing follows.
        while self.block < block {
            self.read_record().map_err(|source| DeviceError {
                action: "go to the end of the data",
                at: self.current().0,
                source,
            })?;
            self.block += 1;
        }
        self.is_open = self.block > 0;
        Ok(TapeEnd { at: self.current(), is_marked: !self.is_open })
    }

    fn padded(&self, len: usize) -> usize {
        self.format.padded(len)
    }

    fn is_protected(&mut self) -> bool {
        self.drive.status().is_ok_and(|status| status.is_write_protected)
    }

    fn eject(&mut self) -> Result<(), DeviceError> {
        self.go(TapeMotion::Unload, "let go of the tape")
    }

    fn stands(&mut self) -> bool {
        let file = self.file;
        self.drive.status().is_ok_and(|status| status.is_online && status.file == Some(file))
    }
}

impl<D: TapeDrive> BlockDevice for TapeVolume<D> {
    fn addressing(&self) -> Addressing {
        Addressing::Blocks
    }

    fn read(&mut self, buffer: &mut Vec<u8>) -> Result<ReadOutcome, DeviceError> {
        buffer.clear();
        let at = self.current();
        match self.read_record() {
            Ok(Got::End) => Ok(ReadOutcome::EndOfData),
            Ok(Got::Mark) => {
                (self.file, self.block) = (self.file + 1, 0);
                Ok(ReadOutcome::Mark)
            }
            Ok(Got::Record(n)) => {
                buffer.extend_from_slice(&self.buffer[..n]);
                self.block += 1;
                Ok(ReadOutcome::Block { at })
            }
            Err(source) => {
                // A drive that stands behind the data may say so by an error.
                if self.drive.status().is_ok_and(|status| status.is_end_of_data) {
                    return Ok(ReadOutcome::EndOfData);
                }
                Err(DeviceError { action: "read", at: at.0, source })
            }
        }
    }

    fn write(&mut self, block: &[u8]) -> Result<VolAddr, DeviceError> {
        let at = self.current();
        let len = self.format.padded(block.len());
        self.buffer.clear();
        self.buffer.extend_from_slice(block);
        self.buffer.resize(len, 0);
        match self.drive.write(&self.buffer) {
            Ok(n) if n == len => {
                self.block += 1;
                self.is_open = true;
                Ok(at)
            }
            // A piece of a block is none: it is written again on the next tape.
            Ok(_) => {
                Err(DeviceError { action: "write", at: at.0, source: io::ErrorKind::StorageFull.into() })
            }
            Err(source) => Err(DeviceError { action: "write", at: at.0, source }),
        }
    }

    /// Writes a mark, which also brings all that was written to the tape.
    fn mark(&mut self) -> Result<(), DeviceError> {
        self.go(TapeMotion::WriteMarks(1), "write a mark")?;
        (self.file, self.block, self.is_open) = (self.file + 1, 0, false);
        Ok(())
    }

    fn position(&mut self, to: Position) -> Result<VolAddr, DeviceError> {
        match to {
            Position::Start => self.rewind()?,
            Position::Address(to) => self.seek(to)?,
            Position::EndOfData => drop(self.end(None)?),
        }
        Ok(self.current())
    }

    fn address(&self) -> VolAddr {
        self.current()
    }

    /// Writes a mark where blocks stand behind the last one: every drive has then written what it kept in its memory, and what was synced
    /// always ends at a mark. (A request for no marks would be no better: it stops the tape as well, and st takes the tape to be closed.)
    fn sync(&mut self) -> Result<(), DeviceError> {
        if self.is_open { self.mark() } else { Ok(()) }
    }
}
