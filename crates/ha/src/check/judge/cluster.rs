//! Corosync and Pacemaker: quorum, links, nodes, resources.

use crate::check::finding::{Finding, Verdict};
use crate::check::source::crm_mon::Cluster;
use crate::check::source::quorum::Quorum;
use crate::check::source::rings::Link;

/// Whether this part of the cluster may act, and who decides when it falls apart.
pub(in crate::check) fn quorum(quorum: &Quorum) -> Finding {
    let number = |number: Option<u32>| number.map_or("?".to_owned(), |number| number.to_string());
    let evidence = format!(
        "{} of {} votes: {} ({})",
        number(quorum.total),
        number(quorum.expected),
        quorum.members.join(", "),
        quorum.flags.join(" ")
    );
    let finding = |verdict, remedy: &str| Finding::new(verdict, "quorum", "", &evidence, remedy);
    let has = |flag: &str| quorum.flags.iter().any(|one| one == flag);
    match quorum.is_quorate {
        None => finding(Verdict::Unknown, "look at corosync-quorumtool -s"),
        Some(false) => finding(
            Verdict::Critical,
            "no quorum: services stop here; bring the other nodes or the witness back",
        ),
        Some(true) if has("2Node") => finding(
            Verdict::Warning,
            "add a witness (corosync-qdevice): of two nodes that do not see each other the faster one shoots the other",
        ),
        Some(true) if has("Qdevice") && !quorum.has_third_vote => {
            finding(Verdict::Warning, "the witness does not vote: look at corosync-qdevice-tool -s")
        }
        Some(true) if quorum.total < quorum.expected => {
            finding(Verdict::Warning, "a vote is missing: bring the node back")
        }
        Some(true) => finding(Verdict::Ok, ""),
    }
}

/// Corosync's links: all connected, more than one.
pub(in crate::check) fn rings(links: &[Link]) -> Vec<Finding> {
    let check = "quorum.links";
    let up = |link: &&Link| link.peers.iter().all(|(_, state)| state.starts_with("connected"));
    let none_up = !links.iter().any(|link| up(&link));
    let mut found = Vec::new();
    for link in links {
        let peers: Vec<String> =
            link.peers.iter().map(|(node, state)| format!("node {node} {state}")).collect();
        let evidence = format!("{}: {}", link.address, peers.join(", "));
        let subject = format!("link {}", link.id);
        let finding = |verdict, remedy: &str| Finding::new(verdict, check, &subject, &evidence, remedy);
        found.push(match () {
            () if link.peers.is_empty() => finding(Verdict::Unknown, "it names no other node"),
            () if up(&link) => finding(Verdict::Ok, ""),
            () if none_up => {
                finding(Verdict::Critical, "heartbeats reach a node by no link: look at network and node")
            }
            () => finding(Verdict::Warning, "heartbeats have other links left: mend this one"),
        });
    }
    if links.len() == 1 {
        let remedy = "add a second link, over the replication link: the loss of one then fences nobody";
        found.push(Finding::new(Verdict::Warning, check, "", "there is one link", remedy));
    }
    found
}

/// Each node, as Pacemaker sees it.
pub(in crate::check) fn nodes(cluster: &Cluster) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    for node in &cluster.nodes {
        let (verdict, evidence, remedy) = match () {
            () if node.is_unclean => (
                Verdict::Critical,
                "unclean",
                "it waits to be fenced, and that failed or goes on: look at stonith_admin --history '*'",
            ),
            () if !node.is_online => {
                (Verdict::Warning, "offline", "bring it back: there is no other to take over")
            }
            () if node.is_standby => {
                (Verdict::Warning, "standby", "nothing runs there: crm node online, pcs node unstandby")
            }
            () if node.is_maintained => (Verdict::Warning, "maintenance", "end the maintenance"),
            () => (Verdict::Ok, "online", ""),
        };
        found.push(Finding::new(verdict, "cluster.node", &node.name, evidence, remedy));
    }
    if cluster.is_maintained {
        let remedy = "nothing is moved or mended: set maintenance-mode=false";
        found.push(Finding::new(
            Verdict::Warning,
            "cluster.node",
            "",
            "the cluster is in maintenance",
            remedy,
        ));
    }
    if !cluster.has_quorum {
        found.push(Finding::new(
            Verdict::Critical,
            "cluster.node",
            "",
            "partition without quorum",
            "bring the other nodes back",
        ));
    }
    found
}

