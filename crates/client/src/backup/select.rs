//! Which found entries have changed and are to be saved (spec/02 §7.1 to §7.4).

use std::collections::HashMap;
use std::ops::ControlFlow;

use attrs::{EncodedStat, FileType, Stream};
use sys::FileKind;

use super::Action;
use super::worker::digest_of;
use crate::accurate::AccurateList;
use crate::counters::{Counters, StopFlags};
use crate::fileset::{FileOptions, FileSet};
use crate::message::{JobLog, MessageKind, path_text};
use crate::walk::{DirMark, Entry, Found, Notice, Visit};

/// What decides that an entry has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// Everything is saved.
    Full,
    /// What is newer than a time.
    Newer(Since),
    /// What differs from the accurate list; unseen entries are deleted ones.
    Accurate(Since),
    /// What differs from the base jobs' files, which are in the accurate list.
    Base,
    /// The rest of an incomplete job: what an ordinary run would take, but for what the accurate list has already.
    Rerun(Option<Since>),
}

/// Since when, in seconds on this client's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Since(pub i64);

/// What is left of the accurate list at the end of the walk.
pub struct Leftovers {
    list: AccurateList,
    base: bool,
}

impl Leftovers {
    /// Calls `each` with type, name and encoded stat of each record to be sent.
    pub fn for_each(&self, mut each: impl FnMut(FileType, &[u8], &[u8]) -> bool) {
        self.list.for_each(self.base, |name, known| {
            if self.base {
                return each(FileType::Base, name, known.lstat);
            }
            let old = EncodedStat::decode(known.lstat).unwrap_or_default();
            let gone = EncodedStat {
                mtime: old.mtime,
                ctime: old.ctime,
                data_stream: Stream::FILE_DATA.number(),
                ..EncodedStat::default()
            };
            each(FileType::Deleted, name, &gone.to_text())
        });
    }
}

/// Takes the entries that are to be saved (or counted, by an estimate).
pub trait Take {
    /// Takes one entry: its name as it is stored, the record's type, what to do, and the link's target or old digest.
    fn take(
        &mut self,
        entry: &Entry<'_>,
        stored: &[u8],
        file_type: FileType,
        action: Action,
        link: &[u8],
    ) -> ControlFlow<()>;

    /// Whether sockets count as entries: a backup leaves them out.
    fn takes_sockets(&self) -> bool {
        false
    }
}

/// The visitor of a walk: decides what has changed.
pub struct Selector<'a, T> {
    set: &'a FileSet,
    selection: Selection,
    accurate: Option<AccurateList>,
    /// Who takes what is to be saved.
    pub taker: T,
    /// Inodes with several links that were passed on, and how many of their links are still to come.
    linked: HashMap<(u64, u64), u64>,
    counters: &'a Counters,
    stop: &'a StopFlags,
    log: &'a dyn JobLog,
    base_bytes: u64,
    scratch: Vec<u8>,
}

/// What the comparison says.
enum Change {
    Save,
    Unchanged,
    /// Metadata only: the content's digest is equal to this one.
    Metadata(Vec<u8>),
}

impl<'a, T: Take> Selector<'a, T> {
    /// Starts with nothing seen.
    pub fn new(
        set: &'a FileSet,
        selection: Selection,
        accurate: Option<AccurateList>,
        taker: T,
        counters: &'a Counters,
        stop: &'a StopFlags,
        log: &'a dyn JobLog,
    ) -> Self {
        Self {
            set,
            selection,
            accurate,
            taker,
            linked: HashMap::new(),
            counters,
            stop,
            log,
            base_bytes: 0,
            scratch: Vec::new(),
        }
    }

    /// What is left of the accurate list to be sent.
    pub fn leftovers(self) -> Option<Leftovers> {
        if self.stop.is_ending() {
            return None;
        }
        let base = match self.selection {
            Selection::Accurate(_) => false,
            Selection::Base => {
                let megabytes = self.base_bytes / (1024 * 1024);
                self.log.message(MessageKind::Info, &format!("Space saved with Base jobs: {megabytes} MB\n"));
                true
            }
            Selection::Full | Selection::Newer(_) | Selection::Rerun(_) => return None,
        };
        self.accurate.map(|list| Leftovers { list, base })
    }

    fn change(&mut self, entry: &Entry<'_>, stored: &[u8], options: &FileOptions) -> Change {
        match self.selection {
            Selection::Full => Change::Save,
            Selection::Newer(since) => {
                if is_newer(entry, since, options) {
                    Change::Save
                } else {
                    Change::Unchanged
                }
            }
            Selection::Accurate(since) => self.compare(entry, stored, options, Some(since)),
            Selection::Base => self.compare(entry, stored, options, None),
            Selection::Rerun(since) => {
                if since.is_some_and(|since| !is_newer(entry, since, options)) {
                    Change::Unchanged
                } else {
                    self.compare(entry, stored, options, Some(since.unwrap_or_default()))
                }
            }
        }
    }

