//! A tape drive in memory that behaves as Linux's `st`: it has a buffer that is lost with the power, and ends before its tape does.

use std::io;

use super::drive::{TapeDrive, TapeMotion, TapeStatus};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Record(Vec<u8>),
    Mark,
}

/// A tape and its drive.
#[derive(Debug, Clone, Default)]
pub(super) struct SimTape {
    /// What lies on the tape.
    pub(super) items: Vec<Item>,
    /// So many of them are not in the drive's memory only.
    pub(super) safe: usize,
    /// Position: before this item.
    pub(super) at: usize,
    /// The last operation ran into the end of the data: only then does the drive know that it is there.
    pub(super) has_met_end: bool,
    /// It has been read behind a block that has no mark.
    pub(super) gives_zeros: bool,
    /// Bytes up to the early warning.
    pub(super) room: usize,
    /// Whether the last write met the early warning: the next one is let through, as `st` does.
    pub(super) is_warned: bool,
    pub(super) is_write_protected: bool,
    /// Knows the number of its files at the end of the data, and that nothing was read there. The library of tgt does not; where a block
    /// is the last thing on the tape, it says that the tape ends there and gives zeros.
    pub(super) is_truthful: bool,
}

impl SimTape {
    pub(super) fn of_bytes(room: usize) -> Self {
        Self { room, ..Self::default() }
    }

    /// The power fails: what was only in the drive's memory is gone, and the tape is at its beginning.
    pub(super) fn lose_power(&mut self) {
        self.items.truncate(self.safe);
        self.at = 0;
        self.is_warned = false;
        self.has_met_end = false;
    }

    fn used(&self) -> usize {
        let of = |item: &Item| if let Item::Record(bytes) = item { bytes.len() } else { 0 };
        self.items[..self.at].iter().map(of).sum()
    }

    fn file(&self) -> u32 {
        self.items[..self.at].iter().filter(|item| **item == Item::Mark).count() as u32
    }

    fn block(&self) -> u32 {
        self.items[..self.at].iter().rev().take_while(|item| **item != Item::Mark).count() as u32
    }

    fn put(&mut self, item: Item) -> io::Result<()> {
        if self.is_write_protected {
            return Err(io::Error::from_raw_os_error(30)); // EROFS
        }
        self.items.truncate(self.at);
        self.safe = self.safe.min(self.at);
        self.items.push(item);
        self.at += 1;
        self.has_met_end = false;
        Ok(())
    }

    fn forward_files(&mut self, count: u32) -> io::Result<()> {
        for _ in 0..count {
            match self.items[self.at..].iter().position(|item| *item == Item::Mark) {
                Some(ahead) => self.at += ahead + 1,
                None => {
                    self.at = self.items.len();
                    self.has_met_end = true;
                    return Err(io::Error::from_raw_os_error(5)); // EIO: blank check
                }
            }
        }
        Ok(())
    }
}

impl TapeDrive for SimTape {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let is_behind_block = matches!(self.items.last(), Some(Item::Record(_)));
        self.has_met_end = self.at == self.items.len() && (self.is_truthful || !is_behind_block);
        self.gives_zeros = self.at == self.items.len() && !self.has_met_end;
        match self.items.get(self.at) {
            None if self.is_truthful => Ok(0),
            None => {
                buffer.fill(0);
                Ok(buffer.len())
            }
            Some(Item::Mark) => {
                self.at += 1;
                Ok(0)
            }
            Some(Item::Record(bytes)) if bytes.len() > buffer.len() => {
                self.at += 1;
                Err(io::Error::from_raw_os_error(12)) // ENOMEM
            }
            Some(Item::Record(bytes)) => {
                buffer[..bytes.len()].copy_from_slice(bytes);
                self.at += 1;
                Ok(bytes.len())
            }
        }
    }

    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        if self.used() + record.len() > self.room && !std::mem::replace(&mut self.is_warned, true) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.is_warned = false;
        self.put(Item::Record(record.to_vec()))?;
        Ok(record.len())
    }

    fn operate(&mut self, motion: TapeMotion) -> io::Result<()> {
        self.has_met_end = motion == TapeMotion::EndOfData;
        self.gives_zeros = false;
        match motion {
            // What is in the drive's memory is written before the tape is moved.
            TapeMotion::Rewind | TapeMotion::Unload => {
                self.safe = self.items.len();
                self.at = 0;
            }
            TapeMotion::ForwardFiles(count) => return self.forward_files(count),
            TapeMotion::ForwardRecords(count) => {
                for _ in 0..count {
                    match self.items.get(self.at) {
                        Some(Item::Record(_)) => self.at += 1,
                        Some(Item::Mark) => {
                            self.at += 1;
                            return Err(io::Error::from_raw_os_error(5));
                        }
                        None => {
                            self.has_met_end = true;
                            return Err(io::Error::from_raw_os_error(5));
                        }
                    }
                }
            }
            TapeMotion::EndOfData => self.at = self.items.len(),
            TapeMotion::WriteMarks(count) => {
                for _ in 0..count {
                    self.put(Item::Mark)?;
                }
                self.safe = self.items.len();
            }
            TapeMotion::VariableBlocks => {}
        }
        Ok(())
    }

    fn status(&mut self) -> io::Result<TapeStatus> {
        let is_lost = self.has_met_end && !self.is_truthful;
        Ok(TapeStatus {
            file: Some(if is_lost { 0x7F_FFFF } else { self.file() }),
            block: (!self.has_met_end).then(|| self.block()),
            is_online: true,
            is_end_of_data: self.has_met_end,
            is_end_of_tape: self.gives_zeros || self.used() >= self.room,
            is_write_protected: self.is_write_protected,
        })
    }
}
