//! The Storages of a group in the order in which a job tries them (docs/storage-groups.md).

use super::job::Job;
use super::session::Fail;
use crate::handle::Director;
use policy::group::{Candidate, GroupPolicy, order};
use policy::plan::{JobPlan, StoragePlan};
use std::collections::BTreeMap;
use types::Timestamp;

/// `storages` in the order of the job's policy, those that it has lost at the end.
pub(crate) async fn in_order<'p>(
    director: &Director,
    job: &Job,
    plan: &JobPlan,
    storages: &[&'p StoragePlan],
) -> Result<Vec<&'p StoragePlan>, Fail> {
    let last = if plan.group_policy == GroupPolicy::LastBackedUpTo {
        last_backups(director, plan).await?
    } else {
        BTreeMap::new()
    };
    let running = director.registry().storages_in_use(job.id);
    let candidates: Vec<Candidate> = storages
        .iter()
        .map(|storage| Candidate {
            name: storage.name.clone(),
            running: running.get(&storage.name).copied().unwrap_or(0),
            last_backup: last.get(&storage.name).copied(),
        })
        .collect();
    let names = order(plan.group_policy, &candidates, &plan.lost_storages);
    Ok(names.iter().filter_map(|name| storages.iter().find(|one| one.name == *name).copied()).collect())
}

/// When a backup of this Job was last started that is on each Storage.
async fn last_backups(director: &Director, plan: &JobPlan) -> Result<BTreeMap<String, Timestamp>, Fail> {
    let job = plan.job.clone();
    Ok(director
        .catalog()
        .read(move |r| catalog::jobmedia::last_on_storages(r, &job))
        .await?
        .into_iter()
        .collect())
}
