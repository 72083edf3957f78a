//! One entry of a tree as the comparison sees it.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, Result};

/// The word for an entry's kind.
pub(super) fn kind(meta: &Metadata) -> &'static str {
    let kind = meta.file_type();
    match () {
        () if kind.is_file() => "file",
        () if kind.is_dir() => "directory",
        () if kind.is_symlink() => "symbolic link",
        () if kind.is_fifo() => "FIFO",
        () if kind.is_char_device() => "character device",
        () if kind.is_block_device() => "block device",
        () => "socket",
    }
}

/// The offset of the first byte that differs, if one does, and the number of bytes read.
pub(super) fn first_difference(a: &Path, b: &Path) -> Result<(Option<u64>, u64)> {
    const STEP: usize = 256 * 1024;
    let mut left = File::open(a).with_context(|| format!("open {}", a.display()))?;
    let mut right = File::open(b).with_context(|| format!("open {}", b.display()))?;
    let (mut one, mut two) = (vec![0; STEP], vec![0; STEP]);
    let mut at = 0_u64;
    loop {
        let n = read_full(&mut left, &mut one).with_context(|| format!("read {}", a.display()))?;
        let m = read_full(&mut right, &mut two).with_context(|| format!("read {}", b.display()))?;
        if one[..n] != two[..m] {
            let same = one[..n].iter().zip(&two[..m]).take_while(|(x, y)| x == y).count();
            return Ok((Some(at + same as u64), at));
        }
        at += n as u64;
        if n < STEP {
            return Ok((None, at));
        }
    }
}

fn read_full(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// All extended attributes of an entry, ACLs among them; empty where the file system has none.
pub(super) fn xattrs(path: &Path) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    use rustix::fs::{lgetxattr, llistxattr};
    use rustix::io::Errno;

    let mut names = vec![0_u8; 64 * 1024];
    let length = match llistxattr(path, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP | Errno::PERM | Errno::ACCESS) => return Ok(BTreeMap::new()),
        Err(error) => return Err(error).with_context(|| format!("list attributes of {}", path.display())),
    };
    let mut found = BTreeMap::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let mut value = vec![0_u8; 64 * 1024];
        let name_c = std::ffi::CString::new(name)?;
        match lgetxattr(path, &name_c, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                found.insert(name.to_vec(), value);
            }
            Err(Errno::NODATA | Errno::NOTSUP) => {}
            Err(error) => {
                return Err(error).with_context(|| format!("read attributes of {}", path.display()));
            }
        }
    }
    Ok(found)
}

/// Names in a directory, sorted by their bytes.
pub(super) fn names(dir: &Path) -> Result<Vec<std::ffi::OsString>> {
    let mut names = fs::read_dir(dir)
        .with_context(|| format!("read directory {}", dir.display()))?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("read directory {}", dir.display()))?;
    names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
    Ok(names)
}

/// Bytes that an entry takes on disk.
pub(super) fn allocated(meta: &Metadata) -> u64 {
    meta.blocks() * 512
}
