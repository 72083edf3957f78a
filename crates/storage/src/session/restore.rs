//! A restore: the records that a bootstrap selects go to the client; what is damaged is named and never sent as good.
//!
//! The reading job of a copy ([`run_copy_source`]) is the same with another Storage Daemon in the client's place.

mod copy;
mod load;
mod open;
mod passes;

pub use copy::run_copy_source;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use net::blocking::{Conn, PacketReader, PacketWriter};
use types::{FileIndex, JobStatus, VolAddr, VolSession, VolumeName};
use volume::label::index::SOS_LABEL;
use volume::{
    Assembler, BlockError, BlockPlace, Bsr, BsrVolume, Integrity, Piece, Record, Selection, Selector,
    SessionLabel, VolumeBlock, VolumeReader,
};
use wire::Signal;

use self::open::Source;
use super::client::{ClientError, expect, hear_out, recv_line};
use super::mount::chain;
use super::seen::Seen;
use crate::daemon::Daemon;
use crate::device::{Device, VolumeReply};
use crate::job::message::Kind;
use crate::job::{Job, JobEnd, OutboxError, StopRequest};

/// Files that are named one by one in messages; more are counted.
const NAMED_MAX: u32 = 200;

/// Why a restore ended before its time.
#[derive(Debug, thiserror::Error)]
enum RestoreError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error("the bootstrap cannot be used")]
    Select(#[from] volume::SelectError),
    #[error("the Director sent no bootstrap")]
    NoBootstrap,
    #[error("the job was canceled")]
    Stopped,
}

/// Runs a job that reads: restore, verify of a Volume.
pub fn run_restore(daemon: &Arc<Daemon>, job: &Arc<Job>, device: &Arc<Device>, conn: Conn) -> JobEnd {
    let (mut reader, writer, _peer, closer) = conn.split();
    let mut session = match Session::new(daemon, job, device, writer, Sink::Client) {
        Ok(session) => session,
        Err(error) => return failed(job, &error),
    };
    let result = session.dialogue(&mut reader);
    let end = session.end(result, "restored");
    closer.close();
    end
}

/// Who gets the records.
#[derive(Debug)]
enum Sink {
    /// A File Daemon that restores.
    Client,
    /// The Storage Daemon that writes a copy.
    Storage(copy::Runs),
}

fn failed(job: &Job, error: &RestoreError) -> JobEnd {
    let message = chain(error);
    match job.stop.get() {
        StopRequest::Cancel => return JobEnd { status: JobStatus::Canceled, message },
        StopRequest::Stop => return JobEnd { status: JobStatus::Incomplete, message },
        StopRequest::None => {}
    }
    job.errors.fetch_add(1, Ordering::Relaxed);
    job.outbox.message(Kind::Fatal, &message);
    JobEnd { status: JobStatus::FatalError, message }
}

/// How far a session has been read.
#[derive(Debug, Default)]
struct Track {
    /// File of the last piece.
    index: FileIndex,
    /// Its name, from its attribute record.
    name: Option<String>,
    /// Whether the last record of the file was its digest: nothing of it is missing then.
    has_digest: bool,
    /// Number that the next block should have.
    next_number: Option<u32>,
    /// Something was lost since the last piece.
    has_gap: bool,
    /// A file whose data must not be taken as good.
    bad: Option<FileIndex>,
}

struct Session<'a> {
    daemon: &'a Arc<Daemon>,
    job: &'a Arc<Job>,
    device: &'a Arc<Device>,
    writer: PacketWriter,
    bsr: Bsr,
    selector: Selector,
    assembler: Assembler,
    tracks: HashMap<VolSession, Track>,
    seen: Seen,
    damaged_files: u32,
    header: Vec<u8>,
    files: u32,
    last_file: Option<(VolSession, FileIndex)>,
    sink: Sink,
}

impl<'a> Session<'a> {
    fn new(
        daemon: &'a Arc<Daemon>,
        job: &'a Arc<Job>,
        device: &'a Arc<Device>,
        writer: PacketWriter,
        sink: Sink,
    ) -> Result<Self, RestoreError> {
        let bsr = job.state().bsr.clone().ok_or(RestoreError::NoBootstrap)?;
        let selector = Selector::new(&bsr)?;
        Ok(Self {
            daemon,
            job,
            device,
            writer,
            bsr,
            selector,
            assembler: Assembler::new(),
            tracks: HashMap::new(),
            seen: Seen::default(),
            damaged_files: 0,
            header: Vec::new(),
            files: 0,
            last_file: None,
            sink,
        })
    }

