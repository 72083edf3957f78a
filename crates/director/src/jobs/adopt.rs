//! Adoption: a Director that starts takes up the jobs that its predecessor left (DESIGN §2.3, docs/extensions.md §5).
//!
//! Queued jobs are queued again. A job whose attempt is open is taken over where its Storage Daemon holds it: the journal is
//! streamed from behind the last record in the catalog, and from there on the job goes the way of every job. Nothing is called
//! failed before SD and FD were asked.

use super::asked::{Asked, ask_client, finish_restore, stock_end};
use super::ending;
use super::held::{self, Held};
use super::job::Job;
use super::level::Ground;
use super::life::{self, Course};
use super::machine::Step;
use super::outcome::Wish;
use super::readback::{self, Found};
use super::session::{Fail, Flow, SdSession, attach_storage};
use super::{aftermath, backup, cancel, copy, create, leftover, rejoin};
use crate::error::DirectorError;
use crate::handle::Director;
use crate::peer::{StorageConn, Tries, chain};
use crate::text;
use catalog::attempt::{AttemptRow, AttemptState, Totals};
use catalog::job::JobRow;
use catalog::journal::{self, JournalKey};
use catalog::plan::PlanRow;
use policy::plan::{CopyPlan, StoragePlan};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use types::{Attempt, FileSetId, JobId, JobStatus, JobType, Seq, Timestamp};
use wire::msg::holdfast::JobState;

/// How often a daemon that cannot be reached is tried again.
const ASK_EVERY: Duration = Duration::from_secs(5);

/// How long it is tried where another Storage can take the job on.
const ASK_WITH_OTHERS: Duration = Duration::from_secs(10);

struct Left {
    row: JobRow,
    plan: Option<PlanRow>,
    attempt: Option<AttemptRow>,
}

/// Takes up what an earlier life of this Director left. Returns at once; the asking goes on in the jobs' own tasks.
///
/// # Errors
/// [`DirectorError::Catalog`].
pub(crate) async fn take_up(director: &Director) -> Result<(), DirectorError> {
    // Few statements: nobody is served before, and each is a way to the server and back.
    let read = director.catalog().read(|r| {
        let plans = catalog::plan::list_unfinished(r)?.into_iter().map(|plan| (plan.job_id, plan));
        let open = catalog::attempt::list_open(r)?.into_iter().map(|attempt| (attempt.job_id, attempt));
        let (mut plans, mut open): (HashMap<_, _>, HashMap<_, _>) = (plans.collect(), open.collect());
        let rows = catalog::job::list_unfinished(r)?.into_iter();
        Ok(rows
            .map(|row| Left { plan: plans.remove(&row.id), attempt: open.remove(&row.id), row })
            .collect::<Vec<_>>())
    });
    let left = read.await.map_err(|error| DirectorError::Catalog(chain(&error)))?;
    let open: BTreeSet<u32> = left.iter().map(|job| job.row.id.get()).collect();
    for job in left {
        take(director, job, &open).await?;
    }
    aftermath::take_up(director).await
}

/// Takes up one job whose rows were made anew.
///
/// # Errors
/// [`DirectorError::Catalog`].
pub(crate) async fn take_up_one(director: &Director, id: JobId) -> Result<(), DirectorError> {
    let read = director.catalog().read(move |r| {
        let Some(row) = catalog::job::get(r, id)? else { return Ok(None) };
        let plan = catalog::plan::load(r, id)?;
        Ok(Some(Left { row, plan, attempt: catalog::attempt::open_of(r, id)? }))
    });
    match read.await.map_err(|error| DirectorError::Catalog(chain(&error)))? {
        Some(left) => take(director, left, &BTreeSet::new()).await,
        None => Ok(()),
    }
}

/// `open`: the jobs that are not over.
async fn take(director: &Director, left: Left, open: &BTreeSet<u32>) -> Result<(), DirectorError> {
    let Left { row, plan, attempt } = left;
    let Some(plan) = plan else { return close_without_plan(director, &row).await };
    let plan = create::parse(&plan)?;
    if let Some(CopyPlan::Written { control }) = plan.copy {
        // Its control job takes it up.
        return if open.contains(&control) { Ok(()) } else { copy::give_up(director, row.id).await };
    }
    // A known bug that tests put back: what runs of the job is not asked for, and another attempt starts beside it.
    let attempt = attempt.filter(|_| !sys::failpoint::is_on("bug-attempt-not-closed"));
    match attempt {
        None => {
            tracing::info!(job = %row.id, name = row.unique_name, "queued again");
            create::begin(director, row.id, row.unique_name, plan);
        }
        Some(attempt) => {
            let job = create::known(director, row.id, row.unique_name.clone(), plan);
            director.spawn(adopt(director.clone(), job, row, attempt));
        }
    }
    Ok(())
}

