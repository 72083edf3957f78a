//! A backup, or the writing job of a copy: the dialogue with its client or with the Storage Daemon that is copied from, whose records [`Writing`] puts on Volumes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use net::blocking::{Conn, PacketReader, PacketWriter};
use types::{FileIndex, JobStatus, VolTime};
use wire::hello::Hello;
use wire::{PacketRef, Signal};

use super::checkpoint::{Checkpoints, Policy};
use super::client::{ClientError, expect, hear_out, recv_line, say_failed};
use super::mount::{MountError, Mounting, chain, format_of};
use super::report::report_volume;
use super::writing::{Left, Writing};
use crate::daemon::Daemon;
use crate::device::{Device, FullReason};
use crate::job::message::Kind;
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
    #[error("checkpoint: {0}")]
    Checkpoint(String),
    #[error("FileIndex {got} came after {before}: the client's stream is out of order")]
    Order { got: i32, before: i32 },
}

/// Who sends the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// A File Daemon, in a session of commands.
    Client,
    /// The Storage Daemon that a copy is read from; one of ours keeps the files' numbers, which then may have gaps.
    Storage { keeps_numbers: bool },
}

/// Runs a job that writes and whose client, or the Storage Daemon that it copies from, is connected.
pub fn run_backup(daemon: &Arc<Daemon>, job: &Arc<Job>, device: &Arc<Device>, conn: Conn) -> JobEnd {
    let source = match conn.peer().hello {
        Hello::StorageToStorage { .. } => Source::Storage { keeps_numbers: conn.peer().holdfast > 0 },
        _ => Source::Client,
    };
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
        source,
        checkpoints: &checkpoints,
        writing: Writing::new(Arc::clone(job), Arc::clone(&checkpoints)),
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
    source: Source,
    checkpoints: &'a Arc<Checkpoints>,
    writing: Writing,
    last_flush: Instant,
    began: Instant,
}

impl Session<'_> {
    fn dialogue(&mut self, reader: &mut PacketReader, writer: &mut PacketWriter) -> Result<(), AppendError> {
        match self.source {
            Source::Client => {
                expect(reader, "append open session")?;
                self.job.is_opened.store(true, Ordering::Relaxed);
                let ticket = self.job.session.id;
                let open = writer.send(format!("3000 OK open ticket = {ticket}\n"));
                open.map_err(ClientError::from)?;
                expect(reader, "append data ")?;
            }
            // Between Storage Daemons both only say that they are ready (spec/03 §7.1).
            Source::Storage { .. } => {
                self.job.is_opened.store(true, Ordering::Relaxed);
                expect(reader, "3000 OK data")?;
            }
        }
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
        let format = format_of(self.daemon, self.device);
        self.writing.open(now.mounted, format, now.is_labelled_now, VolTime(unix_now_us()));
        Ok(())
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
        let before = self.writing.index().0;
        let is_first_of_rerun = before == 0 && self.job.spec.rerun.is_some();
        let may_skip = self.source == Source::Storage { keeps_numbers: true } && index > before;
        if !(index == before || index == before + 1 || is_first_of_rerun || may_skip) {
            return Err(AppendError::Order { got: index, before });
        }
        if index != before {
            self.writing.begin_file(FileIndex(index));
        }
        Ok((FileIndex(index), stream))
    }

    fn record(&mut self, index: FileIndex, stream: i32, data: &[u8]) -> Result<(), AppendError> {
        let finished = self.writing.record(index, stream, data);
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
            let flushed = self.writing.flush()?;
            self.device.state().written_bytes += flushed.bytes;
            match flushed.full {
                Some(reason) => self.change_volume(reason)?,
                None => return Ok(()),
            }
        }
    }

    /// The Volume is full: its rows and state are reported, another one is mounted.
    fn change_volume(&mut self, reason: FullReason) -> Result<(), AppendError> {
        let Some(Left { mounted: old, is_first }) = self.writing.leave(reason)? else { return Ok(()) };
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
        let mounting = Mounting {
            daemon: self.daemon,
            job: self.job,
            device: self.device,
            ordinal: self.writing.volumes() + 1,
        };
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
        self.writing.use_volume(now.mounted);
        Ok(())
    }

    /// Writes the end of the session, and makes everything durable.
    fn commit(&mut self, status: JobStatus) -> Result<(), AppendError> {
        if !self.writing.is_open() {
            return Ok(());
        }
        self.writing.finish(status, VolTime(unix_now_us()));
        self.flush()?;
        sys::failpoint::reach("storage-session-written");
        self.writing.settle(status)?;
        if let Some(mounted) = self.writing.mounted() {
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
            with_suffix(self.writing.bytes() / seconds)
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
                match self.source {
                    Source::Client => farewell(reader, writer),
                    Source::Storage { .. } => hear_out(reader),
                }
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
                | AppendError::Checkpoint(_)
                | AppendError::Order { .. },
            ) => JobStatus::FatalError,
        }
    }

    /// Brings what the job has in whole files onto the Volume and into the journal; `false` if even that fails or nothing is there.
    fn save_what_is_whole(&mut self, error: &AppendError, status: JobStatus) -> bool {
        if !self.writing.is_open() {
            return false;
        }
        let is_volume_sound = match error {
            AppendError::Client(_) | AppendError::Order { .. } => true,
            AppendError::Mount(_) | AppendError::Checkpoint(_) => false,
        };
        let saved = if is_volume_sound {
            self.commit(status).map_err(|e| chain(&e))
        } else {
            let made = self.writing.settle_for_less();
            // A Volume that has failed is reported as it is, so that no other job takes it.
            let reported = self.writing.mounted().map_or(Ok(()), |m| report_volume(self.job, m));
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
