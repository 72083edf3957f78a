//! Estimates: what a backup would take (spec/02 §7.5).

use std::ops::ControlFlow;
use std::sync::Arc;

use attrs::FileType;
use bytes::Bytes;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use sys::{FileStat, NameCache};

use super::{Direct, expand_all};
use crate::accurate::AccurateList;
use crate::backup::{Action, Selection, Selector, Take};
use crate::fileset::FileSet;
use crate::job::Job;
use crate::message::{JobLog, MessageKind};
use crate::restore::commas;
use crate::walk::{Entry, walk_include};

/// Counts entries and lists them.
struct Count<'a> {
    listing: bool,
    direct: &'a Direct,
    names: NameCache,
    zone: TimeZone,
    files: u64,
    bytes: u64,
    limit: u64,
}

/// Walks the FileSet and gives the final line.
pub fn run(
    job: &Arc<Job>,
    set: &FileSet,
    selection: Selection,
    accurate: Option<AccurateList>,
    listing: bool,
    limit: Option<u64>,
    direct: &Direct,
) -> String {
    let mut count = Count {
        listing,
        direct,
        names: NameCache::default(),
        zone: TimeZone::system(),
        files: 0,
        bytes: 0,
        limit: limit.filter(|&limit| limit > 0).unwrap_or(u64::MAX),
    };
    match expand_all(set, job) {
        Err(error) => job.message(MessageKind::Fatal, &format!("{error}\n")),
        Ok(files) => {
            let log: &dyn JobLog = &**job;
            let mut selector = Selector::new(set, selection, accurate, count, &job.counters, &job.stop, log);
            for (index, entries) in files.iter().enumerate() {
                if walk_include(set, index, entries, &mut selector) == ControlFlow::Break(()) {
                    break;
                }
            }
            count = selector.taker;
        }
    }
    format!("2000 OK estimate files={} bytes={}\n", commas(count.files), commas(count.bytes))
}

impl Take for Count<'_> {
    fn take(
        &mut self,
        entry: &Entry<'_>,
        _stored: &[u8],
        file_type: FileType,
        action: Action,
        link: &[u8],
    ) -> ControlFlow<()> {
        self.files += 1;
        if action == Action::Content && file_type != FileType::HardLink {
            self.bytes += entry.stat.size;
        }
        if self.listing && self.files <= self.limit {
            let line = self.line(entry, link);
            if self.direct.blocking_send(Bytes::from(line)).is_err() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn takes_sockets(&self) -> bool {
        true
    }
}

impl Count<'_> {
    /// `-rw-r--r--   1 root     root                      5 2026-11-23 15:23:13  /srv/demo/tree/z_new`
    fn line(&mut self, entry: &Entry<'_>, link: &[u8]) -> Vec<u8> {
        let stat = entry.stat;
        let user = self.names.user(stat.uid).map_or_else(|| stat.uid.to_string(), str::to_owned);
        let group = self.names.group(stat.gid).map_or_else(|| stat.gid.to_string(), str::to_owned);
        let time = Timestamp::from_second(stat.mtime)
            .map(|time| self.zone.to_datetime(time).strftime("%Y-%m-%d %H:%M:%S").to_string())
            .unwrap_or_default();
        let size = if entry.stat.rdev != 0 { 0 } else { stat.size };
        let head =
            format!("{} {:>3} {user:<8.8} {group:<8.8} {size:>18} {time}  ", mode_text(stat), stat.nlink);
        let mut line = head.into_bytes();
        line.extend_from_slice(entry.path);
        if !link.is_empty() {
            line.extend_from_slice(b" -> ");
            line.extend_from_slice(link);
        }
        line.push(b'\n');
        line
    }
}

/// `drwxr-xr-x`.
fn mode_text(stat: &FileStat) -> String {
    use sys::FileKind;
    let kind = match stat.kind() {
        FileKind::Regular | FileKind::Other => '-',
        FileKind::Directory => 'd',
        FileKind::Symlink => 'l',
        FileKind::Fifo => 'p',
        FileKind::Socket => 's',
        FileKind::CharDevice => 'c',
        FileKind::BlockDevice => 'b',
    };
    let mut text = String::from(kind);
    for (shift, special, set, unset) in [(6, 0o4000, 's', 'S'), (3, 0o2000, 's', 'S'), (0, 0o1000, 't', 'T')]
    {
        let bits = stat.mode >> shift & 7;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (stat.mode & special != 0, bits & 1 != 0) {
            (true, true) => set,
            (true, false) => unset,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_written_as_by_ls() {
        let text = |mode| mode_text(&FileStat { mode, ..FileStat::default() });
        assert_eq!(text(0o100644), "-rw-r--r--");
        assert_eq!(text(0o041777), "drwxrwxrwt");
        assert_eq!(text(0o104755), "-rwsr-xr-x");
        assert_eq!(text(0o104644), "-rwSr--r--");
    }
}
