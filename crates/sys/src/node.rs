//! Special files.

use std::io;

use rustix::fs::{FileType, Mode};

use crate::DirFd;

/// What [`make_node`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// Character device.
    Char,
    /// Block device.
    Block,
    /// Socket (no process is behind it).
    Socket,
}

/// Makes a FIFO.
///
/// # Errors
/// The system's.
pub fn make_fifo(dir: &DirFd, name: &[u8], mode: u32) -> io::Result<()> {
    Ok(rustix::fs::mknodat(dir, name, FileType::Fifo, Mode::from_raw_mode(mode & 0o7777), 0)?)
}

/// Makes a device node or a socket; `rdev` as in a file's status.
///
/// # Errors
/// The system's; devices need root.
pub fn make_node(dir: &DirFd, name: &[u8], kind: NodeKind, mode: u32, rdev: u64) -> io::Result<()> {
    let (kind, rdev) = match kind {
        NodeKind::Char => (FileType::CharacterDevice, rdev),
        NodeKind::Block => (FileType::BlockDevice, rdev),
        NodeKind::Socket => (FileType::Socket, 0),
    };
    Ok(rustix::fs::mknodat(dir, name, kind, Mode::from_raw_mode(mode & 0o7777), rdev)?)
}
