//! What moves together, and on which disks: `Failover Domain`, `Replicated Device`.

use crate::net_address::NetAddress;
use crate::table::{Kind, ResourceKind, resource, word_enum};

word_enum! {
    /// File system of a replicated device.
    FileSystem {
        /// ext4.
        Ext4 = "ext4";
        /// XFS.
        Xfs = "xfs";
    }
}

word_enum! {
    /// Version of DRBD's kernel module.
    DrbdVersion {
        /// What Linux comes with.
        V8 = "8.4";
        /// LINBIT's.
        V9 = "9";
    }
}

resource! {
    /// The nodes among which services move together. Nodes that share a domain are one cluster.
    Domain = Domain "Failover Domain" ["Domain"] {
        /// Its nodes; put them in opposite data centres.
        "Node" => nodes: Vec<String> = Kind::RefList(ResourceKind::Node), required(), alias(&["Nodes"]), example("a, b"),
            since("Holdfast");
        /// Where the services are when all is well; where they happen to be when absent.
        "Preferred Node" => preferred_node: Option<String> = Kind::Ref(ResourceKind::Node), example("a"), since("Holdfast");
        /// Addresses that move with the services, in the network of each node's `Address`.
        "Floating Address" => floating_addresses: Vec<NetAddress> = Kind::NetList, example("10.1.0.100/24"),
            since("Holdfast");
        /// Round-trip time of the link between the nodes, in milliseconds; DRBD's timeouts follow from it.
        "Link Round Trip" => link_round_trip_ms: u32 = Kind::Uint, default("1"), since("Holdfast");
        /// How much the link carries; DRBD's resynchronization leaves a tenth of it to the services.
        "Link Speed" => link_speed: u64 = Kind::Speed, default("100 mb/s"), since("Holdfast");
    }
}

resource! {
    /// A block device that DRBD keeps the same on both nodes of a domain, and the file system on it.
    ReplicatedDevice = ReplicatedDevice "Replicated Device" {
        /// The domain with which it moves.
        "Domain" => domain: String = Kind::Ref(ResourceKind::Domain), required(), example("director"), since("Holdfast");
        /// Its number: `/dev/drbd0` is 0. No two of a node have the same.
        "Minor" => minor: u32 = Kind::Uint, required(), example("0"), since("Holdfast");
        /// TCP port of its replication; no two of a node have the same.
        "Port" => port: u16 = Kind::Port, required(), example("7789"), since("Holdfast");
        /// The disk below it, the same path on both nodes.
        "Backing Disk" => backing_disk: String = Kind::Path, required(), example("/dev/vg0/catalog"), since("Holdfast");
        /// Where DRBD keeps its own data: `internal` is the end of the backing disk.
        "Meta Disk" => meta_disk: String = Kind::Str, default("internal"), since("Holdfast");
        /// Where the file system is mounted.
        "Mount Point" => mount_point: String = Kind::Path, required(), example("/srv/catalog"), since("Holdfast");
        /// Kind of the file system.
        "File System" => file_system: FileSystem = Kind::Words(FileSystem::WORDS), default("ext4"), since("Holdfast");
        /// Options of `mount`.
        "Mount Options" => mount_options: String = Kind::Str, default("noatime"), since("Holdfast");
        /// Version of the kernel module; the syntax of its configuration differs.
        "DRBD Version" => drbd_version: DrbdVersion = Kind::Words(DrbdVersion::WORDS), default("8.4"), since("Holdfast");
        /// By which the two sides know each other. Without it whoever reaches the port may be the other side.
        "Shared Secret" => shared_secret: Option<String> = Kind::Str, example("\"change me\""), since("Holdfast");
    }
}
