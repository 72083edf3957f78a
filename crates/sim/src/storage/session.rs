//! The session of a backup, as `storage::session::append` has it: records become blocks, blocks go to a Volume, what is whole goes
//! into the journal, and a checkpoint covers it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use attrs::{AttrRecord, FileType};
use storage::device::{FullReason, Mounted};
use storage::job::message;
use storage::job::{Job, JobEnd, JobPhase, Stream};
use storage::session::{Checkpoints, Policy, end_line};
use types::{FileIndex, JobStatus, VolAddr, VolTime};
use volume::{BlockBuilder, BlockFormat, SessionEnd, SessionLabel};

use super::mount::{Reported, Then, Wait};
use super::{JobKey, journal_of};
use crate::message::{ConnId, Message, Pid};
use crate::oracle::file_name;
use crate::world::{Input, World};

/// Small, so that a file makes several.
pub(crate) const FORMAT: BlockFormat =
    BlockFormat { version: volume::BlockVersion::Bb02, checksum: true, bytes_max: 1024 };

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) job: Arc<Job>,
    pub(super) checkpoints: Arc<Checkpoints>,
    pub(super) line: Option<ConnId>,
    pub(super) stream: Option<Stream>,
    pub(super) client: Option<ConnId>,
    /// Since when no Director is there.
    pub(super) alone_since: crate::plan::Millis,
    pub(super) is_run: bool,
    has_begun: bool,
    pub(super) builder: Option<BlockBuilder>,
    pub(super) mounted: Option<Arc<Mounted>>,
    pub(super) volumes: i32,
    started_at: Option<VolAddr>,
    pending: Vec<Vec<u8>>,
    pending_index: Vec<FileIndex>,
    index: FileIndex,
    flushed_index: FileIndex,
    bytes: u64,
    pub(super) wait: Wait,
    /// The client's data have ended so.
    pub(super) ending: Option<JobStatus>,
    /// The end of the session is in the last blocks.
    is_labelled_end: bool,
    /// It has had a Volume, and others may share what it has.
    pub(super) is_writing: bool,
    pub(super) is_over: bool,
}

impl Session {
    pub(super) fn new(job: &Arc<Job>) -> Self {
        // What is due is decided by the world's clock.
        let policy = Policy { interval: Duration::from_secs(3600), bytes: u64::MAX, span_bytes: 0 };
        Self {
            job: Arc::clone(job),
            checkpoints: Arc::new(Checkpoints::new(Arc::clone(job), policy)),
            line: None,
            stream: None,
            client: None,
            alone_since: 0,
            is_run: false,
            has_begun: false,
            builder: None,
            mounted: None,
            volumes: 0,
            started_at: None,
            pending: Vec::new(),
            pending_index: Vec::new(),
            index: FileIndex(0),
            flushed_index: FileIndex(0),
            bytes: 0,
            wait: Wait::Nothing,
            ending: None,
            is_labelled_end: false,
            is_writing: false,
            is_over: false,
        }
    }

    /// Of a job that was found on disk.
    pub(super) fn found(job: &Arc<Job>) -> Self {
        Self { is_over: true, ..Self::new(job) }
    }

    pub(super) fn use_volume(&mut self, mounted: Arc<Mounted>) {
        self.volumes += 1;
        self.started_at = None;
        self.checkpoints.set_volume(Some(Arc::clone(&mounted)));
        self.mounted = Some(mounted);
    }

