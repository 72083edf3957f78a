//! Notes for nftables: ports of the cluster itself are for its members alone. Nothing else is touched.

use core::net::IpAddr;
use std::fmt::Write as _;

use conf::topology::{Engine, Node};

use super::{Plan, Tree, etcd, patroni, postgresql};

/// Corosync's links; one port each.
const COROSYNC: &str = "5405-5412";

/// Ports and who may use them.
struct Rule {
    what: String,
    /// `tcp` or `udp`.
    protocol: &'static str,
    ports: String,
    from: Vec<String>,
}

pub(super) fn render(plan: &Plan<'_>, tree: &mut Tree) {
    for node in &plan.config.nodes {
        let rules = rules(plan, node);
        if !rules.is_empty() {
            tree.file(&node.name, "/etc/nftables.d/holdfast-ha.nft", print(&node.name, &rules));
        }
    }
    if let Some(quorum) = &plan.config.quorum {
        let rules = witness_rules(plan);
        if !rules.is_empty() {
            tree.file(&quorum.name, "/etc/nftables.d/holdfast-ha.nft", print(&quorum.name, &rules));
        }
    }
}

fn rules(plan: &Plan<'_>, node: &Node) -> Vec<Rule> {
    let mut rules = Vec::new();
    let peers = |names: &[String]| -> Vec<Node> {
        plan.nodes_of(names).filter(|peer| peer.name != node.name).cloned().collect()
    };
    if plan.engine == Engine::Pacemaker
        && let Some(cluster) = plan.cluster_of(&node.name)
    {
        let from = peers(&cluster.nodes)
            .iter()
            .flat_map(Node::heartbeat_addresses)
            .map(|address| address.ip().to_string())
            .collect();
        rules.push(Rule {
            what: "heartbeats of Corosync".into(),
            protocol: "udp",
            ports: COROSYNC.into(),
            from,
        });
    }
    for domain in plan.domains_on(&node.name) {
        let from: Vec<String> = peers(&domain.nodes)
            .iter()
            .filter_map(|peer| peer.replication_address)
            .map(|address| address.ip().to_string())
            .collect();
        for device in plan.config.devices_of(&domain.name) {
            let what = format!("DRBD of Replicated Device \"{}\"", device.name);
            rules.push(Rule { what, protocol: "tcp", ports: device.port.to_string(), from: from.clone() });
        }
        if let Some(catalog) = plan.catalog_in(&domain.name) {
            let mut from = postgresql::clients(plan, catalog);
            if plan.engine != Engine::Pacemaker {
                let replicas = peers(&domain.nodes);
                let both = replicas.iter().flat_map(|peer| [Some(peer.address), peer.replication_address]);
                from.extend(both.flatten().map(|address| address.ip().to_string()));
            }
            let what = format!("PostgreSQL of Catalog \"{}\"", catalog.name);
            rules.push(Rule { what, protocol: "tcp", ports: catalog.port.to_string(), from });
        }
    }
    if plan.engine == Engine::Patroni {
        rules.extend(etcd_rule(plan, &node.name));
        let nodes = plan.config.catalogs.iter().filter_map(|catalog| plan.config.domain(&catalog.domain));
        for domain in nodes.filter(|domain| domain.nodes.contains(&node.name)) {
            let from = plan.nodes_of(&domain.nodes).map(|peer| peer.address.ip().to_string()).collect();
            let ports = patroni::REST_PORT.to_string();
            rules.push(Rule { what: "Patroni's own interface".into(), protocol: "tcp", ports, from });
        }
    }
    rules
}

fn etcd_rule(plan: &Plan<'_>, machine: &str) -> Option<Rule> {
    let members = etcd::members(plan);
    members.iter().any(|member| member.name == machine).then(|| Rule {
        what: "etcd".into(),
        protocol: "tcp",
        ports: "2379-2380".into(),
        from: members.iter().map(|member| member.ip.to_string()).collect(),
    })
}

