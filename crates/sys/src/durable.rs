//! Writes that survive a power cut.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Replaces the file `path` by `bytes`: temporary file beside it, fsync, rename, fsync of the directory.
/// Afterwards either the old or the new content is there, never a part.
///
/// # Errors
/// The system's; the temporary file is removed then.
pub fn durable_write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = parent(path);
    let mut temp = tempfile::NamedTempFile::new_in(dir)?;
    temp.write_all(bytes)?;
    temp.as_file().sync_all()?;
    temp.persist(path).map_err(|error| error.error)?;
    fsync_dir(dir)
}

/// Makes a directory's entries durable.
///
/// # Errors
/// The system's.
pub fn fsync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state");
        durable_write(&path, b"one").unwrap();
        durable_write(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(durable_write(&dir.path().join("no/such"), b"x").is_err());
    }
}
