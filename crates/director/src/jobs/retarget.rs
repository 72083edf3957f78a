//! A job that was planned on a Storage in whose place its cold spare serves by now, or the other way round (docs/cold-spare.md).

use super::create::save_plan;
use super::job::Job;
use crate::error::DirectorError;
use crate::handle::Director;
use crate::peer::chain;
use catalog::{media, storage};
use conf::DirectorConfig;
use policy::plan::{JobPlan, StoragePlan, bootstrap_sections, storage_plan};
use policy::spare::Standings;

/// Makes the plan of a job that starts use the Storages that serve now.
///
/// # Errors
/// Those of the catalog.
pub(super) async fn retarget(director: &Director, job: &Job) -> Result<(), DirectorError> {
    let (config, standings) = (director.config(), director.standings());
    let old = job.plan();
    let mut new = JobPlan::clone(&old);
    for storage in new.write_storages.iter_mut().chain(&mut new.read_storages) {
        if let Some(serving) = serving(&config, &standings, storage) {
            job.messages
                .info(&format!("Storage \"{}\" serves in the place of \"{}\".", serving.name, storage.name));
            *storage = serving;
        }
    }
    // A group may name both of a pair.
    for storages in [&mut new.write_storages, &mut new.read_storages] {
        let mut seen = std::collections::BTreeSet::new();
        storages.retain(|storage| seen.insert(storage.name.clone()));
    }
    if let Some(restore) = &mut new.restore {
        restore.bootstrap = relocated(director, &standings, &restore.bootstrap).await?;
    }
    if *old == new {
        return Ok(());
    }
    if let Some(mut admitted) = job.admitted() {
        for name in admitted.write.iter_mut().chain(&mut admitted.read) {
            *name = standings.serving_for(name).to_owned();
        }
        job.use_storages(admitted.clone());
        job.set_admitted(admitted);
    }
    save_plan(director, job.id, &new).await?;
    job.set_plan(new);
    Ok(())
}

fn serving(config: &DirectorConfig, standings: &Standings, planned: &StoragePlan) -> Option<StoragePlan> {
    let standing = standings.resting(&planned.name)?;
    Some(storage_plan(config.storage(&standing.serving)?, &planned.source))
}

/// A bootstrap in which Volumes that have moved since it was made are looked for where they are.
async fn relocated(
    director: &Director,
    standings: &Standings,
    bootstrap: &str,
) -> Result<String, DirectorError> {
    let config = director.config();
    let mut text = String::new();
    for section in bootstrap_sections(bootstrap) {
        let value = |key: &str| {
            let found = section.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            found.map(|value| value.trim_matches('"').to_owned())
        };
        let (named, volume) = (value("Storage"), value("Volume"));
        let moved = match (named.as_deref().and_then(|name| standings.resting(name)), volume) {
            (Some(standing), Some(volume)) => {
                let serving = standing.serving.clone();
                let is_there = director.catalog().read(move |r| {
                    let place = storage::get_by_name(r, &serving)?.map(|row| row.id);
                    Ok(media::get_by_name(r, &volume)?.map(|row| row.storage_id) == place)
                });
                let is_there = is_there.await.map_err(|error| DirectorError::Catalog(chain(&error)))?;
                is_there.then_some(standing).and_then(|standing| config.storage(&standing.serving))
            }
            _ => None,
        };
        for line in section.lines() {
            match (moved, line.split('=').next()) {
                (Some(to), Some("Storage")) => text.push_str(&format!("Storage=\"{}\"\n", to.name)),
                (Some(to), Some("Device")) => {
                    text.push_str(&format!("Device=\"{}\"\n", to.device.first().map_or("", String::as_str)));
                }
                _ => {
                    text.push_str(line);
                    text.push('\n');
                }
            }
        }
    }
    Ok(if standings.iter().next().is_none() { bootstrap.to_owned() } else { text })
}
