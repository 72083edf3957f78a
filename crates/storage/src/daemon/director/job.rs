//! What a Director says of one job: start, device, run; and, of one that is there, attach and close (spec/03 §2, docs/extensions.md §4, §5).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crossbeam_channel::bounded;
use net::blocking::PacketReader;
use types::Attempt;
use wire::scan::Fields;
use wire::{PacketRef, Signal};

use super::{Next, Session};
use crate::daemon::calling::{StorageAddress, call_storage};
use crate::daemon::context::RegistrationNonces;
use crate::daemon::ending::{end_job, run_job, shelve};
use crate::daemon::reserving::{StorageGroup, reserve};
use crate::job::{
    DirectOutbox, Job, JobEnd, JobPhase, JobSpec, JournalOutbox, JournalWord, Outbox, Spool, StopFlag,
    StopRequest, StreamEnd,
};
use crate::journal::Journal;
use crate::ledger::DirectorKey;
use crate::session::chain;

/// Time between attempts to call a client.
const CALL_EVERY: std::time::Duration = std::time::Duration::from_secs(10);
/// Answers of a stock Director that wait to be taken.
const ANSWERS_MAX: usize = 64;

impl Session {
    /// `Ack`, `Ans` and `Closed` go to the job's journal.
    pub(super) fn for_journal(&self, packet: &[u8]) -> bool {
        let Some(job) = &self.job else { return false };
        let Outbox::Journaled(journal) = &job.outbox else { return false };
        match JournalWord::parse(packet) {
            None => return false,
            Some(JournalWord::Acked { seq, is_replicated }) => {
                journal.acknowledge(seq, is_replicated);
                if job.state().phase == JobPhase::Ended {
                    shelve(&self.daemon, job);
                }
            }
            Some(JournalWord::Answered { seq, reply }) => journal.answer(seq, reply),
            Some(JournalWord::Closed(attempt)) if attempt == job.spec.attempt => self.close_attempt(job),
            Some(JournalWord::Closed(_) | JournalWord::Unclear) => {}
        }
        true
    }

    fn close_attempt(&self, job: &Arc<Job>) {
        if let Outbox::Journaled(journal) = &job.outbox {
            journal.close_attempt();
        }
        job.request_stop(StopRequest::Cancel);
        if job.state().phase != JobPhase::Running && job.state().phase != JobPhase::Waiting {
            self.daemon.release_devices(job.session);
            shelve(&self.daemon, job);
        }
    }

    /// The job of an `attach` or `close` line.
    fn known_job(&self, line: &[u8]) -> Result<Arc<Job>, String> {
        let f = Fields::new(line);
        let name = f.raw("Job").map(|n| String::from_utf8_lossy(n).into_owned()).unwrap_or_default();
        let attempt = Attempt(f.get::<u32>("attempt").unwrap_or(0));
        let job = self.daemon.jobs.of_director(&self.key(), &name).filter(|j| j.spec.attempt == attempt);
        job.ok_or_else(|| format!("3983 Job \"{name}\" attempt {attempt} is not known here.\n"))
    }

    pub(super) fn attach(&mut self, line: &[u8]) {
        let job = match self.known_job(line) {
            Ok(job) => job,
            Err(text) => return self.say(&text),
        };
        let Outbox::Journaled(journal) = &job.outbox else { return };
        let from = Fields::new(line).get::<u64>("from").unwrap_or(1).max(1);
        let status = job.state().status;
        // Records before `from` are in the catalog, and none behind: what was confirmed may have been lost with a catalog that
        // has gone back in time.
        journal.confirm_to(from - 1);
        if job.state().phase == JobPhase::Ended {
            shelve(&self.daemon, &job);
        }
        let last = journal.last_seq();
        self.say(&format!("3000 OK attach JobId={} status={} last={last}\n", job.spec.id, status.code()));
        self.stream(&job, from);
        self.job = Some(job);
    }

    pub(super) fn close(&self, line: &[u8]) {
        match self.known_job(line) {
            Err(text) => self.say(&text),
            Ok(job) => {
                self.close_attempt(&job);
                self.say("3000 OK close\n");
            }
        }
    }