/// A row that no plan stands for: written by Bacula, which sets such rows to `f` at its start (spec/05 §5).
async fn close_without_plan(director: &Director, row: &JobRow) -> Result<(), DirectorError> {
    tracing::warn!(job = %row.id, "an unfinished job without a plan is closed as failed");
    let id = row.id;
    let written = director
        .catalog()
        .write(director.epoch(), move |tx| catalog::job::set_status(tx, id, JobStatus::FatalError));
    written.await.map_err(|error| DirectorError::Catalog(chain(&error)))
}

/// What the daemons of a job hold.
pub(super) enum Standing {
    /// The SD has it: the job goes on.
    Taken(Box<SdSession>),
    /// The SD has it, and all of it was confirmed before: the job had ended, and the catalog has lost that.
    Ended(Box<SdSession>),
    /// The SD had not started with it: it starts anew.
    NotStarted,
    /// A stock SD, which keeps nothing for a Director.
    Stock(Box<StoragePlan>),
    /// The SD does not have it any more.
    Lost(String),
}

async fn adopt(director: Director, job: Arc<Job>, row: JobRow, attempt: AttemptRow) {
    job.step(&Step::Adopt);
    job.update(|live| {
        live.attempt = attempt.attempt;
        live.adopted = true;
        live.start_time = row.start_time;
    });
    let mut course = Course::new();
    course.attempt = attempt.attempt;
    course.start = row.start_time.unwrap_or(course.start);
    course.ground = Ground {
        client: row.client_id,
        fileset: row.fileset_id,
        fileset_created: fileset_created(&director, row.fileset_id).await,
        pool: row.pool_id,
        ..Ground::default()
    };
    if copy::is_control(&job.plan()) {
        return Box::pin(adopt_copy(&director, &job, course, &attempt)).await;
    }
    let held = tokio::select! {
        held = ask_storage(&director, &job, &attempt) => held,
        _ = job.wished() => Ok(Standing::Lost("the job was canceled before its Storage daemon answered".to_owned())),
    };
    let mut left_with = None;
    let led = match held {
        Ok(Standing::NotStarted) => return Box::pin(start_anew(&director, &job, attempt.attempt)).await,
        Ok(Standing::Ended(sd)) => {
            director.reconciliation().note_replayed(job.id);
            let found = replay(&job, &mut course, *sd).await;
            return conclude(&director, &job, course, Ok(found)).await;
        }
        Ok(Standing::Taken(sd)) => {
            let found = follow(&director, &job, &mut course, *sd).await;
            return conclude(&director, &job, course, Ok(found)).await;
        }
        Ok(Standing::Stock(storage)) => {
            let found = readback::follow(&director, &job, &mut course, &attempt, &storage).await;
            return conclude(&director, &job, course, found).await;
        }
        Ok(Standing::Lost(why)) => {
            left_with = Some(attempt.storage.clone());
            cancel::tell_all(&director, &job).await;
            if job.plan().job_type == JobType::Restore && job.wish() == Wish::GoOn {
                let found = readback::restore_end(&director, &job, &mut course, &why).await;
                return conclude(&director, &job, course, Ok(found)).await;
            }
            course.outcome.may_be_incomplete = job.plan().job_type == JobType::Backup;
            course.outcome.sd = Some(None);
            job.messages.fatal(&why);
            Ok(())
        }
        Err(fail) => Err(fail),
    };
    life::close(&director, &job, course, led).await;
    if let Some(storage) = left_with {
        leftover::look(&director, &storage);
    }
}

/// The same of the control job of a copy.
async fn adopt_copy(director: &Director, job: &Arc<Job>, mut course: Course, attempt: &AttemptRow) {
    let led = match Box::pin(copy::adopt::adopt(director, job, &mut course, attempt)).await {
        Ok(copy::adopt::Left::Anew) => return Box::pin(start_anew(director, job, attempt.attempt)).await,
        Ok(copy::adopt::Left::Ended) => Ok(()),
        Err(fail) => Err(fail),
    };
    life::close(director, job, course, led).await;
}

/// Ends a job, or starts it anew, as was found on its daemons.
async fn conclude(director: &Director, job: &Arc<Job>, mut course: Course, found: Result<Found, Fail>) {
    let led = match found {
        Ok(Found::Ended) => Ok(()),
        Ok(Found::Again(why)) => {
            job.messages.info(&format!("The job starts again: {why}."));
            ending::acknowledge_client(course.reached.fd.as_ref()).await;
            return Box::pin(start_anew(director, job, course.attempt)).await;
        }
        Ok(Found::Lost(why)) => {
            cancel::tell_all(director, job).await;
            course.outcome.sd = Some(None);
            job.messages.fatal(&why);
            Ok(())
        }
        Err(fail) => Err(fail),
    };
    life::close(director, job, course, led).await;
}

