//! I2: a running backup ends `T`, complete, when only Directors die, stand still or are cut off from the catalog.

use types::{JobId, JobStatus};

use crate::world::World;

pub(crate) fn undisturbed_jobs_are_good(world: &mut World) {
    let oracle = &world.oracle;
    let is_bad = |job: &JobId| oracle.ended.get(job).is_some_and(|end| end.status != JobStatus::Terminated);
    let bad: Vec<JobId> = oracle
        .ordered
        .iter()
        .filter(|(job, o)| !o.is_disturbed && is_bad(job))
        .map(|(job, _)| *job)
        .collect();
    for job in bad {
        let status = world.oracle.ended.get(&job).map(|end| end.status);
        world.violate("I2", format!("job {job} ended {status:?}, and nothing had happened to its daemons"));
    }
}
