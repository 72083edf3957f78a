//! What follows on the end of a job: report, bootstrap, pruning, scripts, reschedule, mails (spec/04 §4.4 step 6).
//!
//! The end is one transaction, and it leaves a note behind that all of this is still to be done. Whoever is the Director next
//! finds the note when the one that wrote the end died over it, and does what was not done: what has left a trace in the
//! catalog is not done twice, the rest (a mail, the end of a script) at least once.

use super::end_tx::Written;
use super::job::Job;
use super::level::Ground;
use super::life::{Course, codes};
use super::machine::Step;
use super::{auto_prune, bootstrap, create, leftover, reporting, scripts};
use crate::error::DirectorError;
use crate::handle::{Director, TerminatedJob};
use crate::peer::chain;
use crate::text;
use catalog::operator::{self, Setting};
use catalog::{ReadTx, WriteTx};
use policy::group::ATTEMPTS_MAX;
use policy::plan::{JobPlan, Origin};
use std::sync::Arc;
use types::{Attempt, JobId, JobStatus, JobType, Timestamp};

/// Kind of setting that says that a job has ended and what follows on it has not been done; its value is the attempt.
const PENDING: &str = "aftermath";
/// Kind of setting that keeps a reschedule until the job runs again; its value is when, Unix seconds.
const RESCHEDULE: &str = "reschedule";
/// In every report.
const REPORT_MARK: &str = "  Termination: ";

/// Notes, in the transaction that ends a job, what is still to be done. A reschedule of it that waited is over.
///
/// # Errors
/// Those of the database.
pub(crate) fn note(tx: &WriteTx<'_>, id: JobId, attempt: Attempt, end: Timestamp) -> catalog::Result<()> {
    clear_reschedule(tx, id)?;
    let value = attempt.to_string();
    operator::set(tx, &Setting { kind: PENDING.to_owned(), name: id.to_string(), value }, end)
}

/// Forgets, in the transaction that lets a job run again, that it is to.
///
/// # Errors
/// Those of the database.
pub(crate) fn clear_reschedule(tx: &WriteTx<'_>, id: JobId) -> catalog::Result<()> {
    operator::clear(tx, RESCHEDULE, &id.to_string())
}

/// Does all of it. Returns when the job is to run again, if it is.
pub(crate) async fn follow(
    director: &Director,
    job: &Arc<Job>,
    course: &Course,
    written: &Written,
) -> Option<Timestamp> {
    let plan = job.plan();
    if super::copy::is_control(&plan) {
        super::copy::report(director, job, course, written).await;
    } else {
        reporting::report(director, job, &plan, course, written);
    }
    follow_report(director, job, course, written).await
}

async fn follow_report(
    director: &Director,
    job: &Arc<Job>,
    course: &Course,
    written: &Written,
) -> Option<Timestamp> {
    let plan = job.plan();
    let exit = reporting::exit_word(&plan, written.status, job.messages.errors());
    let mut codes = codes(director, job, course, exit);
    codes.volumes = reporting::volume_names(&written.volumes).join("|");
    if super::copy::is_control(&plan) {
        super::copy::figures(director, job).await.put_into(&mut codes);
    }
    // What followed on the end of a replayed job was done in its time.
    let is_replayed = director.reconciliation().is_replayed(job.id);
    if plan.job_type == JobType::Backup && written.status.is_success() && !is_replayed {
        bootstrap::write(director, job, &codes, written.session, written.end).await;
    }
    if !is_replayed {
        super::copy::replicate(director, job, written.status, written.bytes).await;
    }
    if written.status.is_success() {
        auto_prune::run(director, job, &plan, written.end).await;
    }
    let mut again = None;
    if !is_replayed {
        scripts::run_after(director, job, course.attempt, &codes, written.status).await;
        again = plan_again(director, job, &plan, written, course).await;
    }
    director.messages().flush_log().await;
    job.messages.end(&codes, written.status.is_success()).await;
    director.note_terminated(TerminatedJob {
        job_id: job.id,
        job: job.unique.clone(),
        name: plan.job.clone(),
        job_type: plan.job_type,
        level: plan.level,
        status: written.status,
        files: written.files,
        bytes: written.bytes,
        errors: job.messages.errors(),
        finished: written.end,
    });
    let name = job.id.to_string();
    let done = director.catalog().write(director.epoch(), move |tx| operator::clear(tx, PENDING, &name));
    if let Err(error) = done.await {
        // The next Director does it once more.
        tracing::warn!(job = %job.id, error = %chain(&error), "that the job's end is worked up was not noted");
    }
    again
}

