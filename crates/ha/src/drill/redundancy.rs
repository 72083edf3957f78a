//! Whether redundancy is whole: every instance is there, the nodes are in the cluster, all copies of each disk and each catalog are the same.

use std::time::Duration;

use conf::TopologyConfig;
use conf::topology::{Catalog, Engine, clusters};
use serde::Deserialize;

use super::directors::Directors;
use super::remote::Remote;
use crate::check::source::crm_mon::{self, Cluster};
use crate::check::source::drbd::{self, Pair};
use crate::plan::{PATRONI_CONFIGURATION, SOCKET_DIRECTORY};
use crate::status::{Grade, verdict};

const LIMIT: Duration = Duration::from_secs(20);

/// Why it is not whole, in one line.
///
/// # Errors
/// That reason.
pub(super) async fn whole(
    directors: &Directors,
    remote: &Remote<'_>,
    topology: &TopologyConfig,
) -> Result<(), String> {
    let (grade, text) = verdict(&directors.look().await);
    if grade != Grade::Ok {
        return Err(text);
    }
    match topology.topology.engine {
        Engine::Pacemaker => clusters_whole(remote, topology).await?,
        Engine::Patroni => {
            for (catalog, nodes) in catalogs(topology) {
                let found = members_whole(remote, nodes).await;
                found.map_err(|why| format!("Catalog {}: {why}", catalog.name))?;
            }
        }
        Engine::Lease => {
            for (catalog, nodes) in catalogs(topology) {
                let found = servers_whole(remote, catalog, nodes).await;
                found.map_err(|why| format!("Catalog {}: {why}", catalog.name))?;
            }
        }
    }
    devices_whole(remote, topology).await
}

/// The catalogs, with the nodes of their servers.
fn catalogs(topology: &TopologyConfig) -> impl Iterator<Item = (&Catalog, &[String])> {
    let nodes = |catalog: &Catalog| topology.domain(&catalog.domain).map(|domain| domain.nodes.as_slice());
    topology.catalogs.iter().filter_map(move |catalog| Some((catalog, nodes(catalog)?)))
}

async fn clusters_whole(remote: &Remote<'_>, topology: &TopologyConfig) -> Result<(), String> {
    for nodes in clusters(topology.domains.iter().map(|domain| domain.nodes.as_slice())) {
        // What one node says of all is enough: a cluster in two parts has no quorum in one of them, or lacks nodes.
        let said = remote.run_on_one(&nodes, "crm_mon -1 --output-as=xml", LIMIT).await?;
        let cluster = crm_mon::parse(&said).map_err(|why| format!("crm_mon: {why}"))?;
        cluster_whole(&cluster, &nodes)?;
    }
    Ok(())
}

async fn devices_whole(remote: &Remote<'_>, topology: &TopologyConfig) -> Result<(), String> {
    for domain in &topology.domains {
        // A node shows the devices of all domains that it is in.
        let all = topology
            .domains
            .iter()
            .filter(|other| domain.nodes.iter().all(|node| other.nodes.contains(node)));
        let devices = all.map(|domain| topology.devices_of(&domain.name).count()).sum();
        if devices == 0 {
            continue;
        }
        let line = "{ drbdadm status all || true; } 2>/dev/null; cat /proc/drbd";
        let said = remote.run_on_one(&domain.nodes, line, LIMIT).await?;
        let pairs = match drbd::parse_status(&said) {
            pairs if pairs.is_empty() => drbd::parse_proc(&said),
            pairs => pairs,
        };
        disks_whole(&pairs, devices)?;
    }
    Ok(())
}

/// By Patroni's word, of which one member is enough: only who is a `Sync Standby` there is promoted, whatever the servers say of themselves.
async fn members_whole(remote: &Remote<'_>, nodes: &[String]) -> Result<(), String> {
    let line = format!("patronictl -c {PATRONI_CONFIGURATION} list -f json");
    let said = remote.run_on_one(nodes, &line, LIMIT).await?;
    let members: Vec<Member> =
        serde_json::from_str(said.trim()).map_err(|error| format!("`patronictl list`: {error}"))?;
    patroni_whole(&members, nodes)
}

/// A line of `patronictl list -f json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Member {
    member: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    state: String,
}

fn patroni_whole(members: &[Member], nodes: &[String]) -> Result<(), String> {
    for name in nodes {
        let Some(member) = members.iter().find(|member| member.member == *name) else {
            return Err(format!("Patroni has no member {name}"));
        };
        // Of a replica later versions say more than that it runs.
        if !["running", "streaming"].contains(&member.state.as_str()) {
            return Err(format!("Patroni's member {name} is {}", member.state));
        }
    }
    let has = |role: &str| members.iter().any(|member| member.role == role);
    match (has("Leader"), has("Sync Standby")) {
        (false, _) => Err("Patroni has no leader".to_owned()),
        (true, false) if nodes.len() > 1 => Err("Patroni has no Sync Standby".to_owned()),
        (true, _) => Ok(()),
    }
}

