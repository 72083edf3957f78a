//! The Director with Bacula's own Storage and File Daemon (9.6): a backup, an incremental one, a restore.
//!
//! Needs the real Bacula that `tests/real/fetch-bacula` unpacks.

use director::{ConfigFiles, Director, JobRequest, RestoreRequest};
use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use types::{JobId, JobLevel, JobStatus};

/// A daemon of Bacula's, ended with the test.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Daemon {
    fn start(program: &str, config: &Path, port: u16) -> Self {
        let found = testkit::site::program(testkit::site::Maker::Bacula9, program);
        let found = found.unwrap_or_else(|error| panic!("{error:#}"));
        let child = Command::new(&found.path)
            .args(&found.arguments)
            .args(["-f", "-c"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}"));
        let until = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "{program} does not listen");
            std::thread::yield_now();
        }
        Self(child)
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

struct Lab {
    dir: tempfile::TempDir,
    director: Director,
    _control: net::daemon::DaemonControl,
    _daemons: [Daemon; 2],
}

impl Lab {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        for name in ["work", "vols", "src/sub", "restored"] {
            std::fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let (sd, fd) = (free_port(), free_port());
        let sd_conf = format!(
            "Storage {{ Name = t-sd; SDPort = {sd}; WorkingDirectory = \"{work}\"; Pid Directory = \"{work}\" }}\n\
             Director {{ Name = t-dir; Password = \"sdpw\" }}\n\
             Device {{ Name = Dev1; Media Type = File1; Archive Device = \"{vols}\"; LabelMedia = yes; Random Access = yes\n\
               AutomaticMount = yes; RemovableMedia = no; AlwaysOpen = no }}\n\
             Messages {{ Name = Standard; director = t-dir = all }}\n",
            work = at("work"),
            vols = at("vols")
        );
        let fd_conf = format!(
            "FileDaemon {{ Name = t-fd; FDport = {fd}; WorkingDirectory = \"{work}\"; Pid Directory = \"{work}\" }}\n\
             Director {{ Name = t-dir; Password = \"fdpw\" }}\n\
             Messages {{ Name = Standard; director = t-dir = all, !skipped, !restored }}\n",
            work = at("work")
        );
        std::fs::write(dir.path().join("sd.conf"), sd_conf).unwrap();
        std::fs::write(dir.path().join("fd.conf"), fd_conf).unwrap();
        let daemons = [
            Daemon::start("bacula-sd", &dir.path().join("sd.conf"), sd),
            Daemon::start("bacula-fd", &dir.path().join("fd.conf"), fd),
        ];
        let text = director_conf(&dir, sd, fd);
        let file = dir.path().join("dir.conf");
        std::fs::write(&file, text).unwrap();
        let (context, control) = net::daemon::pair();
        let director = director::start(ConfigFiles::new(file), &context).await.unwrap();
        Self { dir, director, _control: control, _daemons: daemons }
    }

    async fn run(&self, request: JobRequest) -> (JobId, JobStatus, Duration) {
        let started = Instant::now();
        let id = self.director.submit(request).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(60), self.director.wait(id)).await;
        let status = ended.expect("the job ends in time");
        let row = self.director.catalog().read(move |r| catalog::job::get(r, id)).await.unwrap().unwrap();
        if let Some(status) = status {
            assert_eq!(row.status, status);
        }
        (id, row.status, started.elapsed())
    }

    async fn log(&self, id: JobId) -> String {
        let rows = self.director.catalog().read(move |r| catalog::log::list(r, id)).await.unwrap();
        rows.into_iter().map(|(_, text)| text).collect()
    }
}

fn director_conf(dir: &tempfile::TempDir, sd: u16, fd: u16) -> String {
    let at = |name: &str| dir.path().join(name).display().to_string();
    format!(
        "Director {{ Name = t-dir; DirPort = {port}; QueryFile = \"/dev/null\"; WorkingDirectory = \"{work}\"\n\
           PidDirectory = \"{work}\"; Password = \"dirpw\"; Messages = Standard; Maximum Concurrent Jobs = 10 }}\n\
         Job {{ Name = Save; Type = Backup; Level = Incremental; Client = t-fd; FileSet = Set; Storage = File1\n\
           Messages = Standard; Pool = File; Write Bootstrap = \"{work}/%c.bsr\"; Accurate = yes\n\
           RunScript {{ Runs When = After; Runs On Client = No; Command = \"/bin/echo after %j %e\" }}\n\
           Client Run Before Job = \"/bin/echo on client\" }}\n\
         Job {{ Name = Fail; Type = Backup; Level = Full; Client = t-fd; FileSet = Set; Storage = File1\n\
           Messages = Standard; Pool = File; RunBeforeJob = \"/bin/false\" }}\n\
         Job {{ Name = Slow; Type = Backup; Level = Full; Client = t-fd; FileSet = Set; Storage = File1\n\
           Messages = Standard; Pool = File; Client Run Before Job = \"/bin/sleep 30\" }}\n\
         Job {{ Name = Admin; Type = Admin; Client = t-fd; FileSet = Set; Storage = File1; Messages = Standard; Pool = File }}\n\
         Job {{ Name = Restore; Type = Restore; Client = t-fd; FileSet = Set; Storage = File1; Messages = Standard\n\
           Pool = File; Where = \"{restored}\" }}\n\
         FileSet {{ Name = Set; Include {{ Options {{ signature = MD5; compression = GZIP }}\n File = \"{src}\" }} }}\n\
         Client {{ Name = t-fd; Address = 127.0.0.1; FDPort = {fd}; Catalog = Cat; Password = \"fdpw\"; Maximum Concurrent Jobs = 5 }}\n\
         Storage {{ Name = File1; Address = 127.0.0.1; SDPort = {sd}; Password = \"sdpw\"; Device = Dev1; Media Type = File1\n\
           Maximum Concurrent Jobs = 5 }}\n\
         Catalog {{ Name = Cat; dbname = bacula }}\n\
         Messages {{ Name = Standard; console = all, !skipped; catalog = all; append = \"{work}/log\" = all }}\n\
         Pool {{ Name = File; Pool Type = Backup; Label Format = \"Vol-\" }}\n",
        port = free_port(),
        work = at("work"),
        src = at("src"),
        restored = at("restored"),
    )
}

