//! The session of a backup, as `storage::session::append` has it: records become blocks, blocks go to a Volume, what is whole goes
//! into the journal, and a checkpoint covers it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use attrs::{AttrRecord, FileType};
use storage::device::{FullReason, Mounted};
use storage::job::{Job, JobEnd, JobPhase, Stream};
use storage::session::{Checkpoints, Flushed, Left, Policy, Writing, end_line};
use types::{FileIndex, JobStatus, VolumeName};
use volume::BlockFormat;

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
    pub(super) writing: Writing,
    pub(super) wait: Wait,
    /// The client's data have ended so.
    pub(super) ending: Option<JobStatus>,
    /// The end of the session is in the last blocks.
    is_labelled_end: bool,
    /// It has had a Volume, and others may share what it has.
    pub(super) is_writing: bool,
    pub(super) drive: usize,
    /// The Volume that is its drive's on its behalf.
    pub(super) claim: Option<VolumeName>,
    pub(super) is_over: bool,
}

impl Session {
    pub(super) fn new(job: &Arc<Job>, drive: usize) -> Self {
        // What is due is decided by the world's clock.
        let policy = Policy { interval: Duration::from_secs(3600), bytes: u64::MAX, span_bytes: 0 };
        let checkpoints = Arc::new(Checkpoints::new(Arc::clone(job), policy));
        Self {
            job: Arc::clone(job),
            writing: Writing::new(Arc::clone(job), Arc::clone(&checkpoints)),
            checkpoints,
            line: None,
            stream: None,
            client: None,
            alone_since: 0,
            is_run: false,
            has_begun: false,
            wait: Wait::Nothing,
            ending: None,
            is_labelled_end: false,
            is_writing: false,
            drive,
            claim: None,
            is_over: false,
        }
    }

    /// Of a job that was found on disk.
    pub(super) fn found(job: &Arc<Job>) -> Self {
        Self { is_over: true, ..Self::new(job, 0) }
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
    pub(super) fn opened(&mut self, at: usize, key: &JobKey, mounted: Arc<Mounted>, is_labelled_now: bool) {
        let now = self.vol_time();
        let Some(session) = self.session(at, key) else { return };
        session.writing.open(mounted, FORMAT, is_labelled_now, now);
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
        if !session.writing.is_open() {
            return;
        }
        session.writing.begin_file(index);
        session.writing.record(index, 1, &record);
        session.writing.record(index, 2, data);
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
        if session.writing.is_open() && session.wait.is_nothing() {
            self.commit(at, key);
        }
    }

    /// Writes finished blocks, changes the Volume where it is full, then goes on with the client.
    pub(super) fn write_on(&mut self, at: usize, key: &JobKey) {
        let Some(session) = self.session(at, key) else { return };
        match session.writing.flush() {
            Ok(Flushed { full: Some(reason), .. }) => return self.change_volume(at, key, reason),
            Ok(_) => {}
            Err(_) => return self.end_session(at, key, JobStatus::FatalError),
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
        let (old, is_first) = match session.writing.leave(reason) {
            Ok(Some(Left { mounted, is_first })) => (mounted, is_first),
            Ok(None) => return,
            Err(_) => return self.end_session(at, key, JobStatus::FatalError),
        };
        if is_first {
            self.report(at, key, &old, Reported::Full);
        } else {
            self.mount(at, key, Then::GoOn, Some(old.generation));
        }
        self.pump(at, key);
    }

    /// Writes the end of the session.
    fn commit(&mut self, at: usize, key: &JobKey) {
        let now = self.vol_time();
        let Some(session) = self.session(at, key).filter(|session| session.writing.is_open()) else { return };
        session.writing.finish(session.ending.unwrap_or(JobStatus::Terminated), now);
        session.is_labelled_end = true;
        self.write_on(at, key);
    }

    /// The last blocks are on a Volume.
    fn commit_rest(&mut self, at: usize, key: &JobKey) {
        let Some(session) = self.session(at, key) else { return };
        let settled = session.writing.settle(session.ending.unwrap_or(JobStatus::Terminated));
        if settled.is_err() {
            return self.end_session(at, key, JobStatus::FatalError);
        }
        let Some(mounted) = session.writing.mounted().cloned() else { return };
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
        if session.writing.mounted().is_some() && session.checkpoints.make(false).is_err() {
            return self.end_session(at, key, JobStatus::FatalError);
        }
        self.later(every, Pid::Storage(at), Input::Checkpoint(key.0.clone(), key.1));
        self.pump(at, key);
    }
}
