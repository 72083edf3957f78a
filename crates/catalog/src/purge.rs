//! Removal of jobs, files and what hangs on them, in the order of spec/05 §7. The decisions are `policy`'s plans.

use crate::error::Result;
use crate::media::{self, MediaRow};
use crate::params;
use crate::pool;
use crate::tx::{ReadTx, WriteTx};
use types::{JobId, MediaId, PoolId, VolStatus};

/// Tables that hold rows of a job's files.
const FILE_TABLES: &[&str] = &[
    "DELETE FROM TagJob WHERE JobId = ?1",
    "DELETE FROM File WHERE JobId = ?1",
    "DELETE FROM FileMedia WHERE JobId = ?1",
    "DELETE FROM BaseFiles WHERE JobId = ?1",
    "DELETE FROM PathVisibility WHERE JobId = ?1",
];

/// The rest of a job's rows.
const JOB_TABLES: &[&str] = &[
    "DELETE FROM JobMedia WHERE JobId = ?1",
    "DELETE FROM Log WHERE JobId = ?1",
    "DELETE FROM Object WHERE JobId = ?1",
    "DELETE FROM RestoreObject WHERE JobId = ?1",
    "UPDATE Snapshot SET JobId = 0 WHERE JobId = ?1",
    "DELETE FROM hf_plan WHERE JobId = ?1",
    "DELETE FROM hf_script WHERE JobId = ?1",
    "DELETE FROM hf_request WHERE JobId = ?1",
    "DELETE FROM hf_journal WHERE JobId = ?1",
];

/// Removes the File rows of a job and what belongs to them; the job stays.
///
/// # Errors
/// Those of the database.
pub fn purge_files(tx: &WriteTx<'_>, job: JobId) -> Result<()> {
    for sql in FILE_TABLES {
        tx.execute(sql, params![job])?;
    }
    tx.execute("UPDATE Job SET PurgedFiles = 1 WHERE JobId = ?1", params![job]).map(drop)
}

/// Removes jobs altogether and promotes the oldest copy of each. Returns the promoted copies.
///
/// An attempt that is open is closed and stays, so that a journal that comes late is told so.
///
/// # Errors
/// Those of the database.
pub fn delete_jobs(tx: &WriteTx<'_>, jobs: &[JobId]) -> Result<Vec<JobId>> {
    for job in jobs {
        purge_files(tx, *job)?;
        for sql in JOB_TABLES {
            tx.execute(sql, params![*job])?;
        }
        tx.execute(
            "UPDATE hf_attempt SET State = 'closed' WHERE JobId = ?1 AND State = 'open'",
            params![*job],
        )?;
    }
    let promoted = promote_copies(tx, jobs)?;
    for job in jobs {
        tx.execute("DELETE FROM Job WHERE JobId = ?1", params![*job])?;
    }
    Ok(promoted)
}

/// For each removed job the copy with the smallest JobId becomes a Backup (spec/04 §6.3); also where the removed one is
/// itself a promoted copy.
fn promote_copies(tx: &WriteTx<'_>, removed: &[JobId]) -> Result<Vec<JobId>> {
    let mut promoted = Vec::new();
    for job in removed {
        let origin: Option<JobId> = tx.scalar(
            "SELECT CASE WHEN PriorJobId > 0 THEN PriorJobId ELSE JobId END FROM Job WHERE JobId = ?1 AND Type = 'B'",
            params![*job],
        )?;
        let Some(origin) = origin else { continue };
        let copy = tx.all(
            "SELECT JobId FROM Job WHERE Type = 'C' AND PriorJobId = ?1 AND JobStatus IN ('T', 'W') ORDER BY JobId",
            params![origin],
            |row| row.at::<JobId>(0),
        )?;
        let Some(copy) = copy.into_iter().find(|id| !removed.contains(id)) else { continue };
        tx.execute("UPDATE Job SET Type = 'B' WHERE JobId = ?1", params![copy])?;
        promoted.push(copy);
    }
    Ok(promoted)
}

/// Whether no job has data on the Volume.
///
/// # Errors
/// Those of the database.
pub fn is_empty(r: &ReadTx<'_>, id: MediaId) -> Result<bool> {
    let found: Option<i64> = r.scalar("SELECT 1 FROM JobMedia WHERE MediaId = ?1 LIMIT 1", params![id])?;
    Ok(found.is_none())
}

/// Marks an empty, once written Volume as Purged, and moves it to its recycle Pool unless that is full (spec/04 §5.3).
///
/// # Errors
/// Those of the database.
pub fn mark_purged(tx: &WriteTx<'_>, volume: &mut MediaRow) -> Result<()> {
    volume.status = VolStatus::Purged;
    let to = volume.recycle_pool_id;
    let room = match to {
        PoolId(0) => None,
        to if to == volume.pool_id => None,
        to => pool::get(tx, to)?.filter(|row| row.max_vols == 0 || row.num_vols < row.max_vols),
    };
    match room {
        Some(target) => media::move_to_pool(tx, volume, target.id),
        None => media::update(tx, volume),
    }
}

/// Prepares a Purged Volume for being written anew: counters at zero, one recycling more (spec/04 §5.1). The SD relabels it.
///
/// # Errors
/// Those of the database.
pub fn recycle(tx: &WriteTx<'_>, volume: &mut MediaRow) -> Result<()> {
    volume.status = VolStatus::Recycle;
    (volume.vol_jobs, volume.vol_files, volume.vol_blocks, volume.vol_errors) = (0, 0, 0, 0);
    volume.vol_bytes = 1;
    (volume.first_written, volume.last_written) = (None, None);
    volume.recycle_count = volume.recycle_count.saturating_add(1);
    media::update(tx, volume)
}

/// Deletes a Volume with all jobs on it. Returns the promoted copies of those jobs.
///
/// # Errors
/// Those of the database.
pub fn delete_volume(tx: &WriteTx<'_>, volume: &MediaRow) -> Result<Vec<JobId>> {
    let jobs = media::jobs_on(tx, volume.id)?;
    let promoted = delete_jobs(tx, &jobs)?;
    for sql in [
        "DELETE FROM Media WHERE MediaId = ?1",
        "DELETE FROM TagMedia WHERE MediaId = ?1",
        "DELETE FROM hf_volume WHERE MediaId = ?1",
        "DELETE FROM hf_unowned WHERE MediaId = ?1",
    ] {
        tx.execute(sql, params![volume.id])?;
    }
    pool::recount(tx, volume.pool_id)?;
    Ok(promoted)
}
