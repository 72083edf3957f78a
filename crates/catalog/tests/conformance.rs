//! What every backend must do, checked over the port alone. Each check gets a fresh, empty, activated catalog.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

#[path = "postgres/settings.rs"]
mod settings;

mod copies;
mod known;
mod standing;
mod withdraw;

use catalog::attempt::{self, AttemptState, Totals};
use catalog::file::{self, Ingest, NewFile};
use catalog::jobmedia::{self, Piece};
use catalog::journal::{self, JournalKey};
use catalog::leader::Activation;
use catalog::ledger::{self, DueRun, Outcome};
use catalog::media::{self, MediaRow};
use catalog::pool::{self, VolumeLimits};
use catalog::volume_state::{self, VolumeState};
use catalog::{
    Catalog, CatalogError, WriteTx, client, counter, fileset, highwater, job, log, operator, plan, purge,
    script,
};
use std::future::Future;
use types::{
    ActivationId, Attempt, ClientId, Epoch, FileIndex, FileSetId, JobId, JobLevel, JobStatus, JobType,
    MediaId, PoolId, Seq, StorageId, Timestamp, VolAddr, VolSession, VolStatus,
};

const T0: Timestamp = Timestamp(1_795_446_447);

/// Runs all checks; `fresh` makes an empty catalog for the Director `lab-dir`.
async fn conforms<F: Future<Output = Catalog>>(fresh: impl Fn() -> F) {
    let new = || async {
        let catalog = fresh().await;
        let epoch = activate(&catalog, &[]).await;
        Fixture { catalog, epoch }
    };
    epochs_only_grow_and_fence(&new().await).await;
    a_failed_transaction_leaves_nothing(&new().await).await;
    ids_are_never_given_out_twice(&new().await).await;
    a_job_lives_from_creation_to_its_end(&new().await).await;
    levels_are_decided_on_the_right_job(&new().await).await;
    names_are_bytes_and_files_are_stored_once(&new().await).await;
    the_newest_version_of_each_file_is_found(&new().await).await;
    files_of_base_jobs_count_as_the_jobs_own(&new().await).await;
    pieces_are_numbered_and_dummies_skipped(&new().await).await;
    pieces_grow_and_are_clipped(&new().await).await;
    withdraw::what_lies_on_a_lost_storage_is_taken_back(&new().await).await;
    attempts_are_granted_one_at_a_time(&new().await).await;
    journals_only_move_forward(&new().await).await;
    known::what_a_daemon_holds_is_found_at_once(&new().await).await;
    due_runs_are_settled_once(&new().await).await;
    volume_states_only_move_forward(&new().await).await;
    rows_of_resources_are_kept(&new().await).await;
    a_deleted_job_promotes_its_copy(&new().await).await;
    a_deleted_volume_takes_its_jobs_with_it(&new().await).await;
    copies::a_pool_tells_what_may_be_copied(&new().await).await;
    copies::a_copy_is_compared_and_completed(&new().await).await;
    copies::a_migrated_job_loses_its_files_or_itself(&new().await).await;
    standing::a_storage_and_its_volumes_change_place_together(&new().await).await;
}

struct Fixture {
    catalog: Catalog,
    epoch: Epoch,
}

impl Fixture {
    async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&WriteTx<'_>) -> catalog::Result<T> + Send + 'static,
    ) -> T {
        self.catalog.write(self.epoch, work).await.unwrap()
    }

    async fn refused<T: Send + std::fmt::Debug + 'static>(
        &self,
        work: impl Fn(&WriteTx<'_>) -> catalog::Result<T> + Send + 'static,
    ) -> CatalogError {
        self.catalog.write(self.epoch, work).await.unwrap_err()
    }
}

async fn activate(catalog: &Catalog, seen: &[Epoch]) -> Epoch {
    let wish = Activation {
        holder: "a".to_owned(),
        activation: ActivationId(7),
        seen: seen.to_vec(),
        timeline: 0,
        now: T0,
    };
    catalog.raise_epoch(wish).await.unwrap().epoch
}

fn new_job(name: &str, at: i64) -> job::NewJob {
    job::NewJob {
        unique_name: format!("{name}.{at}"),
        name: name.to_owned(),
        job_type: JobType::Backup,
        level: JobLevel::Full,
        client_id: ClientId(1),
        sched_time: Timestamp(T0.0 + at),
        created: Timestamp(T0.0 + at),
        prior_job_id: JobId(0),
        comment: String::new(),
    }
}

