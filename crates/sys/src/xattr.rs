//! Extended attributes of files, by descriptor or by name in a directory.

use std::fs::File;
use std::io;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::DirFd;

/// Largest value of one attribute on Linux, and largest list of names.
const XATTR_BYTES_MAX: usize = 64 * 1024;

/// A value, or that there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum XattrValue {
    /// The value is in the buffer.
    Value,
    /// The file has no such attribute.
    Absent,
    /// The file system has no attributes at all (or none of this namespace).
    Unsupported,
}

/// Whose attributes.
#[derive(Debug, Clone, Copy)]
pub enum XattrTarget<'a> {
    /// An open file.
    File(&'a File),
    /// An entry of a directory; a symlink itself and not what it points to.
    At(&'a DirFd, &'a [u8]),
}

impl XattrTarget<'_> {
    /// Reads the list of names, each with a NUL, into `out` (emptied first).
    ///
    /// # Errors
    /// The system's; "not supported" gives an empty list.
    pub fn list(&self, out: &mut Vec<u8>) -> io::Result<()> {
        let result = fill(out, |buffer| match self {
            Self::File(file) => rustix::fs::flistxattr(file, buffer),
            Self::At(dir, name) => rustix::fs::llistxattr(dir.proc_path(name), buffer),
        });
        match result {
            Err(Errno::OPNOTSUPP) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Reads the attribute `name` into `out` (emptied first).
    ///
    /// # Errors
    /// The system's, but for "absent" and "not supported".
    pub fn get(&self, name: &[u8], out: &mut Vec<u8>) -> io::Result<XattrValue> {
        let result = fill(out, |buffer| match self {
            Self::File(file) => rustix::fs::fgetxattr(file, name, buffer),
            Self::At(dir, entry) => rustix::fs::lgetxattr(dir.proc_path(entry), name, buffer),
        });
        match result {
            Ok(()) => Ok(XattrValue::Value),
            Err(Errno::NODATA) => Ok(XattrValue::Absent),
            Err(Errno::OPNOTSUPP) => Ok(XattrValue::Unsupported),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets the attribute `name`, replacing an older value.
    ///
    /// # Errors
    /// The system's.
    pub fn set(&self, name: &[u8], value: &[u8]) -> io::Result<()> {
        let flags = XattrFlags::empty();
        Ok(match self {
            Self::File(file) => rustix::fs::fsetxattr(file, name, value, flags),
            Self::At(dir, entry) => rustix::fs::lsetxattr(dir.proc_path(entry), name, value, flags),
        }?)
    }
}

/// Reads with a buffer that grows until the value fits.
fn fill(out: &mut Vec<u8>, read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> rustix::io::Result<()> {
    let mut size = out.capacity().max(256);
    loop {
        out.clear();
        out.resize(size, 0);
        match read(out) {
            Ok(len) => {
                out.truncate(len);
                return Ok(());
            }
            Err(Errno::RANGE) if size < XATTR_BYTES_MAX => size = XATTR_BYTES_MAX,
            Err(error) => {
                out.clear();
                return Err(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_set_listed_and_read() {
        let dir = tempfile::tempdir().unwrap();
        let root = crate::open_root(dir.path().as_os_str().as_encoded_bytes()).unwrap();
        let file = root.create_file(b"f").unwrap();
        let target = XattrTarget::At(&root, b"f");
        let mut out = Vec::new();
        match target.set(b"user.k", &[7; 3000]) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => return,
            other => other.unwrap(),
        }
        assert_eq!(XattrTarget::File(&file).get(b"user.k", &mut out).unwrap(), XattrValue::Value);
        assert_eq!(out, [7; 3000]);
        target.list(&mut out).unwrap();
        assert!(out.split(|&b| b == 0).any(|name| name == b"user.k"));
        assert_eq!(target.get(b"user.none", &mut out).unwrap(), XattrValue::Absent);
        assert!(XattrTarget::At(&root, b"gone").list(&mut out).is_err());
    }
}
