//! Changes between a Full and an Incremental.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::set_mtime;
use crate::Rng;

/// Changes every `every`-th regular file below `root` (other content, now's time), and adds one new file to the root.
/// Returns how many files were changed or added.
///
/// # Errors
/// When a file cannot be read or written.
pub fn change(root: &Path, every: u64, seed: u64) -> Result<u64> {
    let mut rng = Rng::new(seed);
    let mut files = Vec::new();
    regular_files(root, &mut files)?;
    let mut changed = 0;
    for path in files.iter().step_by(every.max(1) as usize) {
        let mut content = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        let tail = rng.text(100);
        content.extend_from_slice(&tail);
        fs::write(path, content).with_context(|| format!("write {}", path.display()))?;
        changed += 1;
    }
    fs::write(root.join("added-later"), rng.text(5000))?;
    Ok(changed + 1)
}

/// Regular files of at most 1 MiB, without hard links, in the order of their names.
fn regular_files(dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let mut entries: Vec<_> = fs::read_dir(dir)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let meta = entry.metadata()?;
        if meta.is_dir() {
            regular_files(&entry.path(), found)?;
        } else if meta.is_file() && meta.nlink() == 1 && meta.len() <= 1 << 20 && meta.mode() & 0o7000 == 0 {
            found.push(entry.path());
        }
    }
    Ok(())
}

/// Gives every entry below `root` (itself included) a time long past, so that only what changes later is new.
///
/// # Errors
/// When a time cannot be set.
pub fn age(root: &Path) -> Result<()> {
    if fs::symlink_metadata(root)?.is_dir() {
        for entry in fs::read_dir(root)? {
            age(&entry?.path())?;
        }
    }
    set_mtime(root, 1_000_000_000, 0)
}
