//! Whether redundancy is whole: every instance is there, the nodes are in the cluster, both copies of each disk are the same.

use std::time::Duration;

use conf::topology::{Domain, Engine};

use super::directors::Directors;
use super::remote::Remote;
use crate::check::source::crm_mon::{self, Cluster};
use crate::check::source::drbd::{self, Pair};
use crate::status::{Grade, verdict};

const LIMIT: Duration = Duration::from_secs(20);

/// Why it is not whole, in one line.
///
/// # Errors
/// That reason.
pub(super) async fn whole(
    directors: &Directors,
    remote: &Remote<'_>,
    engine: Engine,
    domain: &Domain,
    devices: usize,
) -> Result<(), String> {
    let (grade, text) = verdict(&directors.look().await);
    if grade != Grade::Ok {
        return Err(text);
    }
    if engine != Engine::Pacemaker {
        return Ok(());
    }
    // What one node says of all is enough: a cluster in two parts has no quorum in one of them, or lacks nodes.
    let active = directors.active().await?.tenure.instance;
    let said = remote.run(&active, "crm_mon -1 --output-as=xml", LIMIT).await?;
    let cluster = crm_mon::parse(&said).map_err(|why| format!("{active}: crm_mon: {why}"))?;
    cluster_whole(&cluster, &domain.nodes)?;
    if devices > 0 {
        let line = "{ drbdadm status all || true; } 2>/dev/null; cat /proc/drbd";
        let said = remote.run(&active, line, LIMIT).await?;
        let pairs = match drbd::parse_status(&said) {
            pairs if pairs.is_empty() => drbd::parse_proc(&said),
            pairs => pairs,
        };
        disks_whole(&pairs, devices)?;
    }
    Ok(())
}

fn cluster_whole(cluster: &Cluster, nodes: &[String]) -> Result<(), String> {
    if !cluster.has_quorum {
        return Err("the cluster has no quorum".to_owned());
    }
    if cluster.is_maintained {
        return Err("the cluster is in maintenance".to_owned());
    }
    for name in nodes {
        let Some(node) = cluster.nodes.iter().find(|node| node.name == *name) else {
            return Err(format!("node {name} is not in the cluster"));
        };
        let state = match node {
            node if node.is_unclean => "unclean",
            node if !node.is_online => "offline",
            node if node.is_standby => "in standby",
            node if node.is_maintained => "in maintenance",
            _ => continue,
        };
        return Err(format!("node {name} is {state}"));
    }
    let stuck = cluster.resources.iter().find(|resource| resource.is_blocked || !resource.is_managed);
    stuck.map_or(Ok(()), |resource| Err(format!("resource {} is blocked or not managed", resource.name)))
}

fn disks_whole(pairs: &[Pair], devices: usize) -> Result<(), String> {
    if pairs.len() < devices {
        return Err(format!("{} of {devices} Replicated Devices are up", pairs.len()));
    }
    let whole = |pair: &&Pair| {
        ["Connected", "Established"].contains(&pair.connection.as_str())
            && pair.disk == "UpToDate"
            && pair.peer_disk == "UpToDate"
    };
    pairs.iter().find(|pair| !whole(pair)).map_or(Ok(()), |pair| {
        Err(format!("Replicated Device {}: {}, {}/{}", pair.name, pair.connection, pair.disk, pair.peer_disk))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> Cluster {
        let node =
            |name: &str| crm_mon::Node { name: name.into(), is_online: true, ..crm_mon::Node::default() };
        Cluster { has_quorum: true, nodes: vec![node("a"), node("b")], ..Cluster::default() }
    }

    #[test]
    fn every_node_is_a_member_and_free() {
        let nodes = ["a".to_owned(), "b".to_owned()];
        let check = |change: &dyn Fn(&mut Cluster), why: &str| {
            let mut cluster = cluster();
            change(&mut cluster);
            assert_eq!(cluster_whole(&cluster, &nodes).err().unwrap_or_default(), why);
        };
        check(&|_| {}, "");
        check(&|c| c.has_quorum = false, "the cluster has no quorum");
        check(&|c| c.nodes.truncate(1), "node b is not in the cluster");
        check(&|c| c.nodes[1].is_online = false, "node b is offline");
        check(&|c| c.nodes[0].is_standby = true, "node a is in standby");
        check(&|c| c.is_maintained = true, "the cluster is in maintenance");
    }

    #[test]
    fn both_copies_are_up_to_date() {
        let pair = |connection: &str, peer_disk: &str| Pair {
            name: "catalog".into(),
            role: "Primary".into(),
            peer_role: "Secondary".into(),
            connection: connection.into(),
            disk: "UpToDate".into(),
            peer_disk: peer_disk.into(),
            protocol: None,
        };
        disks_whole(&[pair("Connected", "UpToDate")], 1).unwrap();
        let why = disks_whole(&[pair("SyncSource", "Inconsistent")], 1).unwrap_err();
        assert_eq!(why, "Replicated Device catalog: SyncSource, UpToDate/Inconsistent");
        assert_eq!(disks_whole(&[], 1).unwrap_err(), "0 of 1 Replicated Devices are up");
    }
}
