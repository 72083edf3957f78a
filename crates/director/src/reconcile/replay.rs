//! Rows of a job that only its Storage Daemon knows: from them it is adopted like any other, and its journal fills in the rest.
//!
//! Its plan is made from today's configuration; what decides where its data is comes from the daemon.

use super::ask::{Heard, Place};
use crate::jobs::{create, level};
use crate::scheduler::due_run;
use catalog::job::{JobStart, NewJob};
use catalog::ledger::{self, Outcome};
use catalog::plan::PlanRow;
use catalog::{WriteTx, attempt, job};
use conf::DirectorConfig;
use conf::director::Job;
use policy::plan::{JobPlan, JobRequest, plan_job};
use policy::reconcile::HeldJob;
use policy::schedule::runs_that_made;
use types::{JobId, JobStatus, JobType, Timestamp, VolSession};
use wire::msg::holdfast::JobEntry;

/// `.YYYY-MM-DD_HH.MM.SS_NN`, which ends every unique name (spec/01 §7.1).
const SUFFIX_BYTES: usize = 23;

/// Makes job, plan and attempt anew. Inside: why that cannot be, in words for the operator.
///
/// # Errors
/// Those of the database.
pub(super) fn record(
    tx: &WriteTx<'_>,
    config: &DirectorConfig,
    heard: &Heard,
    held: &HeldJob,
    now: Timestamp,
) -> catalog::Result<Result<(), String>> {
    if held.job_type != JobType::Backup {
        return Ok(Err(format!("jobs of type {} leave nothing to restore", held.job_type)));
    }
    let Some(entry) = heard.jobs.get(&(held.id, held.attempt)) else {
        return Ok(Err("its Storage daemon names it no more".to_owned()));
    };
    let session = VolSession { id: entry.session_id, time: entry.session_time };
    let storage = match job::get(tx, held.id)? {
        // Only its last start is lost.
        Some(row) => {
            job::set_status(tx, row.id, JobStatus::Running)?;
            heard.inventory.storage.clone()
        }
        None => match planned(config, heard, entry, now) {
            Ok((plan, storage)) => {
                create_job(tx, config, held, entry, plan, now)?;
                storage
            }
            Err(why) => return Ok(Err(why)),
        },
    };
    if let Some(open) = attempt::open_of(tx, held.id)? {
        return Ok(Err(format!("attempt {} of it is still open", open.attempt)));
    }
    attempt::grant_again(tx, held.id, held.attempt, &storage, session, now)?;
    job::set_session(tx, held.id, session)?;
    Ok(Ok(()))
}

fn create_job(
    tx: &WriteTx<'_>,
    config: &DirectorConfig,
    held: &HeldJob,
    entry: &JobEntry,
    plan: JobPlan,
    now: Timestamp,
) -> catalog::Result<()> {
    let (plan, ground) = level::known(tx, plan, entry.level, now)?;
    let body = serde_json::to_string(&plan).map_err(|error| {
        catalog::CatalogError::Refused(format!("write the plan of JobId {}: {error}", held.id))
    })?;
    let started = started(&held.name).unwrap_or(now);
    let new = NewJob {
        unique_name: held.name.clone(),
        name: plan.job.clone(),
        job_type: held.job_type,
        level: create::row_level(&plan),
        client_id: ground.client,
        sched_time: started,
        created: started,
        prior_job_id: JobId(0),
        comment: "replayed after the catalog had gone back in time".to_owned(),
    };
    job::create_as(tx, held.id, &new)?;
    settle_run(tx, config, &plan.job, started, held.id)?;
    catalog::plan::store(tx, &PlanRow { job_id: held.id, format: plan.format, body })?;
    let start = JobStart {
        level: create::row_level(&plan),
        client_id: ground.client,
        fileset_id: ground.fileset,
        pool_id: ground.pool,
        start_time: started,
        status: JobStatus::Running,
    };
    job::start(tx, held.id, &start)
}

/// The due run that made the job, if one did, is settled with it: it was forgotten as well and would happen once more.
fn settle_run(
    tx: &WriteTx<'_>,
    config: &DirectorConfig,
    job: &str,
    made: Timestamp,
    id: JobId,
) -> catalog::Result<()> {
    for run in runs_that_made(config, &jiff::tz::TimeZone::system(), job, made) {
        if ledger::settle(tx, &due_run(&run), Outcome::Started(id))? {
            break;
        }
    }
    Ok(())
}

/// The plan that the job would have today, and which of its Storages holds it.
fn planned(
    config: &DirectorConfig,
    heard: &Heard,
    entry: &JobEntry,
    now: Timestamp,
) -> Result<(JobPlan, String), String> {
    let name = job_name(&entry.job).ok_or_else(|| format!("\"{}\" is no name of a job", entry.job))?;
    let is_it = |job: &&Job| job.name.replace(' ', "_") == name;
    let resource = config.jobs.iter().find(is_it).ok_or_else(|| {
        format!("Job \"{name}\" is not configured any more; its data can be had back with bscan")
    })?;
    let mut request = JobRequest::new(&resource.name);
    request.overrides.level = Some(entry.level);
    let asked = config.storage(&heard.inventory.storage).map(Place::of);
    let plan = plan_job(config, &request, now).map_err(|error| error.to_string())?;
    let is_there = |name: &String| config.storage(name).map(Place::of) == asked;
    if let Some(own) = plan.write_storages.iter().map(|storage| &storage.name).find(|name| is_there(name)) {
        let own = own.clone();
        return Ok((plan, own));
    }
    request.overrides.storage = Some(heard.inventory.storage.clone());
    let plan = plan_job(config, &request, now).map_err(|error| error.to_string())?;
    Ok((plan, heard.inventory.storage.clone()))
}

/// The Job resource in a unique name, its blanks as `_`.
fn job_name(unique: &str) -> Option<&str> {
    let at = unique.len().checked_sub(SUFFIX_BYTES).filter(|at| *at > 0)?;
    unique.get(at..).filter(|suffix| suffix.starts_with('.'))?;
    unique.get(..at)
}

/// When the job was made, by its name: its next Incremental counts from there.
fn started(unique: &str) -> Option<Timestamp> {
    let time = unique.get(job_name(unique)?.len() + 1..)?;
    let (time, _) = time.rsplit_once('_')?;
    let civil = jiff::civil::DateTime::strptime("%Y-%m-%d_%H.%M.%S", time).ok()?;
    let zoned = jiff::tz::TimeZone::system().to_ambiguous_zoned_datetime(civil).compatible().ok()?;
    Some(Timestamp(zoned.timestamp().as_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unique_name_tells_job_and_time() {
        let at = Timestamp(1_795_446_327);
        let unique = format!("Back_Up.{}_07", crate::text::job_name_time(at));
        assert_eq!(job_name(&unique), Some("Back_Up"));
        assert_eq!(started(&unique), Some(at));
        assert_eq!(job_name(".2026-11-23_15.05.25_07"), None);
        assert_eq!(started("x"), None);
    }
}
