//! What runs in the domains: `Director`, `Catalog`, `Storage`.

use std::time::Duration;

use crate::net_address::NetAddress;
use crate::table::{Kind, ResourceKind, resource};

resource! {
    /// A Director: active on one node of its domain, standby on the others. Its name is that of the Director's own file.
    Director = Director "Director" {
        /// Its domain; with the Catalog's it moves together with its catalog.
        "Domain" => domain: String = Kind::Ref(ResourceKind::Domain), required(), example("director"), since("Holdfast");
        /// Its configuration, on every node's own disk: a standby reads it too.
        "Config File" => config_file: String = Kind::Path, default("/etc/bacula/bacula-dir.conf"), since("Holdfast");
        /// Its port.
        "Dir Port" => dir_port: u16 = Kind::Port, default("9101"), since("Holdfast");
        /// User that it runs as.
        "User" => user: String = Kind::Str, default("bacula"), since("Holdfast");
        /// Group that it runs as.
        "Group" => group: String = Kind::Str, default("bacula"), since("Holdfast");
    }
}

resource! {
    /// A PostgreSQL server with the catalog of the Directors.
    Catalog = Catalog "Catalog" {
        /// Its domain.
        "Domain" => domain: String = Kind::Ref(ResourceKind::Domain), required(), example("director"), since("Holdfast");
        /// Where its data are; with the engine Pacemaker on a Replicated Device of the domain.
        "Data Directory" => data_directory: String = Kind::Path, required(), example("/srv/catalog/data"), since("Holdfast");
        /// Its port.
        "Port" => port: u16 = Kind::Port, default("5432"), since("Holdfast");
        /// Major version of PostgreSQL.
        "PostgreSQL Version" => postgresql_version: u32 = Kind::Uint, default("15"), since("Holdfast");
        /// Name of the database.
        "DB Name" => db_name: String = Kind::Str, default("bacula"), since("Holdfast");
        /// Its owner, as whom Directors connect.
        "DB User" => db_user: String = Kind::Str, default("bacula"), since("Holdfast");
        /// Networks and hosts, besides the nodes of the Directors, from which the owner may connect.
        "Allow" => allow: Vec<NetAddress> = Kind::NetList, example("10.1.0.0/24"), since("Holdfast");
        /// Password of the role that replicates (engines Patroni and Lease); a placeholder is rendered when absent.
        "Replication Password" => replication_password: Option<String> = Kind::Str, example("\"change me\""), since("Holdfast");
        /// Password of the superuser (engine Patroni); a placeholder is rendered when absent.
        "Superuser Password" => superuser_password: Option<String> = Kind::Str, example("\"change me\""), since("Holdfast");
        /// After how long without a word of its leader Patroni promotes the replica; 20 seconds or more outside of tests.
        "Patroni TTL" => patroni_ttl: Duration = Kind::Time, default("20 seconds"), since("Holdfast");
    }
}

resource! {
    /// A Storage Daemon: in a domain, with which it moves together with its Volumes, or at one node.
    Storage = Storage "Storage" {
        /// Its domain.
        "Domain" => domain: Option<String> = Kind::Ref(ResourceKind::Domain), example("storage"), since("Holdfast");
        /// Its node, when it does not move.
        "Node" => node: Option<String> = Kind::Ref(ResourceKind::Node), example("c"), since("Holdfast");
        /// The Storage whose place it takes when that is lost ([cold-spare.md](cold-spare.md)).
        "Cold Spare For" => cold_spare_for: Option<String> = Kind::Ref(ResourceKind::Storage), example("sd1"),
            since("Holdfast");
        /// Its configuration, on every node's own disk.
        "Config File" => config_file: String = Kind::Path, default("/etc/bacula/bacula-sd.conf"), since("Holdfast");
        /// Its port.
        "SD Port" => sd_port: u16 = Kind::Port, default("9103"), since("Holdfast");
        /// User that it runs as.
        "User" => user: String = Kind::Str, default("bacula"), since("Holdfast");
        /// Group that it runs as.
        "Group" => group: String = Kind::Str, default("tape"), since("Holdfast");
    }
}
