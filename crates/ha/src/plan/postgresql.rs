//! PostgreSQL under Pacemaker: settings beside the data, so that both nodes have them whether the data are mounted or not.

use core::net::IpAddr;
use std::fmt::Write as _;

use conf::net_address::NetAddress;
use conf::topology::Catalog;

use super::{Plan, Tree};

/// Where local programs reach the server; Debian's packages make it at each start of the machine.
pub(crate) const SOCKET_DIRECTORY: &str = "/var/run/postgresql";

/// Folder of rendered settings.
const FOLDER: &str = "/etc/holdfast/postgresql";

/// Folder of the server's programs on Debian.
pub(super) fn programs(catalog: &Catalog) -> String {
    format!("/usr/lib/postgresql/{}/bin", catalog.postgresql_version)
}

/// Its settings.
pub(super) fn config_path(catalog: &Catalog) -> String {
    format!("{FOLDER}/{}.conf", catalog.name)
}

/// A file of a catalog beside its settings.
pub(super) fn path(catalog: &Catalog, suffix: &str) -> String {
    format!("{FOLDER}/{}.{suffix}", catalog.name)
}

pub(super) fn render(plan: &Plan<'_>, tree: &mut Tree) {
    for catalog in &plan.config.catalogs {
        let Some(domain) = plan.config.domain(&catalog.domain) else { continue };
        for node in &domain.nodes {
            files(plan, catalog, node, "", "", tree);
        }
    }
}

/// Settings and access of a server; `more` is appended to the settings, `access` to the access.
pub(super) fn files(
    plan: &Plan<'_>,
    catalog: &Catalog,
    node: &str,
    more: &str,
    access: &str,
    tree: &mut Tree,
) {
    let text = format!("{}{more}", settings(catalog));
    tree.file(node, &config_path(catalog), text).mode(0o640).owner("root", "postgres");
    let hba = format!("{}{access}", hba(plan, catalog));
    tree.file(node, &path(catalog, "hba.conf"), hba).mode(0o640).owner("root", "postgres");
    let ident = ident(plan, catalog);
    tree.file(node, &path(catalog, "ident.conf"), ident).mode(0o640).owner("root", "postgres");
}

fn settings(catalog: &Catalog) -> String {
    format!(
        "# Rendered by holdfast ha render: Catalog \"{}\". The site's own settings go into local.conf beside this file.\n\
         data_directory = '{}'\n\
         hba_file = '{}'\n\
         ident_file = '{}'\n\
         listen_addresses = '*'\n\
         port = {}\n\
         unix_socket_directories = '{SOCKET_DIRECTORY}'\n\
         password_encryption = 'scram-sha-256'\n\
         include_if_exists = 'local.conf'\n\
         \n\
         # A commit that was answered is on the disk, and on the other node's. These stand last: nothing above undoes them.\n\
         fsync = on\n\
         full_page_writes = on\n\
         synchronous_commit = on\n\
         \n\
         # What a dead host leaves open is over after some seconds, and does not hold its successor up.\n\
         tcp_keepalives_idle = 5\n\
         tcp_keepalives_interval = 2\n\
         tcp_keepalives_count = 3\n\
         tcp_user_timeout = 15000\n",
        catalog.name,
        catalog.data_directory,
        path(catalog, "hba.conf"),
        path(catalog, "ident.conf"),
        catalog.port,
    )
}

/// Who may connect: local users under their own names, and the Directors.
pub(super) fn hba(plan: &Plan<'_>, catalog: &Catalog) -> String {
    let mut out = format!(
        "# Rendered by holdfast ha render: who may connect to Catalog \"{}\".\n\
         local all postgres peer\n\
         local {} {} peer{}\n",
        catalog.name,
        catalog.db_name,
        catalog.db_user,
        if other_users(plan, catalog).is_empty() { String::new() } else { format!(" map={MAP}") }
    );
    for client in clients(plan, catalog) {
        let _ = writeln!(out, "host {} {} {client} scram-sha-256", catalog.db_name, catalog.db_user);
    }
    out
}

/// Name of the map from users of the system to the owner of the database.
const MAP: &str = "holdfast";

/// Users of Directors beside the catalog whose names are not the owner's.
fn other_users<'a>(plan: &Plan<'a>, catalog: &Catalog) -> Vec<&'a str> {
    let directors = plan.config.directors.iter().filter(|director| director.domain == catalog.domain);
    directors.map(|director| director.user.as_str()).filter(|user| *user != catalog.db_user).collect()
}

fn ident(plan: &Plan<'_>, catalog: &Catalog) -> String {
    let mut out =
        "# Rendered by holdfast ha render: users of the system that have another name in the database.\n"
            .to_owned();
    for user in other_users(plan, catalog) {
        let _ = writeln!(out, "{MAP} {user} {}", catalog.db_user);
    }
    out
}

/// Where connections come from: every node of a Director and what the topology allows.
pub(super) fn clients(plan: &Plan<'_>, catalog: &Catalog) -> Vec<String> {
    let directors = plan.config.directors.iter().filter_map(|director| plan.config.domain(&director.domain));
    let nodes = directors.flat_map(|domain| plan.nodes_of(&domain.nodes)).map(|node| host(node.address));
    let allowed = catalog.allow.iter().map(|network| cidr(*network));
    let mut out: Vec<String> = Vec::new();
    for client in nodes.chain(allowed) {
        if !out.contains(&client) {
            out.push(client);
        }
    }
    out
}

/// One address as a network.
pub(super) fn host(address: NetAddress) -> String {
    let bits = if address.ip().is_ipv4() { 32 } else { 128 };
    format!("{}/{bits}", address.ip())
}

/// The network of an address, its host bits cleared: PostgreSQL refuses others.
fn cidr(address: NetAddress) -> String {
    let prefix = u32::from(address.prefix());
    match address.ip() {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            format!("{}/{prefix}", core::net::Ipv4Addr::from(u32::from(ip) & mask))
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            format!("{}/{prefix}", core::net::Ipv6Addr::from(u128::from(ip) & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_have_no_host_bits() {
        for (text, expected) in [
            ("10.1.2.3/24", "10.1.2.0/24"),
            ("10.1.2.3/0", "0.0.0.0/0"),
            ("10.1.2.3/32", "10.1.2.3/32"),
            ("fd00::5/64", "fd00::/64"),
        ] {
            assert_eq!(cidr(NetAddress::parse(text).unwrap()), expected);
        }
    }
}
