//! `holdfast ha drill`: rehearses a failover on the running system, with a backup in flight, and keeps what it measured.
//!
//! Pure: [`scenario`], [`plan`] (what is done, and what takes it back), [`storages`], [`record`] (the verdict), [`report`], the format of the
//! [`history`]. Effects: [`remote`] and [`directors`] reach the site, [`watch`] sees when it serves, [`rehearse`] carries a plan out.

mod directors;
pub(crate) mod history;
mod plan;
pub(crate) mod record;
mod redundancy;
mod rehearse;
mod remote;
mod report;
pub(crate) mod scenario;
mod storages;
mod watch;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use conf::{DirectorConfig, TopologyConfig};
use jiff::Timestamp;

use crate::configuration::{self, File};
use crate::exit::Exit;
use crate::output::{ask, complain, say};
use crate::render;
use directors::Directors;
use plan::{Ground, Plan, director_in};
use record::{Drill, Tenure};
use rehearse::Rehearsal;
use report::{Report, markdown};
use scenario::Scenario;

/// What it does, for its help.
pub(crate) const LONG: &str = "\
Rehearse a failover on the running system: start a backup, the canary, strike while it is in flight, measure how long nobody \
served and what was lost, take the fault back, and wait until redundancy is whole again.

The plan is shown first, with every command that is to run on a node and every one that takes it back; nothing is done before \
`yes`. What was done is undone also when the drill is interrupted (SIGINT, SIGTERM) or something fails. It refuses to begin when \
redundancy is not whole or other jobs run.

Run it where it survives what it does: on none of the nodes. The nodes are reached by the Remote Shell of the Topology, the \
Director as `holdfast ha status` does.";

const AFTER: &str = "\
Exit codes:
  0  every scenario passed (with --plan: every one could be begun)
  1  one did not, or was refused
  2  wrong usage, or no confirmation could be asked for

The report is written in Markdown and as JSON, and each drill is added to the history, which `holdfast ha status` shows.

Examples:
  holdfast ha drill switchover kill-director --canary canary --plan
  holdfast ha drill switchover kill-director --canary canary --yes --report drill";

/// Options.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// What to rehearse, one after the other; the first that does not pass is the last
    #[arg(value_name = "SCENARIO", required = true)]
    scenarios: Vec<Scenario>,
    /// Job resource of the backup that is in flight: some seconds' worth of data that nobody needs
    #[arg(long, value_name = "JOB")]
    canary: String,
    /// The topology file
    #[arg(long, value_name = "FILE", default_value = "/etc/holdfast/holdfast-ha.conf")]
    topology: PathBuf,
    /// Show what would be done, and do nothing
    #[arg(long, conflicts_with = "yes")]
    plan: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    yes: bool,
    /// Begin although redundancy is not whole or other jobs run
    #[arg(long)]
    force: bool,
    /// Where the report goes: PATH.md and PATH.json (default: in the Working Directory)
    #[arg(long, value_name = "PATH")]
    report: Option<PathBuf>,
    /// The history (default: in the Working Directory)
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// How long each of takeover, redundancy and the end of the jobs may take
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    limit: u32,
    #[command(flatten)]
    file: File,
}

/// Runs the command.
///
/// # Errors
/// When nothing can be begun: a configuration or the topology is refused, the canary is no backup, or what was found cannot be written.
pub fn run(args: &Args) -> Result<Exit> {
    let config = Arc::new(configuration::load(&args.file.path)?);
    let topology = render::load(&args.topology)?;
    backup(&config, &args.canary)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let exit = runtime.block_on(Session { args, topology: &topology, config: &config }.run());
    // A name that is still being looked up does not hold the end back.
    runtime.shutdown_background();
    exit
}

/// The canary is a backup.
fn backup(config: &DirectorConfig, name: &str) -> Result<()> {
    let job = config.jobs.iter().find(|job| job.name == name);
    let job =
        job.with_context(|| format!("the configuration has no Job \"{name}\"; give one with --canary"))?;
    ensure!(job.job_type == types::JobType::Backup, "the Job \"{name}\" is no backup");
    Ok(())
}

/// One call.
struct Session<'a> {
    args: &'a Args,
    topology: &'a TopologyConfig,
    config: &'a Arc<DirectorConfig>,
}

