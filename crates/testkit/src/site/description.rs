//! What a site shall be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::database::Kind;
use super::{Role, Site};
use crate::bmc::Bmc;
use crate::network::Line;

/// Whose program stands in a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Maker {
    /// The `holdfast` binary of this build.
    #[default]
    Holdfast,
    /// Debian 12's Bacula 9.6.7.
    Bacula9,
    /// Debian 13's Bacula 15.0.3; File Daemon and console only.
    Bacula15,
}

impl Maker {
    /// Whether the program is not ours.
    #[must_use]
    pub const fn is_bacula(self) -> bool {
        match self {
            Self::Holdfast => false,
            Self::Bacula9 | Self::Bacula15 => true,
        }
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Description {
    pub(crate) director: Maker,
    pub(crate) storage: Maker,
    pub(crate) far_storage: Option<Maker>,
    pub(crate) cold_spare: bool,
    pub(crate) client: Maker,
    pub(crate) console: Maker,
    pub(crate) files: Vec<String>,
    pub(crate) blocks: Vec<String>,
    pub(crate) options: Vec<String>,
    pub(crate) excludes: Vec<String>,
    pub(crate) job: Vec<String>,
    pub(crate) pool: Vec<String>,
    pub(crate) device: Vec<String>,
    pub(crate) director_resource: Vec<String>,
    pub(crate) client_resource: Vec<String>,
    pub(crate) file_daemon: Vec<String>,
    pub(crate) storage_daemon: Vec<String>,
    pub(crate) extra: Vec<String>,
    pub(crate) instances: Vec<String>,
    pub(crate) cluster: Vec<String>,
    pub(crate) fence_devices: BTreeMap<String, String>,
    pub(crate) own_files: bool,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) folder: Option<PathBuf>,
    pub(crate) quiet: bool,
    pub(crate) database: Kind,
    pub(crate) known_bugs: Vec<String>,
    pub(crate) jobs_at_once: Option<u32>,
    pub(crate) network: bool,
    pub(crate) hosts: Vec<String>,
    pub(crate) managed: bool,
    pub(crate) library: bool,
    pub(crate) virtual_tapes: bool,
    pub(crate) lone_drive: bool,
    pub(crate) far: Option<(Vec<String>, Line)>,
}

/// `postgresql` gives every site with a Director of ours its catalog on a private server.
const CATALOG_VARIABLE: &str = "HOLDFAST_TEST_CATALOG";

impl Description {
    pub(crate) fn maker(&self, role: Role) -> Maker {
        match role {
            Role::FarStorage => self.far_storage.unwrap_or_default(),
            Role::Director => self.director,
            Role::Storage => self.storage,
            Role::Client => self.client,
        }
    }

    /// Where the catalog is.
    pub(crate) fn database(&self) -> Kind {
        let is_wanted = std::env::var(CATALOG_VARIABLE).is_ok_and(|name| name == "postgresql");
        let is_server = self.database == Kind::Either && is_wanted && !self.director.is_bacula();
        if is_server { Kind::Server } else { self.database }
    }
}

/// Describes a [`Site`].
#[derive(Debug, Clone, Default)]
pub struct Builder(Description);

impl Builder {
    /// Who makes all four positions.
    #[must_use]
    pub const fn all(mut self, maker: Maker) -> Self {
        self.0.director = maker;
        self.0.storage = maker;
        self.0.client = maker;
        self.0.console = maker;
        self
    }

    /// Who makes the Director.
    #[must_use]
    pub const fn director(mut self, maker: Maker) -> Self {
        self.0.director = maker;
        self
    }

    /// Who makes the Storage Daemon.
    #[must_use]
    pub const fn storage(mut self, maker: Maker) -> Self {
        self.0.storage = maker;
        self
    }

    /// Gives the Storage Daemon a disk changer of two drives and six slots, which the Director has as the Storage `Lib`.
    #[must_use]
    pub const fn library(mut self) -> Self {
        self.0.library = true;
        self
    }

    /// The same, with virtual tapes in the slots for our Storage Daemon too; for stock ones they always are.
    #[must_use]
    pub const fn library_of_tapes(mut self) -> Self {
        self.0.virtual_tapes = true;
        self.library()
    }

    /// Gives the Storage Daemon a drive for virtual tapes without a changer, which the Director has as the Storage `Drive`. The tape in it is
    /// [`Site::tape_in_drive`].
    #[must_use]
    pub const fn lone_drive(mut self) -> Self {
        self.0.lone_drive = true;
        self
    }

    /// Adds a second Storage Daemon, and who makes it. The Director has it as the Storage `Far` with a Pool `Far` whose Volumes are
    /// `Far-0001`, …
    #[must_use]
    pub const fn far_storage(mut self, maker: Maker) -> Self {
        self.0.far_storage = Some(maker);
        self
    }

