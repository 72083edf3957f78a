//! A connection of a job is gone, as `director::jobs::{session, rejoin, asked}` have it.

use types::JobId;

use super::task::{ASK_EVERY, ASK_FOR, Part, Stage};
use crate::message::{ConnId, Pid};
use crate::plan::Millis;
use crate::world::{Input, World};

/// How long a Storage Daemon that was lost has to come back, and how often it is asked.
const COMES_BACK: Millis = 15_000;
const REJOIN_EVERY: Millis = 250;

impl World {
    pub(crate) fn director_lost(&mut self, at: usize, conn: ConnId) {
        let job = self.task_of(at, conn);
        if let Some(active) = &mut self.directors[at].active {
            active.conns.remove(&conn);
            if let Some(storage) = active.looks.remove(&conn) {
                return self.look_again(at, storage);
            }
        }
        let Some(job) = job else { return };
        let now = self.now;
        let Some(task) = self.task(at, job) else { return };
        if task.fd_conn == Some(conn) {
            task.fd_conn = None;
            // One that is being adopted is asked for as long as its client may take.
            if task.is_adopted && task.fd == Part::Open && now < task.since + ASK_FOR {
                return self.ask_client(at, job);
            }
            if task.fd == Part::Open {
                task.fd = Part::Lost;
            }
            return self.look_for_end(at, job);
        }
        task.sd_conn = None;
        let may_ask = now < task.since + ASK_FOR;
        match task.stage {
            Stage::Following if task.sd == Part::Open => {
                // Nothing of the old session may come into the catalog any more.
                task.records = None;
                task.waiting.clear();
                task.rejoin_until = Some(now + COMES_BACK);
                task.stage = Stage::Rejoining;
                self.later(REJOIN_EVERY, Pid::Director(at), Input::Task(job));
            }
            Stage::Rejoining | Stage::Reattaching if task.rejoin_until.is_some_and(|until| now < until) => {
                task.records = None;
                task.waiting.clear();
                task.stage = Stage::Rejoining;
                self.later(REJOIN_EVERY, Pid::Director(at), Input::Task(job));
            }
            Stage::Asking | Stage::Listing | Stage::Closing | Stage::Attaching if may_ask => {
                task.stage = Stage::Asking;
                self.later(ASK_EVERY, Pid::Director(at), Input::Task(job));
            }
            _ => self.storage_lost(at, job),
        }
    }

    /// Nothing more is to be had of the Storage Daemon.
    pub(super) fn storage_lost(&mut self, at: usize, job: JobId) {
        let Some(task) = self.task(at, job) else { return };
        task.stage = Stage::Following;
        if task.sd == Part::Open {
            task.sd = Part::Lost;
        }
        // Whoever has no connection will say nothing.
        if task.fd_conn.is_none() && task.fd == Part::Open {
            task.fd = Part::Lost;
        }
        self.look_for_end(at, job);
    }

    /// Closes the connection with the Storage Daemon.
    pub(super) fn leave(&mut self, at: usize, job: JobId) {
        let Some(conn) = self.task(at, job).and_then(|task| task.sd_conn.take()) else { return };
        self.part(Pid::Director(at), conn);
    }
}
