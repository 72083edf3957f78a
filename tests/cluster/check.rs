//! `holdfast ha check` on a node of a real cluster.

use anyhow::{Context, Result, ensure};
use testkit::cluster::{Cluster, HEALED};
use testkit::site::{Maker, Site, program};
use testkit::wait;

use crate::two_nodes;

/// What it says on a node, in a table, of all that a node in namespaces has.
fn check(cluster: &Cluster, site: &Site, node: &str) -> Result<String> {
    let holdfast = std::path::absolute(program(Maker::Holdfast, "ha")?.path)?;
    let (holdfast, file) = (holdfast.display(), site.config_file("bacula-dir.conf"));
    let only = "quorum,cluster,stonith,director,configuration,postgresql";
    // The exit code is the worst verdict's; the table is what is read here.
    cluster.run(node, &format!("{holdfast} ha check --only {only} -c {}; true", file.display()))
}

/// Wants lines that begin so, blanks aside.
fn wants(said: &str, lines: &[&str]) -> Result<()> {
    let plain: Vec<String> =
        said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for wanted in lines {
        ensure!(plain.iter().any(|line| line.starts_with(wanted)), "no “{wanted}” in\n{said}");
    }
    Ok(())
}

#[test]
fn a_cluster_is_seen_whole_then_in_maintenance_and_fenced() -> Result<()> {
    let (mut held, cluster, active) = two_nodes()?;
    let other = cluster.names().iter().find(|name| **name != active).context("another node")?.clone();
    wants(
        &check(&cluster, &held.site, &active)?,
        &[
            "OK quorum 3 of 3 votes: ",
            "OK quorum.links link 0 ",
            "OK cluster.node a online",
            "OK cluster.node b online",
            "OK cluster.resource ",
            "OK stonith enabled; devices ",
            "WARNING stonith.tested a never seen to work",
            "WARNING stonith.tested b never seen to work",
            &format!("OK director {active} is active (epoch "),
            "OK configuration the same: ",
            "CRITICAL postgresql fsync off",
        ],
    )?;
    cluster.run(&active, "crm_attribute --name maintenance-mode --update true")?;
    wait::until("maintenance to be seen", HEALED, || {
        let said = check(&cluster, &held.site, &active)?;
        Ok(wants(&said, &["WARNING cluster.node the cluster is in maintenance"]).ok())
    })?;
    cluster.run(&active, "crm_attribute --name maintenance-mode --update false")?;
    cluster.run(&active, &format!("stonith_admin --reboot {other}"))?;
    cluster.wait_whole()?;
    let tested = format!("OK stonith.tested {other} reboot by Pacemaker at ");
    wants(
        &check(&cluster, &held.site, &active)?,
        &[&tested, "OK cluster.node a online", "OK quorum 3 of 3"],
    )?;
    held.release()?;
    held.ends_well()
}

#[test]
fn a_node_alone_is_told_to_be_so() -> Result<()> {
    let (mut held, cluster, active) = two_nodes()?;
    let other = cluster.names().iter().find(|name| **name != active).context("another node")?.clone();
    // It stays off: fencing fails, so its state stays unknown.
    cluster.cut_off_switch(true);
    cluster.cut_power(&other)?;
    let unclean = format!("CRITICAL cluster.node {other} unclean");
    let said = wait::until("the other node to be seen as lost", HEALED, || {
        let said = check(&cluster, &held.site, &active)?;
        Ok(wants(&said, &[&unclean, "WARNING quorum 2 of 3 votes: "]).is_ok().then_some(said))
    })?;
    wants(&said, &[&format!("WARNING director {active} is active (epoch "), "UNKNOWN configuration "])?;
    cluster.cut_off_switch(false);
    cluster.switch_on(&other)?;
    cluster.wait_whole()?;
    held.release()?;
    held.ends_well()
}
