//! Random faults over real processes: one seed gives the trees, the jobs, the faults and the events at which they strike.
//!
//! The processes run as they like, so two runs of a seed are alike and not equal; what must hold holds in both. Nothing waits for
//! a time: a fault strikes when so many bytes are on the Volumes, records in the catalog, or jobs under way.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::Rng;
use testkit::site::{Act, Role, Site};
use testkit::wait;

use crate::audit::{Trees, audit};
use crate::{expect_good, our_site, scratch};

/// Jobs, each with a tree of its own.
const JOBS: [&str; 3] = ["One", "Two", "Three"];
const INSTANCES: [&str; 2] = ["a", "b"];
/// The longest that an event is waited for; when it does not come, the fault strikes all the same.
const EVENT: Duration = Duration::from_secs(5);

/// Places where a Director ends.
const DIRECTOR_PLACES: [&str; 7] = [
    "director-journal-uncommitted",
    "director-journal-committed",
    "director-volume-decided",
    "director-end-uncommitted",
    "director-end-committed",
    "director-activated",
    "director-console-uncommitted",
];
/// Places where a Storage Daemon ends.
const STORAGE_PLACES: [&str; 7] = [
    "storage-volume-written",
    "storage-volume-synced",
    "storage-volume-left",
    "storage-session-written",
    "storage-end-unrecorded",
    "storage-label-truncated",
    "storage-label-written",
];

/// What strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    KillInstance(&'static str),
    KillBoth,
    Freeze(&'static str),
    Switchover,
    Kill(Role),
    Place(&'static str),
}

/// When it strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    AtOnce,
    /// So many more bytes on the Volumes.
    Bytes(u64),
    /// So many more journal records in the catalog.
    Records(u64),
    /// So many jobs that a Storage Daemon holds.
    Underway(u64),
}

/// Runs one seed.
///
/// # Errors
/// What went wrong or was found, with what was done and how to do it again.
pub fn run(seed: u64) -> Result<()> {
    let mut trace = String::new();
    let done = Run::new(seed).and_then(|mut run| {
        let done = run.go();
        std::mem::swap(&mut trace, &mut run.trace);
        done?;
        run.site.finish()
    });
    done.with_context(|| {
        format!(
            "seed {seed} did:\n{trace}replay it: HOLDFAST_SEED={seed} cargo nextest run --profile system -p holdfast-tests \
             --test ha random_1"
        )
    })
}

struct Run {
    rng: Rng,
    site: Site,
    trees: Vec<PathBuf>,
    trace: String,
    frozen: Vec<&'static str>,
    /// Holds the trees.
    _dir: tempfile::TempDir,
}

impl Run {
    fn new(seed: u64) -> Result<Self> {
        let mut rng = Rng::new(seed);
        let dir = scratch()?;
        let volume_bytes = 1_500_000 + rng.below(6_000_000);
        let mut builder = our_site()
            .instances(&INSTANCES)
            .cluster("Lease Time = 1 second")
            .pool(format!("Maximum Volume Bytes = {volume_bytes}"))
            .storage_daemon("Checkpoint Interval = 1 second")
            .tree(dir.path())
            .quiet();
        let mut trees = Vec::new();
        for name in JOBS {
            let tree = dir.path().join(name);
            std::fs::create_dir(&tree)?;
            for index in 0..5 + rng.below(40) {
                let size = rng.below(150_000) as usize;
                std::fs::write(tree.join(format!("file-{index:03}")), rng.noise(size))?;
            }
            builder = builder.extra(format!(
                "FileSet {{ Name = Set{name}; Include {{ Options {{ signature = MD5 }}; File = \"{}\" }} }}\n\
                 Job {{ Name = {name}; JobDefs = Defaults; FileSet = Set{name}; Maximum Concurrent Jobs = 5 }}",
                tree.display()
            ));
            trees.push(tree);
        }
        let site = builder.start()?;
        site.wait_active("b", "a", wait::START)?;
        Ok(Self { rng, site, trees, trace: String::new(), frozen: Vec::new(), _dir: dir })
    }

    fn go(&mut self) -> Result<()> {
        for _ in 0..3 + self.rng.below(3) {
            self.someone_active()?;
            self.queue_jobs();
            let (event, fault) = (self.draw_event(), self.draw_fault());
            let came = self.wait_for(event)?;
            let _ =
                writeln!(self.trace, "  {event:?}{} {fault:?}", if came { "" } else { " (did not come)" });
            self.strike(fault)?;
            if self.rng.below(5) < 3 {
                self.heal()?;
            }
        }
        for place in DIRECTOR_PLACES.iter().chain(&STORAGE_PLACES) {
            let _ = self.site.disarm(place);
        }
        self.heal()?;
        self.someone_active()?;
        self.check()
    }

    /// All is well: every job ends, the next ones end well, and the audit finds nothing.
    fn check(&self) -> Result<()> {
        wait::until("the end of every job", wait::JOB, || {
            let open = self.site.sql("SELECT count(*) FROM Job WHERE JobStatus IN ('C', 'R')")?;
            Ok((open == [["0"]]).then_some(()))
        })?;
        for name in JOBS {
            let id = self.site.run(&format!("run job={name} level=Full yes"))?;
            expect_good(&self.site.wait_job(id, wait::JOB)?)?;
        }
        let trees =
            JOBS.iter().zip(&self.trees).fold(Trees::none(), |trees, (name, tree)| trees.job(name, &[tree]));
        audit(&self.site, &trees)
    }

