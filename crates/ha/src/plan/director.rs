//! The part of a Director's file that says what its instances are.

use std::fmt::Write as _;

use conf::director::Fence;
use conf::topology::{Catalog, Director, Domain, Engine, Node};

use super::postgresql::SOCKET_DIRECTORY;
use super::{Plan, Tree};

/// Its path: beside the Director's own file, which includes it.
pub(super) fn path(director: &Director) -> String {
    let folder = director.config_file.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{}-instances.conf", director.name)
}

pub(super) fn render(plan: &Plan<'_>, tree: &mut Tree) {
    for director in &plan.config.directors {
        let Some(domain) = plan.config.domain(&director.domain) else { continue };
        let text = instances(plan, director, domain);
        for node in &domain.nodes {
            // Options of fence agents may hold a password.
            tree.file(node, &path(director), text.clone()).mode(0o640).owner("root", &director.group);
        }
    }
}

fn instances(plan: &Plan<'_>, director: &Director, domain: &Domain) -> String {
    let nodes: Vec<&Node> = plan.nodes_of(&domain.nodes).collect();
    let mut out = format!(
        "# Rendered by holdfast ha render. Include it in {}: @{}\n",
        director.config_file,
        path(director)
    );
    if let Some(catalog) = plan.catalog_for(director) {
        let _ = writeln!(out, "# Its Catalog resource has: {}", database(plan, director, catalog));
    }
    out.push('\n');
    let lease = plan.config.topology.lease_time.as_secs();
    let fenced = plan.engine != Engine::Pacemaker && nodes.iter().all(|node| device(plan, node).is_some());
    match plan.engine {
        Engine::Pacemaker => {
            let domain = plan.config.domain(&director.domain);
            let addresses = domain.into_iter().flat_map(|domain| &domain.floating_addresses);
            let floating: String =
                addresses.map(|address| format!("; Floating Address = {}", address.ip())).collect();
            let _ = writeln!(
                out,
                "Cluster {{ Name = {}; Engine = Pacemaker; Lease Time = {lease} seconds{floating} }}",
                plan.config.topology.name
            );
        }
        Engine::Patroni | Engine::Lease => {
            let fence = match plan.config.topology.fence {
                Fence::Required if fenced => "; Fence = required",
                Fence::None if fenced => "; Fence = none",
                Fence::Required | Fence::None => "",
            };
            let _ = writeln!(
                out,
                "Cluster {{ Name = {}; Engine = Lease; Lease Time = {lease} seconds{fence} }}",
                plan.config.topology.name
            );
        }
    }
    for node in &nodes {
        let device = device(plan, node).filter(|_| fenced);
        let device = device.map_or_else(String::new, |device| format!("; Fence Device = {}", device.name));
        let _ = writeln!(
            out,
            "Instance {{ Name = {}; Address = {}; Dir Port = {}{device} }}",
            node.name,
            node.address.ip(),
            director.dir_port
        );
    }
    for device in nodes.iter().filter(|_| fenced).filter_map(|node| device(plan, node)) {
        let _ = writeln!(
            out,
            "Fence Device {{\n  Name = {}; Agent = {}; Timeout = {} seconds; Retries = {}; Retry Delay = {} seconds",
            device.name,
            device.agent,
            device.timeout.as_secs(),
            device.retries,
            device.retry_delay.as_secs()
        );
        for option in &device.options {
            let _ = writeln!(out, "  Option = \"{}\"", option.replace('\\', "\\\\").replace('"', "\\\""));
        }
        out.push_str("}\n");
    }
    out
}

/// The device by which the Lease engine fences: it knows no levels.
fn device<'a>(plan: &Plan<'a>, node: &Node) -> Option<&'a conf::director::FenceDevice> {
    plan.config.fence_device(node.fence_level_1.first()?)
}

/// How the Director finds its database.
fn database(plan: &Plan<'_>, director: &Director, catalog: &Catalog) -> String {
    let address = match plan.engine {
        Engine::Pacemaker if catalog.domain == director.domain => SOCKET_DIRECTORY.to_owned(),
        Engine::Pacemaker => {
            let domain = plan.config.domain(&catalog.domain);
            let floating = domain.and_then(|domain| domain.floating_addresses.first());
            floating.map_or_else(String::new, |address| address.ip().to_string())
        }
        Engine::Patroni | Engine::Lease => {
            let nodes = plan.config.domain(&catalog.domain).map(|domain| domain.nodes.as_slice());
            let hosts = plan.nodes_of(nodes.unwrap_or_default());
            hosts
                .map(|node| super::etcd::endpoint(node.address.ip(), catalog.port))
                .collect::<Vec<_>>()
                .join(", ")
        }
    };
    format!(
        "DB Driver = PostgreSQL; DB Address = \"{address}\"; DB Port = {}; DB Name = {}; DB User = {}",
        catalog.port, catalog.db_name, catalog.db_user
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topology_says_whether_a_takeover_fences() {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/patroni.conf");
        let text = std::fs::read_to_string(example).unwrap();
        let cluster = |change: &dyn Fn(&str) -> String| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), change(&text)).unwrap();
            let config = crate::render::load(file.path()).unwrap();
            let plan = Plan::new(&config, Engine::Patroni).unwrap();
            let (director, domain) = (&config.directors[0], config.domain("director").unwrap());
            let text = instances(&plan, director, domain);
            text.lines().find(|line| line.starts_with("Cluster")).unwrap().to_owned()
        };
        let start = "Cluster { Name = three; Engine = Lease; Lease Time = 3 seconds";
        assert_eq!(cluster(&str::to_owned), format!("{start}; Fence = required }}"));
        let none = |text: &str| text.replace("Engine = Patroni", "Engine = Patroni; Fence = none");
        assert_eq!(cluster(&none), format!("{start}; Fence = none }}"));
        let bare = |text: &str| text.replace("; Fence Device = board-b }", " }");
        assert_eq!(cluster(&bare), format!("{start} }}"));
    }
}
