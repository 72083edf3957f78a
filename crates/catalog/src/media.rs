//! Media rows: the Volumes (spec/05 §2.3).

use crate::error::{CatalogError, Result};
use crate::highwater;
use crate::params;
use crate::pool::VolumeLimits;
use crate::tx::{ReadTx, WriteTx};
use crate::value::{Instant, Row};
use types::VolStatus;
use types::{JobId, MediaId, PoolId, StorageId, Timestamp};

/// A row of `Media`. Sizes in bytes, spans in seconds unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are the columns of spec/05 §2.3, in Rust's spelling")]
pub struct MediaRow {
    pub id: MediaId,
    pub volume_name: String,
    pub slot: i32,
    pub pool_id: PoolId,
    pub media_type: String,
    pub label_type: u32,
    pub first_written: Option<Timestamp>,
    pub last_written: Option<Timestamp>,
    pub label_date: Option<Timestamp>,
    pub initial_write: Option<Timestamp>,
    pub vol_jobs: u32,
    pub vol_files: u32,
    pub vol_blocks: u32,
    pub vol_parts: u32,
    pub vol_cloud_parts: u32,
    pub vol_mounts: u32,
    pub vol_errors: u32,
    pub vol_bytes: u64,
    pub vol_abytes: u64,
    pub vol_apadding: u64,
    pub vol_hole_bytes: u64,
    pub vol_holes: u32,
    pub vol_type: u32,
    pub vol_writes: u64,
    pub vol_capacity_bytes: u64,
    pub last_part_bytes: u64,
    pub status: VolStatus,
    /// 0 no, 1 yes, 2 archived.
    pub enabled: u32,
    pub limits: VolumeLimits,
    pub in_changer: bool,
    pub storage_id: StorageId,
    /// Microseconds.
    pub vol_read_time: u64,
    /// Microseconds.
    pub vol_write_time: u64,
    pub end_file: u32,
    pub end_block: u32,
    pub recycle_count: u32,
    pub scratch_pool_id: PoolId,
    pub recycle_pool_id: PoolId,
    pub protected: bool,
    pub use_protect: bool,
    pub vol_encrypted: bool,
    pub comment: String,
}

