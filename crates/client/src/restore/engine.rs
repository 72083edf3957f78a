//! The restore engine: takes records in their order and makes entries of them (spec/02 §7.7).

use std::collections::HashMap;
use std::io;

use attrs::{AttrRecord, DigestKind, EncodedStat, FileType, Stream, StreamKind};
use sys::{FileKind, NodeKind, stat_at};
use types::Replace;

use super::data::{DataWriter, DigestPlan};
use super::meta::MetaWriter;
use super::names::Names;
use super::tree::{Place, RestoreTree};
use crate::backup::FIFO_WAIT;
use crate::codec::Unpacker;
use crate::counters::Counters;
use crate::message::{JobLog, MessageKind, path_text};

/// What is to be restored how.
pub struct RestoreOptions {
    /// Where names go.
    pub names: Names,
    /// What happens to what is there.
    pub replace: Replace,
    /// Whether the targets of symlinks are changed like names.
    pub prefix_links: bool,
}

/// A record that cannot belong to a restore; the session is broken.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// An attribute record that cannot be read.
    #[error("attribute record from the Volume cannot be read: {0}")]
    Record(#[from] attrs::RecordError),
}

/// The entry that the next data, ACL and attribute records belong to.
struct Current {
    path: Vec<u8>,
    place: Place,
    stat: EncodedStat,
    file_type: FileType,
    data: Option<DataWriter>,
    /// Digests of the data, when it is complete.
    digests: Vec<(DigestKind, Vec<u8>)>,
    /// The record said so.
    expected: Option<(DigestKind, Vec<u8>)>,
    had_data: bool,
    /// A data packet could not be written; told once.
    broken: bool,
    /// ACLs and attributes wait until owner and mode are set.
    later: Vec<(Stream, Vec<u8>)>,
}

/// Attributes of a directory that were set once, to be set again if something changed in it later.
#[derive(Clone, Copy)]
struct DirTimes {
    atime: i64,
    mtime: i64,
}

/// Restores one session's records.
pub struct Restorer<'a> {
    options: RestoreOptions,
    tree: RestoreTree,
    current: Option<Current>,
    /// FileIndex whose records are left out, since its entry was.
    counters: &'a Counters,
    log: &'a dyn JobLog,
    meta: MetaWriter<'a>,
    digest_plan: DigestPlan,
    unpacker: Unpacker,
    buffer: Vec<u8>,
    /// Directories whose times are set, by hash of their path.
    dirs: HashMap<u64, DirTimes>,
    /// Those to be set again.
    dirs_again: HashMap<Vec<u8>, DirTimes>,
}

impl<'a> Restorer<'a> {
    /// Starts with nothing restored.
    pub fn new(options: RestoreOptions, counters: &'a Counters, log: &'a dyn JobLog) -> Self {
        Self {
            tree: RestoreTree::new(options.names.root()),
            options,
            current: None,
            counters,
            log,
            meta: MetaWriter::new(log),
            digest_plan: DigestPlan::default(),
            unpacker: Unpacker::default(),
            buffer: Vec::new(),
            dirs: HashMap::new(),
            dirs_again: HashMap::new(),
        }
    }

    /// Takes one record.
    ///
    /// # Errors
    /// [`RestoreError`] when the records make no sense; errors of single entries are told and counted.
    pub fn record(&mut self, stream: Stream, payload: &[u8]) -> Result<(), RestoreError> {
        if stream.is_attributes() {
            self.finish_current();
            return self.attributes(stream, payload);
        }
        if let Some(layout) = stream.data_layout() {
            if layout.encrypted {
                self.encrypted();
            } else if layout.win32 {
                self.unsupported(stream);
            } else {
                self.data(stream, payload);
            }
            return Ok(());
        }
        if let Some(kind) = DigestKind::of_stream(stream) {
            if let Some(current) = &mut self.current {
                current.expected = Some((kind, payload.to_vec()));
            }
            return Ok(());
        }
        match stream.kind() {
            StreamKind::LinuxAccessAcl
            | StreamKind::LinuxDefaultAcl
            | StreamKind::LinuxXattr
            | StreamKind::UnixAccessAcl
            | StreamKind::UnixDefaultAcl
            | StreamKind::OtherAcl
            | StreamKind::OtherXattr => {
                if let Some(current) = &mut self.current {
                    current.later.push((stream, payload.to_vec()));
                }
            }
            StreamKind::PluginName | StreamKind::PluginData | StreamKind::RestoreObject => {
                self.finish_current();
            }
            StreamKind::Unknown => {
                let text = format!("Unknown stream={stream} ignored. This shouldn't happen!\n");
                self.log.message(MessageKind::Warning, &text);
            }
            // Session keys and signatures, forks, metadata of plugins, events: nothing to restore here.
            _ => {}
        }
        Ok(())
    }

