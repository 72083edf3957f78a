//! A tree with every kind of entry.

use std::fs::{self, File, Permissions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, makedev, mknodat};

use super::{is_root, names, set_mtime, write_old};
use crate::Rng;

/// Times of files lie in a year long past, so that a later Incremental takes only what was changed on purpose.
const OLD: i64 = 1_000_000_000;

/// What a tree of every kind shall contain. [`Kinds::default`] is everything.
#[derive(Debug, Clone, Copy)]
pub struct Kinds {
    /// Size of the large file, bytes.
    pub large: u64,
    /// Longest path, counted from the file system's root; restoring below another folder needs room up to 4095.
    pub path_max: usize,
    /// Nested folders of one letter.
    pub depth: usize,
    /// FIFOs and sockets, and devices when root.
    pub special: bool,
    /// Extended attributes and ACLs.
    pub attributes: bool,
}

impl Default for Kinds {
    fn default() -> Self {
        Self { large: 20 << 20, path_max: 3800, depth: 300, special: true, attributes: true }
    }
}

/// Makes a tree with every kind of entry below `root`, which must not exist; the same `seed` gives the same tree.
///
/// Needs a file system with extended attributes and ACLs (ext4, xfs, btrfs). What only root may make (devices, other
/// owners) is left out for others.
///
/// # Errors
/// When an entry cannot be made.
pub fn every_kind(root: &Path, seed: u64, kinds: Kinds) -> Result<()> {
    let mut rng = Rng::new(seed);
    fs::create_dir_all(root).with_context(|| format!("make {}", root.display()))?;
    regular(root, kinds, &mut rng)?;
    sparse(root, &mut rng)?;
    links(root)?;
    names::make_odd_names(root, OLD + 77)?;
    names::make_deep(root, kinds.depth, kinds.path_max, OLD + 78)?;
    if kinds.special {
        special(root)?;
    }
    modes(root)?;
    if is_root() {
        owners(root)?;
    }
    if kinds.attributes {
        attributes(root, &mut rng)?;
    }
    times(root)?;
    fs::create_dir(root.join("empty-dir"))?;
    settle_directories(root)
}

fn regular(root: &Path, kinds: Kinds, rng: &mut Rng) -> Result<()> {
    let dir = root.join("regular");
    fs::create_dir(&dir)?;
    // Around the sizes that something is cut at: the data packet (64 KiB), the block (64512), powers of two.
    for size in [
        0, 1, 2, 3, 511, 512, 513, 4095, 4096, 4097, 64511, 64512, 64513, 65535, 65536, 65537, 131_072,
        200_003,
    ] {
        let content = if size % 2 == 0 { rng.text(size) } else { rng.noise(size) };
        write_old(&dir.join(format!("size-{size}")), &content, OLD + size as i64)?;
    }
    write_old(&dir.join("zeros"), &vec![0; 100_000], OLD)?;
    let mut large = File::create(dir.join("large"))?;
    let mut left = kinds.large;
    while left > 0 {
        let step = left.min(1 << 20);
        let piece =
            if (left >> 20).is_multiple_of(2) { rng.text(step as usize) } else { rng.noise(step as usize) };
        large.write_all(&piece)?;
        left -= step;
    }
    set_mtime(&dir.join("large"), OLD, 0)
}

fn sparse(root: &Path, rng: &mut Rng) -> Result<()> {
    let dir = root.join("sparse");
    fs::create_dir(&dir)?;
    let place = |name: &str, size: u64, pieces: &[(u64, Vec<u8>)]| -> Result<()> {
        let mut file = File::create(dir.join(name))?;
        for (at, content) in pieces {
            file.seek(SeekFrom::Start(*at))?;
            file.write_all(content)?;
        }
        file.set_len(size)?;
        drop(file);
        set_mtime(&dir.join(name), OLD + 5, 0)
    };
    place("only-hole", 8 << 20, &[])?;
    place("hole-first", (4 << 20) + 17, &[((4 << 20), rng.noise(17))])?;
    place("hole-last", 4 << 20, &[(0, rng.noise(10_000))])?;
    place(
        "islands",
        32 << 20,
        &[(1 << 20, rng.noise(70_000)), (9 << 20, rng.text(1)), (20 << 20, rng.noise(65_536))],
    )
}