    /// Streams a job's journal to this connection, on a thread of its own.
    fn stream(&self, job: &Arc<Job>, from: u64) {
        let (Outbox::Journaled(journal), Some(registration)) = (&job.outbox, &self.registration) else {
            return;
        };
        let nonces =
            RegistrationNonces { daemon: Arc::clone(&self.daemon), registration: registration.clone() };
        journal.attach(&self.line, Arc::new(nonces));
        let (daemon, job, line) = (Arc::clone(&self.daemon), Arc::clone(job), Arc::clone(&self.line));
        let stream = move || {
            let Outbox::Journaled(journal) = &job.outbox else { return };
            match journal.stream(&line, from) {
                Ok(StreamEnd::Finished) => shelve(&daemon, &job),
                Ok(StreamEnd::Detached) => {}
                Err(error) => {
                    tracing::error!(job = %job.spec.id, error = chain(&error), "the journal could not be streamed");
                    line.close();
                }
            }
        };
        if let Err(error) = std::thread::Builder::new().name("journal".to_owned()).spawn(stream) {
            tracing::error!(%error, "no thread to stream a journal");
            self.line.close();
        }
    }

    /// `JobId=` (spec/03 §2.2).
    pub(super) fn start_job(&mut self, line: &[u8]) {
        let bad = |why: String| format!("3915 Bad Job command. stat=0 CMD: {why}\n");
        let spec = match JobSpec::parse(line) {
            Ok(spec) => spec,
            Err(error) => {
                tracing::warn!(director = self.director, %error, "bad JobId command");
                return self.say(&bad(wire::scan::shorten(line)));
            }
        };
        if self.daemon.is_stopping() {
            return self.say(&bad("the Storage Daemon is stopping".to_owned()));
        }
        let owner = self.key();
        if let Some(old) = self.daemon.jobs.of_director(&owner, &spec.job) {
            let is_unused =
                !old.has_client.load(Ordering::Acquire) && old.state().phase == JobPhase::Reserved;
            if is_unused && matches!(old.outbox, Outbox::Direct(_)) {
                self.daemon.release_devices(old.session);
                self.daemon.jobs.remove(&old);
            }
        }
        self.forget_earlier_part(&owner, &spec);
        let session = spec.rerun.unwrap_or_else(|| self.daemon.next_session());
        self.daemon.note_session(session);
        let stop = Arc::new(StopFlag::default());
        let outbox = match self.outbox(&spec, session, &stop) {
            Ok(outbox) => outbox,
            Err(error) => {
                tracing::error!(job = %spec.id, error, "the job cannot be recorded");
                return self.say(&bad(error));
            }
        };
        let key = if spec.is_sd_client { "xxx".to_owned() } else { wire::cram::session_key(rand::random()) };
        let answer = format!("3000 OK Job SDid={} SDtime={} Authorization={key}\n", session.id, session.time);
        let job = Arc::new(Job::new(spec, owner, session, key, outbox, stop));
        self.daemon.jobs.add(Arc::clone(&job));
        self.say(&answer);
        self.stream(&job, 1);
        self.job = Some(job);
    }

    /// A restore that comes back to this daemon starts its job once more; all of the part before is in the catalog.
    fn forget_earlier_part(&self, owner: &DirectorKey, spec: &JobSpec) {
        let old = self.daemon.jobs.of_director(owner, &spec.job);
        let old = old.filter(|old| old.spec.attempt == spec.attempt && !spec.is_backup());
        let Some(old) = old.filter(|old| old.state().phase == JobPhase::Ended) else { return };
        if let Outbox::Journaled(journal) = &old.outbox
            && journal.settled().0
        {
            journal.close_attempt();
            shelve(&self.daemon, &old);
        }
    }

