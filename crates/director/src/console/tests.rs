//! Sessions against a real catalog and the recorded laboratory configuration, without daemons.

use std::sync::Arc;
use std::sync::Mutex;

use catalog::leader::Activation;
use catalog::{Catalog, job, jobmedia, media};
use conf::{DirectorConfig, TextLoader};
use policy::plan::JobRequest;
use policy::spare::{OnMissing, SparePlan};
use tokio::sync::mpsc;
use types::{
    ActivationId, Epoch, FileIndex, FileSetId, JobId, JobLevel, JobStatus, JobType, StorageId, Timestamp,
    VolAddr, VolSession,
};

use super::acl::Acl;
use super::core::{Core, CoreFuture};
use super::session::Session;
use super::ua::tests::{scripted, transcript};
use super::ua::{Out, Ua};
use crate::DirectorError;
use crate::handle::TerminatedJob;
use crate::jobs::JobView;
use crate::peer::{ClientConn, StorageConn};

/// A Director of which only configuration and catalog are real; what is submitted is kept.
struct FakeCore {
    config: Arc<DirectorConfig>,
    catalog: Catalog,
    epoch: Epoch,
    submitted: Mutex<Vec<JobRequest>>,
    _folder: tempfile::TempDir,
}

impl FakeCore {
    async fn new() -> Arc<Self> {
        let folder = tempfile::tempdir().unwrap();
        let text = include_str!("../../fixtures/console/lab-bacula-dir.conf")
            .replace("/opt/lb/work/dir", folder.path().to_str().unwrap());
        let mut loader = TextLoader::new("dir.conf", text);
        let config = conf::load::<DirectorConfig>("dir.conf", &mut loader).unwrap().config;
        let catalog = Catalog::open_sqlite(&folder.path().join("c.db"), "lab-dir").unwrap();
        let wish = Activation {
            holder: "a".to_owned(),
            activation: ActivationId(7),
            seen: vec![],
            timeline: 0,
            now: Timestamp(1_795_446_447),
        };
        let epoch = catalog.raise_epoch(wish).await.unwrap().epoch;
        let resources = config.clone();
        catalog.write(epoch, move |tx| crate::catreq::resources::sync(tx, &resources)).await.unwrap();
        Arc::new(Self {
            config: Arc::new(config),
            catalog,
            epoch,
            submitted: Mutex::default(),
            _folder: folder,
        })
    }

    /// Puts the recorded first job in: NightlySave, a Full of 12 files on Vol-0001.
    async fn with_first_job(self: Arc<Self>) -> Arc<Self> {
        let start = Timestamp(super::fmt::parse_time("2026-11-23 15:07:27").unwrap());
        self.catalog.write(self.epoch, move |tx| first_job(tx, start)).await.unwrap();
        self
    }
}

fn first_job(tx: &catalog::WriteTx<'_>, start: Timestamp) -> catalog::Result<()> {
    let client = catalog::client::get_by_name(tx, "lab-fd")?.unwrap();
    let pool = catalog::pool::get_by_name(tx, "File")?.unwrap();
    let storage = catalog::storage::get_by_name(tx, "File1")?.unwrap();
    catalog::fileset::ensure(tx, "Small Set", "abc", "", false, start)?;
    let id = job::create(
        tx,
        &job::NewJob {
            unique_name: "NightlySave.2026-11-23_15.07.25_08".to_owned(),
            name: "NightlySave".to_owned(),
            job_type: JobType::Backup,
            level: JobLevel::Full,
            client_id: client.id,
            sched_time: Timestamp(start.0 - 3),
            created: start,
            prior_job_id: JobId(0),
            comment: String::new(),
        },
    )?;
    let begun = job::JobStart {
        level: JobLevel::Full,
        client_id: client.id,
        fileset_id: FileSetId(1),
        pool_id: pool.id,
        start_time: start,
        status: JobStatus::Running,
    };
    job::start(tx, id, &begun)?;
    let mut volume = media::MediaRow::new("Vol-0001", pool.id, "File1", pool.limits.clone());
    volume.storage_id = StorageId(storage.id.get());
    volume.vol_bytes = 277_569;
    volume.last_written = Some(start);
    let media_id = media::create(tx, &volume)?;
    jobmedia::create(
        tx,
        id,
        &[jobmedia::Piece {
            first_index: FileIndex(1),
            last_index: FileIndex(12),
            start: VolAddr(209),
            end: VolAddr(277_568),
            media_id,
        }],
    )?;
    insert_files(tx, id)?;
    job::end(
        tx,
        id,
        &job::JobEnd {
            status: JobStatus::Terminated,
            level: JobLevel::Full,
            start_time: start,
            end_time: start,
            real_end_time: start,
            session: VolSession { id: 1, time: 1_795_446_221 },
            files: 12,
            bytes: 275_263,
            read_bytes: 367_307,
            errors: 0,
            missing_files: 0,
            pool_id: pool.id,
            prior_job_id: JobId(0),
            has_base: false,
        },
    )
}