/// A job that ran and ended `T`.
fn done(tx: &WriteTx<'_>, name: &str, level: JobLevel, at: i64) -> catalog::Result<JobId> {
    let id = job::create(tx, &new_job(name, at))?;
    let start = job::JobStart {
        level,
        client_id: ClientId(1),
        fileset_id: FileSetId(1),
        pool_id: PoolId(1),
        start_time: Timestamp(T0.0 + at),
        status: JobStatus::Running,
    };
    job::start(tx, id, &start)?;
    job::end(tx, id, &job_end(level, at))?;
    Ok(id)
}

fn job_end(level: JobLevel, at: i64) -> job::JobEnd {
    job::JobEnd {
        status: JobStatus::Terminated,
        level,
        start_time: Timestamp(T0.0 + at),
        end_time: Timestamp(T0.0 + at + 5),
        real_end_time: Timestamp(T0.0 + at + 5),
        session: VolSession { id: 1, time: 9 },
        files: 2,
        bytes: u64::from(u32::MAX) * 10,
        read_bytes: 3,
        errors: 1,
        missing_files: 0,
        pool_id: PoolId(1),
        prior_job_id: JobId(0),
        has_base: false,
    }
}

fn new_file(index: i32, path: &[u8], name: &[u8]) -> NewFile {
    NewFile {
        file_index: FileIndex(index),
        path: path.to_vec(),
        name: name.to_vec(),
        lstat: "A B C".to_owned(),
        digest: "0".to_owned(),
        delta_seq: 0,
    }
}

async fn epochs_only_grow_and_fence(f: &Fixture) {
    assert_eq!(f.epoch, Epoch(1));
    let second = activate(&f.catalog, &[Epoch(40), Epoch::new(2, 5)]).await;
    assert_eq!(second, Epoch::new(2, 6));
    let over = f.refused(|tx| pool::list(tx)).await;
    assert!(
        matches!(over, CatalogError::EpochOver { held: Epoch(1), current: Some(now), .. } if now == second),
        "{over}"
    );
    let ahead = f.catalog.write(Epoch(second.0 + 1), |tx| pool::list(tx)).await;
    assert!(ahead.unwrap_err().is_epoch_over());
    assert_eq!(activate(&f.catalog, &[]).await, Epoch::new(2, 7));
}

async fn a_failed_transaction_leaves_nothing(f: &Fixture) {
    let refused = f
        .refused(|tx| {
            job::create(tx, &new_job("lost", 0))?;
            Err::<(), _>(CatalogError::Refused("on purpose".to_owned()))
        })
        .await;
    assert_eq!(refused.to_string(), "on purpose");
    assert_eq!(f.catalog.read(|r| job::get(r, JobId(1))).await.unwrap(), None);
    assert_eq!(f.write(|tx| job::create(tx, &new_job("kept", 0))).await, JobId(1));
}

async fn ids_are_never_given_out_twice(f: &Fixture) {
    let second = f
        .write(|tx| {
            job::create(tx, &new_job("a", 0))?;
            let second = job::create(tx, &new_job("b", 1))?;
            purge::delete_jobs(tx, &[second])?;
            Ok(second)
        })
        .await;
    let third = f.write(|tx| job::create(tx, &new_job("c", 2))).await;
    assert_eq!((second, third), (JobId(2), JobId(3)));
    f.write(|tx| highwater::raise(tx, highwater::Sequence::JobId, 100)).await;
    f.write(|tx| highwater::raise(tx, highwater::Sequence::JobId, 50)).await;
    assert_eq!(f.write(|tx| job::create(tx, &new_job("d", 3))).await, JobId(101));
}

