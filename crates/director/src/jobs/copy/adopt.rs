//! A Director that starts finds a control job that runs: both of its Storage Daemons are asked what they hold.
//!
//! Where the writing side goes on, so does the copy, whatever became of the reading side: that shows in what is written. Where it does not,
//! the written job ends with what was acknowledged of it. Where neither had begun, or one is a stock Storage Daemon, which
//! ends its part when its Director is gone, the written job is closed and the control job starts anew.

use super::super::adopt::{Standing, ask_storage, give_up_reservation};
use super::super::cancel;
use super::super::create;
use super::super::job::Job;
use super::super::life::Course;
use super::super::machine::Step;
use super::super::outcome::Wish;
use super::super::session::Fail;
use super::written::Writing;
use super::{part, run, written};
use crate::handle::Director;
use crate::peer::chain;
use catalog::attempt::AttemptRow;
use std::sync::Arc;
use types::JobId;

/// What became of a control job that an earlier Director had left.
pub(crate) enum Left {
    /// It has ended; the course says how.
    Ended,
    /// Nothing had begun, or cannot be gone on with: it starts anew.
    Anew,
}

/// Asks, and follows what goes on to its end.
pub(crate) async fn adopt(
    director: &Director,
    job: &Arc<Job>,
    course: &mut Course,
    attempt: &AttemptRow,
) -> Result<Left, Fail> {
    let Some(id) = job.plan().control().and_then(|control| control.written).map(JobId) else {
        // No written job was made: what the reading side may have in reserve is given up.
        give_up(director, job, attempt).await;
        return Ok(Left::Anew);
    };
    let Some((mut writing, its_attempt)) = found(director, id).await? else {
        give_up(director, job, attempt).await;
        written::give_up(director, id).await?;
        return Ok(Left::Anew);
    };
    let written = Arc::clone(&writing.job);
    // The writing side first: when it has begun, the reading side has, too, by the time it is asked.
    let taken = match ask(director, &written, &its_attempt).await? {
        Standing::Taken(sd) | Standing::Ended(sd) => *sd,
        Standing::Lost(why) => {
            give_up(director, job, attempt).await;
            course.outcome.sd = Some(None);
            course.reached.copy = Some(writing);
            job.messages.fatal(&why);
            return Ok(Left::Ended);
        }
        Standing::NotStarted | Standing::Stock(_) => {
            give_up(director, job, attempt).await;
            cancel::tell_all(director, &written).await;
            director.registry().remove(&written);
            written::give_up(director, id).await?;
            return Ok(Left::Anew);
        }
    };
    let reading = ask(director, job, attempt).await?;
    let words = super::words(&job.plan());
    job.messages.info(&format!(
        "Director took over the running {} JobId {}, Job={}, which writes JobId {id}",
        words.verb, job.id, job.unique
    ));
    writing.reached.sd = Some(taken);
    writing.reached.data = true;
    course.reached.data = true;
    job.step(&Step::Run);
    match reading {
        Standing::Taken(sd) | Standing::Ended(sd) => course.reached.sd = Some(*sd),
        Standing::Lost(why) => {
            job.messages.warning(&format!("{why}; the writing side will tell what is missing."));
        }
        Standing::NotStarted | Standing::Stock(_) => {}
    }
    course.reached.copy = Some(writing);
    Box::pin(run::follow(director, job, course.attempt, &mut course.reached)).await;
    if part::turn(director, job, course.attempt, &mut course.reached).await? {
        // The next part is read by an attempt of this Director's own.
        job.step(&Step::FailOver);
        return Ok(Left::Anew);
    }
    Ok(Left::Ended)
}

/// The written job as the catalog has it; `None` when it is gone or over.
async fn found(director: &Director, id: JobId) -> Result<Option<(Writing, AttemptRow)>, Fail> {
    let read = director.catalog().read(move |r| {
        let (row, plan) = (catalog::job::get(r, id)?, catalog::plan::load(r, id)?);
        let open = catalog::attempt::open_of(r, id)?;
        let original = match &row {
            Some(row) => catalog::job::get(r, row.prior_job_id)?,
            None => None,
        };
        Ok((row, plan, open, original))
    });
    let (Some(row), Some(plan), Some(attempt), Some(original)) = read.await? else { return Ok(None) };
    let plan = create::parse(&plan).map_err(|error| Fail::fatal(chain(&error)))?;
    let (rerun, start) = (plan.rerun, row.start_time.unwrap_or_else(crate::text::now));
    let pool = row.pool_id;
    let written = create::known(director, id, row.unique_name, plan);
    written.update(|live| live.adopted = true);
    written::begin(&written, attempt.attempt, start);
    let writing = Writing {
        job: written,
        attempt: attempt.attempt,
        pool,
        original,
        rerun,
        session: attempt.session,
        reached: Box::default(),
    };
    Ok(Some((writing, attempt)))
}

async fn ask(director: &Director, job: &Arc<Job>, attempt: &AttemptRow) -> Result<Standing, Fail> {
    tokio::select! {
        standing = ask_storage(director, job, attempt) => standing,
        wish = job.wished() => {
            debug_assert!(wish != Wish::GoOn);
            Ok(Standing::Lost("the job was canceled before its Storage daemon answered".to_owned()))
        }
    }
}

/// Ends what the reading side holds of a copy that does not go on. What it has said of this attempt goes with it.
async fn give_up(director: &Director, job: &Arc<Job>, attempt: &AttemptRow) {
    let plan = job.plan();
    let Some(storage) = plan.read_storages.iter().find(|storage| storage.name == attempt.storage) else {
        // No session was noted: it may be in reserve on any.
        for storage in &plan.read_storages {
            give_up_reservation(director, job, attempt.attempt, storage).await;
        }
        return;
    };
    give_up_reservation(director, job, attempt.attempt, storage).await;
    cancel::tell_all(director, job).await;
}