fn links(root: &Path) -> Result<()> {
    let dir = root.join("links");
    fs::create_dir_all(dir.join("a/deeper"))?;
    fs::create_dir_all(dir.join("b"))?;
    write_old(&dir.join("a/one"), b"one file of four names\n", OLD + 3)?;
    for other in ["a/deeper/two", "b/three", "zz-four"] {
        fs::hard_link(dir.join("a/one"), dir.join(other))?;
    }
    write_old(&dir.join("b/empty-a"), b"", OLD + 4)?;
    fs::hard_link(dir.join("b/empty-a"), dir.join("a/empty-b"))?;
    let link = |target: &str, name: &str| -> Result<()> {
        symlink(target, dir.join(name)).with_context(|| format!("link {name}"))?;
        set_mtime(&dir.join(name), OLD + 6, 0)
    };
    link("a/one", "to-file")?;
    link("a", "to-directory")?;
    link("no/such/place", "dangling")?;
    link("to-itself", "to-itself")?;
    link("/etc/hostname", "absolute")?;
    link(&"t".repeat(4000), "long-target")?;
    link("target with space\nand newline", "odd-target")
}

fn special(root: &Path) -> Result<()> {
    let dir = root.join("special");
    fs::create_dir(&dir)?;
    let node = |name: &str, kind: FileType, device: u64| -> Result<()> {
        mknodat(CWD, dir.join(name), kind, Mode::from_raw_mode(0o640), device)
            .with_context(|| format!("make {name}"))?;
        set_mtime(&dir.join(name), OLD + 8, 0)
    };
    node("fifo", FileType::Fifo, 0)?;
    fs::hard_link(dir.join("fifo"), dir.join("fifo-too"))?;
    if is_root() {
        node("null", FileType::CharacterDevice, makedev(1, 3))?;
        node("block", FileType::BlockDevice, makedev(7, 200))?;
        node("high", FileType::CharacterDevice, makedev(300, 70_000))?;
    }
    // A socket's address has room for 108 bytes: bind it in a short place and move it here.
    let short = tempfile::Builder::new().prefix("hk").tempdir_in("/tmp")?;
    drop(UnixListener::bind(short.path().join("s"))?);
    let socket = dir.join("socket");
    if fs::rename(short.path().join("s"), &socket).is_err() {
        drop(UnixListener::bind(&socket).with_context(|| format!("make {}", socket.display()))?);
    }
    set_mtime(&socket, OLD + 8, 0)
}