    /// Finishes the last entry and the directories.
    pub fn finish(mut self) {
        self.finish_current();
        for (path, times) in std::mem::take(&mut self.dirs_again) {
            if let Ok(place) = self.tree.existing(&path) {
                let stat = EncodedStat { atime: times.atime, mtime: times.mtime, ..EncodedStat::default() };
                self.meta.times(&path, &place, &stat);
            }
        }
        self.meta.finish();
    }

    fn error(&self, text: &str) {
        self.log.message(MessageKind::Error, text);
    }

    fn attributes(&mut self, stream: Stream, payload: &[u8]) -> Result<(), RestoreError> {
        let record = AttrRecord::decode(payload)?;
        Counters::add(&self.counters.files, 1);
        let Ok(stat) = EncodedStat::decode(record.lstat) else {
            self.error(&format!("Attributes of {} cannot be read; not restored.\n", path_text(record.name)));
            return Ok(());
        };
        let path = self.options.names.output(record.name, stat.mtime);
        self.counters.set_current(&path);
        if record.file_type == FileType::Deleted {
            self.log.message(MessageKind::Info, &format!("{} is deleted; not restored.\n", path_text(&path)));
            return Ok(());
        }
        let stored = Stream(stat.data_stream);
        if stat.data_stream != 0 && stored.data_layout().is_none_or(|layout| layout.win32 || layout.encrypted)
        {
            // An encrypted file is told of when its data comes; the entry itself cannot be made without it.
            self.unsupported(stored);
            return Ok(());
        }
        let patch = stream == Stream::UNIX_ATTRIBUTE_UPDATE || record.delta_seq > 0;
        match self.prepare(&record, &path, &stat, patch) {
            Ok(Some(place)) => self.make(&record, path, place, stat, patch),
            Ok(None) => {}
            Err(error) => {
                let text =
                    format!("Could not create {}: ERR={}\n", path_text(&path), sys::error_text(&error));
                self.error(&text);
            }
        }
        Ok(())
    }

