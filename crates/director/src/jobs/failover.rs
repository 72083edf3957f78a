//! A backup that has lost its Storage goes on with another one of its group (docs/storage-groups.md).
//!
//! What is decided is written in one transaction: the attempt is closed, what it has stored and the next one is to keep stays, and the
//! plan says how the job goes on. From there on the job is one that waits for its turn, for this Director as for the next one.
//! A job ends well only when all that it has stored can be read: what lies on a Storage that has not come back is given up, and stored
//! again in a further attempt.

use super::create::plan_row;
use super::end_tx::{last_file, stored_files, sums};
use super::ending;
use super::job::Job;
use super::life::Course;
use super::machine::Step;
use super::outcome::{Wish, decide};
use super::session::{Fail, Flow};
use super::{asked, cancel, leftover};
use crate::handle::Director;
use crate::peer::{Tries, chain};
use crate::reconcile;
use crate::spare;
use catalog::attempt::{AttemptState, Totals};
use catalog::journal::{self, JournalKey};
use catalog::{CatalogError, WriteTx, withdraw};
use policy::group::{ATTEMPTS_MAX, GoOn, Loss, after_loss};
use policy::plan::{JobPlan, Rerun};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use types::{Attempt, JobId, JobStatus, JobType, StorageId, Timestamp, VolSession};

/// How long a Storage Daemon may take to say that it is there, and what it has.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// How long a client may take to end an attempt that is given up.
const CLIENT_ENDS: Duration = Duration::from_secs(30);
/// The same of a client that had no order to save yet.
const CLIENT_LEAVES: Duration = Duration::from_secs(3);

/// What is kept of what a job has stored.
#[derive(Debug, Clone)]
enum Keep {
    /// All up to the last file that is whole.
    Checkpointed,
    /// All but what lies on these Storages.
    Without(Vec<StorageId>),
    Nothing,
    /// The attempt has stored nothing, the next one begins as it did; this Storage has the job still.
    Unchanged(Option<String>),
}

/// The transaction between two attempts.
#[derive(Debug, Clone)]
struct Turn {
    id: JobId,
    attempt: Attempt,
    state: AttemptState,
    session: VolSession,
    keep: Keep,
    bytes: u64,
    read_bytes: u64,
    plan: JobPlan,
}

impl Turn {
    /// Closes the attempt and stores the plan of the next one, which it gives.
    fn write(&self, tx: &WriteTx<'_>, now: Timestamp) -> catalog::Result<JobPlan> {
        match &self.keep {
            Keep::Checkpointed => catalog::jobmedia::clip(tx, self.id, last_file(tx, self.id)?)?,
            Keep::Without(storages) => {
                storages.iter().try_for_each(|storage| withdraw::from_storage(tx, self.id, *storage))?;
                withdraw::followers(tx, self.id)?;
                // The next attempt may give the numbers of the last files that were withdrawn to others.
                catalog::jobmedia::clip(tx, self.id, last_file(tx, self.id)?)?;
            }
            Keep::Nothing => withdraw::all(tx, self.id)?,
            Keep::Unchanged(left) => return self.write_unchanged(tx, left.as_deref(), now),
        }
        let (files, earlier) = (stored_files(tx, self.id)?, sums(tx, self.id, self.attempt)?);
        let totals = Totals {
            files: files.saturating_sub(earlier.files),
            bytes: self.bytes,
            read_bytes: self.read_bytes,
            errors: 0,
        };
        catalog::attempt::finish(tx, self.id, self.attempt, self.state, totals, now)?;
        let mut plan = self.plan.clone();
        plan.not_before = None;
        plan.rerun = (files > 0).then(|| Rerun {
            session: self.session,
            files: u32::try_from(files).unwrap_or(u32::MAX),
            bytes: earlier.bytes + self.bytes,
            errors: 0,
            same_job: true,
        });
        catalog::plan::store(tx, &plan_row(self.id, &plan).map_err(CatalogError::Refused)?)?;
        sys::failpoint::reach("director-failover-uncommitted");
        Ok(plan)
    }

    fn write_unchanged(
        &self,
        tx: &WriteTx<'_>,
        left: Option<&str>,
        now: Timestamp,
    ) -> catalog::Result<JobPlan> {
        if let Some(left) = left {
            // By this it is found out that the attempt is over.
            catalog::attempt::set_session(tx, self.id, self.attempt, left, self.session)?;
        }
        catalog::attempt::finish(tx, self.id, self.attempt, self.state, Totals::default(), now)?;
        let plan = JobPlan { not_before: None, ..self.plan.clone() };
        catalog::plan::store(tx, &plan_row(self.id, &plan).map_err(CatalogError::Refused)?)?;
        Ok(plan)
    }
}

