//! What an engine needs. The file is checked for the engine that it names; another one may be asked for.

use conf::topology::{Engine, ThirdVote};

use super::Plan;

/// What is missing, each with its remedy.
pub(super) fn missing(plan: &Plan<'_>) -> Vec<String> {
    match plan.engine {
        Engine::Pacemaker => pacemaker(plan),
        Engine::Patroni => patroni(plan),
        Engine::Lease => lease(plan),
    }
}

fn pacemaker(plan: &Plan<'_>) -> Vec<String> {
    let mut missing = Vec::new();
    for cluster in &plan.clusters {
        for node in plan.nodes_of(&cluster.nodes).filter(|node| node.fence_levels().is_empty()) {
            missing.push(format!("Node \"{}\" has no Fence Device; add `Fence Level 1` to it", node.name));
        }
        if plan.config.quorum.is_none() && cluster.nodes.len().is_multiple_of(2) {
            missing.push(format!(
                "cluster \"{}\" has {} nodes and no third vote; add a `Quorum`",
                cluster.name,
                cluster.nodes.len()
            ));
        }
    }
    for domain in &plan.config.domains {
        let rings = |node: &conf::topology::Node| node.heartbeat_addresses().len();
        let mut counts: Vec<usize> = plan.nodes_of(&domain.nodes).map(rings).collect();
        counts.dedup();
        if counts.len() > 1 {
            missing.push(format!(
                "the nodes of Failover Domain \"{}\" have different numbers of rings; give each as many `Ring` addresses as the others",
                domain.name
            ));
        }
    }
    for catalog in &plan.config.catalogs {
        let on_device = plan.config.devices_of(&catalog.domain).any(|device| {
            let below = catalog.data_directory.strip_prefix(device.mount_point.as_str());
            below.is_some_and(|rest| rest.starts_with('/'))
        });
        if !on_device {
            missing.push(format!(
                "`Data Directory` of Catalog \"{}\" is on no Replicated Device of its domain; add one, mounted above it",
                catalog.name
            ));
        }
    }
    for domain in plan.config.domains.iter().filter(|domain| domain.floating_addresses.is_empty()) {
        let alone = plan.catalog_in(&domain.name).is_some() && plan.director_in(&domain.name).is_none();
        if alone || plan.storage_in(&domain.name).is_some() {
            missing.push(format!("Failover Domain \"{}\" has no `Floating Address`; add one", domain.name));
        }
    }
    missing
}

fn patroni(plan: &Plan<'_>) -> Vec<String> {
    let mut missing = replicated(plan);
    if plan.config.catalogs.is_empty() {
        missing.push("there is no Catalog for Patroni to serve; add one".to_owned());
    }
    let witness = plan.config.quorum.as_ref().filter(|quorum| quorum.third_vote == ThirdVote::Witness);
    if witness.and_then(|quorum| quorum.address).is_none() {
        missing.push("etcd needs a third member; add a `Quorum` with the `Address` of a witness".to_owned());
    }
    missing.extend(moving_storages(plan));
    missing
}

fn lease(plan: &Plan<'_>) -> Vec<String> {
    let mut missing = replicated(plan);
    missing.extend(moving_storages(plan));
    missing
}

/// PostgreSQL replicates by itself: two disks that are the same anyway would be two of everything.
fn replicated(plan: &Plan<'_>) -> Vec<String> {
    let mounted = plan.config.catalogs.iter().filter(|catalog| {
        plan.config.devices_of(&catalog.domain).any(|device| {
            let below = catalog.data_directory.strip_prefix(device.mount_point.as_str());
            below.is_some_and(|rest| rest.starts_with('/'))
        })
    });
    mounted
        .map(|catalog| {
            format!(
                "`Data Directory` of Catalog \"{}\" is on a Replicated Device, which only one node can use at a time; with this engine put it on each node's own disk",
                catalog.name
            )
        })
        .collect()
}

/// Nothing but Pacemaker moves a Storage Daemon by itself.
fn moving_storages<'a>(plan: &'a Plan<'_>) -> impl Iterator<Item = String> + 'a {
    let moving = plan.config.storages.iter().filter(|storage| storage.domain.is_some());
    moving.map(|storage| {
        format!(
            "Storage \"{}\" is in a Failover Domain, and only Pacemaker moves Storage Daemons; give it a `Node`, and another Storage that is its `Cold Spare For`",
            storage.name
        )
    })
}
