//! The commands (spec/01 §5.2).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use conf::messages::{DestinationKind, MessageType as ConfType};
use net::blocking;
use net::{Session, Target};
use types::{JobId, JobLevel, JobStatus, JobType, Timestamp};
use wire::cram::Secret;
use wire::frame::{Packet, Signal};
use wire::hello::Hello;
use wire::msg::common::{CancelKind, SetDebug};
use wire::msg::dir_fd::{
    Command, FdJob, JobReply, Level, LevelWord, RestoreCommand, RestoreObject, RestoreTarget, SetBandwidth,
    SinceClock, StorageAddress, VerifyLevel,
};
use wire::msg::fd_sd::FdCaps;
use wire::msg::holdfast;
use wire::version::{FdVersion, Generation};

use super::pump::{DIRECT_PACKETS, spawn_thread};
use super::{DirectorSession, Next};
use crate::accurate::AccurateList;
use crate::counters::Counters;
use crate::fileset::FileSetParser;
use crate::job::{Job, JobIdentity};
use crate::message::{JobLog, MessageKind};
use crate::restore::{Names, RegexWhere, RestoreOptions};
use crate::script::{RunScript, ScriptStage};
use crate::status;
use crate::storage::{StorageSession, chain};
use crate::work::{self, BackupWork};

/// Time between attempts to reach a Storage Daemon.
const STORAGE_RETRY: Duration = Duration::from_secs(10);
/// How long the call of a Storage Daemon is waited for (spec/01 §2.6).
const STORAGE_CALL_WAIT: Duration = Duration::from_secs(30 * 60);

impl DirectorSession {
    pub(super) async fn execute(&mut self, command: Command) -> Next {
        if self.job.is_none() && !works_without_job(&command) {
            // Monitors and old programs ask without making a job first.
            self.make_console_job();
        }
        match command {
            Command::Job(job) => self.job(job).await,
            Command::Level(level) => self.level(level).await,
            Command::FileSet { .. } => self.fileset().await,
            Command::Storage(address) => self.storage(address).await,
            Command::Run(script) => {
                self.setup.scripts.push(script.into());
                self.answer("2000 OK RunScript\n").await
            }
            Command::RunBeforeNow => self.run_before().await,
            Command::RunBeforeJob(command) => self.run_before_old(command).await,
            Command::RunAfterJob(command) => {
                self.setup.scripts.push(RunScript::old_style(command, ScriptStage::After));
                self.answer("2000 OK RunAfter\n").await
            }
            Command::Accurate { .. } => self.accurate().await,
            Command::Backup { file_index } => self.backup(file_index.get()).await,
            Command::Restore(command) => self.restore(command).await,
            Command::EndRestore => self.end_restore(),
            Command::Verify(level) => self.verify(level).await,
            Command::Estimate(command) => self.estimate(command.listing, command.limit).await,
            Command::Cancel { kind, job } => self.cancel(kind, &job).await,
            Command::SetBandwidth(command) => self.bandwidth(command).await,
            Command::SetDebug(command) => self.debug(command).await,
            Command::Status => {
                let lines = status::report(&self.daemon);
                self.list(lines).await
            }
            Command::StatusQuery(query) => {
                let lines = status::query(&self.daemon, &query);
                self.list(lines).await
            }
            Command::Caps => {
                self.send(FdCaps::none(true).format()).await;
                self.signal(Signal::CmdOk).await;
                Next::Go
            }
            Command::ComponentInfo => {
                self.skip_list().await;
                self.answer("2000 OK ComponentInfo\n").await
            }
            Command::RestoreObject(RestoreObject::Object(_)) => {
                // Name and content of an object that belongs to a plugin; this client has none.
                self.recv().await;
                self.recv().await;
                Next::Go
            }
            Command::RestoreObject(RestoreObject::End) => self.answer("2000 OK ObjectRestored\n").await,
            Command::RestoreFileList { .. } => {
                self.skip_list().await;
                Next::Go
            }
            Command::PluginFeatures | Command::Statistics(_) | Command::Query(_) => {
                self.signal(Signal::Eod).await;
                Next::Go
            }
            Command::MemoryDump => self.answer("2000 sm_dump OK\n").await,
            Command::Session(_) => self.answer("2000 OK session\n").await,
            Command::Snapshot(text) if text.starts_with("retention=") => {
                self.answer("2000 Snapshot retention\n").await
            }
            Command::Snapshot(_) => {
                self.send("2999 Snapshot command not found\n").await;
                self.signal(Signal::Eod).await;
                Next::Go
            }
            Command::TestNetwork(_) => {
                self.send("2999 network test failed ERR=not supported by this client\n").await;
                self.signal(Signal::CmdFailed).await;
                Next::Go
            }
            Command::Proxy => {
                self.send("2999 Invalid command\n").await;
                Next::End
            }
            Command::Holdfast(command) => self.holdfast(command).await,
        }
    }

