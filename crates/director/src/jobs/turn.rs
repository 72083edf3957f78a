//! What a job waits for before it starts: its time, or the return of a Storage that it has lost; jobs of its name; its turn.

use super::job::Job;
use super::life::canceled;
use super::machine::Step;
use super::session::Fail;
use super::view::WaitReason;
use crate::handle::Director;
use crate::text;
use policy::duplicates::{self, Living};
use std::time::Duration;
use types::{JobStatus, JobType, Timestamp};

/// Waits for the start time of a job. One that has lost its Storage is let go on before, when it [comes back](comes_back).
pub(crate) async fn wait_for_time(job: &Job) -> Result<(), Fail> {
    let plan = job.plan();
    let Some(at) = plan.not_before.filter(|at| left_until(*at) > 0) else { return Ok(()) };
    let awaited = &plan.awaited_storages;
    let reason = if awaited.is_empty() {
        let ahead = left_until(at);
        job.messages.info(&format!("Job {} waiting {ahead} seconds for scheduled start time.", job.unique));
        WaitReason::StartTime(at)
    } else {
        WaitReason::Comeback(awaited.join("\", \""), at)
    };
    job.step(&Step::Hold(reason));
    loop {
        // In steps, so that a clock that was set does not hold the job for ever.
        let left = left_until(at);
        if left == 0 {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(left.min(60))) => {}
            storage = job.came_back(), if !awaited.is_empty() => {
                job.messages.info(&format!("Storage \"{storage}\" can be had again; JobId {} goes on.", job.id));
                return Ok(());
            }
            wish = job.wished() => return Err(canceled(wish)),
        }
    }
}

/// Seconds.
fn left_until(at: Timestamp) -> u64 {
    u64::try_from(at.0 - text::now().0).unwrap_or(0)
}

/// A Storage has answered: lets the jobs go on that wait for it, or for one in whose place it serves.
pub(crate) fn comes_back(director: &Director, storage: &str) {
    let standings = director.standings();
    for job in director.registry().all() {
        if job.plan().awaited_storages.iter().any(|awaited| standings.serving_for(awaited) == storage) {
            job.update(|live| live.came_back = Some(storage.to_owned()));
        }
    }
}

/// Applies the rules on jobs of the same name.
pub(crate) async fn check_duplicates(director: &Director, job: &Job) -> Result<(), Fail> {
    let plan = job.plan();
    let other = director.registry().duplicate_of(job);
    let living = other.as_ref().map(|other| Living {
        id: other.id,
        level: other.plan().level,
        queued: !other.state().is_running(),
    });
    let backup = plan.job_type == JobType::Backup;
    match duplicates::decide(&plan.duplicates, backup, plan.level, living) {
        duplicates::Outcome::Both => Ok(()),
        duplicates::Outcome::CancelOther(id) => {
            job.messages.info(&format!("Cancelling duplicate JobId={id}."));
            // One that has ended meanwhile needs no cancelling.
            let _ = director.cancel(id).await;
            director.wait(id).await;
            Ok(())
        }
        duplicates::Outcome::CancelNew(id) => Err(Fail {
            status: JobStatus::Canceled,
            text: format!("JobId {id} already running. Duplicate job not allowed."),
        }),
    }
}

/// Waits until the queue lets the job start.
pub(crate) async fn wait_for_turn(director: &Director, job: &Job) -> Result<(), Fail> {
    let admitted = job.await_admission();
    director.registry().settle();
    tokio::select! {
        admitted = admitted => match admitted {
            Ok(admitted) => {
                job.set_admitted(admitted);
                Ok(())
            }
            Err(_) => Err(Fail::fatal("the queue gave the job up")),
        },
        wish = job.wished() => Err(canceled(wish)),
    }
}
