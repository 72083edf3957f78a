//! The port to a medium: [`BlockDevice`], and [`DiskVolume`] over any random-access file.

use std::io;

use types::VolAddr;

use crate::block::{BLOCK_BYTES_DEFAULT, BlockError, BlockHeader, HEADER_BYTES_MAX};

/// Bytes read at once; a few blocks, so that reading is sequential and cheap.
const READ_AHEAD_BYTES: usize = 512 * 1024;

/// How far damage is searched for the next block before the rest of the Volume is given up, in bytes.
const RESYNC_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What failed on a device.
#[derive(Debug, thiserror::Error)]
#[error("{action} at {at}")]
pub struct DeviceError {
    /// What was being done: "read", "write" …
    pub action: &'static str,
    /// Byte offset.
    pub at: u64,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl DeviceError {
    /// Whether the medium or file system has no room left.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        )
    }
}

/// A random-access file: what a Volume on disk needs of it. `storage` gives it for files, tests for memory.
pub trait RawFile {
    /// Reads up to `buffer.len()` bytes at `offset`; 0 at the end.
    ///
    /// # Errors
    /// As the system says.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// As the system says; some of the bytes may have been written.
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Length in bytes.
    ///
    /// # Errors
    /// As the system says.
    fn size(&mut self) -> io::Result<u64>;

    /// Cuts the file to `bytes`.
    ///
    /// # Errors
    /// As the system says.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;

    /// Waits until all that was written is on stable storage.
    ///
    /// # Errors
    /// As the system says; what was written since the last success may be lost.
    fn sync(&mut self) -> io::Result<()>;
}

impl RawFile for Vec<u8> {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|o| self.get(o..)).unwrap_or(&[]);
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        Ok(n)
    }

    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let end = at.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        if self.len() < end {
            self.resize(end, 0);
        }
        self[at..end].copy_from_slice(bytes);
        Ok(())
    }

    fn size(&mut self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        Vec::truncate(self, usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The label block.
    Start,
    /// The block at an address.
    Address(VolAddr),
    /// Behind the last block.
    EndOfData,
}

/// What a read met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadOutcome {
    /// A block; its bytes are in the buffer, header not yet checked beyond its length.
    Block {
        /// Where it begins.
        at: VolAddr,
    },
    /// A tape mark.
    Mark,
    /// The end of what was written.
    EndOfData,
    /// Bytes that are no block. The position is behind them: at the next thing that looks like a block, or at the end.
    Damaged {
        /// Where they begin.
        at: VolAddr,
        /// How many they are.
        bytes: u64,
        /// What is wrong with the first of them.
        reason: BlockError,
    },
}

/// What the addresses of a medium count (spec/03 §1.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addressing {
    /// Bytes of a file.
    Bytes,
    /// Files and blocks of a tape: the medium itself tells blocks apart.
    Blocks,
}

impl Addressing {
    /// The last address that a block of `len` bytes at `at` takes.
    #[must_use]
    pub const fn last(self, at: VolAddr, len: u32) -> VolAddr {
        match self {
            Self::Bytes => VolAddr(at.0 + (len as u64).saturating_sub(1)),
            Self::Blocks => at,
        }
    }
}

/// A medium of blocks. Checksums are the caller's business ([`crate::Block::decode`]).
pub trait BlockDevice {
    /// What its addresses count.
    fn addressing(&self) -> Addressing {
        Addressing::Bytes
    }

    /// Searches on behind a block that turned out to be damaged, since its length field may be what is damaged; gives how many bytes from
    /// `bad` on are given up. Where the medium tells blocks apart, the position is behind the block already.
    ///
    /// # Errors
    /// What the device reports.
    fn resync(&mut self, bad: VolAddr) -> Result<u64, DeviceError> {
        Ok(self.address().0.saturating_sub(bad.0))
    }

    /// Reads the block at the position into `buffer` (replacing what is there) and goes behind it.
    ///
    /// # Errors
    /// Only what the device reports; damage is an outcome.
    fn read(&mut self, buffer: &mut Vec<u8>) -> Result<ReadOutcome, DeviceError>;

    /// Writes one block, padded as the medium wants it, and gives its address. What was behind the position is lost.
    ///
    /// # Errors
    /// What the device reports; a part of the block may be on the medium.
    fn write(&mut self, block: &[u8]) -> Result<VolAddr, DeviceError>;

    /// Writes a tape mark; nothing on disk.
    ///
    /// # Errors
    /// What the device reports.
    fn mark(&mut self) -> Result<(), DeviceError>;

    /// Goes to a position.
    ///
    /// # Errors
    /// What the device reports.
    fn position(&mut self, to: Position) -> Result<VolAddr, DeviceError>;

    /// The address of the next block.
    fn address(&self) -> VolAddr;

    /// Waits until all that was written is on stable storage.
    ///
    /// # Errors
    /// What the device reports.
    fn sync(&mut self) -> Result<(), DeviceError>;
}

/// A Volume as a plain file: blocks back to back, addresses are byte offsets (spec/03 §1.11).
#[derive(Debug)]
pub struct DiskVolume<F> {
    file: F,
    at: u64,
    /// Read-ahead: bytes of the file from `ahead_at`.
    ahead: Vec<u8>,
    ahead_at: u64,
}

impl<F: RawFile> DiskVolume<F> {
    /// Positioned at the start.
    pub const fn new(file: F) -> Self {
        Self { file, at: 0, ahead: Vec::new(), ahead_at: 0 }
    }

    /// The file.
    pub const fn file_mut(&mut self) -> &mut F {
        &mut self.file
    }