impl MediaRow {
    /// A new, unwritten Volume; `id` is given by [`create`].
    #[must_use]
    pub fn new(volume_name: &str, pool_id: PoolId, media_type: &str, limits: VolumeLimits) -> Self {
        Self {
            id: MediaId(0),
            volume_name: volume_name.to_owned(),
            slot: 0,
            pool_id,
            media_type: media_type.to_owned(),
            label_type: 0,
            first_written: None,
            last_written: None,
            label_date: None,
            initial_write: None,
            vol_jobs: 0,
            vol_files: 0,
            vol_blocks: 0,
            vol_parts: 0,
            vol_cloud_parts: 0,
            vol_mounts: 0,
            vol_errors: 0,
            vol_bytes: 0,
            vol_abytes: 0,
            vol_apadding: 0,
            vol_hole_bytes: 0,
            vol_holes: 0,
            vol_type: 0,
            vol_writes: 0,
            vol_capacity_bytes: 0,
            last_part_bytes: 0,
            status: VolStatus::Append,
            enabled: 1,
            limits,
            in_changer: false,
            storage_id: StorageId(0),
            vol_read_time: 0,
            vol_write_time: 0,
            end_file: 0,
            end_block: 0,
            recycle_count: 0,
            scratch_pool_id: PoolId(0),
            recycle_pool_id: PoolId(0),
            protected: false,
            use_protect: false,
            vol_encrypted: false,
            comment: String::new(),
        }
    }

    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self> {
        let status: String = row.get("VolStatus")?;
        let status = VolStatus::parse(&status).ok_or_else(|| CatalogError::BadValue {
            column: "VolStatus".to_owned(),
            problem: format!("holds {status:?}, which is no status of a Volume"),
        })?;
        Ok(Self {
            id: row.get("MediaId")?,
            volume_name: row.get("VolumeName")?,
            slot: row.get("Slot")?,
            pool_id: row.get("PoolId")?,
            media_type: row.get("MediaType")?,
            label_type: row.get("LabelType")?,
            first_written: row.get::<Instant>("FirstWritten")?.0,
            last_written: row.get::<Instant>("LastWritten")?.0,
            label_date: row.get::<Instant>("LabelDate")?.0,
            initial_write: row.get::<Instant>("InitialWrite")?.0,
            vol_jobs: row.get("VolJobs")?,
            vol_files: row.get("VolFiles")?,
            vol_blocks: row.get("VolBlocks")?,
            vol_parts: row.get("VolParts")?,
            vol_cloud_parts: row.get("VolCloudParts")?,
            vol_mounts: row.get("VolMounts")?,
            vol_errors: row.get("VolErrors")?,
            vol_bytes: row.get("VolBytes")?,
            vol_abytes: row.get("VolABytes")?,
            vol_apadding: row.get("VolAPadding")?,
            vol_hole_bytes: row.get("VolHoleBytes")?,
            vol_holes: row.get("VolHoles")?,
            vol_type: row.get("VolType")?,
            vol_writes: row.get("VolWrites")?,
            vol_capacity_bytes: row.get("VolCapacityBytes")?,
            last_part_bytes: row.get("LastPartBytes")?,
            status,
            enabled: row.get("Enabled")?,
            limits: VolumeLimits {
                vol_retention: row.get("VolRetention")?,
                cache_retention: row.get("CacheRetention")?,
                vol_use_duration: row.get("VolUseDuration")?,
                max_vol_jobs: row.get("MaxVolJobs")?,
                max_vol_files: row.get("MaxVolFiles")?,
                max_vol_bytes: row.get("MaxVolBytes")?,
                recycle: row.get("Recycle")?,
                action_on_purge: row.get("ActionOnPurge")?,
            },
            in_changer: row.get("InChanger")?,
            storage_id: row.get("StorageId")?,
            vol_read_time: row.get("VolReadTime")?,
            vol_write_time: row.get("VolWriteTime")?,
            end_file: row.get("EndFile")?,
            end_block: row.get("EndBlock")?,
            recycle_count: row.get("RecycleCount")?,
            scratch_pool_id: row.get("ScratchPoolId")?,
            recycle_pool_id: row.get("RecyclePoolId")?,
            protected: row.get("Protected")?,
            use_protect: row.get("UseProtect")?,
            vol_encrypted: row.get("VolEncrypted")?,
            comment: row.get("Comment")?,
        })
    }
}

const INSERT: &str = "INSERT INTO Media (MediaId, VolumeName, Slot, PoolId, MediaType, LabelType, FirstWritten, LastWritten, LabelDate, \
     InitialWrite, VolJobs, VolFiles, VolBlocks, VolParts, VolCloudParts, VolMounts, VolErrors, VolBytes, VolABytes, VolAPadding, \
     VolHoleBytes, VolHoles, VolType, VolWrites, VolCapacityBytes, LastPartBytes, VolStatus, Enabled, VolRetention, CacheRetention, \
     VolUseDuration, MaxVolJobs, MaxVolFiles, MaxVolBytes, Recycle, ActionOnPurge, InChanger, StorageId, VolReadTime, VolWriteTime, \
     EndFile, EndBlock, RecycleCount, ScratchPoolId, RecyclePoolId, Protected, UseProtect, VolEncrypted, Comment) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, \
     ?27, ?28, ?29, ?30, ?31, ?32, ?33, ?34, ?35, ?36, ?37, ?38, ?39, ?40, ?41, ?42, ?43, ?44, ?45, ?46, ?47, ?48, ?49)";

