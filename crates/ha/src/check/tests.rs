//! Whole machines: a tree of files, and programs that say what was recorded.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::collect::{self, Configuration, Scene};
use super::expect::{Expectations, Peer};
use super::finding::{Finding, Verdict, check_name, covers, require};
use super::machine::{Machine, Programs, Ran};

const COROSYNC: &str =
    "nodelist {\n  node {\n    ring0_addr: 10.99.0.11\n  }\n  node {\n    ring0_addr: 10.99.0.12\n  }\n}\n";

/// Programs by the first word of a call and, where two calls of one differ, another word of it.
#[derive(Default)]
struct Recorded(BTreeMap<&'static str, Ran>);

impl Recorded {
    fn says(mut self, program: &'static str, output: &str) -> Self {
        self.0.insert(program, Ran::Ended { code: 0, output: output.to_owned(), complaint: String::new() });
        self
    }

    fn fails(mut self, program: &'static str, code: i32, complaint: &str) -> Self {
        self.0.insert(program, Ran::Ended { code, output: String::new(), complaint: complaint.to_owned() });
        self
    }
}

impl Programs for Recorded {
    fn run(&self, program: &str, arguments: &[&str]) -> Ran {
        let with = |word: &&str| self.0.get(format!("{program} {word}").as_str());
        let found = arguments.iter().find_map(with).or_else(|| self.0.get(program));
        found.cloned().unwrap_or(Ran::Missing)
    }
}

fn put(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn check(root: &TempDir, programs: &Recorded, expected: Expectations) -> Vec<Finding> {
    let scene = Scene {
        machine: Machine { root: root.path().to_owned(), programs },
        expected,
        configuration: Configuration::Absent("/etc/bacula/bacula-dir.conf".to_owned()),
        now: "2026-11-24T00:00:00Z".parse().unwrap(),
        fence_test_days: 90,
    };
    let mut findings = collect::all(&scene);
    require(&mut findings, &scene.expected.required);
    for finding in &findings {
        assert_eq!(check_name(finding.check), Ok(finding.check));
    }
    findings
}

fn said(findings: &[Finding]) -> Vec<String> {
    let line = |finding: &Finding| {
        format!("{} {} {}", finding.verdict, finding.check, finding.subject).trim_end().to_owned()
    };
    findings.iter().map(line).collect()
}

#[test]
fn a_machine_without_anything_has_nothing_that_is_well() {
    let root = tempfile::tempdir().unwrap();
    let findings = check(&root, &Recorded::default(), Expectations::default());
    assert!(findings.iter().all(|finding| finding.verdict == Verdict::NotPresent), "{findings:#?}");
    assert!(findings.iter().all(|finding| !finding.evidence.is_empty() && !finding.remedy.is_empty()));
    let checks: Vec<_> = findings.iter().map(|finding| finding.check).collect();
    let all = [
        "raid.volume",
        "raid.cache",
        "bond",
        "power",
        "link",
        "drbd",
        "quorum",
        "cluster",
        "stonith",
        "clock",
        "postgresql",
        "director",
    ];
    assert_eq!(checks, all);
}

#[test]
fn what_a_topology_expects_and_is_not_there_is_critical() {
    let root = tempfile::tempdir().unwrap();
    let expected =
        Expectations { required: vec!["drbd", "quorum", "raid.battery"], ..Expectations::default() };
    let findings = check(&root, &Recorded::default(), expected);
    let critical: Vec<_> =
        findings.iter().filter(|one| one.verdict == Verdict::Critical).map(|one| one.check).collect();
    assert_eq!(critical, ["drbd", "quorum", "raid.battery"]);
}

#[test]
fn a_whole_node_of_a_cluster() {
    let root = tempfile::tempdir().unwrap();
    let tree = root.path();
    put(tree, "proc/mdstat", include_str!("../../fixtures/check/mdraid/mdstat.ok.txt"));
    put(
        tree,
        "proc/net/bonding/bond0",
        include_str!("../../fixtures/check/bonding/active-backup.both-up.txt"),
    );
    put(tree, "proc/drbd", include_str!("../../fixtures/check/drbd/proc-drbd.8.4.primary.txt"));
    put(tree, "dev/ipmi0", "");
    put(tree, "etc/corosync/corosync.conf", COROSYNC);
    let storcli = include_str!("../../fixtures/check/hwraid/storcli_call_show_all.ok.json");
    let programs = Recorded::default()
        .says("storcli64", &storcli.replace("RWTD", "RWBD"))
        .says("lldpctl", include_str!("../../fixtures/check/lldp/lldpctl.keyvalue.txt"))
        .says("ipmitool", include_str!("../../fixtures/check/ipmi/sdr_type_power_supply.ok.txt"))
        .says("ip get", "10.10.0.2 dev bond1 src 10.10.0.1 uid 0 \\    cache \n")
        .says("ip show", "default via 10.1.0.1 dev bond0 \n")
        .says("ping", include_str!("../../fixtures/check/network/ping.txt"))
        .says(
            "corosync-quorumtool",
            include_str!("../../fixtures/check/pacemaker/corosync-quorumtool.qdevice.txt"),
        )
        .says("corosync-cfgtool", include_str!("../../fixtures/check/pacemaker/corosync-cfgtool.txt"))
        .says("crm_mon", include_str!("../../fixtures/check/pacemaker/crm_mon.healthy.xml"))
        .says("stonith_admin", include_str!("../../fixtures/check/pacemaker/stonith_admin-history.txt"))
        .says("chronyc", include_str!("../../fixtures/check/clock/chronyc-tracking.csv"));
    let peer = Peer { name: "n2".into(), address: "10.10.0.2".into(), round_trip_ms: 2.0 };
    let expected = Expectations { peers: vec![peer], fenced: vec!["n2".into()], ..Expectations::default() };
    let findings = check(&root, &programs, expected);
    assert_eq!(
        said(&findings),
        [
            "OK raid.volume controller 0 0/0",
            "OK raid.cache controller 0 0/0",
            "OK raid.battery controller 0",
            "OK raid.volume md0",
            "OK bond bond0",
            "OK bond.switches bond0",
            "OK power PS1 Status",
            "OK power PS2 Status",
            "OK power PS Redundancy",
            "OK link.dedicated n2 (10.10.0.2)",
            "OK link.round-trip n2 (10.10.0.2)",
            "OK drbd.connection drbd0",
            "OK drbd.disk drbd0",
            "OK drbd.role drbd0",
            "OK drbd.protocol drbd0",
            "OK quorum",
            "OK quorum.links link 0",
            "WARNING quorum.links",
            "OK cluster.node n1",
            "OK cluster.node n2",
            "OK cluster.resource",
            "OK stonith",
            "OK stonith.tested n2",
            "WARNING stonith.tested n1",
            "OK clock",
            "not present postgresql",
            "not present director",
        ]
    );
}

#[test]
fn programs_that_fail_leave_it_unknown_with_their_words() {
    let root = tempfile::tempdir().unwrap();
    let tree = root.path();
    put(tree, "proc/drbd", "version: 9.2.1 (api:2/proto:86-122)\n");
    put(
        tree,
        "proc/net/bonding/bond0",
        include_str!("../../fixtures/check/bonding/active-backup.both-up.txt"),
    );
    put(tree, "dev/ipmi0", "");
    put(tree, "sys/bus/pci/devices/0000:03:00.0/class", "0x010400\n");
    put(tree, "etc/corosync/corosync.conf", COROSYNC);
    let programs = Recorded::default()
        .fails("ipmitool", 1, "Could not open device at /dev/ipmi0\n")
        .fails("drbdadm", 20, "drbdsetup: Permission denied\n")
        .fails("corosync-quorumtool", 1, "Cannot initialize QUORUM service\n")
        .fails("crm_mon", 102, "crm_mon: Connection to cluster failed: Connection refused\n")
        .fails("chronyc", 1, "506 Cannot talk to daemon\n");
    let findings = check(&root, &programs, Expectations::default());
    assert_eq!(
        said(&findings),
        [
            "UNKNOWN raid.controller",
            "OK bond bond0",
            "not present bond.switches bond0",
            "UNKNOWN power",
            "not present link",
            "UNKNOWN drbd",
            "CRITICAL quorum",
            "CRITICAL cluster",
            "not present stonith",
            "UNKNOWN clock",
            "not present postgresql",
            "not present director",
        ]
    );
    let drbd = findings.iter().find(|finding| finding.check == "drbd").unwrap();
    assert_eq!(drbd.evidence, "drbdadm: exit code 20: drbdsetup: Permission denied");
    let switches = findings.iter().find(|finding| finding.check == "bond.switches").unwrap();
    assert_eq!(switches.remedy, "install the package lldpd");
}

#[test]
fn a_corosync_that_nobody_has_set_up_is_not_present() {
    let root = tempfile::tempdir().unwrap();
    put(
        root.path(),
        "etc/corosync/corosync.conf",
        "nodelist {\n  node {\n    ring0_addr: 127.0.0.1\n  }\n}\n",
    );
    let programs = Recorded::default().fails("corosync-quorumtool", 1, "Cannot initialize CMAP service\n");
    let mut findings = check(&root, &programs, Expectations::default());
    findings.retain(|finding| covers("quorum", finding.check) || covers("cluster", finding.check));
    assert_eq!(said(&findings), ["not present quorum", "not present cluster"]);
    assert!(findings[0].evidence.contains("names no other node"));
}

#[test]
fn supplies_that_the_kernel_sees() {
    let root = tempfile::tempdir().unwrap();
    let tree = root.path();
    for chip in ["hwmon3", "hwmon4"] {
        put(tree, &format!("sys/class/hwmon/{chip}/name"), "pmbus\n");
        put(tree, &format!("sys/class/hwmon/{chip}/power1_label"), "pin\n");
        put(tree, &format!("sys/class/hwmon/{chip}/power1_alarm"), "0\n");
    }
    put(tree, "sys/class/hwmon/hwmon0/name", "coretemp\n");
    put(tree, "sys/class/hwmon/hwmon4/in1_alarm", "1\n");
    let mut findings = check(&root, &Recorded::default(), Expectations::default());
    findings.retain(|finding| finding.check == "power");
    assert_eq!(said(&findings), ["OK power pmbus hwmon3", "WARNING power pmbus hwmon4"]);
}
