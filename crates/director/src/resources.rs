//! Rows of the catalog that stand for resources of the configuration: made at start and at reload (spec/04 §1.4).

use crate::error::DirectorError;
use crate::handle::Director;
use crate::peer::chain;
use catalog::client::NewClient;
use catalog::pool::{PoolRow, VolumeLimits};
use catalog::{CatalogError, WriteTx};
use conf::DirectorConfig;
use conf::director::{Client, LabelType, Pool};
use types::PoolId;

/// Makes the rows that are missing; limits of Volumes change only by `update pool`.
///
/// # Errors
/// [`DirectorError::Catalog`].
pub(crate) async fn ensure(director: &Director, config: &DirectorConfig) -> Result<(), DirectorError> {
    let config = config.clone();
    let written = director.catalog().write(director.epoch(), move |tx| write(tx, &config)).await;
    written.map_err(|error| DirectorError::Catalog(chain(&error)))
}

fn write(tx: &WriteTx<'_>, config: &DirectorConfig) -> Result<(), CatalogError> {
    for storage in &config.storages {
        catalog::storage::ensure(tx, &storage.name, storage.is_autochanger())?;
        catalog::storage::ensure_media_type(tx, &storage.media_type)?;
    }
    for client in &config.clients {
        catalog::client::ensure(tx, &client_row(client, ""))?;
    }
    for pool in &config.pools {
        catalog::pool::ensure(tx, &pool_row(pool))?;
    }
    for pool in &config.pools {
        let id = |name: &Option<String>| -> Result<PoolId, CatalogError> {
            let Some(name) = name else { return Ok(PoolId(0)) };
            Ok(catalog::pool::get_by_name(tx, name)?.map_or(PoolId(0), |row| row.id))
        };
        let links = (id(&pool.recycle_pool)?, id(&pool.scratch_pool)?, id(&pool.next_pool)?);
        if let Some(row) = catalog::pool::get_by_name(tx, &pool.name)? {
            catalog::pool::set_links(tx, row.id, links.0, links.1, links.2)?;
        }
    }
    Ok(())
}

/// The row of a Client; an empty `uname` leaves what the FD said of itself last.
pub(crate) fn client_row(client: &Client, uname: &str) -> NewClient {
    NewClient {
        name: client.name.clone(),
        uname: uname.to_owned(),
        auto_prune: client.auto_prune,
        file_retention: client.file_retention.as_secs(),
        job_retention: client.job_retention.as_secs(),
    }
}

/// The row of a Pool as its resource says.
#[must_use]
pub fn pool_row(pool: &Pool) -> PoolRow {
    PoolRow {
        id: PoolId(0),
        name: pool.name.clone(),
        num_vols: 0,
        max_vols: pool.maximum_volumes,
        use_once: pool.use_volume_once,
        use_catalog: pool.use_catalog,
        accept_any_volume: false,
        limits: VolumeLimits {
            vol_retention: pool.volume_retention.as_secs(),
            cache_retention: pool.cache_retention.as_secs(),
            vol_use_duration: pool.volume_use_duration.as_secs(),
            max_vol_jobs: pool.maximum_volume_jobs,
            max_vol_files: pool.maximum_volume_files,
            max_vol_bytes: pool.maximum_volume_bytes,
            recycle: pool.recycle,
            action_on_purge: u32::from(pool.action_on_purge.is_some()),
        },
        max_pool_bytes: 0,
        auto_prune: pool.auto_prune,
        pool_type: pool.pool_type.clone(),
        label_type: match pool.label_type {
            None | Some(LabelType::Bacula) => 0,
            Some(LabelType::Ansi) => 1,
            Some(LabelType::Ibm) => 2,
        },
        label_format: pool.label_format.clone().unwrap_or_else(|| "*".to_owned()),
        enabled: true,
        scratch_pool_id: PoolId(0),
        recycle_pool_id: PoolId(0),
        next_pool_id: PoolId(0),
        migration_high_bytes: pool.migration_high_bytes,
        migration_low_bytes: pool.migration_low_bytes,
        migration_time: pool.migration_time.as_secs(),
    }
}