    /// Adds a second Storage Daemon of ours as the Storage `Spare`, the cold spare of `File1`.
    #[must_use]
    pub const fn cold_spare(mut self) -> Self {
        self.0.cold_spare = true;
        self.far_storage(Maker::Holdfast)
    }

    /// Who makes the File Daemon.
    #[must_use]
    pub const fn client(mut self, maker: Maker) -> Self {
        self.0.client = maker;
        self
    }

    /// Who makes the console.
    #[must_use]
    pub const fn console(mut self, maker: Maker) -> Self {
        self.0.console = maker;
        self
    }

    /// Puts the catalog on a private server of PostgreSQL; the environment's `HOLDFAST_TEST_CATALOG=postgresql` does so for
    /// every site whose Director is ours.
    #[must_use]
    pub const fn postgres(mut self) -> Self {
        self.0.database = Kind::Server;
        self
    }

    /// Keeps the catalog in a file (SQLite), whatever the environment says: for what is so by construction of that catalog alone,
    /// a lock of the host, or a copy of the file.
    #[must_use]
    pub const fn embedded(mut self) -> Self {
        self.0.database = Kind::Embedded;
        self
    }

    /// As [`Self::postgres`], with a synchronous replica ([`Site::fail_over_catalog`]).
    ///
    /// [`Site::fail_over_catalog`]: super::Site::fail_over_catalog
    #[must_use]
    pub const fn postgres_pair(mut self) -> Self {
        self.0.database = Kind::Pair;
        self
    }

    /// As [`Self::postgres_pair`], under Patroni.
    #[must_use]
    pub const fn patroni(mut self) -> Self {
        self.0.database = Kind::Patroni;
        self
    }

    /// As [`Self::postgres`], on a [disk](crate::disk) of the instances' nodes: whoever [manages](Self::managed) them starts the server where the disk is.
    #[must_use]
    pub const fn postgres_on_disk(mut self) -> Self {
        self.0.database = Kind::Disk;
        self
    }

    /// Adds a path to back up (a `File =` line of the FileSet).
    #[must_use]
    pub fn tree(self, path: impl Into<PathBuf>) -> Self {
        let path: PathBuf = path.into();
        let quoted = format!("\"{}\"", path.display());
        self.file(quoted)
    }

    /// Adds the text of a `File =` line as it is: `"\\|command"`, `"\\<list"`, …
    #[must_use]
    pub fn file(mut self, text: impl Into<String>) -> Self {
        self.0.files.push(text.into());
        self
    }

    /// Adds a line to the first Options block of the FileSet (`signature = MD5` is there unless a line names one).
    #[must_use]
    pub fn option(mut self, line: impl Into<String>) -> Self {
        self.0.options.push(line.into());
        self
    }

    /// Adds a whole Options block to the FileSet, before the first.
    #[must_use]
    pub fn options_block(mut self, text: impl Into<String>) -> Self {
        self.0.blocks.push(text.into());
        self
    }

    /// Adds a path to the FileSet's Exclude.
    #[must_use]
    pub fn exclude(mut self, path: impl Into<String>) -> Self {
        self.0.excludes.push(path.into());
        self
    }

    /// Adds a line to the Job `Backup`.
    #[must_use]
    pub fn job(mut self, line: impl Into<String>) -> Self {
        self.0.job.push(line.into());
        self
    }

    /// Adds a line to the Pool `File`.
    #[must_use]
    pub fn pool(mut self, line: impl Into<String>) -> Self {
        self.0.pool.push(line.into());
        self
    }

    /// Adds a line to both Devices.
    #[must_use]
    pub fn device(mut self, line: impl Into<String>) -> Self {
        self.0.device.push(line.into());
        self
    }

    /// Adds a line to the Director resource of the Director's file.
    #[must_use]
    pub fn director_resource(mut self, line: impl Into<String>) -> Self {
        self.0.director_resource.push(line.into());
        self
    }

    /// Adds a line to the Client resource of the Director's file.
    #[must_use]
    pub fn client_resource(mut self, line: impl Into<String>) -> Self {
        self.0.client_resource.push(line.into());
        self
    }

    /// Adds a line to the FileDaemon resource of the client's file.
    #[must_use]
    pub fn file_daemon(mut self, line: impl Into<String>) -> Self {
        self.0.file_daemon.push(line.into());
        self
    }

    /// Adds a line to the Storage resource of the Storage Daemon's file.
    #[must_use]
    pub fn storage_daemon(mut self, line: impl Into<String>) -> Self {
        self.0.storage_daemon.push(line.into());
        self
    }

