//! `holdfast ha check`: holds this machine and its services against what a highly available site needs.
//!
//! Three layers: [`source`] parses texts into facts, [`judge`] makes findings of facts, both pure; [`collect`] reads the files
//! and runs the programs, over [`machine`]. A thing that is not there is `not present`, never well.

mod collect;
mod expect;
mod finding;
mod judge;
mod machine;
mod report;
pub(crate) mod source;
#[cfg(test)]
mod tests;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, anyhow};
use jiff::Timestamp;

use crate::configuration::{self, File};
use crate::exit::Exit;
use crate::output::say;
use crate::render;
use collect::{Configuration, Scene};
use expect::{Expectations, Peer, ROUND_TRIP_MS};
use finding::{Summary, check_name, covers, require};
use machine::{Installed, Machine};

/// What it does, for its help.
pub(crate) const LONG: &str = "\
Check this machine: RAID with its cache and battery, bonded links and their switches, power supplies, the replication link,
DRBD, quorum, Pacemaker, fencing and when it was last seen to work, the clock, PostgreSQL's durability, the Director's
instances and their configuration.

Each check says how it is, what that rests on and what to do. Nothing is changed. What is not there is `not present`, never
OK; run it as root, or some of it cannot be seen.";

const AFTER: &str = "\
Exit codes, as of monitoring plugins; the worst counts, in the order 2, 3, 1, 0:
  0  OK        all that is present is as it should be
  1  WARNING   it works; a further failure would stop it, or it is not as is recommended
  2  CRITICAL  something does not work, data are at risk, or what is required is not present (or: wrong usage)
  3  UNKNOWN   something cannot be told, or nothing at all is present

Examples:
  holdfast ha check                                             what this machine shows
  holdfast ha check --topology /etc/holdfast/holdfast-ha.conf   what should be here, too
  holdfast ha check --require raid,bond,power --json            the requirements of a server, for a program
  holdfast ha check --only stonith,quorum                       for a monitor";

/// Options.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// Topology, which says what should be here: peers, replicated devices, quorum, fencing
    #[arg(long, value_name = "FILE")]
    topology: Option<PathBuf>,
    /// This machine's Node in the topology (default: its host name)
    #[arg(long, value_name = "NAME", requires = "topology")]
    node: Option<String>,
    /// Replication address of the other machine; may be given several times
    #[arg(long, value_name = "ADDRESS", conflicts_with = "topology")]
    peer: Vec<std::net::IpAddr>,
    /// Checks that may not be `not present`, with commas: raid, bond, power, link, drbd, …
    #[arg(long, value_name = "CHECKS", value_delimiter = ',', value_parser = check_name)]
    require: Vec<&'static str>,
    /// Show and count only these checks, with commas
    #[arg(long, value_name = "CHECKS", value_delimiter = ',', value_parser = check_name)]
    only: Vec<&'static str>,
    /// How old the last test of fencing may be, in days
    #[arg(long, value_name = "DAYS", default_value_t = 90)]
    fence_test_days: u32,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Read the machine's files below this directory
    #[arg(long, value_name = "DIR", default_value = "/")]
    root: PathBuf,
    #[command(flatten)]
    file: File,
}

/// Runs the command.
///
/// # Errors
/// When the topology is refused or the result cannot be written.
pub fn run(args: &Args) -> Result<Exit> {
    let scene = Scene {
        machine: Machine { root: args.root.clone(), programs: &Installed },
        expected: expectations(args)?,
        configuration: read(&args.file.path),
        now: Timestamp::now(),
        fence_test_days: args.fence_test_days,
    };
    let mut findings = collect::all(&scene);
    require(&mut findings, &scene.expected.required);
    require(&mut findings, &args.require);
    if !args.only.is_empty() {
        findings.retain(|finding| args.only.iter().any(|name| covers(name, finding.check)));
    }
    let summary = Summary::of(&findings);
    if args.json {
        say(report::json(&findings, summary)?)?;
    } else {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        say(report::table(&findings, summary, colour))?;
    }
    Ok(summary.into())
}

fn expectations(args: &Args) -> Result<Expectations> {
    let Some(path) = &args.topology else {
        let peer = |address: &std::net::IpAddr| Peer {
            name: address.to_string(),
            address: address.to_string(),
            round_trip_ms: ROUND_TRIP_MS,
        };
        return Ok(Expectations { peers: args.peer.iter().map(peer).collect(), ..Expectations::default() });
    };
    let topology = render::load(path)?;
    let node = match &args.node {
        Some(node) => node.clone(),
        None => render::host_name()?,
    };
    Expectations::of(&topology, &node).map_err(|why| anyhow!(why))
}

fn read(path: &Path) -> Configuration {
    if !path.exists() {
        return Configuration::Absent(path.display().to_string());
    }
    match configuration::load(path) {
        Ok(config) => Configuration::Read(Arc::new(config)),
        Err(error) => Configuration::Refused(format!("{error:#}")),
    }
}
