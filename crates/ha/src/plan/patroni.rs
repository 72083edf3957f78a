//! Patroni: PostgreSQL with a synchronous replica, its leader chosen over etcd.

use std::fmt::Write as _;

use conf::topology::{Catalog, Node};

use super::etcd::{self, endpoint};
use super::placeholder::secret;
use super::postgresql::{SOCKET_DIRECTORY, clients, host, programs};
use super::streaming::{REPLICATION_ROLE, replication_ip};
use super::{Plan, Tree};

/// Where Debian's `patroni.service` looks.
pub(crate) const PATH: &str = "/etc/patroni/config.yml";
pub(super) const REST_PORT: u16 = 8008;

pub(super) fn render(plan: &Plan<'_>, tree: &mut Tree) {
    for catalog in &plan.config.catalogs {
        let Some(domain) = plan.config.domain(&catalog.domain) else { continue };
        let nodes: Vec<&Node> = plan.nodes_of(&domain.nodes).collect();
        for node in &nodes {
            let text = configuration(plan, catalog, node, &nodes);
            tree.file(&node.name, PATH, text).mode(0o600).owner("postgres", "postgres");
        }
    }
}

/// Name of the cluster in etcd.
pub(super) fn scope(plan: &Plan<'_>, catalog: &Catalog) -> String {
    format!("{}-{}", plan.config.topology.name, catalog.name)
}

fn configuration(plan: &Plan<'_>, catalog: &Catalog, node: &Node, nodes: &[&Node]) -> String {
    let hosts: String =
        etcd::members(plan).iter().map(|member| format!("    - {}\n", etcd::client(member))).collect();
    let rest = endpoint(node.address.ip(), REST_PORT);
    let mut out = format!(
        "# Rendered by holdfast ha render: Catalog \"{}\" on Node \"{}\".\n\
         scope: {}\n\
         name: {}\n\n\
         restapi:\n  listen: {}\n  connect_address: {}\n\n\
         etcd3:\n  hosts:\n{hosts}\n",
        catalog.name,
        node.name,
        quoted(&scope(plan, catalog)),
        quoted(&node.name),
        quoted(&rest),
        quoted(&rest),
    );
    out.push_str(&bootstrap(catalog));
    out.push_str(&pg_hba(plan, catalog, nodes));
    out.push('\n');
    out.push_str(&server(plan, catalog, node, nodes));
    out.push_str("\nwatchdog:\n  # A Patroni that hangs is reset by the kernel before its key in etcd runs out, where there is a watchdog.\n  mode: automatic\n");
    out
}

/// Patroni wants `loop_wait + 2 * retry_timeout <= ttl`.
fn bootstrap(catalog: &Catalog) -> String {
    let ttl = catalog.patroni_ttl.as_secs();
    let step = (ttl / 4).max(1);
    format!(
        "# Taken at the first start; later changes are made with `patronictl edit-config`.\n\
         bootstrap:\n  dcs:\n    ttl: {ttl}\n    loop_wait: {step}\n    retry_timeout: {step}\n    \
         maximum_lag_on_failover: 1048576\n    \
         # A commit waits for the replica, and only a replica that has everything is promoted.\n    \
         synchronous_mode: true\n    \
         postgresql:\n      use_pg_rewind: true\n      use_slots: true\n      parameters:\n        \
         wal_level: replica\n        hot_standby: 'on'\n        wal_log_hints: 'on'\n        max_wal_senders: 10\n        \
         max_replication_slots: 10\n        fsync: 'on'\n        full_page_writes: 'on'\n        synchronous_commit: 'on'\n        \
         wal_sender_timeout: 5s\n        wal_receiver_timeout: 5s\n        tcp_keepalives_idle: 5\n        \
         tcp_keepalives_interval: 2\n        tcp_keepalives_count: 3\n        tcp_user_timeout: 15000\n        \
         password_encryption: scram-sha-256\n  \
         initdb:\n    - encoding: UTF8\n    - locale: C\n    - data-checksums\n"
    )
}

fn server(plan: &Plan<'_>, catalog: &Catalog, node: &Node, nodes: &[&Node]) -> String {
    let word = |given, name: &str| secret(given, &format!("catalog-{}-{name}-password", catalog.name));
    let replication = word(catalog.replication_password.as_ref(), "replication");
    let superuser = word(catalog.superuser_password.as_ref(), "superuser");
    let listen = if node.replication_address.is_some() {
        // Clients come by one, replicas by the other.
        format!("127.0.0.1,{},{}:{}", node.address.ip(), replication_ip(node), catalog.port)
    } else {
        format!("127.0.0.1,{}:{}", node.address.ip(), catalog.port)
    };
    let mut out = format!(
        "postgresql:\n  listen: {}\n  connect_address: {}\n  data_dir: {}\n  bin_dir: {}\n  \
         pgpass: /var/lib/postgresql/.pgpass-patroni-{}\n  \
         authentication:\n    superuser:\n      username: postgres\n      password: {}\n    \
         replication:\n      username: {REPLICATION_ROLE}\n      password: {}\n    \
         rewind:\n      username: postgres\n      password: {}\n  \
         parameters:\n    unix_socket_directories: {SOCKET_DIRECTORY}\n",
        quoted(&listen),
        quoted(&endpoint(replication_ip(node), catalog.port)),
        quoted(&catalog.data_directory),
        quoted(&programs(catalog)),
        catalog.name,
        quoted(&superuser),
        quoted(&replication),
        quoted(&superuser),
    );
    out.push_str(&pg_hba(plan, catalog, nodes));
    out
}

/// Who may connect, as an entry two levels deep: of the first start, which Patroni wants to see, and of the server. Without the second the server
/// would keep what initdb allows, which is everything to everybody on the machine.
fn pg_hba(plan: &Plan<'_>, catalog: &Catalog, nodes: &[&Node]) -> String {
    let mut out = format!(
        "  pg_hba:\n    - local all postgres peer\n    - local {} {} peer\n",
        catalog.db_name, catalog.db_user
    );
    let peers = nodes.iter().flat_map(|peer| std::iter::once(peer.address).chain(peer.replication_address));
    // Patroni itself calls its server at 127.0.0.1.
    for from in std::iter::once("127.0.0.1/32".to_owned()).chain(peers.map(host)) {
        let _ = writeln!(out, "    - host replication {REPLICATION_ROLE} {from} scram-sha-256");
        let _ = writeln!(out, "    - host all postgres {from} scram-sha-256");
    }
    for client in clients(plan, catalog) {
        let _ = writeln!(out, "    - host {} {} {client} scram-sha-256", catalog.db_name, catalog.db_user);
    }
    out
}

/// A scalar of YAML that is nothing but text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
