//! A job on this client.

use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use net::blocking::Closer;
use tokio::sync::Notify;
use types::{Attempt, CatalogId, JobId, JobLevel, JobStatus, JobType, Timestamp, VolSession};
use wire::msg::common::{Jmsg, Progress};
use wire::msg::dir_fd::EndJob;
use wire::version::Generation;

use crate::counters::{Counters, StopFlags};
use crate::message::{JobLog, MessageKind};
use crate::outbox::Outbox;
use crate::script::{RunScript, ScriptStage, exit_text, run_lines};

/// Seconds since 1970, of the system's clock.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.map_or(0, |since| since.as_secs() as i64))
}

/// What the Director said when it made the job.
#[derive(Debug, Clone)]
pub struct JobIdentity {
    /// Catalog key; 0 for consoles.
    pub id: JobId,
    /// Unique name.
    pub name: String,
    /// Attempt, from a Director with Holdfast's additions.
    pub attempt: Attempt,
    /// Session of the Storage Daemon.
    pub session: VolSession,
    /// Key for the Storage Daemon.
    pub key: Option<String>,
    /// Name of the Director.
    pub director: String,
    /// Its catalog, when it is registered: then messages are a journal.
    pub catalog: Option<CatalogId>,
    /// Which numbers message types have for it.
    pub generation: Generation,
    /// Name of this daemon.
    pub daemon: String,
    /// Kinds of messages that go to the Director.
    pub wanted: Vec<MessageKind>,
    /// More errors than these end the job; 0 for no limit.
    pub errors_max: u64,
}

impl JobIdentity {
    /// Whether it is a later attempt of the same job of the same Director.
    #[must_use]
    pub fn follows(&self, before: &Self) -> bool {
        let whose = |job: &Self| (job.id, job.director.clone(), job.catalog);
        self.catalog.is_some() && whose(self) == whose(before) && self.attempt > before.attempt
    }
}

/// Texts of a job for %-codes and status; set as commands come.
#[derive(Debug, Clone, Default)]
pub struct JobTexts {
    /// Since when.
    pub since: Option<Timestamp>,
    /// Unique name of the previous job.
    pub previous: String,
}

/// A job. Threads and sessions share it.
pub struct Job {
    /// What it is.
    pub identity: JobIdentity,
    /// When it came.
    pub started: Timestamp,
    /// Counts.
    pub counters: Counters,
    /// Requests to end.
    pub stop: StopFlags,
    /// Messages and the end line.
    pub outbox: Outbox,
    /// Texts.
    pub texts: Mutex<JobTexts>,
    status: AtomicU8,
    job_type: AtomicU8,
    level: AtomicU8,
    /// Counts connections of Directors: the highest owns the job.
    owner: AtomicU64,
    /// Told when the owner changes, or the job is to end.
    pub owner_changed: Notify,
    /// Data is on its way to the Storage Daemon: a stop waits for the end of the current file.
    sending: AtomicBool,
    closer: Mutex<Option<Closer>>,
    /// A connection that the Storage Daemon opened for the job.
    called: Mutex<Option<TcpStream>>,
    /// Told when it came.
    pub called_changed: Notify,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Job")
            .field("identity", &self.identity)
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

impl Job {
    /// A job that has just been made.
    #[must_use]
    pub fn new(identity: JobIdentity) -> Self {
        let journaled = identity.catalog.is_some() && identity.id.get() != 0;
        Self {
            identity,
            started: now(),
            counters: Counters::default(),
            stop: StopFlags::default(),
            outbox: Outbox::new(journaled),
            texts: Mutex::default(),
            status: AtomicU8::new(JobStatus::Created.letter() as u8),
            job_type: AtomicU8::new(JobType::System.letter() as u8),
            level: AtomicU8::new(JobLevel::None.letter() as u8),
            owner: AtomicU64::new(1),
            owner_changed: Notify::new(),
            sending: AtomicBool::new(false),
            closer: Mutex::default(),
            called: Mutex::default(),
            called_changed: Notify::new(),
        }
    }

