//! What comes before the work of a job: the job itself, its level, its FileSet, the list of what is known already, scripts (spec/01 §5.2).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{SystemTime, UNIX_EPOCH};

use conf::messages::{DestinationKind, MessageType as ConfType};
use types::{JobId, JobLevel, Timestamp};
use wire::frame::{Packet, Signal};
use wire::msg::dir_fd::{FdJob, JobReply, Level, LevelWord, SinceClock};
use wire::version::Generation;

use super::{DirectorSession, Next};
use crate::accurate::AccurateList;
use crate::fileset::FileSetParser;
use crate::job::{Job, JobIdentity};
use crate::message::{JobLog, MessageKind};
use crate::script::{RunScript, ScriptStage};
use crate::status;

impl DirectorSession {
    pub(super) fn identity(&self, command: FdJob) -> JobIdentity {
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
    pub(super) fn wanted_messages(&self) -> Vec<MessageKind> {
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

    pub(super) fn make_console_job(&mut self) {
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

    pub(super) fn set_job(&mut self, job: Arc<Job>) {
        let resource = &self.daemon.config.directors[self.director];
        let limit = match resource.maximum_bandwidth_per_job {
            0 => self.daemon.bandwidth.load(Ordering::Relaxed),
            own => own,
        };
        job.counters.bandwidth.store(limit, Ordering::Relaxed);
        self.owner = job.take_over();
        self.job = Some(job);
    }

    pub(super) async fn job(&mut self, command: FdJob) -> Next {
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

    pub(super) async fn level(&mut self, level: Level) -> Next {
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
    pub(super) async fn compare_clocks(&mut self) -> Option<i64> {
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

    pub(super) async fn fileset(&mut self) -> Next {
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

    pub(super) async fn accurate(&mut self) -> Next {
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

    pub(super) async fn run_before(&mut self) -> Next {
        let Some(job) = self.job.clone() else { return Next::End };
        let scripts = self.setup.scripts.clone();
        let ran = self.blocking(move || job.run_scripts(&scripts, ScriptStage::Before)).await;
        if ran == Some(true) {
            return self.answer("2000 OK RunBeforeNow\n").await;
        }
        self.answer("2905 Bad RunBeforeNow command.\n").await;
        Next::End
    }

    pub(super) async fn run_before_old(&mut self, command: String) -> Next {
        let Some(job) = self.job.clone() else { return Next::End };
        let script = RunScript::old_style(command, ScriptStage::Before);
        let ran = self.blocking(move || job.run_scripts(&[script], ScriptStage::Before)).await;
        if ran == Some(true) {
            return self.answer("2000 OK RunBefore\n").await;
        }
        self.answer("2905 Bad RunBeforeJob command.\n").await;
        Next::End
    }
}

fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}
