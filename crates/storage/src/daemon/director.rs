//! A Director's session: jobs and console commands over one connection (spec/03 §2).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Sender, bounded};
use net::blocking::{Conn, PacketReader};
use types::{ActivationId, Attempt, CatalogId, Epoch};
use wire::hello::Hello;
use wire::scan::Fields;
use wire::version::{DirVersion, Generation};
use wire::{PacketRef, Signal};

use super::Daemon;
use super::command::Console;
use super::context::RegistrationNonces;
use super::ending::{end_job, run_job, shelve};
use super::reserving::{StorageGroup, reserve};
use crate::job::{
    DirectOutbox, Job, JobEnd, JobPhase, JobSpec, JournalOutbox, Line, Outbox, Spool, StopFlag, StopRequest,
    StreamEnd,
};
use crate::journal::{Header, Journal};
use crate::ledger::{DirectorKey, RegisterError, Registration};
use crate::session::chain;

/// Time between attempts to call a client.
const CALL_EVERY: std::time::Duration = std::time::Duration::from_secs(10);
/// Answers of a stock Director that wait to be taken.
const ANSWERS_MAX: usize = 64;

/// Serves a Director until it leaves.
pub(crate) fn serve(daemon: &Arc<Daemon>, director: &conf::storage::Director, conn: Conn) {
    let version = match &conn.peer().hello {
        Hello::DirectorToStorage { version, .. } => *version,
        _ => DirVersion::default(),
    };
    let has_additions = conn.peer().holdfast > 0;
    let (reader, writer, _peer, closer) = conn.split();
    let line = Arc::new(Line::new(writer, closer));
    let mut session = Session {
        daemon: Arc::clone(daemon),
        director: director.name.clone(),
        is_monitor: director.monitor,
        generation: version.generation(),
        has_additions,
        line,
        registration: None,
        job: None,
        answers: None,
        is_busy: Arc::new(AtomicBool::new(false)),
    };
    session.run(reader);
    session.leave();
}

/// What the loop does after a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Go,
    Leave,
}

struct Session {
    daemon: Arc<Daemon>,
    director: String,
    is_monitor: bool,
    generation: Generation,
    has_additions: bool,
    line: Arc<Line>,
    registration: Option<Registration>,
    job: Option<Arc<Job>>,
    /// Where a stock Director's answers go while a job of this connection asks.
    answers: Option<Sender<Vec<u8>>>,
    /// Whether the job's thread is at work: then a stock Director's packets are answers.
    is_busy: Arc<AtomicBool>,
}

impl Session {
    fn run(&mut self, mut reader: PacketReader) {
        if !self.has_additions && self.daemon.registry.has_epochs(&self.director) {
            self.refuse(&format!(
                "3982 Director \"{d}\" has had epochs here; a connection without one is refused. Use \"holdfast storage \
                 forget-director {d}\" if it has gone back to Bacula.\n",
                d = self.director
            ));
            return;
        }
        loop {
            let packet = match reader.recv_ref() {
                Ok(PacketRef::Data(data)) => data.to_vec(),
                Ok(PacketRef::Signal(Signal::Terminate)) => return,
                Ok(PacketRef::Signal(_)) => continue,
                Err(error) => {
                    tracing::debug!(director = self.director, error = chain(&error), "connection ended");
                    return;
                }
            };
            if self.packet(&packet, &mut reader) == Next::Leave {
                return;
            }
        }
    }

    /// The connection is over: what depended on it is told.
    fn leave(&mut self) {
        self.line.note_closed();
        self.answers = None;
        let Some(job) = &self.job else { return };
        match &job.outbox {
            Outbox::Journaled(journal) => journal.detach(&self.line),
            Outbox::Direct(_) => {
                let phase = job.state().phase;
                if !self.is_busy.load(Ordering::Acquire) && phase == JobPhase::Reserved {
                    // It never came to `run`.
                    self.daemon.release_devices(job.spec.id);
                    self.daemon.jobs.remove(job);
                }
            }
        }
        self.line.close();
    }

    fn refuse(&self, text: &str) {
        tracing::warn!(director = self.director, answer = text.trim_end(), "refused");
        let _ = self.line.send(text.as_bytes());
        let _ = self.line.signal(Signal::Terminate);
    }

    fn say(&self, text: &str) {
        // A Director that has gone is noticed by the receiving side.
        let _ = self.line.send(text.as_bytes());
    }

    fn packet(&mut self, packet: &[u8], reader: &mut PacketReader) -> Next {
        if let Err(error) = self.check_epoch(packet) {
            self.refuse(&format!("3981 {error}\n"));
            return Next::Leave;
        }
        if self.for_journal(packet) {
            return Next::Go;
        }
        if self.is_busy.load(Ordering::Acquire) && !self.has_additions {
            if let Some(answers) = &self.answers
                && answers.try_send(packet.to_vec()).is_err()
            {
                tracing::warn!(director = self.director, "more answers than questions");
            }
            return Next::Go;
        }
        self.command(packet, reader)
    }

