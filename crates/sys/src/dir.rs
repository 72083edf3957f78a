//! Directories as open descriptors: everything below is reached by single names, so that a path may be longer than
//! `PATH_MAX` and nobody can swap a component for a symlink in between.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir, ResolveFlags, Timespec, Timestamps};

/// Size of the buffer for one `getdents`.
const LISTING_BYTES: usize = 32 * 1024;

/// An open directory.
#[derive(Debug)]
pub struct DirFd {
    fd: OwnedFd,
}

impl AsFd for DirFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens `path`, following symlinks, as a place to start from. A path longer than the system's limit is walked.
///
/// # Errors
/// The system's.
pub fn open_root(path: &[u8]) -> io::Result<DirFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Err(rustix::io::Errno::NAMETOOLONG) => {
            let (dir, name) = open_long_parent(path)?;
            Ok(DirFd { fd: rustix::fs::openat(&dir, &name[..], flags, Mode::empty())? })
        }
        other => Ok(DirFd { fd: other? }),
    }
}

/// Opens the parent of a path of any length and gives the last name.
pub(crate) fn open_long_parent(path: &[u8]) -> io::Result<(DirFd, Vec<u8>)> {
    let start: &[u8] = if path.first() == Some(&b'/') { b"/" } else { b"." };
    let mut dir = open_root(start)?;
    let mut names = path.split(|&b| b == b'/').filter(|name| !name.is_empty()).peekable();
    while let Some(name) = names.next() {
        if names.peek().is_none() {
            return Ok((dir, name.to_vec()));
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        dir = DirFd { fd: rustix::fs::openat(&dir, name, flags, Mode::empty())? };
    }
    Ok((dir, b".".to_vec()))
}

/// Some entries of a directory, compact.
#[derive(Debug, Default)]
pub struct EntryBatch {
    names: Vec<u8>,
    ends: Vec<u32>,
}

impl EntryBatch {
    /// Forgets the entries and keeps the memory.
    pub fn clear(&mut self) {
        self.names.clear();
        self.ends.clear();
    }

    /// Count of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Name number `index`, in the directory's order.
    #[must_use]
    pub fn name(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] as usize };
        &self.names[start..self.ends[index] as usize]
    }

    /// A batch of given names.
    pub fn from_names(names: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Self {
        let mut batch = Self::default();
        for name in names {
            batch.push(name.as_ref());
        }
        batch
    }

    fn push(&mut self, name: &[u8]) {
        self.names.extend_from_slice(name);
        self.ends.push(self.names.len() as u32);
    }
}

