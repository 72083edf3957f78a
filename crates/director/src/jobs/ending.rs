//! The end of a job: last records and the end in one transaction (spec/04 §4.4 step 6).

use super::create::row_level;
use super::job::Job;
use super::life::Course;
use super::outcome::{Facts, decide};
use super::readback::ReadBack;
use super::session::{FdSession, Flow, SdSession};
use super::{aftermath, cancel};
use crate::catreq::CatalogSession;
use crate::handle::Director;
use crate::peer::chain;
use crate::text;
use catalog::attempt::{self, AttemptState, Totals};
use catalog::job::JobEnd;
use catalog::media::MediaRow;
use catalog::{ReadTx, WriteTx};
use policy::plan::JobPlan;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use types::{Attempt, FileIndex, JobId, JobStatus, JobType, Timestamp, VolSession};

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

/// What the end transaction found and wrote.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) status: JobStatus,
    pub(crate) end: Timestamp,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) session: VolSession,
    pub(crate) volumes: Vec<MediaRow>,
    pub(crate) uname: String,
}

/// Ends what a failed job has left open on its daemons. A Holdfast SD would else keep the job for the next Director.
pub(crate) async fn drain(director: &Director, job: &Job, course: &mut Course) {
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

/// Ends a session with an SD whose part is over, its last records committed.
pub(crate) async fn let_go(job: &Job, sd: Option<SdSession>) {
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
    let end = Ending::new(job, course);
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
        match session.finish(move |tx| ending.clone().write(tx)).await {
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
    let mut wait = Duration::from_millis(200);
    let mut end = end.clone();
    // Nothing of a failed end transaction is in the catalog; records that were lost with it make the job a failed one.
    if end.had_sd && end.facts.failed.is_none() && end.facts.sd == Some(Some(JobStatus::Terminated)) {
        end.facts.failed = Some(JobStatus::FatalError);
    }
    loop {
        let ending = end.clone();
        match director.catalog().write(director.epoch(), move |tx| ending.clone().write(tx)).await {
            Ok(written) => return written,
            Err(error) => {
                tracing::error!(job = %job.id, error = %chain(&error), "the end of the job is not in the catalog yet");
                if error.is_epoch_over() || director.stop_token().is_cancelled() {
                    // The next Director finds the job open and ends it.
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

/// Everything the end transaction needs, on its own.
#[derive(Clone)]
struct Ending {
    id: JobId,
    plan: Arc<JobPlan>,
    attempt: Attempt,
    start: Timestamp,
    session: VolSession,
    had_sd: bool,
    facts: Facts,
    /// Of this attempt.
    files: Option<u64>,
    bytes: u64,
    read_bytes: u64,
    errors: u32,
    pool: types::PoolId,
    /// What a read-back found on the Volume.
    read_back: Option<ReadBack>,
}

impl Ending {
    fn new(job: &Job, course: &Course) -> Self {
        let reached = &course.reached;
        let (fd, sd) = (reached.ends.fd, reached.ends.sd.as_ref());
        let outcome = &course.outcome;
        let mut session = session_of(course);
        let plan = job.plan();
        if let (true, Some(rerun)) = (session == VolSession::default(), plan.rerun) {
            session = rerun.session;
        }
        Self {
            id: job.id,
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
            plan,
        }
    }

    fn write(mut self, tx: &WriteTx<'_>) -> catalog::Result<Written> {
        let backup = self.plan.job_type == JobType::Backup;
        let stored = if backup { stored_files(tx, self.id)? } else { 0 };
        self.facts.kept_files = stored;
        let status = decide(&self.facts);
        if backup && status == JobStatus::Incomplete {
            catalog::jobmedia::clip(tx, self.id, last_file(tx, self.id)?)?;
        }
        let end = text::now();
        if let Some(found) = self.read_back {
            found.write(tx, self.id, status.is_success(), end)?;
        }
        let earlier =
            if self.plan.rerun.is_some() { sums(tx, self.id, self.attempt)? } else { Totals::default() };
        // What is kept of an unfinished backup is what the catalog has.
        let whole = status.is_success() || !backup;
        let files = match self.files {
            Some(files) if whole && self.plan.rerun.is_none() => files,
            _ if backup => stored,
            files => files.unwrap_or(0),
        };
        let totals = Totals {
            files: files.saturating_sub(earlier.files),
            bytes: self.bytes,
            read_bytes: self.read_bytes,
            errors: u64::from(self.errors),
        };
        let bytes = self.bytes + earlier.bytes;
        catalog::job::end(
            tx,
            self.id,
            &JobEnd {
                status,
                level: row_level(&self.plan),
                start_time: self.start,
                end_time: end,
                real_end_time: end,
                session: self.session,
                files,
                bytes,
                read_bytes: self.read_bytes + earlier.read_bytes,
                errors: u64::from(self.errors) + earlier.errors,
                missing_files: 0,
                pool_id: self.pool,
                prior_job_id: JobId(self.plan.target_job.unwrap_or(0)),
                has_base: false,
            },
        )?;
        aftermath::note(tx, self.id, self.attempt, end)?;
        if self.attempt > Attempt(0) {
            attempt::finish(tx, self.id, self.attempt, AttemptState::Ended, totals, end)?;
        }
        sys::failpoint::reach("director-end-uncommitted");
        let uname = catalog::client::get_by_name(tx, &self.plan.client.name)?.map(|row| row.uname);
        Ok(Written {
            status,
            end,
            files,
            bytes,
            session: self.session,
            volumes: catalog::media::list_of_job(tx, self.id)?,
            uname: uname.unwrap_or_default(),
        })
    }
}

/// The last file that is whole, from which a restart of the job goes on.
pub(crate) fn last_file(r: &ReadTx<'_>, id: JobId) -> catalog::Result<FileIndex> {
    let sql = "SELECT COALESCE(MAX(FileIndex), 0) FROM File WHERE JobId = ?1";
    Ok(FileIndex(r.scalar(sql, &[catalog::Value::Int(i64::from(id.get()))])?.unwrap_or(0)))
}

fn stored_files(tx: &WriteTx<'_>, id: JobId) -> catalog::Result<u64> {
    let sql = "SELECT count(DISTINCT FileIndex) FROM File WHERE JobId = ?1 AND FileIndex > 0";
    Ok(tx.scalar(sql, &[catalog::Value::Int(i64::from(id.get()))])?.unwrap_or(0))
}

/// Sums of the attempts before this one.
fn sums(tx: &WriteTx<'_>, id: JobId, this: Attempt) -> catalog::Result<Totals> {
    let attempts = attempt::list(tx, id)?;
    Ok(attempts.iter().filter(|row| row.attempt < this).fold(Totals::default(), |sum, row| Totals {
        files: sum.files + row.totals.files,
        bytes: sum.bytes + row.totals.bytes,
        read_bytes: sum.read_bytes + row.totals.read_bytes,
        errors: sum.errors + row.totals.errors,
    }))
}
