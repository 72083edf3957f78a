//! The course of the demo.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use testkit::compare::{Compare, Comparison, Difference};
use testkit::site::{JobRow, Maker, Role, Site};
use testkit::tree::change;
use testkit::wait;

use crate::measure::{self, Size};
use crate::report::{Row, human, table};
use crate::{Args, copy, failover, keep};

/// The longest that one job of the demo may take.
const JOB_MAX: Duration = Duration::from_secs(4 * 3600);
/// Room that must be free beside Volumes and restored tree, bytes: the copy twice, catalog, logs.
const SPARE: u64 = 600 << 20;

/// The instance that is active at first.
pub(crate) const ACTIVE: &str = "a";
/// The one that takes over.
pub(crate) const STANDBY: &str = "b";

struct Demo {
    site: Site,
    tree: PathBuf,
    copied: PathBuf,
    size: Size,
    started: SystemTime,
    rows: Vec<Row>,
    good: bool,
}

pub(crate) fn run(args: &Args) -> Result<bool> {
    let tree =
        fs::canonicalize(&args.tree).with_context(|| format!("find the tree {}", args.tree.display()))?;
    ensure!(tree.is_dir(), "{} is no directory", tree.display());
    let work = fs::canonicalize(&args.work).with_context(|| format!("find {}", args.work.display()))?;
    println!("Holdfast backs up {} and restores it elsewhere; the tree itself is only read.", tree.display());
    let size = Size::of(&tree)?;
    println!("{} entries, {}", size.entries, human(size.bytes));
    let (needed, free) = (size.bytes * 2 + SPARE, measure::free(&work)?);
    ensure!(
        free > needed,
        "{} has {} free, about {} are needed: take a smaller tree (--tree DIR) or another place (--work DIR)",
        work.display(),
        human(free),
        human(needed)
    );

    let folder = tempfile::Builder::new().prefix("holdfast-demo-").tempdir_in(&work)?;
    let mut demo = Demo::start(folder.path(), tree, size)?;
    demo.full()?;
    demo.heal()?;
    demo.incremental()?;
    demo.restore_and_compare()?;
    println!("\n{}", table(&demo.rows));
    let good = demo.good;
    if args.keep {
        // The folder's guard must not remove it: it is named in what is said now.
        let _ = folder.keep();
        keep::leave(demo.site)?;
    } else {
        demo.site.finish()?;
        folder.close().context("remove the demo's folder")?;
    }
    println!(
        "{}",
        if good { "Everything came back as it was." } else { "NOT everything came back as it was." }
    );
    Ok(good)
}

impl Demo {
    fn start(folder: &Path, tree: PathBuf, mut size: Size) -> Result<Self> {
        let copied = folder.join("copy");
        let entries = copy::copy_part(&tree, &copied)?;
        println!("{entries} entries copied to {}, to change some of them", copied.display());
        let in_copy = Size::of(&copied)?;
        size.bytes += in_copy.bytes;
        size.entries += in_copy.entries;
        let started = SystemTime::now();
        let mut site = Site::builder()
            .all(Maker::Holdfast)
            .tree(&tree)
            .tree(&copied)
            .exclude(folder.join("site").display().to_string())
            .instances(&[ACTIVE, STANDBY])
            .cluster("Lease Time = 3 seconds")
            .option("compression = ZSTD")
            .option("sparse = yes")
            .folder(folder.join("site"))
            .quiet()
            .start()?;
        println!(
            "Director (instances {ACTIVE}, active, and {STANDBY}, standby), Storage Daemon and File Daemon run on {}",
            site.address()
        );
        site.wait_active(STANDBY, ACTIVE, wait::START)?;
        // The standby relays: its consoles live through the end of the other.
        site.prefer_instance(STANDBY);
        Ok(Self { site, tree, copied, size, started, rows: Vec::new(), good: true })
    }

    /// Runs a job to its end while a bar shows how far it is; `bytes` is what the File Daemon will read or write. When it is
    /// at `kill_at` bytes, the active Director is killed.
    fn job(
        &mut self,
        what: &'static str,
        command: &str,
        bytes: u64,
        writes: bool,
        kill_at: Option<u64>,
    ) -> Result<(JobRow, Duration)> {
        let client = self.site.pid(Role::Client)?;
        let done = move || {
            let (read, written) = measure::process_io(client);
            if writes { written } else { read }
        };
        let bar = bar(what, bytes);
        let (start, base) = (Instant::now(), done());
        let (site, mut kill_at, mut killed) = (&self.site, kill_at, false);
        let job = thread::scope(|scope| {
            let (sender, ended) = mpsc::channel();
            scope.spawn(move || {
                let result = site.run(command).and_then(|id| site.wait_job(id, JOB_MAX));
                let _ = sender.send(result);
            });
            loop {
                match ended.recv_timeout(Duration::from_millis(20)) {
                    Ok(result) => return result,
                    Err(RecvTimeoutError::Timeout) => {
                        let at = done().saturating_sub(base).min(bytes);
                        bar.set_position(at);
                        if kill_at.take_if(|kill_at| at >= *kill_at).is_some() {
                            bar.suspend(|| failover::kill(site, at, bytes))?;
                            killed = true;
                        }
                    }
                    Err(RecvTimeoutError::Disconnected) => {
                        anyhow::bail!("the job's thread ended without a result")
                    }
                }
            }
        })?;
        let took = start.elapsed();
        bar.finish_and_clear();
        if killed {
            self.site.forget_instance(ACTIVE)?;
        }
        println!("{what}: job {} ended {} after {:.2} s", job.id, job.status(), took.as_secs_f64());
        if job.status() != 'T' {
            self.good = false;
            println!("{}", self.site.job_log());
        }
        Ok((job, took))
    }

