//! The end of a job: last records and the end in one transaction (spec/04 §4.4 step 6).

use super::create::row_level;
use super::end_tx::{Ending, Written};
use super::job::Job;
use super::life::Course;
use super::outcome::Facts;
use super::session::{FdSession, Flow, SdSession};
use super::{aftermath, cancel};
use crate::catreq::CatalogSession;
use crate::handle::Director;
use crate::peer::chain;
use crate::text;
use catalog::WriteTx;
use catalog::journal::{self, JournalKey};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use types::{Attempt, JobStatus, Timestamp, VolSession};

/// How long the rest of a job that has failed may take to end on its daemons.
const DRAIN: Duration = Duration::from_secs(10);
/// The same for a job that was canceled.
const DRAIN_CANCELED: Duration = Duration::from_secs(2);

/// What became of a job.
pub(crate) struct Finished {
    pub(crate) status: JobStatus,
    /// When it is to run again.
    pub(crate) again: Option<Timestamp>,
}

/// Ends what a failed job has left open on its daemons. A Holdfast SD would else keep the job for the next Director.
pub(crate) async fn drain(director: &Director, job: &Job, course: &mut Course) {
    if let Some(writing) = course.reached.copy.as_mut() {
        super::copy::drain(director, writing).await;
    }
    let reached = &mut course.reached;
    let sd_open = reached.sd.is_some() && reached.ends.sd.is_none();
    let fd_open = reached.fd.is_some() && reached.ends.fd.is_none();
    if !sd_open && !fd_open {
        // A Storage Daemon that had just reserved a device when the client failed holds it for nobody.
        if reached.sd.is_none() {
            cancel::tell_all(director, job).await;
        }
        return;
    }
    cancel::tell_all(director, job).await;
    let mut flow = Flow {
        job,
        sd: reached.sd.as_mut().filter(|_| sd_open).map(|sd| &mut sd.peer),
        fd: reached.fd.as_mut().filter(|_| fd_open).map(|fd| &mut fd.peer),
        until_storage_end: false,
        // Whoever cancels a job does not want to wait for a script of the client that cannot be ended.
        limit: Some(Instant::now() + if job.wish() == super::Wish::GoOn { DRAIN } else { DRAIN_CANCELED }),
    };
    let ends = flow.wait().await;
    reached.ends.fd = reached.ends.fd.or(ends.fd);
    reached.ends.sd = reached.ends.sd.take().or(ends.sd);
}

/// Ends a session with an SD whose part of a restore is over, its last records committed. It may get another part.
pub(crate) async fn let_go(director: &Director, job: &Job, attempt: Attempt, sd: Option<SdSession>) {
    let Some(mut sd) = sd else { return };
    if let Some(mut session) = take_session(&mut sd).await {
        match session.flush().await {
            Ok(handled) => {
                let _ = super::traffic::reply(job, handled, sd.peer.out()).await;
            }
            Err(error) => job.messages.error(&chain(&error)),
        }
    }
    sd.peer.terminate().await;
    let key = JournalKey { job_id: job.id, attempt, storage: sd.storage.name.clone() };
    let forgotten = director.catalog().write(director.epoch(), move |tx| journal::forget_one(tx, &key));
    if let Err(error) = forgotten.await {
        job.messages.error(&chain(&error));
    }
}

/// The catalog's side of the session; the reader gives it back when the SD has ended or is lost.
pub(crate) async fn take_session(sd: &mut SdSession) -> Option<CatalogSession> {
    let back = sd.back.take()?;
    tokio::time::timeout(DRAIN, back).await.ok()?.ok()
}

/// Writes the end and does what follows on it.
pub(crate) async fn finish(director: &Director, job: &Arc<Job>, mut course: Course) -> Finished {
    let written = write_end(director, job, &mut course).await;
    let again = aftermath::follow(director, job, &course, &written).await;
    Finished { status: written.status, again }
}

pub(crate) fn session_of(course: &Course) -> VolSession {
    course.reached.sd.as_ref().map(|sd| sd.session).unwrap_or_default()
}

