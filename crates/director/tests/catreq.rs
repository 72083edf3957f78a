//! A Storage Daemon's requests against a catalog: stock packets, journals, repetitions, replay.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use attrs::{AttrRecord, FileType};
use catalog::leader::Activation;
use catalog::pool::{PoolRow, VolumeLimits};
use catalog::{Catalog, job, media, pool};
use director::catreq::{CatalogService, CatalogSession, JobContext, Verdict, VolumeRules};
use lead::EpochGuard;
use std::path::Path;
use types::{
    ActivationId, Attempt, ClientId, Epoch, JobId, JobLevel, JobStatus, JobType, PoolId, Seq, StorageId,
    Timestamp, VolSession, VolStatus,
};
use wire::version::SdVersion;

const NOW: Timestamp = Timestamp(1_795_446_447);

struct Site {
    catalog: Catalog,
    guard: EpochGuard,
    _dir: tempfile::TempDir,
}

impl Site {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (catalog, guard) = open(&dir.path().join("c.db")).await;
        let site = Self { catalog, guard, _dir: dir };
        site.write(|tx| {
            pool::ensure(tx, &pool_row("File", "Vol-"))?;
            catalog::storage::ensure(tx, "File1", false).map(drop)
        })
        .await;
        site
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl Fn(&catalog::WriteTx<'_>) -> catalog::Result<T> + Send + 'static,
    ) -> T {
        self.catalog.write(self.guard.epoch(), work).await.unwrap()
    }

    async fn job(&self, unique: &str) -> JobId {
        let new = job::NewJob {
            unique_name: unique.to_owned(),
            name: "Nightly".to_owned(),
            job_type: JobType::Backup,
            level: JobLevel::Full,
            client_id: ClientId(1),
            sched_time: NOW,
            created: NOW,
            prior_job_id: JobId(0),
            comment: String::new(),
        };
        self.write(move |tx| {
            let id = job::create(tx, &new)?;
            catalog::attempt::grant(tx, id, NOW)?;
            Ok(id)
        })
        .await
    }

    async fn session(&self, job: JobId, holdfast: bool) -> CatalogSession {
        let service = CatalogService::new(self.catalog.clone(), self.guard.clone(), VolumeRules::default());
        service.open(context(job, holdfast)).await.unwrap()
    }

    async fn volume(&self, name: &'static str) -> media::MediaRow {
        self.catalog.read(move |r| media::get_by_name(r, name)).await.unwrap().unwrap()
    }
}

async fn open(path: &Path) -> (Catalog, EpochGuard) {
    let catalog = Catalog::open_sqlite(path, "lab-dir").unwrap();
    let wish = Activation {
        holder: "a".to_owned(),
        activation: ActivationId(7),
        seen: vec![Epoch(4)],
        timeline: 0,
        now: NOW,
    };
    let epoch = catalog.raise_epoch(wish).await.unwrap().epoch;
    (catalog, EpochGuard::new("lab-dir", "a", epoch, ActivationId(7), None))
}

fn pool_row(name: &str, label_format: &str) -> PoolRow {
    PoolRow {
        id: PoolId(0),
        name: name.to_owned(),
        num_vols: 0,
        max_vols: 10,
        use_once: false,
        use_catalog: true,
        accept_any_volume: false,
        limits: VolumeLimits { vol_retention: 3600, recycle: true, ..VolumeLimits::default() },
        max_pool_bytes: 0,
        auto_prune: true,
        pool_type: "Backup".to_owned(),
        label_type: 0,
        label_format: label_format.to_owned(),
        enabled: true,
        scratch_pool_id: PoolId(0),
        recycle_pool_id: PoolId(0),
        next_pool_id: PoolId(0),
        migration_high_bytes: 0,
        migration_low_bytes: 0,
        migration_time: 0,
    }
}

