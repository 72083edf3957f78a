//! The replication link and DRBD.

use super::{Scene, output, without};
use crate::check::expect::Peer;
use crate::check::finding::Finding;
use crate::check::judge;
use crate::check::machine::{Machine, Ran, Read};
use crate::check::source::{drbd as drbds, network};

pub(super) fn link(scene: &Scene<'_>) -> Vec<Finding> {
    let peers = &scene.expected.peers;
    if peers.is_empty() {
        let remedy = "give --topology FILE or --peer ADDRESS";
        return vec![Finding::absent(
            "link",
            "not checked: the peer's replication address is not known",
            remedy,
        )];
    }
    peers
        .iter()
        .flat_map(|peer| [dedicated(&scene.machine, peer), round_trip(&scene.machine, peer)])
        .collect()
}

/// A peer by name and address.
fn subject(peer: &Peer) -> String {
    if peer.name == peer.address { peer.name.clone() } else { format!("{} ({})", peer.name, peer.address) }
}

fn dedicated(machine: &Machine<'_>, peer: &Peer) -> Finding {
    let to_peer = machine.run("ip", &["-o", "route", "get", &peer.address]);
    if let Ran::Missing | Ran::Failed(_) = to_peer {
        return without("link.dedicated", "ip", "iproute2", &to_peer);
    }
    let default = machine.run("ip", &["-o", "route", "show", "default"]);
    let route = |ran: &Ran| output(ran).and_then(network::parse_route);
    judge::dedicated(&subject(peer), route(&to_peer).as_ref(), route(&default).as_ref())
}

fn round_trip(machine: &Machine<'_>, peer: &Peer) -> Finding {
    // One that is answered by nobody ends with 1 and has statistics all the same.
    let ran = machine.run("ping", &["-n", "-q", "-c", "5", "-i", "0.2", "-W", "1", &peer.address]);
    let parsed = match &ran {
        Ran::Ended { output, .. } => network::parse_ping(output),
        Ran::Missing | Ran::Failed(_) => Err(String::new()),
    };
    match parsed {
        Ok(pings) => judge::round_trip(&subject(peer), &pings, peer.round_trip_ms),
        Err(_) => without("link.round-trip", "ping", "iputils-ping", &ran),
    }
}

pub(super) fn drbd(scene: &Scene<'_>) -> Vec<Finding> {
    let machine = &scene.machine;
    let text = match machine.read("proc/drbd") {
        Read::Text(text) => text,
        Read::Failed(why) => return vec![Finding::unknown("drbd", why, "run this as root")],
        Read::Absent => {
            let remedy = "where disks are replicated: install drbd-utils and load the module drbd";
            return vec![Finding::absent("drbd", "the kernel has no DRBD (/proc/drbd)", remedy)];
        }
    };
    let pairs = drbds::parse_proc(&text);
    if !pairs.is_empty() {
        return judge::drbd(&pairs);
    }
    // Version 9 tells its devices over netlink only.
    let ran = machine.run("drbdadm", &["status"]);
    match output(&ran).map(drbds::parse_status) {
        Some(pairs) if pairs.is_empty() => {
            vec![Finding::absent("drbd", "DRBD is loaded, and no device is up", "drbdadm up all")]
        }
        Some(pairs) => judge::drbd(&pairs),
        None => vec![without("drbd", "drbdadm", "drbd-utils", &ran)],
    }
}
