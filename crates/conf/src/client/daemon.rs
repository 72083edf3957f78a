//! Resources of the File Daemon.

use std::time::Duration;

use crate::address::ListenAddress;
use crate::schedule::RunLine;
use crate::table::{Kind, ResourceKind, resource, word_enum};

word_enum! {
    /// Cipher of encrypted backups.
    PkiCipher {
        /// AES with 128 bits.
        Aes128 = "aes128";
        /// AES with 192 bits.
        Aes192 = "aes192";
        /// AES with 256 bits.
        Aes256 = "aes256";
        /// Blowfish.
        Blowfish = "blowfish";
    }
}

word_enum! {
    /// Digest of signed backups.
    PkiDigest {
        /// MD5.
        Md5 = "md5";
        /// SHA-1.
        Sha1 = "sha1";
        /// SHA-256.
        Sha256 = "sha256";
    }
}

resource! {
    /// The File Daemon: exactly one in its file.
    FileDaemon = Client "FileDaemon" ["Client"] with Tls {
        /// Port.
        "FD Port" => fd_port: u16 = Kind::Port, default("9102");
        /// The one address to listen at; all when absent.
        "FD Address" => fd_address: Option<String> = Kind::Addr;
        /// Several addresses to listen at; instead of FD Port and FD Address.
        "FD Addresses" => fd_addresses: Vec<ListenAddress> = Kind::AddrBlock;
        /// Address that outgoing connections come from.
        "FD Source Address" => fd_source_address: Option<String> = Kind::Addr;
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
        /// Where messages go that belong to no job.
        "Messages" => messages: Option<String> = Kind::Ref(ResourceKind::Messages), pending();
        /// Jobs at once.
        "Maximum Concurrent Jobs" => maximum_concurrent_jobs: u32 = Kind::Uint, default("20"), pending();
        /// Accepted: buffers have the size that was measured to be best.
        "Maximum Network Buffer Size" => maximum_network_buffer_size: u32 = Kind::Uint, default("0"), ignored();
        /// How long connecting to a Storage Daemon is tried.
        "SD Connect Timeout" => sd_connect_timeout: Duration = Kind::Time, default("30 minutes");
        /// Interval of keep-alives.
        "Heartbeat Interval" => heartbeat_interval: Duration = Kind::Time, default("5 minutes");
        /// Limit of the sending rate per job; 0 for none.
        "Maximum Bandwidth Per Job" => maximum_bandwidth_per_job: u64 = Kind::Speed, default("0");
        /// Accepted: compressed streams of peers are read whatever it says, none are sent.
        "Comm Compression" => comm_compression: bool = Kind::Bool, default("yes"), ignored();
        /// Commands refused to all Directors.
        "Disable Command" => disable_command: Vec<String> = Kind::StrList, example("setdebug");
        /// Program that makes snapshots.
        "Snapshot Command" => snapshot_command: Option<String> = Kind::Str, pending();
        /// Free text shown by `status`.
        "Ver Id" => ver_id: Option<String> = Kind::Str, pending();
        /// Fails a job after so many errors; 0 for no limit.
        "Maximum Job Error Count" => maximum_job_error_count: u32 = Kind::Uint, default("1000"), since("11"), pending();
        /// Polls the Storage Daemon every so many packets; 0 for never.
        "SD Packet Check" => sd_packet_check: u32 = Kind::Uint, default("0"), since("11"), pending();
        /// How long a job that lost its Director keeps its messages and end line for the next one.
        "Director Reconnect Time" => director_reconnect_time: Duration = Kind::Time, default("30 minutes"), since("Holdfast"), pending();
        /// Sign backups.
        "PKI Signatures" => pki_signatures: bool = Kind::Bool, default("no"), pending();
        /// Encrypt backups.
        "PKI Encryption" => pki_encryption: bool = Kind::Bool, default("no"), pending();
        /// PEM file with our key and certificate.
        "PKI Key Pair" => pki_key_pair: Option<String> = Kind::Path, pending();
        /// Further certificates accepted for signatures.
        "PKI Signer" => pki_signers: Vec<String> = Kind::StrList, pending();
        /// Certificates that can decrypt too.
        "PKI Master Key" => pki_master_keys: Vec<String> = Kind::StrList, pending();
        /// Cipher of encrypted backups.
        "PKI Cipher" => pki_cipher: Option<PkiCipher> = Kind::Words(PkiCipher::WORDS), pending();
        /// Digest of signed backups.
        "PKI Digest" => pki_digest: Option<PkiDigest> = Kind::Words(PkiDigest::WORDS), pending();
        /// Directories that may be backed up; all when absent.
        "Allowed Backup Directories" => allowed_backup_directories: Vec<String> = Kind::StrList, since("15"), pending();
        /// Directories that may not be backed up.
        "Excluded Backup Directories" => excluded_backup_directories: Vec<String> = Kind::StrList, since("15"), pending();
        /// Directories that may be restored to; all when absent.
        "Allowed Restore Directories" => allowed_restore_directories: Vec<String> = Kind::StrList, since("15"), pending();
        /// Directories that scripts may be in; all when absent.
        "Allowed Script Directories" => allowed_script_directories: Vec<String> = Kind::StrList, since("15"), pending();
        /// User that backups run as.
        "Backup Job User" => backup_job_user: Option<String> = Kind::Str, since("15"), pending();
        /// User that restores run as.
        "Restore Job User" => restore_job_user: Option<String> = Kind::Str, since("15"), pending();
    }
}