impl DirFd {
    /// Opens the subdirectory `name` for reading, not following a symlink.
    ///
    /// # Errors
    /// The system's; a symlink gives `ELOOP` or `ENOTDIR`.
    pub fn open_dir(&self, name: &[u8], no_atime: bool) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(Self { fd: open_with_noatime(&self.fd, name, flags, no_atime)? })
    }

    /// Opens the subdirectory `name` as a place to work in; read permission is not needed.
    ///
    /// # Errors
    /// The system's; a symlink gives `ELOOP` or `ENOTDIR`.
    pub fn open_path(&self, name: &[u8], follow: bool) -> io::Result<Self> {
        let mut flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if !follow {
            flags |= OFlags::NOFOLLOW;
        }
        Ok(Self { fd: rustix::fs::openat(&self.fd, name, flags, Mode::empty())? })
    }

    /// Opens the directory `path` below this one; symlinks on the way are followed as long as they stay below.
    ///
    /// # Errors
    /// `EXDEV` when a symlink leads out; else the system's.
    pub fn open_beneath(&self, path: &[u8]) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        Ok(Self { fd: rustix::fs::openat2(&self.fd, path, flags, Mode::empty(), resolve)? })
    }

    /// A second descriptor of the same directory.
    ///
    /// # Errors
    /// The system's.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()? })
    }

    /// Opens the file `name` for reading, not following a symlink and never waiting for a FIFO's writer.
    ///
    /// # Errors
    /// The system's.
    pub fn open_file(&self, name: &[u8], no_atime: bool) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        Ok(File::from(open_with_noatime(&self.fd, name, flags, no_atime)?))
    }

    /// Makes the file `name`, which must not be there yet, with mode 0600, for writing.
    ///
    /// # Errors
    /// `EEXIST`, else the system's.
    pub fn create_file(&self, name: &[u8]) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(File::from(rustix::fs::openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR)?))
    }

    /// Opens the existing `name` for writing without truncation.
    ///
    /// # Errors
    /// The system's.
    pub fn open_write(&self, name: &[u8]) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
        Ok(File::from(rustix::fs::openat(&self.fd, name, flags, Mode::empty())?))
    }

    /// Reads the target of the symlink `name`, verbatim.
    ///
    /// # Errors
    /// The system's.
    pub fn read_link(&self, name: &[u8]) -> io::Result<Vec<u8>> {
        Ok(rustix::fs::readlinkat(&self.fd, name, Vec::new())?.into_bytes())
    }

    /// Makes the symlink `name`.
    ///
    /// # Errors
    /// The system's.
    pub fn make_symlink(&self, target: &[u8], name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, &self.fd, name)?)
    }

    /// Makes `name` a hard link to `old` in `old_dir`.
    ///
    /// # Errors
    /// The system's.
    pub fn make_link(&self, old_dir: &DirFd, old: &[u8], name: &[u8]) -> io::Result<()> {
        Ok(rustix::fs::linkat(&old_dir.fd, old, &self.fd, name, AtFlags::empty())?)
    }

    /// Makes the directory `name`.
    ///
    /// # Errors
    /// The system's.
    pub fn make_dir(&self, name: &[u8], mode: u32) -> io::Result<()> {
        Ok(rustix::fs::mkdirat(&self.fd, name, Mode::from_raw_mode(mode))?)
    }

    /// Removes the entry `name`: a file, or an empty directory.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(&self, name: &[u8], directory: bool) -> io::Result<()> {
        let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        Ok(rustix::fs::unlinkat(&self.fd, name, flags)?)
    }

    /// Sets owner and group of `name`, a symlink itself and not what it points to.
    ///
    /// # Errors
    /// The system's.
    pub fn set_owner(&self, name: &[u8], uid: u32, gid: u32) -> io::Result<()> {
        let (uid, gid) = (owner(uid), owner(gid));
        Ok(rustix::fs::chownat(
            &self.fd,
            name,
            uid.map(rustix::fs::Uid::from_raw),
            gid.map(rustix::fs::Gid::from_raw),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// Sets the permission bits of `name`. A symlink is refused with `EOPNOTSUPP`, never followed.
    ///
    /// # Errors
    /// The system's.
    pub fn set_mode(&self, name: &[u8], mode: u32) -> io::Result<()> {
        // Linux has no fchmodat without following; a path descriptor pins the inode and /proc changes it.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let pin = rustix::fs::openat(&self.fd, name, flags, Mode::empty())?;
        if crate::FileStat::from(rustix::fs::fstat(&pin)?).kind() == crate::FileKind::Symlink {
            return Err(rustix::io::Errno::OPNOTSUPP.into());
        }
        let path = format!("/proc/self/fd/{}", pin.as_raw_fd());
        Ok(rustix::fs::chmod(path, Mode::from_raw_mode(mode & 0o7777))?)
    }

    /// Sets access and modification time of `name`, a symlink itself and not what it points to. Unix seconds and nanoseconds.
    ///
    /// # Errors
    /// The system's.
    pub fn set_times(&self, name: &[u8], atime: (i64, u32), mtime: (i64, u32)) -> io::Result<()> {
        let stamp = |(seconds, nanos): (i64, u32)| Timespec { tv_sec: seconds, tv_nsec: nanos.into() };
        let times = Timestamps { last_access: stamp(atime), last_modification: stamp(mtime) };
        Ok(rustix::fs::utimensat(&self.fd, name, &times, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Reads the next entries into `batch` (emptied first), without `.` and `..`. No entries mean the end.
    ///
    /// # Errors
    /// The system's.
    pub fn next_entries(&self, batch: &mut EntryBatch, buffer: &mut Vec<u8>) -> io::Result<()> {
        batch.clear();
        buffer.clear();
        buffer.reserve(LISTING_BYTES);
        // A chunk may hold nothing but the two dots: then go on to the next.
        let mut listing = RawDir::new(&self.fd, buffer.spare_capacity_mut());
        while let Some(entry) = listing.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b".." | b"") {
                batch.push(name);
            }
            if listing.is_buffer_empty() && !batch.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// A path to `name` that calls without an `at` form can use; short whatever the depth.
    #[must_use]
    pub(crate) fn proc_path(&self, name: &[u8]) -> Vec<u8> {
        let mut path = format!("/proc/self/fd/{}/", self.fd.as_raw_fd()).into_bytes();
        path.extend_from_slice(name);
        path
    }
}

/// `u32::MAX` means "leave alone" to the system and is no owner.
fn owner(id: u32) -> Option<u32> {
    (id != u32::MAX).then_some(id)
}

fn open_with_noatime(
    dir: &OwnedFd,
    name: &[u8],
    flags: OFlags,
    no_atime: bool,
) -> rustix::io::Result<OwnedFd> {
    if no_atime {
        match rustix::fs::openat(dir, name, flags | OFlags::NOATIME, Mode::empty()) {
            // Only the owner and root may ask for it.
            Err(rustix::io::Errno::PERM) => {}
            other => return other,
        }
    }
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_without_dots_and_in_chunks() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..3000 {
            std::fs::write(dir.path().join(format!("a-rather-long-file-name-{i:05}")), b"").unwrap();
        }
        let fd = open_root(dir.path().as_os_str().as_encoded_bytes()).unwrap();
        let (mut batch, mut buffer, mut names) =
            (EntryBatch::default(), Vec::new(), std::collections::BTreeSet::new());
        loop {
            fd.next_entries(&mut batch, &mut buffer).unwrap();
            if batch.is_empty() {
                break;
            }
            names.extend((0..batch.len()).map(|i| batch.name(i).to_vec()));
        }
        assert_eq!(names.len(), 3000);
    }

    #[test]
    fn a_path_beyond_the_limit_can_be_made_and_statted() {
        let dir = tempfile::tempdir().unwrap();
        let name = vec![b'd'; 200];
        let mut fd = open_root(dir.path().as_os_str().as_encoded_bytes()).unwrap();
        let mut path = dir.path().as_os_str().as_encoded_bytes().to_vec();
        for _ in 0..30 {
            fd.make_dir(&name, 0o755).unwrap();
            fd = fd.open_path(&name, false).unwrap();
            path.push(b'/');
            path.extend_from_slice(&name);
        }
        assert!(path.len() > 4096);
        fd.make_symlink(b"target", b"s").unwrap();
        path.extend_from_slice(b"/s");
        let stat = crate::stat_path(std::path::Path::new(std::str::from_utf8(&path).unwrap())).unwrap();
        assert_eq!(stat.kind(), crate::FileKind::Symlink);
        assert_eq!(fd.read_link(b"s").unwrap(), b"target");
        fd.set_times(b"s", (5, 0), (-7, 0)).unwrap();
        assert_eq!(crate::stat_at(&fd, b"s").unwrap().mtime, -7);
        assert!(fd.set_mode(b"s", 0o600).is_err());
    }

    #[test]
    fn nothing_leads_out_of_a_beneath_open() {
        let dir = tempfile::tempdir().unwrap();
        let fd = open_root(dir.path().as_os_str().as_encoded_bytes()).unwrap();
        fd.make_dir(b"in", 0o755).unwrap();
        fd.make_symlink(b"in", b"ok").unwrap();
        fd.make_symlink(b"/etc", b"bad").unwrap();
        fd.make_symlink(b"..", b"up").unwrap();
        assert!(fd.open_beneath(b"ok").is_ok());
        assert!(fd.open_beneath(b"bad").is_err());
        assert!(fd.open_beneath(b"up").is_err());
    }
}
