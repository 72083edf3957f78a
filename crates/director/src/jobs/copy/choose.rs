//! Which jobs a control job takes; the others of its selection become control jobs of their own.

use super::super::create;
use super::super::job::Job;
use super::super::session::Fail;
use super::{with_control, words};
use crate::handle::Director;
use crate::peer::chain;
use catalog::{ReadTx, copies};
use conf::director::{DirectorConfig, SelectionType};
use policy::copy::{
    PoolFacts, PoolJob, PoolVolume, SelectError, Share, check_destination, once, select, share,
};
use policy::plan::{JobPlan, JobRequest, Origin, plan_job};
use std::collections::BTreeSet;
use types::{JobId, JobStatus, JobType, Timestamp};

/// Chooses once: what was chosen is in the plan, and the plan in the catalog together with the jobs that were started for it.
pub(crate) async fn choose(director: &Director, job: &Job) -> Result<(), Fail> {
    let plan = job.plan();
    let control = plan.control().unwrap_or_default();
    if control.is_chosen {
        return Ok(());
    }
    check_place(&plan)?;
    let config = director.config();
    let words = words(&plan);
    let shared = match plan.target_job {
        Some(id) => {
            check_named(director, JobId(id)).await?;
            let own = if control.skip_copied {
                unless_copied(director, &plan, job, JobId(id)).await?
            } else {
                Some(JobId(id))
            };
            Share { own, ..Share::default() }
        }
        None => {
            let chosen = chosen(director, &config, &plan, job).await?;
            tell_chosen(job, &chosen, words.done);
            share(&chosen, control.spawned_max)
        }
    };
    if shared.left > 0 {
        job.messages.info(&format!(
            "{} more jobs are left to the next run: Maximum Spawned Jobs is {}.",
            shared.left, control.spawned_max
        ));
    }
    let mut own = with_control(&plan, |control| control.is_chosen = true);
    own.target_job = shared.own.map(JobId::get);
    let spawned = spawned_plans(&config, &plan, job.id, &shared.spawned)?;
    let made = create::store_spawned(director, job.id, &own, &spawned).await;
    let made = made.map_err(|error| Fail::fatal(chain(&error)))?;
    job.set_plan(own);
    let ids: Vec<JobId> = shared.spawned.iter().chain(&shared.own).copied().collect();
    let names = director.catalog().read(move |r| catalog::job::get_many(r, &ids)).await?;
    let name_of = |id: JobId| {
        names.iter().find(|row| row.id == id).map(|row| row.unique_name.clone()).unwrap_or_default()
    };
    for ((id, unique, planned), original) in made.into_iter().zip(shared.spawned) {
        let other = create::known(director, id, unique, planned);
        other.messages.info(&format!("{} using JobId={original} Job={}", words.doing, name_of(original)));
        job.messages.info(&format!("Job queued. JobId={id}"));
        job.messages.info(&format!("{} JobId {id} started.", words.doing));
        create::live(director, other);
    }
    if let Some(original) = shared.own {
        job.messages.info(&format!("{} using JobId={original} Job={}", words.doing, name_of(original)));
    }
    Ok(())
}

/// Where the written job goes must be known.
pub(crate) fn check_place(plan: &JobPlan) -> Result<(), Fail> {
    let next = plan.next_pool.as_ref().map(|pool| pool.name.as_str());
    check_destination(&plan.pool.name, next, &plan.write_storages)
        .map_err(|error| Fail::fatal(error.to_string()))
}

fn tell_chosen(job: &Job, chosen: &[JobId], done: &str) {
    let list: Vec<String> = chosen.iter().map(ToString::to_string).collect();
    match chosen.len() {
        0 => job.messages.info(&format!("No JobIds found to be {done}.")),
        1 => job.messages.info(&format!("The following 1 JobId was chosen to be {done}: {}", list[0])),
        count => job
            .messages
            .info(&format!("The following {count} JobIds were chosen to be {done}: {}", list.join(","))),
    }
}

/// The jobs that the selection gives, without those that another living control job has taken.
async fn chosen(
    director: &Director,
    config: &DirectorConfig,
    plan: &JobPlan,
    job: &Job,
) -> Result<Vec<JobId>, Fail> {
    let failed = |error: SelectError| Fail::fatal(error.to_string());
    let selection = plan.selection.as_ref();
    let kind = selection.and_then(|selection| kind_of(&selection.kind));
    let Some(kind) = kind else { return Err(failed(SelectError::NoSelection(plan.job.clone()))) };
    let pattern = selection.map(|selection| selection.pattern.clone()).unwrap_or_default();
    let ids = if kind == SelectionType::SqlQuery {
        queried(director, pattern).await?
    } else {
        let name = plan.pool.name.clone();
        let mut facts = director.catalog().read(move |r| facts(r, &name)).await?;
        if let Some(pool) = config.pool(&plan.pool.name) {
            facts.high_bytes = pool.migration_high_bytes;
            facts.low_bytes = pool.migration_low_bytes;
            facts.migration_time_s = pool.migration_time.as_secs();
        }
        let is_copy = plan.job_type == JobType::Copy;
        select(kind, &pattern, is_copy, &facts, crate::text::now()).map_err(failed)?
    };
    let taken: BTreeSet<u32> = director
        .registry()
        .all()
        .iter()
        .filter(|other| other.id != job.id)
        .map(|other| other.plan())
        .filter(|other| super::is_control(other) && other.next_pool == plan.next_pool)
        .filter_map(|other| other.target_job)
        .collect();
    Ok(ids.into_iter().filter(|id| !taken.contains(&id.get())).collect())
}

