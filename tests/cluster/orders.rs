//! What operators do: switchover by Pacemaker's own commands, restart of nodes; and consoles meanwhile.

use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use testkit::cluster::DIRECTOR;
use testkit::wait;

use crate::{history, two_nodes};

#[test]
fn the_active_node_stands_by_and_comes_back() -> Result<()> {
    let (mut held, cluster, active) = two_nodes()?;
    let began = Instant::now();
    cluster.run(&active, &format!("crm_standby -N {active} -v on"))?;
    let next = cluster.wait_other(&active)?;
    held.site.wait_active(&next, &next, wait::START)?;
    println!("node standby: {next} serves after {:.1} s", began.elapsed().as_secs_f64());
    held.site.prefer_instance(&next);
    cluster.run(&next, &format!("crm_standby -N {active} -v off"))?;
    ensure!(cluster.wait_whole()? == next, "the role went back by itself");
    ensure!(cluster.fenced().is_empty(), "{:?}", cluster.fenced());
    // A console of the standby reaches the active one, and Pacemaker's is the only word.
    let said = held.site.console_of(&active, &["list clients", "cluster switchover", "cluster promote"])?;
    ensure!(said.contains("kit-fd") && said.contains("Pacemaker decides"), "{said}");
    held.release()?;
    held.ends_well()?;
    let tenures = history::one_at_a_time(&held.site, &cluster)?;
    ensure!(tenures.len() == 2, "{tenures:?}");
    Ok(())
}

#[test]
fn both_nodes_are_restarted() -> Result<()> {
    let (mut held, cluster, active) = two_nodes()?;
    let other = cluster.names().iter().find(|name| **name != active).context("another node")?.clone();
    let (began, at) = (Instant::now(), SystemTime::now());
    for node in [&other, &active] {
        cluster.cut_power(node)?;
    }
    held.release()?; // the job goes on without any Director
    for node in [&active, &other] {
        cluster.switch_on(node)?;
    }
    let next = cluster.wait_whole()?;
    held.site.prefer_instance(&next);
    held.site.wait_active(&next, &next, wait::START)?;
    println!("both nodes restarted: {next} serves after {:.1} s", began.elapsed().as_secs_f64());
    held.ends_well()?;
    let tenures = history::one_at_a_time(&held.site, &cluster)?;
    ensure!(tenures.last().is_some_and(|last| last.began > history::since_epoch(at)), "{tenures:?}");
    Ok(())
}

/// A restart would bring nothing, and jobs go on: the resource is degraded, and becomes whole by itself.
#[test]
fn a_catalog_that_is_away_is_no_failure() -> Result<()> {
    let (mut held, cluster, active) = two_nodes()?;
    held.site.postgres().context("a server")?.kill()?;
    let agent = format!(
        "OCF_RESOURCE_INSTANCE={DIRECTOR} /usr/lib/ocf/resource.d/holdfast/director monitor 2>&1; echo code $?"
    );
    wait::until("the agent to say that the catalog is away", wait::START, || {
        Ok(cluster.run(&active, &agent)?.contains("code 191").then_some(()))
    })?;
    held.site.postgres().context("a server")?.resume()?;
    wait::until("the agent to say that all is well", wait::START, || {
        Ok(cluster.run(&active, &agent)?.contains("code 8").then_some(()))
    })?;
    ensure!(cluster.wait_whole()? == active, "the role has moved");
    // Pacemaker lists it as an action that was not as expected, and does nothing about it.
    let starts = held.site.instance_log(&active)?.matches(" starting daemon=").count();
    ensure!(starts == 1, "it was started {starts} times");
    ensure!(cluster.fenced().is_empty(), "{:?}", cluster.fenced());
    held.release()?;
    held.ends_well()?;
    history::one_at_a_time(&held.site, &cluster).map(drop)
}