async fn a_job_lives_from_creation_to_its_end(f: &Fixture) {
    let id = f.write(|tx| job::create(tx, &new_job("Nightly", 0))).await;
    let unfinished = f.catalog.read(job::list_unfinished).await.unwrap();
    assert_eq!(unfinished.iter().map(|j| (j.id, j.status)).collect::<Vec<_>>(), [(id, JobStatus::Created)]);
    f.write(move |tx| job::end(tx, id, &job_end(JobLevel::Full, 2))).await;
    let row = f.catalog.read(|r| job::get_by_unique_name(r, "Nightly.0")).await.unwrap().unwrap();
    assert_eq!((row.status, row.files, row.bytes), (JobStatus::Terminated, 2, u64::from(u32::MAX) * 10));
    assert_eq!(row.end_time, Some(Timestamp(T0.0 + 7)));
    assert_eq!(row.session, VolSession { id: 1, time: 9 });
    assert!(f.catalog.read(job::list_unfinished).await.unwrap().is_empty());
    let unknown = f.refused(|tx| job::set_status(tx, JobId(77), JobStatus::Running)).await;
    assert!(unknown.to_string().contains("JobId 77"), "{unknown}");

    let (job_plan, text) = f
        .write(move |tx| {
            for body in ["old", "{\"a\":1}"] {
                plan::store(tx, &plan::PlanRow { job_id: id, format: 1, body: body.to_owned() })?;
            }
            log::append(tx, id, T0, "one\n")?;
            log::append(tx, id, T0, "two\n")?;
            Ok((plan::load(tx, id)?, log::list(tx, id)?))
        })
        .await;
    assert_eq!(job_plan.map(|p| p.body).as_deref(), Some("{\"a\":1}"));
    assert_eq!(text, [(Some(T0), "one\n".to_owned()), (Some(T0), "two\n".to_owned())]);
}

async fn levels_are_decided_on_the_right_job(f: &Fixture) {
    let lineage =
        job::Lineage { name: "Nightly".to_owned(), client_id: ClientId(1), fileset_id: FileSetId(1) };
    let of = lineage.clone();
    let [full, diff, inc] = f
        .write(|tx| {
            Ok([
                done(tx, "Nightly", JobLevel::Full, 0)?,
                done(tx, "Nightly", JobLevel::Differential, 10)?,
                done(tx, "Nightly", JobLevel::Incremental, 20)?,
            ])
        })
        .await;
    f.write(|tx| {
        done(tx, "Other", JobLevel::Full, 30)?;
        let failed = done(tx, "Nightly", JobLevel::Differential, 40)?;
        job::set_status(tx, failed, JobStatus::FatalError)
    })
    .await;
    let found = f
        .catalog
        .read(move |r| {
            let any = [JobLevel::Full, JobLevel::Differential, JobLevel::Incremental];
            Ok([
                job::find_last_good(r, &of, &[JobLevel::Full])?,
                job::find_last_good(r, &of, &any[..2])?,
                job::find_last_good(r, &of, &any)?,
            ]
            .map(|row| row.map(|row| row.id)))
        })
        .await
        .unwrap();
    assert_eq!(found, [Some(full), Some(diff), Some(inc)]);
    let failed = f
        .catalog
        .read(move |r| {
            Ok([25, 45]
                .map(|after| job::find_failed_level_since(r, &lineage, Timestamp(T0.0 + after)).unwrap()))
        })
        .await
        .unwrap();
    assert_eq!(failed, [Some(JobLevel::Differential), None]);
}

async fn names_are_bytes_and_files_are_stored_once(f: &Fixture) {
    let id = f.write(|tx| job::create(tx, &new_job("files", 0))).await;
    let odd: &[u8] = b"/srv/\xff\xfe line\nfeed/";
    f.write(move |tx| {
        let mut ingest = Ingest::new(id, false);
        ingest.insert(tx, &[new_file(1, odd, b"\x80name'\"%"), new_file(2, odd, b"")], None)
    })
    .await;
    // A second attempt sends the first file again: the later counts.
    f.write(move |tx| {
        let mut ingest = Ingest::new(id, true);
        ingest.insert(tx, &[new_file(3, odd, b"\x80name'\"%"), new_file(4, b"/new/", b"x")], None)?;
        file::set_digest(tx, id, FileIndex(4), "digest-of-4")?;
        file::set_digest(tx, id, FileIndex(3), "digest-of-3")
    })
    .await;
    let rows = f
        .catalog
        .read(move |r| {
            let mut rows = Vec::new();
            file::for_each_of_job(r, id, |row| {
                rows.push((row.file_index.0, row.path, row.name, row.digest));
                Ok(())
            })?;
            Ok(rows)
        })
        .await
        .unwrap();
    let expected = [
        (2, odd.to_vec(), b"".to_vec(), "0".to_owned()),
        (3, odd.to_vec(), b"\x80name'\"%".to_vec(), "digest-of-3".to_owned()),
        (4, b"/new/".to_vec(), b"x".to_vec(), "digest-of-4".to_owned()),
    ];
    assert_eq!(rows, expected);
}

