//! Verify jobs (spec/02 §7.5): the client reports, the Director compares; only Verify Data compares here.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use attrs::{AttrRecord, DigestKind, EncodedStat, FileType, Stream};
use bytes::Bytes;
use types::JobStatus;

use super::{Direct, expand_all, guarded};
use crate::accurate::AccurateList;
use crate::backup::{Action, Selection, Selector, Take, digest_of, encoded_stat};
use crate::codec::Unpacker;
use crate::counters::Counters;
use crate::digest::Digester;
use crate::fileset::FileSet;
use crate::job::Job;
use crate::message::{JobLog, MessageKind, path_text};
use crate::storage::{StorageError, StorageSession};
use crate::walk::{Entry, walk_include};

/// Walks the FileSet as a Full and reports every entry to the Director.
pub fn run_disk(job: &Arc<Job>, set: &FileSet, direct: &Direct) {
    guarded(job, "the verification", || {
        job.set_status(JobStatus::Running);
        let files = match expand_all(set, job) {
            Ok(files) => files,
            Err(error) => return job.message(MessageKind::Fatal, &format!("{error}\n")),
        };
        let report = Report { job, set, direct, index: 0, first: HashMap::new() };
        let mut selector =
            Selector::new(set, Selection::Full, None, report, &job.counters, &job.stop, &**job);
        for (index, entries) in files.iter().enumerate() {
            if walk_include(set, index, entries, &mut selector) == ControlFlow::Break(()) {
                break;
            }
        }
    });
}

/// Reports entries to the Director.
struct Report<'a> {
    job: &'a Arc<Job>,
    set: &'a FileSet,
    direct: &'a Direct,
    index: i32,
    /// First names of inodes with several links.
    first: HashMap<(u64, u64), Box<[u8]>>,
}

