//! Walks the entries of a FileSet, depth first in the order of the directories (spec/02 §4.1, §4.2).
//!
//! Everything below a top-level entry is reached by name from open directories, so paths may be longer than the system's
//! limit and no component can be swapped for a symlink while it is walked.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use sys::{DirFd, EntryBatch, FileKind, FileStat, open_root, stat_at};

use crate::fileset::{FileSet, Include, OptionId, PathKind, trim_slashes};

/// Directories kept open on the way down; those above are reopened by `..` on the way back.
const OPEN_LEVELS: usize = 100;

/// Where a directory's record comes from, when it was not entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirMark {
    /// Its content was walked.
    Walked,
    /// Not entered: `recurse = no`, another file system, an unwanted type. Saved even when unchanged (spec/02 §4.2).
    NotEntered,
}

/// What a found entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Regular file.
    Regular,
    /// Symbolic link; its target is in [`Entry::link`].
    Symlink,
    /// Directory, after its content.
    Directory(DirMark),
    /// FIFO, device or socket below the top level.
    Special,
    /// Device that is a top-level entry: its content is saved.
    RawDevice,
    /// FIFO that is a top-level entry with `readfifo`.
    OpenFifo,
}

/// One found entry, borrowed for the time of the call.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Full path; no trailing slash, but `/` itself.
    pub path: &'a [u8],
    /// Directory to reach it from.
    pub dir: &'a Arc<DirFd>,
    /// Name in that directory; `.` for a directory itself.
    pub name: &'a [u8],
    /// Status.
    pub stat: &'a FileStat,
    /// What it is.
    pub found: Found,
    /// Options in force.
    pub options: OptionId,
    /// Target of a symlink.
    pub link: &'a [u8],
    /// Index of the Include block.
    pub include: usize,
}

