//! The third vote, and times of the heartbeat.

use std::collections::BTreeSet;

use super::{Findings, Item, Site};
use crate::topology::{Engine, Quorum, ThirdVote, clusters};

/// Milliseconds. Below, a machine under load is taken for a dead one.
const TOKEN_MS_MIN: u32 = 500;
/// Milliseconds. Above, hardly anything is gained, and every takeover waits for it.
const TOKEN_MS_MAX: u32 = 30_000;

pub(super) fn check(site: &Site<'_>, findings: &mut Findings) {
    for topology in &site.topology {
        let token = topology.value.token_ms;
        if token == 0 || token > TOKEN_MS_MAX {
            let message = format!("`Token` is {token} ms");
            findings.error(topology.at("Token"), message, format!("give {TOKEN_MS_MIN} to {TOKEN_MS_MAX}"));
        } else if token < TOKEN_MS_MIN {
            let message = format!("`Token` of {token} ms: a node under load would be shot for being slow");
            findings.warning(
                topology.at("Token"),
                message,
                "1000 was measured to lose under a second to 500",
            );
        }
        if topology.value.lease_time.is_zero() {
            findings.error(topology.at("Lease Time"), "`Lease Time` is 0", "give at least `1 second`");
        }
    }
    for domain in &site.domains {
        if domain.value.link_speed == 0 {
            findings.error(
                domain.at("Link Speed"),
                "`Link Speed` is 0",
                "give what the link carries: `100 mb/s`",
            );
        }
        if domain.value.link_round_trip_ms > 1000 {
            let message = format!("`Link Round Trip` is {} ms", domain.value.link_round_trip_ms);
            let help = "every commit waits for it: synchronous replication does not work over such a link";
            findings.error(domain.at("Link Round Trip"), message, help);
        }
    }
    unused(site, findings);
    match site.quorum.first() {
        Some(quorum) => third_vote(site, quorum, findings),
        None => missing(site, findings),
    }
}

/// Whether some cluster would have no majority after a cut through its middle.
fn needs_vote(site: &Site<'_>) -> bool {
    match site.engine() {
        Engine::Patroni => true,
        Engine::Lease => false,
        Engine::Pacemaker => {
            let domains = site.domains.iter().map(|domain| domain.value.nodes.as_slice());
            clusters(domains).iter().any(|nodes| nodes.len() % 2 == 0)
        }
    }
}

fn missing(site: &Site<'_>, findings: &mut Findings) {
    let Some(topology) = site.topology.first().filter(|_| needs_vote(site)) else { return };
    let message = "there is no Quorum resource: of two nodes that do not see each other none may go on";
    let help = "add `Quorum { Name = witness; Address = …; Data Centre = … }` for a machine at a third site";
    findings.error(topology.header(), message, help);
}

fn third_vote(site: &Site<'_>, quorum: &Item<'_, Quorum>, findings: &mut Findings) {
    if quorum.value.third_vote == ThirdVote::None {
        let span = quorum.at("Third Vote");
        if site.engine() == Engine::Patroni {
            let message = "etcd without a third member stops when one of two is lost";
            findings.error(span, message, "name a witness; Patroni cannot do without");
            return;
        }
        if !needs_vote(site) {
            return;
        }
        // Measured on clusters of two nodes without a third vote: 10 partitions by a cut cable or dropped packets.
        let message = "two nodes without a third vote: in 8 of 10 measured partitions the isolated node won and shot the healthy one";
        let help = "nothing is written twice, but the service is gone until the network heals; a witness at a third site decides rightly";
        findings.warning(span, message, help);
        return;
    }
    if quorum.value.address.is_none() {
        let message = format!("Quorum \"{}\" lacks `Address`", quorum.value.name);
        findings.error(quorum.header(), message, "add the witness's address, `10.3.0.8/24`");
    }
    let places: BTreeSet<_> = site.nodes.iter().map(|node| &node.value.data_centre).collect();
    match &quorum.value.data_centre {
        Some(place) if places.contains(place) => {
            let message = format!("the witness is in data centre \"{place}\", where nodes are");
            let help = "put it at a third site: with this one lost, half of the nodes and the deciding vote are gone at once";
            findings.warning(quorum.at("Data Centre"), message, help);
        }
        Some(_) => {}
        None => {
            let message = format!("Quorum \"{}\" lacks `Data Centre`", quorum.value.name);
            findings.warning(quorum.header(), message, "say where it is: it should be at a third site");
        }
    }
}

/// Places that nothing is in.
fn unused(site: &Site<'_>, findings: &mut Findings) {
    let witness = site.quorum.iter().filter_map(|quorum| quorum.value.data_centre.as_ref());
    let used: BTreeSet<_> = site.nodes.iter().map(|node| &node.value.data_centre).chain(witness).collect();
    for place in site.data_centres.iter().filter(|place| !used.contains(&place.value.name)) {
        let message = format!("nothing is in data centre \"{}\"", place.value.name);
        findings.warning(place.header(), message, "name it in a Node or in Quorum, or remove it");
    }
}