async fn the_newest_version_of_each_file_is_found(f: &Fixture) {
    let (full, inc) = f
        .write(|tx| {
            let full = done(tx, "n", JobLevel::Full, 0)?;
            let inc = done(tx, "n", JobLevel::Incremental, 10)?;
            let all = [
                new_file(1, b"/d/", b"kept"),
                new_file(2, b"/d/", b"changed"),
                new_file(3, b"/d/", b"deleted"),
            ];
            Ingest::new(full, false).insert(tx, &all, None)?;
            let later = [
                new_file(1, b"/d/", b"changed"),
                new_file(-2, b"/d/", b"deleted"),
                new_file(3, b"/d/", b"twice"),
            ];
            Ingest::new(inc, false).insert(tx, &later, None)?;
            Ingest::new(inc, false).insert(tx, &[new_file(4, b"/d/", b"twice")], None)?;
            Ok((full, inc))
        })
        .await;
    let expected = [(1, 1, "kept"), (2, 1, "changed"), (2, 4, "twice")];
    assert_eq!(
        newest(f, vec![inc, full]).await,
        expected.map(|(job, index, name)| (job, index, name.to_owned()))
    );

    // A long chain is found in another way; the result is the same.
    let mut chain = vec![inc, full];
    for at in 0..20 {
        chain.push(f.write(move |tx| done(tx, "n", JobLevel::Incremental, 100 + at)).await);
    }
    let last = chain[chain.len() - 1];
    f.write(move |tx| Ingest::new(last, false).insert(tx, &[new_file(9, b"/d/", b"kept")], None)).await;
    let expected = [(2, 1, "changed"), (2, 4, "twice"), (last.0, 9, "kept")];
    assert_eq!(newest(f, chain).await, expected.map(|(job, index, name)| (job, index, name.to_owned())));
    assert!(newest(f, vec![]).await.is_empty());
}

async fn newest(f: &Fixture, jobs: Vec<JobId>) -> Vec<(u32, i32, String)> {
    let read = f.catalog.read_long(move |r| {
        let mut found = Vec::new();
        file::for_each_newest(r, &jobs, |row, _| {
            found.push((row.job_id.0, row.file_index.0, String::from_utf8(row.name).unwrap()));
            Ok(())
        })?;
        Ok(found)
    });
    read.await.unwrap()
}

async fn files_of_base_jobs_count_as_the_jobs_own(f: &Fixture) {
    let (full, inc) = f
        .write(|tx| {
            let base = done(tx, "base", JobLevel::Base, 0)?;
            Ingest::new(base, false).insert(
                tx,
                &[new_file(1, b"/d/", b"a"), new_file(2, b"/d/", b"b")],
                None,
            )?;
            let full = done(tx, "n", JobLevel::Full, 10)?;
            job::end(tx, full, &job::JobEnd { has_base: true, ..job_end(JobLevel::Full, 10) })?;
            Ingest::new(full, false).insert(tx, &[new_file(1, b"/d/", b"own")], None)?;
            file::insert_base(tx, full, &new_file(2, b"/d/", b"a"))?;
            file::insert_base(tx, full, &new_file(3, b"/d/", b"b"))?;
            let inc = done(tx, "n", JobLevel::Incremental, 20)?;
            Ingest::new(inc, false).insert(tx, &[new_file(1, b"/d/", b"b")], None)?;
            Ok((full, inc))
        })
        .await;
    let expected = [(2, 1, "own"), (1, 1, "a"), (3, 1, "b")];
    assert_eq!(
        newest(f, vec![full, inc]).await,
        expected.map(|(job, index, name)| (job, index, name.to_owned()))
    );
}

fn volume(name: &str) -> MediaRow {
    MediaRow::new(
        name,
        PoolId(1),
        "File1",
        VolumeLimits { max_vol_bytes: 1 << 40, ..VolumeLimits::default() },
    )
}