impl FileDaemon {
    /// Where Directors connect to.
    #[must_use]
    pub fn listen(&self) -> Vec<ListenAddress> {
        crate::address::listen(&self.fd_addresses, self.fd_address.as_ref(), self.fd_port)
    }
}

resource! {
    /// A Director that may use this File Daemon.
    Director = Director "Director" with Tls {
        /// Secret shared with it.
        "Password" => password: String = Kind::Password, required(), example("\"fd-secret\"");
        /// Yes: it may only ask for the status.
        "Monitor" => monitor: bool = Kind::Bool, default("no");
        /// Limit of the rate of its jobs; 0 for none.
        "Maximum Bandwidth Per Job" => maximum_bandwidth_per_job: u64 = Kind::Speed, default("0");
        /// Commands refused to this Director.
        "Disable Command" => disable_command: Vec<String> = Kind::StrList;
        /// Its address, for calls to it.
        "Address" => address: Option<String> = Kind::Str, pending();
        /// Its port, for calls to it.
        "Dir Port" => dir_port: u32 = Kind::Uint, default("9101"), since("11"), pending();
        /// May run jobs by console proxy.
        "Remote" => remote: bool = Kind::Bool, default("no"), pending();
        /// Console to call it with.
        "Console" => console: Option<String> = Kind::Ref(ResourceKind::Console), pending();
        /// The File Daemon opens the connection.
        "Connect To Director" => connect_to_director: bool = Kind::Bool, default("no"), since("11"), pending();
        /// When it does.
        "Schedule" => schedule: Option<String> = Kind::Ref(ResourceKind::Schedule), since("11"), pending();
        /// Renews an idle connection after this.
        "Reconnection Time" => reconnection_time: Duration = Kind::Time, default("45 minutes"), since("11"), pending();
        /// How long a call to it may take.
        "Max Connect Time" => max_connect_time: Duration = Kind::Time, default("0"), since("15"), pending();
    }
}

resource! {
    /// A console of a Director, for the File Daemon's calls.
    Console = Console "Console" with Tls {
        /// Password of the console.
        "Password" => password: String = Kind::Password, required(), example("\"operator-secret\"");
        /// The Director's address.
        "Address" => address: Option<String> = Kind::Str;
        /// The Director's port.
        "Dir Port" => dir_port: u32 = Kind::Uint, default("9101");
    }
}

resource! {
    /// When the File Daemon keeps a connection to its Director.
    Schedule = Schedule "Schedule", pending {
        /// Times, as in a Run line without overrides.
        "Connect" => connect: Vec<RunLine> = Kind::Run, example("mon-fri at 8:00");
        /// No: not used.
        "Enabled" => enabled: bool = Kind::Bool, default("yes");
    }
}
