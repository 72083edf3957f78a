//! What copies ask and change.

use super::{Fixture, done, empty_pool, job_end, new_file, volume};
use catalog::file::Ingest;
use catalog::jobmedia::{self, Piece};
use catalog::media::{self, MediaRow};
use catalog::{WriteTx, copies, file, job, log, pool};
use types::{FileIndex, JobId, JobLevel, JobStatus, JobType, PoolId, Timestamp, VolAddr, VolStatus};

fn in_pool(tx: &WriteTx<'_>, name: &str, at: i64, pool_id: PoolId) -> catalog::Result<JobId> {
    let id = done(tx, name, JobLevel::Full, at)?;
    job::end(tx, id, &job::JobEnd { pool_id, ..job_end(JobLevel::Full, at) })?;
    Ok(id)
}

fn copy_of(
    tx: &WriteTx<'_>,
    original: JobId,
    at: i64,
    pool_id: PoolId,
    status: JobStatus,
) -> catalog::Result<JobId> {
    let id = done(tx, "copy", JobLevel::Full, at)?;
    let end = job::JobEnd { pool_id, status, prior_job_id: original, ..job_end(JobLevel::Full, 0) };
    job::end(tx, id, &end)?;
    job::set_type(tx, id, JobType::JobCopy)?;
    Ok(id)
}

pub(super) async fn a_pool_tells_what_may_be_copied(f: &Fixture) {
    let (ids, pool_id) = f
        .write(|tx| {
            let pool_id = pool::ensure(tx, &empty_pool("Near"))?;
            let far = pool::ensure(tx, &empty_pool("Far"))?;
            let (first, second) = (in_pool(tx, "a", 10, pool_id)?, in_pool(tx, "b", 0, pool_id)?);
            let elsewhere = in_pool(tx, "c", 20, far)?;
            let failed = in_pool(tx, "d", 30, pool_id)?;
            job::set_status(tx, failed, JobStatus::FatalError)?;
            copy_of(tx, first, 40, far, JobStatus::Terminated)?;
            copy_of(tx, second, 50, far, JobStatus::Incomplete)?;
            let media_id =
                media::create(tx, &MediaRow { pool_id, status: VolStatus::Full, ..volume("Vol-1") })?;
            media::create(tx, &MediaRow { pool_id, ..volume("Vol-2") })?;
            for id in [second, elsewhere] {
                let (first_index, last_index) = (FileIndex(1), FileIndex(2));
                let piece = Piece { first_index, last_index, start: VolAddr(0), end: VolAddr(9), media_id };
                jobmedia::create(tx, id, &[piece, piece])?;
            }
            Ok(([first, second, elsewhere], pool_id))
        })
        .await;
    let jobs = f.catalog.read(move |r| copies::pool_jobs(r, pool_id)).await.unwrap();
    let seen: Vec<_> = jobs.iter().map(|j| (j.id, j.is_in_pool, j.is_copied)).collect();
    let [first, second, elsewhere] = ids;
    assert_eq!(seen, [(second, true, false), (first, true, true), (elsewhere, false, false)]);
    assert_eq!((jobs[0].name.as_str(), jobs[0].job_type), ("b", JobType::Backup));
    let volumes = f.catalog.read(move |r| copies::pool_volumes(r, pool_id)).await.unwrap();
    let seen: Vec<_> = volumes.iter().map(|v| (v.name.as_str(), v.status, v.jobs.clone())).collect();
    assert_eq!(
        seen,
        [("Vol-1", VolStatus::Full, vec![second, elsewhere]), ("Vol-2", VolStatus::Append, Vec::new())]
    );
}

pub(super) async fn a_copy_is_compared_and_completed(f: &Fixture) {
    let (original, copy, open, far) = f
        .write(|tx| {
            let far = pool::ensure(tx, &empty_pool("Far"))?;
            let original = done(tx, "n", JobLevel::Full, 0)?;
            let copy = copy_of(tx, original, 10, far, JobStatus::Terminated)?;
            let open = copy_of(tx, original, 20, far, JobStatus::Incomplete)?;
            for id in [original, copy] {
                Ingest::new(id, false).insert(
                    tx,
                    &[new_file(1, b"/", b"x"), new_file(2, b"/", b"y")],
                    None,
                )?;
            }
            log::append(tx, original, Timestamp(5), "said\n")?;
            Ok((original, copy, open, far))
        })
        .await;
    let differ = move |r: &catalog::ReadTx<'_>| copies::count_differences(r, original, copy);
    assert_eq!(f.catalog.read(differ).await.unwrap(), 0);
    let incomplete = f.catalog.read(move |r| copies::find_incomplete(r, original, far)).await.unwrap();
    assert_eq!(incomplete.map(|row| row.id), Some(open));
    assert_eq!(f.catalog.read(|r| copies::find_incomplete(r, JobId(77), PoolId(1))).await.unwrap(), None);
    let alike = |of: JobId| f.catalog.read(move |r| copies::list_alike(r, of));
    assert_eq!(alike(original).await.unwrap().iter().map(|row| row.id).collect::<Vec<_>>(), [copy]);
    assert_eq!(alike(copy).await.unwrap().iter().map(|row| row.id).collect::<Vec<_>>(), [original]);
    f.write(move |tx| {
        let row = job::get(tx, original)?.unwrap();
        copies::complete(tx, &row, copy)?;
        copies::duplicate_log(tx, original, copy)
    })
    .await;
    let (row, said) =
        f.catalog.read(move |r| Ok((job::get(r, copy)?.unwrap(), log::list(r, copy)?))).await.unwrap();
    assert_eq!((row.prior_job.as_str(), said.len()), ("n.0", 1));
    // A file that is not there, and one with another digest.
    f.write(move |tx| {
        let changed = file::NewFile { digest: "1".to_owned(), ..new_file(3, b"/", b"z") };
        Ingest::new(copy, false).insert(tx, &[changed], None)?;
        Ingest::new(original, false).insert(tx, &[new_file(3, b"/", b"z"), new_file(4, b"/", b"w")], None)
    })
    .await;
    assert_eq!(f.catalog.read(differ).await.unwrap(), 3);
}

pub(super) async fn a_migrated_job_loses_its_files_or_itself(f: &Fixture) {
    for purge in [false, true] {
        let (original, new) = f
            .write(move |tx| {
                let original = done(tx, "m", JobLevel::Full, i64::from(purge))?;
                let new = copy_of(tx, original, 10 + i64::from(purge), PoolId(1), JobStatus::Terminated)?;
                for id in [original, new] {
                    Ingest::new(id, false).insert(tx, &[new_file(1, b"/", b"x")], None)?;
                }
                log::append(tx, original, Timestamp(5), "said\n")?;
                copies::migrate(tx, original, new, purge)?;
                Ok((original, new))
            })
            .await;
        let (old, row, files, said) = f
            .catalog
            .read(move |r| {
                let files = (file::count(r, original)?, file::count(r, new)?);
                Ok((job::get(r, original)?, job::get(r, new)?.unwrap(), files, log::list(r, new)?.len()))
            })
            .await
            .unwrap();
        let old = old.map(|row| (row.job_type, row.purged_files));
        assert_eq!(old, (!purge).then_some((JobType::MigratedJob, true)));
        assert_eq!((row.job_type, files, said), (JobType::Backup, (0, 1), 1));
    }
}