impl Report<'_> {
    fn send(&self, packet: Vec<u8>) -> ControlFlow<()> {
        match self.direct.blocking_send(Bytes::from(packet)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

impl Take for Report<'_> {
    fn take(
        &mut self,
        entry: &Entry<'_>,
        stored: &[u8],
        file_type: FileType,
        action: Action,
        link: &[u8],
    ) -> ControlFlow<()> {
        self.index += 1;
        Counters::add(&self.job.counters.files, 1);
        self.job.counters.set_current(entry.path);
        let key = (entry.stat.dev, entry.stat.ino);
        let first = if action == Action::MaybeLink { self.first.get(&key).cloned() } else { None };
        if first.is_none() && entry.stat.nlink > 1 && !file_type.is_directory() {
            self.first.insert(key, stored.into());
        }
        let link = first.as_deref().unwrap_or(link);
        let mut packet = record_packet(self.index, &self.set.includes[entry.include].verify, stored);
        encoded_stat(entry.stat, 0, Stream(0)).encode(&mut packet);
        packet.push(0);
        packet.extend_from_slice(link);
        packet.push(0);
        self.send(packet)?;
        let options = self.set.options(entry.options);
        let regular = matches!(file_type, FileType::Regular | FileType::RegularEmpty);
        let Some(kind) = options.digest.filter(|_| regular && first.is_none()) else {
            return ControlFlow::Continue(());
        };
        match digest_of(entry.dir, entry.name, entry.stat, options) {
            Ok(digest) => {
                Counters::add(&self.job.counters.read_bytes, entry.stat.size);
                Counters::add(&self.job.counters.job_bytes, entry.stat.size);
                self.send(digest_packet(self.index, kind, &digest))
            }
            Err(error) => {
                let (path, reason) = (path_text(entry.path), sys::error_text(&error));
                self.job
                    .message(MessageKind::NotSaved, &format!("     Cannot open \"{path}\": ERR={reason}.\n"));
                ControlFlow::Continue(())
            }
        }
    }

    fn takes_sockets(&self) -> bool {
        true
    }
}

fn record_packet(index: i32, letters: &str, name: &[u8]) -> Vec<u8> {
    let mut packet = format!("{index} 1 {letters} ").into_bytes();
    packet.extend_from_slice(name);
    packet.push(0);
    packet
}

fn digest_packet(index: i32, kind: DigestKind, digest: &[u8]) -> Vec<u8> {
    let text = attrs::base64_encode(digest);
    format!("{index} {} {text} *{}-{index}*", kind.stream(), kind.name()).into_bytes()
}

/// Reads a Volume: reports its records to the Director (`volume`) or compares data and digests here (`data`).
pub fn run_volume(
    job: &Arc<Job>,
    mut storage: StorageSession,
    set: &FileSet,
    data: bool,
    accurate: Option<AccurateList>,
    direct: &Direct,
) {
    guarded(job, "the verification", || {
        job.set_status(JobStatus::Running);
        let result = if data {
            verify_data(job, &mut storage, set, accurate)
        } else {
            report_volume(job, &mut storage, direct)
        };
        if let Err(error) = result
            && !job.stop.is_ending()
        {
            job.message(MessageKind::Fatal, &format!("{error}\n"));
        }
    });
    storage.terminate();
    job.set_closer(None);
}

fn report_volume(job: &Arc<Job>, storage: &mut StorageSession, direct: &Direct) -> Result<(), StorageError> {
    let ticket = storage.read_open(job.identity.session)?;
    let mut index = 0;
    storage.read_records(|header, payload| {
        let stream = Stream(header.stream);
        if job.stop.is_ending() {
            return false;
        }
        let packet = if stream.is_attributes() {
            let Ok(record) = AttrRecord::decode(payload) else { return true };
            Counters::add(&job.counters.files, 1);
            index = if record.file_type == FileType::Deleted { 0 } else { record.file_index };
            let mut packet = record_packet(index, "pinsug5", record.name);
            packet.extend_from_slice(record.lstat);
            packet.push(0);
            packet.extend_from_slice(record.link);
            packet.push(0);
            packet
        } else if let Some(kind) = DigestKind::of_stream(stream) {
            digest_packet(index, kind, payload)
        } else {
            return true;
        };
        direct.blocking_send(Bytes::from(packet)).is_ok()
    })?;
    storage.read_close(ticket)
}

/// A file of which data is being compared.
struct Checked {
    name: Vec<u8>,
    stat: EncodedStat,
    file_type: FileType,
    size: u64,
    digester: Option<(DigestKind, Digester)>,
    expected: Option<Vec<u8>>,
    broken: bool,
}

fn verify_data(
    job: &Arc<Job>,
    storage: &mut StorageSession,
    set: &FileSet,
    mut accurate: Option<AccurateList>,
) -> Result<(), StorageError> {
    let ticket = storage.read_open(job.identity.session)?;
    let letters: String = set.includes.iter().map(|include| include.verify.as_str()).collect();
    let kind = set.options.iter().find_map(|options| options.digest);
    let kind = kind.filter(|_| letters.bytes().any(|letter| matches!(letter, b'1' | b'2' | b'3' | b'5')));
    let sizes = letters.contains('s');
    let (mut unpacker, mut buffer, mut current) = (Unpacker::default(), Vec::new(), None::<Checked>);
    storage.read_records(|header, payload| {
        let stream = Stream(header.stream);
        if stream.is_attributes() {
            if let Some(done) = current.take() {
                compare(job, &done, sizes, accurate.as_mut());
            }
            current = checked(payload, kind);
            Counters::add(&job.counters.files, 1);
        } else if let (Some(layout), Some(file)) = (stream.data_layout(), &mut current) {
            Counters::add(&job.counters.read_bytes, payload.len() as u64);
            take_data(job, file, layout, payload, &mut unpacker, &mut buffer);
        } else if let (Some(found), Some(file)) = (DigestKind::of_stream(stream), &mut current)
            && Some(found) == kind
        {
            file.expected = Some(payload.to_vec());
        }
        !job.stop.is_ending()
    })?;
    if let Some(done) = current.take() {
        compare(job, &done, sizes, accurate.as_mut());
    }
    if let Some(list) = &accurate {
        list.for_each(false, |name, _| {
            differs(job, &format!("   File in the catalog but not on the Volume: {}\n", path_text(name)));
            true
        });
    }
    storage.read_close(ticket)
}

fn checked(payload: &[u8], kind: Option<DigestKind>) -> Option<Checked> {
    let record = AttrRecord::decode(payload).ok()?;
    let stat = EncodedStat::decode(record.lstat).ok()?;
    let has_data =
        matches!(record.file_type, FileType::Regular | FileType::RegularEmpty | FileType::RawDevice);
    Some(Checked {
        name: record.name.to_vec(),
        stat,
        file_type: record.file_type,
        size: 0,
        // Further hard links carry the first one's digest and no data: there is nothing to compare (spec/02 §7.5).
        digester: kind.filter(|_| has_data).map(|kind| (kind, Digester::new(kind))),
        expected: None,
        broken: false,
    })
}

fn take_data(
    job: &Arc<Job>,
    file: &mut Checked,
    layout: attrs::DataLayout,
    payload: &[u8],
    unpacker: &mut Unpacker,
    buffer: &mut Vec<u8>,
) {
    if layout.encrypted || layout.win32 || file.broken {
        file.digester = None;
        file.broken = true;
        return;
    }
    let mut packet = payload;
    if layout.offset {
        match attrs::split_offset(packet) {
            Ok((offset, rest)) => {
                file.size = offset;
                packet = rest;
            }
            Err(error) => return broken(job, file, &error.to_string()),
        }
    }
    let result = if layout.gzip {
        unpacker.gunzip(packet, buffer)
    } else if layout.header {
        unpacker.unpack(packet, buffer)
    } else {
        buffer.clear();
        buffer.extend_from_slice(packet);
        Ok(())
    };
    if let Err(error) = result {
        return broken(job, file, &error.to_string());
    }
    file.size += buffer.len() as u64;
    Counters::add(&job.counters.job_bytes, buffer.len() as u64);
    if let Some((_, digester)) = &mut file.digester {
        digester.update(buffer);
    }
}

fn broken(job: &Arc<Job>, file: &mut Checked, reason: &str) {
    file.broken = true;
    job.message(MessageKind::Error, &format!("Data of {} cannot be read: {reason}\n", path_text(&file.name)));
}

fn differs(job: &Arc<Job>, text: &str) {
    job.message(MessageKind::Info, text);
    job.set_status(JobStatus::Differences);
}

fn compare(job: &Arc<Job>, file: &Checked, sizes: bool, accurate: Option<&mut AccurateList>) {
    let name = path_text(&file.name);
    let regular = matches!(file.file_type, FileType::Regular | FileType::RegularEmpty);
    if sizes && regular && !file.broken && file.size != file.stat.size {
        differs(
            job,
            &format!("   st_size  differs on \"{name}\". Vol: {} File: {}\n", file.stat.size, file.size),
        );
    }
    let computed = match &file.digester {
        Some((kind, digester)) if !file.broken => {
            Some((*kind, attrs::base64_encode(&digester.clone().finish())))
        }
        _ => None,
    };
    if let (Some((kind, computed)), Some(expected)) = (&computed, &file.expected) {
        let expected = attrs::base64_encode(expected);
        if *computed != expected {
            let kind = kind.name();
            differs(
                job,
                &format!("   {kind} digest differs on \"{name}\". File={computed} Vol={expected}\n"),
            );
        }
    }
    let Some(list) = accurate else { return };
    let Some(known) = list.get(&file.name) else { return };
    let (id, digest) = (known.id, path_text(known.digest));
    let size = EncodedStat::decode(known.lstat).map_or(0, |stat| stat.size);
    if regular && size != file.stat.size {
        differs(job, &format!("   Cat st_size differs on \"{name}\". Cat: {size} Vol: {}\n", file.stat.size));
    }
    if let Some((_, computed)) = &computed
        && !digest.is_empty()
        && digest != *computed
    {
        differs(job, &format!("   Cat checksum differs on \"{name}\". Cat={digest} Vol={computed}\n"));
    }
    list.mark(id);
}
