//! Storages and their cold spares: who serves is in the catalog, and known to the daemons (docs/cold-spare.md).
//!
//! A change is decided by [`policy::spare`], shown, and made in one transaction; the daemons are told then. Whoever dies in
//! between, the next active instance reads who serves before it does anything else, and each connection to a Storage of a pair
//! says so first ([`crate::peer`]).

use crate::error::DirectorError;
use crate::handle::Director;
use crate::jobs::leftover;
use crate::peer::{Tries, chain};
use crate::reconcile;
use crate::text;
use catalog::standing::StandingRow;
use catalog::{ReadTx, attempt, media, pool, standing, storage, volume_state};
use conf::DirectorConfig;
use conf::director::Storage;
use policy::reconcile::HeldVolume;
use policy::spare::{Ground, Located, OnMissing, Side, SparePlan, Standing, Standings, plan};
use std::collections::BTreeMap;
use std::time::Duration;
use types::{JobId, PoolId, StorageEpoch, VolTime};

/// How long a daemon may take to hear who serves, before the console says that it does not answer.
const TELL_LIMIT: Duration = Duration::from_secs(5);

/// The standings of a configuration and what the catalog has recorded.
///
/// # Errors
/// Those of the database.
pub(crate) fn load(r: &ReadTx<'_>, config: &DirectorConfig) -> catalog::Result<Standings> {
    let recorded = standing::list(r, &config.director.name)?;
    Ok(Standings::new(pairs(config), recorded.into_iter().map(from_row).collect()))
}

/// Refuses a session with a Storage whose place was taken after its job had been planned: the job must not write where nobody looks.
///
/// # Errors
/// [`catalog::CatalogError::Refused`] then; those of the database.
pub(crate) fn check_serves(r: &ReadTx<'_>, config: &DirectorConfig, storage: &str) -> catalog::Result<()> {
    match load(r, config)?.resting(storage) {
        None => Ok(()),
        Some(standing) => Err(catalog::CatalogError::Refused(format!(
            "{}. This job was starting when the place was changed",
            standing.why_not()
        ))),
    }
}

/// Who serves by the catalog; the Director knows it from here on, where the task that changed it has not said so yet.
///
/// # Errors
/// Those of the catalog.
pub(crate) async fn reread(director: &Director) -> catalog::Result<Standings> {
    let config = director.config();
    let read = director.catalog().read(move |r| load(r, &config)).await?;
    let known = director.standings();
    let is_newer =
        |standing: &Standing| known.of(&standing.main).is_none_or(|known| known.epoch < standing.epoch);
    if read.iter().any(is_newer) {
        director.set_standings(read.clone());
    }
    Ok(read)
}

fn pairs(config: &DirectorConfig) -> impl Iterator<Item = (&str, &str)> {
    config.storages.iter().filter_map(|spare| Some((spare.cold_spare_for.as_deref()?, spare.name.as_str())))
}

fn from_row(row: StandingRow) -> Standing {
    Standing { main: row.name, spare: row.spare, serving: row.serving, epoch: row.epoch }
}

/// What it takes that `name` serves. `on_missing` is the word on Volumes that it lacks.
///
/// # Errors
/// [`DirectorError::Plan`] when it belongs to no pair or serves already; [`DirectorError::Connect`] when its daemon does not
/// answer; those of the catalog.
pub(crate) async fn planned(
    director: &Director,
    name: &str,
    on_missing: OnMissing,
) -> Result<SparePlan, DirectorError> {
    let (config, standings) = (director.config(), director.standings());
    let standing = standings.of(name).cloned().ok_or_else(|| {
        DirectorError::Plan(format!(
            "Storage \"{name}\" is no cold spare and has none; \"Cold Spare For\" in a Storage resource makes a pair"
        ))
    })?;
    if standing.serving == name {
        return Err(DirectorError::Plan(format!(
            "Storage \"{name}\" serves already (storage epoch {})",
            standing.epoch
        )));
    }
    let resource = |name: &str| {
        config
            .storage(name)
            .cloned()
            .ok_or_else(|| DirectorError::Plan(format!("Storage \"{name}\" is not in the configuration")))
    };
    let (from, to) = (resource(&standing.serving)?, resource(name)?);
    let (held, named) = inventory(director, &to).await?;
    // The one that is left may be gone for good; where it is not, it may know a higher epoch.
    let of_from = tokio::time::timeout(TELL_LIMIT, inventory(director, &from)).await;
    let named_there = of_from.ok().and_then(Result::ok).map_or(StorageEpoch::FIRST, |(_, named)| named);
    let (from_name, to_name) = (from.name.clone(), to.name.clone());
    let read = director
        .catalog()
        .read(move |r| Ok((located(r, &from_name)?, located(r, &to_name)?, open_attempts(r, &from_name)?)));
    let (volumes, waiting, mut jobs) = read.await.map_err(|error| DirectorError::Catalog(chain(&error)))?;
    let at_work = director.jobs().into_iter().filter(|job| job.waiting.is_none());
    jobs.extend(at_work.filter(|job| job.storages.contains(&from.name)).map(|job| job.job_id));
    jobs.sort_unstable();
    jobs.dedup();
    let named = named.max(named_there);
    let (from, to) = (side(&from), side(&to));
    let planned = plan(Ground { standing, from, to, named, volumes, waiting, held, jobs, on_missing });
    sys::failpoint::reach("director-place-planned");
    Ok(planned)
}