fn context(job_id: JobId, holdfast: bool) -> JobContext {
    JobContext {
        job_id,
        unique_name: format!("Nightly.{job_id}"),
        name: "Nightly".to_owned(),
        job_type: JobType::Backup,
        level: JobLevel::Full,
        attempt: Attempt(1),
        client: "lab-fd".to_owned(),
        pool: "File".to_owned(),
        storage: "File1".to_owned(),
        storage_id: StorageId(1),
        sd_version: if holdfast { SdVersion::CURRENT } else { SdVersion::V9_6 },
        holdfast,
        start_time: NOW,
        prune_volumes: false,
        catalog_files: true,
    }
}

/// A Volume's state as an SD reports it.
struct State<'s> {
    volume: &'s str,
    jobs: u32,
    blocks: u32,
    bytes: u64,
    writes: u64,
    status: &'s str,
    relabel: u8,
}

const LABELLED: State<'static> =
    State { volume: "Vol-0001", jobs: 0, blocks: 0, bytes: 204, writes: 1, status: "Append", relabel: 1 };
const WRITTEN: State<'static> =
    State { volume: "Vol-0001", jobs: 1, blocks: 2, bytes: 71_428, writes: 3, status: "Append", relabel: 0 };

fn update_media(job: JobId, s: &State<'_>) -> String {
    format!(
        "CatReq JobId={job} UpdateMedia VolName={} VolJobs={} VolFiles=0 VolBlocks={} VolBytes={} VolABytes=0 \
         VolHoleBytes=0 VolHoles=0 VolMounts=1 VolErrors=0 VolWrites={} MaxVolBytes=0 EndTime={} VolStatus={} Slot=0 \
         relabel={} InChanger=0 VolReadTime=0 VolWriteTime=40 VolFirstWritten={} VolType=1 VolParts=0 VolCloudParts=0 \
         LastPartBytes=0 Enabled=1 Recycle=1",
        s.volume,
        s.jobs,
        s.blocks,
        s.bytes,
        s.writes,
        NOW.0 + 9,
        s.status,
        s.relabel,
        NOW.0 + 1
    )
}

fn up_cat(job: JobId, file_index: i32, stream: i32, data: &[u8]) -> Vec<u8> {
    let mut bytes = format!("UpdCat JobId={job} FileAttributes ").into_bytes();
    for word in [1, 1_795_446_221, file_index.cast_unsigned(), stream.cast_unsigned(), data.len() as u32] {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes.extend_from_slice(data);
    bytes
}

fn attribute(job: JobId, file_index: i32, name: &[u8]) -> Vec<u8> {
    let record = AttrRecord {
        file_index,
        file_type: FileType::Regular,
        name,
        lstat: b"P4A m+QD IGk B A A A DIN BAA g BrBFav BrBFXD BrBFXD A A E",
        ..AttrRecord::default()
    };
    up_cat(job, file_index, 1, &record.encode())
}

fn find_media(job: JobId, index: u32, rest: &str) -> String {
    format!("CatReq JobId={job} FindMedia={index} pool_name=File media_type=File1 vol_type=1{rest}\n")
}

async fn ask(session: &mut CatalogSession, packet: &str) -> String {
    let handled = session.handle(packet.as_bytes()).await.unwrap();
    assert_eq!(handled.verdict, Verdict::Taken);
    String::from_utf8(handled.replies.concat()).unwrap()
}

/// `CreateJobMedia` of a stock SD: the request, its row, EOD.
async fn send_piece(session: &mut CatalogSession, job: JobId, row: &str) {
    let request = format!("CatReq JobId={job} CreateJobMedia\n");
    let collected = session.handle(request.as_bytes()).await.unwrap();
    assert!(collected.replies.is_empty());
    assert_eq!(session.handle(row.as_bytes()).await.unwrap().verdict, Verdict::Taken);
    assert_eq!(session.handle_eod().await.unwrap().replies, [b"1000 OK CreateJobMedia\n"]);
}

fn field<'r>(reply: &'r str, key: &str) -> &'r str {
    let prefix = format!("{key}=");
    reply
        .split_whitespace()
        .find_map(|w| w.strip_prefix(&prefix))
        .unwrap_or_else(|| panic!("{key} in {reply}"))
}

