//! The active node, or what runs on it, goes away in the middle of a job.

use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use holdfast_tests::held::Held;
use testkit::cluster::Cluster;
use testkit::wait;

use crate::history;
use crate::{three_nodes, two_nodes};

/// What a fault must lead to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// The node is switched off, and only then followed.
    Fenced,
    /// Nobody has to be switched off.
    Alive,
}

/// Strikes the active node and sees that its job ends as if nothing had been.
fn strike(
    what: &str,
    (mut held, cluster, active): (Held, Cluster, String),
    then: Then,
    fault: impl FnOnce(&Cluster, &str) -> Result<()>,
    healing: impl FnOnce(&Cluster, &str) -> Result<()>,
) -> Result<()> {
    strike_at(what, (&mut held, &cluster, &active), then, fault, healing).map(drop)
}

/// As [`strike`]. Returns who is active then.
pub(crate) fn strike_at(
    what: &str,
    (held, cluster, active): (&mut Held, &Cluster, &str),
    then: Then,
    fault: impl FnOnce(&Cluster, &str) -> Result<()>,
    healing: impl FnOnce(&Cluster, &str) -> Result<()>,
) -> Result<String> {
    let (began, at) = (Instant::now(), SystemTime::now());
    fault(cluster, active)?;
    let next = match then {
        Then::Fenced => cluster.wait_other(active)?,
        Then::Alive => wait::until("an instance in a higher epoch", testkit::cluster::HEALED, || {
            let tenures = history::of(&held.site, cluster)?;
            let last =
                tenures.last().filter(|last| last.began > history::since_epoch(at) && last.ended.is_none());
            Ok(last.map(|last| last.node.clone()))
        })?,
    };
    held.site.prefer_instance(&next);
    held.site.wait_active(&next, &next, wait::START)?;
    println!("{what}: {next} serves after {active}, {:.1} s after the fault", began.elapsed().as_secs_f64());
    healing(cluster, active)?;
    ensure!(
        cluster.fenced_since(active, began).is_some() == (then == Then::Fenced),
        "fenced: {:?}",
        cluster.fenced()
    );
    held.release()?;
    settle(held, cluster, then, at, active)?;
    Ok(next)
}

/// All nodes come back, the job ends `T` and restores as it was, and one at a time was active.
pub(crate) fn settle(
    held: &Held,
    cluster: &Cluster,
    then: Then,
    since: SystemTime,
    struck: &str,
) -> Result<()> {
    cluster.wait_whole()?;
    held.ends_well()?;
    let tenures = history::one_at_a_time(&held.site, cluster)?;
    if then == Then::Fenced {
        let since = history::since_epoch(since);
        let off = cluster
            .offs()
            .into_iter()
            .find(|off| off.node == struck && history::since_epoch(off.wall) >= since);
        let off = history::since_epoch(off.context("it was never switched off")?.wall);
        let next = tenures.iter().find(|tenure| tenure.began > since && tenure.node != struck);
        let next = next.with_context(|| format!("nobody followed: {tenures:?}"))?;
        ensure!(off <= next.began, "{} followed before {struck} was off: {tenures:?}", next.node);
    }
    Ok(())
}

pub(crate) fn nothing(_: &Cluster, _: &str) -> Result<()> {
    Ok(())
}

/// Nobody switches a machine on that has lost its power, but a fence agent that finds it off.
pub(crate) fn node_death(cluster: &Cluster, active: &str) -> Result<()> {
    cluster.cut_power(active)
}

fn cable_out(cluster: &Cluster, active: &str) -> Result<()> {
    cluster.machine(active)?.set_cable(false)
}

/// A console that the other node relays to it in the middle of a command is told, and is not left waiting for a machine that is gone.
#[test]
fn the_active_node_dies() -> Result<()> {
    let (held, cluster, active) = two_nodes()?;
    let other = cluster.names().iter().find(|name| **name != active).context("another node")?;
    let relay = format!("console connected address={}:", cluster.machine(other)?.host().address);
    let relayed = || Ok::<_, anyhow::Error>(held.site.instance_log(&active)?.matches(&relay).count());
    let before = relayed()?;
    let console = held.site.begin_console_of(other, &[&format!("wait jobid={}", held.job)])?;
    wait::until("the console to be relayed", wait::START, || Ok((relayed()? > before).then_some(())))?;
    strike("node death", (held, cluster, active.clone()), Then::Fenced, node_death, nothing)?;
    let said = console.end(wait::JOB)?;
    let told = format!("Instance {active} is not active any more");
    ensure!(said.is_whole && said.text.contains(&told), "{said:?}");
    Ok(())
}

#[test]
fn the_active_process_is_killed() -> Result<()> {
    strike(
        "kill -9 of the Director",
        two_nodes()?,
        Then::Alive,
        |cluster, active| cluster.run(active, "kill -9 $(pidof -s holdfast)").map(drop),
        nothing,
    )
}

