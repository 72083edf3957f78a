//! Two trees compared entry by entry.
//!
//! The comparison walks both trees together in the order of the names and holds one folder's names per level, so that
//! a tree of some hundred thousand files costs little memory; only hard-linked files are remembered.

mod entry;
mod walk;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// How many differences are kept for the report; more are only counted.
const DIFFERENCES_KEPT: usize = 200;

/// What to compare, and how strictly. Everything is compared unless said otherwise.
#[derive(Debug, Clone)]
pub struct Compare {
    original: PathBuf,
    restored: PathBuf,
    skip: Vec<PathBuf>,
    sockets: bool,
    holes: bool,
    owners: bool,
    link_times: bool,
    dir_times: bool,
    xattrs: bool,
}

impl Compare {
    /// Compares `restored` with `original`, both existing directories.
    #[must_use]
    pub fn new(original: impl Into<PathBuf>, restored: impl Into<PathBuf>) -> Self {
        Self {
            original: original.into(),
            restored: restored.into(),
            skip: Vec::new(),
            sockets: false,
            holes: false,
            owners: true,
            link_times: true,
            dir_times: true,
            xattrs: true,
        }
    }

    /// Leaves out `relative` and what is below it, on both sides.
    #[must_use]
    pub fn skip(mut self, relative: impl Into<PathBuf>) -> Self {
        self.skip.push(relative.into());
        self
    }

    /// Expects sockets in the restored tree too. Bacula does not save them (spec/02 §5), so that a socket of the
    /// original that is missing is otherwise no difference.
    #[must_use]
    pub fn sockets(mut self, expected: bool) -> Self {
        self.sockets = expected;
        self
    }

    /// Expects that a file with holes takes about as little room when restored: for FileSets with `sparse = yes`.
    #[must_use]
    pub fn holes(mut self, expected: bool) -> Self {
        self.holes = expected;
        self
    }

    /// Compares owner and group; only root can restore them.
    #[must_use]
    pub fn owners(mut self, expected: bool) -> Self {
        self.owners = expected;
        self
    }

    /// Compares the modification time of symbolic links.
    #[must_use]
    pub fn link_times(mut self, expected: bool) -> Self {
        self.link_times = expected;
        self
    }

    /// Compares the modification time of directories.
    #[must_use]
    pub fn dir_times(mut self, expected: bool) -> Self {
        self.dir_times = expected;
        self
    }

    /// Compares extended attributes and ACLs.
    #[must_use]
    pub fn xattrs(mut self, expected: bool) -> Self {
        self.xattrs = expected;
        self
    }

    /// Walks both trees.
    ///
    /// # Errors
    /// When either tree cannot be read; what differs is no error but in the [`Comparison`].
    pub fn run(&self) -> Result<Comparison> {
        walk::run(self)
    }

    fn skips(&self, relative: &Path) -> bool {
        self.skip.iter().any(|skipped| skipped == relative)
    }
}

/// The outcome of a comparison.
#[derive(Debug, Clone, Default)]
pub struct Comparison {
    /// Entries of the original that were compared, its root included.
    pub entries: u64,
    /// Bytes of file content that were compared.
    pub bytes: u64,
    /// How many differences there are.
    pub count: u64,
    /// The first of them.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Whether nothing differs.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.count == 0
    }

    /// Fails with the list when something differs, or when nothing was compared.
    ///
    /// # Errors
    /// The error's text is the list.
    pub fn expect_equal(&self) -> Result<()> {
        anyhow::ensure!(self.is_equal(), "{self}");
        anyhow::ensure!(self.entries > 1, "the compared trees are empty");
        Ok(())
    }

    fn add(&mut self, path: &Path, what: What) {
        self.count += 1;
        if self.differences.len() < DIFFERENCES_KEPT {
            self.differences.push(Difference { path: path.to_path_buf(), what });
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} entries, {} bytes compared: {} differences", self.entries, self.bytes, self.count)?;
        for difference in &self.differences {
            writeln!(f, "  {difference}")?;
        }
        let more = self.count.saturating_sub(self.differences.len() as u64);
        if more > 0 {
            writeln!(f, "  … and {more} more")?;
        }
        Ok(())
    }
}

/// One difference between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Path below the roots.
    pub path: PathBuf,
    /// What differs.
    pub what: What,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display().to_string();
        if path.len() > 160 {
            let head: String = path.chars().take(60).collect();
            let tail: String = path.chars().skip(path.chars().count().saturating_sub(60)).collect();
            write!(f, "{head}…{tail}: {}", self.what)
        } else {
            write!(f, "{path}: {}", self.what)
        }
    }
}

/// What differs at one entry: the original's value first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Not restored.
    Missing,
    /// Only in the restored tree.
    Extra,
    /// Another kind of entry.
    Kind(&'static str, &'static str),
    /// Another length, bytes.
    Size(u64, u64),
    /// Other content, from this offset on.
    Content(u64),
    /// Permission bits.
    Mode(u32, u32),
    /// Owner and group.
    Owner((u32, u32), (u32, u32)),
    /// Modification time, whole seconds.
    Mtime(i64, i64),
    /// Target of a symbolic link.
    Target(PathBuf, PathBuf),
    /// Device number.
    Device(u64, u64),
    /// Names that are one file in one tree and not in the other.
    LinkGroup(String),
    /// An extended attribute or ACL is missing, added or other.
    Xattr(String, String),
    /// A file's holes were filled: room taken, bytes.
    Holes(u64, u64),
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "missing"),
            Self::Extra => write!(f, "not in the original"),
            Self::Kind(a, b) => write!(f, "is a {b}, was a {a}"),
            Self::Size(a, b) => write!(f, "{b} bytes long, was {a}"),
            Self::Content(at) => write!(f, "content differs at byte {at}"),
            Self::Mode(a, b) => write!(f, "mode {b:04o}, was {a:04o}"),
            Self::Owner((au, ag), (bu, bg)) => write!(f, "owner {bu}:{bg}, was {au}:{ag}"),
            Self::Mtime(a, b) => write!(f, "mtime {b}, was {a}"),
            Self::Target(a, b) => write!(f, "leads to {}, led to {}", b.display(), a.display()),
            Self::Device(a, b) => write!(f, "device number {b:#x}, was {a:#x}"),
            Self::LinkGroup(text) => write!(f, "{text}"),
            Self::Xattr(name, text) => write!(f, "attribute {name} {text}"),
            Self::Holes(a, b) => write!(f, "takes {b} bytes on disk, took {a}: its holes were filled"),
        }
    }
}
