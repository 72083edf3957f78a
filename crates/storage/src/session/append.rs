//! A backup: packets become records, records blocks, blocks go to a Volume.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use net::blocking::{Conn, PacketReader, PacketWriter};
use types::{FileIndex, JobStatus, VolAddr, VolTime};
use volume::{BlockBuilder, SessionEnd, SessionLabel};
use wire::{PacketRef, Signal};

use super::checkpoint::{Checkpoints, Policy};
use super::client::{ClientError, expect, recv_line, say_failed};
use super::mount::{MountError, Mounting, chain, format_of};
use super::report::report_volume;
use crate::daemon::Daemon;
use crate::device::{Device, FullReason, Mounted};
use crate::job::message::{self, Kind};
use crate::job::{Job, JobEnd, JobPhase, Outbox, StopRequest};
use crate::text::{clock, unix_now_us, with_commas, with_suffix};

/// Blocks are collected up to this many bytes and written at once.
const RUN_BYTES: usize = 1 << 20;
/// A slow client's blocks are written after this time.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// How long a failed job's client may take to notice.
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Why a backup ended before its time.
#[derive(Debug, thiserror::Error)]
enum AppendError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error(transparent)]
    Volume(#[from] crate::device::VolumeError),
    #[error("checkpoint: {0}")]
    Checkpoint(String),
    #[error("FileIndex {got} came after {before}: the client's stream is out of order")]
    Order { got: i32, before: i32 },
}

/// Runs a backup job whose client is connected.
pub fn run_backup(daemon: &Arc<Daemon>, job: &Arc<Job>, device: &Arc<Device>, conn: Conn) -> JobEnd {
    let (mut reader, mut writer, _peer, closer) = conn.split();
    let policy = Policy {
        interval: daemon.config().storage.checkpoint_interval,
        bytes: daemon.config().storage.checkpoint_bytes.max(1 << 20),
        span_bytes: device.config.maximum_file_size,
    };
    let checkpoints = Arc::new(Checkpoints::new(Arc::clone(job), policy));
    let maker = {
        let checkpoints = Arc::clone(&checkpoints);
        std::thread::Builder::new().name(format!("ckpt-{}", job.spec.id)).spawn(move || checkpoints.run())
    };
    let mut session = Session {
        daemon,
        job,
        device,
        checkpoints: &checkpoints,
        builder: None,
        mounted: None,
        volumes: 0,
        started_at: None,
        pending: Vec::new(),
        pending_index: Vec::new(),
        index: FileIndex(0),
        flushed_index: FileIndex(0),
        bytes: 0,
        last_flush: Instant::now(),
        began: Instant::now(),
    };
    let result = session.dialogue(&mut reader, &mut writer);
    let end = session.end(result, &mut reader, &mut writer);
    checkpoints.finish();
    if let Ok(maker) = maker {
        let _ = maker.join();
    }
    closer.close();
    end
}

struct Session<'a> {
    daemon: &'a Arc<Daemon>,
    job: &'a Arc<Job>,
    device: &'a Arc<Device>,
    checkpoints: &'a Arc<Checkpoints>,
    builder: Option<BlockBuilder>,
    mounted: Option<Arc<Mounted>>,
    /// Volumes used so far.
    volumes: i32,
    /// Start of the session on the Volume in use.
    started_at: Option<VolAddr>,
    /// Attribute messages of files that are not yet on the Volume in full.
    pending: Vec<Vec<u8>>,
    /// Their file numbers.
    pending_index: Vec<FileIndex>,
    /// Newest file.
    index: FileIndex,
    /// Highest file with data in blocks that are on a Volume.
    flushed_index: FileIndex,
    bytes: u64,
    last_flush: Instant,
    began: Instant,
}