/// What has become of an attempt, as far as it matters here.
enum Standing {
    /// All is stored.
    Whole,
    /// It has lost its Storage, and why.
    Lost(String),
    /// Another Storage has taken the place of its own before anything was stored or read (docs/cold-spare.md).
    Moved,
    Other,
}

/// Decides whether a job whose attempt is over goes on with another one; then that is in the catalog, and the job is as it was before it
/// stood in the queue.
pub(crate) async fn goes_on(
    director: &Director,
    job: &Arc<Job>,
    course: &mut Course,
    led: &Result<(), Fail>,
) -> bool {
    let plan = job.plan();
    let is_backup = plan.job_type == JobType::Backup && plan.copy.is_none();
    if !(is_backup || plan.job_type == JobType::Restore)
        || course.attempt == Attempt(0)
        || job.wish() != Wish::GoOn
        || director.reconciliation().is_replayed(job.id)
        || course.read_back.is_some()
    {
        return false;
    }
    let turned = match standing(director, job, course, led).await {
        Standing::Moved => Box::pin(start_again(director, job, course)).await,
        Standing::Whole | Standing::Lost(_) | Standing::Other if !is_backup => Ok(false),
        Standing::Whole if plan.rerun.is_some() => Box::pin(fill_up(director, job, course)).await,
        Standing::Lost(why) => {
            course.lost_storage = true;
            if plan.write_storages.len() > 1 {
                Box::pin(leave(director, job, course, &why)).await
            } else {
                Ok(false)
            }
        }
        Standing::Whole | Standing::Other => Ok(false),
    };
    turned.unwrap_or_else(|fail| {
        job.messages.error(&format!("The job cannot go on with another Storage: {fail}"));
        false
    })
}

async fn standing(director: &Director, job: &Job, course: &mut Course, led: &Result<(), Fail>) -> Standing {
    let reached = &course.reached;
    let problem = |text: &str| reached.sd_lost.clone().unwrap_or_else(|| text.to_owned());
    if let Err(fail) = led {
        if fail.status == JobStatus::FatalError && !reached.data && has_moved(director, &job.plan()).await {
            return Standing::Moved;
        }
        let Some(sd) = &reached.sd else { return Standing::Other };
        if fail.status != JobStatus::FatalError || reached.ends.sd.is_some() {
            return Standing::Other;
        }
        let is_lost = reached.unreached_by_client || !answers(director, &sd.storage.name).await;
        return if is_lost { Standing::Lost(fail.text.clone()) } else { Standing::Other };
    }
    let outcome = &course.outcome;
    match (&outcome.sd, &outcome.fd) {
        (Some(None), _) => return Standing::Lost(problem("the Storage daemon was lost")),
        // A daemon that was started anew ends a job that has no whole file as failed.
        (Some(Some(JobStatus::Incomplete | JobStatus::FatalError)), Some(Some(fd))) => {
            // Once a client may say so that has lost its way to a daemon that is there for the Director.
            let is_first = job.plan().lost_storages.is_empty();
            if reached.sd_lost.is_some() || (*fd == JobStatus::FatalError && is_first) {
                return Standing::Lost(problem("the client has lost the Storage daemon"));
            }
        }
        _ => {}
    }
    let facts =
        super::Facts { failed: outcome.failed, fd: outcome.fd, sd: outcome.sd, ..super::Facts::default() };
    if reached.data && decide(&facts).is_success() { Standing::Whole } else { Standing::Other }
}

/// Whether a Storage serves no more that did when the job started.
async fn has_moved(director: &Director, plan: &JobPlan) -> bool {
    let Ok(standings) = spare::reread(director).await else { return false };
    plan.write_storages
        .iter()
        .chain(&plan.read_storages)
        .any(|storage| standings.resting(&storage.name).is_some())
}

/// Begins a job once more whose Storage's place was changed while it started; it takes its turn where the other one serves.
async fn start_again(director: &Director, job: &Arc<Job>, course: &mut Course) -> Result<bool, Fail> {
    if course.attempt.0 >= ATTEMPTS_MAX || !client_is_over(director, job, course).await {
        return Ok(false);
    }
    job.messages.info("The place of its Storage was changed while this job was starting; it starts again.");
    let left = course.reached.sd.as_ref().map(|sd| (sd.storage.name.clone(), sd.session));
    let (left, session) = left.unzip();
    let (keep, plan) = (Keep::Unchanged(left.clone()), JobPlan::clone(&job.plan()));
    let session = session.unwrap_or_default();
    let turned = Box::pin(turn(director, job, course, AttemptState::Closed, session, keep, plan)).await?;
    if let Some(name) = left {
        leftover::look(director, &name);
    }
    Ok(turned)
}

