//! The walk over both trees.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::{Compare, Comparison, What, entry};

/// Room that a restored file may take beyond the original's before its holes count as filled: a hole is kept in steps of
/// 64 KiB (spec/02 §4), so that each stretch of data may come back up to two of them longer.
const HOLE_SLACK: u64 = 512 * 1024;

type Inode = (u64, u64);

struct Walk<'a> {
    compare: &'a Compare,
    found: Comparison,
    /// Original inode of each hard-linked file to the restored one, and the other way round, with the first name seen.
    links: HashMap<Inode, (Inode, PathBuf)>,
    back: HashMap<Inode, Inode>,
}

pub(super) fn run(compare: &Compare) -> Result<Comparison> {
    let mut walk =
        Walk { compare, found: Comparison::default(), links: HashMap::new(), back: HashMap::new() };
    walk.pair(Path::new(""))?;
    Ok(walk.found)
}

impl Walk<'_> {
    fn pair(&mut self, relative: &Path) -> Result<()> {
        let a = join(&self.compare.original, relative);
        let b = join(&self.compare.restored, relative);
        let meta_a = fs::symlink_metadata(&a).with_context(|| format!("stat {}", a.display()))?;
        let meta_b = fs::symlink_metadata(&b).with_context(|| format!("stat {}", b.display()))?;
        self.found.entries += 1;
        let (kind_a, kind_b) = (entry::kind(&meta_a), entry::kind(&meta_b));
        if kind_a != kind_b {
            self.found.add(relative, What::Kind(kind_a, kind_b));
            return Ok(());
        }
        self.metadata(relative, &meta_a, &meta_b);
        self.link_group(relative, &meta_a, &meta_b);
        if self.compare.xattrs {
            self.attributes(relative, &a, &b)?;
        }
        match kind_a {
            "file" => self.content(relative, (&a, &meta_a), (&b, &meta_b)),
            "directory" => self.directory(relative, &a, &b),
            "symbolic link" => self.target(relative, &a, &b),
            "character device" | "block device" => {
                if meta_a.rdev() != meta_b.rdev() {
                    self.found.add(relative, What::Device(meta_a.rdev(), meta_b.rdev()));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn metadata(&mut self, relative: &Path, a: &Metadata, b: &Metadata) {
        let (mode_a, mode_b) = (a.mode() & 0o7777, b.mode() & 0o7777);
        if mode_a != mode_b {
            self.found.add(relative, What::Mode(mode_a, mode_b));
        }
        let (owner_a, owner_b) = ((a.uid(), a.gid()), (b.uid(), b.gid()));
        if self.compare.owners && owner_a != owner_b {
            self.found.add(relative, What::Owner(owner_a, owner_b));
        }
        let timed = match entry::kind(a) {
            "symbolic link" => self.compare.link_times,
            "directory" => self.compare.dir_times,
            _ => true,
        };
        if timed && a.mtime() != b.mtime() {
            self.found.add(relative, What::Mtime(a.mtime(), b.mtime()));
        }
    }

    /// Checks that original and restored inodes of hard-linked files stand in a one-to-one relation.
    fn link_group(&mut self, relative: &Path, a: &Metadata, b: &Metadata) {
        if a.is_dir() || (a.nlink() < 2 && b.nlink() < 2) {
            return;
        }
        let (inode_a, inode_b) = ((a.dev(), a.ino()), (b.dev(), b.ino()));
        match self.links.get(&inode_a) {
            Some((known, first)) if *known != inode_b => {
                let text = format!("no longer one file with {}", first.display());
                self.found.add(relative, What::LinkGroup(text));
            }
            Some(_) => {}
            None => {
                if self.back.insert(inode_b, inode_a).is_some_and(|other| other != inode_a) {
                    self.found
                        .add(relative, What::LinkGroup("linked with a file that it was not".to_owned()));
                }
                self.links.insert(inode_a, (inode_b, relative.to_path_buf()));
            }
        }
    }

    fn attributes(&mut self, relative: &Path, a: &Path, b: &Path) -> Result<()> {
        let (one, two) = (entry::xattrs(a)?, entry::xattrs(b)?);
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        for (name, value) in &one {
            match two.get(name) {
                None => self.found.add(relative, What::Xattr(text(name), "is missing".to_owned())),
                Some(other) if other != value => {
                    self.found.add(relative, What::Xattr(text(name), "has another value".to_owned()));
                }
                Some(_) => {}
            }
        }
        for name in two.keys().filter(|name| !one.contains_key(*name)) {
            self.found.add(relative, What::Xattr(text(name), "was added".to_owned()));
        }
        Ok(())
    }

    fn content(&mut self, relative: &Path, a: (&Path, &Metadata), b: (&Path, &Metadata)) -> Result<()> {
        if a.1.len() != b.1.len() {
            self.found.add(relative, What::Size(a.1.len(), b.1.len()));
        }
        let (difference, read) = entry::first_difference(a.0, b.0)?;
        self.found.bytes += read;
        if let Some(at) = difference {
            self.found.add(relative, What::Content(at));
        }
        let (room_a, room_b) = (entry::allocated(a.1), entry::allocated(b.1));
        if self.compare.holes && room_a + HOLE_SLACK < a.1.len() && room_b > room_a + HOLE_SLACK {
            self.found.add(relative, What::Holes(room_a, room_b));
        }
        Ok(())
    }

    fn target(&mut self, relative: &Path, a: &Path, b: &Path) -> Result<()> {
        let one = fs::read_link(a).with_context(|| format!("read link {}", a.display()))?;
        let two = fs::read_link(b).with_context(|| format!("read link {}", b.display()))?;
        if one != two {
            self.found.add(relative, What::Target(one, two));
        }
        Ok(())
    }

    fn directory(&mut self, relative: &Path, a: &Path, b: &Path) -> Result<()> {
        let (one, two) = (entry::names(a)?, entry::names(b)?);
        let (mut left, mut right) = (one.into_iter().peekable(), two.into_iter().peekable());
        loop {
            match (left.peek(), right.peek()) {
                (None, None) => return Ok(()),
                (Some(name), None) => {
                    let path = child(relative, name);
                    left.next();
                    self.missing(&path)?;
                }
                (None, Some(name)) => {
                    let path = child(relative, name);
                    right.next();
                    self.extra(&path);
                }
                (Some(x), Some(y)) => match x.as_bytes().cmp(y.as_bytes()) {
                    Ordering::Less => {
                        let path = child(relative, x);
                        left.next();
                        self.missing(&path)?;
                    }
                    Ordering::Greater => {
                        let path = child(relative, y);
                        right.next();
                        self.extra(&path);
                    }
                    Ordering::Equal => {
                        let path = child(relative, x);
                        left.next();
                        right.next();
                        if !self.compare.skips(&path) {
                            self.pair(&path)?;
                        }
                    }
                },
            }
        }
    }

    fn missing(&mut self, relative: &Path) -> Result<()> {
        if self.compare.skips(relative) {
            return Ok(());
        }
        let path = join(&self.compare.original, relative);
        let meta = fs::symlink_metadata(&path).with_context(|| format!("stat {}", path.display()))?;
        if entry::kind(&meta) != "socket" || self.compare.sockets {
            self.found.add(relative, What::Missing);
        }
        Ok(())
    }

    fn extra(&mut self, relative: &Path) {
        if !self.compare.skips(relative) {
            self.found.add(relative, What::Extra);
        }
    }
}

fn child(relative: &Path, name: &OsString) -> PathBuf {
    relative.join(name)
}

/// `root` itself for an empty `relative`: joining would add a slash, which follows a symbolic link.
fn join(root: &Path, relative: &Path) -> PathBuf {
    if relative.as_os_str().is_empty() { root.to_path_buf() } else { root.join(relative) }
}