/// The word that the plan keeps.
fn kind_of(word: &str) -> Option<SelectionType> {
    SelectionType::ALL.iter().copied().find(|kind| format!("{kind:?}") == word)
}

fn facts(r: &ReadTx<'_>, pool: &str) -> catalog::Result<PoolFacts> {
    let Some(pool) = catalog::pool::get_by_name(r, pool)? else { return Ok(PoolFacts::default()) };
    let jobs = copies::pool_jobs(r, pool.id)?.into_iter().map(|row| PoolJob {
        id: row.id,
        name: row.name,
        client: row.client,
        job_type: row.job_type,
        bytes: row.bytes,
        real_end: row.real_end,
        is_in_pool: row.is_in_pool,
        is_copied: row.is_copied,
    });
    let volumes = copies::pool_volumes(r, pool.id)?.into_iter().map(|row| PoolVolume {
        name: row.name,
        status: row.status,
        is_enabled: row.is_enabled,
        bytes: row.bytes,
        last_written: row.last_written,
        jobs: row.jobs,
    });
    Ok(PoolFacts { jobs: jobs.collect(), volumes: volumes.collect(), ..PoolFacts::default() })
}

/// The first column of a query's rows.
async fn queried(director: &Director, sql: String) -> Result<Vec<JobId>, Fail> {
    let text = sql.trim().trim_end_matches(';').to_owned();
    if text.is_empty() {
        return Err(Fail::fatal("Selection Type SqlQuery needs a query as its Selection Pattern"));
    }
    let rows = director.catalog().read(move |r| catalog::listing::free(r, &text)).await;
    let listing = rows.map_err(|error| Fail::fatal(format!("Selection Pattern: {}", chain(&error))))?;
    let ids = listing.rows.iter().filter_map(|row| row.first()?.as_ref()?.parse().ok());
    Ok(once(ids.collect()))
}

/// The job, unless a good copy of it is in the Next Pool, or another control job makes one.
async fn unless_copied(
    director: &Director,
    plan: &JobPlan,
    job: &Job,
    id: JobId,
) -> Result<Option<JobId>, Fail> {
    let others = director.registry().all();
    let is_other = others.iter().filter(|other| other.id < job.id).map(|other| other.plan()).any(|other| {
        super::is_control(&other) && other.next_pool == plan.next_pool && other.target_job == Some(id.get())
    });
    let next = plan.next_pool.as_ref().map(|pool| pool.name.clone()).unwrap_or_default();
    let is_copied = director.catalog().read(move |r| match catalog::pool::get_by_name(r, &next)? {
        Some(pool) => copies::is_copied_to(r, id, pool.id),
        None => Ok(false),
    });
    let is_copied = is_copied.await?;
    Ok(Some(id).filter(|_| !is_other).filter(|_| !is_copied))
}

/// A job that was named must be there, good, and a backup or copy.
async fn check_named(director: &Director, id: JobId) -> Result<(), Fail> {
    let row = director.catalog().read(move |r| catalog::job::get(r, id)).await?;
    let row = row.ok_or_else(|| Fail::fatal(format!("JobId {id} is not in the catalog")))?;
    let is_good = matches!(row.status, JobStatus::Terminated | JobStatus::Warnings);
    if !matches!(row.job_type, JobType::Backup | JobType::JobCopy) || !is_good {
        return Err(Fail::fatal(format!(
            "JobId {id} is of type {} and status {}: only backups that ended well, and copies of them, can be taken",
            row.job_type, row.status
        )));
    }
    Ok(())
}

/// Plans of the further control jobs, as `run job=… jobid=N ignoreduplicatecheck=yes pool=… nextpool=…` makes them.
fn spawned_plans(
    config: &DirectorConfig,
    plan: &JobPlan,
    parent: JobId,
    originals: &[JobId],
) -> Result<Vec<JobPlan>, Fail> {
    let now: Timestamp = crate::text::now();
    let mut plans = Vec::with_capacity(originals.len());
    for original in originals {
        let mut request = JobRequest::new(plan.job.as_str());
        request.origin = Origin::Clone { parent: parent.get() };
        let over = &mut request.overrides;
        over.target_job = Some(original.get());
        over.ignore_duplicates = true;
        over.pool = Some(plan.pool.name.clone());
        over.next_pool = plan.next_pool.as_ref().map(|pool| pool.name.clone());
        over.priority = Some(plan.priority);
        let planned = plan_job(config, &request, now).map_err(|error| Fail::fatal(error.to_string()))?;
        let mut planned = with_control(&planned, |control| control.is_chosen = true);
        // The scripts and clones of the job were for the one that chose.
        planned.clones.clear();
        plans.push(planned);
    }
    Ok(plans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_plans_are_understood() {
        for kind in SelectionType::ALL {
            assert_eq!(kind_of(&format!("{kind:?}")), Some(*kind));
        }
        assert_eq!(kind_of("x"), None);
    }
}