/// For the report; a catalog that does not answer leaves it out.
async fn fileset_created(director: &Director, id: FileSetId) -> Option<Timestamp> {
    let read = director.catalog().read(move |r| catalog::fileset::get(r, id)).await;
    read.inspect_err(|error| tracing::warn!(%error, "read the FileSet of an adopted job")).ok()??.created
}

/// The attempt had not begun, or is over without a result: it is closed and the job queued again; the next attempt runs its scripts once more.
async fn start_anew(director: &Director, job: &Arc<Job>, attempt: Attempt) {
    let (id, now) = (job.id, text::now());
    let closed = director.catalog().write(director.epoch(), move |tx| {
        catalog::attempt::finish(tx, id, attempt, AttemptState::Closed, Totals::default(), now)
    });
    if let Err(error) = closed.await {
        let mut course = Course::new();
        course.attempt = attempt;
        return life::close(director, job, course, Err(error.into())).await;
    }
    tracing::info!(job = %id, %attempt, "the attempt is closed; the job starts anew");
    Box::pin(life::live(director.clone(), Arc::clone(job))).await;
}

/// Asks the SD that holds the attempt until it answers, at most for the configured time.
pub(super) async fn ask_storage(
    director: &Director,
    job: &Arc<Job>,
    attempt: &AttemptRow,
) -> Result<Standing, Fail> {
    let plan = job.plan();
    let storages: Vec<StoragePlan> = plan.write_storages.iter().chain(&plan.read_storages).cloned().collect();
    let Some(storage) = storages.iter().find(|storage| storage.name == attempt.storage) else {
        // No SD had taken the job on: whatever one may hold in reserve is given up.
        for storage in &storages {
            give_up_reservation(director, job, attempt.attempt, storage).await;
        }
        return Ok(Standing::NotStarted);
    };
    let patience = director.config().director.sd_connect_timeout;
    // Where another Storage can take the job on, it goes on there soon.
    let has_others = plan.job_type == JobType::Backup && plan.write_storages.len() > 1;
    let limit = Instant::now() + if has_others { patience.min(ASK_WITH_OTHERS) } else { patience };
    loop {
        match reach(director, job, storage).await {
            Ok(conn) => return ask(director, job, attempt, storage, conn).await,
            Err(error) if Instant::now() < limit => {
                tracing::warn!(job = %job.id, %error, "the Storage daemon that holds the job does not answer yet");
            }
            Err(error) => return Ok(Standing::Lost(format!("the Storage daemon did not answer: {error}"))),
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

pub(super) async fn reach(
    director: &Director,
    job: &Job,
    storage: &StoragePlan,
) -> Result<StorageConn, DirectorError> {
    let config = director.config();
    let resource = config.storage(&storage.name).ok_or_else(|| {
        DirectorError::Plan(format!("Storage \"{}\" is no longer configured", storage.name))
    })?;
    let links = director.links();
    let link = links.storage(resource)?;
    let conn = links.open_storage(&link, Tries::Console).await?;
    job.hold_storage_once(link);
    Ok(conn)
}

/// Asks an SD that answers.
async fn ask(
    director: &Director,
    job: &Arc<Job>,
    attempt: &AttemptRow,
    storage: &StoragePlan,
    mut conn: StorageConn,
) -> Result<Standing, Fail> {
    if !conn.holdfast {
        conn.terminate().await;
        return Ok(Standing::Stock(Box::new(storage.clone())));
    }
    let lines = conn.command("jobs\n").await?;
    let name = &storage.name;
    let entry = match held::held(&lines, job.id, &job.unique, job.plan().job_type, attempt.attempt) {
        Held::Not => {
            conn.terminate().await;
            return Ok(Standing::Lost(format!("Storage daemon {name} does not hold the job any more")));
        }
        Held::NotStarted => {
            close_attempt(job, attempt.attempt, conn).await?;
            return Ok(Standing::NotStarted);
        }
        Held::CutOff => {
            close_attempt(job, attempt.attempt, conn).await?;
            return Ok(Standing::Lost(format!("Storage daemon {name} was restarted while the job ran")));
        }
        Held::Runs(entry) => entry,
    };
    let is_replayed = director.reconciliation().is_replayed(job.id);
    let has_ended = entry.state == JobState::Ended;
    // What was confirmed and is not in the catalog, an earlier life of it had.
    let position = position(director, job, attempt).await?;
    let was_known = entry.acked == entry.last && position < entry.last;
    let settled = if has_ended { entry.last } else { entry.acked };
    let taken =
        attach_storage(director, job, attempt.attempt, storage, conn, attempt.session, settled).await?;
    match taken {
        Some(sd) if has_ended && (was_known || is_replayed) => Ok(Standing::Ended(Box::new(sd))),
        Some(sd) => Ok(Standing::Taken(Box::new(sd))),
        None => Ok(Standing::Lost(format!("Storage daemon {} does not hold the job any more", storage.name))),
    }
}

/// How far the journal of an attempt is in the catalog.
async fn position(director: &Director, job: &Job, attempt: &AttemptRow) -> Result<Seq, Fail> {
    let key = JournalKey { job_id: job.id, attempt: attempt.attempt, storage: attempt.storage.clone() };
    Ok(director.catalog().read(move |r| journal::position(r, &key)).await?)
}

/// Tells an SD that an attempt is over. Its answer is one line.
async fn close_attempt(job: &Job, attempt: Attempt, mut conn: StorageConn) -> Result<(), DirectorError> {
    let line = held::close_line(job.id, &job.unique, attempt);
    let said = conn.line(line).await?;
    tracing::info!(job = %job.id, %attempt, said, "closed what the Storage daemon held");
    conn.terminate().await;
    Ok(())
}

/// A reservation whose session is not in the catalog; an SD that does not answer frees it by itself.
pub(super) async fn give_up_reservation(
    director: &Director,
    job: &Job,
    attempt: Attempt,
    storage: &StoragePlan,
) {
    let asked = tokio::time::timeout(Duration::from_secs(5), async {
        let conn = reach(director, job, storage).await?;
        if conn.holdfast {
            return close_attempt(job, attempt, conn).await;
        }
        conn.terminate().await;
        Ok(())
    });
    if !matches!(asked.await, Ok(Ok(()))) {
        tracing::debug!(job = %job.id, storage = storage.name, "a possible reservation was not given up");
    }
}

/// Fills in what the catalog has lost of a job that had ended. Its client has nothing left to say, and is not asked.
async fn replay(job: &Arc<Job>, course: &mut Course, sd: SdSession) -> Found {
    job.messages.info(&format!(
        "JobId {}, Job={} is replayed from the journal of Storage daemon {}: the catalog has gone back in time. How it ended \
         is that daemon's word.",
        job.id, job.unique, sd.storage.name
    ));
    let reached = &mut course.reached;
    reached.data = true;
    let sd = reached.sd.insert(sd);
    job.step(&Step::Run);
    let mut flow = Flow { job, sd: Some(&mut sd.peer), fd: None, until_storage_end: false, limit: None };
    reached.ends = flow.wait().await;
    course.outcome = backup::outcome(&job.plan(), &course.reached);
    course.outcome.may_be_incomplete &= job.plan().job_type == JobType::Backup;
    Found::Ended
}

/// Follows a job that was taken over to the end of its data.
async fn follow(director: &Director, job: &Arc<Job>, course: &mut Course, sd: SdSession) -> Found {
    let plan = job.plan();
    job.messages.info(&format!("Director took over the running JobId {}, Job={}", job.id, job.unique));
    let fd = ask_client(director, job, course.attempt).await;
    if let (Asked::Lost(why), JobType::Restore, Wish::GoOn) = (&fd, plan.job_type, job.wish()) {
        cancel::tell_all(director, job).await;
        give_up_reservation(director, job, course.attempt, &sd.storage).await;
        sd.peer.terminate().await;
        return Found::Again(why.clone());
    }
    let reached = &mut course.reached;
    reached.data = true;
    let sd = reached.sd.insert(sd);
    let stock = matches!(fd, Asked::Stock);
    let lost = match fd {
        Asked::Holds(fd) => {
            reached.fd = Some(*fd);
            None
        }
        Asked::Stock => None,
        Asked::Lost(why) => Some(why),
    };
    job.step(&Step::Run);
    reached.ends = if plan.job_type == JobType::Backup {
        rejoin::wait(director, job, course.attempt, reached).await
    } else {
        let (sd, fd) = (Some(&mut sd.peer), reached.fd.as_mut().map(|fd| &mut fd.peer));
        let until_storage_end = plan.job_type == JobType::Restore;
        Flow { job, sd, fd, until_storage_end, limit: None }.wait().await
    };
    finish_restore(job, course).await;
    if stock {
        course.reached.ends.fd = stock_end(director, job).await;
    }
    course.outcome = backup::outcome(&plan, &course.reached);
    if stock || lost.is_some() {
        course.outcome.fd = Some(course.reached.ends.fd.map(|end| end.status));
    }
    if let (Some(why), None) = (lost, course.reached.ends.fd) {
        job.messages.fatal(&why);
    }
    course.outcome.may_be_incomplete &= plan.job_type == JobType::Backup;
    Found::Ended
}
