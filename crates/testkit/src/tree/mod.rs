//! Deterministic directory trees.
//!
//! [`every_kind`] makes a tree with every kind of entry that a backup must keep; [`small_files`] makes many small ones.
//! The same seed gives the same tree.

mod change;
mod kinds;
mod names;
mod small;

pub use change::{age, change};
pub use kinds::{Kinds, every_kind};
pub use small::{Flat, small_files};

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Whether this process may make devices and change owners.
#[must_use]
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Sets an entry's modification time, not following symbolic links; `seconds` and `nanoseconds` since 1970.
pub(crate) fn set_mtime(path: &Path, seconds: i64, nanoseconds: i64) -> Result<()> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    utimensat(
        CWD,
        path,
        &Timestamps { last_access: time, last_modification: time },
        AtFlags::SYMLINK_NOFOLLOW,
    )
    .with_context(|| format!("set the time of {}", path.display()))
}

/// Writes a file and gives it an old time, so that a later Incremental does not see it as changed.
pub(crate) fn write_old(path: &Path, content: &[u8], seconds: i64) -> Result<()> {
    fs::write(path, content).with_context(|| format!("write {}", path.display()))?;
    set_mtime(path, seconds, 0)
}