    async fn answer(&mut self, text: &str) -> Next {
        self.flush_outbox().await;
        self.send(text).await;
        Next::Go
    }

    async fn list(&mut self, lines: Vec<String>) -> Next {
        if let Some(conn) = &mut self.conn {
            for line in lines {
                conn.queue(line);
            }
        }
        self.signal(Signal::Eod).await;
        Next::Go
    }

    /// Reads a list that is of no use here.
    async fn skip_list(&mut self) {
        while let Some(Packet::Data(_)) = self.recv().await {}
    }

    fn identity(&self, command: FdJob) -> JobIdentity {
        let daemon = &self.daemon.config.daemon;
        JobIdentity {
            id: command.job_id,
            session: command.session(),
            key: command.key().map(str::to_owned),
            attempt: command.attempt.unwrap_or_default(),
            name: command.job,
            director: self.director_name().to_owned(),
            catalog: self.registered.as_ref().map(|registered| registered.registration.catalog),
            generation: if self.additions { Generation::New } else { self.generation },
            daemon: daemon.name.clone(),
            wanted: self.wanted_messages(),
            errors_max: daemon.maximum_job_error_count.into(),
        }
    }

    /// Kinds of messages that the Messages resource sends to this Director.
    fn wanted_messages(&self) -> Vec<MessageKind> {
        let all = [
            (MessageKind::Fatal, ConfType::Fatal),
            (MessageKind::Error, ConfType::Error),
            (MessageKind::Warning, ConfType::Warning),
            (MessageKind::Info, ConfType::Info),
            (MessageKind::NotSaved, ConfType::NotSaved),
            (MessageKind::Skipped, ConfType::Skipped),
            (MessageKind::Restored, ConfType::Restored),
        ];
        let config = &self.daemon.config;
        let Some(messages) = config.daemon_messages() else {
            let default = |kind| !matches!(kind, MessageKind::Skipped | MessageKind::Restored);
            return all.into_iter().map(|(kind, _)| kind).filter(|&kind| default(kind)).collect();
        };
        let to_director: Vec<_> = messages
            .destinations
            .iter()
            .filter(|d| d.kind == DestinationKind::Director)
            .map(|d| d.types)
            .collect();
        all.into_iter()
            .filter(|(_, conf)| to_director.iter().any(|types| types.contains(*conf)))
            .map(|(kind, _)| kind)
            .collect()
    }

    fn make_console_job(&mut self) {
        let command = FdJob {
            job_id: JobId(0),
            job: "-Console-".to_owned(),
            session_id: 0,
            session_time: 0,
            key: "dummy".to_owned(),
            attempt: None,
        };
        self.set_job(Arc::new(Job::new(self.identity(command))));
    }

    fn set_job(&mut self, job: Arc<Job>) {
        let resource = &self.daemon.config.directors[self.director];
        let limit = match resource.maximum_bandwidth_per_job {
            0 => self.daemon.bandwidth.load(Ordering::Relaxed),
            own => own,
        };
        job.counters.bandwidth.store(limit, Ordering::Relaxed);
        self.owner = job.take_over();
        self.job = Some(job);
    }