fn job_end() -> job::JobEnd {
    job::JobEnd {
        status: JobStatus::Terminated,
        level: JobLevel::Full,
        start_time: NOW,
        end_time: Timestamp(NOW.0 + 9),
        real_end_time: Timestamp(NOW.0 + 9),
        session: VolSession { id: 1, time: 1_795_446_221 },
        files: 3,
        bytes: 30,
        read_bytes: 30,
        errors: 0,
        missing_files: 0,
        pool_id: PoolId(1),
        prior_job_id: JobId(0),
        has_base: false,
    }
}

/// The sequence of spec/03 §3.2, as a stock 9.6 SD sends it.
#[tokio::test]
async fn the_first_job_on_an_automatically_labelled_volume() {
    let site = Site::new().await;
    let job = site.job("Nightly.1").await;
    let mut sd = site.session(job, false).await;

    let find = ask(&mut sd, &find_media(job, 1, "")).await;
    let fields = ["VolName", "VolStatus", "VolBytes"].map(|key| field(&find, key));
    assert_eq!(fields, ["Vol-0001", "Append", "0"]);
    assert_eq!(find.matches('=').count(), 31);

    let label = ask(&mut sd, &format!("{}\n", update_media(job, &LABELLED))).await;
    assert_eq!(field(&label, "VolBytes"), "204");
    send_piece(&mut sd, job, "0 0 0 0 0 0 1\n").await;
    assert_eq!(sd.handle_eod().await.unwrap().verdict, Verdict::Pass(&[]));

    for index in 1..=3 {
        sd.handle(&attribute(job, index, format!("/tmp/d/{index}").as_bytes())).await.unwrap();
        sd.handle(&up_cat(job, index, 3, &[0; 16])).await.unwrap();
    }
    send_piece(&mut sd, job, "1 3 0 0 204 71427 1\n").await;
    let last = ask(&mut sd, &format!("{}\n", update_media(job, &WRITTEN))).await;
    assert_eq!(field(&last, "VolJobs"), "1");
    let message = b"Jmsg JobId=1 type=6 level=1 text\n";
    assert_eq!(sd.handle(message).await.unwrap().verdict, Verdict::Pass(message));

    sd.finish(move |tx| job::end(tx, job, &job_end())).await.unwrap();
    let row = site.volume("Vol-0001").await;
    assert_eq!((row.vol_blocks, row.vol_bytes, row.end_block), (2, 71_428, 71_427));
    assert_eq!(row.last_written, Some(Timestamp(NOW.0 + 9)));
    assert_eq!(row.first_written, Some(Timestamp(NOW.0 + 1)));
    assert_eq!(row.storage_id, StorageId(1));
    let (files, pieces) = site
        .catalog
        .read(move |r| Ok((catalog::file::count(r, job)?, catalog::jobmedia::list(r, job)?)))
        .await
        .unwrap();
    assert_eq!(files, 3);
    // The dummy, and the row that notes where the job begins, came first and are not listed; the real one keeps its number.
    let kept: Vec<_> = pieces.iter().map(|p| (p.vol_index, p.piece.last_index.0)).collect();
    assert_eq!(kept, [(3, 3)]);
}

#[tokio::test]
async fn a_volume_that_cannot_be_used_is_passed_over_and_the_next_is_made() {
    let site = Site::new().await;
    let job = site.job("Nightly.1").await;
    let mut sd = site.session(job, false).await;
    let mut names = Vec::new();
    for index in [1, 1, 2] {
        let reply = ask(&mut sd, &find_media(job, index, "")).await;
        names.push(field(&reply, "VolName").to_owned());
    }
    assert_eq!(names, ["Vol-0001", "Vol-0001", "Vol-0002"]);
    let nowhere = find_media(job, 1, "").replace("=File ", "=Nowhere ");
    assert_eq!(ask(&mut sd, &nowhere).await, "1901 No Media.\n");
    let unknown = ask(&mut sd, &format!("CatReq JobId={job} GetVolInfo VolName=Other write=1\n")).await;
    assert_eq!(unknown, "1997 Volume \"Other\" not in catalog.\n");
}