fn witness_rules(plan: &Plan<'_>) -> Vec<Rule> {
    let Some(quorum) = &plan.config.quorum else { return Vec::new() };
    match plan.engine {
        Engine::Pacemaker => {
            let clusters = plan.clusters.iter().filter(|cluster| plan.witness(cluster).is_some());
            let nodes = clusters.flat_map(|cluster| plan.nodes_of(&cluster.nodes));
            // By which of its addresses a node comes is for its routes to say.
            let addresses = nodes.flat_map(|node| {
                let mut addresses = node.heartbeat_addresses();
                addresses.push(node.address);
                addresses
            });
            let from: Vec<String> = addresses.map(|address| address.ip().to_string()).collect();
            let ports = quorum.port.to_string();
            let rule = Rule { what: "the third vote".into(), protocol: "tcp", ports, from };
            if rule.from.is_empty() { Vec::new() } else { vec![rule] }
        }
        Engine::Patroni => etcd_rule(plan, &quorum.name).into_iter().collect(),
        Engine::Lease => Vec::new(),
    }
}

fn print(machine: &str, rules: &[Rule]) -> String {
    let mut out = format!(
        "#!/usr/sbin/nft -f\n\
         # Rendered by holdfast ha render: what reaches {machine} at the ports of the cluster. A table of its own, which lets pass\n\
         # all else; consoles, clients and Storage Daemons are for the site's own rules. Load it from /etc/nftables.conf:\n\
         #   include \"/etc/nftables.d/*.nft\"\n\
         table inet holdfast_ha\n\
         delete table inet holdfast_ha\n\
         table inet holdfast_ha {{\n  chain input {{\n    type filter hook input priority filter; policy accept;\n    iif lo accept\n"
    );
    for rule in rules {
        let _ = writeln!(out, "    # {}", rule.what);
        for (family, six) in [("ip", false), ("ip6", true)] {
            let mut from: Vec<&str> =
                rule.from.iter().map(String::as_str).filter(|address| is_six(address) == six).collect();
            from.sort_unstable();
            from.dedup();
            let from = minimal(&from);
            if !from.is_empty() {
                let _ = writeln!(
                    out,
                    "    {family} saddr {{ {} }} {} dport {} accept",
                    from.join(", "),
                    rule.protocol,
                    rule.ports
                );
            }
        }
        let _ = writeln!(out, "    {} dport {} drop", rule.protocol, rule.ports);
    }
    out.push_str("  }\n}\n");
    out
}

fn is_six(address: &str) -> bool {
    address.split('/').next().and_then(|ip| ip.parse::<IpAddr>().ok()).is_some_and(|ip| ip.is_ipv6())
}

/// Without what is in one of the others: nft refuses intervals that overlap.
fn minimal<'a>(addresses: &[&'a str]) -> Vec<&'a str> {
    let parse = |text: &str| {
        let bits = if is_six(text) { 128 } else { 32 };
        let text = if text.contains('/') { text.to_owned() } else { format!("{text}/{bits}") };
        conf::net_address::NetAddress::parse(&text)
    };
    let covered = |at: usize| {
        let Some(inner) = parse(addresses[at]) else { return false };
        addresses.iter().enumerate().any(|(other, text)| {
            other != at
                && parse(text).is_some_and(|outer| {
                    let wider =
                        outer.prefix() < inner.prefix() || (outer.prefix() == inner.prefix() && other < at);
                    wider && outer.network_has(inner.ip())
                })
        })
    };
    (0..addresses.len()).filter(|at| !covered(*at)).map(|at| addresses[at]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_another_one_is_left_out() {
        assert_eq!(
            minimal(&["10.1.0.0/24", "10.1.0.11/32", "10.1.0.11", "10.2.0.1"]),
            ["10.1.0.0/24", "10.2.0.1"]
        );
        assert_eq!(minimal(&["10.1.0.11", "10.1.0.11/32"]), ["10.1.0.11"]);
        assert_eq!(minimal(&["fd00::1", "fd00::/64"]), ["fd00::/64"]);
    }
}
