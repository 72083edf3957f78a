//! I3: each stored file is in the catalog exactly once when its job ends.

use std::collections::BTreeMap;

use types::JobId;

use crate::oracle::{file_count, file_name};
use crate::world::World;

/// Checks the rows of a job that ended `T`.
pub(crate) fn rows_are_complete(world: &mut World, job: JobId) {
    let read = world.database.observe(move |r| {
        let mut rows: Vec<(i32, String)> = Vec::new();
        catalog::file::for_each_of_job(r, job, |row| {
            let mut name = row.path.clone();
            name.extend_from_slice(&row.name);
            rows.push((row.file_index.0, String::from_utf8_lossy(&name).into_owned()));
            Ok(())
        })?;
        Ok(rows)
    });
    let rows = match read {
        Ok(rows) => rows,
        Err(error) => return world.violate("I3", format!("rows of job {job}: {error}")),
    };
    let mut found: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for (index, name) in rows {
        found.entry(index).or_default().push(name);
    }
    let files = file_count(world.plan.seed, job, world.plan.files_max);
    let wanted: BTreeMap<i32, Vec<String>> =
        (1..=files).map(|index| (index.cast_signed(), vec![file_name(job, index)])).collect();
    if found != wanted {
        let count: usize = found.values().map(Vec::len).sum();
        world.violate(
            "I3",
            format!("job {job} has {files} files and {count} rows of {} of them", found.len()),
        );
    }
}
