//! I4: no stale Director can overwrite a Volume; nothing is overwritten that a job of the catalog needs.

use types::{ActivationId, Epoch, JobId, VolTime};

use crate::world::World;

/// A Storage Daemon is about to overwrite what is on a Volume, on the word of an activation.
pub(crate) fn overwritten(
    world: &mut World,
    at: usize,
    volume: &str,
    labelled: VolTime,
    by: Option<(Epoch, ActivationId)>,
) {
    world.oracle.counts.recycled += 1;
    let last = world.oracle.activations.last().map(|hold| (hold.epoch, hold.activation));
    if by != last {
        let by = by.map(|(epoch, _)| epoch);
        let last = last.map(|(epoch, _)| epoch);
        world.violate("I4", format!("Volume {volume} was overwritten for epoch {by:?}; {last:?} is active"));
    }
    world.oracle.overwritten.insert((at, volume.to_owned(), labelled));
    let name = volume.to_owned();
    let needed = world.database.observe(move |r| {
        let Some(media) = catalog::media::get_by_name(r, &name)? else { return Ok(Vec::new()) };
        let mut good: Vec<JobId> = Vec::new();
        for job in catalog::media::jobs_on(r, media.id)? {
            let row = catalog::job::get(r, job)?;
            good.extend(row.filter(|row| row.status.is_success()).map(|row| row.id));
        }
        Ok(good)
    });
    match needed {
        Ok(jobs) if jobs.is_empty() => {}
        Ok(jobs) => {
            world.violate("I4", format!("Volume {volume} was overwritten, and jobs {jobs:?} need it"));
        }
        Err(error) => world.violate("I4", format!("jobs on Volume {volume}: {error}")),
    }
}
