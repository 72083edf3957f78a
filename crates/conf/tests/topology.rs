//! What a topology may not be: everything is reported at once, at its place.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use conf::{TextLoader, TopologyConfig, load};
use expect_test::{Expect, expect};

/// Two nodes in two data centres with a witness: nothing to say about it.
const SOUND: &str = r#"Topology { Name = site }
Data Centre { Name = dc1 }
Data Centre { Name = dc2 }
Data Centre { Name = dc3 }
Quorum { Name = witness; Address = 10.3.0.8/24; Data Centre = dc3 }
Node { Name = a; Data Centre = dc1; Address = 10.1.0.11/24; Replication Address = 10.10.0.1/30; Fence Device = ipmi-a }
Node { Name = b; Data Centre = dc2; Address = 10.1.0.12/24; Replication Address = 10.10.0.2/30; Fence Device = ipmi-b }
Fence Device { Name = ipmi-a; Agent = fence_ipmilan; Option = "ip=10.1.9.1", "password=geheim" }
Fence Device { Name = ipmi-b; Agent = fence_ipmilan; Option = "ip=10.2.9.1" }
Failover Domain { Name = director; Node = a, b; Floating Address = 10.1.0.100/24 }
Replicated Device { Name = catalog; Domain = director; Minor = 0; Port = 7789; Backing Disk = /dev/vg0/catalog; Mount Point = /srv/catalog }
Catalog { Name = pg; Domain = director; Data Directory = /srv/catalog/data }
Director { Name = dc1-dir; Domain = director }
"#;

fn findings(text: &str) -> String {
    let mut loader = TextLoader::new("ha.conf", text);
    let found = match load::<TopologyConfig>("ha.conf", &mut loader) {
        Ok(loaded) => loaded.warnings.to_string(),
        Err(findings) => findings.to_string(),
    };
    found.replace("ha.conf:", "")
}

#[allow(clippy::needless_pass_by_value, reason = "expect! makes a value")]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&findings(text));
}

