//! A copy of a part of the tree, to change something in.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};

/// How large the copy gets at most.
const BYTES_MAX: u64 = 128 << 20;
/// How many entries it gets at most.
const ENTRIES_MAX: u64 = 10_000;

/// What is left of the bounds.
struct Budget {
    bytes: u64,
    entries: u64,
}

/// Copies folders, regular files and symbolic links from `from` to `to` in the order of their names until the copy is
/// large enough. What cannot be read is left out. Returns how many entries were copied.
pub(crate) fn copy_part(from: &Path, to: &Path) -> Result<u64> {
    let mut budget = Budget { bytes: BYTES_MAX, entries: ENTRIES_MAX };
    fs::create_dir_all(to).with_context(|| format!("make {}", to.display()))?;
    copy_folder(from, to, &mut budget)?;
    Ok(ENTRIES_MAX - budget.entries)
}

fn copy_folder(from: &Path, to: &Path, budget: &mut Budget) -> Result<()> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(meta) = entry.metadata() else { continue };
        if budget.entries == 0 {
            return Ok(());
        }
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let copied = if meta.is_dir() {
            fs::create_dir(&target).with_context(|| format!("make {}", target.display()))?;
            copy_folder(&source, &target, budget)?;
            true
        } else if meta.is_symlink() {
            fs::read_link(&source).and_then(|leads| symlink(leads, &target)).is_ok()
        } else if meta.is_file() && meta.len() <= budget.bytes {
            let copied = fs::copy(&source, &target).is_ok();
            budget.bytes -= if copied { meta.len() } else { 0 };
            copied
        } else {
            false
        };
        budget.entries = budget.entries.saturating_sub(u64::from(copied));
    }
    Ok(())
}
