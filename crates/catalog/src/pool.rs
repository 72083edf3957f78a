//! Pool rows (spec/05 §2.4).

use crate::error::Result;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use crate::value::Row;
use types::PoolId;

/// Limits that a Volume takes from its Pool when it is created, in the units of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumeLimits {
    /// Seconds; 0 = kept for ever.
    pub vol_retention: u64,
    /// Seconds.
    pub cache_retention: u64,
    /// Seconds; 0 = unlimited, as in the following.
    pub vol_use_duration: u64,
    /// Jobs.
    pub max_vol_jobs: u32,
    /// File marks.
    pub max_vol_files: u32,
    /// Bytes.
    pub max_vol_bytes: u64,
    /// Whether it may be recycled.
    pub recycle: bool,
    /// Bit 1: truncate when purged.
    pub action_on_purge: u32,
}

/// A row of `Pool`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolRow {
    /// Key.
    pub id: PoolId,
    /// Name of the Pool resource.
    pub name: String,
    /// Number of Volumes, as counted.
    pub num_vols: u32,
    /// Maximum Volumes; 0 = unlimited.
    pub max_vols: u32,
    /// Use Volume Once.
    pub use_once: bool,
    /// Catalog Files.
    pub use_catalog: bool,
    /// Accept any Volume.
    pub accept_any_volume: bool,
    /// For new Volumes.
    pub limits: VolumeLimits,
    /// Bytes in all Volumes; 0 = unlimited.
    pub max_pool_bytes: u64,
    /// Whether volume selection may prune.
    pub auto_prune: bool,
    /// `Backup`, `Scratch` …
    pub pool_type: String,
    /// 0 Bacula, 1 ANSI, 2 IBM.
    pub label_type: u32,
    /// Format of automatic names; empty or `*` = none.
    pub label_format: String,
    /// Whether jobs may use it.
    pub enabled: bool,
    /// 0 = none.
    pub scratch_pool_id: PoolId,
    /// 0 = none.
    pub recycle_pool_id: PoolId,
    /// 0 = none.
    pub next_pool_id: PoolId,
    /// Bytes.
    pub migration_high_bytes: u64,
    /// Bytes.
    pub migration_low_bytes: u64,
    /// Seconds.
    pub migration_time: u64,
}

impl PoolRow {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        let limits = VolumeLimits {
            vol_retention: row.get("VolRetention")?,
            cache_retention: row.get("CacheRetention")?,
            vol_use_duration: row.get("VolUseDuration")?,
            max_vol_jobs: row.get("MaxVolJobs")?,
            max_vol_files: row.get("MaxVolFiles")?,
            max_vol_bytes: row.get("MaxVolBytes")?,
            recycle: row.get("Recycle")?,
            action_on_purge: row.get("ActionOnPurge")?,
        };
        Ok(Self {
            id: row.get("PoolId")?,
            name: row.get("Name")?,
            num_vols: row.get("NumVols")?,
            max_vols: row.get("MaxVols")?,
            use_once: row.get("UseOnce")?,
            use_catalog: row.get("UseCatalog")?,
            accept_any_volume: row.get("AcceptAnyVolume")?,
            limits,
            max_pool_bytes: row.get("MaxPoolBytes")?,
            auto_prune: row.get("AutoPrune")?,
            pool_type: row.get("PoolType")?,
            label_type: row.get("LabelType")?,
            label_format: row.get("LabelFormat")?,
            enabled: row.get("Enabled")?,
            scratch_pool_id: row.get("ScratchPoolId")?,
            recycle_pool_id: row.get("RecyclePoolId")?,
            next_pool_id: row.get("NextPoolId")?,
            migration_high_bytes: row.get("MigrationHighBytes")?,
            migration_low_bytes: row.get("MigrationLowBytes")?,
            migration_time: row.get("MigrationTime")?,
        })
    }
}

const INSERT: &str = "INSERT INTO Pool (Name, NumVols, MaxVols, UseOnce, UseCatalog, AcceptAnyVolume, VolRetention, CacheRetention, \
     VolUseDuration, MaxVolJobs, MaxVolFiles, MaxVolBytes, Recycle, ActionOnPurge, MaxPoolBytes, AutoPrune, PoolType, \
     LabelType, LabelFormat, Enabled, ScratchPoolId, RecyclePoolId, NextPoolId, MigrationHighBytes, MigrationLowBytes, MigrationTime) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)";

