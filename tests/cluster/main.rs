//! Directors under Pacemaker and Corosync on nodes of their own: what a fault leaves behind, and that fencing comes first. And the catalog under
//! Patroni, as it is rendered.
//!
//! Times are printed, never asserted: a failover is judged by its order and by what became of the jobs.
#![expect(clippy::print_stdout, reason = "the times are for people")]

mod agents;
mod check;
mod drill;
mod failover;
mod history;
mod orders;
mod patroni;
mod stack;

use anyhow::Result;
use holdfast_tests::held::Held;
use holdfast_tests::our_site;
use testkit::cluster::{Cluster, WITNESS};
use testkit::site::Builder;
use testkit::wait;

/// A site whose Director's instances, one a node, are started by Pacemaker.
fn site(nodes: &[&str], witness: bool) -> Builder {
    let hosts: &[&str] = if witness { &[WITNESS] } else { &[] };
    our_site().postgres().network().hosts(hosts).instances(nodes).managed().cluster("Engine = Pacemaker")
}

/// Two nodes and a witness, with a job that stands in its middle; and the active node.
fn two_nodes() -> Result<(Held, Cluster, String)> {
    let nodes = &["a", "b"];
    held(site(nodes, true), nodes)
}

/// As above, of three nodes, which need no witness.
fn three_nodes() -> Result<(Held, Cluster, String)> {
    let nodes = &["a", "b", "c"];
    held(site(nodes, false), nodes)
}

fn held(builder: Builder, nodes: &[&str]) -> Result<(Held, Cluster, String)> {
    let (held, (cluster, active)) = Held::start_managed(builder, |site| {
        let cluster = Cluster::start(site, nodes)?;
        let active = cluster.wait_whole()?;
        site.wait_active(&active, &active, wait::START)?;
        site.prefer_instance(&active);
        Ok((cluster, active))
    })?;
    Ok((held, cluster, active))
}