    /// The status as it is now.
    #[must_use]
    pub fn status(&self) -> JobStatus {
        JobStatus::from_letter(char::from(self.status.load(Ordering::Acquire))).unwrap_or(JobStatus::Created)
    }

    /// Sets the status; one that says more about a failure is kept (spec/02 §8.4).
    pub fn set_status(&self, new: JobStatus) {
        let result = self.status.fetch_update(Ordering::AcqRel, Ordering::Acquire, |old| {
            let old = JobStatus::from_letter(char::from(old)).unwrap_or(JobStatus::Created);
            (rank(new) > rank(old) || rank(old) == 0).then_some(new.letter() as u8)
        });
        tracing::debug!(job = %self.identity.name, status = ?new, taken = result.is_ok(), "status");
    }

    /// What it is.
    #[must_use]
    pub fn job_type(&self) -> JobType {
        JobType::from_letter(char::from(self.job_type.load(Ordering::Acquire))).unwrap_or(JobType::System)
    }

    /// Says what it is: known when its main command comes.
    pub fn set_job_type(&self, job_type: JobType) {
        self.job_type.store(job_type.letter() as u8, Ordering::Release);
    }

    /// How much it takes.
    #[must_use]
    pub fn level(&self) -> JobLevel {
        JobLevel::from_letter(char::from(self.level.load(Ordering::Acquire))).unwrap_or(JobLevel::None)
    }

    /// Says how much it takes.
    pub fn set_level(&self, level: JobLevel) {
        self.level.store(level.letter() as u8, Ordering::Release);
    }

    /// Whether messages are numbered and kept.
    #[must_use]
    pub fn is_journaled(&self) -> bool {
        self.identity.catalog.is_some() && self.identity.id.get() != 0
    }

    /// Makes a connection the job's; gives its number. Older connections are to end.
    pub fn take_over(&self) -> u64 {
        let number = self.owner.fetch_add(1, Ordering::AcqRel) + 1;
        self.owner_changed.notify_waiters();
        number
    }

    /// Number of the connection that owns the job.
    #[must_use]
    pub fn owner(&self) -> u64 {
        self.owner.load(Ordering::Acquire)
    }

    /// Remembers how to close the connection to the Storage Daemon.
    pub fn set_closer(&self, closer: Option<Closer>) {
        if let Ok(mut slot) = self.closer.lock() {
            *slot = closer;
        }
        if self.stop.is_ending() {
            self.close_storage();
        }
    }

    /// Says whether data is on its way to the Storage Daemon.
    pub fn set_sending(&self, sending: bool) {
        self.sending.store(sending, Ordering::Release);
    }

    fn close_storage(&self) {
        if let Ok(slot) = self.closer.lock()
            && let Some(closer) = &*slot
        {
            closer.close();
        }
    }

    /// Hands over a connection that the Storage Daemon opened; a second one is dropped.
    pub fn deliver_call(&self, stream: TcpStream) {
        if let Ok(mut slot) = self.called.lock() {
            slot.get_or_insert(stream);
        }
        self.called_changed.notify_one();
    }

    /// The connection that the Storage Daemon opened, when it came.
    pub fn take_call(&self) -> Option<TcpStream> {
        self.called.lock().ok()?.take()
    }

    /// Ends the job at once.
    pub fn cancel(&self) {
        self.set_status(JobStatus::Canceled);
        self.stop.cancel();
        self.close_storage();
        self.wake();
    }

    /// Ends the job behind the current file; at once when it only waits, or restores.
    pub fn stop_incomplete(&self) {
        self.set_status(JobStatus::Incomplete);
        self.stop.stop();
        if !self.sending.load(Ordering::Acquire) {
            self.close_storage();
        }
        self.wake();
    }

    /// Wakes sessions that wait for something of the job.
    fn wake(&self) {
        self.called_changed.notify_one();
        self.owner_changed.notify_waiters();
    }

