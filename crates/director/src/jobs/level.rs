//! FileSet row, level and pool of a job: asks the catalog, decides by `policy::level`.

use super::create::save_plan;
use super::job::Job;
use super::session::Fail;
use crate::handle::Director;
use catalog::WriteTx;
use catalog::fileset::FileSetRow;
use catalog::job::{JobRow, Lineage};
use policy::level::{Decision, History, PastJob, decide};
use policy::plan::{JobPlan, PoolPlan};
use types::{ClientId, FileSetId, JobLevel, JobType, PoolId, Timestamp};

/// Rows of the catalog that a job stands on.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ground {
    pub(crate) client: ClientId,
    pub(crate) fileset: FileSetId,
    pub(crate) fileset_created: Option<Timestamp>,
    pub(crate) pool: PoolId,
    /// What the job log says about the level.
    pub(crate) messages: Vec<String>,
}

/// Finds or makes the rows and decides the level; the plan is stored when that changed it.
pub(crate) async fn settle(director: &Director, job: &Job) -> Result<Ground, Fail> {
    let plan = job.plan();
    let (wanted, now) = (JobPlan::clone(&plan), crate::text::now());
    let decided =
        director.catalog().write(director.epoch(), move |tx| ground(tx, wanted.clone(), now)).await?;
    let (changed, ground) = decided;
    if changed != *plan {
        save_plan(director, job.id, &changed).await?;
        job.set_plan(changed);
    }
    Ok(ground)
}

/// Finds or makes the rows of a job whose level was decided before.
///
/// # Errors
/// Those of the catalog.
pub(crate) fn known(
    tx: &WriteTx<'_>,
    mut plan: JobPlan,
    level: JobLevel,
    now: Timestamp,
) -> catalog::Result<(JobPlan, Ground)> {
    (plan.level, plan.level_asked, plan.since) = (level, level, None);
    if let Some(pool) = pool_of(&plan) {
        plan.pool = pool.clone();
    }
    let (mut ground, _) = rows(tx, &plan, now)?;
    ground.pool = catalog::pool::get_by_name(tx, &plan.pool.name)?.map(|row| row.id).unwrap_or_default();
    Ok((plan, ground))
}

fn rows(tx: &WriteTx<'_>, plan: &JobPlan, now: Timestamp) -> catalog::Result<(Ground, FileSetRow)> {
    let client = catalog::client::get_by_name(tx, &plan.client.name)?.map(|row| row.id).unwrap_or_default();
    let set = &plan.fileset;
    let (fileset, _) =
        catalog::fileset::ensure(tx, &set.name, &set.md5, &content(plan), set.ignore_changes, now)?;
    let ground =
        Ground { client, fileset: fileset.id, fileset_created: fileset.created, ..Ground::default() };
    Ok((ground, fileset))
}

fn ground(tx: &WriteTx<'_>, mut plan: JobPlan, now: Timestamp) -> catalog::Result<(JobPlan, Ground)> {
    let (mut ground, fileset) = rows(tx, &plan, now)?;
    let client = ground.client;
    // An unfinished job goes on with the level it had; so does a clone with a given time.
    let given = plan.since.as_ref().is_some_and(|since| since.prior_job.is_empty());
    if plan.job_type == JobType::Backup && plan.rerun.is_none() && !given {
        let history = history(tx, &plan, client, &fileset)?;
        let decision = decide(plan.level_asked, &history, &plan.intervals, plan.rerun_failed_levels, now);
        apply(&mut plan, decision, &mut ground);
    }
    ground.pool = catalog::pool::get_by_name(tx, &plan.pool.name)?.map(|row| row.id).unwrap_or_default();
    Ok((plan, ground))
}

/// The catalog's short description of a FileSet: its files, one a line.
fn content(plan: &JobPlan) -> String {
    let files = plan.fileset.includes.iter().flat_map(|block| &block.files);
    let files: Vec<String> =
        files.take(20).map(|f| String::from_utf8_lossy(f.bytes()).into_owned()).collect();
    files.join("\n")
}

fn apply(plan: &mut JobPlan, decision: Decision, ground: &mut Ground) {
    plan.level = decision.level;
    plan.since = decision.since;
    ground.messages = decision.messages;
    if let Some(pool) = pool_of(plan) {
        plan.pool = pool.clone();
    }
}

fn pool_of(plan: &JobPlan) -> Option<&PoolPlan> {
    let pools = &plan.level_pools;
    match plan.level {
        JobLevel::Full => pools.full.as_ref(),
        JobLevel::VirtualFull => pools.virtual_full.as_ref(),
        JobLevel::Incremental => pools.incremental.as_ref(),
        JobLevel::Differential => pools.differential.as_ref(),
        JobLevel::Since
        | JobLevel::Base
        | JobLevel::VerifyCatalog
        | JobLevel::VerifyInit
        | JobLevel::VerifyVolume
        | JobLevel::VerifyDisk
        | JobLevel::VerifyData
        | JobLevel::None => None,
    }
}

fn history(
    tx: &WriteTx<'_>,
    plan: &JobPlan,
    client: ClientId,
    fileset: &FileSetRow,
) -> catalog::Result<History> {
    let of = Lineage { name: plan.job.clone(), client_id: client, fileset_id: fileset.id };
    let last = |levels: &[JobLevel]| -> catalog::Result<Option<JobRow>> {
        catalog::job::find_last_good(tx, &of, levels)
    };
    let full = last(&[JobLevel::Full])?;
    let any = last(&[JobLevel::Full, JobLevel::Differential, JobLevel::Incremental])?;
    let after = any.as_ref().and_then(|row| row.real_end_time).unwrap_or_default();
    let other = match &full {
        Some(_) => None,
        None => catalog::job::find_last_full_any_fileset(tx, &plan.job, client)?,
    };
    Ok(History {
        last_differential: last(&[JobLevel::Differential])?.as_ref().and_then(past),
        failed_since: catalog::job::find_failed_level_since(tx, &of, after)?,
        last_full: full.as_ref().and_then(past),
        last_any: any.as_ref().and_then(past),
        full_of_other_fileset: other.is_some(),
    })
}

fn past(row: &JobRow) -> Option<PastJob> {
    Some(PastJob {
        job: row.unique_name.clone(),
        level: row.level,
        start: row.start_time?,
        real_end: row.real_end_time.unwrap_or_default(),
    })
}