    async fn job(&mut self, command: FdJob) -> Next {
        let is_console = command.job_id == JobId(0);
        let job = Arc::new(Job::new(self.identity(command)));
        if !is_console && !self.daemon.jobs.add(&job) {
            tracing::warn!(job = %job.identity.name, "a job of this name runs already");
            self.send("2901 Bad Job\n").await;
            return Next::End;
        }
        self.set_job(job);
        let uname = status::uname(self.generation);
        self.send(JobReply { uname }.format()).await;
        Next::Go
    }

    async fn level(&mut self, level: Level) -> Next {
        let Some(job) = self.job.clone() else { return Next::End };
        match level {
            Level::Word { word, accurate, rerunning, .. } => {
                self.setup.level = Some(word);
                self.setup.accurate_mode = accurate;
                self.setup.rerunning = rerunning;
                job.set_level(match word {
                    LevelWord::Full => JobLevel::Full,
                    LevelWord::Base => JobLevel::Base,
                    LevelWord::Differential => JobLevel::Differential,
                    LevelWord::Incremental => JobLevel::Incremental,
                });
                match word {
                    LevelWord::Full | LevelWord::Base => self.answer("2000 OK level\n").await,
                    // The answer comes with the time that follows.
                    LevelWord::Differential | LevelWord::Incremental => Next::Go,
                }
            }
            Level::Since { time, prev_job } => {
                let Some(adjustment) = self.compare_clocks().await else { return Next::End };
                self.setup.since = Timestamp(time.0 + adjustment);
                if let Ok(mut texts) = job.texts.lock() {
                    texts.since = Some(self.setup.since);
                    texts.previous = prev_job;
                }
                if self.setup.level.is_none() {
                    self.setup.level = Some(LevelWord::Incremental);
                    job.set_level(JobLevel::Since);
                }
                if adjustment.abs() > 3 {
                    let kind = if adjustment.abs() > 600 { MessageKind::Warning } else { MessageKind::Info };
                    let text = format!(
                        "DIR and FD clocks differ by {adjustment} seconds, FD automatically compensating.\n"
                    );
                    job.message(kind, &text);
                }
                self.answer("2000 OK level\n").await
            }
        }
    }

    /// Asks the Director's clock ten times; gives the seconds by which ours is ahead.
    async fn compare_clocks(&mut self) -> Option<i64> {
        let mut clock = SinceClock::default();
        for _ in 0..SinceClock::ROUNDS {
            let start = now_us();
            self.signal(Signal::Btime).await;
            let Some(Packet::Data(line)) = self.recv().await else { return None };
            if let Err(error) = clock.sample(&line, start, now_us()) {
                self.fatal(&format!("Bad response to btime: {error}\n"));
                return None;
            }
        }
        self.signal(Signal::Eod).await;
        Some(clock.adjustment_seconds())
    }

    async fn fileset(&mut self) -> Next {
        let mut parser = FileSetParser::default();
        while let Some(Packet::Data(line)) = self.recv().await {
            if let Err(error) = parser.line(&line) {
                self.fatal(&format!("{error}\n"));
                return Next::End;
            }
        }
        if let Some(job) = &self.job {
            for warning in &parser.warnings {
                job.message(MessageKind::Error, warning);
            }
        }
        self.setup.set = parser.finish();
        self.answer("2000 OK include\n").await
    }

    async fn accurate(&mut self) -> Next {
        let mut list = AccurateList::default();
        while let Some(Packet::Data(line)) = self.recv().await {
            let Some(entry) = attrs::AccurateEntry::decode(&line) else { continue };
            if let Err(error) = list.insert(&entry) {
                self.fatal(&format!("{error}\n"));
                return Next::End;
            }
        }
        self.setup.accurate = Some(list);
        Next::Go
    }