async fn pieces_are_numbered_and_dummies_skipped(f: &Fixture) {
    let (id, media_id) =
        f.write(|tx| Ok((job::create(tx, &new_job("p", 0))?, media::create(tx, &volume("Vol-1"))?))).await;
    let piece = move |first, last, end| Piece {
        first_index: FileIndex(first),
        last_index: FileIndex(last),
        start: VolAddr(204),
        end: VolAddr(end),
        media_id,
    };
    f.write(move |tx| jobmedia::create(tx, id, &[piece(0, 0, 0)])).await;
    f.write(move |tx| jobmedia::create(tx, id, &[piece(1, 3, 0x3_0000_0005), piece(3, 4, 0x3_0000_0009)]))
        .await;
    let (rows, of_job, on_volume, row) = f
        .catalog
        .read(move |r| {
            Ok((
                jobmedia::list(r, id)?,
                media::list_of_job(r, id)?.len(),
                media::jobs_on(r, media_id)?,
                media::get(r, media_id)?.unwrap(),
            ))
        })
        .await
        .unwrap();
    let found: Vec<_> = rows.iter().map(|r| (r.vol_index, r.piece, r.volume_name.as_str())).collect();
    assert_eq!(found, [(2, piece(1, 3, 0x3_0000_0005), "Vol-1"), (3, piece(3, 4, 0x3_0000_0009), "Vol-1")]);
    assert_eq!((of_job, on_volume), (1, vec![id]));
    assert_eq!((row.end_file, row.end_block), (3, 9));
}

async fn pieces_grow_and_are_clipped(f: &Fixture) {
    let (id, media_id) =
        f.write(|tx| Ok((job::create(tx, &new_job("g", 0))?, media::create(tx, &volume("Vol-g"))?))).await;
    let piece = move |first, last, start, end| Piece {
        first_index: FileIndex(first),
        last_index: FileIndex(last),
        start: VolAddr(start),
        end: VolAddr(end),
        media_id,
    };
    f.write(move |tx| {
        jobmedia::extend(tx, id, &[piece(1, 3, 204, 999)])?;
        jobmedia::extend(tx, id, &[piece(1, 7, 204, 1999), piece(7, 9, 2000, 2999)])
    })
    .await;
    let pieces = async || {
        let rows = f.catalog.read(move |r| jobmedia::list(r, id)).await.unwrap();
        rows.iter().map(|row| row.piece).collect::<Vec<_>>()
    };
    assert_eq!(pieces().await, [piece(1, 7, 204, 1999), piece(7, 9, 2000, 2999)]);
    f.write(move |tx| jobmedia::clip(tx, id, FileIndex(8))).await;
    assert_eq!(pieces().await, [piece(1, 7, 204, 1999), piece(7, 8, 2000, 2999)]);
    f.write(move |tx| jobmedia::clip(tx, id, FileIndex(6))).await;
    assert_eq!(pieces().await, [piece(1, 6, 204, 1999)]);
}

async fn attempts_are_granted_one_at_a_time(f: &Fixture) {
    let id = f.write(|tx| job::create(tx, &new_job("a", 0))).await;
    assert_eq!(f.write(move |tx| attempt::grant(tx, id, T0)).await, Attempt(1));
    assert!(f.refused(move |tx| attempt::grant(tx, id, T0)).await.to_string().contains("still open"));
    let session = VolSession { id: 3, time: 4 };
    let totals = Totals { files: 5, bytes: 6, read_bytes: 7, errors: 8 };
    f.write(move |tx| {
        attempt::set_session(tx, id, Attempt(1), "File1", session)?;
        attempt::finish(tx, id, Attempt(1), AttemptState::Closed, totals, T0)?;
        // A late end does not open what was closed.
        attempt::finish(tx, id, Attempt(1), AttemptState::Ended, Totals::default(), T0)?;
        script::started(tx, id, Attempt(1), 0, T0)?;
        script::started(tx, id, Attempt(1), 1, T0)?;
        script::ended(tx, id, Attempt(1), 0, 3, T0)
    })
    .await;
    assert_eq!(f.write(move |tx| attempt::grant(tx, id, T0)).await, Attempt(2));
    let (rows, open, scripts) = f
        .catalog
        .read(move |r| Ok((attempt::list(r, id)?, attempt::list_open(r)?, script::list(r, id)?)))
        .await
        .unwrap();
    assert_eq!(rows.iter().map(|a| a.state).collect::<Vec<_>>(), [AttemptState::Closed, AttemptState::Open]);
    assert_eq!((rows[0].session, rows[0].totals, rows[0].epoch), (session, totals, f.epoch));
    assert_eq!(open.len(), 1);
    assert_eq!(scripts.iter().map(|s| s.exit_code).collect::<Vec<_>>(), [Some(3), None]);
}