    /// How the job ended; `done` says what was to be done with the files.
    fn end(&self, result: Result<(), RestoreError>, done: &str) -> JobEnd {
        match result {
            Ok(()) if self.damaged_files > 0 => {
                let message =
                    format!("{} files could not be {done} because Volumes are damaged", self.damaged_files);
                JobEnd { status: JobStatus::ErrorTerminated, message }
            }
            Ok(()) if self.job.errors.load(Ordering::Relaxed) > 0 => JobEnd {
                status: JobStatus::ErrorTerminated,
                message: format!("some files could not be {done}"),
            },
            Ok(()) => JobEnd { status: JobStatus::Terminated, message: String::new() },
            Err(error) => failed(self.job, &error),
        }
    }

    fn dialogue(&mut self, reader: &mut PacketReader) -> Result<(), RestoreError> {
        expect(reader, "read open session")?;
        self.job.is_opened.store(true, std::sync::atomic::Ordering::Relaxed);
        let open = format!("3000 OK open ticket = {}\n", self.job.session.id);
        self.writer.send(open).map_err(ClientError::from)?;
        loop {
            let line = recv_line(reader)?;
            if line.starts_with(b"read data ") {
                break;
            }
            if !line.starts_with(b"read control ") {
                let got = wire::scan::shorten(&line);
                return Err(ClientError::Unexpected { wanted: "read data", got }.into());
            }
        }
        self.writer.send(b"3000 OK data\n").map_err(ClientError::from)?;
        let result = self.read_volumes();
        self.writer.signal(Signal::Eod).map_err(ClientError::from)?;
        self.writer.flush().map_err(ClientError::from)?;
        result?;
        self.farewell(reader);
        Ok(())
    }

    fn farewell(&mut self, reader: &mut PacketReader) {
        let talk = (|| -> Result<(), ClientError> {
            expect(reader, "read close session")?;
            self.writer.data(format!("3000 OK close Status = {}\n", JobStatus::Running.code()).as_bytes())?;
            self.writer.signal(Signal::Eod)?;
            self.writer.flush()?;
            Ok(())
        })();
        if let Err(error) = talk {
            tracing::info!(job = %self.job.spec.id, error = chain(&error), "the client left without saying good-bye");
        }
        hear_out(reader);
    }

    fn read_volumes(&mut self) -> Result<(), RestoreError> {
        for pass in passes::passes(&self.bsr) {
            self.selector = Selector::new(&pass)?;
            self.seen = Seen::default();
            self.read_pass(&pass)?;
        }
        Ok(())
    }

    fn read_pass(&mut self, pass: &Bsr) -> Result<(), RestoreError> {
        for volume in pass.volumes() {
            if self.selector.is_done() {
                break;
            }
            if self.selector.wants_volume(&volume.name) {
                self.read_volume(volume)?;
            }
            self.selector.finish_volume(&volume.name);
        }
        for record in self.assembler.abandon_all() {
            self.deliver(&record)?;
        }
        self.report_missing();
        Ok(())
    }

    fn read_volume(&mut self, volume: &BsrVolume) -> Result<(), RestoreError> {
        let request = format!(
            "CatReq JobId={} GetVolInfo VolName={} write=0",
            self.job.spec.id,
            types::bash_spaces(&volume.name)
        );
        let known = match VolumeReply::parse(&self.job.outbox.request(&request)?) {
            VolumeReply::Found(info) if info.in_changer => u32::try_from(info.slot).ok(),
            VolumeReply::Found(_) => None,
            VolumeReply::Refused(reason) => {
                let text = format!("The catalog does not know Volume \"{}\" well: {reason}", volume.name);
                self.job.outbox.message(Kind::Warning, &text);
                None
            }
        };
        let slot = known.or(volume.slot).unwrap_or(0);
        let (device, path) = self.find_file(volume);
        let opened = self.bring(volume, slot, &device, &path)?;
        let mut reader = match opened {
            Ok(reader) => reader,
            Err(why) => {
                self.volume_is_missing(volume, &path, &why);
                return Ok(());
            }
        };
        let on = format!("{} device {}", device.kind.as_str(), device.print_name());
        self.job
            .outbox
            .message(Kind::Info, &format!("Ready to read from volume \"{}\" on {on}.", volume.name));
        volume.name.clone_into(&mut self.job.state().volume);
        {
            let mut state = self.device.state();
            state.reading = Some(volume.name.clone());
            if matches!(state.blocked, Some(crate::device::Blocked::NeedsMount { .. })) {
                state.blocked = None;
            }
        }
        self.tracks.clear();
        let end = self.read_blocks(&mut reader, &volume.name)?;
        self.job.outbox.message(
            Kind::Info,
            &format!("End of Volume \"{}\" at addr={end} on device {}.", volume.name, device.print_name()),
        );
        Ok(())
    }

