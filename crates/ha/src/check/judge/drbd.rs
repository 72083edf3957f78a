//! Replication of disks.

use crate::check::finding::{Finding, Verdict};
use crate::check::source::drbd::Pair;

/// Role, connection and disks of each device.
pub(in crate::check) fn drbd(pairs: &[Pair]) -> Vec<Finding> {
    pairs
        .iter()
        .flat_map(|pair| [connection(pair), disk(pair), role(pair)].into_iter().chain(protocol(pair)))
        .collect()
}

/// Whether data are on their way to the peer now, by the state of the connection.
fn is_syncing(state: &str) -> bool {
    ["Sync", "Verify", "WFBitMap", "Ahead", "Behind"].iter().any(|word| state.contains(word))
}

fn connection(pair: &Pair) -> Finding {
    let (verdict, remedy) = match pair.connection.as_str() {
        "Connected" | "Established" => (Verdict::Ok, ""),
        "StandAlone" => (
            Verdict::Critical,
            "it does not connect again by itself: split brain, or disconnected by hand. Compare both nodes, then drbdadm connect",
        ),
        state if is_syncing(state) => {
            (Verdict::Warning, "let it end; until then one node alone has all data")
        }
        _ => (Verdict::Critical, "nothing is replicated: look at the peer and the replication link"),
    };
    Finding::new(verdict, "drbd.connection", &pair.name, &pair.connection, remedy)
}

fn disk(pair: &Pair) -> Finding {
    let evidence = format!("{}/{}", pair.disk, pair.peer_disk);
    let (verdict, remedy) = match (pair.disk.as_str(), pair.peer_disk.as_str()) {
        ("UpToDate", "UpToDate") => (Verdict::Ok, ""),
        _ if is_syncing(&pair.connection) => (Verdict::Warning, "let the synchronization end"),
        ("UpToDate", "DUnknown") => {
            (Verdict::Critical, "the state of the copy is not known: bring the connection back")
        }
        ("UpToDate", _) => (Verdict::Critical, "there is no second copy: look at the peer's disk"),
        _ => (Verdict::Critical, "this node's copy cannot be used: look at its disk, let it synchronize"),
    };
    Finding::new(verdict, "drbd.disk", &pair.name, evidence, remedy)
}

fn role(pair: &Pair) -> Finding {
    let evidence = format!("{}/{}", pair.role, pair.peer_role);
    let (verdict, remedy) = match (pair.role.as_str(), pair.peer_role.as_str()) {
        ("Primary", "Secondary") | ("Secondary", "Primary") => (Verdict::Ok, ""),
        ("Primary", "Primary") => {
            (Verdict::Critical, "both nodes may write: demote one at once (drbdadm secondary)")
        }
        ("Secondary", "Secondary") => {
            (Verdict::Warning, "nobody uses it: are the services stopped on purpose?")
        }
        _ => (Verdict::Unknown, "the peer's role is not known while it is not connected"),
    };
    Finding::new(verdict, "drbd.role", &pair.name, evidence, remedy)
}

fn protocol(pair: &Pair) -> Option<Finding> {
    let protocol = pair.protocol?;
    let evidence = format!("protocol {protocol}");
    if protocol == 'C' {
        return Some(Finding::ok("drbd.protocol", &pair.name, evidence));
    }
    let remedy = "use protocol C: with this one a failover loses what was confirmed";
    Some(Finding::new(Verdict::Critical, "drbd.protocol", &pair.name, evidence, remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::judge::tests_support::check;
    use crate::check::source::drbd::{parse_proc, parse_status};

    #[test]
    fn whole() {
        let text = include_str!("../../../fixtures/check/drbd/proc-drbd.8.4.primary.txt");
        check(
            &drbd(&parse_proc(text)),
            &[
                "OK drbd.connection drbd0: Connected",
                "OK drbd.disk drbd0: UpToDate/UpToDate",
                "OK drbd.role drbd0: Primary/Secondary",
                "OK drbd.protocol drbd0: protocol C",
            ],
        );
        assert_eq!(drbd(&parse_proc(&text.replace(" C r", " A r")))[3].verdict, Verdict::Critical);
    }

    #[test]
    fn split_brain_waiting_and_synchronizing() {
        let text = include_str!("../../../fixtures/check/drbd/proc-drbd.split-brain.txt");
        let mut found = drbd(&parse_proc(text));
        found.retain(|finding| finding.check != "drbd.protocol");
        check(
            &found,
            &[
                "CRITICAL drbd.connection drbd0: StandAlone",
                "CRITICAL drbd.disk drbd0: UpToDate/DUnknown",
                "UNKNOWN drbd.role drbd0: Primary/Unknown",
                "CRITICAL drbd.connection drbd1: WFConnection",
                "CRITICAL drbd.disk drbd1: UpToDate/Outdated",
                "UNKNOWN drbd.role drbd1: Secondary/Unknown",
                "WARNING drbd.connection drbd2: SyncTarget",
                "WARNING drbd.disk drbd2: Inconsistent/UpToDate",
                "OK drbd.role drbd2: Secondary/Primary",
            ],
        );
    }

    #[test]
    fn an_inconsistent_copy_and_two_primaries_are_critical() {
        let found = drbd(&parse_status(
            "r0 role:Primary\n  disk:Inconsistent\n  n2 role:Primary\n    peer-disk:UpToDate\n",
        ));
        check(
            &found,
            &[
                "OK drbd.connection r0: Connected",
                "CRITICAL drbd.disk r0: Inconsistent/UpToDate",
                "CRITICAL drbd.role r0: Primary/Primary",
            ],
        );
    }
}
