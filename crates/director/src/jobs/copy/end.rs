//! The end of a control job and of what it has written.

use super::super::end_tx::{Ending, Written};
use super::super::ending::{self, take_session};
use super::super::job::Job;
use super::super::life::Course;
use super::super::machine::Step;
use super::super::outcome::Facts;
use super::end_tx::{CopyEnded, CopyEnding};
use super::written::Writing;
use crate::handle::Director;
use crate::peer::chain;
use crate::text;
use std::sync::Arc;
use types::{JobStatus, JobType};
use wire::frame::Signal;

/// Ends what a failed job has left open on the writing side, as is done with the reading side.
pub(crate) async fn drain(director: &Director, writing: &mut Writing) {
    let mut course = Course::new();
    course.reached = *std::mem::take(&mut writing.reached);
    let job = Arc::clone(&writing.job);
    Box::pin(ending::drain(director, &job, &mut course)).await;
    *writing.reached = course.reached;
}

/// Closes a written job that was made when its control job was just being canceled.
pub(crate) async fn give_up_left(director: &Director, job: &Job) {
    if let Err(error) = super::written::give_up_left(director, job.id).await {
        // The next Director finds it open, and its control job over.
        tracing::warn!(job = %job.id, error = %chain(&error), "look for a copy that was left open");
    }
}

/// The end transaction of both jobs, with the last records of both Storage Daemons in it or before it.
pub(crate) async fn write_end(
    director: &Director,
    job: &Arc<Job>,
    course: &mut Course,
    control: Ending,
    mut writing: Writing,
) -> Written {
    writing.job.step(&Step::Finish);
    let ending = ending_of(job, course, control, &writing);
    let mut reader = course.reached.sd.take();
    if let Some(sd) = reader.as_mut()
        && let Some(mut session) = take_session(sd).await
    {
        // Messages and the state of the Volume that was read: they may be in the catalog before the end is.
        match session.finish(|_| Ok(())).await {
            Ok(((), handled)) => {
                let _ = super::super::traffic::reply(job, handled, sd.peer.out()).await;
            }
            Err(error) => job.messages.error(&chain(&error)),
        }
    }
    let mut writer = writing.reached.sd.take();
    let session = match writer.as_mut() {
        Some(sd) => take_session(sd).await,
        None => None,
    };
    let mut ended = None;
    if let (Some(mut session), Some(sd)) = (session, writer.as_ref()) {
        let ending = ending.clone();
        match session.finish(move |tx| ending.clone().write(tx, text::now())).await {
            Ok((done, handled)) => {
                let _ = super::super::traffic::reply(&writing.job, handled, sd.peer.out()).await;
                ended = Some(done);
            }
            Err(error) => {
                job.messages.fatal(&format!("The end of the copy was not stored: {}", chain(&error)));
            }
        }
    }
    let ended = match ended {
        Some(ended) => ended,
        None => write_alone(director, job, ending).await,
    };
    sys::failpoint::reach("director-end-committed");
    for sd in [&reader, &writer].into_iter().flatten() {
        // One that is gone is of no interest any more.
        let _ = sd.peer.signal(Signal::Terminate).await;
    }
    course.reached.sd = reader;
    tell(job, &writing, &ended);
    director.messages().flush_log().await;
    writing.job.step(&Step::End(ended.status));
    director.registry().remove(&writing.job);
    course.reached.copy = Some(writing);
    ended.control
}

fn tell(job: &Job, writing: &Writing, ended: &CopyEnded) {
    let (id, original) = (writing.job.id, writing.original.id);
    if let Some(problem) = &ended.problem {
        job.messages
            .error(&format!("JobId {id} is not a good copy: {problem}. JobId {original} stays as it is."));
    }
    if ended.status == JobStatus::Incomplete {
        job.messages.warning(&format!(
            "The copy JobId {id} is Incomplete with {} files; the next copy of JobId {original} goes on behind them.",
            ended.files
        ));
    }
    if ended.is_heir {
        job.messages.info(&format!(
            "JobId {original} was removed from the catalog meanwhile; JobId {id} is the Backup in its place."
        ));
    }
}

/// Without the last records of the writing side; nothing of a failed end transaction is in the catalog.
async fn write_alone(director: &Director, job: &Job, mut ending: CopyEnding) -> CopyEnded {
    if ending.facts.sd == Some(Some(JobStatus::Terminated)) {
        ending.facts.sd = Some(None);
    }
    ending::store(director, job, move |tx| ending.clone().write(tx, text::now())).await
}

fn ending_of(job: &Job, course: &Course, mut control: Ending, writing: &Writing) -> CopyEnding {
    let plan = job.plan();
    let end = writing.reached.ends.sd.as_ref();
    let writer = writing.reached.sd.as_ref();
    let read = course.reached.ends.sd.as_ref().map(|end| end.status);
    // The row of a control job names no original: it is none of the job's copies.
    control.target_job = 0;
    let wrote_all = end.is_some_and(|end| end.status.is_success());
    let facts = Facts {
        wish: match job.wish() {
            super::super::Wish::GoOn => writing.job.wish(),
            wish => wish,
        },
        failed: course.outcome.failed,
        // Where nobody can say how the reading side ended, the comparison of what was written decides.
        fd: (course.reached.sd.is_some() && !(read.is_none() && wrote_all)).then_some(read),
        sd: (writer.is_some() || end.is_some() || course.outcome.sd == Some(None))
            .then(|| end.map(|end| end.status)),
        kept_files: 0,
        may_be_incomplete: writer.is_none_or(|sd| sd.holdfast),
    };
    CopyEnding {
        control,
        written: writing.job.id,
        attempt: writing.attempt,
        session: writing.session,
        pool: writing.pool,
        original: writing.original.clone(),
        migrate: (plan.job_type == JobType::Migrate)
            .then(|| plan.control().is_some_and(|control| control.purge_original)),
        is_rerun: writing.rerun.is_some(),
        is_part: plan.control().is_some_and(|control| control.part_end.is_some()),
        keeps_rows: writing.job.plan().pool.catalog_files,
        facts,
        files: end.map_or(0, |end| end.files),
        bytes: end.map_or(0, |end| end.bytes),
        errors: end.map_or(0, |end| end.errors),
    }
}