    async fn storage(&mut self, address: StorageAddress) -> Next {
        let Some(job) = self.job.clone() else { return Next::End };
        let key = address.key.clone().filter(|key| key != "dummy");
        if key.is_some() {
            self.setup.several_storages = true;
        }
        let Some(key) = key.or_else(|| job.identity.key.clone()) else {
            self.fatal("The Director gave no key for the Storage daemon.\n");
            return self.bad_storage().await;
        };
        let daemon = Arc::clone(&self.daemon);
        let (thread_job, host, port) = (Arc::clone(&job), address.address.clone(), address.port);
        let opened = if port == 0 {
            let Some(stream) = self.wait_for_call(&job).await else {
                self.fatal("The Storage daemon did not call.\n");
                return self.bad_storage().await;
            };
            self.blocking(move || open_storage(&daemon, &thread_job, stream, &key, &host)).await
        } else {
            self.blocking(move || {
                let target = Target {
                    source: daemon
                        .config
                        .daemon
                        .fd_source_address
                        .as_ref()
                        .and_then(|text| text.parse().ok()),
                    keepalive: daemon.config.daemon.heartbeat_interval,
                    ..Target::new(host.clone(), port)
                }
                .retrying(STORAGE_RETRY, daemon.config.daemon.sd_connect_timeout);
                let stream = blocking::connect(&target, || thread_job.stop.is_ending())?;
                open_storage(&daemon, &thread_job, stream, &key, &host)
            })
            .await
        };
        match opened {
            Some(Ok((session, encrypted))) => {
                self.setup.storage = Some(session);
                if job.identity.generation == Generation::New {
                    let how = if encrypted { "with TLS" } else { "without encryption" };
                    let (host, port) = (&address.address, address.port);
                    job.message(MessageKind::Info, &format!("Connected to Storage at {host}:{port} {how}\n"));
                }
                self.answer("2000 OK storage\n").await
            }
            Some(Err(error)) => {
                let what = if error.is_authentication() {
                    "Failed to authenticate Storage daemon".to_owned()
                } else {
                    format!("Failed to connect to Storage daemon: {}:{}", address.address, address.port)
                };
                self.fatal(&format!("{what}. ERR={}\n", chain(&error)));
                self.bad_storage().await
            }
            None => self.bad_storage().await,
        }
    }

    async fn bad_storage(&mut self) -> Next {
        self.answer("2902 Bad storage\n").await;
        Next::End
    }

    /// The connection that the Storage Daemon opens.
    async fn wait_for_call(&mut self, job: &Arc<Job>) -> Option<std::net::TcpStream> {
        let waiting = Arc::clone(job);
        let (done, result) = tokio::sync::oneshot::channel();
        tokio::spawn(async move {
            let wait = async {
                loop {
                    if let Some(stream) = waiting.take_call() {
                        return Some(stream);
                    }
                    if waiting.stop.is_ending() {
                        return None;
                    }
                    waiting.called_changed.notified().await;
                }
            };
            // Nobody waits any more when the session has ended.
            let _ = done.send(tokio::time::timeout(STORAGE_CALL_WAIT, wait).await.ok().flatten());
        });
        let (_, direct) = tokio::sync::mpsc::channel(1);
        self.serve_while(result, direct).await.flatten()
    }

    async fn run_before(&mut self) -> Next {
        let Some(job) = self.job.clone() else { return Next::End };
        let scripts = self.setup.scripts.clone();
        let ran = self.blocking(move || job.run_scripts(&scripts, ScriptStage::Before)).await;
        if ran == Some(true) {
            return self.answer("2000 OK RunBeforeNow\n").await;
        }
        self.answer("2905 Bad RunBeforeNow command.\n").await;
        Next::End
    }

    async fn run_before_old(&mut self, command: String) -> Next {
        let Some(job) = self.job.clone() else { return Next::End };
        let script = RunScript::old_style(command, ScriptStage::Before);
        let ran = self.blocking(move || job.run_scripts(&[script], ScriptStage::Before)).await;
        if ran == Some(true) {
            return self.answer("2000 OK RunBefore\n").await;
        }
        self.answer("2905 Bad RunBeforeJob command.\n").await;
        Next::End
    }

