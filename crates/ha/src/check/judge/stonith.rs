//! Whether machines can be switched off, and when that was last seen.

use jiff::Timestamp;

use crate::check::finding::{Finding, Verdict};
use crate::check::source::crm_mon::Cluster;

const DAY_S: i64 = 24 * 3600;

/// The fence devices of Pacemaker.
pub(in crate::check) fn devices(cluster: &Cluster) -> Finding {
    let check = "stonith";
    let all: Vec<_> = cluster.resources.iter().filter(|one| one.agent.starts_with("stonith:")).collect();
    let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
    let idle: Vec<&str> =
        all.iter().filter(|one| !one.is_active || one.has_failed).map(|one| one.name.as_str()).collect();
    if !cluster.fences {
        let remedy = "set stonith-enabled=true: without it a node that is cut off goes on writing";
        return Finding::new(Verdict::Critical, check, "", "stonith-enabled is false", remedy);
    }
    if all.is_empty() {
        let remedy = "add a fence device for each node: without one no failover takes place";
        return Finding::new(Verdict::Critical, check, "", "there is no fence device", remedy);
    }
    // The device of a node that is off runs nowhere: nobody else may run it.
    if !idle.is_empty() {
        let evidence = format!("{}; not started: {}", names.join(", "), idle.join(", "));
        return Finding::new(
            Verdict::Warning,
            check,
            "",
            evidence,
            "look at stonith_admin -L and the log of pacemaker-fenced",
        );
    }
    Finding::ok(check, "", format!("enabled; devices {}", names.join(", ")))
}

/// That a machine was fenced, or that it was tried out whether that would work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::check) struct Tested {
    /// Node or instance.
    pub(in crate::check) target: String,
    /// `reboot by Pacemaker`, `holdfast ha fence --test`.
    pub(in crate::check) how: String,
    pub(in crate::check) succeeded: bool,
    pub(in crate::check) at: Timestamp,
}

/// For each target the newest test, held against `days`. `targets` are those that must have one.
pub(in crate::check) fn tested(
    tests: &[Tested],
    targets: &[String],
    now: Timestamp,
    days: u32,
) -> Vec<Finding> {
    let mut names: Vec<&str> = targets.iter().map(String::as_str).collect();
    for test in tests {
        if !names.contains(&test.target.as_str()) {
            names.push(&test.target);
        }
    }
    names.into_iter().map(|name| newest(name, tests, now, days)).collect()
}

fn newest(name: &str, tests: &[Tested], now: Timestamp, days: u32) -> Finding {
    let check = "stonith.tested";
    let last = tests.iter().filter(|test| test.target == name).max_by_key(|test| test.at);
    let Some(Tested { how, succeeded, at, .. }) = last else {
        let remedy =
            "test it: `holdfast ha fence INSTANCE --test`, or `stonith_admin --reboot NODE` in a quiet hour";
        return Finding::new(Verdict::Warning, check, name, "never seen to work", remedy);
    };
    let age = (now.as_second() - at.as_second()) / DAY_S;
    let evidence = format!("{how} at {at}: {}", if *succeeded { "worked" } else { "failed" });
    if !succeeded {
        let remedy = "mend the fence device, then test it again: as it is, no failover takes place";
        return Finding::new(Verdict::Critical, check, name, evidence, remedy);
    }
    if age > i64::from(days) {
        let remedy = format!("test it again: that was {age} days ago, more than {days}");
        return Finding::new(Verdict::Warning, check, name, evidence, remedy);
    }
    Finding::ok(check, name, evidence)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::judge::tests_support::check;
    use crate::check::source::crm_mon;

    #[test]
    fn devices_that_are_there_and_run() {
        let healthy = include_str!("../../../fixtures/check/pacemaker/crm_mon.healthy.xml");
        let fenced = include_str!("../../../fixtures/check/pacemaker/crm_mon.one-node-fenced.xml");
        let of = |text: &str| devices(&crm_mon::parse(text).unwrap());
        check(
            &[
                of(healthy),
                of(&healthy.replace("stonith-enabled=\"true\"", "stonith-enabled=\"false\"")),
                of(&healthy.replace("stonith:fence_lab", "ocf:lab:svc")),
                of(fenced),
            ],
            &[
                "OK stonith: enabled; devices fence-n1, fence-n2",
                "CRITICAL stonith: stonith-enabled is false",
                "CRITICAL stonith: there is no fence device",
                "WARNING stonith: fence-n1, fence-n2; not started: fence-n1",
            ],
        );
    }

    #[test]
    fn tests_that_are_new_old_failed_or_missing() {
        let test = |target: &str, at: &str, succeeded| Tested {
            target: target.into(),
            how: "reboot by Pacemaker".into(),
            succeeded,
            at: at.parse().unwrap(),
        };
        let tests = [
            test("n1", "2026-01-01T00:00:00Z", false),
            test("n1", "2026-11-01T00:00:00Z", true),
            test("n2", "2026-01-01T00:00:00Z", true),
            test("n3", "2026-11-01T00:00:00Z", false),
        ];
        let now = "2026-11-23T00:00:00Z".parse().unwrap();
        check(
            &tested(&tests, &["n1".into(), "n4".into()], now, 90),
            &[
                "OK stonith.tested n1: reboot by Pacemaker at 2026-11-01T00:00:00Z: worked",
                "WARNING stonith.tested n4: never seen to work",
                "WARNING stonith.tested n2: reboot by Pacemaker at 2026-01-01T00:00:00Z: worked",
                "CRITICAL stonith.tested n3: reboot by Pacemaker at 2026-11-01T00:00:00Z: failed",
            ],
        );
    }
}
