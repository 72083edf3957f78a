//! How long failovers under Pacemaker last: `pacemaker [ROUNDS [WORD]]`, of those with WORD in their names; `benches/README.md` has results.
//!
//! Two nodes with a witness. Measured is the time from the fault, or from the start of the operator's command, until a console of the other
//! instance has its first command served by the Director that is active then.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use holdfast_tests::our_site;
use testkit::cluster::{Cluster, DIRECTOR, HEALED, WITNESS};
use testkit::site::Site;
use testkit::wait;

/// How the role is moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// The power of the active node is cut, which coordinates the cluster.
    CoordinatorDeath,
    /// The same, and the other one coordinates the cluster.
    OtherDeath,
    /// `kill -9` of the Director: it comes back on its node, or on the other one.
    Kill,
    /// `crm node standby`.
    Standby,
    /// `crm resource move`.
    Resource,
}

const MOVES: [(Move, &str); 5] = [
    (Move::CoordinatorDeath, "power cut of the active node, the cluster's coordinator"),
    (Move::OtherDeath, "power cut of the active node, not the coordinator"),
    (Move::Kill, "`kill -9` of the active Director"),
    (Move::Standby, "switchover, `crm node standby`"),
    (Move::Resource, "switchover, `crm resource move`"),
];

fn main() -> Result<()> {
    let only = std::env::args().nth(2);
    let rounds: usize =
        std::env::args().nth(1).map_or(Ok(5), |text| text.parse()).context("number of rounds")?;
    let nodes = ["a", "b"];
    let site = our_site().postgres().network().hosts(&[WITNESS]).instances(&nodes).managed();
    let mut site = site.cluster("Engine = Pacemaker").tree("/etc/hostname").start()?;
    let start = Instant::now();
    let cluster = Cluster::start(&site, &nodes)?;
    eprintln!("the cluster is up after {:.1} s", start.elapsed().as_secs_f64());
    println!("| what | rounds | median | least | most |\n|---|---|---|---|---|");
    for (by, words) in MOVES
        .iter()
        .copied()
        .filter(|(_, words)| only.as_ref().is_none_or(|only| words.contains(only.as_str())))
    {
        let mut times = Vec::new();
        for round in 1..=rounds {
            times.push(once(&mut site, &cluster, by)?);
            eprintln!("{by:?} {round}: {:.2} s", times[round - 1].as_secs_f64());
        }
        line(words, times);
    }
    cluster.end();
    site.finish()
}

fn once(site: &mut Site, cluster: &Cluster, by: Move) -> Result<Duration> {
    let active = placed(cluster, by)?;
    let other = another(cluster, &active)?;
    site.wait_active(&other, &active, wait::START)?;
    let epoch = epoch(site)?;
    let start = Instant::now();
    // The command of an operator takes its own time, which counts: the role is sought meanwhile.
    let served = std::thread::scope(|scope| -> Result<Duration> {
        let order = scope.spawn(|| strike(cluster, by, &active, &other));
        let served = wait::until_every(Duration::from_millis(10), "a command to be served", HEALED, || {
            let said = site.console_of(&other, &["list clients"]);
            let is_served = said.is_ok_and(|said| said.contains("kit-fd")) && self::epoch(site)? > epoch;
            Ok(is_served.then(|| start.elapsed()))
        });
        order
            .join()
            .map_err(|_| anyhow::anyhow!("the operator panicked"))?
            .context("the operator's command")?;
        served
    })?;
    match by {
        Move::CoordinatorDeath | Move::OtherDeath => cluster.switch_on(&active)?,
        // Failures are counted: after some of them the node would not be used any more.
        Move::Kill => drop(cluster.run(&other, &format!("crm_resource --cleanup --resource {DIRECTOR}"))?),
        Move::Standby => drop(cluster.run(&other, &format!("crm node online {active}"))?),
        Move::Resource => drop(cluster.run(&other, &format!("crm resource clear {DIRECTOR}-clone"))?),
    }
    let now = cluster.wait_whole()?;
    ensure!(by == Move::Kill || now == other, "{now} is active and not {other}");
    Ok(served)
}

fn another(cluster: &Cluster, node: &str) -> Result<String> {
    cluster.names().iter().find(|name| *name != node).cloned().context("another node")
}

/// Has the role where the fault wants it. Returns the active node.
fn placed(cluster: &Cluster, by: Move) -> Result<String> {
    let active = cluster.wait_whole()?;
    let wants_coordinator = match by {
        Move::CoordinatorDeath => true,
        Move::OtherDeath => false,
        Move::Kill | Move::Standby | Move::Resource => return Ok(active),
    };
    if (coordinator(cluster, &active)? == active) == wants_coordinator {
        return Ok(active);
    }
    let other = another(cluster, &active)?;
    strike(cluster, Move::Resource, &active, &other)?;
    cluster.wait_other(&active)?;
    cluster.run(&other, &format!("crm resource clear {DIRECTOR}-clone"))?;
    let now = cluster.wait_whole()?;
    ensure!(now == other, "{now} is active and not {other}");
    Ok(now)
}

/// The node that plans for all (Pacemaker's DC), as `asked` sees it.
fn coordinator(cluster: &Cluster, asked: &str) -> Result<String> {
    let said = cluster.run(asked, "crmadmin --dc_lookup --quiet")?;
    said.split_whitespace().last().map(str::to_owned).with_context(|| format!("no coordinator in {said:?}"))
}

fn strike(cluster: &Cluster, by: Move, active: &str, other: &str) -> Result<()> {
    match by {
        Move::CoordinatorDeath | Move::OtherDeath => cluster.cut_power(active),
        Move::Kill => cluster.run(active, "kill -9 $(pidof -s holdfast)").map(drop),
        Move::Standby => cluster.run(active, &format!("crm node standby {active}")).map(drop),
        Move::Resource => {
            cluster.run(active, &format!("crm resource move {DIRECTOR}-clone {other}")).map(drop)
        }
    }
}

/// Of the last activation: what is served in it is served by the next one.
fn epoch(site: &Site) -> Result<u64> {
    Ok(site.sql("SELECT Epoch FROM hf_leader")?[0][0].parse()?)
}

fn line(words: &str, mut times: Vec<Duration>) {
    times.sort();
    let seconds = |at: usize| times.get(at).map_or(0.0, Duration::as_secs_f64);
    let (median, most) = (seconds(times.len() / 2), seconds(times.len().saturating_sub(1)));
    println!("| {words} | {} | {median:.2} s | {:.2} s | {most:.2} s |", times.len(), seconds(0));
}
