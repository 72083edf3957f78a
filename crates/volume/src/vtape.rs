//! The VTape layout: a tape in a file (spec/03 §1.15).
//!
//! Lengths and mark pointers are little-endian, as x86 machines write them.

use std::io;

use types::VolAddr;

use crate::block::BLOCK_BYTES_MAX;
use crate::device::{Addressing, BlockDevice, DeviceError, Position, RawFile, ReadOutcome};
use crate::tape::{TapeEnd, TapeFormat, TapeMedium};

const MARK_BYTES: u64 = 20;

/// A tape in a file.
#[derive(Debug)]
pub struct VtapeVolume<F> {
    file: F,
    /// Byte offset of the next block or mark.
    at: u64,
    tape_file: u32,
    tape_block: u32,
    /// Offset of the mark before the position.
    last_mark: u64,
    format: TapeFormat,
}

enum Item {
    Data { len: u32 },
    Mark,
    End,
}

impl<F: RawFile> VtapeVolume<F> {
    /// Opens at the start; writes the first mark where the file is empty.
    ///
    /// # Errors
    /// What the file reports.
    pub fn new(file: F) -> Result<Self, DeviceError> {
        let mut tape =
            Self { file, at: 0, tape_file: 0, tape_block: 0, last_mark: 0, format: TapeFormat::default() };
        if tape.size()? == 0 {
            tape.write_mark_at(0, 0)?;
        }
        tape.rewind();
        Ok(tape)
    }

    /// With blocks of these sizes; without, all have the default size.
    #[must_use]
    pub fn with_format(self, format: TapeFormat) -> Self {
        Self { format, ..self }
    }

    /// Gives the file back.
    pub fn into_inner(self) -> F {
        self.file
    }

    fn rewind(&mut self) {
        (self.at, self.tape_file, self.tape_block, self.last_mark) = (MARK_BYTES, 0, 0, 0);
    }

    fn size(&mut self) -> Result<u64, DeviceError> {
        let at = self.at;
        self.file.size().map_err(|source| DeviceError { action: "find the end", at, source })
    }

    fn read_exact(&mut self, at: u64, buffer: &mut [u8]) -> Result<usize, DeviceError> {
        let mut got = 0;
        while got < buffer.len() {
            match self.file.read_at(at + got as u64, &mut buffer[got..]) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(DeviceError { action: "read", at, source }),
            }
        }
        Ok(got)
    }

    fn item(&mut self) -> Result<Item, DeviceError> {
        let mut word = [0; 4];
        let at = self.at;
        if self.read_exact(at, &mut word)? < 4 {
            return Ok(Item::End);
        }
        match u32::from_le_bytes(word) {
            0 => Ok(Item::Mark),
            len if len <= BLOCK_BYTES_MAX => Ok(Item::Data { len }),
            len => {
                let source =
                    io::Error::new(io::ErrorKind::InvalidData, format!("a tape record of {len} bytes"));
                Err(DeviceError { action: "read", at, source })
            }
        }
    }

    /// Steps over one item; `false` at the end, and where an item was not written to its end.
    fn skip(&mut self) -> Result<bool, DeviceError> {
        let there = self.size()?.saturating_sub(self.at);
        match self.item()? {
            Item::Data { len } if there < 4 + u64::from(len) => return Ok(false),
            Item::Mark if there < MARK_BYTES => return Ok(false),
            Item::Data { len } => {
                self.at += 4 + u64::from(len);
                self.tape_block += 1;
            }
            Item::Mark => {
                self.last_mark = self.at;
                self.at += MARK_BYTES;
                self.tape_file += 1;
                self.tape_block = 0;
            }
            Item::End => return Ok(false),
        }
        Ok(true)
    }

    fn write_at(&mut self, at: u64, bytes: &[u8]) -> Result<(), DeviceError> {
        self.file.write_all_at(at, bytes).map_err(|source| DeviceError { action: "write", at, source })
    }

    fn write_mark_at(&mut self, at: u64, previous: u64) -> Result<(), DeviceError> {
        let mut mark = [0; MARK_BYTES as usize];
        mark[4..12].copy_from_slice(&previous.to_le_bytes());
        self.write_at(at, &mark)
    }

    fn cut(&mut self) -> Result<(), DeviceError> {
        let at = self.at;
        if self.size()? > at {
            self.file.truncate(at).map_err(|source| DeviceError { action: "truncate", at, source })?;
        }
        Ok(())
    }

    fn current(&self) -> VolAddr {
        VolAddr::from_file_block(self.tape_file, self.tape_block)
    }
}