    /// `Ack`, `Ans` and `Closed` go to the job's journal.
    fn for_journal(&self, packet: &[u8]) -> bool {
        let Some(job) = &self.job else { return false };
        let Outbox::Journaled(journal) = &job.outbox else { return false };
        let words = |rest: &[u8]| wire::scan::text(rest);
        if let Some(rest) = packet.strip_prefix(b"Ack ") {
            let text = words(rest);
            let mut words = text.split_whitespace();
            if let Some(seq) = words.next().and_then(|w| w.parse().ok()) {
                journal.acknowledge(seq, words.next() == Some("replicated"));
                if job.state().phase == JobPhase::Ended {
                    shelve(&self.daemon, job);
                }
            }
            return true;
        }
        if let Some(rest) = packet.strip_prefix(b"Ans ") {
            let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            let seq = std::str::from_utf8(&rest[..digits]).ok().and_then(|d| d.parse().ok());
            if let Some(seq) = seq {
                journal.answer(seq, rest.get(digits + 1..).unwrap_or_default());
            }
            return true;
        }
        if let Some(rest) = packet.strip_prefix(b"Closed ") {
            if words(rest).parse() == Ok(job.spec.attempt.0) {
                self.close_attempt(job);
            }
            return true;
        }
        false
    }

    fn close_attempt(&self, job: &Arc<Job>) {
        if let Outbox::Journaled(journal) = &job.outbox {
            journal.close_attempt();
        }
        job.request_stop(StopRequest::Cancel);
        if job.state().phase != JobPhase::Running && job.state().phase != JobPhase::Waiting {
            self.daemon.release_devices(job.spec.id);
            shelve(&self.daemon, job);
        }
    }

    fn check_epoch(&self, packet: &[u8]) -> Result<(), RegisterError> {
        if !self.has_additions || packet.starts_with(b"director ") {
            return Ok(());
        }
        match &self.registration {
            Some(held) => self.daemon.registry.check_current(held),
            None => Ok(()),
        }
    }

    fn command(&mut self, line: &[u8], reader: &mut PacketReader) -> Next {
        let text = wire::scan::text(line);
        if line.starts_with(b"director ") && self.has_additions {
            return self.register(line);
        }
        if self.has_additions && self.registration.is_none() {
            self.refuse("3984 The first command of a Director must be \"director\".\n");
            return Next::Leave;
        }
        if self.is_monitor && !(text.starts_with("status") || text.starts_with(".status")) {
            self.say("3997 Invalid command for a Director with Monitor directive enabled.\n");
            let _ = self.line.signal(Signal::Eod);
            return Next::Go;
        }
        tracing::debug!(director = self.director, command = text, "command");
        if line.starts_with(b"JobId=") {
            self.start_job(line);
        } else if line.starts_with(b"use storage=") {
            self.use_storage(line, reader);
        } else if line.starts_with(b"bootstrap") {
            self.bootstrap(reader);
        } else if line.starts_with(b"client ") {
            self.client_address(line);
        } else if line.starts_with(b"run") {
            return self.run_command();
        } else if line.starts_with(b"sendprogress") {
            // Progress lines are optional.
        } else if self.is_holdfast_command(line) {
            self.holdfast_command(line);
        } else {
            let console = Console {
                daemon: &self.daemon,
                key: self.key(),
                line: &self.line,
                registration: self.registration.as_ref(),
            };
            console.command(&text);
        }
        Next::Go
    }

    fn key(&self) -> DirectorKey {
        match &self.registration {
            Some(registration) => registration.key.clone(),
            None => DirectorKey { name: self.director.clone(), catalog: None },
        }
    }

    /// `director epoch= activation= catalog= instance=` (docs/extensions.md §2).
    fn register(&mut self, line: &[u8]) -> Next {
        let f = Fields::new(line);
        let parsed = (|| {
            Some(Registration {
                key: DirectorKey {
                    name: self.director.clone(),
                    catalog: Some(f.get::<CatalogId>("catalog").ok()?),
                },
                epoch: f.get::<Epoch>("epoch").ok()?,
                activation: f.get::<ActivationId>("activation").ok()?,
                instance: types::unbash_spaces(&String::from_utf8_lossy(f.raw("instance")?)),
            })
        })();
        let Some(registration) = parsed else {
            self.refuse("3986 Bad director command.\n");
            return Next::Leave;
        };
        match self.daemon.registry.register(&registration) {
            Ok(()) => {
                let nonce = self.daemon.draw_nonce(&registration);
                self.say(&format!("3000 OK director epoch={} nonce={nonce}\n", registration.epoch.0));
                self.registration = Some(registration);
                Next::Go
            }
            Err(error @ RegisterError::Stale { .. }) => {
                self.refuse(&format!("3981 {error}\n"));
                Next::Leave
            }
            Err(error @ RegisterError::Save(_)) => {
                tracing::error!(error = chain(&error), "a Director's epoch could not be remembered");
                self.refuse(&format!("3987 {}\n", chain(&error)));
                Next::Leave
            }
        }
    }

