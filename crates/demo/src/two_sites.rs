//! Two data centres as `docs/two-data-centres.md` has them: one is lost whole, the other takes over its Director, keeps its schedule and
//! restores its client from the copies; then the lost one comes back.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use testkit::centres::Centre::{One, Two};
use testkit::centres::{Centre, Centres};
use testkit::compare::Compare;
use testkit::site::{Console, JobRow};
use testkit::wait;

use crate::measure::Size;
use crate::report::{Row, human, table};
use crate::{Args, copy};

/// The longest that anything may take.
const LONGEST: Duration = Duration::from_secs(600);
/// The second of a minute at which the data centre is lost: a scheduled run falls due while no Director is active.
const LOST_AT: u64 = 57;
/// What the running job may send a second: it lasts longer than the takeover.
const SLOWLY: u64 = 8_000_000;
/// Bytes of it.
const SLOW_DATA: usize = 100_000_000;

struct Demo {
    centres: Centres,
    rows: Vec<Row>,
    /// Jobs that did not end as they should.
    lost: Vec<String>,
    /// Entries that came back otherwise.
    differences: usize,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let tree =
        fs::canonicalize(&args.tree).with_context(|| format!("find the tree {}", args.tree.display()))?;
    let work = fs::canonicalize(&args.work).with_context(|| format!("find {}", args.work.display()))?;
    let folder = tempfile::Builder::new().prefix("holdfast-demo-").tempdir_in(&work)?;
    println!(
        "Two data centres, dc1 and dc2, as docs/two-data-centres.md has them: for each a Director, active there, with its standby at"
    );
    println!(
        "the other one, a catalog with a synchronous replica at the other one, a Storage Daemon and a client."
    );
    let mut demo = Demo::start(folder.path(), &tree)?;
    demo.back_up()?;
    let running = demo.start_long_job()?;
    let outage = demo.lose_one(running)?;
    demo.restore(Two, "client1", "Restore of client1 at dc2")?;
    let back = demo.come_back()?;
    demo.work_again()?;
    let runs = demo.scheduled_runs()?;
    println!("\n{}", table(&demo.rows));
    println!("RTO, dc1-dir active at dc2             {:.1} s", outage.as_secs_f64());
    println!("RPO, age of the oldest lost backup     0 s: each had its copy");
    println!("dc1 whole again and its Director home  {:.1} s after its start", back.as_secs_f64());
    println!("scheduled runs, one each minute        {runs}, none missed, none twice");
    println!("jobs lost                              {}", demo.lost.len());
    println!("differences                            {}", demo.differences);
    for lost in &demo.lost {
        println!("  {lost}");
    }
    let good = demo.lost.is_empty() && demo.differences == 0;
    demo.centres.finish()?;
    folder.close().context("remove the demo's folder")?;
    Ok(good)
}

impl Demo {
    fn start(folder: &Path, tree: &Path) -> Result<Self> {
        let site = folder.join("site");
        let schedule = (0..60).fold(String::new(), |mut text, minute| {
            let _ = writeln!(text, "  Run = Level=Full hourly at 0:{minute:02}");
            text
        });
        let data = |name: &str| site.join("all/data").join(name);
        let more = format!(
            "Schedule {{\n  Name = Minutes\n{schedule}}}\n\
             FileSet {{ Name = Small; Include {{ Options {{ Signature = MD5 }}; File = \"{}\" }} }}\n\
             FileSet {{ Name = Large; Include {{ Options {{ Signature = MD5 }}; File = \"{}\" }} }}\n\
             Job {{ Name = Minute; Type = Backup; Client = client2; FileSet = Small; Schedule = Minutes; Pool = Shared; Messages = Standard }}\n\
             Job {{ Name = Long; Type = Backup; Client = client2; FileSet = Large; Pool = Shared; Messages = Standard; Maximum Bandwidth = {SLOWLY} }}",
            data("small").display(),
            data("large").display(),
        );
        for name in ["small", "large"] {
            fs::create_dir_all(data(name))?;
        }
        fs::write(data("small").join("file"), "saved each minute\n")?;
        for number in 0..10_u8 {
            fs::write(data("large").join(format!("file-{number}")), vec![number; SLOW_DATA / 10])?;
        }
        for client in ["client1", "client2"] {
            let entries = copy::copy_part(tree, &data(client))?;
            println!(
                "{client}: {entries} entries, {} of {}",
                human(Size::of(&data(client))?.bytes),
                tree.display()
            );
        }
        let centres = Centres::builder().quiet().more("/etc/bacula/dc1-dir.conf", more).start(&site)?;
        println!("Everything runs: each Director is active at home.");
        Ok(Self { centres, rows: Vec::new(), lost: Vec::new(), differences: 0 })
    }

