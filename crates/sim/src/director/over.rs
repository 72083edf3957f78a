//! What a Storage Daemon still holds of jobs that are over is asked for, and closed. What is to be done is the Director's own
//! (`director::jobs::leftover`); told anew are its questions.

use catalog::ReadTx;
use catalog::journal::{self, JournalKey};
use director::jobs::leftover::{Kept, Plan, plan};
use types::Seq;

use super::work::storage_name;
use crate::message::{ConnId, Message, Pid};
use crate::plan::Millis;
use crate::world::{Input, World};

/// How often a Storage Daemon is asked that does not answer.
const LOOK_EVERY: Millis = 2_000;

impl World {
    /// Asks a Storage Daemon, until it has answered.
    pub(super) fn look(&mut self, at: usize, storage: usize) {
        let Some(registration) = self.registration(at) else { return };
        let conn = self.call(at, Pid::Storage(storage));
        if let Some(active) = &mut self.directors[at].active {
            active.looks.insert(conn, storage);
        }
        self.say(Pid::Director(at), conn, Message::Register(Box::new(registration)));
    }

    pub(super) fn look_hears(&mut self, at: usize, conn: ConnId, message: Message) {
        let Some(storage) = self.acting(at).and_then(|active| active.looks.get(&conn).copied()) else {
            return;
        };
        match message {
            Message::Registered(_) => self.say(Pid::Director(at), conn, Message::ListJobs),
            Message::Jobs(_) if self.waits_for_catalog(at, conn, &message) => {}
            Message::Jobs(lines) => {
                for kept in lines.iter().filter_map(|line| Kept::parse(line)) {
                    self.close_if_over(at, conn, storage, &kept);
                }
                if let Some(active) = &mut self.directors[at].active {
                    active.looks.remove(&conn);
                }
                self.part(Pid::Director(at), conn);
            }
            _ => {}
        }
    }

    fn close_if_over(&mut self, at: usize, conn: ConnId, storage: usize, kept: &Kept) {
        let (job_id, attempt, storage) = (kept.job, kept.attempt, storage_name(storage));
        let Some(active) = self.acting(at).filter(|active| !active.tasks.contains_key(&job_id)) else {
            return;
        };
        let read = active.catalog.read_blocking(move |r: &ReadTx<'_>| {
            let row = catalog::attempt::get(r, job_id, attempt)?.filter(|row| row.storage == storage);
            let position = journal::position(r, &JournalKey { job_id, attempt, storage: storage.clone() })?;
            Ok((row.map(|row| row.state), position))
        });
        let Ok((state, position)) = read else { return };
        let planned = plan(kept, state, position);
        let (me, unique) = (Pid::Director(at), kept.unique.clone());
        if let Plan::Acknowledge(position) | Plan::Close(position) = planned {
            let from = Seq(position.0 + 1);
            self.say(me, conn, Message::Attach { unique: unique.clone(), attempt, from });
        }
        if let Plan::Close(_) = planned {
            self.oracle.counts.closed_later += 1;
            self.say(me, conn, Message::Close { unique, attempt });
        }
    }

    /// The daemon did not answer.
    pub(super) fn look_again(&mut self, at: usize, storage: usize) {
        self.later(LOOK_EVERY, Pid::Director(at), Input::Look(storage));
    }
}
