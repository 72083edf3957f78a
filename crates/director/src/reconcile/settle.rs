//! Plan and execution for one Storage Daemon, in one transaction.

use super::ask::{Heard, Place};
use super::replay;
use crate::cluster::fencing;
use crate::error::DirectorError;
use crate::handle::Director;
use crate::peer::chain;
use crate::text;
use catalog::media::{self, MediaRow};
use catalog::operator::{self, Setting};
use catalog::pool::PoolRow;
use catalog::volume_state::{self, VolumeState};
use catalog::{ReadTx, WriteTx, highwater, known};
use policy::reconcile::{
    Doubt, Inventory, Recorded, RecordedJob, RecordedVolume, Sign, VolumeStep, plan, sign,
};
use types::{JobId, Timestamp, VolStatus, VolTime};
use wire::msg::holdfast::VolumeEntry;

/// Kind of operator's setting that keeps a reconciliation over a restart: its value is the doubt and the highest JobId before.
const WENT_BACK: &str = "went-back";
/// Kind of operator's setting that names a Storage with which that reconciliation is done: what it knows above the highest JobId before was
/// given out since.
const SETTLED: &str = "went-back-settled";
/// Kind of operator's setting that names the server of the catalog.
const SERVER: &str = "server";
/// Name of the first and the last of these.
const CATALOG: &str = "catalog";

/// What is known before anyone is asked.
pub(super) struct Begun {
    pub(super) baseline: Option<JobId>,
    pub(super) doubt: Option<(Doubt, String)>,
}

/// What came of one daemon's answer.
pub(super) struct Settled {
    pub(super) baseline: JobId,
    pub(super) replayed: Vec<JobId>,
    /// For log and operator.
    pub(super) said: String,
}

/// Whether a reconciliation was begun before, or the catalog is on another server than at the last activation.
pub(super) async fn begun(director: &Director, hint: Option<String>) -> Result<Begun, DirectorError> {
    let name = director.config().director.name.clone();
    let read = director.catalog().read(move |r| {
        let before = operator::get(r, &name, WENT_BACK, CATALOG)?;
        let (now, last) = (catalog::lease::server(r)?, operator::get(r, &name, SERVER, CATALOG)?);
        Ok((before, now, last))
    });
    let (before, now, last) = read.await.map_err(|error| failed(&error))?;
    if let Some((doubt, baseline)) = before.as_deref().and_then(remembered) {
        let doubt = Some((doubt, "found at an activation before this one".to_owned()));
        return Ok(Begun { baseline: Some(baseline), doubt });
    }
    let now = now.map(|system| system.to_string());
    let moved = last.is_some() && now.is_some() && last != now;
    let hint =
        hint.or_else(|| moved.then(|| "it is on another server than at the last activation".to_owned()));
    if let Some(now) = now.filter(|now| last.as_ref() != Some(now)) {
        let setting = Setting { kind: SERVER.to_owned(), name: CATALOG.to_owned(), value: now };
        let (mark, at) = (hint.is_some(), text::now());
        let written = director.catalog().write(director.epoch(), move |tx| {
            if mark {
                remember(tx, Doubt::May, highest_job(tx)?, at)?;
            }
            operator::set(tx, &setting, at)
        });
        written.await.map_err(|error| failed(&error))?;
    }
    Ok(Begun { baseline: None, doubt: hint.map(|why| (Doubt::May, why)) })
}

/// `may 17`, `did 17`: the doubt and the highest JobId before.
fn remembered(value: &str) -> Option<(Doubt, JobId)> {
    let (word, baseline) = value.split_once(' ')?;
    Some((if word == "may" { Doubt::May } else { Doubt::Did }, baseline.parse().ok()?))
}

fn remember(tx: &WriteTx<'_>, doubt: Doubt, baseline: JobId, now: Timestamp) -> catalog::Result<()> {
    let word = match doubt {
        Doubt::May => "may",
        Doubt::Did => "did",
    };
    let value = format!("{word} {baseline}");
    operator::set(tx, &Setting { kind: WENT_BACK.to_owned(), name: CATALOG.to_owned(), value }, now)
}

fn highest_job(r: &ReadTx<'_>) -> catalog::Result<JobId> {
    highwater::highest(r, highwater::Sequence::JobId).map(JobId)
}

