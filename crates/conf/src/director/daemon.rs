//! The Director itself, its consoles, catalogs, counters and statistics (spec/04 §2.2, §2.3, §2.6, §2.10).

use std::time::Duration;

use crate::address::ListenAddress;
use crate::table::{Kind, ResourceKind, resource, word_enum};

resource! {
    /// The Director daemon: exactly one in its file.
    Director = Director "Director" with Tls {
        /// Where the daemon's own messages go.
        "Messages" => messages: Option<String> = Kind::Ref(ResourceKind::Messages), example("Daemon");
        /// Catalog for events of the daemon.
        "Catalog" => catalog: Option<String> = Kind::Ref(ResourceKind::Catalog), since("11");
        /// Port for consoles.
        "Dir Port" => dir_port: u16 = Kind::Port, default("9101"), local();
        /// The one address to listen at; all when absent.
        "Dir Address" => dir_address: Option<String> = Kind::Addr, example("127.0.0.1"), local();
        /// Several addresses to listen at; instead of Dir Port and Dir Address.
        "Dir Addresses" => dir_addresses: Vec<ListenAddress> = Kind::AddrBlock,
            example("{ ip = { addr = dir1.example.org; port = 9101 } }"), local();
        /// Address that outgoing connections come from.
        "Dir Source Address" => dir_source_address: Option<String> = Kind::Addr, local();
        /// File with the queries of the console's `query` command.
        "Query File" => query_file: String = Kind::Path, required(), example("/etc/bacula/scripts/query.sql"), local();
        /// Where state, bootstraps and mails in the making are kept; must exist.
        "Working Directory" => working_directory: String = Kind::Path, required(), example("/var/lib/bacula"), local();
        /// Accepted: no plugins are loaded.
        "Plugin Directory" => plugin_directory: Option<String> = Kind::Path, ignored(), local();
        /// Accepted: scripts are named by their paths.
        "Scripts Directory" => scripts_directory: Option<String> = Kind::Path, ignored(), local();
        /// Directory of the PID file.
        "Pid Directory" => pid_directory: String = Kind::Path, required(), example("/run/bacula"), local();
        /// Accepted for old files.
        "Subsys Directory" => subsys_directory: Option<String> = Kind::Path, ignored(), local();
        /// Jobs that run at once.
        "Maximum Concurrent Jobs" => maximum_concurrent_jobs: u32 = Kind::Uint, default("20");
        /// Accepted: a job keeps the configuration it started with for as long as it runs.
        "Maximum Reload Requests" => maximum_reload_requests: u32 = Kind::Uint, default("32"), ignored();
        /// Console sessions at once.
        "Maximum Console Connections" => maximum_console_connections: u32 = Kind::Uint, default("20");
        /// Password of the default console, which may do everything.
        "Password" => password: String = Kind::Password, required(), example("\"console-secret\"");
        /// How long connecting to a client is tried.
        "FD Connect Timeout" => fd_connect_timeout: Duration = Kind::Time, default("3 minutes");
        /// How long connecting to a Storage Daemon is tried.
        "SD Connect Timeout" => sd_connect_timeout: Duration = Kind::Time, default("30 minutes");
        /// Interval of keep-alives on idle connections; 0 for none.
        "Heartbeat Interval" => heartbeat_interval: Duration = Kind::Time, default("5 minutes");
        /// Master switch of automatic pruning.
        "Auto Prune" => auto_prune: bool = Kind::Bool, default("yes"), since("11");
        /// Age at which rows of JobHisto are pruned.
        "Statistics Retention" => statistics_retention: Duration = Kind::Time, default("1860 days");
        /// Age at which rows of Events are pruned.
        "Events Retention" => events_retention: Duration = Kind::Time, default("30 days"), since("11"), pending();
        /// Free text shown by `version`.
        "Ver Id" => ver_id: Option<String> = Kind::Str, pending();
        /// Accepted: compressed streams of peers are read whatever it says, none are sent.
        "Comm Compression" => comm_compression: bool = Kind::Bool, default("yes"), ignored();
        /// Free text shown in reports.
        "Customer Id" => customer_id: Option<String> = Kind::Str, since("15"), pending();
        /// Program that fetches the malware database.
        "Malware Database Command" => malware_database_command: Option<String> = Kind::Str, since("15"), pending();
        /// Limit of Job resources; 0 for none.
        "Maximum Jobs" => maximum_jobs: u32 = Kind::Uint, default("0"), since("15"), pending();
        /// Limit of Client resources; 0 for none.
        "Maximum Clients" => maximum_clients: u32 = Kind::Uint, default("0"), since("15"), pending();
        /// Limit of Storage resources; 0 for none.
        "Maximum Storages" => maximum_storages: u32 = Kind::Uint, default("0"), since("15"), pending();
        /// How far back runs that fell due while no Director was active are made up; 0 for not at all.
        "Missed Run Window" => missed_run_window: Duration = Kind::Time, default("1 day"), since("Holdfast");
        /// As a standby, take the configuration files of the active instance over ([cluster.md](cluster.md)).
        "Replicate Configuration" => replicate_configuration: bool = Kind::Bool, default("no"), since("Holdfast");
    }
}

