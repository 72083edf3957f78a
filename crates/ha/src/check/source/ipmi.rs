//! `ipmitool sdr type "Power Supply"`: the sensors of the supplies and of their redundancy.

/// A sensor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Sensor {
    pub(in crate::check) name: String,
    /// `ok`, `ns` (no reading), `cr`.
    pub(in crate::check) status: String,
    /// `Presence detected, Power Supply AC lost`.
    pub(in crate::check) reading: String,
}

pub(in crate::check) fn parse(text: &str) -> Vec<Sensor> {
    let sensor = |line: &str| {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [name, _, status, _, reading] = columns.as_slice() else { return None };
        Some(Sensor { name: (*name).into(), status: (*status).into(), reading: (*reading).into() })
    };
    text.lines().filter_map(sensor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supply_without_mains() {
        let found =
            parse(include_str!("../../../fixtures/check/ipmi/sdr_type_power_supply.ps2_input_lost.txt"));
        let said: Vec<_> = found.iter().map(|s| (s.name.as_str(), s.reading.as_str())).collect();
        assert_eq!(said[1], ("PS2 Status", "Presence detected, Power Supply AC lost"));
        assert_eq!(said[2], ("PS Redundancy", "Redundancy Lost"));
        assert!(parse("Could not open device at /dev/ipmi0").is_empty());
    }
}