async fn journals_only_move_forward(f: &Fixture) {
    let key = JournalKey { job_id: JobId(1), attempt: Attempt(1), storage: "File 1".to_owned() };
    let other = JournalKey { attempt: Attempt(2), ..key.clone() };
    let k = key.clone();
    f.write(move |tx| {
        journal::advance(tx, &k, Seq(10))?;
        journal::advance(tx, &k, Seq(7))?;
        journal::store_answer(tx, &k, Seq(4), "1998\n")?;
        journal::store_answer(tx, &k, Seq(9), "1000 OK\n")
    })
    .await;
    let k = key.clone();
    let again = f.refused(move |tx| journal::store_answer(tx, &k, Seq(9), "other")).await;
    assert!(matches!(again, CatalogError::Conflict { .. }), "{again}");
    let k2 = key.clone();
    let found = f
        .catalog
        .read(move |r| {
            Ok((
                journal::position(r, &key)?,
                journal::position(r, &other)?,
                journal::answer(r, &key, Seq(9))?,
                (journal::last_answers(r, &key, 5)?, journal::last_answers(r, &key, 1)?),
            ))
        })
        .await
        .unwrap();
    let (older, newer) = ((Seq(4), "1998\n".to_owned()), (Seq(9), "1000 OK\n".to_owned()));
    assert_eq!(
        found,
        (Seq(10), Seq(0), Some("1000 OK\n".to_owned()), (vec![older, newer.clone()], vec![newer]))
    );
    let left = f
        .write(move |tx| {
            journal::forget_answers(tx, &k2)?;
            Ok((journal::position(tx, &k2)?, journal::answer(tx, &k2, Seq(9))?))
        })
        .await;
    assert_eq!(left, (Seq(10), None));
}

async fn due_runs_are_settled_once(f: &Fixture) {
    let due = DueRun { job: "Nightly".to_owned(), schedule: "Weekly".to_owned(), run_line: 1, due_at: T0 };
    let settle = |outcome| {
        let due = due.clone();
        move |tx: &WriteTx<'_>| ledger::settle(tx, &due, outcome)
    };
    assert!(f.write(settle(Outcome::Started(JobId(4)))).await);
    assert!(!f.write(settle(Outcome::Missed)).await);
    f.write(|tx| {
        ledger::set_watermark(tx, "Nightly", "Weekly", Timestamp(500))?;
        ledger::set_watermark(tx, "Nightly", "Weekly", Timestamp(400))
    })
    .await;
    let (settled, mark, none) = f
        .catalog
        .read(move |r| {
            Ok((
                ledger::is_settled(r, &due)?,
                ledger::watermark(r, "Nightly", "Weekly")?,
                ledger::watermark(r, "Nightly", "Other")?,
            ))
        })
        .await
        .unwrap();
    assert_eq!((settled, mark, none), (true, Some(Timestamp(500)), None));
    assert_eq!(f.write(|tx| ledger::forget_before(tx, Timestamp(T0.0 + 1))).await, 1);
}

async fn volume_states_only_move_forward(f: &Fixture) {
    let state =
        |seq| VolumeState { label_date: 1_795_446_447_000_000, state_seq: seq, write_counter: seq * 2 };
    let advanced = f
        .write(move |tx| {
            Ok([5, 4, 5, 6].map(|seq| volume_state::advance(tx, MediaId(1), state(seq)).unwrap()))
        })
        .await;
    assert_eq!(advanced, [true, false, false, true]);
    assert_eq!(f.catalog.read(|r| volume_state::get(r, MediaId(1))).await.unwrap(), state(6));
    let anew = VolumeState { label_date: state(1).label_date + 1, state_seq: 1, write_counter: 1 };
    assert!(f.write(move |tx| volume_state::advance(tx, MediaId(1), anew)).await, "it was labelled later");
    assert_eq!(f.catalog.read(|r| volume_state::get(r, MediaId(1))).await.unwrap(), anew);
    assert_eq!(f.catalog.read(|r| volume_state::get(r, MediaId(2))).await.unwrap(), VolumeState::default());
}