#[tokio::test]
async fn a_full_volume_is_pruned_and_recycled_only_when_its_retention_is_over() {
    let site = Site::new().await;
    let job = site.job("Nightly.1").await;
    let mut sd = site.session(job, false).await;
    ask(&mut sd, &find_media(job, 1, "")).await;
    send_piece(&mut sd, job, "1 3 0 0 204 71427 1\n").await;
    ask(&mut sd, &format!("{}\n", update_media(job, &State { status: "Full", ..WRITTEN }))).await;
    let old = |tx: &catalog::WriteTx<'_>| {
        tx.execute("UPDATE Job SET JobTDate = 1000000 WHERE JobId = 1", &[])?;
        let mut row = media::get_by_name(tx, "Vol-0001")?.expect("it was made above");
        row.last_written = Some(Timestamp(1_000_000));
        media::update(tx, &row)
    };
    site.write(old).await;
    let find = find_media(job, 1, " create=0");
    // The job has not ended: nothing may be pruned, however old it is.
    assert_eq!(ask(&mut sd, &find).await, "1901 No Media.\n");
    sd.finish(move |tx| job::end(tx, job, &job_end())).await.unwrap();
    site.write(old).await;

    let next = site.job("Nightly.2").await;
    let mut sd = site.session(next, false).await;
    let recycled = ask(&mut sd, &find_media(next, 1, &format!(" create=0 nonce={:032x}", 77))).await;
    let guarded = " HfNonce=0000000000000000000000000000004d HfLeaseMs=18446744073709551615\n";
    assert!(recycled.ends_with(guarded), "{recycled}");
    assert_eq!(["VolName", "VolStatus"].map(|key| field(&recycled, key)), ["Vol-0001", "Recycle"]);
    assert_eq!(site.volume("Vol-0001").await.recycle_count, 1);
    assert_eq!(site.catalog.read(move |r| job::get(r, job)).await.unwrap(), None);
}

/// What a Holdfast SD would stream for a job: requests, attributes, pieces, messages.
#[tokio::test]
async fn a_volume_is_not_pruned_while_another_job_may_have_data_on_it_of_which_no_row_tells() {
    let site = Site::new().await;
    let (old, other, asking) =
        (site.job("Nightly.1").await, site.job("Nightly.2").await, site.job("Nightly.3").await);
    let mut first = site.session(old, true).await;
    let mut second = site.session(other, true).await;
    let asked = |seq: usize, line: &str| String::from_utf8(record(seq, line.as_bytes())).unwrap();
    ask(&mut first, &asked(1, &find_media(old, 1, ""))).await;
    let span = format!("CatReq JobId={old} CreateJobMedia\n1 3 0 0 204 71427 Vol-0001 0\n");
    first.handle(&record(2, span.as_bytes())).await.unwrap();
    first.finish(move |tx| job::end(tx, old, &job_end())).await.unwrap();
    // The other job shares the Volume; what it has stored there is still in its journal when a third one finds it full.
    ask(&mut second, &asked(1, &format!("{}\n", update_media(other, &State { status: "Full", ..WRITTEN }))))
        .await;
    site.write(|tx| {
        tx.execute("UPDATE Job SET JobTDate = 1000000 WHERE JobId = 1", &[])?;
        let mut row = media::get_by_name(tx, "Vol-0001")?.expect("it was made above");
        row.last_written = Some(Timestamp(1_000_000));
        media::update(tx, &row)
    })
    .await;
    let mut third = site.session(asking, true).await;
    let find = find_media(asking, 1, " create=0");
    assert_eq!(ask(&mut third, &asked(1, &find)).await, "Ans 1 1901 No Media.\n");
    assert_eq!(site.volume("Vol-0001").await.status, VolStatus::Full);
    // Its end brings all that it has told.
    let end = move |tx: &catalog::WriteTx<'_>| {
        let (state, none) = (catalog::attempt::AttemptState::Ended, catalog::attempt::Totals::default());
        catalog::attempt::finish(tx, other, Attempt(1), state, none, NOW)
    };
    second.finish(end).await.unwrap();
    let reply = ask(&mut third, &asked(2, &find)).await;
    assert_eq!(field(&reply, "VolStatus"), "Recycle", "{reply}");
}