/// The reconciliation is over.
pub(super) async fn forget(director: &Director) -> Result<(), DirectorError> {
    let name = director.config().director.name.clone();
    let written = director.catalog().write(director.epoch(), move |tx| {
        for setting in operator::list(tx, &name)?.iter().filter(|setting| setting.kind == SETTLED) {
            operator::clear(tx, SETTLED, &setting.name)?;
        }
        operator::clear(tx, WENT_BACK, CATALOG)
    });
    written.await.map_err(|error| failed(&error))
}

/// The first sign in any of the answers.
pub(super) async fn first_sign<P>(
    director: &Director,
    heard: &[(P, Heard)],
    baseline: Option<JobId>,
) -> Result<Option<Sign>, DirectorError> {
    let inventories: Vec<Inventory> = heard.iter().map(|(_, heard)| heard.inventory.clone()).collect();
    let name = director.config().director.name.clone();
    let read = director.catalog().read(move |r| {
        for inventory in &inventories {
            if let Some(sign) = sign(inventory, &recorded(r, &name, inventory, baseline)?) {
                return Ok(Some(sign));
            }
        }
        Ok(None)
    });
    read.await.map_err(|error| failed(&error))
}

/// Notes which Storage Daemons check epochs, for instances that have to decide without them.
pub(super) async fn note_makes(director: &Director, heard: &[(Place, Heard)]) -> Result<(), DirectorError> {
    let (config, name) = (director.config(), director.config().director.name.clone());
    let mut found = Vec::new();
    for (place, heard) in heard {
        let there = config.storages.iter().filter(|storage| Place::of(storage) == *place);
        found.extend(there.map(|storage| (storage.name.clone(), heard.checks_epochs)));
    }
    let read = director.catalog().read(move |r| operator::list(r, &name)).await;
    let known = fencing::known(&read.map_err(|error| failed(&error))?);
    found.retain(|(storage, checks)| known.get(storage) != Some(checks));
    if found.is_empty() {
        return Ok(());
    }
    let now = text::now();
    let written = director.catalog().write(director.epoch(), move |tx| {
        found.iter().try_for_each(|(name, checks)| {
            let value = if *checks { "yes" } else { "no" }.to_owned();
            let setting = Setting { kind: fencing::CHECKS_EPOCHS.to_owned(), name: name.clone(), value };
            operator::set(tx, &setting, now)
        })
    });
    written.await.map_err(|error| failed(&error))
}

/// What the catalog has of an inventory.
fn recorded(
    r: &ReadTx<'_>,
    director: &str,
    inventory: &Inventory,
    baseline: Option<JobId>,
) -> catalog::Result<Recorded> {
    let is_settled = operator::get(r, director, SETTLED, &inventory.storage)?.is_some();
    let highest_job = match baseline {
        Some(baseline) if !is_settled => baseline,
        _ => highest_job(r)?,
    };
    let mut recorded = Recorded { highest_job, ..Recorded::default() };
    let ids: Vec<JobId> = inventory.jobs.iter().map(|held| held.id).collect();
    for (id, job) in known::jobs(r, &ids)? {
        recorded.jobs.insert(id, RecordedJob { name: job.name, attempts: job.attempts });
    }
    let names: Vec<&str> = inventory.volumes.iter().map(|volume| volume.name.as_str()).collect();
    for (name, state) in known::volumes(r, &names)? {
        let known = RecordedVolume { label_time: VolTime(state.label_date), seq: state.state_seq };
        recorded.volumes.insert(name, known);
    }
    Ok(recorded)
}

/// Makes catalog and daemon agree. The plan is made in the transaction that executes it.
pub(super) async fn settle(
    director: &Director,
    heard: Heard,
    doubt: Doubt,
    baseline: Option<JobId>,
) -> Result<Settled, DirectorError> {
    let (config, now) = (director.config(), text::now());
    let written = director.catalog().write(director.epoch(), move |tx| {
        let baseline = match baseline {
            Some(baseline) => baseline,
            None => highest_job(tx)?,
        };
        let recorded = recorded(tx, &config.director.name, &heard.inventory, Some(baseline))?;
        let plan = plan(&heard.inventory, &recorded, doubt);
        remember(tx, doubt, baseline, now)?;
        let settled = heard.inventory.storage.clone();
        let setting = Setting { kind: SETTLED.to_owned(), name: settled, value: "yes".to_owned() };
        operator::set(tx, &setting, now)?;
        highwater::raise(tx, highwater::Sequence::JobId, plan.raise_jobs_to.get())?;
        for step in &plan.volumes {
            volume(tx, &heard, step, &config, now)?;
        }
        let mut said = vec![plan.to_string()];
        let mut replayed = Vec::new();
        for held in &plan.lost {
            match replay::record(tx, &config, &heard, held, now)? {
                Ok(()) => replayed.push(held.id),
                Err(why) => said.push(format!("JobId {} ({}) cannot be replayed: {why}", held.id, held.name)),
            }
        }
        replayed.dedup();
        Ok(Settled { baseline, replayed, said: said.join("; ") })
    });
    written.await.map_err(|error| failed(&error))
}

