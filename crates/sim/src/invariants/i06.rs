//! I6: a job reported `T` is on stable storage, its rows are committed, and it restores byte for byte.

use std::collections::BTreeMap;

use catalog::jobmedia::JobMediaRow;
use types::{JobId, JobStatus, VolSession};
use volume::{Assembler, Block, Verify};

use crate::oracle::{Ended, content, file_count};
use crate::storage::volume_path;
use crate::world::World;

/// The end of a job was committed.
pub(crate) fn ended(world: &mut World, job: JobId, status: JobStatus) {
    let ended = Ended { status };
    if let Some(before) = world.oracle.ended.insert(job, ended) {
        world.violate("I5", format!("job {job} ended {:?}, then {status:?}", before.status));
    }
    let counts = &mut world.oracle.counts;
    match status {
        JobStatus::Terminated => counts.good += 1,
        JobStatus::Incomplete => counts.incomplete += 1,
        _ => counts.failed += 1,
    }
    if status == JobStatus::Terminated {
        super::i03::rows_are_complete(world, job);
        restore(world, job);
    }
}

/// When all has healed: whatever the catalog still calls good.
pub(crate) fn good_jobs_can_be_restored(world: &mut World) {
    let good: Vec<JobId> = world
        .oracle
        .ended
        .iter()
        .filter(|(_, end)| end.status == JobStatus::Terminated)
        .map(|(job, _)| *job)
        .collect();
    for job in good {
        let row = world.database.observe(move |r| catalog::job::get(r, job));
        match row {
            Ok(Some(row)) if row.status == JobStatus::Terminated => {
                super::i03::rows_are_complete(world, job);
                restore(world, job);
            }
            Ok(Some(row)) => world.violate("I5", format!("job {job} ended T and is {:?} now", row.status)),
            // Pruned: only after its retention.
            Ok(None) => pruned(world, job),
            Err(error) => world.violate("I6", format!("job {job}: {error}")),
        }
    }
}

fn pruned(world: &mut World, job: JobId) {
    // Counted from its start, which is not before it was created.
    let Some(ordered) = world.oracle.ordered.get(&job) else { return };
    let age_s = (world.now - ordered.created) / 1000;
    let retention = world.plan.retention_s;
    if age_s < retention {
        world.violate("I6", format!("job {job} is gone after {age_s} s; its retention is {retention} s"));
    }
}

/// Reads a job back from what is on stable storage, by its rows alone.
fn restore(world: &mut World, job: JobId) {
    world.oracle.counts.restored += 1;
    let read = world.database.observe(move |r| {
        let row = catalog::job::get(r, job)?;
        Ok((row.map(|row| row.session), catalog::jobmedia::list(r, job)?))
    });
    let (session, pieces) = match read {
        Ok((Some(session), pieces)) => (session, pieces),
        Ok((None, _)) => return world.violate("I6", format!("job {job} has no row")),
        Err(error) => return world.violate("I6", format!("pieces of job {job}: {error}")),
    };
    let Some(at) = world.oracle.ordered.get(&job).map(|ordered| ordered.storage) else { return };
    let disk = world.storages[at].disk();
    let mut found: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    let mut assembler = Assembler::new();
    for piece in &pieces {
        let Some(bytes) = disk.synced(&volume_path(&piece.volume_name)) else {
            return world.violate("I6", format!("job {job}: Volume {} is not there", piece.volume_name));
        };
        if let Err(problem) = read_piece(&bytes, session, piece, &mut assembler, &mut found) {
            return world.violate("I6", format!("job {job}: Volume {}: {problem}", piece.volume_name));
        }
    }
    let files = file_count(world.plan.seed, job, world.plan.files_max);
    for index in 1..=files {
        let wanted = content(world.plan.seed, job, index, world.plan.file_bytes_max);
        if found.get(&index) != Some(&wanted) {
            let got = found.get(&index).map(Vec::len);
            let what = format!("file {index} of job {job} has {} bytes, restored were {got:?}", wanted.len());
            return world.violate("I6", what);
        }
    }
}

fn read_piece(
    volume: &[u8],
    session: VolSession,
    row: &JobMediaRow,
    assembler: &mut Assembler,
    found: &mut BTreeMap<u32, Vec<u8>>,
) -> Result<(), String> {
    let (mut at, end) = (place(row.piece.start.0), place(row.piece.end.0) + 1);
    if volume.len() < end {
        return Err(format!("it has {} bytes, the piece ends at {end}", volume.len()));
    }
    while at < end {
        let block =
            Block::decode(&volume[at..], Verify::Checksum).map_err(|e| format!("block at {at}: {e}"))?;
        at += block.bytes().len();
        if block.header.session != session {
            continue;
        }
        for piece in block.pieces() {
            let (before, record) = assembler.push(&piece);
            let mut keep = |record: volume::Record<'_>| {
                if record.stream == 2 && record.index.0 > 0 {
                    found.insert(record.index.0.cast_unsigned(), record.data.into_owned());
                }
            };
            if let Some(record) = before {
                keep(record);
            }
            if let Some(record) = record {
                keep(record);
            }
        }
    }
    Ok(())
}

fn place(address: u64) -> usize {
    usize::try_from(address).unwrap_or(usize::MAX - 1)
}
