//! One process at a time: a lock on a local file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Longest text of a lock file that is read, in bytes.
const TEXT_MAX: u64 = 4096;

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

/// What a lock's file says: `instance a, process 4711, beat 17`, or `left to b` after a switchover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Instance that holds the lock, or to which it was left.
    pub instance: String,
    /// Its process; none when the lock was left to the instance.
    pub process: Option<i32>,
    /// Grows while the process moves.
    pub beat: u64,
}

impl Holder {
    /// Reads the text of a lock file; none when it names nobody.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(instance) = text.strip_prefix("left to ") {
            return Some(Self { instance: instance.to_owned(), process: None, beat: 0 });
        }
        let (instance, rest) = text.strip_prefix("instance ")?.split_once(", process ")?;
        let (process, beat) = rest.split_once(", beat ")?;
        Some(Self {
            instance: instance.to_owned(),
            process: Some(process.parse().ok()?),
            beat: beat.parse().ok()?,
        })
    }

    /// Whether a switchover left the lock to an instance that is not `instance`.
    #[must_use]
    pub fn is_left_to_other(&self, instance: &str) -> bool {
        self.process.is_none() && self.instance != instance
    }
}

/// The lock, held while this value lives. The kernel gives it back when the process dies, whatever way.
#[derive(Debug)]
pub struct HostLock {
    path: PathBuf,
    instance: String,
    file: Mutex<Text>,
}

#[derive(Debug)]
struct Text {
    file: File,
    beat: u64,
    left_to: Option<String>,
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
                let _ = (&mut file).take(TEXT_MAX).read_to_string(&mut holder);
                return Err(LockError::Held { path: path.to_owned(), holder: holder.trim().to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let text = Text { file, beat: 0, left_to: None };
        let lock = Self { path: path.to_owned(), instance: instance.to_owned(), file: Mutex::new(text) };
        lock.beat().map_err(io)?;
        Ok(lock)
    }

    /// What the lock's file says now; none when there is no file or it names nobody.
    ///
    /// # Errors
    /// [`LockError::Io`].
    pub fn holder(path: &Path) -> Result<Option<Holder>, LockError> {
        let mut text = String::new();
        let read = File::open(path).and_then(|file| file.take(TEXT_MAX).read_to_string(&mut text));
        match read {
            Ok(_) => Ok(Holder::parse(&text)),
            // Text that is being written, or is not ours, names nobody.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidData) => Ok(None),
            Err(source) => Err(LockError::Io { path: path.to_owned(), source }),
        }
    }

    /// Shows those who wait that this process moves.
    ///
    /// # Errors
    /// Those of writing the file.
    pub fn beat(&self) -> std::io::Result<()> {
        let mut text = self.text();
        text.beat += 1;
        let line =
            format!("instance {}, process {}, beat {}\n", self.instance, std::process::id(), text.beat);
        replace(&mut text.file, &line)
    }

    /// Says to whom the lock shall go when it is given back.
    pub fn leave_to(&self, instance: &str) {
        self.text().left_to = Some(instance.to_owned());
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn text(&self) -> MutexGuard<'_, Text> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HostLock {
    fn drop(&mut self) {
        let mut text = self.text();
        let line = text.left_to.take().map(|instance| format!("left to {instance}\n")).unwrap_or_default();
        // Closing the file gives the lock back as well; the old text would only mislead.
        let _ = replace(&mut text.file, &line);
    }
}

fn replace(file: &mut File, line: &str) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(0))?;
    file.write_all(line.as_bytes())?;
    file.set_len(line.len() as u64)
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

    #[test]
    fn the_file_tells_the_holder_its_beats_and_its_heir() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bacula.db.lock");
        assert_eq!(HostLock::holder(&path).unwrap(), None);
        let lock = HostLock::take(&path, "site a, upper rack").unwrap();
        let first = HostLock::holder(&path).unwrap().unwrap();
        assert_eq!(first.instance, "site a, upper rack");
        assert_eq!(first.process, i32::try_from(std::process::id()).ok());
        lock.beat().unwrap();
        assert!(HostLock::holder(&path).unwrap().unwrap().beat > first.beat);
        lock.leave_to("b");
        drop(lock);
        let left = HostLock::holder(&path).unwrap().unwrap();
        assert!(left.is_left_to_other("a") && !left.is_left_to_other("b"));
    }
}