fn full() -> JobRequest {
    let mut request = JobRequest::new("Save");
    request.overrides.level = Some(JobLevel::Full);
    request
}

/// A bootstrap of everything a job has on its Volumes.
async fn bootstrap(lab: &Lab, id: JobId) -> (String, u32) {
    let (row, pieces) = lab
        .director
        .catalog()
        .read(move |r| Ok((catalog::job::get(r, id)?.unwrap(), catalog::jobmedia::list(r, id)?)))
        .await
        .unwrap();
    let mut bsr = String::new();
    for piece in pieces {
        let _ = write!(
            bsr,
            "Storage=\"File1\"\nVolume=\"{}\"\nMediaType=\"File1\"\nVolSessionId={}\nVolSessionTime={}\nVolAddr={}-{}\nFileIndex={}-{}\n",
            piece.volume_name,
            row.session.id,
            row.session.time,
            piece.piece.start,
            piece.piece.end,
            piece.piece.first_index,
            piece.piece.last_index
        );
    }
    (bsr, u32::try_from(row.files).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_and_a_restore_with_stock_daemons() {
    let lab = Lab::start().await;
    for number in 0..100 {
        let text = format!("file {number}\n").repeat(50);
        std::fs::write(lab.dir.path().join(format!("src/sub/f{number}")), text).unwrap();
    }
    let (first, status, took) = lab.run(full()).await;
    let log = lab.log(first).await;
    assert_eq!(status, JobStatus::Terminated, "{log}");
    println!("full: {took:?}\n{log}");
    let files = lab.director.catalog().read(move |r| catalog::file::count(r, first)).await.unwrap();
    assert_eq!(files, 102, "100 files and 2 directories");
    for wanted in [
        "Start Backup JobId",
        "Using Device \"Dev1\" to write.",
        "Backup OK",
        "after Save",
        "on client",
        "Created new Volume=\"Vol-0001\"",
    ] {
        assert!(log.contains(wanted), "{wanted} in {log}");
    }
    let bsr = std::fs::read_to_string(lab.dir.path().join("work/t-fd.bsr")).unwrap();
    assert!(bsr.contains("Volume=\"Vol-0001\"") && bsr.contains("FileIndex=1-102"), "{bsr}");

    std::fs::write(lab.dir.path().join("src/new"), "new").unwrap();
    std::fs::remove_file(lab.dir.path().join("src/sub/f7")).unwrap();
    let (second, status, took) = lab.run(JobRequest::new("Save")).await;
    let log = lab.log(second).await;
    println!("incremental: {took:?}\n{log}");
    assert_eq!(status, JobStatus::Terminated, "{log}");
    assert!(log.contains("Incremental, since="), "{log}");

    let (bsr, expected) = bootstrap(&lab, first).await;
    let mut request = JobRequest::new("Restore");
    request.overrides.restore = Some(RestoreRequest {
        bootstrap: Some(bsr),
        files_expected: expected,
        job_ids: vec![first.get()],
        storages: vec!["File1".to_owned()],
        ..RestoreRequest::default()
    });
    let (restore, status, took) = lab.run(request).await;
    let log = lab.log(restore).await;
    println!("restore: {took:?}\n{log}");
    assert_eq!(status, JobStatus::Terminated, "{log}");
    let source = lab.dir.path().join("src");
    let restored = lab.dir.path().join("restored").join(source.strip_prefix("/").unwrap());
    let count = std::fs::read_dir(restored.join("sub")).unwrap().count();
    assert_eq!(count, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_scripts_admin_jobs_and_a_cancel() {
    let lab = Lab::start().await;
    std::fs::write(lab.dir.path().join("src/a"), "a").unwrap();
    let (id, status, _) = lab.run(JobRequest::new("Fail")).await;
    let log = lab.log(id).await;
    assert_eq!(status, JobStatus::ErrorTerminated, "{log}");
    assert!(
        log.contains("Runscript: BeforeJob returned non-zero status=1. ERR=Child exited with code 1"),
        "{log}"
    );

    let (id, status, _) = lab.run(JobRequest::new("Admin")).await;
    assert_eq!(status, JobStatus::Terminated, "{}", lab.log(id).await);

    let id = lab.director.submit(JobRequest::new("Slow")).await.unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while !lab.log(id).await.contains("/bin/sleep") {
        assert!(Instant::now() < until, "{}", lab.log(id).await);
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    let lines = lab.director.cancel(id).await.unwrap();
    assert!(lines.iter().any(|line| line.starts_with("2001 Job ")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("3000 JobId=")), "{lines:?}");
    lab.director.wait(id).await;
    println!("canceled in {:?}\n{}", started.elapsed(), lab.log(id).await);
    let row = lab.director.catalog().read(move |r| catalog::job::get(r, id)).await.unwrap().unwrap();
    assert_eq!(row.status, JobStatus::Canceled);
}
