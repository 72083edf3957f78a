//! `Client` and `Storage` as the Director knows them (spec/04 §2.4, §2.5).

use std::time::Duration;

use crate::table::{Kind, ResourceKind, resource};
use crate::value::{FromValue, Value};

resource! {
    /// A File Daemon.
    Client = Client "Client" ["FileDaemon"] with Tls {
        /// Host, or `|program` whose first line of output is the host.
        "Address" => address: Option<String> = Kind::Str, alias(&["FD Address"]), example("web1.example.org");
        /// Port.
        "FD Port" => fd_port: u32 = Kind::Uint, default("9102");
        /// Secret shared with the File Daemon.
        "Password" => password: String = Kind::Password, required(), alias(&["FD Password"]), example("\"fd-secret\"");
        /// Address of the Storage Daemon as this client sees it.
        "FD Storage Address" => fd_storage_address: Option<String> = Kind::Str;
        /// Catalog of its jobs.
        "Catalog" => catalog: String = Kind::Ref(ResourceKind::Catalog), required(), example("MyCatalog");
        /// How long file records are kept.
        "File Retention" => file_retention: Duration = Kind::Time, default("60 days");
        /// How long job records are kept.
        "Job Retention" => job_retention: Duration = Kind::Time, default("180 days");
        /// Prune jobs and files of this client after each of its jobs.
        "Auto Prune" => auto_prune: bool = Kind::Bool, default("yes");
        /// The Storage Daemon connects to the client instead of the other way round.
        "SD Calls Client" => sd_calls_client: bool = Kind::Bool, default("no");
        /// The client may call the Director.
        "Allow FD Connections" => allow_fd_connections: bool = Kind::Bool, default("no"), since("11"), pending();
        /// Jobs at once on this client.
        "Maximum Concurrent Jobs" => maximum_concurrent_jobs: u32 = Kind::Uint, default("1");
        /// Limit of its sending rate per job; 0 for none.
        "Maximum Bandwidth Per Job" => maximum_bandwidth_per_job: u64 = Kind::Speed, default("0");
        /// No: its scheduled jobs are skipped.
        "Enabled" => enabled: bool = Kind::Bool, default("yes");
        /// Interval of keep-alives.
        "Heartbeat Interval" => heartbeat_interval: Duration = Kind::Time, default("5 minutes");
        /// Age at which its snapshots are pruned.
        "Snapshot Retention" => snapshot_retention: Duration = Kind::Time, default("0"), pending();
    }
}

/// What `Autochanger =` of a Storage says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Changer {
    /// No changer.
    #[default]
    No,
    /// It is one.
    Yes,
    /// It belongs to the Storage of this name, most often itself.
    Of(String),
}

impl FromValue for Changer {
    fn from_value(value: Option<&Value>) -> Self {
        match value {
            Some(Value::Bool(true)) => Self::Yes,
            Some(Value::Text(name)) => Self::Of(name.clone()),
            _ => Self::No,
        }
    }
}

resource! {
    /// A Storage Daemon and one of its Devices or Autochangers.
    Storage = Storage "Storage" ["Autochanger"] with Tls {
        /// Host, for the Director and for clients.
        "Address" => address: String = Kind::Str, required(), alias(&["SD Address"]), example("sd1.example.org");
        /// Port.
        "SD Port" => sd_port: u32 = Kind::Uint, default("9103");
        /// Host for clients, where it differs.
        "FD Storage Address" => fd_storage_address: Option<String> = Kind::Str;
        /// Secret shared with the Storage Daemon.
        "Password" => password: String = Kind::Password, required(), alias(&["SD Password"]), example("\"sd-secret\"");
        /// Devices or Autochangers of the Storage Daemon, tried in order.
        "Device" => device: Vec<String> = Kind::StrList, required(), example("FileChgr1");
        /// Media Type of those Devices.
        "Media Type" => media_type: String = Kind::Str128, required(), example("File1");
        /// Whether it is a changer, or which Storage's.
        "Autochanger" => autochanger: Changer = Kind::Changer, default("no"), example("File1");
        /// Storage that shares its Volumes with this one.
        "Shared Storage" => shared_storage: Changer = Kind::Changer, default("no"), pending();
        /// No: software compression is taken out of FileSets.
        "Allow Compression" => allow_compression: bool = Kind::Bool, default("yes");
        /// Jobs at once on this Storage.
        "Maximum Concurrent Jobs" => maximum_concurrent_jobs: u32 = Kind::Uint, default("1");
        /// Of them, jobs that read; 0 for no limit.
        "Maximum Concurrent Read Jobs" => maximum_concurrent_read_jobs: u32 = Kind::Uint, default("0");
        /// Accepted for old files.
        "SDD Port" => sdd_port: u32 = Kind::Uint, default("0"), ignored();
        /// No: not used.
        "Enabled" => enabled: bool = Kind::Bool, default("yes");
        /// Interval of keep-alives.
        "Heartbeat Interval" => heartbeat_interval: Duration = Kind::Time, default("5 minutes");
        /// Storage whose place this one takes by `storage activate` (cold-spare.md).
        "Cold Spare For" => cold_spare_for: Option<String> = Kind::Ref(ResourceKind::Storage), since("Holdfast"), example("File1");
    }
    also {
        /// Warn when a Volume is larger.
        "Warning Volume Bytes" = Kind::Size, since("15"), pending();
    }
}

impl Storage {
    /// Whether it is, or belongs to, an autochanger.
    #[must_use]
    pub const fn is_autochanger(&self) -> bool {
        match self.autochanger {
            Changer::No => false,
            Changer::Yes | Changer::Of(_) => true,
        }
    }

    /// The host that clients are told.
    #[must_use]
    pub fn address_for_clients(&self) -> &str {
        self.fd_storage_address.as_deref().unwrap_or(&self.address)
    }
}