    /// Text of the job's state at its end or now (spec/02 §8.2).
    #[must_use]
    pub fn exit_status_text(&self) -> &'static str {
        match self.status() {
            JobStatus::Terminated if Counters::get(&self.counters.errors) > 0 => "OK -- with warnings",
            JobStatus::Terminated => "OK",
            JobStatus::Warnings => "OK -- with warnings",
            JobStatus::ErrorTerminated | JobStatus::Error => "Error",
            JobStatus::FatalError => "Fatal Error",
            JobStatus::Canceled => "Canceled",
            JobStatus::Differences => "Differences",
            JobStatus::Created => "Created",
            JobStatus::Incomplete => "Incomplete",
            JobStatus::Running => "Running",
            _ => "Unknown term code",
        }
    }

    /// Name without the date and number that make it unique.
    #[must_use]
    pub fn short_name(&self) -> &str {
        let name = &self.identity.name;
        // `<name>.<date>_<hour>.<minute>.<second>_<number>`: the last three parts between dots are not the name's.
        name.rmatch_indices('.').nth(2).map_or(name.as_str(), |(at, _)| &name[..at])
    }

    /// Replaces %-codes of scripts and programs (spec/02 §8.2); codes of the Director stay.
    #[must_use]
    pub fn expand(&self, text: &str) -> String {
        let counts = &self.counters;
        let texts = self.texts.lock().map(|texts| texts.clone()).unwrap_or_default();
        conf::command::expand(text, |code| {
            Some(match code {
                'c' | 'd' => self.identity.daemon.clone(),
                'D' => self.identity.director.clone(),
                'e' => self.exit_status_text().to_owned(),
                'E' => Counters::get(&counts.errors).to_string(),
                'i' => self.identity.id.to_string(),
                'j' => self.identity.name.clone(),
                'l' => level_text(self.level()).to_owned(),
                'n' => self.short_name().to_owned(),
                't' => type_text(self.job_type()).to_owned(),
                's' => "*none*".to_owned(),
                'S' => texts.previous.clone(),
                'v' | 'r' => String::new(),
                'b' => Counters::get(&counts.job_bytes).to_string(),
                'F' => Counters::get(&counts.files).to_string(),
                'R' => Counters::get(&counts.read_bytes).to_string(),
                'o' => "0".to_owned(),
                'P' => std::process::id().to_string(),
                _ => return None,
            })
        })
    }

    /// Runs the scripts of a stage; `false` when one failed that must not.
    pub fn run_scripts(&self, scripts: &[RunScript], stage: ScriptStage) -> bool {
        scripts.iter().filter(|script| script.when & stage.bit() != 0).all(|script| {
            let wanted = self.wants_script(script, stage);
            !wanted || self.run_script(script, stage)
        })
    }

    fn wants_script(&self, script: &RunScript, stage: ScriptStage) -> bool {
        let status = self.status();
        let failed = matches!(
            status,
            JobStatus::Canceled | JobStatus::ErrorTerminated | JobStatus::FatalError | JobStatus::Differences
        );
        match stage {
            ScriptStage::Before => {
                script.on_success && matches!(status, JobStatus::Running | JobStatus::Created)
                    || script.on_failure && failed
            }
            ScriptStage::AfterSnapshot => {
                script.on_success && !failed || script.on_failure && status == JobStatus::Canceled
            }
            ScriptStage::After => {
                script.on_success && matches!(status, JobStatus::Terminated | JobStatus::Warnings)
                    || script.on_failure && failed
            }
        }
    }