impl Director {
    /// Where consoles connect to.
    #[must_use]
    pub fn listen(&self) -> Vec<ListenAddress> {
        crate::address::listen(&self.dir_addresses, self.dir_address.as_ref(), self.dir_port)
    }
}

resource! {
    /// A restricted console: it may use only what its access lists name.
    Console = Console "Console" with Tls {
        /// Password of the console of this name.
        "Password" => password: String = Kind::Password, required(), example("\"operator-secret\"");
        /// Jobs it may use; `*all*` for all; nothing when absent.
        "Job ACL" => job_acl: Vec<String> = Kind::Acl, example("*all*");
        /// Clients it may use for backup and restore.
        "Client ACL" => client_acl: Vec<String> = Kind::Acl, example("dc1-web-fd");
        /// Storages it may use.
        "Storage ACL" => storage_acl: Vec<String> = Kind::Acl;
        /// Schedules it may use.
        "Schedule ACL" => schedule_acl: Vec<String> = Kind::Acl;
        /// Pools it may use.
        "Pool ACL" => pool_acl: Vec<String> = Kind::Acl;
        /// FileSets it may use.
        "FileSet ACL" => fileset_acl: Vec<String> = Kind::Acl;
        /// Catalogs it may use.
        "Catalog ACL" => catalog_acl: Vec<String> = Kind::Acl;
        /// Console commands it may give, dot commands among them.
        "Command ACL" => command_acl: Vec<String> = Kind::Acl, example("status, .status");
        /// Accepted for old files.
        "Run ACL" => run_acl: Vec<String> = Kind::Acl, ignored();
        /// Values of `where` and `regexwhere` it may restore to; an empty list permits only restores without.
        "Where ACL" => where_acl: Vec<String> = Kind::Acl;
        /// Clients it may restore to.
        "Restore Client ACL" => restore_client_acl: Vec<String> = Kind::Acl;
        /// Clients it may back up.
        "Backup Client ACL" => backup_client_acl: Vec<String> = Kind::Acl;
        /// Plugin options it may give.
        "Plugin Options ACL" => plugin_options_acl: Vec<String> = Kind::Acl;
        /// Users and groups whose files it sees in the restore tree.
        "User Id ACL" => user_id_acl: Vec<String> = Kind::Acl, since("11"), pending();
        /// Directories it sees in the restore tree.
        "Directory ACL" => directory_acl: Vec<String> = Kind::Acl, pending();
        /// Plugin for a further login dialogue.
        "Authentication Plugin" => authentication_plugin: Option<String> = Kind::Str, since("11"), pending();
        /// Reserved.
        "Authorization Plugin" => authorization_plugin: Option<String> = Kind::Str, since("13"), pending();
    }
}

