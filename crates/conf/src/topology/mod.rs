//! `holdfast-ha.conf`: which machines there are, what moves between them, and by what (Holdfast).
//!
//! No daemon reads it. `holdfast ha render` makes the configurations of DRBD, Corosync, Pacemaker, PostgreSQL, Patroni and
//! the daemons from it. Each service belongs to a Failover Domain, the nodes among which it moves.

mod domain;
mod groups;
mod service;
mod site;

pub use domain::{Domain, DrbdVersion, FileSystem, ReplicatedDevice};
pub use groups::clusters;
pub use service::{Catalog, Director, Storage};
pub use site::{DataCentre, Engine, FenceAction, Node, Quorum, ThirdVote, Topology, WitnessTls};

use crate::director::FenceDevice;
use crate::table::{Daemon, Resource, ResourceTable};
use crate::{Config, Parsed};

/// A topology. Resources stand in the order written; names are unique per kind and references resolve.
#[derive(Debug, Clone, PartialEq)]
pub struct TopologyConfig {
    /// The whole.
    pub topology: Topology,
    /// Data centres.
    pub data_centres: Vec<DataCentre>,
    /// Machines.
    pub nodes: Vec<Node>,
    /// Where the third vote is.
    pub quorum: Option<Quorum>,
    /// How machines are switched off.
    pub fence_devices: Vec<FenceDevice>,
    /// Groups of machines among which services move.
    pub domains: Vec<Domain>,
    /// DRBD devices with their file systems.
    pub devices: Vec<ReplicatedDevice>,
    /// Directors.
    pub directors: Vec<Director>,
    /// PostgreSQL servers.
    pub catalogs: Vec<Catalog>,
    /// Storage Daemons.
    pub storages: Vec<Storage>,
}

impl TopologyConfig {
    /// The Node of a name.
    #[must_use]
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.iter().find(|r| r.name == name)
    }

    /// The Failover Domain of a name.
    #[must_use]
    pub fn domain(&self, name: &str) -> Option<&Domain> {
        self.domains.iter().find(|r| r.name == name)
    }

    /// The Fence Device of a name.
    #[must_use]
    pub fn fence_device(&self, name: &str) -> Option<&FenceDevice> {
        self.fence_devices.iter().find(|r| r.name == name)
    }

    /// The Replicated Devices of a domain.
    pub fn devices_of<'a>(&'a self, domain: &'a str) -> impl Iterator<Item = &'a ReplicatedDevice> {
        self.devices.iter().filter(move |r| r.domain == domain)
    }
}

impl Config for TopologyConfig {
    const DAEMON: Daemon = Daemon::Topology;
    const RESOURCES: &'static [&'static ResourceTable] = &[
        Topology::TABLE,
        DataCentre::TABLE,
        Node::TABLE,
        Quorum::TABLE,
        FenceDevice::TABLE,
        Domain::TABLE,
        ReplicatedDevice::TABLE,
        Director::TABLE,
        Catalog::TABLE,
        Storage::TABLE,
    ];

    fn build(parsed: &Parsed) -> Option<Self> {
        Some(Self {
            topology: parsed.first()?,
            data_centres: parsed.all(),
            nodes: parsed.all(),
            quorum: parsed.first(),
            fence_devices: parsed.all(),
            domains: parsed.all(),
            devices: parsed.all(),
            directors: parsed.all(),
            catalogs: parsed.all(),
            storages: parsed.all(),
        })
    }
}
