//! Damage to Volumes, full disks.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Inverts the bits of `mask` (not 0) of the byte at `offset`.
///
/// # Errors
/// When the file cannot be changed or is shorter.
pub fn flip(path: &Path, offset: u64, mask: u8) -> Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .with_context(|| format!("open {}", path.display()))?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)
        .with_context(|| format!("read byte {offset} of {}", path.display()))?;
    byte[0] ^= mask;
    file.write_all_at(&byte, offset).with_context(|| format!("write byte {offset} of {}", path.display()))
}

/// Cuts a file to `length` bytes.
///
/// # Errors
/// When the file cannot be changed.
pub fn cut(path: &Path, length: u64) -> Result<()> {
    let file =
        OpenOptions::new().write(true).open(path).with_context(|| format!("open {}", path.display()))?;
    file.set_len(length).with_context(|| format!("cut {}", path.display()))
}

/// Exchanges the names of two files.
///
/// # Errors
/// When they cannot be renamed.
pub fn swap(a: &Path, b: &Path) -> Result<()> {
    let aside = a.with_extension("swapping");
    fs::rename(a, &aside).with_context(|| format!("rename {}", a.display()))?;
    fs::rename(b, a).with_context(|| format!("rename {}", b.display()))?;
    fs::rename(&aside, b).with_context(|| format!("rename {}", aside.display()))
}

/// A small file system in memory, to run full; root only. Unmounted on drop.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts a file system of `bytes` at `path`, which is made when missing.
    ///
    /// # Errors
    /// When it cannot be mounted; for others than root always.
    pub fn mount(path: &Path, bytes: u64) -> Result<Self> {
        fs::create_dir_all(path)?;
        let options = format!("size={bytes},mode=0755");
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "holdfast-test"])
            .arg(path)
            .status()?;
        ensure!(status.success(), "mount a small tmpfs at {}: {status}; needs root", path.display());
        Ok(Self(path.to_path_buf()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazy: a daemon that is being killed may still hold a file there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