resource! {
    /// A catalog database.
    Catalog = Catalog "Catalog" {
        /// Host of a PostgreSQL server, or directory of its socket; several with commas, each with `:port` where it differs.
        /// The one that can be written is used.
        "DB Address" => db_address: Option<String> = Kind::Str, alias(&["Address"]), example("\"db1, db2\"");
        /// Password for PostgreSQL, in the clear; SQLite has none.
        "DB Password" => db_password: Option<String> = Kind::Str, alias(&["Password"]);
        /// User for PostgreSQL; SQLite has none.
        "DB User" => db_user: Option<String> = Kind::Str, alias(&["User"]);
        /// Name of the database; with SQLite the base name of the file in the Working Directory.
        "DB Name" => db_name: String = Kind::Str, required(), example("bacula");
        /// The database: `SQLite3` or `PostgreSQL`. When absent: PostgreSQL if an address, a port, a user or a password is
        /// given, else SQLite.
        "DB Driver" => db_driver: Option<String> = Kind::Str, example("PostgreSQL");
        /// Socket of a MySQL server.
        "DB Socket" => db_socket: Option<String> = Kind::Str, ignored();
        /// TLS of the connection to PostgreSQL: `disable`, `prefer`, `require`, `verify-ca` or `verify-full`.
        "DB SSL Mode" => db_ssl_mode: Option<String> = Kind::Str, example("verify-full");
        /// Key for the connection to PostgreSQL.
        "DB SSL Key" => db_ssl_key: Option<String> = Kind::Str;
        /// Certificate for the connection to PostgreSQL.
        "DB SSL Cert" => db_ssl_cert: Option<String> = Kind::Str;
        /// Authority for the connection to PostgreSQL.
        "DB SSL CA" => db_ssl_ca: Option<String> = Kind::Str;
        /// MySQL only.
        "DB SSL CA Path" => db_ssl_ca_path: Option<String> = Kind::Str, ignored();
        /// A connection of its own for each job: always so here.
        "Multiple Connections" => multiple_connections: bool = Kind::Bool, default("no"), ignored();
        /// Attribute rows one by one: the way rows go in is chosen by measurement here.
        "Disable Batch Insert" => disable_batch_insert: bool = Kind::Bool, default("no"), ignored();
        /// Port of the PostgreSQL server.
        "DB Port" => db_port: u32 = Kind::Uint, default("0");
    }
}

/// The kinds of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// A file in the Working Directory.
    Sqlite,
    /// A server.
    Postgres,
}

impl Driver {
    /// The driver of a word of `DB Driver`; none for others than these two.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().trim_start_matches("dbi:") {
            "sqlite" | "sqlite3" => Some(Self::Sqlite),
            "postgresql" | "postgres" => Some(Self::Postgres),
            _ => None,
        }
    }
}

impl Catalog {
    /// Which database it is. Bacula's Directors have one built in, so that many configurations do not say: whoever names a
    /// server or an account on one means it, since SQLite has neither.
    #[must_use]
    pub fn driver(&self) -> Driver {
        let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        match self.db_driver.as_deref().filter(|word| !word.is_empty()) {
            Some(word) => Driver::parse(word).unwrap_or(Driver::Sqlite),
            None if given(&self.db_address)
                || given(&self.db_user)
                || given(&self.db_password)
                || self.db_port != 0 =>
            {
                Driver::Postgres
            }
            None => Driver::Sqlite,
        }
    }
}

resource! {
    /// A counter for names of Volumes.
    Counter = Counter "Counter" {
        /// First value.
        "Minimum" => minimum: i32 = Kind::Int, default("0");
        /// Last value; the next one is Minimum again.
        "Maximum" => maximum: u32 = Kind::Uint, default("2147483647");
        /// Counter to step when this one starts over.
        "Wrap Counter" => wrap_counter: Option<String> = Kind::Ref(ResourceKind::Counter);
        /// Catalog that keeps the value.
        "Catalog" => catalog: Option<String> = Kind::Ref(ResourceKind::Catalog);
    }
}

word_enum! {
    /// Where statistics go.
    StatisticsType {
        /// A file of comma separated values.
        Csv = "CSV";
        /// A Graphite server.
        Graphite = "Graphite";
    }
}

resource! {
    /// Collects statistics of the daemon.
    Statistics = Statistics "Statistics", pending {
        /// Where they go.
        "Type" => kind: StatisticsType = Kind::Words(StatisticsType::WORDS), required(), example("CSV");
        /// How often.
        "Interval" => interval: Duration = Kind::Time, default("5 minutes");
        /// Words before each metric's name.
        "Prefix" => prefix: Option<String> = Kind::Str;
        /// Metrics to take: globs, `!` excludes.
        "Metrics" => metrics: Vec<String> = Kind::StrList;
        /// Graphite host.
        "Host" => host: Option<String> = Kind::Str;
        /// Graphite port.
        "Port" => port: u16 = Kind::Port, default("2003");
        /// CSV file.
        "File" => file: Option<String> = Kind::Path;
        /// Replace blanks and dots in names.
        "Mangle Metric" => mangle_metric: bool = Kind::Bool, default("no");
    }
}