fn side(storage: &Storage) -> Side {
    Side {
        name: storage.name.clone(),
        devices: storage.device.clone(),
        media_type: storage.media_type.clone(),
    }
}

/// What a daemon has, `None` where it keeps no inventory; and the highest storage epoch that it knows.
async fn inventory(
    director: &Director,
    storage: &Storage,
) -> Result<(Option<Vec<HeldVolume>>, StorageEpoch), DirectorError> {
    let mut conn = director.visit_storage(storage, Tries::Console).await?;
    let named = conn.place_epoch.unwrap_or(StorageEpoch::FIRST);
    let held = reconcile::held_volumes(&mut conn).await?;
    conn.terminate().await;
    Ok((held, named))
}

/// The Volumes that the catalog has at a Storage.
fn located(r: &ReadTx<'_>, storage: &str) -> catalog::Result<Vec<Located>> {
    let Some(row) = storage::get_by_name(r, storage)? else { return Ok(Vec::new()) };
    let pools: BTreeMap<PoolId, String> = pool::list(r)?.into_iter().map(|row| (row.id, row.name)).collect();
    let rows = media::list_at(r, row.id)?;
    let located = rows.into_iter().map(|row| {
        let state = volume_state::get(r, row.id)?;
        Ok(Located {
            id: row.id,
            name: row.volume_name,
            pool: pools.get(&row.pool_id).cloned().unwrap_or_default(),
            media_type: row.media_type,
            label_time: VolTime(state.label_date),
            seq: state.state_seq,
            bytes: row.vol_bytes,
            jobs: row.vol_jobs,
        })
    });
    located.collect()
}

fn open_attempts(r: &ReadTx<'_>, storage: &str) -> catalog::Result<Vec<JobId>> {
    let open = attempt::list_open(r)?.into_iter().filter(|row| row.storage == storage);
    Ok(open.map(|row| row.job_id).collect())
}

/// Carries a plan out. Returns what is to be said of it, a line each.
///
/// # Errors
/// [`DirectorError::Plan`] when something speaks against it, or the catalog is no longer as it was; those of the catalog.
pub(crate) async fn carry_out(director: &Director, planned: SparePlan) -> Result<Vec<String>, DirectorError> {
    if !planned.blockers.is_empty() {
        return Err(DirectorError::Plan("the plan cannot be carried out as it is".to_owned()));
    }
    let config = director.config();
    let (from, to) = (planned.from.name.clone(), planned.to.name.clone());
    let written = director.catalog().write(director.epoch(), move |tx| {
        standing::lock(tx)?;
        let known = load(tx, &config)?;
        let (from, to) = (&planned.from.name, &planned.to.name);
        let standing = known.of(to).cloned().unwrap_or_else(|| planned.after.clone());
        if !planned.fits(&standing, &located(tx, from)?) || !open_attempts(tx, from)?.is_empty() {
            return Ok(None);
        }
        let after = &planned.after;
        standing::set(
            tx,
            &StandingRow {
                name: after.main.clone(),
                spare: after.spare.clone(),
                serving: after.serving.clone(),
                epoch: after.epoch,
                changed_at: text::now(),
            },
        )?;
        let place = storage::ensure(tx, to, config.storage(to).is_some_and(Storage::is_autochanger))?;
        let moved: Vec<_> = planned.moved.iter().map(|volume| volume.id).collect();
        media::relocate(tx, &moved, place)?;
        let standings = load(tx, &config)?;
        sys::failpoint::reach("director-place-uncommitted");
        Ok(Some((standings, after.epoch, moved.len())))
    });
    let done = written.await.map_err(|error| DirectorError::Catalog(chain(&error)))?;
    let Some((standings, epoch, moved)) = done else {
        return Err(DirectorError::Plan(
            "jobs or Volumes have changed since the plan was made; nothing was done, ask again".to_owned(),
        ));
    };
    sys::failpoint::reach("director-place-changed");
    director.set_standings(standings);
    let said = format!(
        "Storage \"{to}\" serves in the place of \"{from}\" (storage epoch {epoch}); {moved} Volumes moved."
    );
    tracing::warn!("{said}");
    let mut lines = vec![said];
    for name in [&to, &from] {
        if let Err(why) = tell(director, name).await {
            lines.push(format!(
                "Storage \"{name}\" does not know it yet ({why}); it is told when it answers."
            ));
        }
    }
    // What waits for the one that is left goes on at the other one.
    leftover::look(director, &from);
    Ok(lines)
}

/// Tells a daemon who serves: its connection does.
async fn tell(director: &Director, name: &str) -> Result<(), String> {
    let config = director.config();
    let storage = config.storage(name).ok_or("it is not in the configuration")?;
    match tokio::time::timeout(TELL_LIMIT, director.visit_storage(storage, Tries::Once)).await {
        Ok(Ok(conn)) => {
            conn.terminate().await;
            Ok(())
        }
        Ok(Err(error)) => Err(chain(&error)),
        Err(_) => Err(format!("no answer within {} s", TELL_LIMIT.as_secs())),
    }
}