fn insert_files(tx: &catalog::WriteTx<'_>, job: JobId) -> catalog::Result<()> {
    const DIRECTORY: &str = "P4A m+QC EHt C A A A BAA BAA I BrBFXD BrBFXD BrBFXD A A E";
    const FILE: &str = "P4A m+QJ IGk B A A A xI BAA I BrBFXD BrBFXD BrBFXD A A E";
    let rows = [
        ("/opt/lb/src/tmp/", "", DIRECTORY),
        ("/opt/lb/src/docs/", "services", FILE),
        ("/opt/lb/src/docs/", "empty", FILE),
        ("/opt/lb/src/docs/", "protocols", FILE),
        ("/opt/lb/src/docs/", "services.hard", FILE),
        ("/opt/lb/src/docs/", "file with space.txt", FILE),
        ("/opt/lb/src/docs/", "", DIRECTORY),
        ("/opt/lb/src/bin/", "rand.bin", FILE),
        ("/opt/lb/src/bin/", "link", FILE),
        ("/opt/lb/src/bin/", "ls", FILE),
        ("/opt/lb/src/bin/", "", DIRECTORY),
        ("/opt/lb/src/", "", DIRECTORY),
    ];
    let files: Vec<_> = rows
        .iter()
        .zip(1..)
        .map(|((path, name, lstat), index)| catalog::file::NewFile {
            file_index: FileIndex(index),
            path: path.as_bytes().to_vec(),
            name: name.as_bytes().to_vec(),
            lstat: (*lstat).to_owned(),
            digest: "0".to_owned(),
            delta_seq: 0,
        })
        .collect();
    catalog::file::Ingest::new(job, false).insert(tx, &files, None)
}

fn unreachable_daemon(peer: &str) -> DirectorError {
    DirectorError::Connect {
        peer: peer.to_owned(),
        address: "127.0.0.1:1".to_owned(),
        problem: "connection refused".to_owned(),
    }
}

impl Core for FakeCore {
    fn config(&self) -> Arc<DirectorConfig> {
        Arc::clone(&self.config)
    }

    fn catalog(&self) -> Catalog {
        self.catalog.clone()
    }

    fn epoch(&self) -> Result<Epoch, DirectorError> {
        Ok(self.epoch)
    }

    fn jobs(&self) -> Vec<JobView> {
        Vec::new()
    }

    fn terminated(&self) -> Vec<TerminatedJob> {
        Vec::new()
    }

    fn times(&self) -> (Timestamp, Timestamp) {
        (Timestamp(0), Timestamp(0))
    }

    fn jobs_run(&self) -> u64 {
        0
    }

