//! One process at a time: a lock on a local file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another Director is active on this catalog: {holder} (lock {})", path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// What the holder wrote into it.
        holder: String,
    },
    /// The file cannot be used.
    #[error("lock {}", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// The lock, held while this value lives. The kernel gives it back when the process dies, whatever way.
#[derive(Debug)]
pub struct HostLock {
    path: PathBuf,
    file: File,
}

impl HostLock {
    /// Takes the lock or says who holds it.
    ///
    /// # Errors
    /// [`LockError::Held`], [`LockError::Io`].
    pub fn take(path: &Path, instance: &str) -> Result<Self, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // What it says is for the message only.
                let _ = file.read_to_string(&mut holder);
                return Err(LockError::Held { path: path.to_owned(), holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        file.set_len(0).map_err(io)?;
        file.seek(SeekFrom::Start(0)).map_err(io)?;
        writeln!(file, "instance {instance}, process {}", std::process::id()).map_err(io)?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for HostLock {
    fn drop(&mut self) {
        // Closing the file gives the lock back as well; the text would only mislead.
        let _ = self.file.set_len(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bacula.db.lock");
        let first = HostLock::take(&path, "a").unwrap();
        let refused = HostLock::take(&path, "b").unwrap_err();
        assert!(refused.to_string().contains("instance a, process"), "{refused}");
        drop(first);
        HostLock::take(&path, "b").unwrap();
    }
}
