//! Plans of `policy` executed on the catalog.

use catalog::media::MediaRow;
use catalog::{ReadTx, WriteTx, journal, media, purge};
use policy::volume::{JobOnVolume, VolumePrunePlan};
use types::{JobId, MediaId};

pub use catalog::purge::mark_purged;

/// The jobs with data on a Volume, as a prune plan needs them.
///
/// # Errors
/// Those of the catalog.
pub(super) fn jobs_on(r: &ReadTx<'_>, volume: MediaId) -> catalog::Result<Vec<JobOnVolume>> {
    let ids = media::jobs_on(r, volume)?;
    let rows = catalog::job::get_many(r, &ids)?;
    Ok(rows.iter().map(|row| JobOnVolume { job: row.id, tdate: row.tdate, status: row.status }).collect())
}

/// Deletes jobs with all their rows; returns the copies that were promoted to Backups.
///
/// # Errors
/// Those of the catalog.
pub fn delete_jobs(tx: &WriteTx<'_>, jobs: &[JobId]) -> catalog::Result<Vec<JobId>> {
    purge::delete_jobs(tx, jobs)
}

/// Executes a Volume's prune plan and marks the Volume Purged when nothing is left on it, and no unfinished job but `by` may have
/// more on it. Returns the promoted copies.
///
/// # Errors
/// Those of the catalog.
pub fn execute_volume_prune(
    tx: &WriteTx<'_>,
    volume: &mut MediaRow,
    plan: &VolumePrunePlan,
    by: JobId,
) -> catalog::Result<Vec<JobId>> {
    tracing::info!(%plan, "prune a Volume");
    let promoted = purge::delete_jobs(tx, &plan.delete)?;
    let is_free = purge::is_empty(tx, volume.id)? && !journal::is_in_hand(tx, &volume.volume_name, by)?;
    if plan.purges() && is_free {
        purge::mark_purged(tx, volume)?;
    }
    Ok(promoted)
}