fn journal(job: JobId, files: i32) -> Vec<Vec<u8>> {
    let label = "HfLabelTime=1795446447000000";
    let mut payloads: Vec<Vec<u8>> = vec![
        find_media(job, 1, &format!(" create=1 nonce={:032x}", 77)).into_bytes(),
        format!("{} HfVolSeq=1 {label} HfWrites=1\n", update_media(job, &LABELLED)).into_bytes(),
        format!("Jmsg JobId={job} type=7 level=1795446447 lab-sd JobId {job}: Labeled new Volume\n")
            .into_bytes(),
    ];
    for index in 1..=files {
        let name = format!("/srv/data/d{}/file {index}", index / 40);
        payloads.push(attribute(job, index, name.as_bytes()));
        payloads.push(up_cat(job, index, 3, &index.to_be_bytes().repeat(4)));
        if index % 100 == 0 {
            payloads.push(format!("Ckpt files={index} bytes=1 errors=0\n").into_bytes());
        }
    }
    let piece = format!("1 {files} 0 0 204 71427 Vol-0001 1795446447000000");
    payloads.push(format!("CatReq JobId={job} CreateJobMedia\n{piece}\n").into_bytes());
    payloads.push(format!("{} HfVolSeq=2 {label} HfWrites=3\n", update_media(job, &WRITTEN)).into_bytes());
    payloads.push(
        format!("3099 Job x end JobStatus=84 JobFiles={files} JobBytes=30 JobErrors=0 ErrMsg=\n")
            .into_bytes(),
    );
    payloads
}

fn record(seq: usize, payload: &[u8]) -> Vec<u8> {
    [format!("Jrn {seq} ").as_bytes(), payload].concat()
}

/// Everything in the catalog that a job leaves, as text.
async fn dump(catalog: &Catalog) -> Vec<String> {
    const QUERIES: &[&str] = &[
        "SELECT File.FileIndex, File.JobId, Path.Path, File.Filename, File.DeltaSeq, File.LStat, File.MD5 \
         FROM File JOIN Path ON Path.PathId = File.PathId ORDER BY File.FileId",
        "SELECT Path FROM Path ORDER BY Path",
        "SELECT JobId, MediaId, FirstIndex, LastIndex, StartFile, EndFile, StartBlock, EndBlock, VolIndex FROM JobMedia ORDER BY JobMediaId",
        "SELECT MediaId, VolumeName, VolJobs, VolFiles, VolBlocks, VolBytes, VolWrites, VolStatus, EndBlock, FirstWritten, LastWritten, StorageId FROM Media",
        "SELECT JobId, JobStatus, JobFiles, JobBytes, StartTime, EndTime FROM Job",
        "SELECT MediaId, LabelDate, StateSeq, WriteCounter FROM hf_volume",
        "SELECT LogText FROM Log ORDER BY LogId",
        "SELECT JobId, Attempt, Storage, Seq FROM hf_journal",
        "SELECT JobId, Seq, Reply FROM hf_request ORDER BY Seq",
    ];
    catalog
        .read(|r| {
            let mut lines = Vec::new();
            for sql in QUERIES {
                r.for_each(sql, &[], |row| {
                    let values =
                        (0..row.source().len()).map(|i| row.source().value(i).to_owned_value().display());
                    lines.push(values.collect::<Vec<_>>().join("|"));
                    Ok(())
                })?;
            }
            Ok(lines)
        })
        .await
        .unwrap()
}

