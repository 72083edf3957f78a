//! `/proc/net/bonding/NAME` of Linux's bonding driver (Documentation/networking/bonding.rst).

use super::pair;

/// A bond.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Bond {
    /// As the driver calls it: `fault-tolerance (active-backup)`.
    pub(in crate::check) mode: String,
    /// Of the bond as a whole.
    pub(in crate::check) is_up: bool,
    /// Interval at which the carrier is looked at, in milliseconds; 0 = never.
    pub(in crate::check) mii_ms: u32,
    /// Interval of ARP probes in milliseconds; 0 = none.
    pub(in crate::check) arp_ms: u32,
    /// With 802.3ad: the switch's address; zeros without one.
    pub(in crate::check) partner: Option<String>,
    pub(in crate::check) legs: Vec<Leg>,
}

/// An interface of a bond.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Leg {
    pub(in crate::check) name: String,
    pub(in crate::check) is_up: bool,
    /// How often it was lost since the driver knows it.
    pub(in crate::check) failures: u32,
    /// As the driver says it: `10000 Mbps`.
    pub(in crate::check) speed: String,
    /// Which aggregator of 802.3ad it belongs to.
    pub(in crate::check) aggregator: Option<u32>,
}

pub(in crate::check) fn parse(text: &str) -> Bond {
    let mut bond = Bond::default();
    for line in text.lines() {
        // Details of LACP are indented by blanks and repeat words; the partner is indented by a tab.
        let Some((key, value)) = (!line.starts_with(' ')).then(|| pair(line, ':')).flatten() else {
            continue;
        };
        let leg = bond.legs.last_mut();
        match (key, leg) {
            ("Slave Interface", _) => bond.legs.push(Leg { name: value.to_owned(), ..Leg::default() }),
            ("MII Status", Some(leg)) => leg.is_up = value == "up",
            ("Link Failure Count", Some(leg)) => leg.failures = value.parse().unwrap_or(0),
            ("Speed", Some(leg)) => value.clone_into(&mut leg.speed),
            ("Aggregator ID", Some(leg)) => leg.aggregator = value.parse().ok(),
            ("Bonding Mode", None) => value.clone_into(&mut bond.mode),
            ("MII Status", None) => bond.is_up = value == "up",
            ("MII Polling Interval (ms)", None) => bond.mii_ms = value.parse().unwrap_or(0),
            ("ARP Polling Interval (ms)", None) => bond.arp_ms = value.parse().unwrap_or(0),
            ("Partner Mac Address", None) => bond.partner = Some(value.to_owned()),
            _ => {}
        }
    }
    bond
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_active_backup_bond_with_a_leg_down() {
        let bond = parse(include_str!("../../../fixtures/check/bonding/active-backup.d1-down.txt"));
        assert!(bond.is_up && bond.mode == "fault-tolerance (active-backup)" && bond.mii_ms == 100);
        let legs: Vec<_> = bond.legs.iter().map(|leg| (leg.name.as_str(), leg.is_up, leg.failures)).collect();
        assert_eq!(legs, [("d1", false, 1), ("d2", true, 0)]);
    }

    #[test]
    fn a_lacp_bond_without_a_partner() {
        let bond = parse(include_str!("../../../fixtures/check/bonding/802.3ad.no-partner.txt"));
        assert_eq!(bond.partner.as_deref(), Some("00:00:00:00:00:00"));
        assert_eq!(bond.legs.iter().map(|leg| leg.aggregator).collect::<Vec<_>>(), [Some(1), Some(2)]);
    }
}
