//! I5: each due run happens exactly once; each job reaches exactly one final state in bounded time.

use types::JobId;

use crate::plan::DUE_END;
use crate::world::World;

pub(crate) fn all_is_over(world: &mut World) {
    let open: Vec<JobId> =
        world.oracle.ordered.keys().filter(|job| !world.oracle.ended.contains_key(job)).copied().collect();
    if !open.is_empty() {
        world.violate("I5", format!("jobs {open:?} have no final state"));
    }
    let unfinished = world.database.observe(|r| {
        Ok(catalog::job::list_unfinished(r)?.into_iter().map(|row| (row.id, row.status)).collect::<Vec<_>>())
    });
    match unfinished {
        Ok(rows) if rows.is_empty() => {}
        Ok(rows) => world.violate("I5", format!("the catalog has unfinished jobs: {rows:?}")),
        Err(error) => world.violate("I5", format!("unfinished jobs: {error}")),
    }
    let runs = DUE_END / 1000 / (world.plan.period / 1000);
    let wanted = usize::try_from(runs).unwrap_or(0) * world.plan.clients;
    if world.oracle.due.len() != wanted {
        world.violate("I5", format!("{wanted} runs were due, {} happened", world.oracle.due.len()));
    }
}
