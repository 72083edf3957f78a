//! The site: `Topology`, `Data Centre`, `Node`, `Quorum`.

use std::time::Duration;

use crate::director::Fence;
use crate::net_address::NetAddress;
use crate::table::{Kind, ResourceKind, resource, word_enum};

word_enum! {
    /// What moves the services.
    Engine {
        /// Pacemaker over DRBD.
        Pacemaker = "Pacemaker";
        /// The catalog by Patroni, the Director by its lease.
        Patroni = "Patroni";
        /// The Director by its lease; the catalog by hand.
        Lease = "Lease";
    }
}

word_enum! {
    /// What becomes of a machine that is fenced.
    FenceAction {
        /// It is switched off and stays so.
        Off = "off";
        /// It is switched off and on again.
        Reboot = "reboot";
    }
}

word_enum! {
    /// Who decides when two nodes do not see each other.
    ThirdVote {
        /// A quorum device.
        Witness = "witness";
        /// Nobody.
        None = "none";
    }
}

word_enum! {
    /// Whether nodes and witness speak over TLS.
    WitnessTls {
        /// Always.
        Required = "required";
        /// When both can.
        On = "on";
        /// Never.
        Off = "off";
    }
}

resource! {
    /// The whole. Exactly one in the file; its name is the cluster's.
    Topology = Topology "Topology" {
        /// What moves the services: Pacemaker moves all of them, their data on DRBD; Patroni moves the catalog, and the
        /// Director's lease the Director; with Lease the catalog is promoted by hand.
        "Engine" => engine: Engine = Kind::Words(Engine::WORDS), default("Pacemaker"), since("Holdfast");
        /// How long a node may be silent before Corosync takes it for lost, in milliseconds.
        "Token" => token_ms: u32 = Kind::Uint, default("1000"), since("Holdfast");
        /// Whether Corosync encrypts its heartbeats; the nodes then need one key (`corosync-keygen`).
        "Heartbeat Encryption" => heartbeat_encryption: bool = Kind::Bool, default("yes"), since("Holdfast");
        /// What becomes of a node that is fenced: it stays off until a person has looked at it, or is started again.
        "Fence Action" => fence_action: FenceAction = Kind::Words(FenceAction::WORDS), default("off"), since("Holdfast");
        /// `Fence` of the Director's Cluster with the engines Patroni and Lease, where every node of it has a Fence Device
        /// ([fencing.md](fencing.md)).
        "Fence" => fence: Fence = Kind::Words(Fence::WORDS), default("required"), since("Holdfast");
        /// `Lease Time` of the Director's Cluster. With Pacemaker no takeover waits for it.
        "Lease Time" => lease_time: Duration = Kind::Time, default("3 seconds"), since("Holdfast");
        /// How `holdfast ha drill` runs a line of shell as root on a node, the line behind it as one word: `%a` stands for the
        /// node's `Address`, `%n` for its name.
        "Remote Shell" => remote_shell: String = Kind::Str, default("\"ssh -o BatchMode=yes -o ConnectTimeout=10 root@%a\""), since("Holdfast");
    }
}

resource! {
    /// A place whose power, cooling or line fails as a whole.
    DataCentre = DataCentre "Data Centre" ["Data Center"] {
    }
}

resource! {
    /// A machine. Its name is its host name.
    Node = Node "Node" {
        /// Where it is.
        "Data Centre" => data_centre: String = Kind::Ref(ResourceKind::DataCentre), alias(&["Data Center"]), required(),
            example("dc1"), since("Holdfast");
        /// Its address in the network in which it serves.
        "Address" => address: NetAddress = Kind::Net, required(), example("10.1.0.11/24"), since("Holdfast");
        /// Its address on the dedicated link over which DRBD and PostgreSQL replicate.
        "Replication Address" => replication_address: Option<NetAddress> = Kind::Net, example("10.10.0.1/30"),
            since("Holdfast");
        /// Its addresses for Corosync's heartbeats, at most 8, each in a network of its own; of all nodes of a cluster
        /// equally many, in the same order. `Address` and `Replication Address` when absent.
        "Ring" => rings: Vec<NetAddress> = Kind::NetList, example("10.1.0.11/24, 10.10.0.1/30"), since("Holdfast");
        /// Interface on which floating addresses come up; found by their network when absent.
        "Interface" => interface: Option<String> = Kind::Str, example("bond0"), since("Holdfast");
        /// How it is switched off: the Fence Devices that are tried first. All of a level must succeed (both supplies of
        /// a machine that has two).
        "Fence Level 1" => fence_level_1: Vec<String> = Kind::RefList(ResourceKind::FenceDevice),
            alias(&["Fence Device"]), example("ipmi-a"), since("Holdfast");
        /// What is tried when the first level failed.
        "Fence Level 2" => fence_level_2: Vec<String> = Kind::RefList(ResourceKind::FenceDevice),
            example("pdu-a-left, pdu-a-right"), since("Holdfast");
        /// What is tried when the second level failed.
        "Fence Level 3" => fence_level_3: Vec<String> = Kind::RefList(ResourceKind::FenceDevice), since("Holdfast");
    }
}

resource! {
    /// Who has the third vote. Clusters of two nodes need one; with the engine Patroni it is the third member of etcd.
    Quorum = Quorum "Quorum" {
        /// A witness at a third site; or none: of two nodes that do not see each other the faster one then shoots the other.
        "Third Vote" => third_vote: ThirdVote = Kind::Words(ThirdVote::WORDS), default("witness"), since("Holdfast");
        /// The witness's address.
        "Address" => address: Option<NetAddress> = Kind::Net, example("10.3.0.8/24"), since("Holdfast");
        /// Where the witness is.
        "Data Centre" => data_centre: Option<String> = Kind::Ref(ResourceKind::DataCentre), alias(&["Data Center"]),
            example("dc3"), since("Holdfast");
        /// Port of `corosync-qnetd` there.
        "Port" => port: u16 = Kind::Port, default("5403"), since("Holdfast");
        /// Whether nodes and witness speak over TLS, with certificates of `corosync-qdevice-net-certutil`.
        "TLS" => tls: WitnessTls = Kind::Words(WitnessTls::WORDS), default("required"), since("Holdfast");
    }
}

impl Node {
    /// Addresses for heartbeats: those given, else service and replication address.
    #[must_use]
    pub fn heartbeat_addresses(&self) -> Vec<NetAddress> {
        if self.rings.is_empty() {
            return std::iter::once(self.address).chain(self.replication_address).collect();
        }
        self.rings.clone()
    }

    /// The levels of fencing that there are, the first to be tried first.
    #[must_use]
    pub fn fence_levels(&self) -> Vec<&[String]> {
        [&self.fence_level_1, &self.fence_level_2, &self.fence_level_3]
            .into_iter()
            .filter(|level| !level.is_empty())
            .map(Vec::as_slice)
            .collect()
    }
}
