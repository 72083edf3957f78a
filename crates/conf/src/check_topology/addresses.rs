//! Addresses: each once, rings in networks of their own, floating ones where every node can take them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Findings, Item, Site};
use crate::net_address::NetAddress;
use crate::topology::{Engine, Node};

/// Links that Corosync's transport knet has at most.
const RINGS_MAX: usize = 8;

pub(super) fn check(site: &Site<'_>, findings: &mut Findings) {
    once_each(site, findings);
    let heartbeats = site.engine() == Engine::Pacemaker;
    for node in &site.nodes {
        if heartbeats {
            rings_of_a_node(node, findings);
        }
        shared_link(node, findings);
    }
    for domain in &site.domains {
        let nodes: Vec<_> = site.nodes_of(&domain.value).collect();
        let counts: BTreeSet<_> = nodes.iter().map(|node| node.value.heartbeat_addresses().len()).collect();
        if heartbeats && counts.len() > 1 {
            let list: Vec<_> = nodes
                .iter()
                .map(|node| format!("\"{}\" has {}", node.value.name, node.value.heartbeat_addresses().len()))
                .collect();
            let message = format!(
                "the nodes of Failover Domain \"{}\" have different numbers of rings: {}",
                domain.value.name,
                list.join(", ")
            );
            findings.error(
                domain.at("Node"),
                message,
                "give each node as many `Ring` addresses as the others",
            );
        }
        for floating in &domain.value.floating_addresses {
            for node in nodes.iter().filter(|node| !node.value.address.network_has(floating.ip())) {
                let message = format!(
                    "`Floating Address` {floating} is not in the network of Node \"{}\", {}",
                    node.value.name, node.value.address
                );
                let help = "an address moves only within one network; choose one of it, or stretch the network over both data centres";
                findings.error(domain.at("Floating Address"), message, help);
            }
        }
    }
}

/// No address belongs to two. A node's ring may be its own service or replication address.
fn once_each(site: &Site<'_>, findings: &mut Findings) {
    let mut owners: BTreeMap<_, String> = BTreeMap::new();
    let mut claim = |address: NetAddress, owner: String, span, findings: &mut Findings| {
        if let Some(first) = owners.get(&address.ip())
            && *first != owner
        {
            let message = format!("{owner} has the address of {first}: {}", address.ip());
            findings.error(span, message, "give each its own");
            return;
        }
        owners.insert(address.ip(), owner);
    };
    for node in &site.nodes {
        let owner = || format!("Node \"{}\"", node.value.name);
        claim(node.value.address, owner(), node.at("Address"), findings);
        if let Some(address) = node.value.replication_address {
            claim(address, owner(), node.at("Replication Address"), findings);
        }
        for ring in &node.value.rings {
            claim(*ring, owner(), node.at("Ring"), findings);
        }
    }
    for domain in &site.domains {
        for address in &domain.value.floating_addresses {
            let owner = format!("Failover Domain \"{}\"", domain.value.name);
            claim(*address, owner, domain.at("Floating Address"), findings);
        }
    }
    for quorum in &site.quorum {
        if let Some(address) = quorum.value.address {
            claim(address, format!("the witness \"{}\"", quorum.value.name), quorum.at("Address"), findings);
        }
    }
}

fn rings_of_a_node(node: &Item<'_, Node>, findings: &mut Findings) {
    let rings = node.value.heartbeat_addresses();
    let (span, name) = (node.at("Ring"), &node.value.name);
    for (number, ring) in rings.iter().enumerate() {
        if let Some(first) = rings[..number].iter().find(|other| other.same_network(*ring)) {
            let message = format!(
                "two rings of Node \"{name}\" are in one network: {first} and {ring}; what cuts one cuts both"
            );
            findings.error(span, message, "put each ring into a network with cables and switches of its own");
        }
    }
    if rings.len() > RINGS_MAX {
        let message = format!("Node \"{name}\" has {} rings", rings.len());
        findings.error(span, message, format!("Corosync has at most {RINGS_MAX}"));
    }
    if rings.len() == 1 {
        let message = format!("Node \"{name}\" has one ring: when its network fails, its neighbour is shot");
        findings.warning(span, message, "add a second network to `Ring`, or a `Replication Address`");
    }
}

fn shared_link(node: &Item<'_, Node>, findings: &mut Findings) {
    let name = &node.value.name;
    if let (address, Some(replication)) = (node.value.address, node.value.replication_address)
        && address.same_network(replication)
    {
        let message = format!("Node \"{name}\" replicates over the network in which it serves");
        let help = "give the replication a dedicated link: traffic of backups would delay every commit";
        findings.warning(node.at("Replication Address"), message, help);
    }
}