    fn submit(&self, request: JobRequest) -> CoreFuture<'_, Result<JobId, DirectorError>> {
        self.submitted.lock().unwrap().push(request);
        Box::pin(async { Ok(JobId(20)) })
    }

    fn resume(&self, job: JobId) -> CoreFuture<'_, Result<JobId, DirectorError>> {
        Box::pin(async move { Err(DirectorError::NoSuchJob(job)) })
    }

    fn cancel(&self, job: JobId) -> CoreFuture<'_, Result<Vec<String>, DirectorError>> {
        Box::pin(async move { Err(DirectorError::NoSuchJob(job)) })
    }

    fn stop(&self, job: JobId) -> CoreFuture<'_, Result<Vec<String>, DirectorError>> {
        Box::pin(async move { Err(DirectorError::NoSuchJob(job)) })
    }

    fn wait(&self, _: JobId) -> CoreFuture<'_, Option<JobStatus>> {
        Box::pin(async { None })
    }

    fn wait_all(&self) -> CoreFuture<'_, ()> {
        Box::pin(async {})
    }

    fn messages_pending(&self) -> bool {
        false
    }

    fn take_messages(&self) -> Vec<String> {
        Vec::new()
    }

    fn connect_client<'a>(&'a self, client: &'a str) -> CoreFuture<'a, Result<ClientConn, DirectorError>> {
        Box::pin(async move { Err(unreachable_daemon(client)) })
    }

    fn connect_storage<'a>(&'a self, storage: &'a str) -> CoreFuture<'a, Result<StorageConn, DirectorError>> {
        Box::pin(async move { Err(unreachable_daemon(storage)) })
    }

    fn plan_storage<'a>(
        &'a self,
        storage: &'a str,
        _: OnMissing,
    ) -> CoreFuture<'a, Result<SparePlan, DirectorError>> {
        Box::pin(async move { Err(unreachable_daemon(storage)) })
    }

    fn activate_storage(&self, _: SparePlan) -> CoreFuture<'_, Result<Vec<String>, DirectorError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn permit(&self) -> lead::Permit {
        lead::EpochGuard::new("x", "x", types::Epoch(1), types::ActivationId(1), None).permit()
    }

    fn console_name(&self) -> String {
        "-Console-.x".to_owned()
    }

    fn notify_schedule(&self) {}

    fn reload(&self, only_check: bool) -> CoreFuture<'_, Result<Vec<String>, DirectorError>> {
        Box::pin(async move {
            if only_check {
                return Ok(Vec::new());
            }
            Ok(vec!["Pool \"Scratch\" added".to_owned()])
        })
    }
}

/// What a console sees that types these lines; ends of answers and sub-prompts are left out.
async fn session_of(core: &Arc<FakeCore>, acl: Acl, lines: &[&str]) -> String {
    let (ua, mut sent): (Ua, mpsc::Receiver<Out>) = scripted(lines);
    let core: Arc<dyn Core> = core.clone();
    Session::new(ua, core, acl, 0).run().await;
    transcript(&mut sent).replace("<Eod>", "").replace("<SubPrompt>", "")
}

async fn session(core: &Arc<FakeCore>, lines: &[&str]) -> String {
    session_of(core, Acl::unrestricted(), lines).await
}

fn recorded(name: &str, from: &str, until: &str) -> String {
    let start = name.find(from).unwrap() + from.len();
    let end = name[start..].find(until).unwrap() + start;
    name[start..end].to_owned()
}

#[tokio::test]
async fn lists_of_an_empty_catalog_are_as_recorded() {
    let core = FakeCore::new().await;
    let fixture = include_str!("../../fixtures/console/list-empty.txt");
    // The configuration has since got one more pool.
    let without_empty = |text: String| {
        let lines: Vec<&str> = text.lines().filter(|l| !l.contains("| Empty ")).collect();
        lines.join("\n") + "\n"
    };
    let got = without_empty(session(&core, &["list pools"]).await);
    assert_eq!(got, recorded(fixture, "list pools\n", "llist pools\n"));
    let got = session(&core, &["llist pools"]).await;
    let expected = recorded(fixture, "llist pools\n", "list jobs\n");
    assert!(got.contains(&expected), "{got}");
    let got = session(&core, &["list clients"]).await;
    assert!(got.ends_with(&recorded(fixture, "list clients\n", "list storages\n")), "{got}");
    let got = session(&core, &["list jobs"]).await;
    assert!(got.ends_with("No results to list.\n"), "{got}");
    let got = session(&core, &["list volumes"]).await;
    assert!(got.contains(&recorded(fixture, "list volumes\n", "Pool: File\n")), "{got}");
    let got = session(&core, &["list xyz", "foo", "li"]).await;
    assert!(got.ends_with("Unknown list keyword: xyz\nfoo: is an invalid command.\n"), "{got}");
}