    fn run_script(&self, script: &RunScript, stage: ScriptStage) -> bool {
        let label = match (script.old_style, stage) {
            (true, ScriptStage::Before) => "ClientRunBeforeJob",
            (true, ScriptStage::After) => "ClientRunAfterJob",
            (true | false, stage) => stage.label(),
        };
        let command = self.expand(&script.command);
        self.message(MessageKind::Info, &format!("shell command: run {label} \"{command}\"\n"));
        // A stock Director does not count attempts.
        let attempt = self.identity.attempt;
        let environment = [("HOLDFAST_ATTEMPT", attempt.to_string())];
        let environment = if attempt == Attempt::default() { &[][..] } else { &environment };
        let result = run_lines(&command, environment, |line| {
            self.message(MessageKind::Info, &format!("{label}: {line}\n"));
        });
        let (status, reason) = match result {
            Ok(0) => return true,
            Ok(status) => (status, exit_text(status)),
            Err(reason) => (-1, reason),
        };
        let text = format!("Runscript: {label} returned non-zero status={status}. ERR={reason}\n");
        self.message(MessageKind::Error, &text);
        if script.fail_on_error {
            self.set_status(JobStatus::ErrorTerminated);
        }
        !script.fail_on_error
    }

    /// The end line; nothing is said about the job behind it.
    pub fn push_end(&self) {
        let lost = self.outbox.lost();
        if lost > 0 {
            self.message(
                MessageKind::Warning,
                &format!("{lost} messages of this job were lost: no Director took them.\n"),
            );
        }
        let counts = &self.counters;
        let comm_bytes = Counters::get(&counts.comm_bytes);
        let end = EndJob {
            status: self.status(),
            files: Counters::get(&counts.files),
            read_bytes: Counters::get(&counts.read_bytes),
            job_bytes: Counters::get(&counts.job_bytes),
            errors: Counters::get(&counts.errors),
            vss: Some(false),
            encrypt: Some(false),
            comm_bytes: Some(comm_bytes),
            compressed_comm_bytes: Some(comm_bytes),
        };
        self.outbox.push_end(Bytes::from(end.format()));
    }

    /// The progress line.
    #[must_use]
    pub fn progress(&self) -> Vec<u8> {
        let bytes = Counters::get(&self.counters.job_bytes);
        let seconds = (now().0 - self.started.0).max(1) as u64;
        let progress = Progress {
            job_id: self.identity.id,
            files: Counters::get(&self.counters.files),
            bytes,
            bps: bytes / seconds,
        };
        progress.format()
    }
}

impl JobLog for Job {
    fn message(&self, kind: MessageKind, text: &str) {
        if kind == MessageKind::Fatal {
            self.counters.errors.fetch_max(1, Ordering::Relaxed);
        } else if kind.is_error() {
            Counters::add(&self.counters.errors, 1);
        }
        if kind == MessageKind::Fatal {
            self.set_status(JobStatus::FatalError);
            self.stop.cancel();
        }
        let (id, daemon) = (self.identity.id, &self.identity.daemon);
        match kind {
            MessageKind::Fatal | MessageKind::Error => {
                tracing::error!(job = %self.identity.name, "{}", text.trim_end());
            }
            MessageKind::Warning | MessageKind::NotSaved => {
                tracing::warn!(job = %self.identity.name, "{}", text.trim_end());
            }
            MessageKind::Info | MessageKind::Skipped | MessageKind::Restored => {
                tracing::debug!(job = %self.identity.name, "{}", text.trim_end());
            }
        }
        if !self.wants(kind) {
            return;
        }
        if id.get() == 0 {
            // Consoles get the bare text (spec/02 §7.5).
            return self.outbox.push(Bytes::from(text.to_owned()));
        }
        let text = format!("{daemon} JobId {id}: {}{text}", kind.prefix());
        let message = Jmsg { job_id: id, kind: kind.wire(), time: now(), text };
        self.outbox.push(Bytes::from(message.format(self.identity.generation)));
        // A restore goes on whatever it meets: each file that can be had is wanted.
        let limit = if self.job_type() == JobType::Restore { 0 } else { self.identity.errors_max };
        let counts = kind != MessageKind::Fatal && kind.is_error();
        if counts && limit > 0 && Counters::get(&self.counters.errors) == limit + 1 {
            self.message(
                MessageKind::Fatal,
                &format!("Too many errors: more than {limit} (Maximum Job Error Count).\n"),
            );
        }
    }

    fn wants(&self, kind: MessageKind) -> bool {
        self.identity.wanted.contains(&kind)
    }
}

