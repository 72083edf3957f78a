//! What there is to do, and how far it is.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Size of a tree.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Size {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
}

impl Size {
    /// Walks a tree on one file system; hard-linked content counts once, what cannot be read not at all.
    pub(crate) fn of(root: &Path) -> Result<Self> {
        let top = fs::symlink_metadata(root).with_context(|| format!("read {}", root.display()))?;
        let mut size = Self::default();
        let mut linked = HashSet::new();
        let mut folders: Vec<PathBuf> = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            size.entries += 1;
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.filter_map(Result::ok) {
                let Ok(meta) = entry.metadata() else { continue };
                if meta.is_dir() {
                    if meta.dev() == top.dev() {
                        folders.push(entry.path());
                    }
                    continue;
                }
                size.entries += 1;
                if meta.is_file() && (meta.nlink() == 1 || linked.insert((meta.dev(), meta.ino()))) {
                    size.bytes += meta.len();
                }
            }
        }
        Ok(size)
    }
}

/// Bytes that a process has read and written so far, as the kernel counts them; zero when it is gone.
pub(crate) fn process_io(pid: u32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let field = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|value| value.trim().parse().ok())
            .unwrap_or(0)
    };
    (field("rchar:"), field("wchar:"))
}

/// Free bytes on the file system of `path`.
pub(crate) fn free(path: &Path) -> Result<u64> {
    let stat =
        rustix::fs::statvfs(path).with_context(|| format!("ask for the free space at {}", path.display()))?;
    Ok(stat.f_bavail * stat.f_frsize)
}

/// Total length of the files in a folder.
pub(crate) fn folder_bytes(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return 0 };
    entries
        .filter_map(|entry| entry.ok()?.metadata().ok())
        .filter(fs::Metadata::is_file)
        .map(|meta| meta.len())
        .sum()
}
