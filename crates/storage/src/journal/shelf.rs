//! Finished journals: how long they are kept (docs/extensions.md §4).

use std::io;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Bounds on finished journals.
#[derive(Debug, Clone, Copy)]
pub struct ShelfLimits {
    /// Journal Retention.
    pub retention: Duration,
    /// Journal Retention Bytes.
    pub bytes: u64,
}

impl Default for ShelfLimits {
    fn default() -> Self {
        Self { retention: Duration::from_secs(7 * 86_400), bytes: 1 << 30 }
    }
}

/// A finished journal.
#[derive(Debug, Clone)]
struct Kept {
    path: PathBuf,
    bytes: u64,
    ended: SystemTime,
    is_acknowledged: bool,
}

/// The finished journals of the daemon, oldest first.
#[derive(Debug, Default)]
pub struct Shelf {
    kept: Vec<Kept>,
}

impl Shelf {
    /// Puts a finished journal on the shelf.
    pub fn put(&mut self, path: PathBuf, bytes: u64, ended: SystemTime, is_acknowledged: bool) {
        self.kept.retain(|k| k.path != path);
        self.kept.push(Kept { path, bytes, ended, is_acknowledged });
        self.kept.sort_by_key(|k| k.ended);
    }

    /// The catalog has all of it.
    pub fn acknowledge(&mut self, path: &std::path::Path) {
        self.kept.iter_mut().filter(|k| k.path == path).for_each(|k| k.is_acknowledged = true);
    }

    /// The catalog has it twice: it may go.
    ///
    /// # Errors
    /// What the system says.
    pub fn remove(&mut self, path: &std::path::Path) -> io::Result<()> {
        self.kept.retain(|k| k.path != path);
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes what is too old or too much: oldest first, never one that is not acknowledged.
    pub fn sweep(&mut self, limits: ShelfLimits, now: SystemTime) -> Vec<PathBuf> {
        let mut total: u64 = self.kept.iter().map(|k| k.bytes).sum();
        let mut removed = Vec::new();
        self.kept.retain(|k| {
            let is_old = now.duration_since(k.ended).is_ok_and(|age| age > limits.retention);
            if !(k.is_acknowledged && (is_old || total > limits.bytes)) {
                return true;
            }
            total -= k.bytes;
            removed.push(k.path.clone());
            false
        });
        removed.retain(|path| std::fs::remove_file(path).is_ok());
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_acknowledged_journals_are_swept() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let mut shelf = Shelf::default();
        for (n, acknowledged) in [(1, true), (2, false), (3, true), (4, true)] {
            let path = dir.path().join(n.to_string());
            std::fs::write(&path, "x").unwrap();
            shelf.put(path, 100, now - Duration::from_secs(1000 - n), acknowledged);
        }
        let limits = ShelfLimits { retention: Duration::from_secs(10_000), bytes: 250 };
        assert_eq!(shelf.sweep(limits, now), [dir.path().join("1"), dir.path().join("3")]);
        let old = ShelfLimits { retention: Duration::from_secs(1), bytes: 250 };
        assert_eq!(shelf.sweep(old, now), [dir.path().join("4")]);
        assert!(dir.path().join("2").exists());
        shelf.acknowledge(&dir.path().join("2"));
        assert_eq!(shelf.sweep(old, now), [dir.path().join("2")]);
    }
}
