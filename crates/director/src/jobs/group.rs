//! The Storages of a group in the order in which a job tries them (docs/storage-groups.md).

use super::job::Job;
use super::session::{ANSWERS_SOON, Fail};
use crate::handle::Director;
use crate::peer::{Tries, chain};
use crate::text;
use policy::group::{Candidate, GroupPolicy, Room, free_of, order};
use policy::plan::{JobPlan, StoragePlan};
use std::collections::BTreeMap;
use tokio::task::JoinSet;
use types::Timestamp;
use wire::msg::holdfast::DeviceSpace;
use wire::version::HOLDFAST_SPACE;

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
    let free = if plan.group_policy.asks_space() {
        free_space(director, job, storages).await
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
            free_bytes: free.get(&storage.name).copied(),
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

/// What the Storages have free, bytes, those that tell it; asked all at once. The job's log has the answers, and why others count last.
async fn free_space(director: &Director, job: &Job, storages: &[&StoragePlan]) -> BTreeMap<String, u64> {
    let mut asking = JoinSet::new();
    for storage in storages {
        let (director, storage) = (director.clone(), (*storage).clone());
        asking.spawn(async move {
            let asked = tokio::time::timeout(ANSWERS_SOON, ask_free_space(&director, &storage)).await;
            let late = || Err(format!("it did not answer within {} s", ANSWERS_SOON.as_secs()));
            (storage.name, asked.unwrap_or_else(|_| late()))
        });
    }
    let (mut free, mut told) = (BTreeMap::new(), Vec::new());
    for (name, answer) in asking.join_all().await {
        match answer {
            Ok(bytes) => {
                told.push(format!("\"{name}\" {}", text::bytes(bytes)));
                free.insert(name, bytes);
            }
            Err(why) => job
                .messages
                .info(&format!("Storage \"{name}\" counts as the one with the least free space: {why}")),
        }
    }
    if !told.is_empty() {
        told.sort_unstable();
        job.messages.info(&format!("Free space of the Storages: {}", told.join(", ")));
    }
    free
}

async fn ask_free_space(director: &Director, storage: &StoragePlan) -> Result<u64, String> {
    let config = director.config();
    let resource = config.storage(&storage.name).ok_or("it is not in the configuration")?;
    let mut conn = director.visit_storage(resource, Tries::Once).await.map_err(|error| chain(&error))?;
    if conn.conn.peer().holdfast < HOLDFAST_SPACE {
        conn.terminate().await;
        return Err(
            "its daemon does not tell its space; only Holdfast's does, from this version on".to_owned()
        );
    }
    let lines = conn.command("space\n").await.map_err(|error| chain(&error))?;
    conn.terminate().await;
    let rooms =
        lines.iter().map(|line| DeviceSpace::parse(line.as_bytes()).map(room)).collect::<Result<Vec<_>, _>>();
    let rooms = rooms.map_err(|error| error.to_string())?;
    free_of(&storage.devices, &rooms).ok_or_else(|| {
        format!(
            "no Device of \"{}\" tells its space; tapes do not, nor do Devices that are disabled or only read",
            storage.devices.join("\", \"")
        )
    })
}

fn room(told: DeviceSpace) -> Room {
    Room {
        device: told.device,
        changer: told.changer,
        filesystem: told.filesystem,
        free_bytes: told.free_bytes,
    }
}
