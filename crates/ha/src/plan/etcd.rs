//! etcd: where Patroni keeps who leads. Three members: the catalog's nodes and the witness.

use core::net::IpAddr;

use super::{Plan, Tree};

const CLIENT_PORT: u16 = 2379;
const PEER_PORT: u16 = 2380;

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) ip: IpAddr,
}

/// All members: the nodes of catalogs in the order written, then the witness where their number is even.
pub(super) fn members(plan: &Plan<'_>) -> Vec<Member> {
    let mut members: Vec<Member> = Vec::new();
    let domains = plan.config.catalogs.iter().filter_map(|catalog| plan.config.domain(&catalog.domain));
    for node in domains.flat_map(|domain| plan.nodes_of(&domain.nodes)) {
        if !members.iter().any(|member| member.name == node.name) {
            members.push(Member { name: node.name.clone(), ip: node.address.ip() });
        }
    }
    if members.len().is_multiple_of(2)
        && let Some(quorum) = &plan.config.quorum
        && let Some(address) = quorum.address
    {
        members.push(Member { name: quorum.name.clone(), ip: address.ip() });
    }
    members
}

/// An address with a port, as URLs want it.
pub(super) fn endpoint(ip: IpAddr, port: u16) -> String {
    core::net::SocketAddr::new(ip, port).to_string()
}

/// Where clients reach a member.
pub(super) fn client(member: &Member) -> String {
    endpoint(member.ip, CLIENT_PORT)
}

pub(super) fn render(plan: &Plan<'_>, tree: &mut Tree) {
    let members = members(plan);
    let peer = |member: &Member| format!("http://{}", endpoint(member.ip, PEER_PORT));
    let all: Vec<String> = members.iter().map(|member| format!("{}={}", member.name, peer(member))).collect();
    for member in &members {
        let client = format!("http://{}", client(member));
        let text = format!(
            "# Rendered by holdfast ha render: member \"{}\" of etcd, for Patroni.\n\
             ETCD_NAME={}\n\
             ETCD_DATA_DIR=/var/lib/etcd/{}\n\
             ETCD_LISTEN_PEER_URLS={}\n\
             ETCD_INITIAL_ADVERTISE_PEER_URLS={}\n\
             ETCD_LISTEN_CLIENT_URLS={client},http://127.0.0.1:{CLIENT_PORT}\n\
             ETCD_ADVERTISE_CLIENT_URLS={client}\n\
             ETCD_INITIAL_CLUSTER={}\n\
             ETCD_INITIAL_CLUSTER_TOKEN={}\n\
             # `existing` for a member that replaces one (see the runbook).\n\
             ETCD_INITIAL_CLUSTER_STATE=new\n",
            member.name,
            member.name,
            plan.config.topology.name,
            peer(member),
            peer(member),
            all.join(","),
            plan.config.topology.name,
        );
        tree.file(&member.name, "/etc/default/etcd", text);
    }
}
