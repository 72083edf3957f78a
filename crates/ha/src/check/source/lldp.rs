//! `lldpctl -f keyvalue` of lldpd: which switch is at the other end of each interface.

use std::collections::BTreeMap;

/// The switch that an interface sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Neighbour {
    /// Its chassis, most often an Ethernet address.
    pub(in crate::check) chassis: String,
    pub(in crate::check) name: String,
}

/// By interface. A neighbour without a chassis is left out.
pub(in crate::check) fn parse(text: &str) -> BTreeMap<String, Neighbour> {
    let mut found: BTreeMap<String, Neighbour> = BTreeMap::new();
    for line in text.lines() {
        let Some((key, value)) = line.strip_prefix("lldp.").and_then(|line| line.split_once('=')) else {
            continue;
        };
        // An interface's own name may have dots in it.
        let Some((interface, what)) = key.split_once(".chassis.") else { continue };
        let neighbour = found.entry(interface.to_owned()).or_default();
        match what {
            "mac" | "local" | "ifname" | "ip" => value.clone_into(&mut neighbour.chassis),
            "name" => value.clone_into(&mut neighbour.name),
            _ => {}
        }
    }
    found.retain(|_, neighbour| !neighbour.chassis.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_interface_has_its_switch() {
        let found = parse(include_str!("../../../fixtures/check/lldp/lldpctl.keyvalue.txt"));
        let said: Vec<_> =
            found.iter().map(|(at, n)| (at.as_str(), n.chassis.as_str(), n.name.as_str())).collect();
        assert_eq!(said, [("d1", "02:00:00:00:0a:01", "sw-a"), ("d2", "02:00:00:00:0b:01", "sw-b")]);
    }
}