const UPDATE: &str = "UPDATE Media SET VolumeName = ?2, Slot = ?3, PoolId = ?4, MediaType = ?5, LabelType = ?6, FirstWritten = ?7, \
     LastWritten = ?8, LabelDate = ?9, InitialWrite = ?10, VolJobs = ?11, VolFiles = ?12, VolBlocks = ?13, VolParts = ?14, \
     VolCloudParts = ?15, VolMounts = ?16, VolErrors = ?17, VolBytes = ?18, VolABytes = ?19, VolAPadding = ?20, VolHoleBytes = ?21, \
     VolHoles = ?22, VolType = ?23, VolWrites = ?24, VolCapacityBytes = ?25, LastPartBytes = ?26, VolStatus = ?27, Enabled = ?28, \
     VolRetention = ?29, CacheRetention = ?30, VolUseDuration = ?31, MaxVolJobs = ?32, MaxVolFiles = ?33, MaxVolBytes = ?34, \
     Recycle = ?35, ActionOnPurge = ?36, InChanger = ?37, StorageId = ?38, VolReadTime = ?39, VolWriteTime = ?40, EndFile = ?41, \
     EndBlock = ?42, RecycleCount = ?43, ScratchPoolId = ?44, RecyclePoolId = ?45, Protected = ?46, UseProtect = ?47, \
     VolEncrypted = ?48, Comment = ?49 WHERE MediaId = ?1";

macro_rules! media_params {
    ($tx:expr, $id:expr, $m:expr) => {
        params![
            $id,
            &$m.volume_name,
            $m.slot,
            $m.pool_id,
            &$m.media_type,
            $m.label_type,
            $tx.local_or_unset($m.first_written),
            $tx.local_or_unset($m.last_written),
            $tx.local_or_unset($m.label_date),
            $tx.local_or_unset($m.initial_write),
            $m.vol_jobs,
            $m.vol_files,
            $m.vol_blocks,
            $m.vol_parts,
            $m.vol_cloud_parts,
            $m.vol_mounts,
            $m.vol_errors,
            $m.vol_bytes,
            $m.vol_abytes,
            $m.vol_apadding,
            $m.vol_hole_bytes,
            $m.vol_holes,
            $m.vol_type,
            $m.vol_writes,
            $m.vol_capacity_bytes,
            $m.last_part_bytes,
            $m.status.as_str(),
            $m.enabled,
            $m.limits.vol_retention,
            $m.limits.cache_retention,
            $m.limits.vol_use_duration,
            $m.limits.max_vol_jobs,
            $m.limits.max_vol_files,
            $m.limits.max_vol_bytes,
            $m.limits.recycle,
            $m.limits.action_on_purge,
            $m.in_changer,
            $m.storage_id,
            $m.vol_read_time,
            $m.vol_write_time,
            $m.end_file,
            $m.end_block,
            $m.recycle_count,
            $m.scratch_pool_id,
            $m.recycle_pool_id,
            $m.protected,
            $m.use_protect,
            $m.vol_encrypted,
            &$m.comment
        ]
    };
}

/// Creates a Volume; its id is above every id ever given out, also of deleted Volumes (I8). Counts the Pool's Volumes anew.
///
/// # Errors
/// [`CatalogError::Conflict`] when the name exists; those of the database.
pub fn create(tx: &WriteTx<'_>, media: &MediaRow) -> Result<MediaId> {
    let id = MediaId(highwater::next(tx, highwater::Sequence::MediaId)?);
    tx.insert(INSERT, "MediaId", media_params!(tx, id, media))?;
    crate::pool::recount(tx, media.pool_id)?;
    Ok(id)
}

/// Writes all columns.
///
/// # Errors
/// [`CatalogError::Refused`] when there is no such Volume; those of the database.
pub fn update(tx: &WriteTx<'_>, media: &MediaRow) -> Result<()> {
    match tx.execute(UPDATE, media_params!(tx, media.id, media))? {
        0 => Err(CatalogError::Refused(format!("Volume \"{}\" is not in the catalog", media.volume_name))),
        _ => Ok(()),
    }
}

/// Moves a Volume to another Pool and counts both Pools anew.
///
/// # Errors
/// Those of the database.
pub fn move_to_pool(tx: &WriteTx<'_>, media: &mut MediaRow, to: PoolId) -> Result<()> {
    let from = media.pool_id;
    media.pool_id = to;
    update(tx, media)?;
    crate::pool::recount(tx, from)?;
    crate::pool::recount(tx, to)
}