/// Streams records from where the catalog is until `stop_after`, as the Director's loop does; the last one ends the job.
async fn stream(site: &Site, job: JobId, payloads: &[Vec<u8>], stop_after: usize) {
    let mut sd = site.session(job, true).await;
    let from = sd.attach_from().0 as usize;
    for (at, payload) in payloads.iter().enumerate().skip(from - 1) {
        if at >= stop_after {
            return; // killed: what was not committed is lost
        }
        let packet = record(at + 1, payload);
        let handled = sd.handle(&packet).await.unwrap();
        match handled.verdict {
            Verdict::Pass(line) if line.starts_with(b"Jmsg ") => {
                sd.log(NOW, String::from_utf8(line.to_vec()).unwrap());
            }
            Verdict::Pass(line) if line.starts_with(b"3099 ") => {
                sd.finish(move |tx| job::end(tx, job, &job_end())).await.unwrap();
            }
            Verdict::Pass(_) | Verdict::Taken | Verdict::Repeated => {}
        }
    }
}

#[tokio::test]
async fn a_journal_replayed_into_an_empty_catalog_gives_the_rows_of_the_live_run_wherever_it_was_cut() {
    const FILES: i32 = 700;
    let live = Site::new().await;
    let job = live.job("Nightly.1").await;
    let payloads = journal(job, FILES);
    let end = payloads.len();
    // Live: the Director is killed again and again, a new one attaches where the catalog is.
    for cut in [1, 2, 3, 4, 90, 205, 206, 207, 500, 501, 1029, 1300, end - 2, end - 1] {
        stream(&live, job, &payloads, cut).await;
    }
    stream(&live, job, &payloads, usize::MAX).await;

    let replayed = Site::new().await;
    assert_eq!(replayed.job("Nightly.1").await, job);
    stream(&replayed, job, &payloads, usize::MAX).await;

    let (a, b) = (dump(&live.catalog).await, dump(&replayed.catalog).await);
    for (x, y) in a.iter().zip(&b) {
        assert_eq!(x, y);
    }
    assert_eq!(a.len(), b.len());
    let files = live.catalog.read(move |r| catalog::file::count(r, job)).await.unwrap();
    assert_eq!(files, FILES as u64);
}

#[tokio::test]
async fn a_repeated_request_gets_the_stored_answer_and_has_no_second_effect() {
    let site = Site::new().await;
    let job = site.job("Nightly.1").await;
    let payloads = journal(job, 1);
    let mut sd = site.session(job, true).await;
    let packet = record(1, &payloads[0]);
    let first = sd.handle(&packet).await.unwrap();
    let answer = String::from_utf8(first.replies.concat()).unwrap();
    assert!(answer.starts_with("Ans 1 1000 OK VolName=Vol-0001 "), "{answer}");
    // Nothing on a new Volume is overwritten.
    assert_eq!(answer.matches('=').count(), 37, "{answer}");

    let mut again = site.session(job, true).await;
    assert_eq!(again.attach_from(), Seq(2));
    assert_eq!(again.stored_answers().await.unwrap(), [answer.as_bytes()]);
    let repeated = again.handle(&packet).await.unwrap();
    assert_eq!(repeated.verdict, Verdict::Repeated);
    assert_eq!(String::from_utf8(repeated.replies.concat()).unwrap(), answer);
    assert_eq!(site.catalog.read(|r| media::list(r, None)).await.unwrap().len(), 1);

    let gap = again.handle(&record(3, &payloads[2])).await.unwrap_err();
    assert!(gap.to_string().contains("journal record 3 follows 1"), "{gap}");
}

