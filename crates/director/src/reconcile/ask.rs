//! Asking one Storage Daemon what it knows of this Director and catalog (docs/extensions.md §9).

use crate::error::DirectorError;
use crate::handle::Director;
use crate::peer::{Identity, Links, StorageConn, Tries, chain};
use conf::DirectorConfig;
use conf::director::Storage;
use policy::reconcile::{HeldJob, HeldVolume, Inventory};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use types::{Attempt, Epoch, JobId};
use wire::msg::holdfast::{InventoryHead, JobEntry, JobState, VolumeEntry};
use wire::version::HOLDFAST_INVENTORY;

/// Where a Storage Daemon listens: several Storage resources may be one daemon.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    address: String,
    port: u32,
}

impl Place {
    pub(super) fn of(storage: &Storage) -> Self {
        Self { address: storage.address.clone(), port: storage.sd_port }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.address, self.port)
    }
}

/// The first Storage of each daemon.
pub(super) fn places(config: &DirectorConfig) -> Vec<Storage> {
    let mut seen = BTreeSet::new();
    config.storages.iter().filter(|storage| seen.insert(Place::of(storage))).cloned().collect()
}

/// What a daemon has said.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    pub(super) inventory: Inventory,
    pub(super) jobs: BTreeMap<(JobId, Attempt), JobEntry>,
    pub(super) volumes: BTreeMap<String, VolumeEntry>,
    /// It is a Holdfast daemon.
    pub(super) checks_epochs: bool,
    /// Where Volumes that do not say theirs are taken to belong.
    pub(super) media_type: String,
}

/// Why a daemon has said nothing.
#[derive(Debug)]
pub(super) struct Silent {
    pub(super) storage: String,
    /// A higher epoch that it knows.
    pub(super) epoch: Option<Epoch>,
    pub(super) why: String,
}

/// Asks one daemon. A stock one, which keeps nothing for a Director, has said all with nothing.
pub(super) async fn ask(
    director: &Director,
    storage: &Storage,
    tries: Tries,
    limit: Duration,
) -> Result<Heard, Silent> {
    let silent = |epoch, why| Silent { storage: storage.name.clone(), epoch, why };
    if sys::failpoint::is_on(super::CUT_OFF) {
        return Err(silent(None, "a test keeps the Storage daemons away".to_owned()));
    }
    let asked = tokio::time::timeout(limit, exchange(director, storage, tries)).await;
    match asked {
        Ok(Ok(heard)) => Ok(heard),
        Ok(Err(DirectorError::Stale { said, .. })) => Err(silent(epoch_in(&said), said)),
        Ok(Err(error)) => Err(silent(None, chain(&error))),
        Err(_) => Err(silent(None, format!("no answer within {} s", limit.as_secs()))),
    }
}

/// What a standby learns of Storage Daemons: it asks in epoch 0, which is refused with the newest.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scouted {
    /// The highest epoch that any of them knows.
    pub(crate) epoch: Epoch,
    /// Whether they check epochs at all, by the name of the Storage.
    pub(crate) checks: BTreeMap<String, bool>,
}

/// Asks all Storage Daemons at once. Those that do not answer within `limit` are passed over.
pub(super) async fn scout(config: &DirectorConfig, identity: &Identity, limit: Duration) -> Scouted {
    let links = Arc::new(Links::new(&config.director, identity.clone()));
    let mut asking = JoinSet::new();
    for storage in places(config) {
        let links = Arc::clone(&links);
        asking.spawn(async move {
            let link = links.storage(&storage).ok()?;
            match tokio::time::timeout(limit, links.open_storage(&link, Tries::Once)).await.ok()? {
                Ok(conn) => {
                    let checks = conn.holdfast;
                    conn.terminate().await;
                    Some((Place::of(&storage), checks, Epoch(0)))
                }
                Err(DirectorError::Stale { said, .. }) => {
                    Some((Place::of(&storage), true, epoch_in(&said).unwrap_or_default()))
                }
                Err(_) => None,
            }
        });
    }
    let mut scouted = Scouted::default();
    for (place, checks, epoch) in asking.join_all().await.into_iter().flatten() {
        scouted.epoch = scouted.epoch.max(epoch);
        let there = config.storages.iter().filter(|storage| Place::of(storage) == place);
        scouted.checks.extend(there.map(|storage| (storage.name.clone(), checks)));
    }
    scouted
}

