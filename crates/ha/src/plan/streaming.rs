//! PostgreSQL with streaming replication, promoted by hand (engine Lease).

use conf::topology::{Catalog, Node};

use super::placeholder::secret;
use super::postgresql::{files, host, path};
use super::{Plan, Tree};

/// The role that replicates.
pub(super) const REPLICATION_ROLE: &str = "replicator";

pub(super) fn render(plan: &Plan<'_>, tree: &mut Tree) {
    for catalog in &plan.config.catalogs {
        let Some(domain) = plan.config.domain(&catalog.domain) else { continue };
        let nodes: Vec<&Node> = plan.nodes_of(&domain.nodes).collect();
        for node in &nodes {
            let peers: Vec<&Node> = nodes.iter().copied().filter(|peer| peer.name != node.name).collect();
            files(plan, catalog, &node.name, &settings(catalog, node, &peers), &access(&peers), tree);
            let password = secret(
                catalog.replication_password.as_ref(),
                &format!("catalog-{}-replication-password", catalog.name),
            );
            let pass: String = peers
                .iter()
                .map(|peer| {
                    format!("{}:{}:*:{REPLICATION_ROLE}:{password}\n", replication_ip(peer), catalog.port)
                })
                .collect();
            tree.file(&node.name, &path(catalog, "pgpass"), pass).mode(0o600).owner("postgres", "postgres");
        }
    }
}

/// Where a node replicates: the link of its own, where it has one.
pub(super) fn replication_ip(node: &Node) -> core::net::IpAddr {
    node.replication_address.unwrap_or(node.address).ip()
}

fn settings(catalog: &Catalog, node: &Node, peers: &[&Node]) -> String {
    let names: Vec<String> = peers.iter().map(|peer| format!("\"{}\"", peer.name)).collect();
    let upstream = peers.first().map_or_else(String::new, |peer| {
        format!(
            "primary_conninfo = 'host={} port={} user={REPLICATION_ROLE} passfile={} application_name={} connect_timeout=5'\n",
            replication_ip(peer),
            catalog.port,
            path(catalog, "pgpass"),
            node.name
        )
    });
    format!(
        "\n\
         # Each node is primary or replica; both have the same settings but for the names.\n\
         cluster_name = '{}'\n\
         wal_level = replica\n\
         hot_standby = on\n\
         wal_log_hints = on\n\
         max_wal_senders = 10\n\
         wal_keep_size = '1GB'\n\
         wal_sender_timeout = '5s'\n\
         wal_receiver_timeout = '5s'\n\
         # A commit waits for a replica: without this nothing may take over by itself.\n\
         synchronous_standby_names = 'ANY 1 ({})'\n\
         {upstream}",
        node.name,
        names.join(", ")
    )
}

fn access(peers: &[&Node]) -> String {
    let line = |address| format!("host replication {REPLICATION_ROLE} {address} scram-sha-256\n");
    peers.iter().map(|peer| line(host(peer.replication_address.unwrap_or(peer.address)))).collect()
}
