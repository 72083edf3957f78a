//! I9: a Volume is never shorter than the catalog says.

use types::VolStatus;

use crate::storage::volume_path;
use crate::world::World;

/// A Storage Daemon finds a Volume shorter than what it, or the catalog, knows.
pub(crate) fn short(world: &mut World, at: usize, volume: &str, size: u64, known: u64) {
    world
        .violate("I9", format!("Volume {volume} of Storage Daemon {at} has {size} bytes, {known} are known"));
}

/// When all has healed.
pub(crate) fn volumes_are_as_long_as_known(world: &mut World) {
    let read = world.database.observe(|r| {
        let rows = catalog::media::list(r, None)?;
        Ok(rows.into_iter().map(|row| (row.volume_name, row.vol_bytes, row.status)).collect::<Vec<_>>())
    });
    for (volume, known, status) in read.unwrap_or_default() {
        let at = volume.trim_start_matches('v').split('-').next().and_then(|at| at.parse::<usize>().ok());
        let Some(daemon) = at.and_then(|at| world.storages.get(at)) else { continue };
        let size = daemon.disk().synced(&volume_path(&volume)).map_or(0, |bytes| bytes.len() as u64);
        // One that is to be overwritten says nothing of what is on it.
        let counts = !matches!(status, VolStatus::Recycle | VolStatus::Purged);
        if counts && size < known {
            world.violate(
                "I9",
                format!("Volume {volume} has {size} bytes on stable storage, the catalog says {known}"),
            );
        }
    }
}
