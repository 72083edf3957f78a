//! A Director, a Storage Daemon, a File Daemon and a console from one description, each Holdfast's or real Bacula's.
//!
//! Every site has a loopback address of its own (127.x.y.z), so that sites side by side never meet, and a temporary
//! folder for configuration, catalog, Volumes and logs. Daemons run in the foreground as children; they are killed when
//! the site is dropped. The configuration files are the same whoever reads them: that is the point of a drop-in.
//!
//! ```no_run
//! use testkit::site::{Maker, Site};
//!
//! # fn main() -> anyhow::Result<()> {
//! let mut site = Site::builder().client(Maker::Bacula9).tree("/usr/share/doc").start()?;
//! let job = site.backup("Full")?;
//! assert_eq!(job.status(), 'T');
//! # Ok(()) }
//! ```

pub(crate) mod address;
mod config;
mod console;
mod daemon;
mod database;
mod description;
mod failpoints;
mod gate;
pub mod hosts;
mod instances;
mod job;
mod library;
mod programs;
mod tools;

pub(crate) use address::claim;
pub use config::Names;
pub use console::{Console, Said, Talk};
pub(crate) use daemon::Daemon;
pub use daemon::{Role, Usage};
pub use description::{Builder, Maker};
pub use failpoints::{Act, KNOWN_BUGS};
pub use gate::{Gate, OpenGate};
pub use instances::InstanceProcess;
pub use job::JobRow;
pub use programs::{Program, holdfast, program};

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;

use crate::network::Network;
use crate::wait;

use database::Database;
use description::Description;

/// Name of the catalog's database.
pub const DATABASE: &str = "bacula";

/// Running daemons. Dropping it kills them and removes the folder.
#[derive(Debug)]
pub struct Site {
    description: Description,
    folder: Folder,
    address: Ipv4Addr,
    /// Holds the address for as long as the site lives.
    _claim: TcpListener,
    director: Option<Daemon>,
    instances: BTreeMap<String, Daemon>,
    preferred: Option<String>,
    storage: Option<Daemon>,
    far_storage: Option<Daemon>,
    client: Option<Daemon>,
    database: Database,
    /// Behind all that runs at its hosts.
    network: Option<Network>,
    finished: bool,
}

#[derive(Debug)]
enum Folder {
    Temporary(tempfile::TempDir),
    Kept(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(dir) => dir.path(),
            Self::Kept(path) => path,
        }
    }
}

impl Site {
    /// Describes a site; all positions are Holdfast's unless said otherwise.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Writes the configuration and starts Storage Daemon, File Daemon and Director; returns when all of them listen.
    pub(crate) fn start(description: Description) -> Result<Self> {
        let folder = match (&description.folder, std::env::var_os("HOLDFAST_KEEP_SITES")) {
            (Some(path), _) => {
                fs::create_dir_all(path)?;
                Folder::Kept(path.clone())
            }
            (None, None) => Folder::Temporary(tempfile::Builder::new().prefix("holdfast-site-").tempdir()?),
            (None, Some(_)) => {
                Folder::Kept(tempfile::Builder::new().prefix("holdfast-site-").tempdir()?.keep())
            }
        };
        let (address, claim) = address::claim()?;
        let network = hosts::network(&description)?;
        let mut site = Self {
            description,
            folder,
            address,
            _claim: claim,
            director: None,
            instances: BTreeMap::new(),
            preferred: None,
            storage: None,
            far_storage: None,
            client: None,
            database: Database::File,
            network,
            finished: false,
        };
        let (kind, nodes) = (site.description.database(), &site.description.instances);
        site.database = Database::make(kind, site.host(hosts::CATALOG).cloned(), nodes)?;
        config::write(&site)?;
        site.put_bugs_back()?;
        if site.description.director.is_bacula() && !site.catalog_file().exists() {
            programs::create_bacula_catalog(&site.catalog_file())?;
        }
        for role in [Role::Storage, Role::Client] {
            site.start_role(role)?;
        }
        if site.description.far_storage.is_some() {
            site.start_role(Role::FarStorage)?;
        }
        if site.description.instances.is_empty() {
            site.start_role(Role::Director)?;
        }
        let names = if site.description.managed { Vec::new() } else { site.description.instances.clone() };
        for (index, name) in names.iter().enumerate() {
            site.start_instance(name)?;
            if index == 0 {
                // Then it is known who is active: of several that start together any may be.
                site.wait_active(name, name, wait::START)?;
            }
        }
        Ok(site)
    }