async fn rows_of_resources_are_kept(f: &Fixture) {
    let new = client::NewClient {
        name: "lab-fd".to_owned(),
        uname: "9.6.7".to_owned(),
        auto_prune: true,
        file_retention: 5_184_000,
        job_retention: 15_552_000,
    };
    let (first, second) = f
        .write(move |tx| {
            let first = client::ensure(tx, &new)?;
            // The version line is not known before the client has answered, and not lost then.
            let second = client::ensure(
                tx,
                &client::NewClient { uname: String::new(), file_retention: 1, ..new.clone() },
            )?;
            Ok((first, second))
        })
        .await;
    assert_eq!(first, second);
    let row = f.catalog.read(|r| client::get_by_name(r, "lab-fd")).await.unwrap().unwrap();
    assert_eq!((row.uname.as_str(), row.file_retention), ("9.6.7", 1));

    let filesets = f
        .write(|tx| {
            let (a, a_new) = fileset::ensure(tx, "Full Set", "md5-a", "", false, T0)?;
            let (again, again_new) = fileset::ensure(tx, "Full Set", "md5-a", "", false, T0)?;
            let (b, b_new) = fileset::ensure(tx, "Full Set", "md5-b", "", false, Timestamp(T0.0 + 1))?;
            let (any, any_new) = fileset::ensure(tx, "Full Set", "md5-c", "", true, T0)?;
            assert_eq!((a.id, b.id), (again.id, any.id));
            Ok([a_new, again_new, b_new, any_new])
        })
        .await;
    assert_eq!(filesets, [true, false, true, false]);

    let storage = f
        .write(|tx| {
            catalog::storage::ensure_media_type(tx, "File1")?;
            catalog::storage::ensure_media_type(tx, "File1")?;
            catalog::storage::ensure(tx, "File1", false)?;
            catalog::storage::ensure(tx, "File1", true)
        })
        .await;
    let row = f.catalog.read(move |r| catalog::storage::get(r, storage)).await.unwrap().unwrap();
    assert_eq!((row.id, row.name.as_str(), row.autochanger), (StorageId(1), "File1", true));

    let setting = |value: &str| operator::Setting {
        kind: "job".to_owned(),
        name: "Nightly".to_owned(),
        value: value.to_owned(),
    };
    let (on, off) = (setting("enabled"), setting("disabled"));
    let stored = f
        .write(move |tx| {
            operator::set(tx, &on, T0)?;
            operator::set(tx, &off, T0)?;
            operator::list(tx, "lab-dir")
        })
        .await;
    assert_eq!(stored, [setting("disabled")]);
    f.write(|tx| operator::clear(tx, "job", "Nightly")).await;
    assert!(f.catalog.read(|r| operator::list(r, "lab-dir")).await.unwrap().is_empty());

    let counters = f
        .write(|tx| {
            let row = |name: &str, min, max, wrap: &str| counter::CounterRow {
                name: name.to_owned(),
                min,
                max,
                current: min,
                wrap: wrap.to_owned(),
            };
            counter::ensure(tx, &row("low", 1, 2, "high"))?;
            counter::ensure(tx, &row("high", 5, 0, ""))?;
            for _ in 0..2 {
                let low = counter::list(tx)?.into_iter().find(|c| c.name == "low").unwrap();
                counter::advance(tx, &low)?;
            }
            let mut values: Vec<_> = counter::list(tx)?.into_iter().map(|c| (c.name, c.current)).collect();
            values.sort();
            Ok(values)
        })
        .await;
    assert_eq!(counters, [("high".to_owned(), 6), ("low".to_owned(), 1)]);
}

async fn a_deleted_job_promotes_its_copy(f: &Fixture) {
    let (original, copies) = f
        .write(|tx| {
            let original = done(tx, "n", JobLevel::Full, 0)?;
            let mut copies = Vec::new();
            for at in [10, 20] {
                let copy = done(tx, "n", JobLevel::Full, at)?;
                job::end(tx, copy, &job::JobEnd { prior_job_id: original, ..job_end(JobLevel::Full, 0) })?;
                job::set_type(tx, copy, JobType::JobCopy)?;
                copies.push(copy);
            }
            Ingest::new(original, false).insert(tx, &[new_file(1, b"/", b"x")], None)?;
            Ok((original, copies))
        })
        .await;
    let promoted = f.write(move |tx| purge::delete_jobs(tx, &[original])).await;
    assert_eq!(promoted, copies[..1]);
    let (gone, files, types) = f
        .catalog
        .read(move |r| {
            let types: Vec<_> = job::get_many(r, &copies)?.into_iter().map(|j| j.job_type).collect();
            Ok((job::get(r, original)?, file::count(r, original)?, types))
        })
        .await
        .unwrap();
    assert_eq!((gone, files), (None, 0));
    assert_eq!(types, [JobType::Backup, JobType::JobCopy]);
    // The promoted copy goes as well: the next one takes over.
    let first = promoted[0];
    assert_eq!(f.write(move |tx| purge::delete_jobs(tx, &[first])).await.len(), 1);
}