    fn outbox(
        &mut self,
        spec: &JobSpec,
        session: types::VolSession,
        stop: &Arc<StopFlag>,
    ) -> Result<Outbox, String> {
        if self.registration.is_none() {
            let (sender, receiver) = bounded(ANSWERS_MAX);
            self.answers = Some(sender);
            let spool = if spec.spool_attributes && !spec.no_attributes {
                let path = self.daemon.temp_path("attr", &spec.job);
                Some(Spool::create(&path).map_err(|e| format!("create {}: {e}", path.display()))?)
            } else {
                None
            };
            return Ok(Outbox::Direct(DirectOutbox::new(
                spec.id,
                self.daemon.name(),
                self.generation,
                Arc::clone(&self.line),
                receiver,
                Arc::clone(stop),
                spool,
            )));
        }
        self.daemon.job_marks.note(&self.key(), spec.id).map_err(|e| format!("note the JobId: {e}"))?;
        let directory = self.daemon.home.journals(&self.key()).map_err(|e| e.to_string())?;
        let path = directory.join(spec.journal_name());
        let journal = Journal::create(&path, &spec.journal_header(session)).map_err(|e| chain(&e))?;
        let reconnect = self.daemon.config().storage.director_reconnect_time;
        let outbox = JournalOutbox::new(spec.id, self.daemon.name(), journal, Arc::clone(stop), reconnect);
        Ok(Outbox::Journaled(outbox))
    }

    /// `use storage=` … `use device=` …, EOD, EOD (spec/03 §2.4).
    pub(super) fn use_storage(&mut self, first: &[u8], reader: &mut PacketReader) {
        let Some(groups) = read_groups(first, reader) else {
            return self.say(&format!("3913 Bad use command: {}\n", wire::scan::shorten(first)));
        };
        let Some(job) = self.job.clone() else {
            return self.say("3913 Bad use command: no job\n");
        };
        let named = Fields::new(first).get::<String>("storage").unwrap_or_default();
        match self.daemon.places.refuses(&self.key(), &named) {
            Ok(None) => {}
            // A Director that says nothing of the pair.
            Ok(Some(refused)) => return self.say(&format!("3989 {refused}\n")),
            Err(error) => return self.say(&format!("3987 {error}\n")),
        }
        let (daemon, line, busy) =
            (Arc::clone(&self.daemon), Arc::clone(&self.line), Arc::clone(&self.is_busy));
        self.is_busy.store(true, Ordering::Release);
        let work = move || {
            let beat = || {
                let _ = line.signal(Signal::Heartbeat);
            };
            let answer = match reserve(&daemon, &job, &groups, beat) {
                Ok(place) => {
                    let device = types::bash_spaces(daemon.devices[place].name());
                    format!("3000 OK use device device={device} protect=0 encrypt=0\n")
                }
                Err(error) => {
                    daemon.release_devices(job.session);
                    format!("{}\n", chain(&error))
                }
            };
            // What comes after the answer is a command again.
            busy.store(false, Ordering::Release);
            let _ = line.send(answer.as_bytes());
        };
        self.spawn("reserve", work);
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) {
        if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(work) {
            tracing::error!(%error, "no thread for a job: the limit of threads or memory is reached");
            self.line.close();
        }
    }

    /// `bootstrap`, its lines, EOD (spec/03 §2.3).
    pub(super) fn bootstrap(&mut self, reader: &mut PacketReader) {
        let mut text = String::new();
        loop {
            match reader.recv_ref() {
                Ok(PacketRef::Data(data)) => {
                    text.push_str(&String::from_utf8_lossy(data));
                    if !text.ends_with('\n') {
                        text.push('\n');
                    }
                }
                Ok(PacketRef::Signal(Signal::Eod)) => break,
                Ok(PacketRef::Signal(_)) => {}
                Err(_) => return,
            }
        }
        match (text.parse::<volume::Bsr>(), &self.job) {
            (Ok(bsr), Some(job)) => {
                job.state().bsr = Some(bsr);
                self.say("3000 OK bootstrap\n");
            }
            (Err(error), _) => {
                tracing::warn!(director = self.director, %error, "bad bootstrap");
                self.say("3904 Error bootstrap\n");
            }
            (Ok(_), None) => self.say("3904 Error bootstrap\n"),
        }
    }

