//! A job that a predecessor left, as `director::jobs::adopt` has it: the Storage Daemon is asked what it holds.

use catalog::WriteTx;
use catalog::attempt::{AttemptState, Totals};
use director::catreq::CatalogSession;
use director::jobs::{Held, held};
use types::{Attempt, JobId, JobType, Seq};

use super::task::{ASK_EVERY, Stage, Task};
use super::wall;
use crate::bug::Bug;
use crate::message::{ConnId, Message, Pid};
use crate::world::{Input, World};

impl World {
    pub(super) fn listed(&mut self, at: usize, job: JobId, conn: ConnId, lines: &[String]) {
        let Some(attempt) = self.task(at, job).map(|task| task.attempt) else { return };
        let Some(unique) = self.unique(at, job) else { return self.hang_up_and_ask(at, job, conn) };
        match held(lines, job, &unique, JobType::Backup, attempt) {
            Held::Not => self.storage_lost(at, job),
            Held::NotStarted | Held::CutOff => {
                self.set_stage(at, job, Stage::Closing);
                self.say(Pid::Director(at), conn, Message::Close { unique, attempt });
            }
            Held::Runs(_) if self.bug == Some(Bug::AttemptNotClosed) => {
                self.leave(at, job);
                self.start_beside(at, job);
            }
            Held::Runs(_) => self.attach(at, job, conn, Stage::Attaching),
        }
    }

    /// Follows the journal from behind the last record that is in the catalog.
    pub(super) fn attach(&mut self, at: usize, job: JobId, conn: ConnId, stage: Stage) {
        let unique = self.unique(at, job);
        let Some(unique) = unique.filter(|_| self.open_records(at, job)) else {
            return match stage {
                Stage::Reattaching => self.hang_up_and_lose(at, job, conn),
                _ => self.hang_up_and_ask(at, job, conn),
            };
        };
        let Some(task) = self.task(at, job) else { return };
        task.stage = stage;
        let attempt = task.attempt;
        let from = task.records.as_ref().map_or(Seq(1), CatalogSession::attach_from);
        self.say(Pid::Director(at), conn, Message::Attach { unique, attempt, from });
    }

    /// The catalog did not answer: all is asked again.
    pub(super) fn hang_up_and_ask(&mut self, at: usize, job: JobId, conn: ConnId) {
        self.hang_up(Pid::Director(at), conn);
        if let Some(task) = self.task(at, job) {
            task.sd_conn = None;
            task.stage = Stage::Asking;
        }
        self.later(ASK_EVERY, Pid::Director(at), Input::Task(job));
    }

    /// The job runs on the Storage Daemon: the client is asked, too.
    pub(super) fn attached(&mut self, at: usize, job: JobId) {
        self.set_stage(at, job, Stage::Following);
        self.ask_client(at, job);
        self.take_waiting(at, job);
        self.look_for_end(at, job);
    }

    pub(super) fn ask_client(&mut self, at: usize, job: JobId) {
        let Some(standing) = self.standing(at) else { return };
        let Some((client, attempt)) = self.task(at, job).map(|task| (task.client, task.attempt)) else {
            return;
        };
        let fd = self.call(at, Pid::Client(client));
        if let Some(task) = self.task(at, job) {
            task.fd_conn = Some(fd);
        }
        self.say(Pid::Director(at), fd, Message::AskJob { job, attempt, standing });
    }

    /// The attempt had not begun: it is closed, and the next one begins.
    pub(super) fn start_anew(&mut self, at: usize, job: JobId) {
        let Some(attempt) = self.task(at, job).map(|task| task.attempt) else { return };
        let now = wall(self.now);
        let closed = self.write(at, move |tx: &WriteTx<'_>| {
            catalog::attempt::finish(tx, job, attempt, AttemptState::Closed, Totals::default(), now)
        });
        if closed.is_none() {
            return self.later(1_000, Pid::Director(at), Input::Task(job));
        }
        self.oracle.counts.again += 1;
        if let Some(task) = self.task(at, job) {
            *task = Task::new(job, task.client, task.storage);
        }
        self.later(1, Pid::Director(at), Input::Task(job));
    }

    /// The bug: another attempt, while the Storage Daemon and the catalog have the old one.
    pub(super) fn start_beside(&mut self, at: usize, job: JobId) {
        let now = wall(self.now);
        let begun = self.write(at, move |tx: &WriteTx<'_>| {
            let next = catalog::attempt::list(tx, job)?.len() as i64 + 1;
            let values = [
                catalog::Value::Int(i64::from(job.0)),
                catalog::Value::Int(next),
                catalog::Value::Int(now.0),
            ];
            let sql = "INSERT INTO hf_attempt (JobId, Attempt, State, Epoch, GrantedAt) VALUES (?1, ?2, 'open', 0, ?3)";
            tx.execute(sql, &values)?;
            Ok(Attempt(u32::try_from(next).unwrap_or(1)))
        });
        let Some(attempt) = begun else { return };
        if let Some(task) = self.task(at, job) {
            *task = Task { attempt, start: now, ..Task::new(job, task.client, task.storage) };
        }
        crate::invariants::i08::granted(self, job, attempt);
        self.call_storage(at, job, Stage::Registering);
    }
}
