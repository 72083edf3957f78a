//! Failover Domains: their nodes, and that something moves with them.

use std::collections::BTreeSet;

use super::{Findings, Item, Site};
use crate::topology::Domain;

pub(super) fn check(site: &Site<'_>, findings: &mut Findings) {
    for domain in &site.domains {
        nodes(site, domain, findings);
        let name = domain.value.name.as_str();
        let used = site.directors.iter().any(|r| r.value.domain == name)
            || site.catalogs.iter().any(|r| r.value.domain == name)
            || site.storages.iter().any(|r| r.value.domain.as_deref() == Some(name));
        if !used && !name.is_empty() {
            let message = format!("nothing runs in Failover Domain \"{name}\"");
            let help = format!("add a Director, Catalog or Storage with `Domain = {name}`, or remove it");
            findings.error(domain.header(), message, help);
        }
    }
    for node in &site.nodes {
        let name = &node.value.name;
        let moves = site.domains.iter().any(|domain| domain.value.nodes.contains(name));
        let stays = site.storages.iter().any(|storage| storage.value.node.as_ref() == Some(name));
        if !moves && !stays {
            let message = format!("nothing runs on Node \"{name}\"");
            findings.warning(node.header(), message, "name it in a Failover Domain or Storage, or remove it");
        }
    }
}

fn nodes(site: &Site<'_>, domain: &Item<'_, Domain>, findings: &mut Findings) {
    let (name, list) = (&domain.value.name, &domain.value.nodes);
    let span = domain.at("Node");
    let unique: BTreeSet<_> = list.iter().collect();
    if unique.len() < list.len() {
        findings.error(span, format!("Failover Domain \"{name}\" names a node twice"), "name each once");
    }
    if unique.len() == 1 {
        let message = format!("Failover Domain \"{name}\" has one node: its services have nowhere to go");
        findings.error(span, message, "name a second Node, in another data centre");
    }
    if let Some(preferred) = &domain.value.preferred_node
        && !list.contains(preferred)
    {
        let message = format!("`Preferred Node` \"{preferred}\" is not in Failover Domain \"{name}\"");
        findings.error(domain.at("Preferred Node"), message, format!("name one of: {}", list.join(", ")));
    }
    let places: BTreeSet<_> = site.nodes_of(&domain.value).map(|node| &node.value.data_centre).collect();
    if let (1, Some(place)) = (places.len(), places.first())
        && unique.len() > 1
    {
        let message = format!("all nodes of Failover Domain \"{name}\" are in data centre \"{place}\"");
        findings.warning(
            span,
            message,
            "put one of them elsewhere: the loss of the data centre ends the service",
        );
    }
}