/// Says that Volumes lie at another Storage now.
///
/// # Errors
/// Those of the database.
pub fn relocate(tx: &WriteTx<'_>, ids: &[MediaId], to: StorageId) -> Result<()> {
    for id in ids {
        tx.execute("UPDATE Media SET StorageId = ?2 WHERE MediaId = ?1", params![*id, to])?;
    }
    Ok(())
}

/// The Volumes at a Storage, by key.
///
/// # Errors
/// Those of the database; [`CatalogError::BadValue`].
pub fn list_at(r: &ReadTx<'_>, storage: StorageId) -> Result<Vec<MediaRow>> {
    r.all("SELECT * FROM Media WHERE StorageId = ?1 ORDER BY MediaId", params![storage], MediaRow::from_row)
}

/// A Volume by its key.
///
/// # Errors
/// Those of the database; [`CatalogError::BadValue`].
pub fn get(r: &ReadTx<'_>, id: MediaId) -> Result<Option<MediaRow>> {
    r.one("SELECT * FROM Media WHERE MediaId = ?1", params![id], MediaRow::from_row)
}

/// A Volume by its name.
///
/// # Errors
/// Those of the database; [`CatalogError::BadValue`].
pub fn get_by_name(r: &ReadTx<'_>, name: &str) -> Result<Option<MediaRow>> {
    r.one("SELECT * FROM Media WHERE VolumeName = ?1", params![name], MediaRow::from_row)
}

/// All Volumes of a Pool (of all, for none) by key.
///
/// # Errors
/// Those of the database; [`CatalogError::BadValue`].
pub fn list(r: &ReadTx<'_>, pool: Option<PoolId>) -> Result<Vec<MediaRow>> {
    match pool {
        Some(pool) => {
            r.all("SELECT * FROM Media WHERE PoolId = ?1 ORDER BY MediaId", params![pool], MediaRow::from_row)
        }
        None => r.all("SELECT * FROM Media ORDER BY MediaId", &[], MediaRow::from_row),
    }
}

/// The candidates for writing: Volumes of one Media Type in one Pool, and those that would come back to it when recycled
/// (spec/04 §5.2). The choice among them is `policy`'s.
///
/// # Errors
/// Those of the database; [`CatalogError::BadValue`].
pub fn find_candidates(r: &ReadTx<'_>, pool: PoolId, media_type: &str) -> Result<Vec<MediaRow>> {
    r.all(
        "SELECT * FROM Media WHERE MediaType = ?2 AND (PoolId = ?1 OR RecyclePoolId = ?1) ORDER BY MediaId",
        params![pool, media_type],
        MediaRow::from_row,
    )
}

/// The Volumes that a job is on, in the order of its pieces.
///
/// # Errors
/// Those of the database; [`CatalogError::BadValue`].
pub fn list_of_job(r: &ReadTx<'_>, job: JobId) -> Result<Vec<MediaRow>> {
    r.all(
        "SELECT Media.* FROM Media JOIN (SELECT MediaId, MIN(VolIndex) AS First FROM JobMedia WHERE JobId = ?1 GROUP BY MediaId) Used \
         ON Used.MediaId = Media.MediaId ORDER BY Used.First, Media.MediaId",
        params![job],
        MediaRow::from_row,
    )
}

/// Jobs that have pieces on a Volume.
///
/// # Errors
/// Those of the database.
pub fn jobs_on(r: &ReadTx<'_>, id: MediaId) -> Result<Vec<JobId>> {
    r.all("SELECT DISTINCT JobId FROM JobMedia WHERE MediaId = ?1 ORDER BY JobId", params![id], |row| {
        row.at(0)
    })
}

/// The highest key ever given out: automatic names count from it (spec/04 §5.4).
///
/// # Errors
/// Those of the database.
pub fn highest_id(r: &ReadTx<'_>) -> Result<MediaId> {
    highwater::highest(r, highwater::Sequence::MediaId).map(MediaId)
}
