//! Making jobs: from a request, from a due run, from an unfinished job.

use super::job::Job;
use super::life;
use crate::error::DirectorError;
use crate::handle::Director;
use crate::peer::chain;
use crate::text;
use catalog::job::NewJob;
use catalog::ledger::{self, DueRun, Outcome};
use catalog::plan::PlanRow;
use catalog::{CatalogError, WriteTx};
use policy::plan::{CopyPlan, JobPlan, JobRequest, Origin, Rerun, plan_job};
use std::sync::Arc;
use types::{JobId, JobLevel, JobStatus, JobType, Timestamp};

/// Tries for a unique name that is not in the catalog: an earlier life may have drawn names in the same second.
const NAME_TRIES: u32 = 64;

/// Creates the job of a request; of a due run only if that was not settled before (`None`).
///
/// # Errors
/// [`DirectorError::Plan`], [`DirectorError::Catalog`], [`DirectorError::NotActive`].
pub(crate) async fn create(
    director: &Director,
    request: JobRequest,
    due: Option<DueRun>,
) -> Result<Option<JobId>, DirectorError> {
    if director.stop_token().is_cancelled() {
        return Err(DirectorError::NotActive("it is stopping".to_owned()));
    }
    let config = director.config();
    let now = text::now();
    let mut plan =
        plan_job(&config, &request, now).map_err(|error| DirectorError::Plan(error.to_string()))?;
    read_bootstrap(&config, &mut plan).await?;
    let clones = plan.clones.clone();
    let Some((id, unique)) = store(director, &plan, due, now).await? else { return Ok(None) };
    begin(director, id, unique, plan);
    start_clones(director, id, &clones);
    Ok(Some(id))
}

/// Creates a job from a plan that is complete: a new attempt of one that failed.
///
/// # Errors
/// [`DirectorError::Catalog`].
pub(crate) async fn create_planned(director: &Director, mut plan: JobPlan) -> Result<JobId, DirectorError> {
    plan.lost_storages.clear();
    let made = store(director, &plan, None, text::now()).await?;
    let (id, unique) =
        made.ok_or_else(|| DirectorError::Plan("a plan without a due run was refused".to_owned()))?;
    begin(director, id, unique, plan);
    Ok(id)
}

/// A Restore without a selection restores what its `Bootstrap` file says.
async fn read_bootstrap(config: &conf::DirectorConfig, plan: &mut JobPlan) -> Result<(), DirectorError> {
    let Some(restore) = plan.restore.as_mut().filter(|restore| restore.bootstrap.is_empty()) else {
        return Ok(());
    };
    let Some(path) = config.job(&plan.job).and_then(|job| job.bootstrap.as_ref()) else {
        return Err(DirectorError::Plan(format!(
            "Job \"{}\" has nothing to restore: select files with the restore command, or give it a Bootstrap",
            plan.job
        )));
    };
    let read = tokio::fs::read_to_string(path).await;
    restore.bootstrap = read.map_err(|error| {
        DirectorError::Plan(format!("read the bootstrap {path} of Job \"{}\": {error}", plan.job))
    })?;
    Ok(())
}

/// Puts job, plan and ledger into the catalog in one transaction.
async fn store(
    director: &Director,
    plan: &JobPlan,
    due: Option<DueRun>,
    now: Timestamp,
) -> Result<Option<(JobId, String)>, DirectorError> {
    let body = serde_json::to_string(plan)
        .map_err(|error| DirectorError::Plan(format!("write the plan of Job \"{}\": {error}", plan.job)))?;
    let drawn = director.names().draw(&plan.job, now);
    let (config, plan) = (director.config(), plan.clone());
    let naming = director.clone();
    let work = move |tx: &WriteTx<'_>| -> Result<Option<(JobId, String)>, CatalogError> {
        if let Some(due) = &due
            && ledger::is_settled(tx, due)?
        {
            return Ok(None);
        }
        let (id, unique) = insert(tx, &naming, &config, &plan, &drawn, now)?;
        catalog::plan::store(tx, &PlanRow { job_id: id, format: plan.format, body: body.clone() })?;
        if let Some(due) = &due {
            ledger::settle(tx, due, Outcome::Started(id))?;
        }
        if let Origin::Reschedule { previous } = plan.origin {
            super::aftermath::clear_reschedule(tx, JobId(previous))?;
        }
        Ok(Some((id, unique)))
    };
    director
        .catalog()
        .write(director.epoch(), work)
        .await
        .map_err(|error| DirectorError::Catalog(chain(&error)))
}

