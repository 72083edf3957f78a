//! The Storage Daemon itself and the Directors it serves.

use std::time::Duration;

use crate::address::ListenAddress;
use crate::table::{Kind, ResourceKind, resource, word_enum};

word_enum! {
    /// Layout of blocks on Volumes.
    VolumeFormat {
        /// Bacula 9.6 to 13; every version reads it.
        Bb02 = "BB02";
        /// Bacula 15.
        Bb03 = "BB03";
    }
}

resource! {
    /// The Storage Daemon: exactly one in its file.
    Storage = Storage "Storage" with Tls {
        /// Port.
        "SD Port" => sd_port: u16 = Kind::Port, default("9103");
        /// The one address to listen at; all when absent.
        "SD Address" => sd_address: Option<String> = Kind::Addr;
        /// Several addresses to listen at; instead of SD Port and SD Address.
        "SD Addresses" => sd_addresses: Vec<ListenAddress> = Kind::AddrBlock;
        /// Where messages go that belong to no job.
        "Messages" => messages: Option<String> = Kind::Ref(ResourceKind::Messages), pending();
        /// Where state is kept; must exist.
        "Working Directory" => working_directory: String = Kind::Path, required(), example("/var/lib/bacula");
        /// Directory of the PID file.
        "Pid Directory" => pid_directory: String = Kind::Path, required(), example("/run/bacula");
        /// Accepted for old files.
        "Subsys Directory" => subsys_directory: Option<String> = Kind::Path, ignored();
        /// Accepted: no plugins are loaded.
        "Plugin Directory" => plugin_directory: Option<String> = Kind::Path, ignored();
        /// Accepted: scripts are named by their paths.
        "Scripts Directory" => scripts_directory: Option<String> = Kind::Path, ignored();
        /// Jobs at once.
        "Maximum Concurrent Jobs" => maximum_concurrent_jobs: u32 = Kind::Uint, default("20");
        /// How long a job waits for its client.
        "Client Connect Wait" => client_connect_wait: Duration = Kind::Time, default("30 minutes");
        /// How long connecting to a client is tried.
        "Client Connect Timeout" => client_connect_timeout: Duration = Kind::Time, default("30 minutes");
        /// Interval of keep-alives.
        "Heartbeat Interval" => heartbeat_interval: Duration = Kind::Time, default("5 minutes");
        /// Free text shown by `status`.
        "Ver Id" => ver_id: Option<String> = Kind::Str, pending();
        /// Accepted: compressed streams of peers are read whatever it says, none are sent.
        "Comm Compression" => comm_compression: bool = Kind::Bool, default("yes"), ignored();
        /// Layout of blocks on new Volumes: BB02, which every version reads, or BB03 of Bacula 15.
        "Volume Format" => volume_format: VolumeFormat = Kind::Words(VolumeFormat::WORDS), default("BB02"), since("Holdfast");
        /// Where job and Volume journals are kept; beside the Volumes of the first file Device when absent.
        "Journal Directory" => journal_directory: Option<String> = Kind::Path, since("Holdfast");
        /// How long the journal of a finished job is kept.
        "Journal Retention" => journal_retention: Duration = Kind::Time, default("7 days"), since("Holdfast");
        /// Limit of the kept journals of finished jobs; the oldest go first, never one that is not acknowledged.
        "Journal Retention Bytes" => maximum_journal_bytes: u64 = Kind::Size, default("1G"), alias(&["Maximum Journal Bytes"]),
            since("Holdfast");
        /// Time between checkpoints of a running job.
        "Checkpoint Interval" => checkpoint_interval: Duration = Kind::Time, default("10 seconds"), since("Holdfast");
        /// Bytes between checkpoints of a running job.
        "Checkpoint Bytes" => checkpoint_bytes: u64 = Kind::Size, default("1G"), since("Holdfast");
        /// How long a job that lost its Director waits for one to take it up.
        "Director Reconnect Time" => director_reconnect_time: Duration = Kind::Time, default("30 minutes"), since("Holdfast");
        /// Program that gives keys of encrypted Volumes.
        "Encryption Command" => encryption_command: Option<String> = Kind::Str, since("15"), pending();
    }
}

impl Storage {
    /// Where Directors and clients connect to.
    #[must_use]
    pub fn listen(&self) -> Vec<ListenAddress> {
        crate::address::listen(&self.sd_addresses, self.sd_address.as_ref(), self.sd_port)
    }
}

resource! {
    /// A Director that may use this Storage Daemon.
    Director = Director "Director" with Tls {
        /// Secret shared with it.
        "Password" => password: String = Kind::Password, required(), example("\"sd-secret\"");
        /// Yes: it may only ask for the status.
        "Monitor" => monitor: bool = Kind::Bool, default("no");
        /// Accepted: limit of the rate of its jobs.
        "Maximum Bandwidth Per Job" => maximum_bandwidth_per_job: u64 = Kind::Speed, default("0"), pending();
    }
}