#[tokio::test]
async fn an_older_volume_state_is_not_applied_over_a_newer_one() {
    let site = Site::new().await;
    let job = site.job("Nightly.1").await;
    let mut sd = site.session(job, true).await;
    sd.handle(&record(1, find_media(job, 1, " create=1").as_bytes())).await.unwrap();
    let state = |seq, bytes| {
        let update = update_media(job, &State { bytes, ..WRITTEN });
        format!("{update} HfVolSeq={seq} HfLabelTime=5 HfWrites=9\n")
    };
    sd.handle(&record(2, state(8, 800).as_bytes())).await.unwrap();
    let packet = record(3, state(7, 700).as_bytes());
    let old = sd.handle(&packet).await.unwrap();
    assert!(String::from_utf8(old.replies.concat()).unwrap().contains(" VolBytes=800 "));
    let row = site.volume("Vol-0001").await;
    assert_eq!((row.vol_bytes, row.status), (800, VolStatus::Append));
}

#[tokio::test]
async fn a_closed_attempt_is_served_no_more_and_a_stale_director_writes_nothing() {
    let site = Site::new().await;
    let job = site.job("Nightly.1").await;
    let mut stale = site.session(job, true).await;
    stale.handle(&record(1, &attribute(job, 1, b"/a"))).await.unwrap();
    let wish = Activation {
        holder: "b".to_owned(),
        activation: ActivationId(8),
        seen: vec![],
        timeline: 0,
        now: NOW,
    };
    let epoch = site.catalog.raise_epoch(wish).await.unwrap().epoch;
    let refused = stale.flush().await.unwrap_err();
    assert!(
        matches!(&refused, director::catreq::CatReqError::Catalog(e) if e.is_epoch_over()),
        "{refused:?}"
    );

    let close = move |tx: &catalog::WriteTx<'_>| {
        let totals = catalog::attempt::Totals::default();
        catalog::attempt::finish(tx, job, Attempt(1), catalog::attempt::AttemptState::Closed, totals, NOW)
    };
    site.catalog.write(epoch, close).await.unwrap();
    let service = CatalogService::new(site.catalog.clone(), site.guard.clone(), VolumeRules::default());
    assert!(service.open(context(job, true)).await.is_err());
}

/// The Volume that a job is given from the Scratch Pool, whose first Volume lies at the Storage `Away`.
async fn from_scratch(resting: &[&str]) -> (String, media::MediaRow) {
    let site = Site::new().await;
    site.write(|tx| {
        let scratch = pool::ensure(tx, &pool_row("Scratch", ""))?;
        for (name, storage) in [("S-away", "Away"), ("S-here", "File1")] {
            let mut row = media::MediaRow::new(name, scratch, "File1", VolumeLimits::default());
            row.storage_id = catalog::storage::ensure(tx, storage, false)?;
            media::create(tx, &row)?;
        }
        Ok(())
    })
    .await;
    let job = site.job("a").await;
    let rules = VolumeRules::default().without(resting.iter().map(|&name| name.to_owned()).collect());
    let service = CatalogService::new(site.catalog.clone(), site.guard.clone(), rules);
    let mut session = service.open(context(job, true)).await.unwrap();
    let request = format!("Jrn 1 {}", find_media(job, 1, ""));
    let reply = session.handle(request.as_bytes()).await.unwrap();
    let reply = String::from_utf8(reply.replies.concat()).unwrap();
    (field(&reply, "VolName").to_owned(), site.volume("S-away").await)
}

#[tokio::test]
async fn a_scratch_volume_at_a_storage_that_rests_is_not_taken() {
    assert_eq!(from_scratch(&[]).await.0, "S-away", "else nothing is shown");
    let (taken, left) = from_scratch(&["Away"]).await;
    assert_eq!(taken, "S-here");
    assert_ne!(left.pool_id, PoolId(1), "it stays in the Scratch Pool");
}