    fn label(&self, end: Option<SessionEnd>) -> SessionLabel {
        let spec = &self.job.spec;
        SessionLabel {
            version: volume::label::VERSION,
            job_id: spec.id.0,
            written: VolTime(0),
            write_time: 0.0,
            pool: String::new(),
            pool_type: "Backup".to_owned(),
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

    /// Hands over the attributes of files up to `whole`: all their data are on Volumes.
    fn release_pending(&mut self, whole: FileIndex) {
        let whole = whole.max(FileIndex(0));
        let ready = self.pending_index.partition_point(|index| *index <= whole);
        let before = self.pending.len();
        if self.checkpoints.release(&mut self.pending, ready, whole).is_ok() {
            self.pending_index.drain(..before - self.pending.len());
        }
    }

    /// Writes all finished blocks; gives why the Volume takes no more.
    fn flush(&mut self) -> Option<FullReason> {
        loop {
            let (Some(builder), Some(mounted)) = (&mut self.builder, &self.mounted) else { return None };
            let (bytes, blocks) = builder.finished();
            if blocks.is_empty() {
                break;
            }
            let Ok(written) = mounted.append(bytes, blocks) else { return None };
            if written.blocks > 0 {
                let done = &blocks[..written.blocks];
                let first = done.iter().find_map(|block| block.first);
                let last = done.iter().rev().find_map(|block| block.last);
                self.checkpoints.note_written(
                    mounted,
                    written.start,
                    written.last,
                    first.zip(last),
                    self.bytes,
                );
                self.started_at.get_or_insert(written.start);
                self.flushed_index = last.unwrap_or(self.flushed_index).max(self.flushed_index);
                builder.consume(written.blocks);
            }
            if let Some(reason) = written.full {
                self.release_pending(FileIndex(self.flushed_index.0 - 1));
                return Some(reason);
            }
        }
        self.release_pending(FileIndex(self.flushed_index.0 - 1));
        None
    }
}

impl World {
    pub(super) fn session(&mut self, at: usize, key: &JobKey) -> Option<&mut Session> {
        self.storages[at].sessions.get_mut(key)
    }

    fn session_of_client(&self, at: usize, conn: ConnId) -> Option<JobKey> {
        let sessions = &self.storages[at].sessions;
        sessions.iter().find(|(_, session)| session.client == Some(conn)).map(|(key, _)| key.clone())
    }

    pub(super) fn client_opens(&mut self, at: usize, conn: ConnId, key: &JobKey) {
        let Some(session) = self.session(at, key).filter(|session| !session.is_over) else {
            return self.say(Pid::Storage(at), conn, Message::NotKnown);
        };
        session.client = Some(conn);
        session.job.has_client.store(true, Ordering::Relaxed);
        self.begin_session(at, key);
    }

    /// Begins when the Director has said so and the client is there.
    pub(super) fn begin_session(&mut self, at: usize, key: &JobKey) {
        let checkpoint = self.plan.checkpoint;
        let Some(session) = self.session(at, key) else { return };
        if !session.is_run || session.client.is_none() || session.has_begun {
            return;
        }
        session.has_begun = true;
        session.job.is_opened.store(true, Ordering::Relaxed);
        let line = format!("3010 Job {} start\n", session.job.spec.job);
        let _ = journal_of(&session.job).append(line.as_bytes());
        session.job.set_status(JobPhase::Running, JobStatus::Running);
        self.later(checkpoint, Pid::Storage(at), Input::Checkpoint(key.0.clone(), key.1));
        self.mount(at, key, Then::Open, None);
        self.pump(at, key);
    }

    /// The client has not come in time.
    pub(super) fn no_client(&mut self, at: usize, key: &JobKey) {
        if self.session(at, key).is_some_and(|session| !session.has_begun) {
            self.end_session(at, key, JobStatus::FatalError);
        }
    }

    /// A request is not waited for any longer; what is stored is kept.
    pub(super) fn forsaken(&mut self, at: usize, key: &JobKey) {
        let now = self.now;
        let Some(session) = self.session(at, key).filter(|session| !session.is_over) else { return };
        if session.line.is_some() || now < session.alone_since + super::RECONNECT_MS {
            return;
        }
        if !session.is_run {
            return self.end_session(at, key, JobStatus::FatalError);
        }
        if !session.wait.is_request() {
            return;
        }
        let made = session.checkpoints.make(true).is_ok();
        let is_kept = made && session.checkpoints.whole_files().0 > 0;
        self.end_session(at, key, if is_kept { JobStatus::Incomplete } else { JobStatus::ErrorTerminated });
    }

    /// The first Volume is there.
    pub(super) fn opened(&mut self, at: usize, key: &JobKey, is_labelled_now: bool) {
        let Some(session) = self.session(at, key) else { return };
        let mut builder = BlockBuilder::new(FORMAT, session.job.session, u32::from(is_labelled_now));
        let label = session.label(None);
        builder.push_label(label.index(), session.job.spec.id.0, &label.encode());
        session.builder = Some(builder);
        match (session.client, session.ending) {
            (_, Some(_)) => self.commit(at, key),
            (Some(client), None) => self.say(Pid::Storage(at), client, Message::Next),
            (None, None) => {}
        }
    }

    pub(super) fn file_comes(&mut self, at: usize, conn: ConnId, index: FileIndex, data: &[u8]) {
        let Some(key) = self.session_of_client(at, conn) else { return };
        let Some(session) = self.session(at, &key) else { return };
        let job = session.job.spec.id;
        let name = file_name(job, index.0.cast_unsigned());
        let record = AttrRecord {
            file_index: index.0,
            file_type: FileType::Regular,
            name: name.as_bytes(),
            lstat: b"A B C",
            ..AttrRecord::default()
        }
        .encode();
        let Some(builder) = &mut session.builder else { return };
        builder.push(index, 1, &record);
        builder.push(index, 2, data);
        session.index = index;
        session.job.files.store(index.0.cast_unsigned(), Ordering::Relaxed);
        session.bytes += (record.len() + data.len()) as u64;
        session.job.bytes.store(session.bytes, Ordering::Relaxed);
        session.pending.push(message::attributes(job, session.job.session, index, 1, &record));
        session.pending_index.push(index);
        self.write_on(at, &key);
    }

    pub(super) fn files_end(&mut self, at: usize, conn: ConnId) {
        let Some(key) = self.session_of_client(at, conn) else { return };
        if let Some(session) = self.session(at, &key) {
            session.ending = Some(JobStatus::Terminated);
        }
        self.commit(at, &key);
    }

    /// The client's connection is gone: what is whole is kept.
    pub(super) fn client_gone(&mut self, at: usize, key: &JobKey) {
        let Some(session) = self.session(at, key) else { return };
        session.client = None;
        if session.is_over || !session.has_begun || session.ending.is_some() {
            return;
        }
        session.ending = Some(JobStatus::Incomplete);
        // One that waits for a Volume notices when it has one.
        if session.builder.is_some() && session.wait.is_nothing() {
            self.commit(at, key);
        }
    }

    /// Writes finished blocks, changes the Volume where it is full, then goes on with the client.
    pub(super) fn write_on(&mut self, at: usize, key: &JobKey) {
        let Some(session) = self.session(at, key) else { return };
        if let Some(reason) = session.flush() {
            return self.change_volume(at, key, reason);
        }
        self.pump(at, key);
        let Some(session) = self.session(at, key) else { return };
        match (session.ending, session.client) {
            (Some(_), _) if session.is_labelled_end => self.commit_rest(at, key),
            (Some(_), _) => self.commit(at, key),
            (None, Some(client)) => self.say(Pid::Storage(at), client, Message::Next),
            (None, None) => {}
        }
    }

    fn change_volume(&mut self, at: usize, key: &JobKey, reason: FullReason) {
        let Some(session) = self.session(at, key) else { return };
        let Some(old) = session.mounted.take() else { return };
        let is_first = reason == FullReason::Limit && !old.is_closed();
        if is_first {
            old.close("Full");
        }
        if session.checkpoints.make(true).is_err() {
            return self.end_session(at, key, JobStatus::FatalError);
        }
        if is_first {
            self.report(at, key, &old, Reported::Full);
        } else {
            self.mount(at, key, Then::GoOn, Some(old.generation));
        }
        self.pump(at, key);
    }

    /// Writes the end of the session.
    fn commit(&mut self, at: usize, key: &JobKey) {
        let Some(session) = self.session(at, key) else { return };
        let status = session.ending.unwrap_or(JobStatus::Terminated);
        let end = session.mounted.as_ref().map(|mounted| mounted.end()).unwrap_or_default();
        let ahead = session.builder.as_ref().map_or(0, BlockBuilder::finished_bytes) as u64;
        let files = session.whole(status);
        let label = session.label(Some(SessionEnd {
            files: files.0.cast_unsigned(),
            bytes: session.bytes,
            start: session.started_at.unwrap_or(end),
            end: VolAddr(end.0 + ahead),
            errors: 0,
            status: status.code(),
        }));
        let Some(builder) = &mut session.builder else { return };
        builder.push_label(label.index(), session.job.spec.id.0, &label.encode());
        builder.finish_block();
        session.is_labelled_end = true;
        self.write_on(at, key);
    }

    /// The last blocks are on a Volume.
    fn commit_rest(&mut self, at: usize, key: &JobKey) {
        let Some(session) = self.session(at, key) else { return };
        let files = session.whole(session.ending.unwrap_or(JobStatus::Terminated));
        session.job.files.store(files.0.cast_unsigned(), Ordering::Relaxed);
        session.release_pending(files);
        if session.checkpoints.make(true).is_err() {
            return self.end_session(at, key, JobStatus::FatalError);
        }
        let Some(mounted) = session.mounted.clone() else { return };
        self.report(at, key, &mounted, Reported::Last);
        self.pump(at, key);
    }

    /// The last state is in the catalog.
    pub(super) fn committed(&mut self, at: usize, key: &JobKey) {
        let Some(session) = self.session(at, key) else { return };
        let status = session.ending.unwrap_or(JobStatus::Terminated);
        let kept = session.checkpoints.whole_files().0 > 0;
        let status =
            if status == JobStatus::Incomplete && !kept { JobStatus::ErrorTerminated } else { status };
        if let (JobStatus::Terminated, Some(client)) = (status, session.client) {
            self.say(Pid::Storage(at), client, Message::Stored);
        }
        self.end_session(at, key, status);
    }

    pub(super) fn end_session(&mut self, at: usize, key: &JobKey, status: JobStatus) {
        let Some(session) = self.session(at, key).filter(|session| !session.is_over) else { return };
        session.is_over = true;
        session.wait = Wait::Nothing;
        let Some(session) = self.session(at, key) else { return };
        let client = session.client.take().filter(|_| status != JobStatus::Terminated);
        let job = Arc::clone(&session.job);
        let line = end_line(&job, &JobEnd { status, message: String::new() });
        job.set_status(JobPhase::Ended, status);
        let _ = journal_of(&job).end(line.as_bytes());
        if let Some(client) = client {
            self.say(Pid::Storage(at), client, Message::Failed);
        }
        self.pump(at, key);
    }

    pub(super) fn checkpoint_due(&mut self, at: usize, key: &JobKey) {
        let every = self.plan.checkpoint;
        let Some(session) = self.session(at, key).filter(|session| !session.is_over) else { return };
        if session.mounted.is_some() && session.checkpoints.make(false).is_err() {
            return self.end_session(at, key, JobStatus::FatalError);
        }
        self.later(every, Pid::Storage(at), Input::Checkpoint(key.0.clone(), key.1));
        self.pump(at, key);
    }
}

impl Session {
    /// The last file that is whole when the session ends so.
    fn whole(&self, status: JobStatus) -> FileIndex {
        match status {
            JobStatus::Terminated => self.index,
            _ => FileIndex((self.index.0 - 1).max(0)),
        }
    }
}