    /// Where the Volume is: in the reserved device's directory, else in that of another device of its Media Type.
    fn find_file(&self, volume: &BsrVolume) -> (Arc<Device>, PathBuf) {
        let Some(name) = VolumeName::new(&volume.name).ok().filter(VolumeName::is_file_name) else {
            return (Arc::clone(self.device), self.device.directory().join(&volume.name));
        };
        let own = (Arc::clone(self.device), self.device.volume_path(&name));
        if self.device.is_drive || own.1.exists() {
            return own;
        }
        let fits = |d: &&Arc<Device>| {
            let by_type = volume.media_type.as_ref().is_none_or(|t| *t == d.config.media_type);
            !d.is_drive && (by_type || volume.device.as_deref() == Some(d.name()))
        };
        let other = self.daemon.devices.iter().filter(fits).find(|d| d.volume_path(&name).exists());
        other.map_or(own, |d| (Arc::clone(d), d.volume_path(&name)))
    }

    fn volume_is_missing(&mut self, volume: &BsrVolume, path: &std::path::Path, why: &str) {
        let indexes: Vec<String> = self
            .bsr
            .sections
            .iter()
            .filter(|s| s.volumes.iter().any(|v| v.name == volume.name))
            .flat_map(|s| &s.indexes)
            .map(|r| format!("{}-{}", r.start(), r.end()))
            .take(50)
            .collect();
        self.job.error(&format!(
            "Volume \"{}\" cannot be read: {why} ({}). Its files (FileIndex {}) are not restored; bring the Volume back there, or \
             restore them from a copy.",
            volume.name,
            path.display(),
            if indexes.is_empty() { "all".to_owned() } else { indexes.join(", ") }
        ));
    }

    /// Reads the blocks that are wanted; gives the address where reading stopped.
    fn read_blocks(
        &mut self,
        reader: &mut VolumeReader<Source>,
        volume: &str,
    ) -> Result<VolAddr, RestoreError> {
        self.go_on(reader, volume, true)?;
        let addressing = reader.addressing();
        let mut read_bytes = 0;
        loop {
            if self.job.stop.get() != StopRequest::None {
                return Err(RestoreError::Stopped);
            }
            if !self.selector.wants_volume(volume) {
                break;
            }
            match reader.next_block() {
                Err(error) => {
                    let text = format!(
                        "Read error on Volume \"{volume}\": {}. What follows on it is not restored; check the disk.",
                        chain(&error)
                    );
                    self.job.error(&text);
                    self.lose(None);
                    break;
                }
                Ok(VolumeBlock::End) => break,
                Ok(VolumeBlock::Damage(damage)) => {
                    if self.is_wanted(volume, damage.at, damage.bytes) {
                        self.job.error(&format!(
                            "Volume \"{volume}\" is damaged at addr={} ({} bytes): {}.",
                            damage.at, damage.bytes, damage.reason
                        ));
                        self.lose(None);
                    }
                    if matches!(damage.reason, BlockError::Encrypted { .. }) {
                        break;
                    }
                }
                Ok(VolumeBlock::Block { at, block }) => {
                    let header = block.header;
                    read_bytes += u64::from(header.len);
                    let place = BlockPlace { volume, start: at, end: addressing.last(at, header.len) };
                    self.selector.pass_address(volume, at);
                    // A job that went on after a break wrote its session once more, with numbers from the beginning.
                    if block.pieces().next().is_some_and(|piece| piece.index == SOS_LABEL) {
                        self.tracks.entry(header.session).or_default().next_number = None;
                    }
                    self.check_number(header.session, header.number);
                    for piece in block.pieces() {
                        self.piece(place, &piece)?;
                    }
                }
            }
            if self.selector.take_changed() {
                self.go_on(reader, volume, false)?;
            }
        }
        self.device.state().read_bytes += read_bytes;
        self.end_of_volume();
        Ok(reader.address())
    }