    /// Gives the file back.
    pub fn into_inner(self) -> F {
        self.file
    }

    /// Writes several blocks that lie back to back in `blocks`; gives the address of the first.
    ///
    /// # Errors
    /// What the device reports; the caller cuts back what is there of them.
    pub fn write_run(&mut self, blocks: &[u8]) -> Result<VolAddr, DeviceError> {
        let at = self.at;
        self.ahead.clear();
        self.file.write_all_at(at, blocks).map_err(|source| DeviceError { action: "write", at, source })?;
        self.at = at + blocks.len() as u64;
        Ok(VolAddr(at))
    }

    /// Up to `len` bytes at the position, by way of the read-ahead.
    fn peek(&mut self, at: u64, len: usize) -> Result<&[u8], DeviceError> {
        let have = self.ahead_at..self.ahead_at + self.ahead.len() as u64;
        if !(have.contains(&at) && at + len as u64 <= have.end) {
            self.fill(at, len)?;
        }
        let from = usize::try_from(at - self.ahead_at).unwrap_or(usize::MAX).min(self.ahead.len());
        let to = (from + len).min(self.ahead.len());
        Ok(&self.ahead[from..to])
    }

    fn fill(&mut self, at: u64, len: usize) -> Result<(), DeviceError> {
        let want = len.max(READ_AHEAD_BYTES);
        self.ahead.resize(want, 0);
        self.ahead_at = at;
        let mut got = 0;
        while got < len {
            match self.file.read_at(at + got as u64, &mut self.ahead[got..]) {
                Ok(0) => break,
                Ok(n) => got += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    self.ahead.clear();
                    return Err(DeviceError { action: "read", at: at + got as u64, source });
                }
            }
        }
        self.ahead.truncate(got);
        Ok(())
    }

    /// Finds the next place from `from` on where a block header stands; the end of the file where there is none.
    fn find_block(&mut self, from: u64) -> Result<u64, DeviceError> {
        let mut at = from;
        while at - from < RESYNC_BYTES_MAX {
            let window = self.peek(at, BLOCK_BYTES_DEFAULT)?;
            if window.len() < HEADER_BYTES_MAX {
                break;
            }
            let places = window.len() - HEADER_BYTES_MAX + 1;
            let found = (0..places).find(|&i| {
                window[i + 12] == b'B' && window[i + 13] == b'B' && BlockHeader::decode(&window[i..]).is_ok()
            });
            match found {
                Some(i) => return Ok(at + i as u64),
                None => at += places as u64,
            }
        }
        self.size()
    }

    fn size(&mut self) -> Result<u64, DeviceError> {
        let at = self.at;
        self.file.size().map_err(|source| DeviceError { action: "find the end", at, source })
    }
}

impl<T: BlockDevice + ?Sized> BlockDevice for Box<T> {
    fn addressing(&self) -> Addressing {
        (**self).addressing()
    }

    fn resync(&mut self, bad: VolAddr) -> Result<u64, DeviceError> {
        (**self).resync(bad)
    }

    fn read(&mut self, buffer: &mut Vec<u8>) -> Result<ReadOutcome, DeviceError> {
        (**self).read(buffer)
    }

    fn write(&mut self, block: &[u8]) -> Result<VolAddr, DeviceError> {
        (**self).write(block)
    }

    fn mark(&mut self) -> Result<(), DeviceError> {
        (**self).mark()
    }

    fn position(&mut self, to: Position) -> Result<VolAddr, DeviceError> {
        (**self).position(to)
    }

    fn address(&self) -> VolAddr {
        (**self).address()
    }

    fn sync(&mut self) -> Result<(), DeviceError> {
        (**self).sync()
    }
}

impl<F: RawFile> BlockDevice for DiskVolume<F> {
    fn resync(&mut self, bad: VolAddr) -> Result<u64, DeviceError> {
        self.at = self.find_block(bad.0 + 1)?;
        Ok(self.at - bad.0)
    }

    fn read(&mut self, buffer: &mut Vec<u8>) -> Result<ReadOutcome, DeviceError> {
        buffer.clear();
        let at = self.at;
        let head = self.peek(at, HEADER_BYTES_MAX)?;
        if head.is_empty() {
            return Ok(ReadOutcome::EndOfData);
        }
        let reason = match BlockHeader::decode(head) {
            Ok(header) => {
                let need = header.len as usize;
                let bytes = self.peek(at, need)?;
                if bytes.len() == need {
                    buffer.extend_from_slice(bytes);
                    self.at = at + need as u64;
                    return Ok(ReadOutcome::Block { at: VolAddr(at) });
                }
                BlockError::Short { have: bytes.len(), need }
            }
            Err(reason) => reason,
        };
        let bytes = self.resync(VolAddr(at))?;
        Ok(ReadOutcome::Damaged { at: VolAddr(at), bytes, reason })
    }

    fn write(&mut self, block: &[u8]) -> Result<VolAddr, DeviceError> {
        self.write_run(block)
    }

    fn mark(&mut self) -> Result<(), DeviceError> {
        Ok(())
    }

    fn position(&mut self, to: Position) -> Result<VolAddr, DeviceError> {
        self.at = match to {
            Position::Start => 0,
            Position::Address(addr) => addr.0,
            Position::EndOfData => self.size()?,
        };
        Ok(VolAddr(self.at))
    }

    fn address(&self) -> VolAddr {
        VolAddr(self.at)
    }

    fn sync(&mut self) -> Result<(), DeviceError> {
        let at = self.at;
        self.file.sync().map_err(|source| DeviceError { action: "sync", at, source })
    }
}
