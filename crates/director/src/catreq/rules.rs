//! What the configuration says about Pools and changers, as the choice of a Volume needs it.

use catalog::ReadTx;
use catalog::pool::PoolRow;
use conf::director::{Changer, DirectorConfig, Storage};
use policy::volume::PoolFacts;
use std::collections::BTreeMap;
use types::StorageId;

/// Directives that are not in the catalog's rows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumeRules {
    pools: BTreeMap<String, PoolDirectives>,
    /// Storage resource → the names of all that share its changer.
    changers: BTreeMap<String, Vec<String>>,
    /// Storages that do not serve: their cold spare does, or the main one.
    resting: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct PoolDirectives {
    recycle_oldest: bool,
    recycle_current: bool,
    purge_oldest: bool,
    label_format: String,
}

impl VolumeRules {
    /// Reads them from the Director's configuration.
    #[must_use]
    pub fn from_config(config: &DirectorConfig) -> Self {
        let pools = config.pools.iter().map(|pool| {
            let directives = PoolDirectives {
                recycle_oldest: pool.recycle_oldest_volume,
                recycle_current: pool.recycle_current_volume,
                purge_oldest: pool.purge_oldest_volume,
                label_format: pool.label_format.clone().unwrap_or_default(),
            };
            (pool.name.clone(), directives)
        });
        Self { pools: pools.collect(), changers: changers(config), resting: Vec::new() }
    }

    /// Nothing is written to Volumes at these Storages, which do not serve.
    #[must_use]
    pub fn without(self, resting: Vec<String>) -> Self {
        Self { resting, ..self }
    }

    /// The rows of the Storages that do not serve.
    pub(super) fn resting(&self, r: &ReadTx<'_>) -> catalog::Result<Vec<StorageId>> {
        let mut ids = Vec::with_capacity(self.resting.len());
        for name in &self.resting {
            ids.extend(catalog::storage::get_by_name(r, name)?.map(|row| row.id));
        }
        Ok(ids)
    }

    /// The Pool's row and directives together. `bytes` is the sum over its Volumes.
    pub(super) fn pool(&self, row: &PoolRow, bytes: u64) -> PoolFacts {
        let none = PoolDirectives { label_format: row.label_format.clone(), ..PoolDirectives::default() };
        let directives = self.pools.get(&row.name).unwrap_or(&none);
        PoolFacts {
            id: row.id,
            name: row.name.clone(),
            use_once: row.use_once,
            max_volumes: row.max_vols,
            volumes: row.num_vols,
            max_bytes: row.max_pool_bytes,
            bytes,
            auto_prune: row.auto_prune,
            recycle_oldest: directives.recycle_oldest,
            recycle_current: directives.recycle_current,
            purge_oldest: directives.purge_oldest,
            label_format: directives.label_format.clone(),
            recycle_pool: row.recycle_pool_id,
        }
    }

    /// The rows of the Storages that share the changer of `storage`; none when it is no changer.
    pub(super) fn changer(&self, r: &ReadTx<'_>, storage: &str) -> catalog::Result<Option<Vec<StorageId>>> {
        let Some(names) = self.changers.get(storage) else { return Ok(None) };
        let mut ids = Vec::with_capacity(names.len());
        for name in names {
            ids.extend(catalog::storage::get_by_name(r, name)?.map(|row| row.id));
        }
        Ok(Some(ids))
    }
}

/// The Storages that share the changer of `storage`, itself among them.
pub(crate) fn storages_of_changer(config: &DirectorConfig, storage: &str) -> Vec<String> {
    changers(config).remove(storage).unwrap_or_else(|| vec![storage.to_owned()])
}

/// Storages by the changer they belong to: a changer's own resource and all that point to it.
fn changers(config: &DirectorConfig) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for storage in &config.storages {
        if let Some(changer) = changer_of(storage) {
            groups.entry(changer).or_default().push(storage.name.clone());
        }
    }
    let member = |storage: &Storage| {
        let group = groups.get(changer_of(storage)?)?;
        Some((storage.name.clone(), group.clone()))
    };
    config.storages.iter().filter_map(member).collect()
}

fn changer_of(storage: &Storage) -> Option<&str> {
    match &storage.autochanger {
        Changer::No => None,
        Changer::Yes => Some(&storage.name),
        Changer::Of(name) => Some(name),
    }
}