#[tokio::test]
async fn a_job_is_listed_as_recorded() {
    let core = FakeCore::new().await.with_first_job().await;
    let fixture = include_str!("../../fixtures/console/list-various.txt");
    let got = session(&core, &["llist jobid=1"]).await;
    assert!(got.ends_with(&recorded(fixture, "llist jobid=1\n", "llist jobid=14\n")), "{got}");
    let got = session(&core, &["list jobmedia jobid=1"]).await;
    assert!(got.ends_with(&recorded(fixture, "list jobmedia jobid=1\n", "list jobmedia jobid=9\n")), "{got}");
    let got = session(&core, &["list volumes jobid=1"]).await;
    assert!(got.contains("Jobid 1 used 1 Volume(s): Vol-0001\n"), "{got}");
    let got = session(&core, &["list files jobid=1"]).await;
    assert!(got.contains("| /opt/lb/src/docs/file with space.txt |\n"), "{got}");
    let got = session(&core, &["list media pool=File"]).await;
    assert!(got.contains("|       1 | Vol-0001   | Append    |       1 |  277,569 |"), "{got}");
}

#[tokio::test]
async fn run_shows_the_recorded_summary_and_lets_it_be_changed() {
    let core = FakeCore::new().await;
    let fixture = include_str!("../../fixtures/console/run-dialog.txt");
    let got = session(&core, &["run job=NightlySave", "mod", "1", "1", "yes"]).await;
    let expected = recorded(fixture, "run job=NightlySave\n", "wait\n");
    let plain = |text: &str| {
        let lines = text.lines().map(|line| if line.starts_with("When:") { "When:" } else { line });
        lines.collect::<Vec<_>>().join("\n")
    };
    // The recording has what was typed; a real console shows it from the keyboard.
    let expected = expected
        .replace("no): mod\n", "no): ")
        .replace("(1-9): 1\n", "(1-9): ")
        .replace("(1-5): 1\n", "(1-5): ");
    let expected = expected.replace("no): yes\n", "no): ").replace("JobId=1", "JobId=20");
    assert_eq!(plain(&got), plain(&expected));
    let submitted = core.submitted.lock().unwrap();
    assert_eq!(submitted[0].job, "NightlySave");
    assert_eq!(submitted[0].overrides.level, Some(JobLevel::Full));
}

