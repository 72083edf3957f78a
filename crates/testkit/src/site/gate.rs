//! A FIFO that holds a job at a known place until the test lets it go.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::Errno;

use crate::wait;

/// A FIFO nobody writes to yet. Whoever reads it waits: a File Daemon that backs it up with `readfifo = yes`, or a
/// RunScript `cat FIFO`.
#[derive(Debug)]
pub struct Gate(PathBuf);

impl Gate {
    /// Makes the FIFO.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .with_context(|| format!("make the FIFO {}", path.display()))?;
        Ok(Self(path))
    }

    /// A gate made before.
    #[must_use]
    pub fn existing(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Waits until somebody has opened the FIFO for reading: the job has come to this place, and stays there until the
    /// returned handle is dropped.
    ///
    /// # Errors
    /// When nobody has after `bound`.
    pub fn wait_reader(&self, bound: Duration) -> Result<OpenGate> {
        let what = format!("a reader of {}", self.0.display());
        let file = wait::until(&what, bound, || {
            let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
            match OpenOptions::new().write(true).custom_flags(nonblock).open(&self.0) {
                Ok(file) => Ok(Some(file)),
                Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })?;
        let flags = rustix::fs::fcntl_getfl(&file)?;
        rustix::fs::fcntl_setfl(&file, flags - rustix::fs::OFlags::NONBLOCK)?;
        Ok(OpenGate(file))
    }
}

/// The writing end: the job is at the gate. Dropping it lets the job go on.
#[derive(Debug)]
pub struct OpenGate(File);

impl OpenGate {
    /// Gives the reader some bytes.
    ///
    /// # Errors
    /// When the reader is gone.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.write_all(bytes).context("write to the gate")
    }
}
