//! Clocks.

use crate::check::finding::{Finding, Verdict};
use crate::check::source::clock::Tracking;

const CLOCK: &str = "clock";

/// Above this the logs of two nodes cannot be read side by side, and TLS and schedules begin to differ.
const OFFSET_WARNING_S: f64 = 0.1;

/// Above this schedules of two instances differ.
const OFFSET_CRITICAL_S: f64 = 2.0;

const SYNCHRONIZE: &str = "give chrony servers that it reaches, the same on all nodes";

/// What chrony says.
pub(in crate::check) fn tracking(tracking: &Tracking) -> Finding {
    let Tracking { source, stratum, offset_s, leap } = tracking;
    let evidence = format!("chrony: {source}, stratum {stratum}, {:.3} ms off, {leap}", offset_s * 1000.0);
    let finding = |verdict, remedy: &str| Finding::new(verdict, CLOCK, "", &evidence, remedy);
    if leap.to_ascii_lowercase().starts_with("not sync") {
        finding(Verdict::Critical, SYNCHRONIZE)
    } else if offset_s.abs() > OFFSET_CRITICAL_S {
        finding(Verdict::Critical, "step it: chronyc makestep, while no Director is active here")
    } else if offset_s.abs() > OFFSET_WARNING_S {
        finding(Verdict::Warning, "wait until chrony has slewed it; look at chronyc sources")
    } else {
        finding(Verdict::Ok, "")
    }
}

/// What systemd says of the kernel's clock.
pub(in crate::check) fn kept(is_synchronized: bool) -> Finding {
    if is_synchronized {
        return Finding::ok(CLOCK, "", "timedatectl: synchronized");
    }
    Finding::new(Verdict::Critical, CLOCK, "", "timedatectl: not synchronized", SYNCHRONIZE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::judge::tests_support::check;
    use crate::check::source::clock::parse_chrony;

    #[test]
    fn clocks() {
        let text = include_str!("../../../fixtures/check/clock/chronyc-tracking.csv");
        let of = |text: &str| tracking(&parse_chrony(text).unwrap());
        check(
            &[
                of(text),
                of(&text.replace("0.000012345", "-0.25")),
                of(&text.replace("0.000012345", "60.0")),
                of(&text.replace("Normal", "Not synchronised")),
                kept(true),
                kept(false),
            ],
            &[
                "OK clock: chrony: 192.168.0.1, stratum 3, 0.012 ms off, Normal",
                "WARNING clock: chrony: 192.168.0.1, stratum 3, -250.000 ms off, Normal",
                "CRITICAL clock: chrony: 192.168.0.1, stratum 3, 60000.000 ms off, Normal",
                "CRITICAL clock: chrony: 192.168.0.1, stratum 3, 0.012 ms off, Not synchronised",
                "OK clock: timedatectl: synchronized",
                "CRITICAL clock: timedatectl: not synchronized",
            ],
        );
    }
}
