//! File status.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Stat};

/// Kind of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// Regular file.
    Regular,
    /// Directory.
    Directory,
    /// Symbolic link.
    Symlink,
    /// FIFO.
    Fifo,
    /// Socket.
    Socket,
    /// Character device.
    CharDevice,
    /// Block device.
    BlockDevice,
    /// Something else.
    Other,
}

/// What `lstat` says. Times are seconds with the nanoseconds beside them; `blocks` are of 512 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names of struct stat")]
pub struct FileStat {
    pub dev: u64,
    pub ino: u64,
    pub mode: u32,
    pub nlink: u64,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    pub size: u64,
    pub blksize: u64,
    pub blocks: u64,
    pub atime: i64,
    pub atime_ns: u32,
    pub mtime: i64,
    pub mtime_ns: u32,
    pub ctime: i64,
    pub ctime_ns: u32,
}

impl FileStat {
    /// The kind that the mode says.
    #[must_use]
    pub fn kind(&self) -> FileKind {
        match FileType::from_raw_mode(self.mode) {
            FileType::RegularFile => FileKind::Regular,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            FileType::Fifo => FileKind::Fifo,
            FileType::Socket => FileKind::Socket,
            FileType::CharacterDevice => FileKind::CharDevice,
            FileType::BlockDevice => FileKind::BlockDevice,
            FileType::Unknown => FileKind::Other,
        }
    }

    /// Whether both are of one inode.
    #[must_use]
    pub fn same_inode(&self, other: &Self) -> bool {
        (self.dev, self.ino) == (other.dev, other.ino)
    }
}

impl From<Stat> for FileStat {
    #[allow(
        clippy::useless_conversion,
        clippy::unnecessary_cast,
        reason = "the fields' types differ by architecture"
    )]
    fn from(s: Stat) -> Self {
        Self {
            dev: s.st_dev as u64,
            ino: s.st_ino as u64,
            mode: s.st_mode as u32,
            nlink: s.st_nlink as u64,
            uid: s.st_uid as u32,
            gid: s.st_gid as u32,
            rdev: s.st_rdev as u64,
            size: s.st_size as u64,
            blksize: s.st_blksize as u64,
            blocks: s.st_blocks as u64,
            atime: s.st_atime as i64,
            atime_ns: s.st_atime_nsec as u32,
            mtime: s.st_mtime as i64,
            mtime_ns: s.st_mtime_nsec as u32,
            ctime: s.st_ctime as i64,
            ctime_ns: s.st_ctime_nsec as u32,
        }
    }
}

/// Status of `name` in `dir`, a symlink itself and not what it points to.
///
/// # Errors
/// The system's.
pub fn stat_at(dir: impl AsFd, name: &[u8]) -> io::Result<FileStat> {
    Ok(rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?.into())
}

/// Status of a path, a symlink itself and not what it points to. The path may be longer than the system's limit.
///
/// # Errors
/// The system's.
pub fn stat_path(path: &Path) -> io::Result<FileStat> {
    use std::os::unix::ffi::OsStrExt;
    let bytes = path.as_os_str().as_bytes();
    match rustix::fs::statat(CWD, bytes, AtFlags::SYMLINK_NOFOLLOW) {
        Err(rustix::io::Errno::NAMETOOLONG) => {
            let (dir, name) = crate::dir::open_long_parent(bytes)?;
            stat_at(&dir, &name)
        }
        other => Ok(other?.into()),
    }
}

/// Status of an open file.
///
/// # Errors
/// The system's.
pub fn stat_fd(file: &File) -> io::Result<FileStat> {
    Ok(rustix::fs::fstat(file)?.into())
}