/// The sound one with each `(from, to)` replaced.
fn changed(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(SOUND.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

#[test]
fn a_sound_topology_has_no_findings() {
    check(SOUND, expect![""]);
    let mut loader = TextLoader::new("ha.conf", SOUND);
    let config = load::<TopologyConfig>("ha.conf", &mut loader).unwrap().config;
    assert_eq!(config.node("a").unwrap().heartbeat_addresses().len(), 2);
    assert_eq!(config.domain("director").unwrap().link_speed, 100_000_000);
    assert_eq!(config.devices[0].drbd_version, conf::topology::DrbdVersion::V8);
    assert_eq!(config.devices_of("director").count(), 1);
    assert_eq!(config.topology.token_ms, 1000);
}

#[test]
fn everything_is_reported_at_once() {
    check(
        r#"Topology { Name = "my site"; Token = 100; Engin = Lease }
Data Centre { Name = dc1 }
Data Centre { Name = dc9 }
Node { Name = a.x; Data Centre = dc1; Address = 10.1.0.11/24; Ring = 10.1.0.11/24, 10.1.0.21/24; Fence Level 2 = ipmi }
Node { Name = b; Data Centre = dc2; Address = 10.1.0.12; Replication Address = 10.10.0.2/30; Fence Device = ipmi }
Node { Name = c; Data Centre = dc1; Address = 10.1.0.11/24 }
Fence Device { Name = ipmi; Agent = fence_ipmilan; Option = geheim }
Fence Device { Name = pdu; Agent = fence_apc }
Failover Domain { Name = d1; Node = a.x, b, bb; Floating Address = 10.2.0.100/24; Preferred Node = c }
Failover Domain { Name = d2; Node = c }
Replicated Device { Name = one; Domain = d1; Minor = 0; Port = 7789; Backing Disk = /dev/vg0/one; Mount Point = /srv/one/ }
Replicated Device { Name = two; Domain = d1; Minor = 0; Port = 7789; Backing Disk = /dev/vg0/two; Mount Point = "/srv/t w"; File System = ext5 }
Catalog { Name = pg; Domain = d1; Data Directory = /var/lib/pg; PostgreSQL Version = 9 }
Director { Name = dir; Domain = d1; Dir Port = 5432; User = "x;y" }
Director { Name = dir2; Domain = d1 }
Storage { Name = sd1; Domain = d1; Node = b }
Storage { Name = sd2; Cold Spare For = sd2 }
Storage { Name = sd3; Domain = d9; Cold Spare For = sd2 }
"#,
        expect![[r#"
            1:19: error: Topology "my site" has a name that cannot be used; letters, digits, `-` and `_`, beginning with a letter: it becomes a host name, a file's name or an id
            1:38: warning: `Token` of 100 ms: a node under load would be shot for being slow; 1000 was measured to lose under a second to 500
            1:43: error: `Engin` is no directive of Topology; did you mean `Engine`?
            3:1: warning: nothing is in data centre "dc9"; name it in a Node or in Quorum, or remove it
            4:1: error: Node "a.x" lacks `Fence Level 1`; number the levels from 1
            4:1: error: Node "a.x" lacks `Replication Address`, over which Replicated Device "one" is replicated; add its address on the dedicated link between the nodes
            4:1: error: Node "a.x" lacks `Replication Address`, over which Replicated Device "two" is replicated; add its address on the dedicated link between the nodes
            4:15: error: Node "a.x" has a name that cannot be used; letters, digits, `-` and `_`, beginning with a letter: it becomes a host name, a file's name or an id
            4:70: error: two rings of Node "a.x" are in one network: 10.1.0.11/24 and 10.1.0.21/24; what cuts one cuts both; put each ring into a network with cables and switches of its own
            5:1: error: Node "b" lacks `Address`; add `Address = 10.1.0.11/24`
            5:32: error: `Data Centre`: there is no Data Centre named "dc2"; did you mean `dc9`?
            5:47: error: `10.1.0.12` is no IP address with prefix; write the address and how many bits of it are the network's: `10.1.0.11/24`
            5:109: error: Node "b" has the Fence Device of Node "a.x": "ipmi"; give each node a Fence Device of its own that switches off its machine alone; name it once
            6:1: warning: Node "c" has one ring: when its network fails, its neighbour is shot; add a second network to `Ring`, or a `Replication Address`
            6:1: error: Node "c" of Failover Domain "d2" has no Fence Device: nothing that ran on it could ever be taken over; add a `Fence Device { … }` and `Fence Level 1 = …` to Node "c"
            6:47: error: Node "c" has the address of Node "a.x": 10.1.0.11; give each its own
            7:61: error: an `Option` has no `=`; write `Option = "key=value"` with a key of the agent's metadata
            8:1: warning: no Node is switched off by Fence Device "pdu"; name it in the `Fence Level 1` of a Node, or remove it
            9:45: error: `Node`: there is no Node named "bb"; did you mean `b`?
            9:68: error: `Floating Address` 10.2.0.100/24 is not in the network of Node "a.x", 10.1.0.11/24; an address moves only within one network; choose one of it, or stretch the network over both data centres
            9:100: error: `Preferred Node` "c" is not in Failover Domain "d1"; name one of: a.x, b, bb
            10:1: error: nothing runs in Failover Domain "d2"; add a Director, Catalog or Storage with `Domain = d2`, or remove it
            10:37: error: Failover Domain "d2" has one node: its services have nowhere to go; name a second Node, in another data centre
            11:42: error: Replicated Device "one" is in Failover Domain "d1", which has 3 nodes; DRBD replicates between two; leave two nodes in the domain
            11:113: error: `Mount Point` cannot be `/srv/one/`; write an absolute path of letters, digits, `_ . , = : @ + -` without a `/` at the end
            12:42: error: Replicated Device "two" is in Failover Domain "d1", which has 3 nodes; DRBD replicates between two; leave two nodes in the domain
            12:54: error: Replicated Device "two" has the `Minor` of Replicated Device "one" on Node "a.x": 0; give each its own
            12:64: error: Replicated Device "two" has the `Port` of Replicated Device "one" on Node "a.x": 7789; give each its own
            12:113: error: `Mount Point` cannot be `/srv/t w`; write an absolute path of letters, digits, `_ . , = : @ + -` without a `/` at the end
            12:139: error: `ext5` is no value of `File System`; did you mean `ext4`?
            13:1: error: Catalog "pg" has the `Port` of Director "dir" on Node "a.x": 5432; give each its own
            13:52: error: `Data Directory` of Catalog "pg" is on no Replicated Device of Failover Domain "d1"; put it into a folder below the `Mount Point` of one: the other node would have other data
            13:86: error: `PostgreSQL Version` is 9; give a major version, 13 or later
            14:61: error: `User` cannot be `x;y`; letters, digits, and `_ . , = : @ + -`
            15:34: error: Failover Domain "d1" has two of them, Director "dir" and "dir2"; give each a domain of its own; domains may have the same nodes
            16:43: error: Storage "sd1" has a `Domain` and a `Node`; leave one of them: it moves, or it stays
            17:1: error: Storage "sd2" has neither `Domain` nor `Node`; add `Domain = …` if it moves, `Node = …` if it stays
            17:40: error: Storage "sd2" is its own cold spare; name another Storage
            18:1: warning: Storage "sd3" moves, and no Replicated Device is in Failover Domain "d9"; its Volumes and journals must move with it: add a Replicated Device, unless both nodes reach one shared disk
            18:32: error: `Domain`: there is no Failover Domain named "d9"
            18:53: error: Storage "sd2", whose place "sd3" takes, is a cold spare itself; name the Storage that jobs and Pools use"#]],
    );
}

#[test]
fn two_nodes_need_a_third_vote_or_a_word() {
    check(
        &changed(&[
            ("Quorum { Name = witness; Address = 10.3.0.8/24; Data Centre = dc3 }\n", "\n"),
            ("Data Centre { Name = dc3 }", ""),
        ]),
        expect![
            "1:1: error: there is no Quorum resource: of two nodes that do not see each other none may go on; add `Quorum { Name = witness; Address = …; Data Centre = … }` for a machine at a third site"
        ],
    );
    check(
        &changed(&[
            ("Address = 10.3.0.8/24; Data Centre = dc3", "Third Vote = none"),
            ("Data Centre { Name = dc3 }", ""),
        ]),
        expect![
            "5:39: warning: two nodes without a third vote: in 8 of 10 measured partitions the isolated node won and shot the healthy one; nothing is written twice, but the service is gone until the network heals; a witness at a third site decides rightly"
        ],
    );
    check(
        &changed(&[
            ("Address = 10.3.0.8/24; Data Centre = dc3", "Data Centre = dc2"),
            ("Data Centre { Name = dc3 }", ""),
        ]),
        expect![[r#"
            5:1: error: Quorum "witness" lacks `Address`; add the witness's address, `10.3.0.8/24`
            5:40: warning: the witness is in data centre "dc2", where nodes are; put it at a third site: with this one lost, half of the nodes and the deciding vote are gone at once"#]],
    );
    // A third node in the cluster is a third vote.
    let three = changed(&[(
        "Quorum { Name = witness; Address = 10.3.0.8/24; Data Centre = dc3 }\n",
        "Node { Name = c; Data Centre = dc3; Address = 10.1.0.13/24; Replication Address = 10.11.0.1/30; Fence Device = ipmi-c }\nFence Device { Name = ipmi-c; Agent = fence_ipmilan }\nFailover Domain { Name = other; Node = c, b; Floating Address = 10.1.0.101/24 }\nStorage { Name = sd; Domain = other }\nReplicated Device { Name = sd; Domain = other; Minor = 1; Port = 7790; Backing Disk = /dev/vg0/sd; Mount Point = /srv/sd }\n",
    )]);
    check(&three, expect![]);
}

#[test]
fn nodes_that_share_their_fate_are_warned_about() {
    check(
        &changed(&[
            ("Name = b; Data Centre = dc2", "Name = b; Data Centre = dc1"),
            ("Data Centre { Name = dc2 }", ""),
        ]),
        expect![[
            r#"10:43: warning: all nodes of Failover Domain "director" are in data centre "dc1"; put one of them elsewhere: the loss of the data centre ends the service"#
        ]],
    );
    check(
        &changed(&[("Replication Address = 10.10.0.1/30; ", "Ring = 10.1.0.11/24; ")]),
        expect![[r#"
        6:1: error: Node "a" lacks `Replication Address`, over which Replicated Device "catalog" is replicated; add its address on the dedicated link between the nodes
        6:68: warning: Node "a" has one ring: when its network fails, its neighbour is shot; add a second network to `Ring`, or a `Replication Address`
        10:43: error: the nodes of Failover Domain "director" have different numbers of rings: "a" has 1, "b" has 2; give each node as many `Ring` addresses as the others"#]],
    );
    check(
        &changed(&[
            ("Replication Address = 10.10.0.1/30", "Replication Address = 10.1.0.11/24"),
            ("10.10.0.2/30", "10.1.0.12/24"),
        ]),
        expect![[r#"
            6:1: error: two rings of Node "a" are in one network: 10.1.0.11/24 and 10.1.0.11/24; what cuts one cuts both; put each ring into a network with cables and switches of its own
            6:83: warning: Node "a" replicates over the network in which it serves; give the replication a dedicated link: traffic of backups would delay every commit
            7:1: error: two rings of Node "b" are in one network: 10.1.0.12/24 and 10.1.0.12/24; what cuts one cuts both; put each ring into a network with cables and switches of its own
            7:83: warning: Node "b" replicates over the network in which it serves; give the replication a dedicated link: traffic of backups would delay every commit"#]],
    );
}

#[test]
fn the_engine_says_what_is_needed() {
    let text = changed(&[
        ("; Fence Device = ipmi-b", ""),
        ("Fence Device { Name = ipmi-b; Agent = fence_ipmilan; Option = \"ip=10.2.9.1\" }", ""),
    ]);
    check(
        &text,
        expect![[
            r#"7:1: error: Node "b" of Failover Domain "director" has no Fence Device: nothing that ran on it could ever be taken over; add a `Fence Device { … }` and `Fence Level 1 = …` to Node "b""#
        ]],
    );
    check(
        &text.replace("Name = site", "Name = site; Engine = Lease"),
        expect![[
            r#"7:1: warning: Node "b" of Failover Domain "director" has no Fence Device; add a `Fence Device { … }` and `Fence Level 1 = …` to Node "b""#
        ]],
    );
    check(
        &changed(&[
            ("; Floating Address = 10.1.0.100/24", ""),
            ("Director { Name = dc1-dir; Domain = director }\n", ""),
        ]),
        expect![[
            r#"10:1: error: Failover Domain "director" lacks `Floating Address`: nobody would find its catalog; add an address of the network in which its nodes serve"#
        ]],
    );
}

#[test]
fn findings_do_not_show_secrets() {
    let text = changed(&[
        ("Minor = 0;", "Minor = 0; Shared Secret = \"ge heim\"; Portt = 3;"),
        ("Data Directory", "Superuser Password = ge\\heim; Data Directory"),
    ]);
    let mut loader = TextLoader::new("ha.conf", text.as_str());
    let shown = load::<TopologyConfig>("ha.conf", &mut loader).unwrap_err().render(false);
    assert!(shown.contains("Shared Secret") && shown.contains("Superuser Password"), "{shown}");
    assert!(!shown.contains("heim"), "{shown}");
}

#[test]
fn the_examples_of_the_documentation_have_no_findings() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let mut count = 0;
    for file in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "conf") {
            assert_eq!(findings(&std::fs::read_to_string(&file).unwrap()), "", "{}", file.display());
            count += 1;
        }
    }
    assert!(count >= 4, "{count} examples");
}
