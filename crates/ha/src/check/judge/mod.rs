//! Verdicts: facts in, findings out. Pure; the time is an argument.
//!
//! A warning is what works but would not bear a further failure; critical is what does not work, or puts data at risk.

mod bond;
mod clock;
mod cluster;
mod drbd;
mod instances;
mod link;
mod postgresql;
mod power;
mod raid;
mod stonith;

pub(super) use bond::{bond, switches};
pub(super) use clock::{kept, tracking};
pub(super) use cluster::{nodes, quorum, resources, rings};
pub(super) use drbd::drbd;
pub(super) use instances::{configuration, roles};
pub(super) use link::{dedicated, round_trip};
pub(super) use postgresql::{SETTINGS, postgresql};
pub(super) use power::{Supply, sensors, supplies};
pub(super) use raid::{arrays, megaraid, smart_array};
pub(super) use stonith::{Tested, devices, tested};

/// Findings as lines for tests.
#[cfg(test)]
mod tests_support {
    use crate::check::finding::{Finding, Verdict};

    /// Compares `VERDICT check subject: evidence`; a finding has a remedy unless all is well.
    #[track_caller]
    pub(super) fn check(found: &[Finding], expected: &[&str]) {
        let line = |finding: &Finding| {
            assert_eq!(finding.remedy.is_empty(), finding.verdict == Verdict::Ok, "{finding:?}");
            let subject =
                if finding.subject.is_empty() { String::new() } else { format!(" {}", finding.subject) };
            format!("{} {}{subject}: {}", finding.verdict, finding.check, finding.evidence)
        };
        assert_eq!(found.iter().map(line).collect::<Vec<_>>(), expected);
    }
}