impl Session<'_> {
    async fn run(&self) -> Result<Exit> {
        let args = self.args;
        let directors = Directors { config: Arc::clone(self.config) };
        let mut drills = Vec::new();
        let mut plans = Vec::new();
        for scenario in &args.scenarios {
            match self.prepare(&directors, *scenario, true).await {
                Ok(ready) => plans.push(ready.plan),
                Err(why) => return refuse(*scenario, &why),
            }
        }
        for plan in &plans {
            say(plan)?;
        }
        if plans.len() > 1 {
            say("Which node is struck, and which stands by, is looked up again before each scenario.")?;
        }
        if args.plan {
            return Ok(Exit::Good);
        }
        if let Some(exit) = self.consent()? {
            return Ok(exit);
        }
        for scenario in &args.scenarios {
            let ready = match self.prepare(&directors, *scenario, drills.is_empty()).await {
                Ok(ready) => ready,
                Err(why) => {
                    self.write(drills)?;
                    return refuse(*scenario, &why);
                }
            };
            let drill = self.rehearsal(&directors).carry_out(&ready.plan, ready.before, ready.forced).await;
            let path = args.history.clone().unwrap_or_else(|| history::path(self.config));
            history::add(&path, &drill)?;
            say(history::line(&drill))?;
            let passed = drill.passed;
            drills.push(drill);
            if !passed {
                break;
            }
        }
        let all = drills.iter().all(|drill| drill.passed);
        self.write(drills)?;
        Ok(if all { Exit::Good } else { Exit::Bad })
    }

    fn rehearsal<'a>(&'a self, directors: &'a Directors) -> Rehearsal<'a> {
        let limit = Duration::from_secs(self.args.limit.into());
        Rehearsal { topology: self.topology, directors, canary: &self.args.canary, limit }
    }

    /// Looks at the roles and the preconditions. The first drill of a call finds things as they are; later ones wait for the
    /// traces of the one before.
    async fn prepare(
        &self,
        directors: &Directors,
        scenario: Scenario,
        is_first: bool,
    ) -> Result<Ready, String> {
        const TRACES: Duration = Duration::from_secs(30);
        // What another Director's nodes say tells nothing.
        director_in(self.topology, self.config)?;
        let limit = if is_first { Duration::ZERO } else { TRACES };
        let until = tokio::time::Instant::now() + limit;
        let why = loop {
            let found = self.precondition(directors).await;
            match found {
                Err(_) if tokio::time::Instant::now() < until => {
                    tokio::time::sleep(directors::LOOK_AGAIN).await;
                }
                found => break found.err(),
            }
        };
        if let Some(why) = why.as_ref().filter(|_| !self.args.force) {
            return Err(format!("{why}; mend it first, or give --force"));
        }
        let active = directors.active().await?;
        let asked = directors.look().await;
        let standbys = asked
            .into_iter()
            .filter_map(|(place, word)| word.is_ok_and(|word| word.role == "standby").then_some(place.name));
        let ground = Ground {
            topology: self.topology,
            config: self.config,
            active: active.tenure.instance.clone(),
            standbys: standbys.collect(),
            canary: &self.args.canary,
        };
        let plan = Plan::new(scenario, &ground)?;
        Ok(Ready { plan, before: active.tenure, forced: why.is_some() })
    }

    /// Redundancy is whole, and no job would be put at risk.
    async fn precondition(&self, directors: &Directors) -> Result<(), String> {
        let rehearsal = self.rehearsal(directors);
        rehearsal.whole().await.map_err(|why| format!("redundancy is not whole: {why}"))?;
        match directors.active().await?.word.jobs {
            0 => Ok(()),
            jobs => Err(format!("{jobs} jobs are queued or running")),
        }
    }

    /// Whether the operator means it; the exit when not.
    fn consent(&self) -> Result<Option<Exit>> {
        if self.args.yes {
            return Ok(None);
        }
        if !std::io::stdin().is_terminal() {
            complain(
                "Nothing was done: there is no terminal to ask at. Give --yes, or --plan to do nothing.",
            );
            return Ok(Some(Exit::Usage));
        }
        if ask("Type yes to begin: ")?.is_some_and(|answer| answer == "yes") {
            return Ok(None);
        }
        complain("Nothing was done.");
        Ok(Some(Exit::Bad))
    }

    /// Writes the report, where there is anything to report.
    fn write(&self, drills: Vec<Drill>) -> Result<()> {
        let Some(first) = drills.first() else { return Ok(()) };
        let path = self.args.report.clone().unwrap_or_else(|| self.default_report(first.at));
        let director = self.config.director.name.clone();
        let report = Report { version: env!("CARGO_PKG_VERSION").to_owned(), director, drills };
        let mut json = serde_json::to_vec_pretty(&report)?;
        json.push(b'\n');
        for (ending, bytes) in [("md", markdown(&report).into_bytes()), ("json", json)] {
            let mut path = path.clone().into_os_string();
            path.push(format!(".{ending}"));
            let path = PathBuf::from(path);
            sys::durable_write(&path, &bytes).with_context(|| format!("write {}", path.display()))?;
            say(format_args!("report {}", path.display()))?;
        }
        Ok(())
    }

    fn default_report(&self, at: Timestamp) -> PathBuf {
        let director = &self.config.director;
        let time = at.strftime("%Y%m%dT%H%M%SZ");
        Path::new(&director.working_directory).join(format!("{}.drill-{time}", director.name))
    }
}

/// What a drill begins with.
struct Ready {
    plan: Plan,
    before: Tenure,
    forced: bool,
}

fn refuse(scenario: Scenario, why: &str) -> Result<Exit> {
    say(format_args!("{scenario} is refused: {why}"))?;
    Ok(Exit::Bad)
}