/// The end transaction, with the SD's last records in it; tried again without them when they are the trouble.
async fn write_end(director: &Director, job: &Arc<Job>, course: &mut Course) -> Written {
    let end = ending_of(job, course);
    if let Some(writing) = course.reached.copy.take() {
        return super::copy::write_end(director, job, course, end, writing).await;
    }
    if super::copy::is_control(&job.plan()) {
        super::copy::give_up_left(director, job).await;
    }
    let mut sd = course.reached.sd.take();
    let session = match sd.as_mut() {
        Some(sd) => take_session(sd).await,
        None => None,
    };
    if sys::failpoint::is_on("bug-answered-before-commit") {
        acknowledge(course, sd.as_ref()).await;
    }
    let mut written = None;
    if let (Some(mut session), Some(sd)) = (session, sd.as_ref()) {
        let ending = end.clone();
        match session.finish(move |tx| ending.clone().write(tx, text::now())).await {
            Ok((done, handled)) => {
                let _ = super::traffic::reply(job, handled, sd.peer.out()).await;
                written = Some(done);
            }
            Err(error) => {
                job.messages.fatal(&format!("The end of the job was not stored: {}", chain(&error)));
            }
        }
    }
    let written = match written {
        Some(written) => written,
        None => write_alone(director, job, &end).await,
    };
    sys::failpoint::reach("director-end-committed");
    acknowledge(course, sd.as_ref()).await;
    course.reached.sd = sd;
    written
}

async fn write_alone(director: &Director, job: &Job, end: &Ending) -> Written {
    let mut end = end.clone();
    // Nothing of a failed end transaction is in the catalog; records that were lost with it make the job a failed one.
    if end.had_sd && end.facts.failed.is_none() && end.facts.sd == Some(Some(JobStatus::Terminated)) {
        end.facts.failed = Some(JobStatus::FatalError);
    }
    store(director, job, move |tx| end.clone().write(tx, text::now())).await
}

/// Writes an end, again and again until it is in the catalog. It does not return once this Director may not write any more: the next one
/// finds the job open and ends it.
pub(crate) async fn store<T, F>(director: &Director, job: &Job, write: F) -> T
where
    T: Send + 'static,
    F: Fn(&WriteTx<'_>) -> catalog::Result<T> + Clone + Send + 'static,
{
    let mut wait = Duration::from_millis(200);
    loop {
        match director.catalog().write(director.epoch(), write.clone()).await {
            Ok(written) => return written,
            Err(error) => {
                tracing::error!(job = %job.id, error = %chain(&error), "the end of the job is not in the catalog yet");
                if error.is_epoch_over() || director.stop_token().is_cancelled() {
                    std::future::pending::<()>().await;
                }
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(30));
    }
}

/// Tells a Holdfast FD that its end is in the catalog, then says goodbye to both.
async fn acknowledge(course: &mut Course, sd: Option<&SdSession>) {
    acknowledge_client(course.reached.fd.as_ref()).await;
    if let Some(sd) = sd {
        let _ = sd.peer.signal(wire::frame::Signal::Terminate).await;
    }
}

/// See [`acknowledge`]: the FD's part.
pub(crate) async fn acknowledge_client(fd: Option<&FdSession>) {
    let Some(fd) = fd else { return };
    let last = fd.last.load(std::sync::atomic::Ordering::Relaxed);
    if fd.holdfast && last > 0 {
        let _ = fd.peer.send(format!("Ack {last}\n")).await;
    }
    let _ = fd.peer.signal(wire::frame::Signal::Terminate).await;
}

fn ending_of(job: &Job, course: &Course) -> Ending {
    let reached = &course.reached;
    let (fd, sd) = (reached.ends.fd, reached.ends.sd.as_ref());
    let outcome = &course.outcome;
    let mut session = session_of(course);
    let plan = job.plan();
    if let (true, Some(rerun)) = (session == VolSession::default(), plan.rerun) {
        session = rerun.session;
    }
    Ending {
        id: job.id,
        job_type: plan.job_type,
        level: row_level(&plan),
        client: plan.client.name.clone(),
        is_rerun: plan.rerun.is_some(),
        target_job: plan.target_job.unwrap_or(0),
        attempt: course.attempt,
        start: course.start,
        session,
        had_sd: reached.sd.is_some(),
        facts: Facts {
            wish: job.wish(),
            failed: outcome.failed,
            fd: outcome.fd,
            sd: outcome.sd,
            kept_files: 0,
            may_be_incomplete: outcome.may_be_incomplete,
        },
        files: fd.map(|end| end.files).or(sd.map(|end| end.files)),
        bytes: fd.map(|end| end.bytes).or(sd.map(|end| end.bytes)).unwrap_or(0),
        read_bytes: fd.map_or(0, |end| end.read_bytes),
        errors: job.messages.errors().max(fd.map_or(0, |end| end.errors)),
        pool: course.ground.pool,
        read_back: course.read_back,
    }
}
