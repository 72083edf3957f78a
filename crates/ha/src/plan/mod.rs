//! From a topology to the texts of all its configurations: pure, values in, values out.
//!
//! - [`Plan`]: the topology with an engine chosen and everything that this engine needs made sure of.
//! - [`Tree`]: the files that come out, by machine, each with mode and owner. [`render`] makes it from a plan.
//! - One module per program whose files are made; `pacemaker` has one value that is printed in three forms.
//!
//! Two calls give the same bytes: nothing here knows the time, the machine or anything else but the topology. No secret is
//! made up: what the topology does not hold becomes a named [`Placeholder`].

mod corosync;
mod director;
mod drbd;
mod etcd;
mod firewall;
mod hosts;
mod install;
mod pacemaker;
mod patroni;
mod placeholder;
mod postgresql;
mod requirements;
mod runbook;
mod streaming;
mod systemd;
mod tree;

use conf::TopologyConfig;
use conf::topology::{
    Catalog, Director, Domain, Engine, Node, Quorum, ReplicatedDevice, Storage, ThirdVote, clusters,
};

pub(crate) use pacemaker::moved;
pub(crate) use patroni::PATH as PATRONI_CONFIGURATION;
pub(crate) use placeholder::{Placeholder, matches, placeholders};
pub(crate) use postgresql::SOCKET_DIRECTORY;
pub(crate) use tree::{Content, Entry, Tree};

/// A topology that is to be rendered for one engine.
#[derive(Debug, Clone)]
pub(crate) struct Plan<'a> {
    pub(crate) config: &'a TopologyConfig,
    pub(crate) engine: Engine,
    /// Clusters of Corosync; with other engines than Pacemaker groups of nodes all the same.
    pub(crate) clusters: Vec<Cluster>,
}

/// Nodes that share failover domains.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// Name in Corosync and at the witness.
    pub(crate) name: String,
    /// Names of its nodes; Corosync numbers them from 1 in this order.
    pub(crate) nodes: Vec<String>,
    /// Names of its domains.
    pub(crate) domains: Vec<String>,
}

impl<'a> Plan<'a> {
    /// A plan.
    ///
    /// # Errors
    /// What the engine needs and the topology lacks, each with its remedy.
    pub(crate) fn new(config: &'a TopologyConfig, engine: Engine) -> Result<Self, Vec<String>> {
        let plan = Self { config, engine, clusters: name_clusters(config) };
        let missing = requirements::missing(&plan);
        if missing.is_empty() { Ok(plan) } else { Err(missing) }
    }

    /// The Node of a name that a resource refers to.
    pub(crate) fn nodes_of<'s>(&'s self, names: &'s [String]) -> impl Iterator<Item = &'a Node> + 's {
        names.iter().filter_map(|name| self.config.node(name))
    }

    /// The domains of a cluster.
    pub(crate) fn domains_of<'s>(&'s self, cluster: &'s Cluster) -> impl Iterator<Item = &'a Domain> + 's {
        cluster.domains.iter().filter_map(|name| self.config.domain(name))
    }

    /// The domains that a node is in.
    pub(crate) fn domains_on<'s>(&'s self, node: &'s str) -> impl Iterator<Item = &'a Domain> + 's {
        self.config.domains.iter().filter(move |domain| domain.nodes.iter().any(|name| name == node))
    }

    /// The cluster that a node is in.
    pub(crate) fn cluster_of(&self, node: &str) -> Option<&Cluster> {
        self.clusters.iter().find(|cluster| cluster.nodes.iter().any(|name| name == node))
    }

    /// The Director of a domain.
    pub(crate) fn director_in(&self, domain: &str) -> Option<&'a Director> {
        self.config.directors.iter().find(|director| director.domain == domain)
    }

    /// The Catalog of a domain.
    pub(crate) fn catalog_in(&self, domain: &str) -> Option<&'a Catalog> {
        self.config.catalogs.iter().find(|catalog| catalog.domain == domain)
    }

    /// The Storage of a domain.
    pub(crate) fn storage_in(&self, domain: &str) -> Option<&'a Storage> {
        self.config.storages.iter().find(|storage| storage.domain.as_deref() == Some(domain))
    }

    /// The Replicated Devices on a node.
    pub(crate) fn devices_on<'s>(&'s self, node: &'s str) -> impl Iterator<Item = &'a ReplicatedDevice> + 's {
        self.domains_on(node).flat_map(|domain| self.config.devices_of(&domain.name))
    }

    /// The witness, where it has a say: for a cluster of an even number of nodes.
    pub(crate) fn witness(&self, cluster: &Cluster) -> Option<&'a Quorum> {
        self.config
            .quorum
            .as_ref()
            .filter(|quorum| quorum.third_vote == ThirdVote::Witness && cluster.nodes.len().is_multiple_of(2))
    }

    /// The Catalog that a Director uses: the one of its own domain, else the first of the topology.
    pub(crate) fn catalog_for(&self, director: &Director) -> Option<&'a Catalog> {
        self.catalog_in(&director.domain).or_else(|| self.config.catalogs.first())
    }
}

/// One cluster has the topology's name; of several each has that of its first domain behind it.
fn name_clusters(config: &TopologyConfig) -> Vec<Cluster> {
    let groups = clusters(config.domains.iter().map(|domain| domain.nodes.as_slice()));
    let one = groups.len() == 1;
    groups
        .into_iter()
        .map(|nodes| {
            let inside = |domain: &&Domain| domain.nodes.iter().any(|node| nodes.contains(node));
            let domains: Vec<_> =
                config.domains.iter().filter(inside).map(|domain| domain.name.clone()).collect();
            let first = domains.first().map_or("", String::as_str);
            let name =
                if one { config.topology.name.clone() } else { format!("{}-{first}", config.topology.name) };
            Cluster { name, nodes, domains }
        })
        .collect()
}

/// Everything that there is to render.
pub(crate) fn render(plan: &Plan<'_>) -> Tree {
    let mut tree = Tree::default();
    drbd::render(plan, &mut tree);
    match plan.engine {
        Engine::Pacemaker => {
            corosync::render(plan, &mut tree);
            pacemaker::render(plan, &mut tree);
            postgresql::render(plan, &mut tree);
        }
        Engine::Patroni => {
            etcd::render(plan, &mut tree);
            patroni::render(plan, &mut tree);
        }
        Engine::Lease => streaming::render(plan, &mut tree),
    }
    director::render(plan, &mut tree);
    systemd::render(plan, &mut tree);
    firewall::render(plan, &mut tree);
    hosts::render(plan, &mut tree);
    install::render(&mut tree);
    runbook::render(plan, &mut tree);
    tree
}