impl Session<'_> {
    fn dialogue(&mut self, reader: &mut PacketReader, writer: &mut PacketWriter) -> Result<(), AppendError> {
        expect(reader, "append open session")?;
        self.job.is_opened.store(true, Ordering::Relaxed);
        let ticket = self.job.session.id;
        let open = writer.send(format!("3000 OK open ticket = {ticket}\n"));
        open.map_err(ClientError::from)?;
        expect(reader, "append data ")?;
        self.open()?;
        writer.send(b"3000 OK data\n").map_err(ClientError::from)?;
        self.began = Instant::now();
        self.receive(reader)?;
        self.commit(JobStatus::Terminated)?;
        writer.send(b"3000 OK append data\n").map_err(ClientError::from)?;
        Ok(())
    }

    /// Mounts the first Volume and writes the start of the session.
    fn open(&mut self) -> Result<(), AppendError> {
        let mounting = Mounting { daemon: self.daemon, job: self.job, device: self.device, ordinal: 0 };
        let now = mounting.mount(None)?;
        let number = u32::from(now.is_labelled_now);
        let format = format_of(self.daemon, self.device);
        let mut builder = BlockBuilder::new(format, self.job.session, number);
        self.use_volume(now.mounted);
        let label = self.label(None);
        builder.push_label(label.index(), self.job.spec.id.0, &label.encode());
        self.builder = Some(builder);
        Ok(())
    }

    fn use_volume(&mut self, mounted: Arc<Mounted>) {
        self.volumes += 1;
        self.started_at = None;
        self.checkpoints.set_volume(Some(Arc::clone(&mounted)));
        self.mounted = Some(mounted);
    }

    fn label(&self, end: Option<SessionEnd>) -> SessionLabel {
        let spec = &self.job.spec;
        let state = self.job.state();
        SessionLabel {
            version: volume::label::VERSION,
            job_id: spec.id.0,
            written: VolTime(unix_now_us()),
            write_time: 0.0,
            pool: state.pool.clone(),
            pool_type: state.pool_type.clone(),
            job_name: spec.job_name.clone(),
            client: spec.client.clone(),
            job: spec.job.clone(),
            file_set: spec.file_set.clone(),
            job_type: spec.job_type,
            job_level: spec.level,
            file_set_md5: spec.file_set_md5.clone(),
            end,
        }
    }

    /// Receives the stream up to its end.
    fn receive(&mut self, reader: &mut PacketReader) -> Result<(), AppendError> {
        loop {
            let (index, stream) = match reader.recv_ref().map_err(ClientError::from)? {
                PacketRef::Signal(Signal::Eod) => return Ok(()),
                PacketRef::Signal(Signal::Terminate) => return Err(ClientError::Ended.into()),
                PacketRef::Signal(_) => continue,
                PacketRef::Data(header) => self.header(header)?,
            };
            loop {
                match reader.recv_ref().map_err(ClientError::from)? {
                    PacketRef::Signal(Signal::Eod) => break,
                    PacketRef::Signal(Signal::Terminate) => return Err(ClientError::Ended.into()),
                    PacketRef::Signal(_) => {}
                    PacketRef::Data(data) => self.record(index, stream, data)?,
                }
            }
        }
    }

    /// Reads `FileIndex Stream length` and checks the order (spec/03 §8).
    fn header(&mut self, line: &[u8]) -> Result<(FileIndex, i32), AppendError> {
        let unexpected = || {
            AppendError::Client(ClientError::Unexpected {
                wanted: "a stream header",
                got: wire::scan::shorten(line),
            })
        };
        let text = std::str::from_utf8(line).map_err(|_| unexpected())?;
        let mut words = text.split_ascii_whitespace();
        let index: i32 = words.next().and_then(|w| w.parse().ok()).ok_or_else(unexpected)?;
        let stream: i32 = words.next().and_then(|w| w.parse().ok()).ok_or_else(unexpected)?;
        if stream <= 0 || index <= 0 {
            return Err(unexpected());
        }
        let before = self.index.0;
        let is_first_of_rerun = before == 0 && self.job.spec.rerun.is_some();
        if !(index == before || index == before + 1 || is_first_of_rerun) {
            return Err(AppendError::Order { got: index, before });
        }
        if index != before {
            self.index = FileIndex(index);
            self.job.files.store(index.cast_unsigned(), Ordering::Relaxed);
        }
        Ok((FileIndex(index), stream))
    }

    fn record(&mut self, index: FileIndex, stream: i32, data: &[u8]) -> Result<(), AppendError> {
        let Some(builder) = &mut self.builder else { return Ok(()) };
        builder.push(index, stream, data);
        let finished = builder.finished_bytes();
        self.bytes += data.len() as u64;
        self.job.bytes.store(self.bytes, Ordering::Relaxed);
        if !self.job.spec.no_attributes && is_for_catalog(stream) {
            self.pending.push(message::attributes(self.job.spec.id, self.job.session, index, stream, data));
            self.pending_index.push(index);
        }
        if finished >= RUN_BYTES || (finished > 0 && self.last_flush.elapsed() >= FLUSH_EVERY) {
            self.flush()?;
            self.check_stop()?;
        }
        Ok(())
    }

    fn check_stop(&self) -> Result<(), AppendError> {
        if let Some(failure) = self.checkpoints.failure() {
            return Err(AppendError::Checkpoint(failure));
        }
        match self.job.stop.get() {
            StopRequest::None => Ok(()),
            StopRequest::Cancel | StopRequest::Stop => Err(ClientError::Ended.into()),
        }
    }

    /// Writes all finished blocks, changing Volumes as they fill.
    fn flush(&mut self) -> Result<(), AppendError> {
        self.last_flush = Instant::now();
        loop {
            let (Some(builder), Some(mounted)) = (&mut self.builder, &self.mounted) else { return Ok(()) };
            let (bytes, blocks) = builder.finished();
            if blocks.is_empty() {
                break;
            }
            let written = mounted.append(bytes, blocks)?;
            sys::failpoint::reach("storage-volume-written");
            if written.blocks > 0 {
                let done = &blocks[..written.blocks];
                let first = done.iter().find_map(|b| b.first);
                let last = done.iter().rev().find_map(|b| b.last);
                let files = first.zip(last);
                self.checkpoints.note_written(mounted, written.start, written.last, files, self.bytes);
                self.started_at.get_or_insert(written.start);
                self.flushed_index = last.unwrap_or(self.flushed_index).max(self.flushed_index);
                self.device.state().written_bytes += written.last.0 - written.start.0 + 1;
                builder.consume(written.blocks);
            }
            if let Some(reason) = written.full {
                self.release_pending(FileIndex(self.flushed_index.0 - 1))?;
                self.change_volume(reason)?;
            }
        }
        self.release_pending(FileIndex(self.flushed_index.0 - 1))
    }

    /// Hands over the attributes of files up to `whole`: all their data are on Volumes.
    fn release_pending(&mut self, whole: FileIndex) -> Result<(), AppendError> {
        let whole = whole.max(FileIndex(0));
        let ready = self.pending_index.partition_point(|i| *i <= whole);
        let before = self.pending.len();
        self.checkpoints.release(&mut self.pending, ready, whole)?;
        let gone = before - self.pending.len();
        self.pending_index.drain(..gone);
        Ok(())
    }

    /// The Volume is full: its rows and state are reported, another one is mounted.
    fn change_volume(&mut self, reason: FullReason) -> Result<(), AppendError> {
        let Some(old) = self.mounted.take() else { return Ok(()) };
        let is_first = reason == FullReason::Limit && !old.is_closed();
        if is_first {
            old.close("Full");
        }
        self.checkpoints.make(true)?;
        if is_first {
            let info = old.info();
            self.job.outbox.message(
                Kind::Info,
                &format!(
                    "End of medium on Volume \"{}\" Bytes={} Blocks={} at {}.",
                    old.volume,
                    with_commas(info.bytes),
                    with_commas(info.blocks),
                    crate::text::long_time(crate::text::unix_now())
                ),
            );
            report_volume(self.job, &old)?;
        }
        sys::failpoint::reach("storage-volume-left");
        let mounting =
            Mounting { daemon: self.daemon, job: self.job, device: self.device, ordinal: self.volumes + 1 };
        let now = mounting.mount(Some(old.generation))?;
        self.job.outbox.message(
            Kind::Info,
            &format!(
                "New volume \"{}\" mounted on device {} at {}.",
                now.mounted.volume,
                self.device.print_name(),
                crate::text::long_time(crate::text::unix_now())
            ),
        );
        self.use_volume(now.mounted);
        Ok(())
    }

    /// Writes the end of the session, and makes everything durable.
    fn commit(&mut self, status: JobStatus) -> Result<(), AppendError> {
        // What is in the open block tells where the end label will stand.
        let end = self.mounted.as_ref().map(|m| m.end()).unwrap_or_default();
        let ahead = self.builder.as_ref().map_or(0, BlockBuilder::finished_bytes) as u64;
        let files = match status {
            JobStatus::Terminated => self.index,
            _ => FileIndex((self.index.0 - 1).max(0)),
        };
        let label = self.label(Some(SessionEnd {
            files: files.0.cast_unsigned(),
            bytes: self.bytes,
            start: self.started_at.unwrap_or(end),
            end: VolAddr(end.0 + ahead),
            errors: self.job.errors.load(Ordering::Relaxed),
            status: status.code(),
        }));
        let Some(builder) = &mut self.builder else { return Ok(()) };
        builder.push_label(label.index(), self.job.spec.id.0, &label.encode());
        builder.finish_block();
        self.flush()?;
        sys::failpoint::reach("storage-session-written");
        self.job.files.store(files.0.cast_unsigned(), Ordering::Relaxed);
        // A checkpoint in the making covers none of what is handed over now: it must be over first.
        self.checkpoints.wait_made();
        self.release_pending(files)?;
        self.checkpoints.make(true)?;
        if let Some(mounted) = &self.mounted {
            self.report_speed();
            report_volume(self.job, mounted)?;
        }
        Ok(())
    }

    fn report_speed(&self) {
        let seconds = self.began.elapsed().as_secs().max(1);
        let text = format!(
            "Elapsed time={}, Transfer rate={} Bytes/second",
            clock(seconds),
            with_suffix(self.bytes / seconds)
        );
        self.job.outbox.message(Kind::Info, &text);
    }

    /// The last words with the client, and the job's status.
    fn end(
        &mut self,
        result: Result<(), AppendError>,
        reader: &mut PacketReader,
        writer: &mut PacketWriter,
    ) -> JobEnd {
        let error = match result {
            Ok(()) => {
                farewell(reader, writer);
                return JobEnd { status: JobStatus::Terminated, message: String::new() };
            }
            Err(error) => error,
        };
        let text = chain(&error);
        let status = self.failed_status(&error);
        let kept = self.save_what_is_whole(&error, status);
        let status =
            if kept || status != JobStatus::Incomplete { status } else { JobStatus::ErrorTerminated };
        match status {
            JobStatus::Canceled => {}
            JobStatus::Incomplete => {
                let files = self.job.files.load(Ordering::Relaxed);
                self.job
                    .outbox
                    .message(Kind::Warning, &format!("The job ends incomplete after {files} files: {text}"));
            }
            _ => {
                self.job.errors.fetch_add(1, Ordering::Relaxed);
                self.job.outbox.message(Kind::Fatal, &text);
            }
        }
        say_failed(writer, &text);
        drain(reader);
        JobEnd { status, message: text }
    }

    fn failed_status(&self, error: &AppendError) -> JobStatus {
        match (self.job.stop.get(), error) {
            (StopRequest::Cancel, _) => JobStatus::Canceled,
            (StopRequest::Stop, _) => JobStatus::Incomplete,
            (StopRequest::None, AppendError::Client(ClientError::Net(_) | ClientError::Ended)) => {
                // A stock Director takes the end from the client, which is gone: an error, as Bacula has it.
                if self.job.outbox.is_journaled() {
                    JobStatus::Incomplete
                } else {
                    JobStatus::ErrorTerminated
                }
            }
            (
                StopRequest::None,
                AppendError::Mount(MountError::Outbox(crate::job::OutboxError::NoDirector(_))),
            ) => JobStatus::Incomplete,
            (
                StopRequest::None,
                AppendError::Client(_)
                | AppendError::Mount(_)
                | AppendError::Volume(_)
                | AppendError::Checkpoint(_)
                | AppendError::Order { .. },
            ) => JobStatus::FatalError,
        }
    }

    /// Brings what the job has in whole files onto the Volume and into the journal; `false` if even that fails or nothing is there.
    fn save_what_is_whole(&mut self, error: &AppendError, status: JobStatus) -> bool {
        if self.builder.is_none() {
            return false;
        }
        let is_volume_sound = match error {
            AppendError::Client(_) | AppendError::Order { .. } => true,
            AppendError::Mount(_) | AppendError::Volume(_) | AppendError::Checkpoint(_) => false,
        };
        let saved = if is_volume_sound {
            self.commit(status).map_err(|e| chain(&e))
        } else {
            // What is on the Volume already is still good.
            let whole = FileIndex((self.flushed_index.0 - 1).max(0));
            self.job.files.store(whole.0.cast_unsigned(), Ordering::Relaxed);
            let made = self.checkpoints.make(true);
            // A Volume that has failed is reported as it is, so that no other job takes it.
            let reported = self.mounted.as_ref().map_or(Ok(()), |m| report_volume(self.job, m));
            made.and(reported).map_err(|e| chain(&e))
        };
        if let Err(error) = saved {
            tracing::warn!(job = %self.job.spec.id, error, "what the failed job has stored could not be saved");
            return false;
        }
        self.checkpoints.whole_files().0 > 0
    }
}