    /// `client address= port= ssl=`: the SD calls the client (spec/01 §2.6).
    pub(super) fn client_address(&mut self, line: &[u8]) {
        let f = Fields::new(line);
        let host = f.raw("address").map(|a| String::from_utf8_lossy(a).into_owned());
        let (Some(host), Ok(port), Some(job)) = (host, f.get::<u16>("port"), self.job.clone()) else {
            return self.say("3902 Bad client cmd\n");
        };
        let (daemon, line) = (Arc::clone(&self.daemon), Arc::clone(&self.line));
        self.say("3000 OK client command\n");
        self.spawn("call-client", move || {
            let limit = daemon.config().storage.client_connect_timeout;
            let target = net::Target::new(host, port).retrying(CALL_EVERY, limit);
            let tls = crate::daemon::listener::tls_of(&daemon.config().storage.tls);
            let called = tls.map_err(|e| chain(&e)).and_then(|tls| {
                let secret = wire::cram::Secret::from_session_key(&job.key);
                let session = net::Session::new(daemon.name(), secret, tls);
                let is_over = || job.stop.get() != StopRequest::None || !line.is_open();
                crate::session::call_client(&session, &job.spec.job, &target, is_over).map_err(|e| chain(&e))
            });
            match called {
                Ok(conn) if !job.has_client.swap(true, Ordering::AcqRel) => job.give_client(conn),
                Ok(_) => {}
                Err(error) => job.error(&format!("Could not call the client: {error}")),
            }
        });
    }

    /// `storage address=`: the SD calls the other one of a copy (spec/03 §2.8).
    pub(super) fn storage_address(&mut self, line: &[u8]) {
        let (Some(to), Some(job)) = (StorageAddress::parse(line), self.job.clone()) else {
            return self.say("2902 Bad storage\n");
        };
        let (daemon, line) = (Arc::clone(&self.daemon), Arc::clone(&self.line));
        self.spawn("call-storage", move || call_storage(&daemon, &job, &line, &to));
    }

    /// `run` (spec/03 §2.5). A stock Director's connection is the job's from here on.
    pub(super) fn run_command(&mut self) -> Next {
        if sys::failpoint::is_on("storage-run-lost") {
            return Next::Leave;
        }
        let Some(job) = self.job.clone() else {
            self.say("3900 Invalid command:\n");
            return Next::Go;
        };
        {
            let mut state = job.state();
            if state.phase != JobPhase::Reserved {
                drop(state);
                // A Director that has attached again says it once more, as it does not know whether it was lost with the connection.
                if job.outbox.is_journaled() {
                    return Next::Go;
                }
                self.say("3900 Invalid command: the job runs already\n");
                return Next::Go;
            }
            state.phase = JobPhase::Waiting;
        }
        self.is_busy.store(true, Ordering::Release);
        let daemon = Arc::clone(&self.daemon);
        let started = {
            let job = Arc::clone(&job);
            std::thread::Builder::new()
                .name(format!("job-{}", job.spec.id))
                .spawn(move || run_job(&daemon, &job))
        };
        if let Err(error) = started {
            let message = format!("no thread for the job: {error}");
            end_job(&self.daemon, &job, &JobEnd { status: types::JobStatus::FatalError, message });
        }
        Next::Go
    }
}

fn read_groups(first: &[u8], reader: &mut PacketReader) -> Option<Vec<StorageGroup>> {
    let mut groups = vec![group(first)?];
    loop {
        match reader.recv_ref().ok()? {
            PacketRef::Data(data) if data.starts_with(b"use storage=") => groups.push(group(data)?),
            PacketRef::Data(data) => {
                let name = data.strip_prefix(b"use device=")?;
                let name = types::unbash_spaces(&wire::scan::text(name));
                let last = groups.last_mut()?;
                // One EOD ends a group; another one at once ends them all.
                last.devices.push(name);
            }
            PacketRef::Signal(Signal::Eod) => match reader.recv_ref().ok()? {
                PacketRef::Signal(Signal::Eod) => return Some(groups),
                PacketRef::Data(data) if data.starts_with(b"use storage=") => groups.push(group(data)?),
                PacketRef::Data(_) | PacketRef::Signal(_) => return None,
            },
            PacketRef::Signal(_) => {}
        }
        if groups.len() > 100 {
            return None;
        }
    }
}

fn group(line: &[u8]) -> Option<StorageGroup> {
    let f = Fields::new(line);
    let text = |key: &str| f.raw(key).map(|v| types::unbash_spaces(&String::from_utf8_lossy(v)));
    Some(StorageGroup {
        media_type: text("media_type")?,
        pool: text("pool_name")?,
        pool_type: text("pool_type")?,
        is_append: f.get("append").ok()?,
        // A 9.6 Director does not say, and its SD waits.
        wait: f.get("wait").unwrap_or(true),
        devices: Vec::new(),
    })
}