    fn is_holdfast_command(&self, line: &[u8]) -> bool {
        let words: [&[u8]; 5] = [b"nonce", b"jobs", b"inventory", b"attach ", b"close "];
        self.has_additions && words.iter().any(|w| line.starts_with(w))
    }

    fn holdfast_command(&mut self, line: &[u8]) {
        if line.starts_with(b"nonce") {
            if let Some(registration) = &self.registration {
                let nonce = self.daemon.draw_nonce(registration);
                self.say(&format!("3000 OK nonce={nonce}\n"));
            }
        } else if line.starts_with(b"jobs") {
            self.list_jobs();
        } else if line.starts_with(b"inventory") {
            self.tell_inventory();
        } else if line.starts_with(b"attach ") {
            self.attach(line);
        } else {
            self.close(line);
        }
    }

    fn list_jobs(&self) {
        let key = self.key();
        for job in self.daemon.jobs.all().into_iter().filter(|j| j.owner == key) {
            if let Some(line) = list_line(&job) {
                self.say(&line);
            }
        }
        let _ = self.line.signal(Signal::Eod);
    }

    fn tell_inventory(&self) {
        match super::inventory::lines(&self.daemon, &self.key()) {
            Ok(lines) => {
                for line in &lines {
                    // A Director that has gone is noticed by the receiving side.
                    let _ = self.line.send(line);
                }
            }
            Err(error) => {
                tracing::error!(error, "the inventory cannot be told");
                self.say(&format!("3988 No inventory: {error}\n"));
            }
        }
        let _ = self.line.signal(Signal::Eod);
    }

    /// The job of an `attach` or `close` line.
    fn known_job(&self, line: &[u8]) -> Result<Arc<Job>, String> {
        let f = Fields::new(line);
        let name = f.raw("Job").map(|n| String::from_utf8_lossy(n).into_owned()).unwrap_or_default();
        let attempt = Attempt(f.get::<u32>("attempt").unwrap_or(0));
        let job = self.daemon.jobs.of_director(&self.key(), &name).filter(|j| j.spec.attempt == attempt);
        job.ok_or_else(|| format!("3983 Job \"{name}\" attempt {attempt} is not known here.\n"))
    }

    fn attach(&mut self, line: &[u8]) {
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

    fn close(&self, line: &[u8]) {
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
    fn start_job(&mut self, line: &[u8]) {
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
                self.daemon.release_devices(old.spec.id);
                self.daemon.jobs.remove(&old);
            }
        }
        let session = spec.rerun.unwrap_or_else(|| self.daemon.next_session());
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
        let header = Header {
            job_id: spec.id,
            job: spec.job.clone(),
            attempt: spec.attempt,
            session,
            job_type: spec.job_type,
            level: spec.level,
            file_set: spec.file_set.clone(),
            device: String::new(),
        };
        let path = directory.join(format!("job-{}.{}.journal", spec.id, spec.attempt));
        let journal = Journal::create(&path, &header).map_err(|e| chain(&e))?;
        let reconnect = self.daemon.config().storage.director_reconnect_time;
        let outbox = JournalOutbox::new(spec.id, self.daemon.name(), journal, Arc::clone(stop), reconnect);
        Ok(Outbox::Journaled(outbox))
    }

    /// `use storage=` … `use device=` …, EOD, EOD (spec/03 §2.4).
    fn use_storage(&mut self, first: &[u8], reader: &mut PacketReader) {
        let Some(groups) = read_groups(first, reader) else {
            return self.say(&format!("3913 Bad use command: {}\n", wire::scan::shorten(first)));
        };
        let Some(job) = self.job.clone() else {
            return self.say("3913 Bad use command: no job\n");
        };
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
                    daemon.release_devices(job.spec.id);
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
    fn bootstrap(&mut self, reader: &mut PacketReader) {
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
    fn client_address(&mut self, line: &[u8]) {
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
            let tls = super::listener::tls_of(&daemon.config().storage.tls);
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

    /// `run` (spec/03 §2.5). A stock Director's connection is the job's from here on.
    fn run_command(&mut self) -> Next {
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

/// The line of a job in the answer to `jobs` (docs/extensions.md §5); none for one of a stock Director.
#[must_use]
pub fn list_line(job: &Job) -> Option<String> {
    let Outbox::Journaled(journal) = &job.outbox else { return None };
    let (phase, status) = {
        let state = job.state();
        (state.phase, state.status)
    };
    Some(format!(
        "job JobId={} Job={} attempt={} type={} level={} SDid={} SDtime={} state={} status={} files={} bytes={} last={} \
         acked={} opened={}\n",
        job.spec.id,
        job.spec.job,
        job.spec.attempt,
        job.spec.job_type,
        job.spec.level,
        job.session.id,
        job.session.time,
        phase.as_str(),
        status.code(),
        job.files.load(Ordering::Relaxed),
        job.bytes.load(Ordering::Relaxed),
        journal.last_seq(),
        journal.acked(),
        u8::from(job.is_opened.load(Ordering::Relaxed)),
    ))
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