    async fn backup(&mut self, last_index: i32) -> Next {
        let Some(job) = self.job.clone() else { return Next::End };
        job.set_job_type(JobType::Backup);
        let selection = self.setup.selection();
        let Some(storage) = self.setup.storage.take() else {
            self.fatal("Cannot contact Storage daemon\n");
            return Next::End;
        };
        self.answer("2000 OK backup\n").await;
        let work = BackupWork {
            set: std::mem::take(&mut self.setup.set),
            selection,
            accurate: self.setup.accurate.take(),
            last_index,
            storage,
            scripts: std::mem::take(&mut self.setup.scripts),
        };
        let (daemon, thread_job) = (Arc::clone(&self.daemon), Arc::clone(&job));
        // The thread ends the job itself: it goes on when the Director, and with it this session, is gone.
        let work = spawn_thread(move || {
            work::run_backup_job(&thread_job, work);
            daemon.jobs.end(&thread_job);
        });
        self.job_elsewhere = true;
        let (_, direct) = tokio::sync::mpsc::channel(1);
        self.serve_while(work, direct).await;
        self.deliver_rest(&job).await;
        Next::End
    }

    async fn restore(&mut self, command: RestoreCommand) -> Next {
        let Some(job) = self.job.clone() else { return Next::End };
        job.set_job_type(JobType::Restore);
        let names = match &command.target {
            RestoreTarget::Where(place) => Names::below(&String::from_utf8_lossy(place)),
            RestoreTarget::Regex(text) => match RegexWhere::parse(&String::from_utf8_lossy(text)) {
                Ok(expressions) => Names::Regex(expressions),
                Err(error) => {
                    self.fatal(&format!("Bad where regexp. {error}\n"));
                    return Next::End;
                }
            },
        };
        let Some(storage) = self.setup.storage.take() else {
            self.fatal("Cannot contact Storage daemon\n");
            return Next::End;
        };
        self.answer("2000 OK restore\n").await;
        let options = RestoreOptions { names, replace: command.replace, prefix_links: command.prefix_links };
        let thread_job = Arc::clone(&job);
        self.blocking(move || work::run_restore(&thread_job, options, storage)).await;
        if self.setup.several_storages && self.conn.is_some() {
            return self.answer("2000 OK storage end\n").await;
        }
        self.end_restore()
    }

    /// The last restore is over: with errors the job is no success.
    fn end_restore(&mut self) -> Next {
        if let Some(job) = &self.job
            && Counters::get(&job.counters.errors) > 0
        {
            job.set_status(JobStatus::ErrorTerminated);
        }
        Next::End
    }

    async fn verify(&mut self, level: VerifyLevel) -> Next {
        let Some(job) = self.job.clone() else { return Next::End };
        job.set_job_type(JobType::Verify);
        job.set_level(match level {
            VerifyLevel::Init => JobLevel::VerifyInit,
            VerifyLevel::Catalog => JobLevel::VerifyCatalog,
            VerifyLevel::Volume => JobLevel::VerifyVolume,
            VerifyLevel::Data => JobLevel::VerifyData,
            VerifyLevel::DiskToCatalog => JobLevel::VerifyDisk,
        });
        self.answer("2000 OK verify\n").await;
        let set = std::mem::take(&mut self.setup.set);
        let accurate = self.setup.accurate.take();
        let storage = self.setup.storage.take();
        let (direct_in, direct) = tokio::sync::mpsc::channel(DIRECT_PACKETS);
        let thread_job = Arc::clone(&job);
        let work = spawn_thread(move || match (level, storage) {
            (VerifyLevel::Init | VerifyLevel::Catalog | VerifyLevel::DiskToCatalog, _) => {
                work::run_verify_disk(&thread_job, &set, &direct_in);
            }
            (VerifyLevel::Volume | VerifyLevel::Data, Some(storage)) => {
                let data = level == VerifyLevel::Data;
                work::run_verify_volume(&thread_job, storage, &set, data, accurate, &direct_in);
            }
            (VerifyLevel::Volume | VerifyLevel::Data, None) => {
                thread_job.message(MessageKind::Fatal, "Cannot contact Storage daemon\n");
            }
        });
        self.serve_while(work, direct).await;
        self.signal(Signal::Eod).await;
        Next::End
    }

