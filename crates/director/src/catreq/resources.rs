//! Rows of the configuration's resources: made at start and after a reload (spec/05 §2.4, §2.6).

use catalog::client::NewClient;
use catalog::counter::CounterRow;
use catalog::pool::{PoolRow, VolumeLimits};
use catalog::{WriteTx, client, counter, pool, storage};
use conf::director::{ActionOnPurge, Client, DirectorConfig, LabelType, Pool};
use std::time::Duration;
use types::PoolId;

/// Creates what is missing: Clients, Storages, Media Types, Pools with their links, Counters. Pools that exist keep their
/// values until `update pool`.
///
/// # Errors
/// Those of the catalog.
pub fn sync(tx: &WriteTx<'_>, config: &DirectorConfig) -> catalog::Result<()> {
    for resource in &config.clients {
        client::ensure(tx, &client_row(resource))?;
    }
    for resource in &config.storages {
        storage::ensure(tx, &resource.name, resource.is_autochanger())?;
        storage::ensure_media_type(tx, &resource.media_type)?;
    }
    for resource in &config.pools {
        pool::ensure(tx, &pool_row(resource))?;
    }
    for resource in &config.pools {
        link(tx, resource)?;
    }
    for resource in &config.counters {
        counter::ensure(
            tx,
            &CounterRow {
                name: resource.name.clone(),
                min: resource.minimum.into(),
                max: resource.maximum.into(),
                current: resource.minimum.into(),
                wrap: resource.wrap_counter.clone().unwrap_or_default(),
            },
        )?;
    }
    Ok(())
}

/// What the configuration says of a client; the version line is kept as it is.
#[must_use]
pub fn client_row(client: &Client) -> NewClient {
    NewClient {
        name: client.name.clone(),
        uname: String::new(),
        auto_prune: client.auto_prune,
        file_retention: client.file_retention.as_secs(),
        job_retention: client.job_retention.as_secs(),
    }
}

/// What the configuration says of a Pool, without its links; for a new row and for `update pool`.
#[must_use]
pub fn pool_row(pool: &Pool) -> PoolRow {
    let seconds = |span: Duration| span.as_secs();
    PoolRow {
        id: PoolId(0),
        name: pool.name.clone(),
        num_vols: 0,
        max_vols: pool.maximum_volumes,
        use_once: pool.use_volume_once,
        use_catalog: pool.catalog_files,
        accept_any_volume: false,
        limits: VolumeLimits {
            vol_retention: seconds(pool.volume_retention),
            cache_retention: seconds(pool.cache_retention),
            vol_use_duration: seconds(pool.volume_use_duration),
            max_vol_jobs: pool.maximum_volume_jobs,
            max_vol_files: pool.maximum_volume_files,
            max_vol_bytes: pool.maximum_volume_bytes,
            recycle: pool.recycle,
            action_on_purge: match pool.action_on_purge {
                Some(ActionOnPurge::Truncate) => 1,
                None => 0,
            },
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
        migration_time: seconds(pool.migration_time),
    }
}

fn link(tx: &WriteTx<'_>, resource: &Pool) -> catalog::Result<()> {
    let id_of = |name: Option<&String>| -> catalog::Result<PoolId> {
        let Some(name) = name else { return Ok(PoolId(0)) };
        Ok(pool::get_by_name(tx, name)?.map_or(PoolId(0), |row| row.id))
    };
    let Some(row) = pool::get_by_name(tx, &resource.name)? else { return Ok(()) };
    let recycle = id_of(resource.recycle_pool.as_ref())?;
    let scratch = id_of(resource.scratch_pool.as_ref())?;
    let next = id_of(resource.next_pool.as_ref())?;
    pool::set_links(tx, row.id, recycle, scratch, next)
}
