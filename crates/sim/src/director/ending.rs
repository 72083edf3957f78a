//! The end of a job, as `director::jobs::ending` has it.

use director::catreq::CatReqError;
use director::jobs::Ending;
use types::{JobId, JobStatus};

use super::task::{AFTER_LOSS, CATALOG_EVERY, Part, Stage, Task, ready};
use super::wall;
use super::work::pool_name;
use crate::message::{Message, Pid};
use crate::world::{Input, World};

impl World {
    /// Ends the job when both daemons have ended or are lost.
    pub(super) fn look_for_end(&mut self, at: usize, job: JobId) {
        let now = self.now;
        let Some(task) = self.task(at, job) else { return };
        if !matches!(task.stage, Stage::Following | Stage::Ending) {
            return;
        }
        let is_over = task.sd != Part::Open && task.fd != Part::Open;
        let has_lost = task.sd == Part::Lost || task.fd == Part::Lost;
        if !is_over && !has_lost {
            return;
        }
        let give_up_at = *task.give_up_at.get_or_insert(now + AFTER_LOSS);
        if !is_over && now < give_up_at {
            return self.later(give_up_at - now, Pid::Director(at), Input::Task(job));
        }
        self.set_stage(at, job, Stage::Ending);
        self.end(at, job);
    }

    pub(super) fn end(&mut self, at: usize, job: JobId) {
        let end_time = wall(self.now);
        if !self.directors[at].access.is_reachable() {
            return self.later(CATALOG_EVERY, Pid::Director(at), Input::Task(job));
        }
        let Some(active) = self.acting(at) else { return };
        let (catalog, epoch) = (active.catalog.clone(), active.guard.epoch());
        let Some(task) = active.tasks.get_mut(&job) else { return };
        let (sd_conn, fd_conn, storage) = (task.sd_conn, task.fd_conn, task.storage);
        let is_left = !matches!(task.sd, Part::Ended(_));
        let ending = ending_of(task, &catalog);
        let records = task.records.take();
        let (written, replies) = match records {
            Some(mut records) if matches!(task.sd, Part::Ended(_)) => {
                match ready(records.finish(move |tx| ending.clone().write(tx, end_time))) {
                    Ok((written, handled)) => (Ok(written), handled.replies),
                    Err(CatReqError::Catalog(error)) => (Err(error), Vec::new()),
                    Err(_) => (Err(catalog::CatalogError::Closed), Vec::new()),
                }
            }
            _ => (catalog.write_blocking(epoch, move |tx| ending.clone().write(tx, end_time)), Vec::new()),
        };
        match written {
            Ok(written) => {
                crate::invariants::i06::ended(self, job, written.status);
                for reply in replies {
                    self.reply(at, sd_conn, reply);
                }
                if let Some(conn) = fd_conn {
                    self.say(Pid::Director(at), conn, Message::TakenEnd);
                }
                for conn in [sd_conn, fd_conn].into_iter().flatten() {
                    self.part(Pid::Director(at), conn);
                }
                if is_left {
                    self.later(1, Pid::Director(at), Input::Look(storage));
                }
                if let Some(active) = &mut self.directors[at].active {
                    active.tasks.remove(&job);
                }
            }
            Err(error) => {
                self.note(|| format!("instance {at}: end of job {job}: {error}"));
                if !error.is_epoch_over() {
                    self.later(1_000, Pid::Director(at), Input::Task(job));
                }
            }
        }
    }
}

fn ending_of(task: &Task, catalog: &catalog::Catalog) -> Ending {
    let name = pool_name(task.storage);
    let pool = catalog.read_blocking(move |r| catalog::pool::get_by_name(r, &name)).ok().flatten();
    let pool = pool.map(|row| row.id).unwrap_or_default();
    let mut ending = Ending::of_backup(task.job, task.attempt, task.start, task.session, pool);
    let fd_end = match &task.fd {
        Part::Ended(end) => Some(*end),
        Part::Open | Part::Lost => None,
    };
    let sd_end = match &task.sd {
        Part::Ended(end) => Some(end.clone()),
        Part::Open | Part::Lost => None,
    };
    ending.facts.fd = Some(fd_end.map(|end| end.status));
    ending.facts.sd = Some(sd_end.as_ref().map(|end| end.status));
    // Records that were lost with a failed end transaction make the job a failed one.
    if task.records.is_none() && ending.facts.sd == Some(Some(JobStatus::Terminated)) {
        ending.facts.failed = Some(JobStatus::FatalError);
    }
    ending.files = fd_end.map(|end| end.files).or(sd_end.as_ref().map(|end| end.files));
    ending.bytes = fd_end.map(|end| end.bytes).or(sd_end.as_ref().map(|end| end.bytes)).unwrap_or(0);
    ending.read_bytes = fd_end.map_or(0, |end| end.read_bytes);
    ending
}