async fn a_deleted_volume_takes_its_jobs_with_it(f: &Fixture) {
    let (id, mut row) = f
        .write(|tx| {
            let pool_id = pool::ensure(tx, &empty_pool("File"))?;
            let recycle_pool_id = pool::ensure(tx, &empty_pool("Old"))?;
            let id = done(tx, "n", JobLevel::Full, 0)?;
            let media = MediaRow { pool_id, recycle_pool_id, ..volume("Vol-1") };
            let media_id = media::create(tx, &media)?;
            let piece = Piece {
                first_index: FileIndex(1),
                last_index: FileIndex(2),
                start: VolAddr(0),
                end: VolAddr(9),
                media_id,
            };
            jobmedia::create(tx, id, &[piece])?;
            Ok((id, MediaRow { id: media_id, ..media }))
        })
        .await;
    let exists = f.refused(|tx| media::create(tx, &volume("Vol-1"))).await;
    assert!(matches!(exists, CatalogError::Conflict { .. }), "{exists}");
    row.vol_bytes = 700;
    let purged = row.clone();
    f.write(move |tx| {
        media::update(tx, &purged)?;
        assert_eq!(pool::bytes(tx, purged.pool_id)?, 700);
        assert!(!purge::is_empty(tx, purged.id)?);
        purge::mark_purged(tx, &mut purged.clone())
    })
    .await;
    let pools = f.catalog.read(pool::list).await.unwrap();
    assert_eq!(
        pools.iter().map(|p| (p.name.as_str(), p.num_vols)).collect::<Vec<_>>(),
        [("File", 0), ("Old", 1)]
    );
    f.write(|tx| {
        let mut row = media::get_by_name(tx, "Vol-1")?.unwrap();
        assert_eq!(row.status, VolStatus::Purged);
        purge::recycle(tx, &mut row)?;
        assert_eq!(media::get(tx, row.id)?.unwrap(), row);
        assert_eq!((row.status, row.vol_bytes, row.recycle_count), (VolStatus::Recycle, 1, 1));
        purge::delete_volume(tx, &row)
    })
    .await;
    let left = f.catalog.read(move |r| Ok((job::get(r, id)?, media::list(r, None)?.len()))).await.unwrap();
    assert_eq!(left, (None, 0));
    // Its number is not given out again.
    assert_eq!(f.write(|tx| media::create(tx, &volume("Vol-2"))).await, MediaId(row.id.0 + 1));
}

fn empty_pool(name: &str) -> pool::PoolRow {
    pool::PoolRow {
        id: PoolId(0),
        name: name.to_owned(),
        num_vols: 0,
        max_vols: 0,
        use_once: false,
        use_catalog: true,
        accept_any_volume: false,
        limits: VolumeLimits::default(),
        max_pool_bytes: 0,
        auto_prune: true,
        pool_type: "Backup".to_owned(),
        label_type: 0,
        label_format: "*".to_owned(),
        enabled: true,
        scratch_pool_id: PoolId(0),
        recycle_pool_id: PoolId(0),
        next_pool_id: PoolId(0),
        migration_high_bytes: 0,
        migration_low_bytes: 0,
        migration_time: 0,
    }
}

#[tokio::test]
async fn sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let number = std::cell::Cell::new(0);
    conforms(|| {
        number.set(number.get() + 1);
        let path = dir.path().join(format!("{}.db", number.get()));
        async move { Catalog::open_sqlite(&path, "lab-dir").unwrap() }
    })
    .await;
}

#[tokio::test]
async fn postgres() {
    let server = tokio::task::spawn_blocking(testkit::postgres::Postgres::start).await.unwrap().unwrap();
    let number = std::cell::Cell::new(0);
    conforms(|| {
        number.set(number.get() + 1);
        let name = format!("c{}", number.get());
        server.create_database(&name).unwrap();
        let settings = settings::settings(&server, &name);
        async move { tokio::task::spawn_blocking(|| Catalog::open_postgres(settings)).await.unwrap().unwrap() }
    })
    .await;
}
