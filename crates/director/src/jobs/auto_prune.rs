//! Pruning at the end of a job: old jobs and file records of its client and Pool (spec/04 §5.5, §5.6).
//!
//! What goes is a plan first ([`policy::volume::JobPrunePlan`]): the newest restore chain of each client and FileSet, and
//! what runs, is not in it. Volumes are not touched here; they are pruned when one is needed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use catalog::removal::{self, Prunable};
use catalog::{Catalog, CatalogError, ReadTx, partition, purge};
use policy::plan::JobPlan;
use policy::volume::{JobFacts, plan_file_prune, plan_job_prune};
use types::{JobId, Timestamp};

use super::job::Job;
use crate::handle::Director;

/// Jobs removed in one transaction: a plan of any length is executed in such steps.
const STEP_JOBS: usize = 100;

/// Prunes what the job's plan says, and tells the job's log. A failure is a warning: the job itself is done.
pub(crate) async fn run(director: &Director, job: &Job, plan: &JobPlan, now: Timestamp) {
    if let Some(why) = director.held().filter(|_| plan.prune.jobs || plan.prune.files) {
        job.messages.info(&format!("Nothing is pruned now: {why}."));
        return;
    }
    if plan.prune.jobs
        && let Err(error) = prune_jobs(director, job, plan, now).await
    {
        job.messages.warning(&format!("Could not prune Jobs: ERR={error}"));
    }
    if plan.prune.files
        && let Err(error) = prune_files(director, job, plan, now).await
    {
        job.messages.warning(&format!("Could not prune Files: ERR={error}"));
    }
    if plan.prune.jobs || plan.prune.files {
        job.messages.info("End auto prune.\n");
    }
}

async fn prune_jobs(director: &Director, job: &Job, plan: &JobPlan, now: Timestamp) -> catalog::Result<()> {
    let retention = plan.prune.job_retention_s;
    if retention == 0 {
        return Ok(()); // nothing is too old
    }
    let span = conf::units::format_time(Duration::from_secs(retention));
    job.messages.info(&format!("Begin pruning Jobs older than {span}."));
    let pool = Pooled::read(director, plan).await?;
    let delete = pool.of_pool(&plan_job_prune(&pool.facts, retention, now).delete);
    drop_partitions(director.catalog(), director.epoch(), &delete).await?;
    if delete.is_empty() {
        job.messages.info("No Jobs found to prune.");
        return Ok(());
    }
    for step in delete.chunks(STEP_JOBS) {
        let step = step.to_vec();
        director.catalog().write(director.epoch(), move |tx| purge::delete_jobs(tx, &step)).await?;
    }
    let plural = if delete.len() == 1 { "" } else { "s" };
    job.messages.info(&format!(
        "Pruned {} Job{plural} for client {} from catalog.",
        delete.len(),
        plan.client.name
    ));
    Ok(())
}

async fn prune_files(director: &Director, job: &Job, plan: &JobPlan, now: Timestamp) -> catalog::Result<()> {
    let retention = plan.prune.file_retention_s;
    if retention == 0 {
        return Ok(());
    }
    job.messages.info("Begin pruning Files.");
    let pool = Pooled::read(director, plan).await?;
    let purge = pool.of_pool(&plan_file_prune(&pool.facts, retention, now).delete);
    drop_partitions(director.catalog(), director.epoch(), &purge).await?;
    if purge.is_empty() {
        job.messages.info("No Files found to prune.");
        return Ok(());
    }
    for &old in &purge {
        director.catalog().write(director.epoch(), move |tx| purge::purge_files(tx, old)).await?;
    }
    job.messages.info(&format!(
        "Pruned Files from {} Jobs for client {} from catalog.",
        purge.len(),
        plan.client.name
    ));
    Ok(())
}

/// Drops the partitions of File that hold no files but those of `jobs`, which are about to be purged; what is left of them has its
/// rows deleted then.
///
/// # Errors
/// Those of the catalog, but not that File is in use: the next time will do.
pub(crate) async fn drop_partitions(
    catalog: &Catalog,
    epoch: types::Epoch,
    jobs: &[JobId],
) -> catalog::Result<()> {
    let jobs: BTreeSet<JobId> = jobs.iter().copied().collect();
    match catalog.write(epoch, move |tx| partition::drop_unused(tx, &jobs)).await {
        Ok(_) => Ok(()),
        Err(error @ CatalogError::Busy { .. }) => {
            tracing::info!(%error, "partitions of File stay for now");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// All jobs of the client, and which of them are in the job's Pool: retention is the Pool's where it has one.
struct Pooled {
    facts: Vec<JobFacts>,
    in_pool: Vec<JobId>,
}

impl Pooled {
    async fn read(director: &Director, plan: &JobPlan) -> catalog::Result<Self> {
        let (client, pool) = (plan.client.name.clone(), plan.pool.name.clone());
        let read = director.catalog().read(move |r| {
            let client = catalog::client::get_by_name(r, &client)?.map(|row| row.id);
            let pool = catalog::pool::get_by_name(r, &pool)?.map(|row| row.id);
            let (Some(client), Some(pool)) = (client, pool) else {
                return Ok(Self { facts: Vec::new(), in_pool: Vec::new() });
            };
            let rows = removal::jobs(r, Some(client))?;
            let in_pool = rows.iter().filter(|row| row.pool == pool).map(|row| row.job_id).collect();
            Ok(Self { facts: with_bases(r, rows)?, in_pool })
        });
        read.await
    }

    fn of_pool(&self, jobs: &[JobId]) -> Vec<JobId> {
        jobs.iter().copied().filter(|job| self.in_pool.binary_search(job).is_ok()).collect()
    }
}

/// Rows as the rules see them, with the base jobs that each uses.
pub(crate) fn with_bases(r: &ReadTx<'_>, rows: Vec<Prunable>) -> catalog::Result<Vec<JobFacts>> {
    let mut bases: BTreeMap<JobId, Vec<JobId>> = BTreeMap::new();
    for (job, base) in removal::base_jobs(r)? {
        bases.entry(job).or_default().push(base);
    }
    let facts = rows.into_iter().map(|row| JobFacts {
        base_jobs: bases.remove(&row.job_id).unwrap_or_default(),
        job: row.job_id,
        job_type: row.job_type,
        level: row.level,
        status: row.status,
        client: row.client,
        fileset: row.fileset,
        tdate: row.job_tdate,
        files: row.files,
        purged_files: row.purged_files,
    });
    Ok(facts.collect())
}