fn modes(root: &Path) -> Result<()> {
    let dir = root.join("modes");
    fs::create_dir(&dir)?;
    for mode in [0o000, 0o400, 0o200, 0o111, 0o644, 0o777, 0o4755, 0o2755, 0o1644, 0o7777] {
        let path = dir.join(format!("file-{mode:04o}"));
        if mode & 0o400 == 0 && !is_root() {
            continue; // its owner could not read it either
        }
        write_old(&path, format!("mode {mode:o}\n").as_bytes(), OLD + 9)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    for mode in [0o755, 0o700, 0o1777, 0o2775, 0o500] {
        let path = dir.join(format!("dir-{mode:04o}"));
        fs::create_dir(&path)?;
        write_old(&path.join("inside"), b"in\n", OLD + 9)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn owners(root: &Path) -> Result<()> {
    let dir = root.join("owners");
    fs::create_dir(&dir)?;
    for (user, group) in [(1, 1), (65_534, 65_534), (123_456, 654_321), (4_000_000_000, 0)] {
        let path = dir.join(format!("{user}-{group}"));
        write_old(&path, b"owned\n", OLD + 10)?;
        chown(&path, Some(user), Some(group))?;
        set_mtime(&path, OLD + 10, 0)?;
    }
    let link = dir.join("link");
    symlink("1-1", &link)?;
    lchown(&link, Some(33), Some(33))?;
    set_mtime(&link, OLD + 10, 0)?;
    let folder = dir.join("folder");
    fs::create_dir(&folder)?;
    chown(&folder, Some(1000), Some(1001))?;
    // A set-user-id bit is lost when the owner is changed after it: the order of a restore's steps shows.
    let tool = dir.join("setuid-of-another");
    write_old(&tool, b"#!/bin/sh\n", OLD + 10)?;
    chown(&tool, Some(1000), Some(1000))?;
    fs::set_permissions(&tool, Permissions::from_mode(0o6755))?;
    Ok(())
}

fn attributes(root: &Path, rng: &mut Rng) -> Result<()> {
    let dir = root.join("attributes");
    fs::create_dir(&dir)?;
    let set = |path: &Path, name: &str, value: &[u8]| -> Result<()> {
        lsetxattr(path, name, value, XattrFlags::empty())
            .with_context(|| format!("set attribute {name} of {}", path.display()))
    };
    let file = dir.join("file");
    write_old(&file, b"with attributes\n", OLD + 11)?;
    set(&file, "user.comment", b"hello")?;
    set(&file, "user.empty", b"")?;
    set(&file, "user.binary", &[0, 1, 2, 0, 255, 254])?;
    set(&file, "user.large", &rng.noise(2000))?;
    let folder = dir.join("folder");
    fs::create_dir(&folder)?;
    set(&folder, "user.folder", b"a folder's")?;
    let access = acl(&[
        (1, 6, NONE),
        (2, 5, 1000),
        (2, 7, 65_534),
        (4, 4, NONE),
        (8, 6, 100),
        (16, 7, NONE),
        (32, 0, NONE),
    ]);
    let with_acl = dir.join("acl");
    write_old(&with_acl, b"with an ACL\n", OLD + 11)?;
    set(&with_acl, "system.posix_acl_access", &access)?;
    let default = acl(&[(1, 7, NONE), (2, 7, 1000), (4, 5, NONE), (16, 7, NONE), (32, 0, NONE)]);
    let both = dir.join("acl-folder");
    fs::create_dir(&both)?;
    set(&both, "system.posix_acl_access", &access)?;
    set(&both, "system.posix_acl_default", &default)?;
    if is_root() {
        set(&file, "trusted.holdfast", b"only root sees this")?;
        // cap_net_raw=ep, revision 2.
        let capability = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let tool = dir.join("capable");
        write_old(&tool, b"#!/bin/sh\n", OLD + 11)?;
        set(&tool, "security.capability", &capability)?;
    }
    Ok(())
}

/// The id of ACL entries that have none.
const NONE: u32 = u32::MAX;

/// The kernel's form of a POSIX ACL: version 2, then tag, permissions and id of each entry, little-endian.
fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&permissions.to_le_bytes());
        bytes.extend_from_slice(&id.to_le_bytes());
    }
    bytes
}

fn times(root: &Path) -> Result<()> {
    let dir = root.join("times");
    fs::create_dir(&dir)?;
    for (name, seconds, nanoseconds) in [
        ("epoch", 0, 0),
        ("one", 1, 999_999_999),
        ("before-1970", -86_400, 0),
        ("y2038", i64::from(i32::MAX) + 1, 1),
        ("y2100", 4_102_444_800, 123_456_789),
    ] {
        let path = dir.join(name);
        write_old(&path, name.as_bytes(), 0)?;
        set_mtime(&path, seconds, nanoseconds)?;
    }
    Ok(())
}

/// Gives every directory an old time, from the bottom up: making entries has set it to now.
fn settle_directories(dir: &Path) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("read {}", dir.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            settle_directories(&entry.path())?;
        }
    }
    set_mtime(dir, OLD + 100 + dir.as_os_str().len() as i64, 0)
}