fn volume(
    tx: &WriteTx<'_>,
    heard: &Heard,
    step: &VolumeStep,
    config: &conf::DirectorConfig,
    now: Timestamp,
) -> catalog::Result<()> {
    let (VolumeStep::Record(held) | VolumeStep::Advance(held) | VolumeStep::Relabelled(held)) = step;
    let Some(entry) = heard.volumes.get(&held.name) else { return Ok(()) };
    let row = match media::get_by_name(tx, &held.name)? {
        Some(mut row) => {
            take_state(&mut row, entry, matches!(step, VolumeStep::Relabelled(_)), now);
            media::update(tx, &row)?;
            row
        }
        None => {
            let Some(mut row) = new_row(tx, heard, entry, config)? else { return Ok(()) };
            take_state(&mut row, entry, true, now);
            row.id = media::create(tx, &row)?;
            row
        }
    };
    let state =
        VolumeState { label_date: entry.label_time.0, state_seq: entry.seq, write_counter: entry.writes };
    volume_state::advance(tx, row.id, state).map(drop)
}

/// The daemon's word on a Volume, which is not written from here on.
fn take_state(row: &mut MediaRow, entry: &VolumeEntry, is_new_label: bool, now: Timestamp) {
    if is_new_label {
        let labelled = Timestamp(i64::try_from(entry.label_time.0 / 1_000_000).unwrap_or_default());
        (row.label_date, row.first_written) = (Some(labelled), Some(labelled));
    }
    row.vol_bytes = entry.bytes;
    row.vol_writes = entry.writes;
    row.vol_blocks = u32::try_from(entry.blocks).unwrap_or(u32::MAX);
    row.vol_files = entry.files;
    row.vol_jobs = entry.jobs;
    // Whatever is on it is kept for its whole retention from here.
    row.last_written = Some(now);
    row.status = match row.status {
        VolStatus::Archive | VolStatus::Disabled | VolStatus::Error | VolStatus::Cleaning => row.status,
        VolStatus::Append
        | VolStatus::Full
        | VolStatus::Used
        | VolStatus::Recycle
        | VolStatus::Purged
        | VolStatus::ReadOnly
        | VolStatus::Busy
        | VolStatus::Scratch => VolStatus::ReadOnly,
    };
}

/// The row of a Volume that the catalog does not know; none where there is no Pool at all.
fn new_row(
    tx: &WriteTx<'_>,
    heard: &Heard,
    entry: &VolumeEntry,
    config: &conf::DirectorConfig,
) -> catalog::Result<Option<MediaRow>> {
    let named = catalog::pool::get_by_name(tx, &entry.pool)?;
    let pool: Option<PoolRow> = match (named, config.pools.first()) {
        (Some(pool), _) => Some(pool),
        (None, Some(first)) => catalog::pool::get_by_name(tx, &first.name)?,
        (None, None) => None,
    };
    let Some(pool) = pool else { return Ok(None) };
    let media_type = if entry.media_type.is_empty() { &heard.media_type } else { &entry.media_type };
    let mut row = MediaRow::new(&entry.volume, pool.id, media_type, pool.limits.clone());
    row.label_type = pool.label_type;
    row.recycle_pool_id = pool.recycle_pool_id;
    row.scratch_pool_id = pool.scratch_pool_id;
    let storage = catalog::storage::get_by_name(tx, &heard.inventory.storage)?;
    row.storage_id = storage.map(|storage| storage.id).unwrap_or_default();
    "found when the catalog had gone back in time".clone_into(&mut row.comment);
    Ok(Some(row))
}

fn failed(error: &catalog::CatalogError) -> DirectorError {
    DirectorError::Catalog(chain(error))
}