    fn draw_event(&mut self) -> Event {
        match self.rng.below(4) {
            0 => Event::AtOnce,
            1 => Event::Bytes(1 + self.rng.below(3_000_000)),
            2 => Event::Records(1 + self.rng.below(60)),
            _ => Event::Underway(1 + self.rng.below(3)),
        }
    }

    fn draw_fault(&mut self) -> Fault {
        let instance = INSTANCES[self.rng.below(2) as usize];
        let place = self.rng.below(7) as usize;
        match self.rng.below(10) {
            0..=2 => Fault::KillInstance(instance),
            3 => Fault::KillBoth,
            4 => Fault::Freeze(instance),
            5 => Fault::Switchover,
            6 => Fault::Kill(Role::Storage),
            7 => Fault::Kill(Role::Client),
            8 => Fault::Place(DIRECTOR_PLACES[place]),
            _ => Fault::Place(STORAGE_PLACES[place]),
        }
    }

    /// Queues some jobs; one whose Director goes away just then is not queued, or is.
    fn queue_jobs(&mut self) {
        for _ in 0..1 + self.rng.below(3) {
            let name = JOBS[self.rng.below(3) as usize];
            let queued = self.site.run(&format!("run job={name} level=Full yes"));
            let said = queued.map_or_else(
                |error| format!("{error:#}").lines().take(1).collect(),
                |id| format!("job {id}"),
            );
            let _ = writeln!(self.trace, "  {name}: {said}");
        }
    }

    fn wait_for(&self, event: Event) -> Result<bool> {
        let count = |query: &str| -> Result<u64> {
            Ok(self.site.sql(query)?.first().and_then(|row| row[0].parse().ok()).unwrap_or(0))
        };
        let records = || count("SELECT coalesce(sum(Seq), 0) FROM hf_journal");
        let underway = || count("SELECT count(*) FROM hf_attempt WHERE State = 'open' AND VolSessionId > 0");
        let (bytes_now, records_now) = (self.site.volume_bytes()?, records()?);
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
        Ok(came.unwrap_or(false))
    }

    fn strike(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::KillInstance(name) => self.kill_instance(name)?,
            Fault::KillBoth => INSTANCES.iter().try_for_each(|name| self.kill_instance(name))?,
            Fault::Freeze(name) if self.site.is_instance_running(name) => {
                self.site.freeze_instance(name)?;
                self.frozen.push(name);
            }
            Fault::Freeze(_) => {}
            // It may be refused, with nobody there to take over.
            Fault::Switchover => drop(self.site.console(&["cluster switchover"])),
            Fault::Kill(role) if self.site.is_running(role) => self.site.kill(role)?,
            Fault::Kill(_) => {}
            Fault::Place(place) => self.site.arm(place, Act::Kill)?,
        }
        Ok(())
    }

    fn kill_instance(&mut self, name: &str) -> Result<()> {
        if self.site.is_instance_running(name) { self.site.kill_instance(name) } else { Ok(()) }
    }

    /// Everything runs again. A frozen instance that the other has ended is started anew, else it goes on.
    fn heal(&mut self) -> Result<()> {
        for name in std::mem::take(&mut self.frozen) {
            if self.site.is_instance_running(name) {
                self.site.thaw_instance(name)?;
            }
        }
        for role in [Role::Storage, Role::Client] {
            if !self.site.is_running(role) {
                self.site.start_role(role)?;
            }
        }
        INSTANCES.iter().try_for_each(|name| self.start(name))
    }

    fn start(&mut self, name: &str) -> Result<()> {
        if self.site.is_instance_running(name) { Ok(()) } else { self.site.start_instance(name) }
    }

    /// At least one instance runs and one is active.
    fn someone_active(&mut self) -> Result<()> {
        for name in INSTANCES {
            if !self.site.is_instance_running(name)
                && self.site.running_instances().iter().any(|one| one == name)
            {
                self.site.forget_instance(name)?; // it ended at a place, or was ended by the other
            }
        }
        let able = INSTANCES
            .into_iter()
            .find(|name| self.site.is_instance_running(name) && !self.frozen.contains(name));
        let Some(able) = able else { return self.heal() };
        let frozen = std::mem::take(&mut self.frozen);
        let active = wait::until("an active instance", wait::START, || {
            // One that ends at a place while it becomes active leaves nobody.
            if !self.site.is_instance_running(able) {
                return Ok(Some(false));
            }
            let Ok(report) = self.site.cluster_report(able) else { return Ok(None) };
            let all = report["instances"].as_array().cloned().unwrap_or_default();
            Ok(all.iter().any(|one| one["role"] == "active").then_some(true))
        })?;
        self.frozen = frozen;
        self.frozen.retain(|name| self.site.is_instance_running(name));
        if active { Ok(()) } else { self.heal() }
    }
}

/// Runs seeds `first..first + count`, each by itself, and tells of each that failed.
///
/// # Errors
/// When one failed.
pub fn run_all(first: u64, count: u64, mut tell: impl FnMut(u64, &Result<()>)) -> Result<()> {
    let mut failed = Vec::new();
    for seed in first..first + count {
        let done = run(seed);
        tell(seed, &done);
        if done.is_err() {
            failed.push(seed);
        }
    }
    ensure!(failed.is_empty(), "{} of {count} runs failed, seeds {failed:?}", failed.len());
    Ok(())
}
