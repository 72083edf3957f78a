//! Tape drives by Linux's `st`: `MTIOCTOP`, `MTIOCGET` (linux/mtio.h, Documentation/scsi/st.rst).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::mem::size_of;
use std::os::fd::AsRawFd;
use std::path::Path;

/// `struct mtop`.
#[repr(C)]
struct MtOp {
    op: libc::c_short,
    count: libc::c_int,
}

/// `struct mtget`.
#[repr(C)]
#[derive(Default)]
struct MtGet {
    kind: libc::c_long,
    residual: libc::c_long,
    drive_status: libc::c_long,
    general_status: libc::c_long,
    error_register: libc::c_long,
    file: libc::c_int,
    block: libc::c_int,
}

/// `_IOW('m', 1, struct mtop)`.
const MTIOCTOP: libc::c_ulong = request(1, 1, size_of::<MtOp>());
/// `_IOR('m', 2, struct mtget)`.
const MTIOCGET: libc::c_ulong = request(2, 2, size_of::<MtGet>());

/// A number as `asm-generic/ioctl.h` makes it.
const fn request(direction: libc::c_ulong, number: libc::c_ulong, bytes: usize) -> libc::c_ulong {
    (direction << 30) | ((bytes as libc::c_ulong) << 16) | ((b'm' as libc::c_ulong) << 8) | number
}

const GMT_EOD: libc::c_long = 0x0800_0000;
const GMT_EOT: libc::c_long = 0x2000_0000;
const GMT_WR_PROT: libc::c_long = 0x0400_0000;
const GMT_ONLINE: libc::c_long = 0x0100_0000;

/// An operation of `MTIOCTOP`; the numbers are the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum TapeOp {
    /// MTFSF: behind the next marks.
    ForwardFile = 1,
    /// MTFSR: behind the next records.
    ForwardRecord = 3,
    /// MTWEOF: write marks.
    WriteMark = 5,
    /// MTREW.
    Rewind = 6,
    /// MTOFFL: rewind and let go of the tape.
    Offline = 7,
    /// MTEOM: behind the data.
    EndOfData = 12,
    /// MTSETBLK: block size in bytes; 0 for blocks of any size.
    SetBlock = 20,
}

/// What `MTIOCGET` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TapeState {
    /// File number; `None` where the driver does not know.
    pub file: Option<u32>,
    /// Block number in the file; `None` where the driver does not know.
    pub block: Option<u32>,
    /// A tape is ready.
    pub is_online: bool,
    /// Behind the data.
    pub is_end_of_data: bool,
    /// At the end of the tape.
    pub is_end_of_tape: bool,
    /// The tape cannot be written.
    pub is_write_protected: bool,
}

/// An open tape drive.
#[derive(Debug)]
pub struct TapeFile(File);

impl TapeFile {
    /// Opens a drive (`/dev/nst0`) for reading and, unless its tape is protected, writing.
    ///
    /// # Errors
    /// The system's: `ENOMEDIUM` where there is no tape, `EBUSY` where another program has it; `ENOTTY` where it is no tape drive.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EROFS | libc::EACCES)) => {
                OpenOptions::new().read(true).open(path)
            }
            other => other,
        }?;
        let tape = Self(file);
        tape.state()?;
        Ok(tape)
    }

    /// Does an operation.
    ///
    /// # Errors
    /// The system's.
    #[allow(unsafe_code)]
    pub fn operate(&self, op: TapeOp, count: u32) -> io::Result<()> {
        let count = libc::c_int::try_from(count).map_err(|_| io::ErrorKind::InvalidInput)?;
        let op = MtOp { op: op as libc::c_short, count };
        // SAFETY: the descriptor is open while `self` is, and `op` is a `struct mtop` that the kernel only reads during the call.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), MTIOCTOP, &raw const op) })
    }

    /// Where the tape is.
    ///
    /// # Errors
    /// The system's.
    #[allow(unsafe_code)]
    pub fn state(&self) -> io::Result<TapeState> {
        let mut get = MtGet::default();
        // SAFETY: the descriptor is open while `self` is, and `get` is a `struct mtget` that outlives the call, in which the kernel writes.
        check(unsafe { libc::ioctl(self.0.as_raw_fd(), MTIOCGET, &raw mut get) })?;
        let has = |bit| get.general_status & bit != 0;
        Ok(TapeState {
            file: u32::try_from(get.file).ok(),
            block: u32::try_from(get.block).ok(),
            is_online: has(GMT_ONLINE),
            is_end_of_data: has(GMT_EOD),
            is_end_of_tape: has(GMT_EOT),
            is_write_protected: has(GMT_WR_PROT),
        })
    }

    /// Reads one record; 0 at a mark and at the end of the data.
    ///
    /// # Errors
    /// The system's: `ENOMEM` where the record is longer than the buffer.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    /// Writes one record.
    ///
    /// # Errors
    /// The system's: `ENOSPC` near the end of the tape.
    pub fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.0.write(record)
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_have_the_numbers_of_the_header() {
        // linux/mtio.h on machines of 64 bits.
        if cfg!(target_pointer_width = "64") {
            assert_eq!((MTIOCTOP, MTIOCGET), (0x4008_6d01, 0x8030_6d02));
        }
    }

    #[test]
    fn what_is_no_tape_drive_is_not_opened_as_one() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(TapeFile::open(file.path()).unwrap_err().raw_os_error(), Some(libc::ENOTTY));
        assert_eq!(TapeFile::open(Path::new("/no/such/drive")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