    async fn estimate(&mut self, listing: bool, limit: Option<u64>) -> Next {
        let Some(job) = self.job.clone() else { return Next::End };
        let selection = self.setup.selection();
        let set = std::mem::take(&mut self.setup.set);
        let accurate = self.setup.accurate.take();
        let (direct_in, direct) = tokio::sync::mpsc::channel(DIRECT_PACKETS);
        let work = spawn_thread(move || {
            work::run_estimate(&job, &set, selection, accurate, listing, limit, &direct_in)
        });
        if let Some(line) = self.serve_while(work, direct).await {
            self.send(line).await;
        }
        self.signal(Signal::Eod).await;
        Next::Go
    }

    async fn cancel(&mut self, kind: CancelKind, name: &str) -> Next {
        let answer = match self.daemon.jobs.running(name) {
            Some(job) => {
                match kind {
                    CancelKind::Cancel => job.cancel(),
                    CancelKind::Stop => job.stop_incomplete(),
                }
                format!("2001 Job \"{name}\" marked to be {}.\n", kind.marked())
            }
            None => format!("2901 Job {name} not found.\n"),
        };
        self.send(answer).await;
        self.signal(Signal::Eod).await;
        Next::Go
    }

    async fn bandwidth(&mut self, command: SetBandwidth) -> Next {
        let limit = command.bytes_per_second.max(0) as u64;
        let name = command.job.trim();
        if name.is_empty() || name == "*" {
            self.daemon.bandwidth.store(limit, Ordering::Relaxed);
            for job in self.daemon.jobs.all_running() {
                job.counters.bandwidth.store(limit, Ordering::Relaxed);
            }
        } else if let Some(job) = self.daemon.jobs.running(name) {
            job.counters.bandwidth.store(limit, Ordering::Relaxed);
        } else {
            self.send(format!("2901 Job {name} not found.\n")).await;
        }
        self.answer("2000 OK Bandwidth\n").await
    }

    async fn debug(&mut self, command: SetDebug) -> Next {
        if command.level >= 0 {
            self.daemon.debug.store(command.level, Ordering::Relaxed);
        }
        let (level, trace) = (command.level, command.trace.max(0));
        let hangup = command.hangup.unwrap_or(0).max(0);
        let blowup = command.blowup.unwrap_or(0).max(0);
        let (options, tags) = (command.options.unwrap_or_default(), command.tags.unwrap_or_default());
        let answer = format!(
            "2000 OK setdebug={level} trace={trace} hangup={hangup} blowup={blowup} options={options} tags={tags}\n"
        );
        self.answer(&answer).await
    }

    async fn holdfast(&mut self, command: holdfast::Command) -> Next {
        match command {
            holdfast::Command::Register(registration) if self.additions => {
                let epoch = registration.epoch;
                match self.daemon.epochs.register(self.director_name(), registration) {
                    Ok(registered) => {
                        self.registered = Some(registered);
                        self.send(holdfast::ClientRegistered { epoch }.format()).await;
                        Next::Go
                    }
                    Err(refusal) => {
                        self.send(refusal.format_client()).await;
                        Next::End
                    }
                }
            }
            holdfast::Command::Jobs => self.jobs().await,
            holdfast::Command::Attach(attach) => self.attach(attach).await,
            holdfast::Command::Close(close) => {
                if let Some(job) = self.own_job(&close.job, close.attempt) {
                    job.outbox.ack(u64::MAX);
                    job.cancel();
                    self.daemon.jobs.forget(&close.job);
                }
                self.answer("2000 OK close\n").await
            }
            // Acknowledgements are taken where packets are received; a client draws no nonces.
            holdfast::Command::Ack { .. }
            | holdfast::Command::Answer { .. }
            | holdfast::Command::Closed(_) => Next::Go,
            holdfast::Command::Register(_) | holdfast::Command::Nonce | holdfast::Command::Inventory => {
                self.send("2999 Invalid command\n").await;
                Next::End
            }
        }
    }