async fn exchange(director: &Director, storage: &Storage, tries: Tries) -> Result<Heard, DirectorError> {
    let mut conn = director.visit_storage(storage, tries).await?;
    let mut heard = Heard { media_type: storage.media_type.clone(), ..Heard::default() };
    heard.inventory.storage.clone_from(&storage.name);
    heard.checks_epochs = conn.holdfast;
    if conn.holdfast {
        jobs(&mut conn, &mut heard).await?;
        if conn.conn.peer().holdfast >= HOLDFAST_INVENTORY {
            inventory(&mut conn, &mut heard).await?;
        }
        if director.standings().resting(&storage.name).is_some() {
            // What another serves in its place is not judged by what it has.
            heard.inventory.volumes.clear();
            heard.volumes.clear();
        }
    }
    conn.terminate().await;
    Ok(heard)
}

async fn jobs(conn: &mut StorageConn, heard: &mut Heard) -> Result<(), DirectorError> {
    for line in conn.command("jobs\n").await? {
        let entry = JobEntry::parse(line.as_bytes()).map_err(|error| bad(conn, &error.to_string()))?;
        // What is only reserved has nothing on any Volume.
        if entry.state == JobState::Reserved {
            continue;
        }
        heard.inventory.highest_job = heard.inventory.highest_job.max(entry.job_id);
        heard.inventory.jobs.push(HeldJob {
            id: entry.job_id,
            name: entry.job.clone(),
            job_type: entry.job_type,
            attempt: entry.attempt,
            acked: entry.acked,
        });
        heard.jobs.insert((entry.job_id, entry.attempt), entry);
    }
    Ok(())
}

async fn inventory(conn: &mut StorageConn, heard: &mut Heard) -> Result<(), DirectorError> {
    let lines = conn.command("inventory\n").await?;
    let mut lines = lines.iter();
    let head = lines.next().map(String::as_str).unwrap_or_default();
    let head = InventoryHead::parse(head.as_bytes()).map_err(|_| bad(conn, head))?;
    heard.inventory.highest_job = heard.inventory.highest_job.max(head.highest_job);
    for line in lines {
        let entry = VolumeEntry::parse(line.as_bytes()).map_err(|error| bad(conn, &error.to_string()))?;
        heard.inventory.volumes.push(HeldVolume {
            name: entry.volume.clone(),
            label_time: entry.label_time,
            seq: entry.seq,
            bytes: entry.bytes,
            jobs: entry.jobs,
        });
        heard.volumes.insert(entry.volume.clone(), entry);
    }
    Ok(())
}

/// The Volumes of a daemon; `None` where it keeps no inventory.
pub(crate) async fn held_volumes(conn: &mut StorageConn) -> Result<Option<Vec<HeldVolume>>, DirectorError> {
    if conn.conn.peer().holdfast < HOLDFAST_INVENTORY {
        return Ok(None);
    }
    let mut heard = Heard::default();
    inventory(conn, &mut heard).await?;
    Ok(Some(heard.inventory.volumes))
}

fn bad(conn: &StorageConn, said: &str) -> DirectorError {
    DirectorError::Connect {
        peer: "the Storage daemon, to ask what it holds".to_owned(),
        address: conn.conn.address().to_string(),
        problem: said.to_owned(),
    }
}

/// The epoch in `3981 Stale Director: epoch <e> of Director …`.
fn epoch_in(said: &str) -> Option<Epoch> {
    let (_, rest) = said.split_once("epoch ")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok().map(Epoch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_is_read_from_a_refusal() {
        assert_eq!(epoch_in("3981 Stale Director: epoch 12 of Director \"d\" is"), Some(Epoch(12)));
    }
}