/// `append end session` and `append close session`.
fn farewell(reader: &mut PacketReader, writer: &mut PacketWriter) {
    let talk = (|| -> Result<(), ClientError> {
        loop {
            let line = recv_line(reader)?;
            if line.starts_with(b"append end session") {
                writer.send(b"3000 OK end\n")?;
            } else if line.starts_with(b"append close session") {
                writer
                    .data(format!("3000 OK close Status = {}\n", JobStatus::Terminated.code()).as_bytes())?;
                writer.signal(Signal::Eod)?;
                writer.flush()?;
                return Ok(());
            } else {
                return Err(ClientError::Unexpected {
                    wanted: "append end session",
                    got: wire::scan::shorten(&line),
                });
            }
        }
    })();
    if let Err(error) = talk {
        // All data are stored and synced: the job is good, whatever became of the client.
        tracing::info!(error = chain(&error), "the client left without saying good-bye");
    }
}

/// Lets a client that is still sending come to read why it should not.
fn drain(reader: &mut PacketReader) {
    let until = Instant::now() + DRAIN_TIME;
    if reader.set_timeout(Some(Duration::from_millis(500))).is_err() {
        return;
    }
    while Instant::now() < until && reader.recv_ref().is_ok() {}
}

/// Streams whose records the catalog gets (spec/03 §3.4).
fn is_for_catalog(stream: i32) -> bool {
    matches!(stream & 0x7FF, 1 | 5 | 28 | 34 | 36 | 37 | 3 | 10 | 17 | 18 | 39..=41)
}

/// The line that ends a job (spec/03 §2.5).
#[must_use]
pub fn end_line(job: &Job, end: &JobEnd) -> String {
    format!(
        "3099 Job {} end JobStatus={} JobFiles={} JobBytes={} JobErrors={} ErrMsg={}\n",
        job.spec.job,
        end.status.code(),
        job.files.load(Ordering::Relaxed),
        job.bytes.load(Ordering::Relaxed),
        job.errors.load(Ordering::Relaxed),
        types::bash_spaces(&end.message.replace('\n', " "))
    )
}

/// Tells the Director that the job's data flow now.
pub(crate) fn say_started(job: &Job) {
    let line = format!("3010 Job {} start\n", job.spec.job);
    match &job.outbox {
        Outbox::Direct(direct) => {
            let _ = direct.line().send(line.as_bytes());
        }
        Outbox::Journaled(journal) => {
            if let Err(error) = journal.append(line.as_bytes()) {
                tracing::error!(job = %job.spec.id, error = chain(&error), "the start could not be recorded");
            }
        }
    }
    job.set_status(JobPhase::Running, JobStatus::Running);
}