/// Whether and when the job is to run again (spec/04 §4.7); noted in the catalog before the job is gone.
async fn plan_again(
    director: &Director,
    job: &Job,
    plan: &JobPlan,
    written: &Written,
    course: &Course,
) -> Option<Timestamp> {
    let rules = plan.reschedule;
    let incomplete = written.status == JobStatus::Incomplete && rules.incomplete;
    let failed = rules.on_error
        && !written.status.is_success()
        && !matches!(written.status, JobStatus::Canceled | JobStatus::Incomplete);
    let left = rules.times == 0 || rules.done < rules.times;
    let is_copy = super::copy::is_control(plan);
    let may = plan.job_type == JobType::Backup || (is_copy && plan.target_job.is_some());
    let wanted = may && (incomplete || failed) && left && job.wish() == super::Wish::GoOn;
    if !wanted {
        return None;
    }
    let seconds = i64::try_from(rules.interval_s).unwrap_or(i64::MAX / 2);
    let at = Timestamp(text::now().0.saturating_add(seconds));
    job.messages.info(&format!(
        "Rescheduled Job {} to re-run in {} seconds ({}).",
        job.unique,
        rules.interval_s,
        text::report_time(at)
    ));
    let mut next = if is_copy { super::copy::again(plan) } else { plan.clone() };
    next.awaited_storages = if incomplete { awaited(plan, written, course) } else { Vec::new() };
    if !next.awaited_storages.is_empty() {
        let storages = next.awaited_storages.join("\", \"");
        job.messages.info(&format!("It goes on before that when Storage \"{storages}\" can be had again."));
    }
    next.reschedule.done += 1;
    next.not_before = Some(at);
    let (id, now) = (job.id, text::now());
    let setting = Setting { kind: RESCHEDULE.to_owned(), name: id.to_string(), value: at.0.to_string() };
    let noted = match create::plan_row(id, &next) {
        Ok(row) => {
            let noted = director.catalog().write(director.epoch(), move |tx| {
                catalog::plan::store(tx, &row)?;
                operator::set(tx, &setting, now)
            });
            noted.await.map_err(|error| chain(&error))
        }
        Err(error) => Err(error),
    };
    if let Err(error) = noted {
        job.messages.error(&format!("The reschedule is not stored, a restart would forget it: {error}"));
    }
    Some(at)
}

/// The Storages whose return lets an Incomplete job go on before its time. A job that got nowhere in its last attempt waits its time
/// out: what ends it so soon ends it again.
fn awaited(plan: &JobPlan, written: &Written, course: &Course) -> Vec<String> {
    let had = plan.rerun.map_or(0, |rerun| u64::from(rerun.files));
    if !course.lost_storage || written.files <= had || course.attempt.0 >= ATTEMPTS_MAX {
        return Vec::new();
    }
    plan.write_storages.iter().map(|storage| storage.name.clone()).collect()
}

/// Lets a job that ended run again: under its JobId when it is Incomplete, else as a new job. What starts it forgets the reschedule,
/// so that it happens once.
pub(crate) async fn reschedule(director: &Director, id: JobId, at: Timestamp) {
    if let Err(error) = run_again(director, id, at).await {
        tracing::error!(job = %id, error = %error, "reschedule");
    }
}

async fn run_again(director: &Director, id: JobId, at: Timestamp) -> Result<(), DirectorError> {
    let found =
        director.catalog().read(move |r| Ok((catalog::job::get(r, id)?, catalog::plan::load(r, id)?)));
    let found = found.await.map_err(|error| DirectorError::Catalog(chain(&error)))?;
    let (Some(row), Some(plan)) = found else { return Ok(()) };
    if row.status == JobStatus::Incomplete {
        return create::resume(director, id, Some(at)).await;
    }
    let mut plan = create::parse(&plan)?;
    plan.not_before = Some(at);
    plan.rerun = None;
    plan.origin = Origin::Reschedule { previous: id.get() };
    create::create_planned(director, plan).await.map(drop)
}