/// Which status wins (spec/02 §8.4).
const fn rank(status: JobStatus) -> u8 {
    match status {
        JobStatus::Incomplete => 10,
        JobStatus::ErrorTerminated | JobStatus::FatalError | JobStatus::Canceled => 9,
        JobStatus::Error => 8,
        JobStatus::Differences => 7,
        _ => 0,
    }
}

/// Level as `%l` has it.
#[must_use]
pub const fn level_text(level: JobLevel) -> &'static str {
    match level {
        JobLevel::None => " ",
        other => other.as_str(),
    }
}

/// Type as `%t` has it.
#[must_use]
pub const fn type_text(job_type: JobType) -> &'static str {
    match job_type {
        JobType::System | JobType::Console => "System or Console",
        other => other.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Job {
        Job::new(JobIdentity {
            id: JobId(32),
            name: "plain.job.2026-11-23_15.22.07_03".into(),
            attempt: Attempt(1),
            session: VolSession::default(),
            key: None,
            director: "a2-dir".into(),
            catalog: None,
            generation: Generation::Old,
            daemon: "a2-fd".into(),
            wanted: vec![MessageKind::Info, MessageKind::Error, MessageKind::Fatal],
            errors_max: 3,
        })
    }

    #[test]
    fn codes_are_expanded_as_recorded() {
        let job = job();
        job.set_level(JobLevel::Full);
        let text = job.expand("c=%c d=%d e=%e i=%i l=%l n=%n t=%t v=%v p=%p F=%F s=%s S=%S D=%D f=%f");
        assert_eq!(
            text,
            "c=a2-fd d=a2-fd e=Created i=32 l=Full n=plain.job t=System or Console v= p=%p F=0 s=*none* S= D=a2-dir f=%f"
        );
    }

    #[test]
    fn the_status_that_says_more_is_kept() {
        let job = job();
        job.set_status(JobStatus::Running);
        job.set_status(JobStatus::Canceled);
        job.set_status(JobStatus::FatalError);
        job.set_status(JobStatus::Terminated);
        assert_eq!(job.status(), JobStatus::Canceled);
    }

    #[test]
    fn too_many_errors_end_the_job() {
        let job = job();
        for _ in 0..3 {
            job.message(MessageKind::Error, "one\n");
        }
        assert!(!job.stop.is_canceled());
        job.message(MessageKind::Error, "one too many\n");
        assert!(job.stop.is_canceled());
        assert_eq!(job.status(), JobStatus::FatalError);
        let last = job.outbox.unsent().pop().unwrap().1;
        assert!(last.ends_with(b"Fatal error: Too many errors: more than 3 (Maximum Job Error Count).\n"));
    }

    #[test]
    fn scripts_run_by_their_conditions_and_messages_are_as_recorded() {
        let job = job();
        let script = RunScript {
            on_success: true,
            on_failure: false,
            fail_on_error: true,
            when: 2,
            command: "/bin/echo before l=%l".into(),
            old_style: false,
        };
        assert!(job.run_scripts(std::slice::from_ref(&script), ScriptStage::Before));
        assert!(job.run_scripts(std::slice::from_ref(&script), ScriptStage::After));
        let sent = job.outbox.unsent();
        let texts: Vec<_> = sent.iter().map(|(_, p)| String::from_utf8_lossy(p).into_owned()).collect();
        assert_eq!(texts.len(), 2);
        assert!(texts[0].starts_with("Jmsg JobId=32 type=6 level="), "{}", texts[0]);
        assert!(
            texts[0]
                .ends_with("a2-fd JobId 32: shell command: run ClientBeforeJob \"/bin/echo before l= \"\n")
        );
        assert!(texts[1].ends_with("a2-fd JobId 32: ClientBeforeJob: before l=\n"), "{}", texts[1]);
        let failing = RunScript { command: "false".into(), ..script };
        assert!(!job.run_scripts(&[failing], ScriptStage::Before));
        assert_eq!(job.status(), JobStatus::ErrorTerminated);
        assert_eq!(Counters::get(&job.counters.errors), 1);
    }
}