/// By the word of each server, where nobody but them knows.
async fn servers_whole(remote: &Remote<'_>, catalog: &Catalog, nodes: &[String]) -> Result<(), String> {
    let question = format!(
        "runuser -u postgres -- psql -w -XAt -h {SOCKET_DIRECTORY} -p {} -c 'SELECT pg_is_in_recovery()' \
         -c 'SELECT state, sync_state FROM pg_stat_replication'",
        catalog.port
    );
    let mut servers = Vec::new();
    for node in nodes {
        let said = remote.run(node, &question, LIMIT).await?;
        let server = Server::parse(&said).ok_or_else(|| format!("the answer of {node} is not understood"))?;
        servers.push((node.as_str(), server));
    }
    catalog_whole(&servers)
}

/// A server of a catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    is_replica: bool,
    /// Those that get its log as it is written.
    streaming: usize,
    /// Those of them that a commit waits for, or may wait for.
    synchronous: usize,
}

impl Server {
    /// Reads what a server says: whether it is a replica, then state and `sync_state` of each of its own, a line each.
    fn parse(said: &str) -> Option<Self> {
        let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
        let is_replica = match lines.next()? {
            "t" => true,
            "f" => false,
            _ => return None,
        };
        let mut server = Self { is_replica, streaming: 0, synchronous: 0 };
        for line in lines {
            let (state, sync) = line.split_once('|')?;
            if state == "streaming" {
                server.streaming += 1;
                server.synchronous += usize::from(["sync", "quorum"].contains(&sync));
            }
        }
        Some(server)
    }
}

fn catalog_whole(servers: &[(&str, Server)]) -> Result<(), String> {
    let primaries: Vec<_> = servers.iter().filter(|(_, server)| !server.is_replica).collect();
    let (name, primary) = match primaries.as_slice() {
        [] => return Err("no server is the primary".to_owned()),
        [one] => one,
        [(one, _), (other, _), ..] => return Err(format!("{one} and {other} are both primaries")),
    };
    let replicas = servers.len() - 1;
    if primary.streaming < replicas {
        return Err(format!("{} of {replicas} replicas stream from {name}", primary.streaming));
    }
    if replicas > 0 && primary.synchronous == 0 {
        return Err(format!("no commit on {name} waits for a replica"));
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
    fn patroni_has_a_leader_and_a_synchronous_standby() {
        let check = |said: &str, why: &str| {
            let members: Vec<Member> = serde_json::from_str(said).unwrap();
            let nodes = ["a".to_owned(), "b".to_owned()];
            assert_eq!(patroni_whole(&members, &nodes).err().unwrap_or_default(), why);
        };
        // As Patroni 3.0 prints it.
        let leader = r#"{"Cluster": "three-main", "Member": "a", "Host": "10.1.0.11", "Role": "Leader", "State": "running", "TL": 2}"#;
        let member = |role: &str, state: &str| {
            format!(
                r#"[{leader}, {{"Cluster": "three-main", "Member": "b", "Host": "10.2.0.11", "Role": "{role}", "State": "{state}", "TL": 2, "Lag in MB": 0}}]"#
            )
        };
        check(&member("Sync Standby", "running"), "");
        check(&member("Sync Standby", "streaming"), "");
        check(&member("Replica", "running"), "Patroni has no Sync Standby");
        check(&member("Replica", "stopped"), "Patroni's member b is stopped");
        check(&member("Sync Standby", "running").replace("Leader", "Replica"), "Patroni has no leader");
        check(&format!("[{leader}]"), "Patroni has no member b");
    }

    #[test]
    fn a_catalog_has_one_primary_and_every_replica_streams() {
        let primary = Server::parse("f\nstreaming|sync\ncatchup|async\n").unwrap();
        assert_eq!(primary, Server { is_replica: false, streaming: 1, synchronous: 1 });
        let replica = Server::parse("t\n").unwrap();
        assert_eq!(replica, Server { is_replica: true, streaming: 0, synchronous: 0 });
        assert_eq!(Server::parse("psql: error"), None);
        assert_eq!(Server::parse(""), None);

        let why = |servers: &[(&str, &Server)]| {
            let servers: Vec<_> = servers.iter().map(|(name, server)| (*name, (*server).clone())).collect();
            catalog_whole(&servers).err().unwrap_or_default()
        };
        assert_eq!(why(&[("a", &primary), ("b", &replica)]), "");
        assert_eq!(why(&[("a", &replica), ("b", &replica)]), "no server is the primary");
        assert_eq!(why(&[("a", &primary), ("b", &primary)]), "a and b are both primaries");
        let servers = [("a", &primary), ("b", &replica), ("c", &replica)];
        assert_eq!(why(&servers), "1 of 2 replicas stream from a");
        let loose = Server { synchronous: 0, ..primary.clone() };
        assert_eq!(why(&[("a", &loose), ("b", &replica)]), "no commit on a waits for a replica");
        let alone = Server { streaming: 0, ..loose };
        assert_eq!(why(&[("a", &alone)]), "");
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
