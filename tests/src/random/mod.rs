//! Random faults over real processes: one seed gives the trees, the jobs, the faults and the events at which they strike.
//!
//! The processes run as they like, so two runs of a seed are alike and not equal; what must hold holds in both. Nothing waits for
//! a time: a fault strikes when so many bytes are on the Volumes, records in the catalog, or jobs under way.

mod draw;
mod strike;
mod watch;

use std::fmt::{Arguments, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::Rng;
use testkit::site::{Site, Talk};
use testkit::wait;

use crate::audit::{Trees, audit};
use crate::{expect_good, our_site, scratch};
use draw::{Catalog, Event, INSTANCES, JOBS};
use watch::Watch;

/// The longest that an event is waited for; when it does not come, the fault strikes all the same.
const EVENT: Duration = Duration::from_secs(5);

/// What a finding is told apart by from a fault of the driver itself.
const HEALED: &str = "all was healed, and then";

/// Runs one seed, with a known bug put back where one is named ([`testkit::site::KNOWN_BUGS`]).
///
/// # Errors
/// What went wrong or was found, with what was done and how to do it again.
pub fn run(seed: u64, bug: Option<&str>) -> Result<()> {
    let mut trace = String::new();
    let done = Run::new(seed, bug).and_then(|mut run| {
        let done = run.go();
        std::mem::swap(&mut trace, &mut run.trace);
        done?;
        run.site.finish()
    });
    done.with_context(|| {
        let bug = bug.map(|name| format!(" --bug {name}")).unwrap_or_default();
        format!(
            "seed {seed} did:\n{trace}replay it: cargo run -p holdfast-tests --bin faults -- 1 {seed}{bug}"
        )
    })
}

struct Run {
    rng: Rng,
    site: Site,
    catalog: Catalog,
    trees: Vec<PathBuf>,
    trace: String,
    watch: Watch,
    /// Consoles that run commands.
    talks: Vec<(String, Talk)>,
    /// Names of Volumes that commands make.
    count: u32,
    is_demoted: bool,
    is_catalog_away: bool,
    /// Places at which the Storage Daemon is to end.
    armed: Vec<&'static str>,
    is_failed_over: bool,
    /// Holds the trees.
    _dir: tempfile::TempDir,
}

impl Run {
    fn new(seed: u64, bug: Option<&str>) -> Result<Self> {
        let mut rng = Rng::new(seed);
        let dir = scratch()?;
        let catalog = draw::catalog(&mut rng);
        let volume_bytes = 1_500_000 + rng.below(6_000_000);
        let builder = match catalog {
            Catalog::File => our_site().cluster("Lease Time = 1 second"),
            Catalog::Server => our_site().postgres().cluster("Lease Time = 2 seconds"),
            Catalog::Pair => our_site().postgres_pair().cluster("Lease Time = 2 seconds"),
        };
        let mut builder = builder
            .instances(&INSTANCES)
            .pool(format!("Maximum Volume Bytes = {volume_bytes}"))
            .pool("Action On Purge = Truncate")
            .storage_daemon("Checkpoint Interval = 1 second")
            .tree(dir.path())
            .quiet();
        if let Some(bug) = bug {
            builder = builder.known_bug(bug);
        }
        builder = builder.extra(watch::every_minute());
        let mut trees = Vec::new();
        for name in JOBS {
            // Most take a second or more, so that faults strike in their middle.
            let speed = 600 + rng.below(4_000);
            let schedule = if name == watch::SCHEDULED { "; Schedule = EveryMinute" } else { "" };
            let tree = dir.path().join(name);
            std::fs::create_dir(&tree)?;
            for index in 0..5 + rng.below(40) {
                let size = rng.below(150_000) as usize;
                std::fs::write(tree.join(format!("file-{index:03}")), rng.noise(size))?;
            }
            builder = builder.extra(format!(
                "FileSet {{ Name = Set{name}; Include {{ Options {{ signature = MD5 }}; File = \"{}\" }} }}\n\
                 Job {{ Name = {name}; JobDefs = Defaults; FileSet = Set{name}; Maximum Concurrent Jobs = 5; Maximum Bandwidth = {speed} k/s{schedule} }}",
                tree.display()
            ));
            trees.push(tree);
        }
        let site = builder.start()?;
        site.wait_active("b", "a", wait::START)?;
        let mut run = Self {
            watch: Watch::new(&site)?,
            rng,
            site,
            catalog,
            trees,
            trace: String::new(),
            talks: Vec::new(),
            count: 0,
            is_demoted: false,
            is_catalog_away: false,
            armed: Vec::new(),
            is_failed_over: false,
            _dir: dir,
        };
        run.note(format_args!("catalog: {catalog:?}"));
        Ok(run)
    }

    fn note(&mut self, what: Arguments<'_>) {
        let _ = writeln!(self.trace, "  {what}");
    }

    fn go(&mut self) -> Result<()> {
        for _ in 0..3 + self.rng.below(3) {
            self.someone_active()?;
            self.queue_jobs();
            for _ in 0..self.rng.below(3) {
                let order = draw::order(&mut self.rng);
                self.order(order)?;
            }
            for _ in 0..1 + self.rng.below(2) {
                let (event, fault) = (draw::event(&mut self.rng), draw::fault(&mut self.rng));
                let came = self.wait_for(event);
                self.note(format_args!("{event:?}{} {fault:?}", if came { "" } else { " (did not come)" }));
                self.strike(fault)?;
            }
            if self.rng.below(5) < 3 {
                self.heal()?;
            }
        }
        self.heal()?;
        self.someone_active()?;
        self.check().context(HEALED)
    }

    /// All is well: every job and console ends, the next jobs end well, and the audit finds nothing.
    fn check(&mut self) -> Result<()> {
        for (lines, talk) in std::mem::take(&mut self.talks) {
            let said = talk.end(wait::JOB)?;
            ensure!(said.is_whole, "a console hangs that said “{lines}”; it printed\n{}", said.text);
        }
        self.watch.check_due_runs(&self.site)?;
        // No job comes while the site is looked at.
        self.site.console(&["disable schedule=EveryMinute"])?;
        wait::until("the end of every job", wait::JOB, || {
            let open = self.site.sql("SELECT count(*) FROM Job WHERE JobStatus IN ('C', 'R')")?;
            Ok((open == [["0"]]).then_some(()))
        })?;
        self.watch.check(&self.site)?;
        for name in JOBS {
            let id = self.site.run(&format!("run job={name} level=Full yes"))?;
            expect_good(&self.site.wait_job(id, wait::JOB)?)?;
        }
        let trees =
            JOBS.iter().zip(&self.trees).fold(Trees::none(), |trees, (name, tree)| trees.job(name, &[tree]));
        audit(&self.site, &trees)
    }

    /// Queues some jobs; one whose Director goes away just then is not queued, or is.
    fn queue_jobs(&mut self) {
        for _ in 0..1 + self.rng.below(3) {
            let (name, level) = draw::job(&mut self.rng);
            let queued = self.site.run(&format!("run job={name} level={level} yes"));
            let said = queued.map_or_else(
                |error| format!("{error:#}").lines().take(1).collect(),
                |id| format!("job {id}"),
            );
            self.note(format_args!("{name} {level}: {said}"));
        }
    }

    /// Whether it came. With a catalog that is away nothing does.
    fn wait_for(&self, event: Event) -> bool {
        let count = |query: &str| -> Result<u64> {
            Ok(self.site.sql(query)?.first().and_then(|row| row[0].parse().ok()).unwrap_or(0))
        };
        let records = || count("SELECT coalesce(sum(Seq), 0) FROM hf_journal");
        let underway = || count("SELECT count(*) FROM hf_attempt WHERE State = 'open' AND VolSessionId > 0");
        let (bytes_now, records_now) = (self.site.volume_bytes().unwrap_or(0), records().unwrap_or(0));
        let came = wait::until_every(Duration::from_millis(2), "an event", EVENT, || {
            let holds = match event {
                Event::AtOnce => true,
                Event::Bytes(more) => self.site.volume_bytes()? >= bytes_now + more,
                Event::Records(more) => records()? >= records_now + more,
                Event::Underway(jobs) => underway()? >= jobs,
            };
            // When nothing is left to happen, it does not come.
            let is_over = count("SELECT count(*) FROM Job WHERE JobStatus IN ('C', 'R')")? == 0;
            Ok((holds || is_over).then_some(holds))
        });
        came.unwrap_or(false)
    }
}

/// Runs seeds `first..first + count`, each by itself, and tells of each that failed.
///
/// # Errors
/// When one failed.
pub fn run_all(first: u64, count: u64, mut tell: impl FnMut(u64, &Result<()>)) -> Result<()> {
    let mut failed = Vec::new();
    for seed in first..first + count {
        let done = run(seed, None);
        tell(seed, &done);
        if done.is_err() {
            failed.push(seed);
        }
    }
    ensure!(failed.is_empty(), "{} of {count} runs failed, seeds {failed:?}", failed.len());
    Ok(())
}

/// Runs seeds from `first` on with a known bug put back, at most `count`, until one finds it; then that seed without the bug, which
/// must pass. Gives the seed and what was found.
///
/// # Errors
/// When none found it, or it was something else that was found.
pub fn find_bug(
    bug: &str,
    first: u64,
    count: u64,
    mut tell: impl FnMut(u64),
) -> Result<(u64, anyhow::Error)> {
    for seed in first..first + count {
        if let Err(found) = run(seed, Some(bug)) {
            ensure!(format!("{found:#}").contains(HEALED), "seed {seed} did not come to its end: {found:#}");
            run(seed, None).with_context(|| format!("without {bug}, which seed {seed} seemed to find"))?;
            return Ok((seed, found));
        }
        tell(seed);
    }
    anyhow::bail!("{bug} was put back and not found by {count} seeds from {first} on")
}