const UPDATE: &str = "UPDATE Pool SET Name = ?1, NumVols = ?2, MaxVols = ?3, UseOnce = ?4, UseCatalog = ?5, AcceptAnyVolume = ?6, \
     VolRetention = ?7, CacheRetention = ?8, VolUseDuration = ?9, MaxVolJobs = ?10, MaxVolFiles = ?11, MaxVolBytes = ?12, \
     Recycle = ?13, ActionOnPurge = ?14, MaxPoolBytes = ?15, AutoPrune = ?16, PoolType = ?17, LabelType = ?18, LabelFormat = ?19, \
     Enabled = ?20, ScratchPoolId = ?21, RecyclePoolId = ?22, NextPoolId = ?23, MigrationHighBytes = ?24, MigrationLowBytes = ?25, \
     MigrationTime = ?26 WHERE PoolId = ?27";

macro_rules! pool_params {
    ($p:expr $(, $more:expr)?) => {
        params![
            &$p.name, $p.num_vols, $p.max_vols, $p.use_once, $p.use_catalog, $p.accept_any_volume,
            $p.limits.vol_retention, $p.limits.cache_retention, $p.limits.vol_use_duration, $p.limits.max_vol_jobs,
            $p.limits.max_vol_files, $p.limits.max_vol_bytes, $p.limits.recycle, $p.limits.action_on_purge,
            $p.max_pool_bytes, $p.auto_prune, &$p.pool_type, $p.label_type, &$p.label_format, $p.enabled,
            $p.scratch_pool_id, $p.recycle_pool_id, $p.next_pool_id, $p.migration_high_bytes,
            $p.migration_low_bytes, $p.migration_time $(, $more)?
        ]
    };
}

/// Creates the row of a Pool resource where there is none; an existing one keeps its values (they reach the catalog by
/// `update pool`, spec/05 §2.4). `pool.id` is ignored.
///
/// # Errors
/// Those of the database.
pub fn ensure(tx: &WriteTx<'_>, pool: &PoolRow) -> Result<PoolId> {
    match get_by_name(tx, &pool.name)? {
        Some(row) => Ok(row.id),
        None => tx.insert(INSERT, "PoolId", pool_params!(pool)).map(|id| PoolId(id as u32)),
    }
}

/// Writes all columns of `pool` (`update pool`).
///
/// # Errors
/// Those of the database.
pub fn update(tx: &WriteTx<'_>, pool: &PoolRow) -> Result<()> {
    tx.execute(UPDATE, pool_params!(pool, pool.id)).map(drop)
}

/// Sets the links to other Pools, as the configuration names them at start (spec/05 §2.4).
///
/// # Errors
/// Those of the database.
pub fn set_links(tx: &WriteTx<'_>, id: PoolId, recycle: PoolId, scratch: PoolId, next: PoolId) -> Result<()> {
    tx.execute(
        "UPDATE Pool SET RecyclePoolId = ?2, ScratchPoolId = ?3, NextPoolId = ?4 WHERE PoolId = ?1",
        params![id, recycle, scratch, next],
    )
    .map(drop)
}

/// Counts the Volumes of a Pool into `NumVols`.
///
/// # Errors
/// Those of the database.
pub fn recount(tx: &WriteTx<'_>, id: PoolId) -> Result<()> {
    tx.execute(
        "UPDATE Pool SET NumVols = (SELECT count(*) FROM Media WHERE Media.PoolId = ?1) WHERE PoolId = ?1",
        params![id],
    )
    .map(drop)
}

/// Removes a Pool row.
///
/// # Errors
/// Those of the database.
pub fn delete(tx: &WriteTx<'_>, id: PoolId) -> Result<()> {
    tx.execute("DELETE FROM Pool WHERE PoolId = ?1", params![id]).map(drop)
}

/// A Pool by its key.
///
/// # Errors
/// Those of the database.
pub fn get(r: &ReadTx<'_>, id: PoolId) -> Result<Option<PoolRow>> {
    r.one("SELECT * FROM Pool WHERE PoolId = ?1", params![id], PoolRow::from_row)
}

/// A Pool by its name.
///
/// # Errors
/// Those of the database.
pub fn get_by_name(r: &ReadTx<'_>, name: &str) -> Result<Option<PoolRow>> {
    r.one("SELECT * FROM Pool WHERE Name = ?1", params![name], PoolRow::from_row)
}

/// All Pools by name, as the console lists them.
///
/// # Errors
/// Those of the database.
pub fn list(r: &ReadTx<'_>) -> Result<Vec<PoolRow>> {
    r.all("SELECT * FROM Pool ORDER BY Name", &[], PoolRow::from_row)
}

/// Bytes in all Volumes of a Pool (spec/05 §7).
///
/// # Errors
/// Those of the database.
pub fn bytes(r: &ReadTx<'_>, id: PoolId) -> Result<u64> {
    let sum =
        r.scalar("SELECT COALESCE(SUM(VolBytes + VolABytes), 0) FROM Media WHERE PoolId = ?1", params![id])?;
    Ok(sum.unwrap_or(0))
}