/// It takes calls and answers none.
#[test]
fn the_active_process_is_frozen() -> Result<()> {
    strike(
        "SIGSTOP of the Director",
        two_nodes()?,
        Then::Alive,
        |cluster, active| cluster.run(active, "kill -STOP $(pidof -s holdfast)").map(drop),
        nothing,
    )
}

#[test]
fn corosync_is_killed_on_the_active_node() -> Result<()> {
    strike(
        "kill -9 of corosync",
        two_nodes()?,
        Then::Fenced,
        |cluster, active| cluster.run(active, "kill -9 $(pidof corosync)").map(drop),
        nothing,
    )
}

/// The cable stays out until the switch has made the machine anew.
#[test]
fn the_cable_of_the_active_node_is_pulled() -> Result<()> {
    strike("cable out", two_nodes()?, Then::Fenced, cable_out, nothing)
}

#[test]
fn all_packets_of_the_active_node_are_lost() -> Result<()> {
    strike(
        "packets lost both ways",
        two_nodes()?,
        Then::Fenced,
        |cluster, active| cluster.machine(active)?.mute(),
        |cluster, active| cluster.machine(active)?.unmute(),
    )
}

#[test]
fn the_active_one_of_three_nodes_dies() -> Result<()> {
    strike("node death, three nodes", three_nodes()?, Then::Fenced, node_death, nothing)
}

#[test]
fn the_cable_of_the_active_one_of_three_nodes_is_pulled() -> Result<()> {
    strike("cable out, three nodes", three_nodes()?, Then::Fenced, cable_out, nothing)
}

/// One of three decides nothing: not even whether the others are to be switched off.
#[test]
fn nobody_takes_over_when_two_of_three_nodes_die() -> Result<()> {
    let (mut held, cluster, active) = three_nodes()?;
    let at = SystemTime::now();
    let (survivor, dead) = {
        let mut standbys = cluster.names().iter().filter(|name| **name != active);
        let survivor = standbys.next().context("another node")?;
        (survivor, [&active, standbys.next().context("a third node")?])
    };
    for node in dead {
        cluster.cut_power(node)?;
    }
    // It sees that it is alone, and stops what it runs itself.
    wait::until("the last node to be without quorum", testkit::cluster::HEALED, || {
        let said = cluster.run(survivor, "crm_mon -1 --output-as=xml; pidof holdfast || echo no process")?;
        Ok((said.contains("with_quorum=\"false\"") && said.contains("no process")).then_some(()))
    })?;
    let tenures = history::of(&held.site, &cluster)?;
    ensure!(tenures.iter().all(|tenure| tenure.node == active), "{tenures:?}");
    ensure!(cluster.fenced().is_empty(), "{:?}", cluster.fenced());
    held.release()?; // the job goes on without any Director
    let began = Instant::now();
    for node in dead {
        cluster.switch_on(node)?;
    }
    let next = cluster.wait_whole()?;
    held.site.prefer_instance(&next);
    held.site.wait_active(&next, &next, wait::START)?;
    println!(
        "two of three nodes dead: {next} serves {:.1} s after their return",
        began.elapsed().as_secs_f64()
    );
    settle(&held, &cluster, Then::Alive, at, &active)
}

/// A site is lost, with its power switch: whether its node is dead nobody knows. The other one waits for a person's word.
#[test]
fn nobody_takes_over_while_the_power_switch_is_out_of_reach() -> Result<()> {
    let (mut held, cluster, active) = two_nodes()?;
    let other = cluster.names().iter().find(|name| **name != active).context("another node")?.clone();
    let at = SystemTime::now();
    cluster.cut_off_switch(true);
    cluster.cut_power(&active)?;
    // It wants to, and has tried: from then on only a person's word can follow.
    wait::until("fencing to have failed", testkit::cluster::HEALED, || {
        let said = cluster.run(&other, "stonith_admin --history '*' --verbose 2>&1; crm_mon -1")?;
        Ok((said.contains("failed") && said.contains("UNCLEAN")).then_some(()))
    })?;
    ensure!(cluster.promoted_by(&other).as_deref() != Some(other.as_str()), "{other} has taken over");
    let tenures = history::of(&held.site, &cluster)?;
    ensure!(tenures.iter().all(|tenure| tenure.node == active), "{tenures:?}");
    let began = Instant::now();
    cluster.run(&other, &format!("stonith_admin --confirm {active}"))?;
    let next = cluster.wait_other(&active)?;
    held.site.prefer_instance(&next);
    held.site.wait_active(&next, &next, wait::START)?;
    println!(
        "power switch unreachable: {next} serves {:.1} s after the operator's word",
        began.elapsed().as_secs_f64()
    );
    cluster.cut_off_switch(false);
    cluster.switch_on(&active)?;
    held.release()?;
    settle(&held, &cluster, Then::Fenced, at, &active)
}