    /// Adds a line to the Storage resource of the Storage Daemon's file when that daemon is Holdfast's.
    #[must_use]
    pub fn storage_daemon_if_ours(self, line: impl Into<String>) -> Self {
        if self.0.storage.is_bacula() { self } else { self.storage_daemon(line) }
    }

    /// Adds whole resources to the Director's file. The Job defaults are the JobDefs `Defaults`.
    #[must_use]
    pub fn extra(mut self, text: impl Into<String>) -> Self {
        self.0.extra.push(text.into());
        self
    }

    /// Makes the Director a cluster of instances of these names, all of them on this machine. The first is started first.
    #[must_use]
    pub fn instances(mut self, names: &[&str]) -> Self {
        self.0.instances = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// Gives each instance configuration files of its own ([`Site::instance_file`]): what [`Builder::extra`] adds is in `extra.conf`,
    /// which the Director's file includes by a relative name.
    #[must_use]
    pub const fn own_files(mut self) -> Self {
        self.0.own_files = true;
        self
    }

    /// Adds a line to the Cluster resource.
    #[must_use]
    pub fn cluster(mut self, line: impl Into<String>) -> Self {
        self.0.cluster.push(line.into());
        self
    }

    /// Gives an instance the board of its machine: a Fence Device with the agent `fence_ipmilan`. What the board powers is to be
    /// said when the instance runs ([`Bmc::powers`]).
    ///
    /// [`Bmc::powers`]: crate::bmc::Bmc::powers
    #[must_use]
    pub fn board(self, instance: &str, board: &Bmc) -> Self {
        self.board_through(instance, board, Path::new("fence_ipmilan"))
    }

    /// As [`Builder::board`], with an agent of its own.
    #[must_use]
    pub fn board_through(mut self, instance: &str, board: &Bmc, agent: &Path) -> Self {
        let device = format!("board-{instance}");
        let options: String =
            board.options().iter().map(|option| format!("  Option = \"{option}\"\n")).collect();
        self.0.fence_devices.insert(instance.to_owned(), device.clone());
        self.extra(format!(
            "Fence Device {{\n  Name = {device}\n  Agent = \"{}\"\n  Retries = 0\n  Timeout = 20 seconds\n{options}}}",
            agent.display()
        ))
    }

    /// Lets so many jobs run at once, everywhere (otherwise 20 of a Director, 10 of a Client and of a Storage).
    #[must_use]
    pub const fn jobs_at_once(mut self, jobs: u32) -> Self {
        self.0.jobs_at_once = Some(jobs);
        self
    }

    /// Gives every daemon, the catalog's server and the console a host of its own ([`Site::network`]); `hosts` has their names.
    #[must_use]
    pub const fn network(mut self) -> Self {
        self.0.network = true;
        self
    }

    /// Adds hosts at which none of the site's own daemons run; with [`Builder::network`].
    #[must_use]
    pub fn hosts(mut self, names: &[&str]) -> Self {
        self.0.hosts = names.iter().map(|name| (*name).to_owned()).collect();
        self
    }

    /// The instances are started by a cluster manager ([`crate::cluster`]), not by the site.
    #[must_use]
    pub const fn managed(mut self) -> Self {
        self.0.managed = true;
        self
    }

    /// As [`Builder::network`], with some of the hosts behind a slow line.
    #[must_use]
    pub fn network_with_far(mut self, hosts: &[&str], line: Line) -> Self {
        self.0.far = Some((hosts.iter().map(|name| (*name).to_owned()).collect(), line));
        self.network()
    }

    /// Sets an environment variable for the daemons.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.environment.push((name.into(), value.into()));
        self
    }

    /// Puts a known bug back ([`KNOWN_BUGS`]), to see that it is found.
    ///
    /// [`KNOWN_BUGS`]: super::KNOWN_BUGS
    #[must_use]
    pub fn known_bug(mut self, name: impl Into<String>) -> Self {
        self.0.known_bugs.push(name.into());
        self
    }

    /// Uses this folder, and leaves it where it is, instead of a temporary one.
    #[must_use]
    pub fn folder(mut self, path: impl Into<PathBuf>) -> Self {
        self.0.folder = Some(path.into());
        self
    }

    /// Prints no logs when the site is dropped without [`Site::finish`].
    #[must_use]
    pub const fn quiet(mut self) -> Self {
        self.0.quiet = true;
        self
    }

    /// Starts the daemons; returns when all of them listen.
    ///
    /// # Errors
    /// When a program is missing (the text says how to get it) or a daemon does not start.
    pub fn start(self) -> Result<Site> {
        Site::start(self.0)
    }
}