    /// Whether a stretch of the Volume may hold something that is wanted.
    fn is_wanted(&self, volume: &str, at: VolAddr, bytes: u64) -> bool {
        self.selector.next_address(volume, at).is_some_and(|next| next.0 < at.0 + bytes)
    }

    /// Goes to the next wanted block.
    fn go_on(
        &mut self,
        reader: &mut VolumeReader<Source>,
        volume: &str,
        is_first: bool,
    ) -> Result<(), RestoreError> {
        let here = reader.address();
        let Some(next) = self.selector.next_address(volume, here).filter(|next| *next > here) else {
            return Ok(());
        };
        if is_first {
            let text = format!("Forward spacing Volume \"{volume}\" to addr={next}");
            self.job.outbox.message(Kind::Info, &text);
        }
        for track in self.tracks.values_mut() {
            track.next_number = None;
        }
        if let Err(error) = reader.seek(next) {
            self.job.error(&format!("Seek error on Volume \"{volume}\": {}", chain(&error)));
        }
        Ok(())
    }

    /// A block number that is not the next one of its session: a block is missing (spec/03 §1.3).
    fn check_number(&mut self, session: VolSession, number: u32) {
        let track = self.tracks.entry(session).or_default();
        let is_next = track.next_number.is_none_or(|n| n == number || n == number.wrapping_add(1));
        track.next_number = Some(number.wrapping_add(1));
        if !is_next {
            self.lose(Some(session));
        }
    }

    /// Something of a session (or of any) is lost.
    fn lose(&mut self, session: Option<VolSession>) {
        let mut bad = Vec::new();
        for (known, track) in &mut self.tracks {
            if session.is_some_and(|s| s != *known) {
                continue;
            }
            track.has_gap = true;
            track.next_number = None;
            if let Some(record) = self.assembler.abandon(*known) {
                bad.push((*known, record.index));
            }
        }
        for (session, index) in bad {
            self.mark_bad(session, index);
        }
    }

    /// A file must not be taken as good: said once, with its name where that is known.
    fn mark_bad(&mut self, session: VolSession, index: FileIndex) {
        let track = self.tracks.entry(session).or_default();
        if track.bad == Some(index) {
            return;
        }
        track.bad = Some(index);
        let name = track.name.as_ref().filter(|_| track.index == index).cloned();
        self.damaged_files += 1;
        if self.damaged_files <= NAMED_MAX {
            let name = name.map_or_else(String::new, |n| format!(" \"{n}\""));
            self.job.error(&format!(
                "File{name} (FileIndex {index} of session {session}) is damaged on the Volume and is not restored in full."
            ));
        }
    }

    fn piece(&mut self, place: BlockPlace<'_>, piece: &Piece<'_>) -> Result<(), RestoreError> {
        if piece.index.0 <= 0 {
            if let Ok(label) = SessionLabel::decode(piece.index, piece.data) {
                self.selector.note_label(piece.session, &label);
            }
            return Ok(());
        }
        let stream = piece.stream_id();
        let is_attributes = matches!(stream & 0x7FF, 1 | 5) && !piece.is_continuation();
        let name = is_attributes.then(|| file_name(piece.data)).flatten();
        let selected = self.selector.select(place, piece.session, piece.index, stream, name.as_deref());
        let Selection::Wanted(section) = selected else { return Ok(()) };
        self.seen.note(section, piece.index);
        self.follow(piece, is_attributes, name);
        let (broken, whole) = self.assembler.push(piece);
        if let Some(record) = broken {
            self.deliver(&record)?;
        }
        if let Some(record) = whole {
            self.deliver(&record)?;
        }
        Ok(())
    }