    /// Runs a job to its end and makes a row of it.
    fn job(&mut self, what: &'static str, console: &Console, command: &str) -> Result<()> {
        let start = Instant::now();
        let row = console.wait_job(console.queue(&[command])?, LONGEST)?;
        self.ended(what, &row, start.elapsed());
        Ok(())
    }

    fn ended(&mut self, what: &'static str, row: &JobRow, took: Duration) {
        let is_good = row.status() == 'T' && row.errors() == 0;
        if !is_good {
            self.lost.push(format!(
                "{what}: job {} ended {} with {} errors",
                row.id,
                row.status(),
                row.errors()
            ));
        }
        let result = format!("job {} {}", row.id, if is_good { "OK" } else { "NOT OK" });
        println!("{what}: {result}, {} files", row.files());
        self.rows.push(Row { what, files: row.files(), bytes: row.bytes(), stored: None, took, result });
    }

    /// Waits until everything that a Director has saved is at the other data centre too.
    fn copied(&self, director: Centre, at: Centre) -> Result<Duration> {
        let (console, start) = (self.centres.console(director, at)?, Instant::now());
        wait::until("everything to be copied", LONGEST, || {
            let said = console.run(&["status replication"], wait::START)?;
            Ok(said.contains("wholly copied to Pool \"Far\"").then(|| start.elapsed()))
        })
    }

    fn back_up(&mut self) -> Result<()> {
        for (director, client, what) in
            [(One, "Client1", "Full of client1 at dc1"), (Two, "Client2", "Full of client2 at dc2")]
        {
            let console = self.centres.console(director, director)?;
            self.job(what, &console, &format!("run job={client} level=Full yes"))?;
        }
        for director in Centre::ALL {
            let took = self.copied(director, director)?;
            println!(
                "{}: copied to {} within {:.1} s",
                director.name(),
                director.other().name(),
                took.as_secs_f64()
            );
        }
        Ok(())
    }

    /// A job of dc1's Director between daemons of dc2; gives its JobId.
    fn start_long_job(&self) -> Result<u32> {
        let wait = (60 + LOST_AT - 2 - seconds() % 60) % 60;
        println!("{wait} s until the next scheduled run: it shall fall due while no Director is active");
        wait::until("the end of the minute", Duration::from_secs(90), || {
            Ok((seconds() % 60 == LOST_AT - 2).then_some(()))
        })?;
        let console = self.centres.console(One, One)?;
        let id = console.queue(&["run job=Long level=Full yes"])?;
        wait::until("the long job to run", LONGEST, || {
            let rows = self.centres.rows(One, &format!("SELECT JobStatus FROM Job WHERE JobId = {id}"))?;
            Ok((rows == [["R"]] && seconds() % 60 >= LOST_AT).then_some(id))
        })
    }