#[tokio::test]
async fn a_direct_restore_is_as_recorded() {
    let core = FakeCore::new().await.with_first_job().await;
    let fixture = include_str!("../../fixtures/console/restore-direct.txt");
    let line = "restore client=lab-fd fileset=\"Small Set\" before=\"2026-11-23 15:07:50\" select all done where=/opt/lb/restore/g yes";
    let got = session(&core, &[line]).await;
    let expected = recorded(fixture, &format!("{line}\n"), "wait\n");
    let plain = |text: &str| {
        let lines =
            text.lines().filter(|l| !l.starts_with("Bootstrap records") && !l.starts_with("Using Catalog"));
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(plain(&got), plain(&expected));
    let submitted = core.submitted.lock().unwrap();
    let restore = submitted[0].overrides.restore.as_ref().unwrap();
    assert_eq!(restore.where_.as_deref(), Some("/opt/lb/restore/g"));
    assert_eq!((restore.files_expected, &restore.job_ids[..]), (12, &[1][..]));
    assert!(restore.bootstrap.as_ref().unwrap().contains("VolAddr=209-277568\nFileIndex=1-12\nCount=12\n"));
    assert_eq!(restore.storages, ["File1"]);
}

#[tokio::test]
async fn a_file_is_restored_by_name_and_a_missing_one_is_told() {
    let core = FakeCore::new().await.with_first_job().await;
    let got =
        session(&core, &["restore jobid=1 client=lab-fd file=/opt/lb/src/docs/empty where=/r done yes"])
            .await;
    assert!(got.contains("1 file selected to be restored.\n\n"), "{got}");
    assert!(got.ends_with("Job queued. JobId=20\n"), "{got}");
    let got = session(&core, &["restore jobid=1 client=lab-fd file=/nowhere done yes"]).await;
    assert!(
        got.ends_with("No database record found for: /nowhere\nNo files selected to be restored.\n"),
        "{got}"
    );
    let got = session(&core, &["restore jobid=1 client=lab-fd directory=/opt/lb/src/docs done yes"]).await;
    assert!(got.contains("6 files selected to be restored.\n"), "{got}");
}

#[tokio::test]
async fn the_menu_of_restore_leads_through_its_items() {
    let core = FakeCore::new().await.with_first_job().await;
    let got = session(&core, &["restore", "help", "1", "9", "2", "13"]).await;
    let fixture = include_str!("../../fixtures/console/restore-various.txt");
    let start = fixture.find("\nFirst you select").unwrap();
    let until = fixture.find("Select item:  (1-13): help").unwrap();
    assert!(got.contains(&fixture[start..until]), "{got}");
    assert!(
        got.contains("| 1     | lab-fd | 2026-11-23 15:07:27 | F        | 12       | 275263   |\n"),
        "{got}"
    );
    assert!(
        got.contains("Defined Clients:\n     1: gone-fd\n     2: lab-fd\nSelect the Client (1-2): "),
        "{got}"
    );
    assert!(got.contains("Automatically selected FileSet: Small Set\n"), "{got}");
    let got = session(&core, &["restore", "3", "1", "done", "2", "no"]).await;
    assert!(got.contains("You have selected the following JobId: 1\n"), "{got}");
    assert!(got.contains("No files selected to be restored.\n"), "{got}");
    let got = session(&core, &["restore", "12", "1", "mark *", "done", "no"]).await;
    assert!(got.contains("12 files selected to be restored.\n"), "{got}");
    assert!(got.contains("Restore Client:  lab-fd\nStorage:         File1\n"), "{got}");
    assert!(got.ends_with("OK to run? (yes/mod/no): Job not run.\n"), "{got}");
}

#[tokio::test]
async fn a_volume_is_changed_purged_and_deleted() {
    let core = FakeCore::new().await.with_first_job().await;
    let got = session(&core, &["update volume=Vol-0001 volstatus=Used volretention=30days"]).await;
    assert!(got.ends_with("New Volume status is: Used\nNew retention period is: 1 month \n"), "{got}");
    let got = session(&core, &["prune volume=Vol-0001 yes"]).await;
    assert!(got.contains("Prune") || got.contains("No Jobs found to prune.\n"), "{got}");
    let got = session(&core, &["purge volume=Vol-0001", "list volume=Vol-0001", "list jobs"]).await;
    let expected = "There are no more Jobs associated with Volume \"Vol-0001\". Marking it purged.\n";
    assert!(got.contains(expected), "{got}");
    assert!(got.contains("| Vol-0001   | Purged    |"), "{got}");
    assert!(got.ends_with("No results to list.\n"), "{got}");
    let got = session(&core, &["delete volume=Vol-0001 yes", "list volume=Vol-0001"]).await;
    assert!(
        got.ends_with("and all Jobs saved on that volume from the Catalog\nNo results to list.\n"),
        "{got}"
    );
}

#[tokio::test]
async fn programs_get_their_lists() {
    let core = FakeCore::new().await.with_first_job().await;
    let fixture = include_str!("../../fixtures/console/dot-commands.txt");
    for (command, next) in [
        (".clients\n", ".pools\n"),
        (".storage\n", ".filesets\n"),
        (".msgs\n", ".types\n"),
        (".types\n", ".levels\n"),
        (".levels\n", ".levels Backup\n"),
        (".levels Backup\n", ".catalogs\n"),
        (".catalogs\n", ".schedule\n"),
        (".schedule\n", ".status dir current\n"),
    ] {
        assert_eq!(
            session(&core, &[command]).await,
            recorded(fixture, &format!("\n{command}"), next),
            "{command}"
        );
    }
    let got = session(&core, &[".defaults job=NightlySave"]).await;
    assert_eq!(got, recorded(fixture, ".defaults job=NightlySave\n", ".defaults client=lab-fd\n"));
    let got = session(&core, &[".defaults pool=File"]).await;
    assert_eq!(got, recorded(fixture, ".defaults pool=File\n", ".bvfs_update\n"));
    assert_eq!(session(&core, &[".sql query=\"SELECT JobId,Name FROM Job\""]).await, "1\tNightlySave\t");
    let got = session(&core, &[".bvfs_update", ".bvfs_lsdirs path=/opt/lb/src/ jobid=1"]).await;
    let names: Vec<&str> = got.lines().filter_map(|l| l.rsplit('\t').next()).collect();
    assert_eq!(names, [".", "..", "bin/", "docs/", "tmp/"]);
    let got =
        session(&core, &[".bvfs_lsfiles path=/opt/lb/src/docs/ jobid=1", ".bvfs_get_jobids jobid=1"]).await;
    assert_eq!(got.lines().count(), 6, "{got}");
    assert!(got.ends_with("\n1\n"), "{got}");
}

#[tokio::test]
async fn a_waiting_command_ends_with_its_console() {
    let (ua, _sent) = scripted(&[]);
    let gone = tokio_util::sync::CancellationToken::new();
    let ua = ua.until(gone.clone());
    let waiting = ua.unless_gone(None, std::future::pending::<()>());
    let leaving = async { gone.cancel() };
    let (waited, ()) = tokio::join!(waiting, leaving);
    assert_eq!(waited, Err(super::ua::Halt::Gone));
}

#[tokio::test]
async fn what_a_gui_picks_is_restored_by_another_session() {
    let core = FakeCore::new().await.with_first_job().await;
    let lines = [".bvfs_update", ".bvfs_restore fileid=3 dirid=3 hardlink=1,2 jobid=1 path=b2001"];
    assert_eq!(session(&core, &lines).await, "OK\n");
    let got = session(&core, &["restore file=?b2001 client=lab-fd where=/r done yes"]).await;
    assert!(got.contains("6 files selected to be restored.\n"), "{got}");
    let got = session(&core, &[".bvfs_cleanup path=b2001", ".bvfs_restore fileid=1 path=Job"]).await;
    assert!(got.contains("is no name of a selection"), "{got}");
    let got = session(&core, &["restore file=?b2001 client=lab-fd done yes"]).await;
    assert!(got.contains("no such table"), "{got}");
}

#[tokio::test]
async fn a_restricted_console_sees_only_its_own() {
    let core = FakeCore::new().await.with_first_job().await;
    let mut resource = core.config.console("mon").unwrap().clone();
    resource.client_acl = vec!["gone-fd".to_owned()];
    let acl = Acl::of(resource);
    let got = session_of(&core, acl.clone(), &["list jobs", ".clients", "purge volume=Vol-0001"]).await;
    assert_eq!(
        got,
        "list: is an invalid command.\n.clients: is an invalid command.\npurge: is an invalid command.\n"
    );
    let got = session_of(&core, acl, &["status client=lab-fd"]).await;
    assert!(
        got.starts_with("Automatically selected Client: gone-fd\nConnecting to Client gone-fd at"),
        "{got}"
    );
    assert!(got.contains("Failed to connect to Client gone-fd.\n====\n"), "{got}");
}

#[tokio::test]
async fn the_api_modes_end_answers_by_signals() {
    let core = FakeCore::new().await;
    let got = session(&core, &[".api 1", ".jobs type=R", "bogus", ".api 0", "time"]).await;
    let expected = "<CmdOk><MainPrompt><CmdBegin>RestoreFiles\n<CmdOk><MainPrompt><ErrorMsg>bogus: is an invalid command.\n\
                    <MainPrompt><CmdBegin>";
    assert!(got.starts_with(expected), "{got}");
    assert!(!got[expected.len()..].contains('<'), "{got}");
}
