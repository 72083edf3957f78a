//! Replicated Devices: what must not meet on a node.

use std::collections::BTreeMap;

use super::{Findings, Item, Site};
use crate::source::Span;
use crate::topology::ReplicatedDevice;

/// Highest minor of DRBD (`DRBD_MINOR_COUNT_MAX`).
const MINOR_MAX: u32 = 255;

pub(super) fn check(site: &Site<'_>, findings: &mut Findings) {
    for device in &site.devices {
        if device.value.minor > MINOR_MAX {
            let message = format!("`Minor` is {}", device.value.minor);
            findings.error(device.at("Minor"), message, format!("give 0 to {MINOR_MAX}"));
        }
        sides(site, device, findings);
    }
    collisions(site, findings);
}

/// Two sides, each with an address on the link.
fn sides(site: &Site<'_>, device: &Item<'_, ReplicatedDevice>, findings: &mut Findings) {
    let Some(domain) = site.domain(&device.value.domain) else { return };
    let (name, count) = (&device.value.name, domain.value.nodes.len());
    if count > 2 {
        let message = format!(
            "Replicated Device \"{name}\" is in Failover Domain \"{}\", which has {count} nodes; DRBD replicates between two",
            domain.value.name
        );
        findings.error(device.at("Domain"), message, "leave two nodes in the domain");
    }
    let without = site.nodes_of(&domain.value).filter(|node| node.value.replication_address.is_none());
    for node in without {
        let message = format!(
            "Node \"{}\" lacks `Replication Address`, over which Replicated Device \"{name}\" is replicated",
            node.value.name
        );
        findings.error(node.header(), message, "add its address on the dedicated link between the nodes");
    }
}

/// What one owner takes of each node that it may be on.
struct Claim<'a> {
    owner: String,
    directive: &'static str,
    text: String,
    nodes: Vec<&'a str>,
    span: Span,
}

/// Minor, port, disk and mount point are one owner's on each node.
fn collisions(site: &Site<'_>, findings: &mut Findings) {
    let mut taken: BTreeMap<(&str, &str, &str), &str> = BTreeMap::new();
    let claims = claims(site);
    for claim in claims.iter().filter(|claim| !claim.text.is_empty()) {
        // All kinds of ports are one kind.
        let kind = if claim.directive.ends_with("Port") { "Port" } else { claim.directive };
        let key = |node| (node, kind, claim.text.as_str());
        let clash = claim.nodes.iter().find_map(|node| Some((node, taken.get(&key(*node))?)));
        if let Some((node, other)) = clash {
            let message = format!(
                "{} has the `{}` of {other} on Node \"{node}\": {}",
                claim.owner, claim.directive, claim.text
            );
            findings.error(claim.span, message, "give each its own");
        }
        for node in &claim.nodes {
            taken.entry(key(node)).or_insert(&claim.owner);
        }
    }
}

fn claims<'a>(site: &'a Site<'a>) -> Vec<Claim<'a>> {
    let mut claims = Vec::new();
    let nodes_of = |domain: &str| -> Vec<&'a str> {
        let domain = site.domains.iter().find(|r| r.value.name == domain);
        domain.into_iter().flat_map(|r| r.value.nodes.iter().map(String::as_str)).collect()
    };
    let mut claim =
        |owner: String, directive: &'static str, text: String, nodes: Vec<&'a str>, span: Span| {
            claims.push(Claim { owner, directive, text, nodes, span });
        };
    for r in &site.directors {
        let (v, owner) = (&r.value, format!("Director \"{}\"", r.value.name));
        claim(owner, "Dir Port", v.dir_port.to_string(), nodes_of(&v.domain), r.at("Dir Port"));
    }
    for r in &site.catalogs {
        let (v, owner) = (&r.value, || format!("Catalog \"{}\"", r.value.name));
        claim(owner(), "Port", v.port.to_string(), nodes_of(&v.domain), r.at("Port"));
        claim(
            owner(),
            "Data Directory",
            v.data_directory.clone(),
            nodes_of(&v.domain),
            r.at("Data Directory"),
        );
    }
    for r in &site.storages {
        let (v, owner) = (&r.value, format!("Storage \"{}\"", r.value.name));
        let nodes = match (&v.domain, &v.node) {
            (Some(domain), _) => nodes_of(domain),
            (None, Some(node)) => vec![node.as_str()],
            (None, None) => Vec::new(),
        };
        claim(owner, "SD Port", v.sd_port.to_string(), nodes, r.at("SD Port"));
    }
    for r in &site.devices {
        let (v, owner) = (&r.value, || format!("Replicated Device \"{}\"", r.value.name));
        let nodes = nodes_of(&v.domain);
        claim(owner(), "Minor", v.minor.to_string(), nodes.clone(), r.at("Minor"));
        claim(owner(), "Port", v.port.to_string(), nodes.clone(), r.at("Port"));
        claim(owner(), "Backing Disk", v.backing_disk.clone(), nodes.clone(), r.at("Backing Disk"));
        claim(owner(), "Mount Point", v.mount_point.clone(), nodes, r.at("Mount Point"));
    }
    claims
}