    /// Who makes a daemon of this site.
    #[must_use]
    pub fn maker(&self, role: Role) -> Maker {
        self.description.maker(role)
    }

    /// The folder of this site.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.folder.path()
    }

    /// The loopback address that the daemons listen on, where they have no hosts of their own.
    #[must_use]
    pub const fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Where the first device keeps its Volumes.
    #[must_use]
    pub fn volumes(&self) -> PathBuf {
        self.dir().join("volumes/file1")
    }

    /// Where the second Storage Daemon keeps its Volumes.
    #[must_use]
    pub fn far_volumes(&self) -> PathBuf {
        self.dir().join("volumes/far")
    }

    /// Where restores go by default.
    #[must_use]
    pub fn restored(&self) -> PathBuf {
        self.dir().join("restored")
    }

    /// The place of `original` below [`Site::restored`].
    #[must_use]
    pub fn restored_tree(&self, original: &Path) -> PathBuf {
        self.restored().join(original.strip_prefix("/").unwrap_or(original))
    }

    /// A configuration file, by the name that Bacula gives it (`bacula-dir.conf`, …, `bconsole.conf`).
    #[must_use]
    pub fn config_file(&self, name: &str) -> PathBuf {
        self.dir().join("etc").join(name)
    }

    /// The SQLite catalog.
    #[must_use]
    pub fn catalog_file(&self) -> PathBuf {
        self.dir().join("director/bacula.db")
    }

    /// What a daemon has printed.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn log(&self, role: Role) -> Result<String> {
        let path = self.log_file(role);
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The jobs' messages, as the Messages resource appends them to a file.
    #[must_use]
    pub fn job_log(&self) -> String {
        let bytes = fs::read(self.dir().join("log/jobs.log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Takes note that a daemon has ended at a failpoint.
    ///
    /// # Errors
    /// When it has not ended.
    pub fn forget(&mut self, role: Role) -> Result<()> {
        let what = format!("the {} to have ended", role.word());
        wait::until(&what, wait::START, || Ok((!self.is_running(role)).then_some(())))?;
        *self.slot(role) = None;
        Ok(())
    }

    /// Waits until the jobs' messages contain `text`.
    ///
    /// # Errors
    /// When they do not after `bound`.
    pub fn wait_job_log(&self, text: &str, bound: Duration) -> Result<()> {
        wait::until(&format!("“{text}” among the jobs' messages"), bound, || {
            Ok(self.job_log().contains(text).then_some(()))
        })
    }

    /// What the daemons find in their environment.
    fn environment(&self) -> Vec<(String, String)> {
        let failpoints = ("HOLDFAST_FAILPOINTS".to_owned(), self.failpoints().display().to_string());
        self.description.environment.iter().cloned().chain([failpoints]).collect()
    }

    fn log_file(&self, role: Role) -> PathBuf {
        self.dir().join("log").join(format!("{}.log", role.word()))
    }

    fn slot(&mut self, role: Role) -> &mut Option<Daemon> {
        match role {
            Role::Director => &mut self.director,
            Role::Storage => &mut self.storage,
            Role::Client => &mut self.client,
            Role::FarStorage => &mut self.far_storage,
        }
    }

    fn daemon(&mut self, role: Role) -> Result<&mut Daemon> {
        self.slot(role).as_mut().with_context(|| format!("the {} is not running", role.word()))
    }

    /// Starts a daemon that was killed or stopped (with the configuration as it is on disk now) and waits until it
    /// listens.
    ///
    /// # Errors
    /// When it does not start; the text has the end of its log.
    pub fn start_role(&mut self, role: Role) -> Result<()> {
        let program = program(self.description.maker(role), role.program())?;
        let log = self.log_file(role);
        let config = self.config_file(role.config());
        let port = role.port();
        let listen = (self.address_of(role.word()), port);
        let (host, environment) = (self.host(role.word()), self.environment());
        let daemon = Daemon::start(role, &program, &config, &log, host, listen, &environment)?;
        *self.slot(role) = Some(daemon);
        Ok(())
    }

    /// Kills a daemon at once (`SIGKILL`).
    ///
    /// # Errors
    /// When it is not running.
    pub fn kill(&mut self, role: Role) -> Result<()> {
        self.daemon(role)?.kill()?;
        *self.slot(role) = None;
        Ok(())
    }

    /// Asks a daemon to stop (`SIGTERM`) and waits until it has.
    ///
    /// # Errors
    /// When it does not stop in 30 seconds.
    pub fn stop(&mut self, role: Role) -> Result<()> {
        self.daemon(role)?.stop(wait::START)?;
        *self.slot(role) = None;
        Ok(())
    }

    /// Stops and starts a daemon.
    ///
    /// # Errors
    /// As [`Site::stop`] and [`Site::start_role`].
    pub fn restart(&mut self, role: Role) -> Result<()> {
        self.stop(role)?;
        self.start_role(role)
    }

    /// Freezes a daemon (`SIGSTOP`).
    ///
    /// # Errors
    /// When it is not running.
    pub fn freeze(&mut self, role: Role) -> Result<()> {
        self.daemon(role)?.signal(Signal::STOP)
    }

    /// Lets a frozen daemon go on (`SIGCONT`).
    ///
    /// # Errors
    /// When it is not running.
    pub fn thaw(&mut self, role: Role) -> Result<()> {
        self.daemon(role)?.signal(Signal::CONT)
    }

    /// Sends a daemon `SIGHUP`.
    ///
    /// # Errors
    /// When it is not running.
    pub fn reload(&mut self, role: Role) -> Result<()> {
        self.daemon(role)?.signal(Signal::HUP)
    }

    /// Whether a daemon runs.
    pub fn is_running(&mut self, role: Role) -> bool {
        self.slot(role).as_mut().is_some_and(Daemon::is_running)
    }

    /// Memory and processor time that a daemon has used so far.
    ///
    /// # Errors
    /// When it is not running.
    pub fn usage(&mut self, role: Role) -> Result<Usage> {
        self.daemon(role)?.usage()
    }

    /// The process id of a daemon.
    ///
    /// # Errors
    /// When it is not running.
    pub fn pid(&mut self, role: Role) -> Result<u32> {
        Ok(self.daemon(role)?.id())
    }

    /// Lets the daemons go on after this program, and gives their process ids; the folder must be one that
    /// [`Builder::folder`] named.
    ///
    /// # Errors
    /// When one is not running.
    pub fn leave_running(mut self) -> Result<Vec<u32>> {
        self.finished = true;
        let mut ids = Vec::new();
        ids.extend(std::mem::take(&mut self.instances).into_values().map(Daemon::leave));
        for role in [Role::Director, Role::Client, Role::Storage] {
            if role == Role::Director && !self.description.instances.is_empty() {
                continue;
            }
            let daemon =
                self.slot(role).take().with_context(|| format!("the {} is not running", role.word()))?;
            ids.push(daemon.leave());
        }
        Ok(ids)
    }

    /// Ends a test well: every daemon must still run (those killed and not started again excepted), stop when asked, and
    /// have said nothing of a panic.
    ///
    /// # Errors
    /// When one of them does not.
    pub fn finish(mut self) -> Result<()> {
        for role in [Role::Director, Role::Client, Role::Storage, Role::FarStorage] {
            if self.slot(role).is_none() {
                continue;
            }
            ensure!(self.is_running(role), "the {} has ended by itself", role.word());
            if self.description.maker(role).is_bacula() {
                self.kill(role)?; // a stock daemon takes seconds to stop
            } else {
                self.stop(role)?;
            }
            let log = self.log(role)?;
            ensure!(!log.contains("panicked at"), "the {} panicked", role.word());
        }
        self.finish_instances()?;
        self.finished = true;
        Ok(())
    }

    /// The end of every log, for the report of a failed test.
    fn print_logs(&self) {
        let instances = self.description.instances.iter().map(|name| format!("director-{name}"));
        let names = ["director", "storage", "far-storage", "client", "jobs"]
            .into_iter()
            .map(str::to_owned)
            .chain(instances);
        for name in names {
            let path = self.dir().join("log").join(format!("{name}.log"));
            let text =
                fs::read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
            // The tests' own questions would fill it.
            let is_question =
                |line: &&str| line.contains("console connected") || line.contains("console left");
            let lines: Vec<&str> = text.lines().filter(|line| !is_question(line)).collect();
            let end = lines[lines.len().saturating_sub(60)..].join("\n");
            #[expect(clippy::print_stderr, reason = "shown by the test runner beside the failure")]
            {
                eprintln!("---- {name}.log, its end ----\n{end}");
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if !self.finished && !self.description.quiet {
            self.print_logs();
        }
    }
}