    /// Keeps track of the file that a session is at, and closes a gap.
    fn follow(&mut self, piece: &Piece<'_>, is_attributes: bool, name: Option<String>) {
        let track = self.tracks.entry(piece.session).or_default();
        let had_gap = std::mem::take(&mut track.has_gap);
        let (before, was_whole) = (track.index, track.has_digest);
        let is_new = piece.index != before;
        if had_gap && before.0 > 0 && !(is_new && was_whole) {
            self.mark_bad(piece.session, before);
        }
        if is_new {
            let track = self.tracks.entry(piece.session).or_default();
            track.index = piece.index;
            track.has_digest = false;
            track.name = name;
            // On another Volume a file goes on without its attributes; after a gap that is a loss.
            if had_gap && !is_attributes {
                self.mark_bad(piece.session, piece.index);
            }
        }
        let track = self.tracks.entry(piece.session).or_default();
        track.has_digest = is_digest(piece.stream_id());
    }

    fn end_of_volume(&mut self) {
        let open: Vec<(VolSession, FileIndex)> = self
            .tracks
            .iter()
            .filter(|(_, t)| t.has_gap && t.index.0 > 0 && !t.has_digest)
            .map(|(s, t)| (*s, t.index))
            .collect();
        for (session, index) in open {
            self.mark_bad(session, index);
        }
    }

    /// Sends a record, unless it is damaged or belongs to a file that is.
    fn deliver(&mut self, record: &Record<'_>) -> Result<(), RestoreError> {
        match record.integrity {
            Integrity::Whole => {}
            Integrity::HeadMissing | Integrity::TailMissing => {
                self.mark_bad(record.session, record.index);
                return Ok(());
            }
        }
        let is_bad = self.tracks.get(&record.session).is_some_and(|t| t.bad == Some(record.index));
        // The digest still goes out: by it the client sees for itself that the file is not as it was.
        if is_bad && !is_digest(record.stream) {
            return Ok(());
        }
        self.count(record);
        if let Sink::Storage(runs) = &mut self.sink {
            return runs.put(self.job, &mut self.writer, record);
        }
        use std::io::Write as _;
        self.header.clear();
        let _ = write!(
            self.header,
            "rechdr {} {} {} {} {}",
            record.session.id,
            record.session.time,
            record.index,
            record.stream,
            record.data.len()
        );
        self.writer.data(&self.header).map_err(ClientError::from)?;
        self.writer.data(&record.data).map_err(ClientError::from)?;
        Ok(())
    }

    fn count(&mut self, record: &Record<'_>) {
        let file = (record.session, record.index);
        if self.last_file != Some(file) {
            self.last_file = Some(file);
            self.files += 1;
            self.job.files.store(self.files, Ordering::Relaxed);
        }
        self.job.bytes.fetch_add(record.data.len() as u64, Ordering::Relaxed);
    }

    /// Names what the bootstrap asked for and no Volume gave.
    fn report_missing(&mut self) {
        let seen = &self.seen;
        let missing = self.selector.missing(|section, index| seen.has(section, index));
        let mut said = 0;
        for (position, range) in missing {
            let Some(section) = self.selector.section(position) else { continue };
            let count = (range.end() - range.start() + 1).cast_unsigned();
            // Copies of one session in several sections ask for a file where only a part of it is.
            self.damaged_files += count;
            said += 1;
            if said > NAMED_MAX {
                continue;
            }
            let volumes: Vec<&str> = section.volumes.iter().map(|v| v.name.as_str()).collect();
            let sessions: Vec<String> = section.session_ids.iter().map(|r| r.start().to_string()).collect();
            self.job.error(&format!(
                "Not found on Volume \"{}\" and not restored: FileIndex {}-{} of session {}:{}.",
                volumes.join("|"),
                range.start(),
                range.end(),
                sessions.join(","),
                section.session_times.first().copied().unwrap_or(0)
            ));
        }
    }
}

/// Name in an attribute record: `FileIndex FileType name NUL …` (spec/03 §3.4).
fn file_name(data: &[u8]) -> Option<String> {
    let mut parts = data.splitn(3, |b| *b == b' ');
    let rest = parts.nth(2)?;
    let name = rest.split(|b| *b == 0).next()?;
    Some(String::from_utf8_lossy(name).into_owned())
}

fn is_digest(stream: i32) -> bool {
    matches!(stream & 0x7FF, 3 | 10 | 17 | 18 | 39..=41)
}