    /// A job of this Director and catalog.
    fn own_job(&self, name: &str, attempt: types::Attempt) -> Option<Arc<Job>> {
        let registered = self.registered.as_ref()?;
        self.daemon.jobs.find(name).filter(|job| {
            job.identity.attempt == attempt
                && job.identity.director == registered.director
                && job.identity.catalog == Some(registered.registration.catalog)
        })
    }

    async fn jobs(&mut self) -> Next {
        let catalog = self.registered.as_ref().map(|registered| registered.registration.catalog);
        let director = self.director_name().to_owned();
        let known = self.daemon.jobs.all_known();
        let own = known.iter().filter(|job| {
            catalog.is_some() && job.identity.catalog == catalog && job.identity.director == director
        });
        let lines: Vec<Vec<u8>> = own.map(|job| status::job_entry(job).format()).collect();
        if let Some(conn) = &mut self.conn {
            for line in lines {
                conn.queue(line);
            }
        }
        self.signal(Signal::Eod).await;
        Next::Go
    }

    /// Makes this connection the job's and streams its journal until the job has ended and everything is taken.
    async fn attach(&mut self, attach: holdfast::Attach) -> Next {
        let Some(job) = self.own_job(&attach.job, attach.attempt) else {
            let refusal = holdfast::Refusal::UnknownJob { job: attach.job, attempt: attach.attempt };
            self.send(refusal.format_client()).await;
            return Next::Go;
        };
        let (last, _) = job.outbox.positions();
        let attached =
            holdfast::Attached { job_id: job.identity.id, status: job.status(), last: types::Seq(last) };
        self.send(attached.format_client()).await;
        self.owner = job.take_over();
        job.outbox.attach(attach.from.get());
        self.job = Some(Arc::clone(&job));
        self.job_elsewhere = true;
        let (done, ended) = tokio::sync::oneshot::channel();
        let waiting = Arc::clone(&job);
        let daemon = Arc::clone(&self.daemon);
        tokio::spawn(async move {
            while !waiting.outbox.has_ended() {
                // The tick heals a lost notification.
                let _ = tokio::time::timeout(Duration::from_millis(500), daemon.jobs.ended.notified()).await;
            }
            // Nobody waits any more when the session has ended.
            let _ = done.send(());
        });
        let (_, direct) = tokio::sync::mpsc::channel(1);
        self.serve_while(ended, direct).await;
        self.deliver_rest(&job).await;
        Next::End
    }
}

/// Commands that make or need no job.
fn works_without_job(command: &Command) -> bool {
    matches!(command, Command::Job(_) | Command::Holdfast(_))
}

fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

/// Opens the session with a Storage Daemon on a connected socket; says whether it is encrypted.
fn open_storage(
    daemon: &crate::daemon::Daemon,
    job: &Arc<Job>,
    stream: std::net::TcpStream,
    key: &str,
    host: &str,
) -> Result<(StorageSession, bool), net::NetError> {
    let version = match job.identity.generation {
        Generation::Old => FdVersion::V9_6,
        Generation::New => FdVersion::CURRENT,
    };
    let hello = Hello::ClientToStorage { job: job.identity.name.clone(), version };
    let secret = Secret::from_session_key(key);
    let session =
        Session::new(daemon.config.daemon.name.clone(), secret, daemon.storage_tls.clone()).for_host(host);
    let conn = blocking::open(stream, hello, &session)?;
    job.set_closer(Some(conn.closer()?));
    let encrypted = conn.peer().tls != wire::tls::TlsKind::Clear;
    Ok((StorageSession::new(conn), encrypted))
}