/// A job whose end is in the catalog, and whether its report is.
struct Left {
    row: catalog::job::JobRow,
    plan: catalog::plan::PlanRow,
    written: Written,
    is_reported: bool,
}

fn left(r: &ReadTx<'_>, id: JobId) -> catalog::Result<Option<Left>> {
    let (Some(row), Some(plan)) = (catalog::job::get(r, id)?, catalog::plan::load(r, id)?) else {
        return Ok(None);
    };
    let written = Written {
        status: row.status,
        end: row.end_time.unwrap_or_else(text::now),
        files: row.files,
        bytes: row.bytes,
        session: row.session,
        volumes: catalog::media::list_of_job(r, id)?,
        uname: String::new(),
    };
    let is_reported = catalog::log::list(r, id)?.iter().any(|(_, text)| text.contains(REPORT_MARK));
    Ok(Some(Left { row, plan, written, is_reported }))
}

/// Takes up what earlier Directors have left to do on jobs that had ended, and the reschedules that wait. What takes time goes on in
/// tasks of its own.
///
/// # Errors
/// [`DirectorError::Catalog`].
pub(crate) async fn take_up(director: &Director) -> Result<(), DirectorError> {
    let name = director.config().director.name.clone();
    let read = director.catalog().read(move |r| operator::list(r, &name)).await;
    let settings = read.map_err(|error| DirectorError::Catalog(chain(&error)))?;
    let ids_of = |kind: &str| {
        let of_kind = settings.iter().filter(move |setting| setting.kind == kind);
        of_kind.filter_map(|s| Some((s.name.parse().ok()?, s.value.as_str()))).collect::<Vec<(JobId, &str)>>()
    };
    let planned: Vec<(JobId, Timestamp)> = ids_of(RESCHEDULE)
        .into_iter()
        .filter_map(|(id, at)| Some((id, Timestamp(at.parse().ok()?))))
        .collect();
    let pending = ids_of(PENDING);
    for (id, attempt) in &pending {
        let planned = planned.iter().find(|(planned, _)| planned == id).map(|(_, at)| *at);
        let attempt = Attempt(attempt.parse().unwrap_or_default());
        make_up(director, *id, attempt, planned).await?;
    }
    for (id, at) in planned {
        let is_made_up = pending.iter().any(|(pending, _)| *pending == id);
        if !is_made_up && director.registry().get(id).is_none() {
            reschedule(director, id, at).await;
        }
    }
    Ok(())
}

async fn make_up(
    director: &Director,
    id: JobId,
    attempt: Attempt,
    planned: Option<Timestamp>,
) -> Result<(), DirectorError> {
    let read = director.catalog().read(move |r| left(r, id)).await;
    let found = read.map_err(|error| DirectorError::Catalog(chain(&error)))?;
    let Some(Left { row, plan, written, is_reported }) = found else {
        // The job was deleted meanwhile.
        let gone = director.catalog().write(director.epoch(), move |tx| {
            clear_reschedule(tx, id)?;
            operator::clear(tx, PENDING, &id.to_string())
        });
        return gone.await.map_err(|error| DirectorError::Catalog(chain(&error)));
    };
    let mut plan = create::parse(&plan)?;
    if planned.is_some() {
        // It is decided already, and counted in the plan.
        plan.reschedule.on_error = false;
        plan.reschedule.incomplete = false;
    }
    let job = create::known(director, id, row.unique_name.clone(), plan);
    job.update(|live| {
        live.attempt = attempt;
        live.adopted = true;
        live.start_time = row.start_time;
    });
    job.step(&Step::Finish);
    let mut course = Course::new();
    course.attempt = attempt;
    course.start = row.start_time.unwrap_or(course.start);
    course.ground =
        Ground { client: row.client_id, fileset: row.fileset_id, pool: row.pool_id, ..Ground::default() };
    let director = director.clone();
    director.clone().spawn(async move {
        job.messages.info("The Director died after the end of this job; what follows on it is done now.");
        let again = if is_reported {
            follow_report(&director, &job, &course, &written).await
        } else {
            follow(&director, &job, &course, &written).await
        };
        job.step(&Step::End(written.status));
        director.registry().remove(&job);
        if let Some(at) = planned.or(again) {
            reschedule(&director, id, at).await;
            // What it waits for may have answered before it waited.
            leftover::look_everywhere(&director);
        }
    });
    Ok(())
}
