//! Power supplies.

use crate::check::finding::{Finding, Verdict};
use crate::check::source::ipmi::Sensor;

const POWER: &str = "power";

/// Words of IPMI's sensors for a supply that does not supply, in lower case.
const FAULTS: &[&str] = &["fail", "lost", "error", "out-of-range", "inactive", "non-redundant", "degraded"];

const MEND: &str = "mend it: cable, feed, supply; the machine hangs on the others";
const SECOND: &str = "use a second supply, on another feed";

/// The supplies by the sensors of the management board.
pub(in crate::check) fn sensors(sensors: &[Sensor]) -> Vec<Finding> {
    let is_redundancy = |sensor: &&Sensor| sensor.name.to_ascii_lowercase().contains("redundan");
    let present = sensors
        .iter()
        .filter(|sensor| !is_redundancy(sensor) && sensor.reading.contains("Presence detected"));
    let mut found: Vec<Finding> = Vec::new();
    let mut count = 0;
    for sensor in present {
        count += 1;
        found.push(sensor_finding(sensor));
    }
    let redundancy: Vec<&Sensor> = sensors.iter().filter(is_redundancy).collect();
    found.extend(redundancy.iter().map(|sensor| sensor_finding(sensor)));
    if count == 1 && redundancy.is_empty() {
        found.push(Finding::new(Verdict::Warning, POWER, "", "one supply is present", SECOND));
    }
    if count == 0 {
        let remedy = "look at ipmitool sdr elist all";
        found.push(Finding::unknown(
            POWER,
            "the management board has no sensor of a supply that is present",
            remedy,
        ));
    }
    found
}

fn sensor_finding(sensor: &Sensor) -> Finding {
    let reading = sensor.reading.to_ascii_lowercase();
    if FAULTS.iter().any(|word| reading.contains(word)) || sensor.status == "cr" || sensor.status == "nr" {
        return Finding::new(Verdict::Warning, POWER, &sensor.name, &sensor.reading, MEND);
    }
    if sensor.status != "ok" || reading.is_empty() {
        let evidence = format!("no reading ({})", sensor.status);
        return Finding::new(
            Verdict::Unknown,
            POWER,
            &sensor.name,
            evidence,
            "look at ipmitool sdr elist all",
        );
    }
    Finding::ok(POWER, &sensor.name, &sensor.reading)
}

/// A supply by the kernel's own drivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::check) struct Supply {
    pub(in crate::check) name: String,
    /// Whether it supplies; none when the driver does not say.
    pub(in crate::check) is_good: Option<bool>,
}

/// The supplies that the kernel sees (`/sys/class/hwmon`, `/sys/class/power_supply`).
pub(in crate::check) fn supplies(supplies: &[Supply]) -> Vec<Finding> {
    let finding = |supply: &Supply| match supply.is_good {
        Some(true) => Finding::ok(POWER, &supply.name, "supplies, without alarm"),
        Some(false) => Finding::new(Verdict::Warning, POWER, &supply.name, "no mains, or an alarm", MEND),
        None => {
            let remedy = "ask the management board (package ipmitool)";
            Finding::new(Verdict::Unknown, POWER, &supply.name, "its driver tells no state", remedy)
        }
    };
    let mut found: Vec<Finding> = supplies.iter().map(finding).collect();
    if supplies.len() == 1 {
        found.push(Finding::new(Verdict::Warning, POWER, "", "the kernel sees one supply", SECOND));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::judge::tests_support::check;
    use crate::check::source::ipmi;

    #[test]
    fn supplies_of_the_management_board() {
        let good = include_str!("../../../fixtures/check/ipmi/sdr_type_power_supply.ok.txt");
        check(
            &sensors(&ipmi::parse(good)),
            &[
                "OK power PS1 Status: Presence detected",
                "OK power PS2 Status: Presence detected",
                "OK power PS Redundancy: Fully Redundant",
            ],
        );
        let lost = include_str!("../../../fixtures/check/ipmi/sdr_type_power_supply.ps2_input_lost.txt");
        check(
            &sensors(&ipmi::parse(lost)),
            &[
                "OK power PS1 Status: Presence detected",
                "WARNING power PS2 Status: Presence detected, Power Supply AC lost",
                "WARNING power PS Redundancy: Redundancy Lost",
            ],
        );
        let one = good.lines().next().unwrap();
        check(
            &sensors(&ipmi::parse(one)),
            &["OK power PS1 Status: Presence detected", "WARNING power: one supply is present"],
        );
        check(
            &sensors(&[]),
            &["UNKNOWN power: the management board has no sensor of a supply that is present"],
        );
    }

    #[test]
    fn supplies_of_the_kernel() {
        let supply = |name: &str, is_good| Supply { name: name.into(), is_good };
        check(
            &supplies(&[supply("hwmon3", Some(true)), supply("hwmon4", Some(false))]),
            &["OK power hwmon3: supplies, without alarm", "WARNING power hwmon4: no mains, or an alarm"],
        );
        check(
            &supplies(&[supply("AC", None)]),
            &["UNKNOWN power AC: its driver tells no state", "WARNING power: the kernel sees one supply"],
        );
    }
}