    /// Loses dc1, and follows the running job to its end; gives the time for which its Director was away.
    fn lose_one(&mut self, running: u32) -> Result<Duration> {
        let behind = self.centres.console(One, One)?.run(&["status replication"], wait::START)?;
        ensure!(behind.contains("wholly copied to Pool \"Far\""), "not everything is copied:\n{behind}");
        println!("dc1 is lost: its Directors, catalogs, Storage Daemon and client are killed");
        let start = Instant::now();
        self.centres.lose(One)?;
        self.centres.promote(Two)?;
        println!(
            "dc1's catalog: the replica at dc2 was made the primary {:.1} s later",
            start.elapsed().as_secs_f64()
        );
        wait::until("dc1's Director to be active at dc2", LONGEST, || {
            Ok(self.centres.active(One, Two).is_ok_and(|active| active == Some(Two)).then_some(()))
        })?;
        let outage = start.elapsed();
        println!("dc1-dir is active at dc2 {:.1} s after the loss", outage.as_secs_f64());
        let console = self.centres.console(One, Two)?;
        let row = console.wait_job(running, LONGEST)?;
        self.ended("Job that ran meanwhile", &row, start.elapsed());
        Ok(outage)
    }

    /// Restores a client at a data centre through dc1's Director and compares all of it.
    fn restore(&mut self, at: Centre, client: &str, what: &'static str) -> Result<()> {
        let to = self.centres.client_path(&format!("/restored/{client}-{}", self.rows.len()));
        let here = if at == One { "client1" } else { "client2" };
        let command = format!(
            "restore client={client} restoreclient={here} fileset={client} where={} select current all done yes",
            to.display()
        );
        let console = self.centres.console(One, at)?;
        self.job(what, &console, &command)?;
        let tree = self.centres.client_path(&format!("/data/{client}"));
        let root = rustix::process::geteuid().is_root();
        let restored: PathBuf = to.join(tree.strip_prefix("/").unwrap_or(&tree));
        let found = Compare::new(&tree, restored).owners(root).xattrs(root).run().context("compare")?;
        println!("Compared {} entries: {} differences", found.entries, found.differences.len());
        for difference in found.differences.iter().take(20) {
            println!("  {difference}");
        }
        self.differences += found.differences.len();
        Ok(())
    }

    /// Everything of dc1 starts again and has its role back; gives how long that took.
    fn come_back(&mut self) -> Result<Duration> {
        println!("dc1 comes back: replicas are made anew, daemons start");
        let start = Instant::now();
        self.centres.replicate_to(One)?;
        self.centres.start_centre(One)?;
        println!("The catalog and the role of dc1-dir go home");
        self.centres.bring_catalog_home(One)?;
        self.centres.bring_home(One)?;
        Ok(start.elapsed())
    }

    /// As on any other day: something has changed, is saved at dc1, copied to dc2, and restored.
    fn work_again(&mut self) -> Result<()> {
        wait::next_second()?;
        testkit::tree::change(&self.centres.client_path("/data/client1"), 20, 1)?;
        let console = self.centres.console(One, One)?;
        self.job("Incremental at dc1", &console, "run job=Client1 level=Incremental yes")?;
        self.copied(One, One)?;
        self.restore(One, "client1", "Restore of it at dc1")
    }

    /// How many runs of each minute there were; a gap or a double is a lost job.
    fn scheduled_runs(&mut self) -> Result<usize> {
        let console = self.centres.console(One, One)?;
        console.run(&["wait"], LONGEST)?;
        let minutes =
            "SELECT date_trunc('minute', SchedTime), JobStatus FROM Job WHERE Name = 'Minute' ORDER BY 1";
        let runs = self.centres.rows(One, minutes)?;
        let whole = "SELECT count(DISTINCT date_trunc('minute', SchedTime)), \
                     1 + extract(epoch FROM max(date_trunc('minute', SchedTime)) - min(date_trunc('minute', SchedTime)))::int / 60 \
                     FROM Job WHERE Name = 'Minute'";
        let count = runs.len().to_string();
        let found = self.centres.rows(One, whole)?;
        if runs.is_empty() || found != [[count.as_str(), count.as_str()]] {
            self.lost.push(format!("scheduled runs: {runs:?}"));
        }
        self.lost.extend(runs.iter().filter(|run| run[1] != "T").map(|run| format!("scheduled run {run:?}")));
        Ok(runs.len())
    }
}

/// Of the clock.
fn seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