    /// Finds the place and makes room there; `None` when the entry is left out.
    fn prepare(
        &mut self,
        record: &AttrRecord<'_>,
        path: &[u8],
        stat: &EncodedStat,
        patch: bool,
    ) -> io::Result<Option<Place>> {
        let place = self.tree.place(path)?;
        let existing = match stat_at(&place.dir, &place.name) {
            Ok(existing) => existing,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if patch {
                    let text =
                        format!("File skipped. File must exist to apply a patch: {}\n", path_text(path));
                    self.log.message(MessageKind::Info, &text);
                    return Ok(None);
                }
                return Ok(Some(place));
            }
            Err(error) => return Err(error),
        };
        let is_dir = existing.kind() == FileKind::Directory;
        let wants_dir = record.file_type.is_directory();
        let ours = is_dir && wants_dir && self.tree.has_made_dir(path);
        let skip = match self.options.replace {
            Replace::Always => None,
            Replace::Never => (!ours).then_some("Already exists"),
            Replace::IfNewer => (!ours && stat.mtime <= existing.mtime).then_some("Not newer"),
            Replace::IfOlder => (stat.mtime >= existing.mtime).then_some("Not older"),
        };
        if !patch && let Some(reason) = skip {
            let text = format!("File skipped. {reason}: {}\n", path_text(path));
            self.log.message(MessageKind::Info, &text);
            return Ok(None);
        }
        let keep =
            patch || is_dir && wants_dir || matches!(record.file_type, FileType::RawDevice | FileType::Fifo);
        if !keep && let Err(error) = place.dir.remove(&place.name, is_dir) {
            let (path, reason) = (path_text(path), sys::error_text(&error));
            self.error(&format!("File {path} already exists and could not be replaced. ERR={reason}.\n"));
            return Ok(None);
        }
        if !keep {
            self.tree.forget();
        }
        Ok(Some(place))
    }

    /// Makes the entry; regular files wait for their data.
    fn make(&mut self, record: &AttrRecord<'_>, path: Vec<u8>, place: Place, stat: EncodedStat, patch: bool) {
        let made = self.make_entry(record, &path, &place, &stat, patch);
        let data = match made {
            Ok(data) => data,
            Err(error) => {
                let (path, reason) = (path_text(&path), sys::error_text(&error));
                return self.error(&format!("Could not create {path}: ERR={reason}\n"));
            }
        };
        self.touch_parent(&path);
        if self.log.wants(MessageKind::Restored) {
            self.log.message(MessageKind::Restored, &format!("{}\n", path_text(&path)));
        }
        self.current = Some(Current {
            path,
            place,
            stat,
            file_type: record.file_type,
            data,
            digests: Vec::new(),
            expected: None,
            had_data: false,
            broken: false,
            later: Vec::new(),
        });
    }

    fn make_entry(
        &mut self,
        record: &AttrRecord<'_>,
        path: &[u8],
        place: &Place,
        stat: &EncodedStat,
        patch: bool,
    ) -> io::Result<Option<DataWriter>> {
        let (dir, name) = (&place.dir, &place.name[..]);
        match record.file_type {
            FileType::Regular | FileType::RegularEmpty if patch => Ok(None),
            FileType::Regular | FileType::RegularEmpty | FileType::Base => {
                let file = dir.create_file(name)?;
                Ok(Some(DataWriter::new(file, false, &self.digest_plan)))
            }
            FileType::Symlink => {
                let target = if self.options.prefix_links {
                    self.options.names.link(record.link, stat.mtime)
                } else {
                    record.link.to_vec()
                };
                dir.make_symlink(&target, name)?;
                self.tree.made_link(&stat_at(dir, name)?);
                Ok(None)
            }
            FileType::HardLink => {
                let target = self.options.names.link(record.link, stat.mtime);
                let first = self.tree.existing(&target)?;
                dir.make_link(&first.dir, &first.name, name)?;
                Ok(None)
            }
            FileType::Special => self.make_special(place, stat).map(|()| None),
            FileType::RawDevice | FileType::Fifo => {
                if stat_at(dir, name).is_err() {
                    self.make_special(place, stat)?;
                }
                let file = match record.file_type {
                    FileType::Fifo => dir.open_fifo_write(name, FIFO_WAIT)?,
                    _ => dir.open_write(name)?,
                };
                Ok(Some(DataWriter::new(file, true, &self.digest_plan)))
            }
            file_type if file_type.is_directory() => {
                if name != b"." && stat_at(dir, name).is_err() {
                    dir.make_dir(name, 0o700)?;
                    self.tree.made_dir(path);
                }
                Ok(None)
            }
            _ => Err(io::Error::other("entries of this type cannot be restored here")),
        }
    }

    fn make_special(&self, place: &Place, stat: &EncodedStat) -> io::Result<()> {
        let kind = sys::FileStat { mode: stat.mode, ..sys::FileStat::default() }.kind();
        let mode = stat.mode & 0o7777;
        let node = |kind| sys::make_node(&place.dir, &place.name, kind, mode, stat.rdev);
        match kind {
            FileKind::Fifo => sys::make_fifo(&place.dir, &place.name, mode),
            FileKind::CharDevice => node(NodeKind::Char),
            FileKind::BlockDevice => node(NodeKind::Block),
            FileKind::Socket => node(NodeKind::Socket),
            FileKind::Regular | FileKind::Directory | FileKind::Symlink | FileKind::Other => {
                Err(io::Error::other("the record says a special file, its mode something else"))
            }
        }
    }

    /// A new entry changes the time of its directory: if that was set already, it is set again at the end.
    fn touch_parent(&mut self, path: &[u8]) {
        let body = path.strip_suffix(b"/").unwrap_or(path);
        let Some(at) = body.iter().rposition(|&b| b == b'/') else { return };
        let parent = &body[..at];
        if let Some(times) = self.dirs.get(&self.tree.path_hash(parent)) {
            self.dirs_again.insert(parent.to_vec(), *times);
        }
    }

    fn data(&mut self, stream: Stream, payload: &[u8]) {
        Counters::add(&self.counters.read_bytes, payload.len() as u64);
        let Some(current) = &mut self.current else { return };
        let (Some(writer), Some(layout), false) = (&mut current.data, stream.data_layout(), current.broken)
        else {
            return;
        };
        current.had_data = true;
        let before = writer.written;
        let result = writer.packet(layout, payload, &mut self.unpacker, &mut self.buffer);
        Counters::add(&self.counters.job_bytes, writer.written - before);
        if let Err(error) = result
            && let Some(mut current) = self.current.take()
        {
            self.data_error(&mut current, &error);
            self.current = Some(current);
        }
    }

    /// Tells once that an entry's data is not what it should be; what else it has is still restored.
    fn data_error(&self, current: &mut Current, error: &super::data::DataError) {
        current.broken = true;
        self.error(&format!("Data of {} could not be restored: {error}\n", path_text(&current.path)));
    }

    fn encrypted(&mut self) {
        if let Some(current) = &mut self.current
            && !current.broken
        {
            current.broken = true;
            self.error("No private decryption keys have been defined to decrypt encrypted backup data.\n");
        }
    }

    fn unsupported(&mut self, stream: Stream) {
        let text = format!("{} stream not supported on this Client.\n", stream_name(stream));
        self.log.message(MessageKind::Error, &text);
    }

    /// Closes the entry: checks, then owner, mode and times, then ACLs and attributes.
    fn finish_current(&mut self) {
        let Some(mut current) = self.current.take() else { return };
        let mut wrong = 0;
        if let Some(writer) = current.data.take() {
            let end = writer.end;
            match writer.finish() {
                Ok(digests) => current.digests = digests,
                Err(error) => self.data_error(&mut current, &error),
            }
            wrong += u64::from(!self.check_size(&current, end));
        }
        wrong += u64::from(!self.check_digest(&current));
        self.settle(&current, wrong);
        let Current { path, place, stat, file_type, later, .. } = &current;
        if *file_type != FileType::HardLink {
            self.meta.attributes(path, place, stat, *file_type);
        }
        for (stream, payload) in later {
            self.meta.stream(path, place, *stream, payload);
        }
        if file_type.is_directory() {
            let times = DirTimes { atime: stat.atime, mtime: stat.mtime };
            self.dirs.insert(self.tree.path_hash(path), times);
            self.dirs_again.remove(path.strip_suffix(b"/").unwrap_or(path));
        }
    }

    /// A file that was not right and came once more, right, from another Volume is no error any more.
    fn settle(&self, current: &Current, wrong: u64) {
        if wrong > 0 {
            self.counters.note_spoiled(&current.path, wrong);
        } else if !current.broken && self.counters.note_mended(&current.path) {
            let path = path_text(&current.path);
            self.log.message(MessageKind::Info, &format!("{path} came once more and is right now.\n"));
        }
    }

    /// Whether the size is right.
    fn check_size(&self, current: &Current, end: u64) -> bool {
        let size = current.stat.size;
        if current.file_type == FileType::Regular && !current.broken && size > 0 && end != size {
            let (path, want, got) = (path_text(&current.path), commas(size), commas(end));
            self.error(&format!(
                "File size of restored file {path} not correct. Original {want}, restored {got}.\n"
            ));
            return false;
        }
        true
    }

    /// Bacula checks nothing here (spec/02 §7.7 9); a restored file that is not what was saved must not pass as good.
    fn check_digest(&mut self, current: &Current) -> bool {
        if current.file_type == FileType::HardLink || current.broken {
            return true;
        }
        let Some((kind, expected)) = &current.expected else {
            if current.had_data {
                self.digest_plan.learn(None);
            }
            return true;
        };
        self.digest_plan.learn(Some(*kind));
        // Version 15.0 writes the 128-bit value under both numbers.
        let computed_as = if *kind == DigestKind::Xxh3x64 { DigestKind::Xxh3x128 } else { *kind };
        let found = current.digests.iter().find(|(have, _)| *have == *kind || *have == computed_as);
        let Some((_, computed)) = found else { return true };
        if computed != expected && !(expected.len() < computed.len() && computed.ends_with(expected)) {
            let path = path_text(&current.path);
            let (want, got) = (attrs::base64_encode(expected), attrs::base64_encode(computed));
            self.error(&format!(
                "{} digest of restored file {path} not correct. Original {want}, restored {got}.\n",
                kind.name()
            ));
            return false;
        }
        true
    }
}

/// Name of a data stream in messages.
fn stream_name(stream: Stream) -> &'static str {
    match stream.kind() {
        StreamKind::Win32Data => "Windows file data",
        StreamKind::Win32GzipData => "Windows GZIP data",
        StreamKind::Win32CompressedData => "Windows compressed data",
        StreamKind::EncryptedFileData => "Encrypted File data",
        StreamKind::EncryptedFileGzipData => "Encrypted GZIP data",
        StreamKind::EncryptedFileCompressedData => "Encrypted compressed data",
        StreamKind::EncryptedWin32Data => "Encrypted Windows file data",
        StreamKind::EncryptedWin32GzipData => "Encrypted Windows GZIP data",
        StreamKind::EncryptedWin32CompressedData => "Encrypted Windows compressed data",
        StreamKind::MacosForkData | StreamKind::EncryptedMacosForkData => "MacOS Fork data",
        _ => "Unknown",
    }
}

/// A number with commas between groups of three digits, as messages have it.
#[must_use]
pub(crate) fn commas(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas() {
        assert_eq!([0, 999, 1000, 1_234_567].map(commas), ["0", "999", "1,000", "1,234,567"]);
    }
}