/// Makes the row of a job.
fn insert(
    tx: &WriteTx<'_>,
    director: &Director,
    config: &conf::DirectorConfig,
    plan: &JobPlan,
    drawn: &str,
    now: Timestamp,
) -> Result<(JobId, String), CatalogError> {
    let mut unique = drawn.to_owned();
    for _ in 0..NAME_TRIES {
        if catalog::job::get_by_unique_name(tx, &unique)?.is_none() {
            break;
        }
        unique = director.names().draw(&plan.job, now);
    }
    let client = config.client(&plan.client.name);
    let client_id = match client {
        Some(client) => catalog::client::ensure(tx, &crate::catreq::resources::client_row(client))?,
        None => types::ClientId(0),
    };
    let id = catalog::job::create(
        tx,
        &NewJob {
            unique_name: unique.clone(),
            name: plan.job.clone(),
            job_type: plan.job_type,
            level: row_level(plan),
            client_id,
            sched_time: plan.sched_time,
            created: now,
            prior_job_id: JobId(0),
            comment: plan.comment.clone(),
        },
    )?;
    Ok((id, unique))
}

/// Stores the plan of a control job that has chosen, and the further control jobs that it starts, all at once: whoever is the Director
/// next finds all of them or none. Gives these jobs in their order.
///
/// # Errors
/// [`DirectorError::Catalog`], [`DirectorError::Plan`].
pub(crate) async fn store_spawned(
    director: &Director,
    parent: JobId,
    own: &JobPlan,
    spawned: &[JobPlan],
) -> Result<Vec<(JobId, String, JobPlan)>, DirectorError> {
    let own = plan_row(parent, own).map_err(DirectorError::Plan)?;
    let (config, naming, now) = (director.config(), director.clone(), text::now());
    let drawn: Vec<(JobPlan, String)> =
        spawned.iter().map(|plan| (plan.clone(), director.names().draw(&plan.job, now))).collect();
    let work = move |tx: &WriteTx<'_>| -> Result<Vec<(JobId, String, JobPlan)>, CatalogError> {
        let mut made = Vec::with_capacity(drawn.len());
        for (plan, name) in &drawn {
            let (id, unique) = insert(tx, &naming, &config, plan, name, now)?;
            let row = plan_row(id, plan).map_err(CatalogError::Refused)?;
            catalog::plan::store(tx, &row)?;
            made.push((id, unique, plan.clone()));
        }
        catalog::plan::store(tx, &own)?;
        Ok(made)
    };
    let written = director.catalog().write(director.epoch(), work).await;
    written.map_err(|error| DirectorError::Catalog(chain(&error)))
}

/// Rows of restores carry the level of a Full (spec/04 §4.2).
pub(crate) fn row_level(plan: &JobPlan) -> JobLevel {
    match plan.job_type {
        JobType::Restore => JobLevel::Full,
        // A Virtual Full is recorded as a Full.
        _ if plan.level == JobLevel::VirtualFull => JobLevel::Full,
        _ => plan.level,
    }
}

/// Lets a stored job live.
pub(crate) fn begin(director: &Director, id: JobId, unique: String, plan: JobPlan) {
    let job = known(director, id, unique, plan);
    live(director, job);
}

/// Lets a job live that is in the registry already.
pub(crate) fn live(director: &Director, job: Arc<Job>) {
    director.spawn(life::live(director.clone(), job));
}

/// A job in the registry, without a task yet.
pub(crate) fn known(director: &Director, id: JobId, unique: String, plan: JobPlan) -> Arc<Job> {
    let destinations = director
        .config()
        .messages_named(&plan.messages)
        .map(|messages| messages.destinations.clone())
        .unwrap_or_default();
    let messages = director.messages().job(destinations.into(), id);
    let job = Arc::new(Job::new(id, unique, plan, messages));
    director.registry().insert(Arc::clone(&job));
    job
}

/// Starts the jobs of the `Run` lines with their parent.
fn start_clones(director: &Director, parent: JobId, lines: &[String]) {
    for line in lines {
        match clone_request(line, parent) {
            Some(request) => {
                let (director, line) = (director.clone(), line.clone());
                director.clone().spawn(async move {
                    // A clone of a clone would go on for ever; so clones start no clones (their plan's are dropped below).
                    if let Err(error) = Box::pin(create(&director, request, None)).await {
                        tracing::error!(%parent, line, error = %chain(&error), "start the job of a Run line");
                    }
                });
            }
            None => tracing::error!(%parent, line, "a Run line of a Job is not understood"),
        }
    }
}

