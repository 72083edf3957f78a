//! Bonded links: both legs, failover detection, independent switches.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::finding::{Finding, Verdict};
use crate::check::source::bonding::Bond;
use crate::check::source::lldp::Neighbour;

const BOND: &str = "bond";
const SWITCHES: &str = "bond.switches";

/// Modes that go on when a leg is lost, by the driver's words.
const MODES: &[&str] = &[
    "active-backup",
    "802.3ad",
    "adaptive load balancing",
    "transmit load balancing",
    "load balancing (xor)",
];

/// A bond by what the driver says of it.
pub(in crate::check) fn bond(name: &str, bond: &Bond) -> Finding {
    let legs: Vec<String> = bond
        .legs
        .iter()
        .map(|leg| format!("{} {}", leg.name, if leg.is_up { "up" } else { "down" }))
        .collect();
    let detection = match (bond.mii_ms, bond.arp_ms) {
        (0, 0) => "no detection of lost links".to_owned(),
        (0, arp) => format!("ARP probes every {arp} ms"),
        (mii, _) => format!("carrier looked at every {mii} ms"),
    };
    let evidence = format!("{}; {}; {detection}", bond.mode, legs.join(", "));
    let finding = |verdict, remedy: &str| Finding::new(verdict, BOND, name, &evidence, remedy);
    let down = bond.legs.iter().any(|leg| !leg.is_up);
    let aggregators: BTreeSet<_> = bond.legs.iter().map(|leg| leg.aggregator).collect();
    let alone = bond.partner.as_ref().is_some_and(|partner| partner.chars().all(|c| matches!(c, '0' | ':')));
    match () {
        () if !bond.is_up => finding(Verdict::Critical, "no leg carries: look at cables and switches"),
        () if bond.mii_ms == 0 && bond.arp_ms == 0 => finding(
            Verdict::Critical,
            "set miimon=100 (or arp_interval and arp_ip_target): a dead leg stays in use",
        ),
        () if down => finding(Verdict::Warning, "mend the leg that is down: cable, port, switch"),
        () if bond.legs.len() < 2 => finding(Verdict::Warning, "add a second leg, to another switch"),
        () if alone => finding(
            Verdict::Warning,
            "no switch speaks LACP with it: configure the ports as one group, or use active-backup",
        ),
        () if aggregators.len() > 1 => {
            finding(Verdict::Warning, "the legs are not one LACP group: one of them carries nothing")
        }
        () if !MODES.iter().any(|mode| bond.mode.contains(mode)) => {
            finding(Verdict::Warning, "use active-backup or 802.3ad: this mode does not go on with one leg")
        }
        () => finding(Verdict::Ok, ""),
    }
}

/// Whether the legs of a bond end at different switches.
pub(in crate::check) fn switches(name: &str, bond: &Bond, seen: &BTreeMap<String, Neighbour>) -> Finding {
    let mut said = Vec::new();
    let mut chassis = BTreeSet::new();
    let mut silent = Vec::new();
    for leg in &bond.legs {
        match seen.get(&leg.name) {
            Some(neighbour) => {
                said.push(format!("{} at {} ({})", leg.name, neighbour.name, neighbour.chassis));
                chassis.insert(&neighbour.chassis);
            }
            None => silent.push(leg.name.as_str()),
        }
    }
    if !silent.is_empty() {
        let evidence = format!("no switch tells {} its name by LLDP", silent.join(", "));
        return Finding::new(
            Verdict::Unknown,
            SWITCHES,
            name,
            evidence,
            "enable LLDP on the ports of the switches",
        );
    }
    if chassis.len() < 2 {
        let remedy = "connect the legs to two independent switches";
        return Finding::new(Verdict::Warning, SWITCHES, name, said.join(", "), remedy);
    }
    Finding::ok(SWITCHES, name, said.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::judge::tests_support::check;
    use crate::check::source::{bonding, lldp};

    const UP: &str = include_str!("../../../fixtures/check/bonding/active-backup.both-up.txt");

    fn of(text: &str) -> Finding {
        bond("bond0", &bonding::parse(text))
    }

    #[test]
    fn bonds() {
        let mode = "fault-tolerance (active-backup)";
        check(
            &[
                of(UP),
                of(include_str!("../../../fixtures/check/bonding/active-backup.d1-down.txt")),
                of(&UP.replace("Interval (ms): 100", "Interval (ms): 0")),
                of(include_str!("../../../fixtures/check/bonding/802.3ad.no-partner.txt")),
                of(&UP.replace(mode, "load balancing (round-robin)")),
                of(&UP.replace("MII Status: up", "MII Status: down")),
                of(""),
            ],
            &[
                &format!("OK bond bond0: {mode}; d1 up, d2 up; carrier looked at every 100 ms"),
                &format!("WARNING bond bond0: {mode}; d1 down, d2 up; carrier looked at every 100 ms"),
                &format!("CRITICAL bond bond0: {mode}; d1 up, d2 up; no detection of lost links"),
                "WARNING bond bond0: IEEE 802.3ad Dynamic link aggregation; d3 up, d4 up; carrier looked at every 100 ms",
                "WARNING bond bond0: load balancing (round-robin); d1 up, d2 up; carrier looked at every 100 ms",
                &format!("CRITICAL bond bond0: {mode}; d1 down, d2 down; carrier looked at every 100 ms"),
                "CRITICAL bond bond0: ; ; no detection of lost links",
            ],
        );
    }

    #[test]
    fn legs_at_one_switch_are_a_warning() {
        let text = include_str!("../../../fixtures/check/lldp/lldpctl.keyvalue.txt");
        let of = |text: &str| switches("bond0", &bonding::parse(UP), &lldp::parse(text));
        check(
            &[of(text), of(&text.replace("0b:01", "0a:01")), of("")],
            &[
                "OK bond.switches bond0: d1 at sw-a (02:00:00:00:0a:01), d2 at sw-b (02:00:00:00:0b:01)",
                "WARNING bond.switches bond0: d1 at sw-a (02:00:00:00:0a:01), d2 at sw-b (02:00:00:00:0a:01)",
                "UNKNOWN bond.switches bond0: no switch tells d1, d2 its name by LLDP",
            ],
        );
    }
}