impl<F: RawFile + Send + std::fmt::Debug> TapeMedium for VtapeVolume<F> {
    fn end(&mut self, _expected: Option<u32>) -> Result<TapeEnd, DeviceError> {
        let at = self.position(Position::EndOfData)?;
        Ok(TapeEnd { at, is_marked: at.block() == 0 })
    }

    fn padded(&self, len: usize) -> usize {
        self.format.padded(len)
    }

    fn is_protected(&mut self) -> bool {
        false
    }

    fn eject(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn stands(&mut self) -> bool {
        true
    }
}

impl<F: RawFile> BlockDevice for VtapeVolume<F> {
    fn addressing(&self) -> Addressing {
        Addressing::Blocks
    }

    fn read(&mut self, buffer: &mut Vec<u8>) -> Result<ReadOutcome, DeviceError> {
        buffer.clear();
        let at = self.current();
        match self.item()? {
            Item::End => Ok(ReadOutcome::EndOfData),
            Item::Mark => Ok(if self.skip()? { ReadOutcome::Mark } else { ReadOutcome::EndOfData }),
            Item::Data { len } => {
                let offset = self.at + 4;
                // The length comes from the medium: no more is allocated than is there.
                let there = self.size()?.saturating_sub(offset);
                let want = there.min(u64::from(len)) as usize;
                buffer.resize(want, 0);
                let got = self.read_exact(offset, buffer)?;
                buffer.truncate(got);
                if got < len as usize {
                    // Nothing can follow.
                    self.at = offset + got as u64;
                    let reason = crate::block::BlockError::Short { have: got, need: len as usize };
                    return Ok(ReadOutcome::Damaged { at, bytes: got as u64, reason });
                }
                self.skip()?;
                Ok(ReadOutcome::Block { at })
            }
        }
    }

    fn write(&mut self, block: &[u8]) -> Result<VolAddr, DeviceError> {
        self.cut()?;
        let address = self.current();
        let written = self.format.padded(block.len());
        let mut record = Vec::with_capacity(4 + written);
        record.extend_from_slice(&(written as u32).to_le_bytes());
        record.extend_from_slice(block);
        record.resize(4 + written, 0);
        let at = self.at;
        self.write_at(at, &record)?;
        self.at += record.len() as u64;
        self.tape_block += 1;
        Ok(address)
    }

    fn mark(&mut self) -> Result<(), DeviceError> {
        self.cut()?;
        let (at, previous) = (self.at, self.last_mark);
        self.write_mark_at(at, previous)?;
        self.write_at(previous + 12, &at.to_le_bytes())?;
        self.last_mark = at;
        self.at += MARK_BYTES;
        self.tape_file += 1;
        self.tape_block = 0;
        Ok(())
    }

    fn position(&mut self, to: Position) -> Result<VolAddr, DeviceError> {
        self.rewind();
        match to {
            Position::Start => {}
            Position::Address(addr) => while self.current() < addr && self.skip()? {},
            Position::EndOfData => while self.skip()? {},
        }
        Ok(self.current())
    }

    fn address(&self) -> VolAddr {
        self.current()
    }

    fn sync(&mut self) -> Result<(), DeviceError> {
        let at = self.at;
        self.file.sync().map_err(|source| DeviceError { action: "sync", at, source })
    }
}