/// `<job> level=… since="…" …`; the words that clone lines use.
fn clone_request(line: &str, parent: JobId) -> Option<JobRequest> {
    let words = sys::split_command(line);
    let (job, rest) = words.split_first()?;
    let mut request = JobRequest::new(job.strip_prefix("job=").unwrap_or(job));
    request.origin = Origin::Clone { parent: parent.get() };
    for word in rest {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        let over = &mut request.overrides;
        match key.to_ascii_lowercase().as_str() {
            "level" => over.level = conf::level_from_word(value).or(over.level),
            "client" => over.client = Some(value.to_owned()),
            "pool" => over.pool = Some(value.to_owned()),
            "storage" => over.storage = Some(value.to_owned()),
            "fileset" => over.fileset = Some(value.to_owned()),
            "priority" => over.priority = value.parse().ok(),
            "yes" | "since" => {}
            _ => return None,
        }
    }
    Some(request)
}

/// Lets an Incomplete job go on under its JobId, at once or not before `at`.
///
/// # Errors
/// [`DirectorError::Plan`] when it is not Incomplete or has no plan; [`DirectorError::Catalog`].
pub(crate) async fn resume(
    director: &Director,
    id: JobId,
    at: Option<Timestamp>,
) -> Result<(), DirectorError> {
    if director.registry().get(id).is_some() {
        return Err(DirectorError::Plan(format!("JobId {id} is queued or running already")));
    }
    let found =
        director.catalog().read(move |r| Ok((catalog::job::get(r, id)?, catalog::plan::load(r, id)?)));
    let (row, plan) = found.await.map_err(|error| DirectorError::Catalog(chain(&error)))?;
    let row = row.ok_or_else(|| DirectorError::Plan(format!("JobId {id} is not in the catalog")))?;
    if row.status != JobStatus::Incomplete {
        return Err(DirectorError::Plan(format!("JobId {id} is not Incomplete; start it anew with run")));
    }
    let plan = plan.ok_or_else(|| DirectorError::Plan(format!("JobId {id} has no plan; start it anew")))?;
    let mut plan = parse(&plan)?;
    if plan.is_written_copy() {
        return resume_copy(director, &plan, at).await;
    }
    plan.not_before = at;
    plan.lost_storages.clear();
    plan.rerun = Some(Rerun {
        session: row.session,
        files: u32::try_from(row.files).unwrap_or(u32::MAX),
        bytes: row.bytes,
        errors: u32::try_from(row.errors).unwrap_or(u32::MAX),
        same_job: true,
    });
    save_plan(director, id, &plan).await?;
    begin(director, id, row.unique_name, plan);
    Ok(())
}

/// Starts a control job that goes on with a copy that was cut off.
async fn resume_copy(
    director: &Director,
    written: &JobPlan,
    at: Option<Timestamp>,
) -> Result<(), DirectorError> {
    let Some(CopyPlan::Written { control }) = written.copy else { return Ok(()) };
    let found = director.catalog().read(move |r| catalog::plan::load(r, JobId(control))).await;
    let row = found.map_err(|error| DirectorError::Catalog(chain(&error)))?;
    let row = row.ok_or_else(|| {
        DirectorError::Plan(format!(
            "the job JobId {control} that made this copy is no longer in the catalog; run the Copy Job with jobid={}",
            written.target_job.unwrap_or(0)
        ))
    })?;
    let mut plan = super::copy::again(&parse(&row)?);
    plan.target_job = written.target_job;
    plan.not_before = at;
    create_planned(director, plan).await.map(drop)
}

/// A stored plan.
///
/// # Errors
/// [`DirectorError::Plan`] when it was written by a later version, or is damaged.
pub(crate) fn parse(row: &PlanRow) -> Result<JobPlan, DirectorError> {
    serde_json::from_str(&row.body).map_err(|error| {
        DirectorError::Plan(format!(
            "the stored plan of JobId {} (format {}): {error}",
            row.job_id, row.format
        ))
    })
}

/// Stores a plan that has changed.
///
/// # Errors
/// [`DirectorError::Catalog`].
pub(crate) async fn save_plan(director: &Director, id: JobId, plan: &JobPlan) -> Result<(), DirectorError> {
    let row = plan_row(id, plan).map_err(DirectorError::Plan)?;
    let written = director.catalog().write(director.epoch(), move |tx| catalog::plan::store(tx, &row)).await;
    written.map_err(|error| DirectorError::Catalog(chain(&error)))
}

/// A plan as the catalog keeps it.
///
/// # Errors
/// Why it cannot be written, in words.
pub(crate) fn plan_row(id: JobId, plan: &JobPlan) -> Result<PlanRow, String> {
    let body =
        serde_json::to_string(plan).map_err(|error| format!("write the plan of JobId {id}: {error}"))?;
    Ok(PlanRow { job_id: id, format: plan.format, body })
}