async fn answers(director: &Director, name: &str) -> bool {
    let config = director.config();
    let Some(storage) = config.storage(name) else { return false };
    match tokio::time::timeout(ANSWERS_WITHIN, director.connect_storage(storage, Tries::Soon)).await {
        Ok(Ok(conn)) => {
            conn.terminate().await;
            true
        }
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Leaves a Storage that is lost.
async fn leave(director: &Director, job: &Arc<Job>, course: &mut Course, why: &str) -> Result<bool, Fail> {
    let plan = job.plan();
    let (id, attempt) = (job.id, course.attempt);
    let row = director.catalog().read(move |r| catalog::attempt::get(r, id, attempt)).await?;
    let of_session = course.reached.sd.as_ref().map(|sd| (sd.storage.name.clone(), sd.session));
    let noted = row.filter(|row| !row.storage.is_empty()).map(|row| (row.storage, row.session));
    let Some((lost, session)) = of_session.or(noted) else { return Ok(false) };
    let key = JournalKey { job_id: id, attempt, storage: lost.clone() };
    let read = director.catalog().read(move |r| {
        let of_session = catalog::copies::list_of_session(r, session)?;
        let is_taken = of_session.iter().any(|row| row.id != id);
        Ok((journal::position(r, &key)?.0 > 0, is_taken, stored_files(r, id)?))
    });
    let (is_checkpointed, is_session_taken, had_stored) = read.await?;
    let loss = Loss {
        attempt: attempt.0,
        is_another_there: any_answers(director, &plan).await,
        is_client_over: client_is_over(director, job, course).await,
        // What an attempt has found and not added to is as it was.
        is_checkpointed: is_checkpointed
            || plan.rerun.is_some_and(|rerun| u64::from(rerun.files) == had_stored),
        is_session_taken,
    };
    let Some(go_on) = after_loss(&plan, &loss) else { return Ok(false) };
    let keep = match go_on {
        GoOn::BehindCheckpoint => Keep::Checkpointed,
        GoOn::FromStart => Keep::Nothing,
    };
    job.messages.warning(&format!("Storage \"{lost}\" is lost: {why}"));
    let from = match (go_on, had_stored) {
        (GoOn::BehindCheckpoint, 1..) => "behind the last file that is safe",
        (GoOn::BehindCheckpoint | GoOn::FromStart, _) => "from the first file",
    };
    job.messages.info(&format!("JobId {id} goes on with another Storage, {from}."));
    let mut next = JobPlan::clone(&plan);
    next.lost_storages.push(lost);
    Box::pin(turn(director, job, course, AttemptState::Closed, session, keep, next)).await
}

/// Whether any Storage of the group can be had; all are asked at once.
async fn any_answers(director: &Director, plan: &JobPlan) -> bool {
    let mut asking = JoinSet::new();
    for storage in &plan.write_storages {
        let (director, name) = (director.clone(), storage.name.clone());
        asking.spawn(async move { answers(&director, &name).await });
    }
    while let Some(answered) = asking.join_next().await {
        if answered.unwrap_or(false) {
            return true;
        }
    }
    false
}

/// Makes sure that the client sends nothing any more.
async fn client_is_over(director: &Director, job: &Arc<Job>, course: &mut Course) -> bool {
    if course.reached.ends.fd.is_some() {
        return true;
    }
    if course.reached.fd.is_none() {
        // Of an attempt that was taken over.
        let asked = async {
            if !asked::hold_client(director, job).await {
                return false;
            }
            cancel::tell_client_of(director, job).await;
            // A client that does not know the job any more has ended it, too.
            let _ = asked::client_end(director, job, course).await;
            true
        };
        return tokio::time::timeout(CLIENT_ENDS, asked).await.unwrap_or(false);
    }
    let reached = &mut course.reached;
    let Some(fd) = reached.fd.as_mut() else { return false };
    cancel::tell_client_of(director, job).await;
    let limit = Some(Instant::now() + if reached.data { CLIENT_ENDS } else { CLIENT_LEAVES });
    let mut flow = Flow { job, sd: None, fd: Some(&mut fd.peer), until_storage_end: false, limit };
    reached.ends.fd = flow.wait().await.fd;
    // One that had no order to save leaves with its connection.
    reached.ends.fd.is_some() || !reached.data
}

/// Whether what lies on other Storages than that of the last attempt can be read; what cannot is given up, and the job goes on.
async fn fill_up(director: &Director, job: &Arc<Job>, course: &mut Course) -> Result<bool, Fail> {
    let Some(sd) = &course.reached.sd else { return Ok(false) };
    let (current, session) = (sd.storage.name.clone(), sd.session);
    let away = unreadable(director, job.id, &current).await?;
    if away.is_empty() {
        return Ok(false);
    }
    if course.attempt.0 >= ATTEMPTS_MAX {
        job.messages.error("Too many Storages were lost; the job ends with what can be read now and later.");
        course.outcome.sd = Some(Some(JobStatus::Incomplete));
        return Ok(false);
    }
    let mut next = JobPlan::clone(&job.plan());
    for Away { name, why, .. } in &away {
        job.messages.warning(&format!("What the job has stored on Storage \"{name}\" cannot be read: {why}"));
        if !next.lost_storages.contains(name) {
            next.lost_storages.push(name.clone());
        }
    }
    job.messages.info(&format!("JobId {} stores again what is missing.", job.id));
    let keep = Keep::Without(away.into_iter().map(|away| away.id).collect());
    Box::pin(turn(director, job, course, AttemptState::Ended, session, keep, next)).await
}

/// A Storage that cannot give what a job has stored there.
struct Away {
    id: StorageId,
    name: String,
    why: String,
}

async fn unreadable(director: &Director, id: JobId, current: &str) -> Result<Vec<Away>, Fail> {
    let read =
        director.catalog().read(move |r| Ok((catalog::jobmedia::list(r, id)?, catalog::storage::list(r)?)));
    let (rows, storages) = read.await?;
    let mut needed: BTreeMap<StorageId, BTreeMap<String, u64>> = BTreeMap::new();
    for row in rows {
        let end = needed.entry(row.storage_id).or_default().entry(row.volume_name).or_default();
        *end = (*end).max(row.piece.end.0);
    }
    let config = director.config();
    let mut away = Vec::new();
    for (storage_id, volumes) in needed {
        let known = storages.iter().find(|row| row.id == storage_id);
        let Some(row) = known.filter(|row| row.name != current) else { continue };
        let why = match config.storage(&row.name) {
            None => Some("it is not in the configuration".to_owned()),
            Some(storage) => match reconcile::volumes_at(director, storage, ANSWERS_WITHIN).await {
                Err(why) => Some(why),
                Ok(None) => None,
                Ok(Some(there)) => volumes
                    .iter()
                    .find(|(volume, end)| there.get(*volume).is_none_or(|bytes| bytes < *end))
                    .map(|(volume, _)| format!("it does not have all of Volume \"{volume}\"")),
            },
        };
        away.extend(why.map(|why| Away { id: storage_id, name: row.name.clone(), why }));
    }
    Ok(away)
}

/// Writes the turn, with the last records of a Storage Daemon that is still there, and makes the job ready for the next attempt.
async fn turn(
    director: &Director,
    job: &Arc<Job>,
    course: &mut Course,
    state: AttemptState,
    session: VolSession,
    keep: Keep,
    plan: JobPlan,
) -> Result<bool, Fail> {
    let fd = course.reached.ends.fd;
    let turn = Turn {
        id: job.id,
        attempt: course.attempt,
        state,
        session,
        keep,
        bytes: fd.map_or(0, |end| end.bytes),
        read_bytes: fd.map_or(0, |end| end.read_bytes),
        plan,
    };
    let mut sd = course.reached.sd.take();
    let mut written = None;
    if let Some(sd) = sd.as_mut()
        && let Some(mut records) = ending::take_session(sd).await
    {
        let with_records = turn.clone();
        // Of a daemon that is lost these are what it has said before.
        match records.finish(move |tx| with_records.write(tx, crate::text::now())).await {
            Ok((plan, handled)) => {
                let _ = super::traffic::reply(job, handled, sd.peer.out()).await;
                written = Some(plan);
            }
            Err(error) => {
                tracing::warn!(job = %job.id, error = %chain(&error), "the last records of a lost Storage");
            }
        }
    }
    let plan = match written {
        Some(plan) => plan,
        // Records that could not be stored are not in the catalog, and their files are sent again.
        None => ending::store(director, job, move |tx| turn.write(tx, crate::text::now())).await,
    };
    sys::failpoint::reach("director-failover-committed");
    ending::acknowledge_client(course.reached.fd.as_ref()).await;
    course.reached.fd = None;
    if let Some(sd) = sd {
        sd.peer.terminate().await;
    }
    job.set_plan(plan);
    job.leave_daemons();
    job.step(&Step::FailOver);
    Ok(true)
}
