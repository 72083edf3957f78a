//! Corosync: membership and quorum of each cluster.

use std::fmt::Write as _;

use conf::topology::WitnessTls;

use super::{Cluster, Plan, Tree};

pub(super) fn render(plan: &Plan<'_>, tree: &mut Tree) {
    for cluster in &plan.clusters {
        let text = corosync_conf(plan, cluster);
        for node in &cluster.nodes {
            tree.file(node, "/etc/corosync/corosync.conf", text.clone());
        }
    }
    if let Some(quorum) = &plan.config.quorum
        && plan.clusters.iter().any(|cluster| plan.witness(cluster).is_some())
    {
        tree.file(&quorum.name, "/etc/default/corosync-qnetd", qnetd(quorum.port, quorum.tls));
    }
}

fn corosync_conf(plan: &Plan<'_>, cluster: &Cluster) -> String {
    let topology = &plan.config.topology;
    let (cipher, hash) = if topology.heartbeat_encryption { ("aes256", "sha256") } else { ("none", "none") };
    let mut out = format!(
        "# Rendered by holdfast ha render: cluster \"{}\". The same on all its nodes.\n\
         totem {{\n  version: 2\n  cluster_name: {}\n  transport: knet\n  crypto_cipher: {cipher}\n  crypto_hash: {hash}\n  token: {}\n}}\n\nnodelist {{\n",
        cluster.name, cluster.name, topology.token_ms
    );
    for (number, node) in plan.nodes_of(&cluster.nodes).enumerate() {
        let _ = writeln!(out, "  node {{\n    name: {}\n    nodeid: {}", node.name, number + 1);
        for (ring, address) in node.heartbeat_addresses().iter().enumerate() {
            let _ = writeln!(out, "    ring{ring}_addr: {}", address.ip());
        }
        out.push_str("  }\n");
    }
    out.push_str("}\n\nquorum {\n  provider: corosync_votequorum\n");
    out.push_str(&third_vote(plan, cluster));
    out.push_str("}\n\nlogging {\n  to_stderr: no\n  to_syslog: yes\n  to_logfile: yes\n  logfile: /var/log/corosync/corosync.log\n  timestamp: hires\n}\n");
    out
}

fn third_vote(plan: &Plan<'_>, cluster: &Cluster) -> String {
    let Some(quorum) = plan.witness(cluster) else {
        return match cluster.nodes.len() {
            // One vote of two is enough then, once both have seen each other.
            2 => "  two_node: 1\n".to_owned(),
            _ => String::new(),
        };
    };
    let token = plan.config.topology.token_ms;
    // Corosync waits for the device's word before it lets the survivor go on: with its own 10 s and 30 s every takeover
    // would take that long. Measured with these: 2.9 to 3.9 s in all.
    let (timeout, sync_timeout) = (token.max(1500), token.saturating_mul(2).max(2000));
    let address = quorum.address.unwrap_or_default().ip();
    format!(
        "  device {{\n    model: net\n    votes: 1\n    timeout: {timeout}\n    sync_timeout: {sync_timeout}\n    net {{\n      host: {address}\n      port: {}\n      algorithm: ffsplit\n      tls: {}\n      connect_timeout: 1000\n    }}\n  }}\n",
        quorum.port,
        quorum.tls.as_str()
    )
}

/// What `corosync-qnetd.service` reads on Debian.
fn qnetd(port: u16, tls: WitnessTls) -> String {
    let (tls, client) = match tls {
        WitnessTls::Required => ("req", "on"),
        WitnessTls::On => ("on", "off"),
        WitnessTls::Off => ("off", "off"),
    };
    format!("# Rendered by holdfast ha render.\nCOROSYNC_QNETD_OPTIONS=\"-p {port} -s {tls} -c {client}\"\n")
}