    fn backup(
        &mut self,
        what: &'static str,
        level: &str,
        bytes: u64,
        kill_at: Option<u64>,
    ) -> Result<JobRow> {
        let stored_before = measure::folder_bytes(&self.site.volumes());
        let command = format!("run job=Backup level={level} yes");
        let (job, took) = self.job(what, &command, bytes, false, kill_at)?;
        let stored = measure::folder_bytes(&self.site.volumes()).saturating_sub(stored_before);
        // The catalog's JobBytes count what was sent, after compression; ReadBytes what was read.
        let read = job.columns.get("readbytes").and_then(|text| text.parse().ok()).unwrap_or(0);
        let result = format!("job {} {}", job.id, ended(&job));
        self.rows.push(Row { what, files: job.files(), bytes: read, stored: Some(stored), took, result });
        Ok(job)
    }

    fn full(&mut self) -> Result<()> {
        let kill_at = self.size.bytes / 3;
        self.backup("Full backup", "Full", self.size.bytes, Some(kill_at)).map(drop)
    }

    /// The killed instance comes back, as the standby of the other.
    fn heal(&mut self) -> Result<()> {
        if self.site.is_instance_running(ACTIVE) {
            println!("The backup was over before the active Director could be killed in its middle.");
            return Ok(());
        }
        self.site.start_instance(ACTIVE)?;
        self.site.wait_active(ACTIVE, STANDBY, wait::START)?;
        println!("Instance {ACTIVE} was started again and is a standby now.");
        Ok(())
    }

    fn incremental(&mut self) -> Result<()> {
        let changed = change(&self.copied, 20, 1)?;
        println!("{changed} files of the copy changed or added");
        let job = self.backup("Incremental backup", "Incremental", 1, None)?;
        if job.files() < changed {
            self.good = false;
            println!("the Incremental saved {} files, {changed} were changed", job.files());
        }
        Ok(())
    }

    fn restore_and_compare(&mut self) -> Result<()> {
        let command = "restore client=kit-fd fileset=Tree select current all done yes";
        let (job, took) = self.job("Restore", command, self.size.bytes, true, None)?;
        let result = format!("job {} {}", job.id, ended(&job));
        self.rows.push(Row {
            what: "Restore",
            files: job.files(),
            bytes: job.bytes(),
            stored: None,
            took,
            result,
        });

        let start = Instant::now();
        let mut differences = Vec::new();
        let (mut entries, mut bytes, mut changed) = (0, 0, 0);
        for tree in [&self.tree, &self.copied] {
            let found = self.compare(tree)?;
            entries += found.entries;
            bytes += found.bytes;
            let (meanwhile, real) = self.split(tree, &found);
            changed += meanwhile;
            differences.extend(real);
        }
        self.good &= differences.is_empty();
        for difference in differences.iter().take(20) {
            println!("  {difference}");
        }
        let mut result = format!("{} differences", differences.len());
        if changed > 0 {
            result += &format!(" ({changed} that somebody changed meanwhile not counted)");
        }
        self.rows.push(Row {
            what: "Compare every entry",
            files: entries,
            bytes,
            stored: None,
            took: start.elapsed(),
            result,
        });
        Ok(())
    }

    fn compare(&self, tree: &Path) -> Result<Comparison> {
        let root = rustix::process::geteuid().is_root();
        let restored = self.site.restored_tree(tree);
        println!("Comparing {} with {}", tree.display(), restored.display());
        Compare::new(tree, restored).owners(root).xattrs(root).run().context("compare")
    }

    /// Splits differences into those at entries that were changed on this machine since the demo began, and the others.
    fn split(&self, tree: &Path, found: &Comparison) -> (usize, Vec<Difference>) {
        let since =
            self.started.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |d| d.as_secs()).cast_signed();
        let is_ours = tree == self.copied;
        let (meanwhile, real): (Vec<_>, Vec<_>) = found.differences.iter().cloned().partition(|difference| {
            let path = tree.join(&difference.path);
            !is_ours && fs::symlink_metadata(path).map_or(true, |meta| meta.ctime() >= since)
        });
        (meanwhile.len(), real)
    }
}

fn ended(job: &JobRow) -> String {
    match job.status() {
        'T' if job.errors() == 0 => "OK".to_owned(),
        'T' => format!("OK, {} errors", job.errors()),
        other => format!("ended {other}, {} errors", job.errors()),
    }
}

fn bar(what: &str, bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let style =
        ProgressStyle::with_template("{prefix:20} [{wide_bar}] {bytes}/{total_bytes} {bytes_per_sec}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar.set_prefix(what.to_owned());
    bar
}