    /// Compares with the accurate list by the letters of the Include, from left to right.
    fn compare(
        &mut self,
        entry: &Entry<'_>,
        stored: &[u8],
        options: &FileOptions,
        since: Option<Since>,
    ) -> Change {
        let Some(list) = &mut self.accurate else { return Change::Save };
        let Some(known) = list.get(stored) else { return Change::Save };
        let id = known.id;
        let digest = known.digest.to_vec();
        let Ok(old) = EncodedStat::decode(known.lstat) else {
            list.mark(id);
            return Change::Save;
        };
        if since.is_some() {
            list.mark(id);
        }
        let include = &self.set.includes[entry.include];
        let letters = if since.is_some() { &include.accurate } else { &include.base_job };
        let letters = letters.get(1..).unwrap_or_default();
        let changed = letters.bytes().any(|letter| differs(letter, entry, &old, since, options));
        let wants_digest = letters.bytes().any(|letter| matches!(letter, b'1' | b'2' | b'3' | b'5'));
        let only_if_digest = letters.contains('o');
        let can_digest = wants_digest && entry.found == Found::Regular && options.digest.is_some();
        if changed && !(can_digest && only_if_digest) {
            return Change::Save;
        }
        if can_digest && (changed || !only_if_digest) {
            match self.same_digest(entry, options, &digest) {
                Some(true) if changed => {
                    return Change::Metadata(attrs::base64_decode(&digest).unwrap_or_default());
                }
                Some(true) => {}
                Some(false) | None => return Change::Save,
            }
        } else if changed {
            return Change::Save;
        }
        if since.is_none()
            && let Some(list) = &mut self.accurate
        {
            // Equal to the base job's: its record is sent at the end.
            list.mark(id);
            self.base_bytes += entry.stat.size;
        }
        Change::Unchanged
    }

    /// Whether the content has the catalog's digest; `None` when that cannot be said, and the file is saved.
    fn same_digest(&mut self, entry: &Entry<'_>, options: &FileOptions, known: &[u8]) -> Option<bool> {
        if known.is_empty() {
            let path = path_text(entry.path);
            self.log.message(MessageKind::Warning, &format!("Cannot verify checksum for {path}\n"));
            return None;
        }
        let digest = digest_of(entry.dir, entry.name, entry.stat, options).ok()?;
        Some(attrs::base64_encode(&digest).as_bytes() == known)
    }

    /// Whether an earlier link of the same inode was passed on.
    fn seen_link(&mut self, entry: &Entry<'_>, options: &FileOptions) -> bool {
        if entry.stat.nlink < 2 || options.no_hardlinks {
            return false;
        }
        let key = (entry.stat.dev, entry.stat.ino);
        match self.linked.get_mut(&key) {
            Some(left) => {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    self.linked.remove(&key);
                }
                true
            }
            None => {
                self.linked.insert(key, entry.stat.nlink - 1);
                false
            }
        }
    }

    fn unchanged(&self, entry: &Entry<'_>) {
        if self.log.wants(MessageKind::Skipped) {
            let text = format!("     Unchanged file skipped: {}\n", path_text(entry.path));
            self.log.message(MessageKind::Skipped, &text);
        }
    }
}

