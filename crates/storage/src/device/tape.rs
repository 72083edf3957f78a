//! A tape drive of this machine, as Volumes want it.

use std::io;
use std::path::Path;

use sys::{TapeFile, TapeOp};
use volume::{TapeDrive, TapeMotion, TapeStatus};

/// A drive behind Linux's `st`.
#[derive(Debug)]
pub struct LinuxTape(TapeFile);

impl LinuxTape {
    /// Opens a drive by its device that does not rewind (`/dev/nst0`).
    ///
    /// # Errors
    /// What the system says: no tape, another program has the drive, no tape drive.
    pub fn open(path: &Path) -> io::Result<Self> {
        TapeFile::open(path).map(Self)
    }
}

impl TapeDrive for LinuxTape {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        again(|| self.0.read(buffer))
    }

    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        again(|| self.0.write(record))
    }

    fn operate(&mut self, motion: TapeMotion) -> io::Result<()> {
        let (op, count) = match motion {
            TapeMotion::Rewind => (TapeOp::Rewind, 1),
            TapeMotion::ForwardFiles(count) => (TapeOp::ForwardFile, count),
            TapeMotion::ForwardRecords(count) => (TapeOp::ForwardRecord, count),
            TapeMotion::EndOfData => (TapeOp::EndOfData, 1),
            TapeMotion::WriteMarks(count) => (TapeOp::WriteMark, count),
            TapeMotion::VariableBlocks => (TapeOp::SetBlock, 0),
            TapeMotion::Unload => (TapeOp::Offline, 1),
        };
        self.0.operate(op, count)
    }

    fn status(&mut self) -> io::Result<TapeStatus> {
        let state = self.0.state()?;
        Ok(TapeStatus {
            file: state.file,
            block: state.block,
            is_online: state.is_online,
            is_end_of_data: state.is_end_of_data,
            is_end_of_tape: state.is_end_of_tape,
            is_write_protected: state.is_write_protected,
        })
    }
}

/// A signal before the record was begun is no error.
fn again(mut act: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match act() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