/// What can go wrong or be worth telling on the way. Texts are Bacula's (spec/02 §4.1).
#[derive(Debug)]
pub enum Notice<'a> {
    /// `lstat` failed.
    NoStat(&'a [u8], io::Error),
    /// `readlink` failed.
    NoLink(&'a [u8], io::Error),
    /// A directory cannot be opened or read.
    NoOpenDir(&'a [u8], io::Error),
    /// Another file system that is not entered: the directory and its parent.
    OtherFs(&'a [u8], &'a [u8]),
    /// `recurse = no`.
    NoRecurse(&'a [u8]),
    /// Type of file system not wanted.
    FsType(&'a [u8], Option<String>, bool),
    /// Drive types do not exist here.
    DriveType(&'a [u8]),
    /// `nodump` flag.
    NoDump(&'a [u8]),
}

/// Takes what the walk finds.
pub trait Visit {
    /// Called for each entry in order; `Break` ends the walk.
    fn entry(&mut self, entry: &Entry<'_>) -> ControlFlow<()>;
    /// Called for each problem or remark.
    fn notice(&mut self, notice: Notice<'_>);
    /// Called for each entry examined, for progress and cancellation.
    fn examined(&mut self, path: &[u8]) -> ControlFlow<()>;
}

/// Walks all top-level entries (already expanded) of an Include.
pub fn walk_include(
    set: &FileSet,
    index: usize,
    files: &[Vec<u8>],
    visit: &mut dyn Visit,
) -> ControlFlow<()> {
    let include = &set.includes[index];
    for file in files {
        let mut walk =
            Walk { set, include, index, visit, path: Vec::new(), levels: Vec::new(), buffer: Vec::new() };
        walk.top(file)?;
    }
    ControlFlow::Continue(())
}

/// One directory on the way.
struct Level {
    /// `None` while too deep levels are open.
    dir: Option<Arc<DirFd>>,
    stat: FileStat,
    options: OptionId,
    /// Entries read and not yet taken.
    batch: EntryBatch,
    next: usize,
    /// Nothing left to read behind `batch`.
    complete: bool,
    /// Length of the directory's path in [`Walk::path`].
    path_len: usize,
}

struct Walk<'a> {
    set: &'a FileSet,
    include: &'a Include,
    index: usize,
    visit: &'a mut dyn Visit,
    /// Path of the current entry.
    path: Vec<u8>,
    levels: Vec<Level>,
    /// For `getdents`.
    buffer: Vec<u8>,
}

/// What to do with a directory.
enum Enter {
    Yes,
    /// Record only.
    No,
    /// Neither record nor content.
    Vanish,
}

impl Walk<'_> {
    /// Top-level entries bypass Options matching and the Exclude list (spec/02 §4.1).
    fn top(&mut self, file: &[u8]) -> ControlFlow<()> {
        let path = trim_slashes(file).to_vec();
        self.visit.examined(&path)?;
        let (parent, name) = split_parent(&path);
        let dir = match open_root(parent) {
            Ok(dir) => Arc::new(dir),
            Err(error) => {
                self.visit.notice(Notice::NoStat(&path, error));
                return ControlFlow::Continue(());
            }
        };
        let stat = match stat_at(&dir, name) {
            Ok(stat) => stat,
            Err(error) => {
                self.visit.notice(Notice::NoStat(&path, error));
                return ControlFlow::Continue(());
            }
        };
        let options = self.include.top;
        if !self.top_wanted(&path, &dir, name, &stat) {
            return ControlFlow::Continue(());
        }
        self.path.clone_from(&path);
        if stat.kind() == FileKind::Directory {
            self.directory(&dir, name, stat, options, None)?;
            return self.descend();
        }
        self.file(&dir, name, &stat, options, true)
    }

    fn top_wanted(&mut self, path: &[u8], dir: &Arc<DirFd>, name: &[u8], stat: &FileStat) -> bool {
        // Like the flags, the lists of the last block count for the entries themselves.
        let Some(group) = self.include.groups.last() else { return true };
        if !group.drive_types.is_empty() {
            self.visit.notice(Notice::DriveType(path));
            return false;
        }
        if group.fs_types.is_empty() {
            return true;
        }
        let found = match stat.kind() {
            FileKind::Directory => {
                dir.open_path(name, false).ok().and_then(|fd| sys::fs_type_name(fd, stat.dev))
            }
            _ => sys::fs_type_name(dir, stat.dev),
        };
        if found.as_ref().is_some_and(|found| group.fs_types.contains(found)) {
            return true;
        }
        self.visit.notice(Notice::FsType(path, found, true));
        false
    }

    /// Works through the open levels until all are done.
    fn descend(&mut self) -> ControlFlow<()> {
        while !self.levels.is_empty() {
            if self.fill_top() {
                self.next_entry()?;
            } else {
                self.leave()?;
            }
        }
        ControlFlow::Continue(())
    }

    /// Makes sure that the deepest level has a next entry; `false` when it has none any more.
    fn fill_top(&mut self) -> bool {
        let level = self.levels.last_mut().expect("a level is open");
        if level.next < level.batch.len() {
            return true;
        }
        if level.complete {
            return false;
        }
        let Some(dir) = &level.dir else { return false };
        level.next = 0;
        match dir.next_entries(&mut level.batch, &mut self.buffer) {
            Ok(()) if level.batch.is_empty() => {
                level.complete = true;
                false
            }
            Ok(()) => true,
            Err(error) => {
                level.complete = true;
                level.batch.clear();
                let path = &self.path[..level.path_len];
                self.visit.notice(Notice::NoOpenDir(path, error));
                false
            }
        }
    }

    fn next_entry(&mut self) -> ControlFlow<()> {
        let level = self.levels.last_mut().expect("a level is open");
        let dir = Arc::clone(level.dir.as_ref().expect("a level with entries left is open"));
        let (parent_stat, path_len) = (level.stat, level.path_len);
        self.path.truncate(path_len);
        if self.path.last() != Some(&b'/') {
            self.path.push(b'/');
        }
        let start = self.path.len();
        self.path.extend_from_slice(level.batch.name(level.next));
        level.next += 1;
        self.visit.examined(&self.path)?;
        let name = self.path[start..].to_vec();
        let stat = match stat_at(&dir, &name) {
            Ok(stat) => stat,
            Err(error) => {
                self.visit.notice(Notice::NoStat(&self.path, error));
                return ControlFlow::Continue(());
            }
        };
        let kind = if stat.kind() == FileKind::Directory { PathKind::Directory } else { PathKind::File };
        let Ok(options) = self.set.decide(self.include, &self.path, kind) else {
            return ControlFlow::Continue(());
        };
        match kind {
            PathKind::Directory => self.directory(&dir, &name, stat, options, Some(parent_stat)),
            PathKind::File => self.file(&dir, &name, &stat, options, false),
        }
    }

    /// Enters a directory, or gives its record at once.
    fn directory(
        &mut self,
        parent: &Arc<DirFd>,
        name: &[u8],
        stat: FileStat,
        options: OptionId,
        parent_stat: Option<FileStat>,
    ) -> ControlFlow<()> {
        let no_atime = self.set.options(options).no_atime;
        // Errors of opening are told only when it is to be entered; ignored markers are looked for in any case.
        let opened = parent.open_dir(name, no_atime);
        let marker = |ignore: &Vec<u8>, dir: &DirFd| stat_at(dir, ignore).is_ok();
        if let Ok(dir) = &opened
            && self.include.ignore_dirs.iter().any(|ignore| marker(ignore, dir))
        {
            return ControlFlow::Continue(());
        }
        match self.may_enter(opened.as_ref().ok(), &stat, options, parent_stat) {
            Enter::Vanish => ControlFlow::Continue(()),
            Enter::No => self.record_unentered(parent, name, &stat, options),
            Enter::Yes => match opened {
                Ok(dir) => {
                    self.enter(dir, stat, options);
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    self.visit.notice(Notice::NoOpenDir(&self.path, error));
                    ControlFlow::Continue(())
                }
            },
        }
    }

    fn may_enter(
        &mut self,
        dir: Option<&DirFd>,
        stat: &FileStat,
        options: OptionId,
        parent: Option<FileStat>,
    ) -> Enter {
        let flags = self.set.options(options);
        if flags.honor_nodump
            && let Some(dir) = dir
            && let Ok(file) = dir.open_file(b".", true)
            && sys::has_nodump(&file)
        {
            self.visit.notice(Notice::NoDump(&self.path));
            return Enter::Vanish;
        }
        let Some(parent) = parent else { return Enter::Yes };
        if flags.no_recurse {
            self.visit.notice(Notice::NoRecurse(&self.path));
            return Enter::No;
        }
        if stat.dev == parent.dev {
            return Enter::Yes;
        }
        if !flags.cross_fs {
            let path_len = self.levels.last().map_or(1, |level| level.path_len);
            if !self.set.lists(&self.path) {
                self.visit.notice(Notice::OtherFs(&self.path, &self.path[..path_len]));
            }
            return Enter::No;
        }
        let wanted =
            self.set.group(self.include, options).map(|group| group.fs_types.as_slice()).unwrap_or_default();
        if wanted.is_empty() {
            return Enter::Yes;
        }
        let found = dir.and_then(|dir| sys::fs_type_name(dir, stat.dev));
        if found.as_ref().is_some_and(|found| wanted.contains(found)) {
            return Enter::Yes;
        }
        self.visit.notice(Notice::FsType(&self.path, found, false));
        Enter::No
    }

    fn record_unentered(
        &mut self,
        parent: &Arc<DirFd>,
        name: &[u8],
        stat: &FileStat,
        options: OptionId,
    ) -> ControlFlow<()> {
        let entry = Entry {
            path: &self.path,
            dir: parent,
            name,
            stat,
            found: Found::Directory(DirMark::NotEntered),
            options,
            link: b"",
            include: self.index,
        };
        self.visit.entry(&entry)
    }

    fn enter(&mut self, dir: DirFd, stat: FileStat, options: OptionId) {
        self.levels.push(Level {
            dir: Some(Arc::new(dir)),
            stat,
            options,
            batch: EntryBatch::default(),
            next: 0,
            complete: false,
            path_len: self.path.len(),
        });
        if self.levels.len() > OPEN_LEVELS {
            let at = self.levels.len() - 1 - OPEN_LEVELS;
            self.close_level(at);
        }
    }

    /// Reads the rest of a far level into memory and closes it, so that the depth of a tree is not bounded by open files.
    fn close_level(&mut self, at: usize) {
        let level = &mut self.levels[at];
        let Some(dir) = level.dir.take() else { return };
        let mut rest: Vec<Vec<u8>> =
            (level.next..level.batch.len()).map(|i| level.batch.name(i).to_vec()).collect();
        let mut more = EntryBatch::default();
        while !level.complete {
            match dir.next_entries(&mut more, &mut self.buffer) {
                Ok(()) if more.is_empty() => level.complete = true,
                Ok(()) => rest.extend((0..more.len()).map(|i| more.name(i).to_vec())),
                Err(error) => {
                    level.complete = true;
                    let path = &self.path[..level.path_len];
                    self.visit.notice(Notice::NoOpenDir(path, error));
                }
            }
        }
        level.batch = EntryBatch::from_names(&rest);
        level.next = 0;
    }

    /// Gives the record of the deepest directory, whose content is done, and closes it.
    fn leave(&mut self) -> ControlFlow<()> {
        let Some(level) = self.levels.pop() else { return ControlFlow::Continue(()) };
        let Some(dir) = level.dir else { return ControlFlow::Continue(()) };
        self.path.truncate(level.path_len);
        let entry = Entry {
            path: &self.path,
            dir: &dir,
            name: b".",
            stat: &level.stat,
            found: Found::Directory(DirMark::Walked),
            options: level.options,
            link: b"",
            include: self.index,
        };
        let flow = self.visit.entry(&entry);
        if self.set.options(level.options).keep_atime {
            let s = &level.stat;
            // Failing to put the time back does no harm to the backup.
            let _ = dir.set_times(b".", (s.atime, s.atime_ns), (s.mtime, s.mtime_ns));
        }
        self.reopen_parent(&dir);
        flow
    }

    fn reopen_parent(&mut self, child: &DirFd) {
        let Some(parent) = self.levels.last_mut() else { return };
        if parent.dir.is_some() {
            return;
        }
        let reopened = child.open_dir(b"..", true).and_then(|dir| {
            if stat_at(&dir, b".")?.same_inode(&parent.stat) {
                Ok(dir)
            } else {
                Err(io::Error::other("the directory was moved during the backup"))
            }
        });
        match reopened {
            Ok(dir) => parent.dir = Some(Arc::new(dir)),
            Err(error) => {
                let path = &self.path[..parent.path_len];
                self.visit.notice(Notice::NoOpenDir(path, error));
                parent.batch.clear();
                parent.next = 0;
                parent.complete = true;
            }
        }
    }

    fn file(
        &mut self,
        dir: &Arc<DirFd>,
        name: &[u8],
        stat: &FileStat,
        options: OptionId,
        top: bool,
    ) -> ControlFlow<()> {
        let flags = self.set.options(options);
        if flags.honor_nodump
            && stat.kind() == FileKind::Regular
            && dir.open_file(name, true).is_ok_and(|file| sys::has_nodump(&file))
        {
            self.visit.notice(Notice::NoDump(&self.path));
            return ControlFlow::Continue(());
        }
        let mut link = Vec::new();
        let found = match stat.kind() {
            FileKind::Regular => Found::Regular,
            FileKind::Symlink => match dir.read_link(name) {
                Ok(target) => {
                    link = target;
                    Found::Symlink
                }
                Err(error) => {
                    self.visit.notice(Notice::NoLink(&self.path, error));
                    return ControlFlow::Continue(());
                }
            },
            FileKind::BlockDevice if top => Found::RawDevice,
            FileKind::Fifo if top && flags.read_fifo => Found::OpenFifo,
            FileKind::Fifo
            | FileKind::Socket
            | FileKind::CharDevice
            | FileKind::BlockDevice
            | FileKind::Other => Found::Special,
            FileKind::Directory => return ControlFlow::Continue(()),
        };
        let entry =
            Entry { path: &self.path, dir, name, stat, found, options, link: &link, include: self.index };
        self.visit.entry(&entry)
    }
}

/// Parent directory and last name of a top-level path.
fn split_parent(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        _ if path == b"/" => (b"/", b"."),
        Some(0) => (b"/", &path[1..]),
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b".", path),
    }
}

#[cfg(test)]
mod tests;