impl<T: Take> Visit for Selector<'_, T> {
    fn entry(&mut self, entry: &Entry<'_>) -> ControlFlow<()> {
        if entry.stat.kind() == FileKind::Socket && !self.taker.takes_sockets() {
            if self.log.wants(MessageKind::Skipped) {
                let text = format!("     Socket file skipped: {}\n", path_text(entry.path));
                self.log.message(MessageKind::Skipped, &text);
            }
            return ControlFlow::Continue(());
        }
        let set = self.set;
        let options = set.options(entry.options);
        let mut stored = std::mem::take(&mut self.scratch);
        stored.clear();
        let strip = set.includes[entry.include].strip_path;
        stored.extend_from_slice(strip_components(entry.path, strip).unwrap_or(entry.path));
        if matches!(entry.found, Found::Directory(_)) && stored.last() != Some(&b'/') {
            stored.push(b'/');
        }
        let change = self.change(entry, &stored, options);
        // A directory that was not entered is recorded in any case (spec/02 §4.2).
        let forced = entry.found == Found::Directory(DirMark::NotEntered);
        let flow = match change {
            Change::Unchanged if !forced => {
                self.unchanged(entry);
                ControlFlow::Continue(())
            }
            Change::Metadata(digest) => {
                self.taker.take(entry, &stored, FileType::Regular, Action::Update, &digest)
            }
            Change::Save | Change::Unchanged => {
                let (file_type, action) = kind_of(entry);
                let linkable = !matches!(entry.found, Found::Directory(_) | Found::Symlink);
                let action =
                    if linkable && self.seen_link(entry, options) { Action::MaybeLink } else { action };
                self.taker.take(entry, &stored, file_type, action, entry.link)
            }
        };
        self.scratch = stored;
        flow
    }

    fn notice(&mut self, notice: Notice<'_>) {
        let (kind, text) = notice_text(&notice);
        if kind.is_error() || self.log.wants(kind) {
            self.log.message(kind, &text);
        }
    }

    fn examined(&mut self, _: &[u8]) -> ControlFlow<()> {
        Counters::add(&self.counters.examined, 1);
        if self.stop.is_ending() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

/// Type of the record and what to do, as for a first link.
pub(crate) fn kind_of(entry: &Entry<'_>) -> (FileType, Action) {
    match entry.found {
        Found::Regular if entry.stat.size == 0 && entry.stat.mode & 0o444 == 0o444 => {
            (FileType::RegularEmpty, Action::Content)
        }
        Found::Regular => (FileType::Regular, Action::Content),
        Found::Symlink => (FileType::Symlink, Action::Attributes),
        Found::Directory(_) => (FileType::Directory, Action::Attributes),
        Found::Special => (FileType::Special, Action::Attributes),
        Found::RawDevice => (FileType::RawDevice, Action::Stream),
        Found::OpenFifo => (FileType::Fifo, Action::Stream),
    }
}

/// Texts of what the walk tells (spec/02 §4.1).
pub(crate) fn notice_text(notice: &Notice<'_>) -> (MessageKind, String) {
    let err = |path: &[u8], what: &str, error: &std::io::Error| {
        let text = format!("     Could not {what} \"{}\": ERR={}\n", path_text(path), sys::error_text(error));
        (MessageKind::NotSaved, text)
    };
    match notice {
        Notice::NoStat(path, error) => err(path, "stat", error),
        Notice::NoLink(path, error) => err(path, "follow link", error),
        Notice::NoOpenDir(path, error) => err(path, "open directory", error),
        Notice::OtherFs(path, parent) => {
            let (path, parent) = (path_text(path), path_text(parent));
            let text =
                format!("     {path} is a different filesystem. Will not descend from {parent} into it.\n");
            (MessageKind::Info, text)
        }
        Notice::NoRecurse(path) => (
            MessageKind::Skipped,
            format!("     Recursion turned off. Will not descend from {}\n", path_text(path)),
        ),
        Notice::FsType(path, found, true) => {
            let found = found.as_deref().unwrap_or("unknown");
            let text =
                format!("     Top level directory \"{}\" has unlisted fstype \"{found}\"\n", path_text(path));
            (MessageKind::NotSaved, text)
        }
        Notice::FsType(path, found, false) => {
            let found = found.as_deref().unwrap_or("unknown");
            let text = format!(
                "     {} has unlisted fstype \"{found}\". Will not descend into it.\n",
                path_text(path)
            );
            (MessageKind::Skipped, text)
        }
        Notice::DriveType(path) => {
            let path = path_text(path);
            let text =
                format!("     Top level directory \"{path}\" has an unlisted drive type \"unknown\"\n");
            (MessageKind::NotSaved, text)
        }
        Notice::NoDump(path) => {
            (MessageKind::Skipped, format!("     NODUMP flag set - will not process {}\n", path_text(path)))
        }
    }
}

fn is_newer(entry: &Entry<'_>, since: Since, options: &FileOptions) -> bool {
    !(entry.stat.mtime < since.0 && (options.mtime_only || entry.stat.ctime < since.0))
}

/// Whether a letter says "changed" (spec/02 §7.2); digests are compared elsewhere.
fn differs(
    letter: u8,
    entry: &Entry<'_>,
    old: &EncodedStat,
    since: Option<Since>,
    options: &FileOptions,
) -> bool {
    let now = entry.stat;
    match letter {
        b'i' => now.ino != old.ino,
        b'p' => now.mode != old.mode,
        b'n' => now.nlink != old.nlink,
        b'u' => now.uid != old.uid,
        b'g' => now.gid != old.gid,
        b's' => now.size != old.size,
        b'a' => now.atime != old.atime,
        b'm' => now.mtime != old.mtime,
        b'c' => now.ctime != old.ctime,
        b'd' => now.size < old.size,
        b'M' => since.is_some_and(|since| now.mtime > since.0 && (options.mtime_only || now.ctime > since.0)),
        b'A' => true,
        _ => false,
    }
}

/// Cuts `count` components behind the leading slash; `None` when nothing is cut (spec/02 §4.2).
pub(crate) fn strip_components(path: &[u8], count: u32) -> Option<&[u8]> {
    if count == 0 {
        return None;
    }
    let slashes = path.iter().enumerate().filter(|&(_, &b)| b == b'/').map(|(at, _)| at);
    slashes.skip(count as usize).map(|at| &path[at..]).next().filter(|rest| rest.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_stripped_as_recorded() {
        assert_eq!(strip_components(b"/srv/demo/tree3/x", 2), Some(&b"/tree3/x"[..]));
        assert_eq!(strip_components(b"/srv/demo", 2), None);
        assert_eq!(strip_components(b"/srv/demo/t", 0), None);
        assert_eq!(strip_components(b"/srv", 1), None);
    }
}