/// The resources that are not as they should be, or one finding that all are.
pub(in crate::check) fn resources(cluster: &Cluster) -> Vec<Finding> {
    let check = "cluster.resource";
    if cluster.resources.is_empty() {
        return vec![Finding::absent(
            check,
            "the cluster has no resources",
            "load the configuration of `holdfast ha render`",
        )];
    }
    let mut found = Vec::new();
    for one in &cluster.resources {
        let (verdict, word, remedy) = match () {
            () if one.has_failed && one.is_blocked => (
                Verdict::Critical,
                "failed and blocked",
                "mend the cause, then clean up: crm resource cleanup, pcs resource cleanup",
            ),
            () if one.has_failed => (
                Verdict::Warning,
                "failed",
                "look at its log, then clean up: crm resource cleanup, pcs resource cleanup",
            ),
            () if one.is_blocked => {
                (Verdict::Critical, "blocked", "Pacemaker does nothing with it: look at crm_mon -1 -rf")
            }
            () if !one.is_managed => (Verdict::Warning, "unmanaged", "manage it again"),
            () => continue,
        };
        found.push(Finding::new(verdict, check, &one.name, format!("{} {word}", one.role), remedy));
    }
    if found.is_empty() {
        let active = cluster.resources.iter().filter(|one| one.is_active).count();
        found.push(Finding::ok(
            check,
            "",
            format!("{active} of {} instances active, none failed", cluster.resources.len()),
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::judge::tests_support::check;
    use crate::check::source::{crm_mon, quorum as votes, rings as links};

    #[test]
    fn votes_with_and_without_a_witness() {
        let two = include_str!("../../../fixtures/check/pacemaker/corosync-quorumtool.txt");
        let with = include_str!("../../../fixtures/check/pacemaker/corosync-quorumtool.qdevice.txt");
        let none = include_str!("../../../fixtures/check/pacemaker/corosync-quorumtool.no-quorum.txt");
        let silent = with.replace("         0          1 ", "         0          0 ");
        check(
            &[two, with, none, &silent, ""].map(|text| quorum(&votes::parse(text))),
            &[
                "WARNING quorum: 2 of 2 votes: n1, n2 (2Node Quorate WaitForAll)",
                "OK quorum: 3 of 3 votes: n1, n2, Qdevice (Quorate Qdevice)",
                "CRITICAL quorum: 1 of 3 votes: n2, Qdevice (Qdevice)",
                "WARNING quorum: 3 of 3 votes: n1, n2, Qdevice (Quorate Qdevice)",
                "UNKNOWN quorum: ? of ? votes:  ()",
            ],
        );
    }

    #[test]
    fn one_link_is_a_warning_and_none_connected_is_critical() {
        let text = include_str!("../../../fixtures/check/pacemaker/corosync-cfgtool.txt");
        check(
            &rings(&links::parse(text)),
            &[
                "OK quorum.links link 0: 10.99.0.12: node 1 connected",
                "WARNING quorum.links: there is one link",
            ],
        );
        let cut = text.replace("connected", "disconnected");
        assert_eq!(rings(&links::parse(&cut))[0].verdict, Verdict::Critical);
        let second =
            format!("{cut}LINK ID 1 udp\n\taddr = 10.98.0.12\n\tstatus:\n\t\tnodeid: 1: connected\n");
        let verdicts: Vec<_> = rings(&links::parse(&second)).iter().map(|finding| finding.verdict).collect();
        assert_eq!(verdicts, [Verdict::Warning, Verdict::Ok]);
    }

    #[test]
    fn nodes_and_resources() {
        let healthy = include_str!("../../../fixtures/check/pacemaker/crm_mon.healthy.xml");
        let cluster = crm_mon::parse(healthy).unwrap();
        check(&nodes(&cluster), &["OK cluster.node n1: online", "OK cluster.node n2: online"]);
        check(&resources(&cluster), &["OK cluster.resource: 6 of 6 instances active, none failed"]);
        let fenced = include_str!("../../../fixtures/check/pacemaker/crm_mon.one-node-fenced.xml");
        check(
            &nodes(&crm_mon::parse(fenced).unwrap()),
            &["OK cluster.node n1: online", "WARNING cluster.node n2: offline"],
        );
        let broken = healthy.replacen(
            "blocked=\"false\" managed=\"true\" failed=\"false\"",
            "blocked=\"true\" managed=\"true\" failed=\"true\"",
            1,
        );
        check(
            &resources(&crm_mon::parse(&broken).unwrap()),
            &["CRITICAL cluster.resource fence-n1: Started failed and blocked"],
        );
        let parted = healthy.replace("with_quorum=\"true\"", "with_quorum=\"false\"");
        assert_eq!(nodes(&crm_mon::parse(&parted).unwrap())[2].verdict, Verdict::Critical);
    }
}
