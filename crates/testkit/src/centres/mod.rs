//! Two data centres, started from `docs/two-data-centres.md` as it stands.
//!
//! For each address of the page there is a host with a folder that is its root directory, and an address of its own: on loopback, or
//! of a network whose line between the data centres is slow. PostgreSQL runs as the page says: each Director's catalog has its primary at
//! home and its synchronous replica at the other data centre; [`Centres::promote`] does what a cluster manager would.

mod document;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use document::{Document, Start};

use crate::network::{Host, Line, Network};
use crate::postgres::{Listen, Postgres};
use crate::site::{Console, Daemon, Maker, Program, claim, program};
use crate::wait;

/// The page.
const PAGE: &str = include_str!("../../../../docs/two-data-centres.md");
/// Port of the server that has the catalog of the Director at home; 5432 on the page.
const HOME_SERVER: u16 = 21_132;
/// Of the one that has the other Director's; 5433 on the page.
const GUEST_SERVER: u16 = 21_133;
/// Name of each catalog's database.
const DATABASE: &str = "bacula";
/// Every absolute path of the page that is the system's own begins with one of these.
const ROOTS: &[&str] = &[
    "/etc/bacula",
    "/var/lib/bacula",
    "/var/log/bacula",
    "/run/bacula",
    "/srv/backup",
    "/data",
    "/restored",
];

/// A data centre, and the Director that is at home there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Centre {
    /// dc1, 10.1.0.*.
    One,
    /// dc2, 10.2.0.*.
    Two,
}

impl Centre {
    /// Both.
    pub const ALL: [Self; 2] = [Self::One, Self::Two];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::One => Self::Two,
            Self::Two => Self::One,
        }
    }

    /// Its name: that of its instances, and the beginning of its Director's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "dc1",
            Self::Two => "dc2",
        }
    }

    /// The host of its Directors and catalogs.
    const fn director_host(self) -> &'static str {
        match self {
            Self::One => "10.1.0.1",
            Self::Two => "10.2.0.1",
        }
    }

    fn has(self, host: &str) -> bool {
        host.starts_with(match self {
            Self::One => "10.1.",
            Self::Two => "10.2.",
        })
    }
}

/// A host of the page.
#[derive(Debug)]
struct Place {
    address: Ipv4Addr,
    /// Where it is in a network.
    host: Option<Host>,
    /// Holds an address of loopback.
    _claim: Option<TcpListener>,
}

/// A Director's catalog.
#[derive(Debug)]
struct Catalog {
    /// Who can be written, and where it is; `None` when that is lost.
    primary: Option<(Centre, Postgres)>,
    replica: Option<Postgres>,
}

/// How the data centres are made.
#[derive(Debug, Default)]
pub struct Builder {
    line: Option<Line>,
    more: BTreeMap<&'static str, String>,
    quiet: bool,
}

/// Both data centres. Dropping them kills everything.
#[derive(Debug)]
pub struct Centres {
    folder: PathBuf,
    places: BTreeMap<&'static str, Place>,
    /// The number of a daemon among the page's commands, and its process.
    running: BTreeMap<usize, Daemon>,
    starts: Vec<Start<'static>>,
    catalogs: BTreeMap<Centre, Catalog>,
    /// Servers that do not run any more; removing what they had takes its time.
    lost: Vec<Postgres>,
    _network: Option<Network>,
    /// Nothing is to be said about the logs when it is dropped.
    quiet: bool,
}

impl Builder {
    /// A line between the data centres that is slow; this needs root.
    #[must_use]
    pub const fn line(mut self, line: Line) -> Self {
        self.line = Some(line);
        self
    }

    /// Does not print the logs when it is dropped without [`Centres::finish`].
    #[must_use]
    pub const fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Text that is added to a file of the page, on every host that has it.
    #[must_use]
    pub fn more(mut self, file: &'static str, text: impl Into<String>) -> Self {
        let more = self.more.entry(file).or_default();
        more.push_str(&text.into());
        more.push('\n');
        self
    }

    /// Makes the hosts in a folder, the catalogs, and starts everything; each Director is active at home.
    ///
    /// # Errors
    /// When the page is not understood or something does not start.
    pub fn start(self, folder: &Path) -> Result<Centres> {
        let page = Document::read(PAGE)?;
        let (places, network) = places(&page, self.line)?;
        let mut centres = Centres {
            folder: folder.to_path_buf(),
            places,
            running: BTreeMap::new(),
            starts: page.starts,
            catalogs: BTreeMap::new(),
            lost: Vec::new(),
            _network: network,
            quiet: self.quiet,
        };
        for centre in Centre::ALL {
            let catalog = centres.make_catalog(centre)?;
            centres.catalogs.insert(centre, catalog);
        }
        for file in &page.files {
            let more = self.more.get(file.path).map_or("", String::as_str);
            for host in &file.hosts {
                let text = centres.substitute(host, &(file.text.clone() + more))?;
                let path = centres.path_at(host, file.path);
                let folder = path.parent().context("a file in a folder")?;
                fs::create_dir_all(folder)?;
                fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
            }
        }
        for centre in Centre::ALL {
            centres.start_centre(centre)?;
        }
        for centre in Centre::ALL {
            centres.bring_home(centre)?;
        }
        Ok(centres)
    }
}

impl Centres {
    /// See [`Builder`].
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The file of a host that the page names so.
    fn path_at(&self, host: &str, path: &str) -> PathBuf {
        let root = if is_of_all(path) { "all" } else { host };
        self.folder.join(root).join(path.trim_start_matches('/'))
    }

    /// Where the clients of the page have what is saved (`/data/client1`, `/data/client2`) and restored (`/restored`).
    #[must_use]
    pub fn client_path(&self, path: &str) -> PathBuf {
        self.path_at("all", path)
    }

    /// Puts this site's addresses, ports and folders in the place of the page's.
    fn substitute(&self, host: &str, text: &str) -> Result<String> {
        let servers = [(":5432", HOME_SERVER), (":5433", GUEST_SERVER)];
        let mut text = servers.iter().fold(text.replace("Port = 91", "Port = 211"), |text, (from, to)| {
            text.replace(from, &format!(":{to}"))
        });
        for (from, place) in &self.places {
            text = text.replace(from, &place.address.to_string());
        }
        for root in ROOTS {
            text = text.replace(&format!(" {root}"), &format!(" {}", self.path_at(host, root).display()));
        }
        // What an operator's installation has made: what daemons work in, keep Volumes in, and write their messages to.
        for folder in ["Directory = ", "Archive Device = "].iter().flat_map(|key| text.split(key).skip(1)) {
            let folder = folder.split([';', '\n']).next().unwrap_or_default();
            fs::create_dir_all(folder).with_context(|| format!("make {folder}"))?;
        }
        fs::create_dir_all(self.path_at(host, "/var/log/bacula"))?;
        Ok(text)
    }

    /// Where the server of a Director's catalog at a data centre listens.
    fn server_at(&self, home: Centre, at: Centre) -> Result<Listen> {
        let place = self.place(at.director_host())?;
        let port = if home == at { HOME_SERVER } else { GUEST_SERVER };
        Ok(Listen { host: place.host.clone(), address: place.address, port })
    }

    fn make_catalog(&self, home: Centre) -> Result<Catalog> {
        let primary = Postgres::start_on(self.server_at(home, home)?)?;
        let replica = primary.synchronous_standby_on(self.server_at(home, home.other())?)?;
        primary.create_database(DATABASE)?;
        Ok(Catalog { primary: Some((home, primary)), replica: Some(replica) })
    }

    /// Starts the daemons of a data centre that do not run.
    ///
    /// # Errors
    /// When one does not start; the text has the end of its log.
    pub fn start_centre(&mut self, centre: Centre) -> Result<()> {
        for number in 0..self.starts.len() {
            if centre.has(self.starts[number].host) && !self.running.contains_key(&number) {
                let daemon = self.start_daemon(&self.starts[number])?;
                self.running.insert(number, daemon);
            }
        }
        Ok(())
    }

    fn start_daemon(&self, start: &Start<'_>) -> Result<Daemon> {
        let mut program: Program = program(Maker::Holdfast, start.role.program())?;
        if let Some(instance) = start.instance {
            program.arguments.extend(["--instance".into(), instance.into()]);
        }
        let place = self.place(start.host)?;
        let config = self.path_at(start.host, start.config);
        let log = self.log_of(start);
        // 91nn is 211nn here.
        let listen = (place.address, start.port + 12_000);
        Daemon::start(start.role, &program, &config, &log, place.host.as_ref(), listen, &[])
            .with_context(|| format!("at {}", start.host))
    }

    fn place(&self, host: &str) -> Result<&Place> {
        self.places.get(host).with_context(|| format!("the page has no host {host}"))
    }

    /// Everything in a data centre ends at once, as when its power fails: daemons, primary and replica of the catalogs.
    ///
    /// # Errors
    /// When a process cannot be killed.
    pub fn lose(&mut self, centre: Centre) -> Result<()> {
        let numbers: Vec<usize> = self.running.keys().copied().collect();
        let mut ended = Vec::new();
        for number in numbers {
            if centre.has(self.starts[number].host)
                && let Some(daemon) = self.running.remove(&number)
            {
                // All of them before any is waited for.
                daemon.signal(rustix::process::Signal::KILL)?;
                ended.push(daemon);
            }
        }
        for catalog in self.catalogs.values_mut() {
            let is_primary = catalog.primary.as_ref().is_some_and(|(at, _)| *at == centre);
            let primary = is_primary.then(|| catalog.primary.take()).flatten().map(|(_, server)| server);
            if let Some(mut server) = primary.or_else(|| catalog.replica.take()) {
                server.kill()?;
                self.lost.push(server);
            }
        }
        Ok(())
    }

    /// Makes the replica of a Director's catalog the primary, as a cluster manager does when the other data centre is lost; where the primary is left
    /// without a replica, commits do not wait for one any more.
    ///
    /// # Errors
    /// When it is not promoted in time.
    pub fn promote(&mut self, survivor: Centre) -> Result<()> {
        for catalog in self.catalogs.values_mut() {
            match (&catalog.primary, catalog.replica.take()) {
                (None, Some(replica)) => {
                    replica.promote()?;
                    catalog.primary = Some((survivor, replica));
                }
                (Some((_, primary)), None) => primary.stand_alone()?,
                (_, replica) => catalog.replica = replica,
            }
        }
        Ok(())
    }

    /// Makes the replicas of a data centre anew from what the primaries have, and waits until commits wait for them.
    ///
    /// # Errors
    /// When a catalog is lost, or its replica does not follow in time.
    pub fn replicate_to(&mut self, centre: Centre) -> Result<()> {
        for home in Centre::ALL {
            let listen = self.server_at(home, centre)?;
            let catalog = self.catalogs.get_mut(&home).context("a catalog for each Director")?;
            let (_, primary) = catalog.primary.as_ref().context("the catalog is lost")?;
            if catalog.replica.is_none() {
                catalog.replica = Some(primary.synchronous_standby_on(listen)?);
            }
        }
        Ok(())
    }

    /// The primary of a Director's catalog is at home again, and a replica at the other data centre.
    ///
    /// # Errors
    /// When there is no replica at home, or it is not promoted in time.
    pub fn bring_catalog_home(&mut self, director: Centre) -> Result<()> {
        let listen = self.server_at(director, director.other())?;
        let catalog = self.catalogs.get_mut(&director).context("a catalog for each Director")?;
        let next = catalog.replica.take().context("no replica at home")?;
        // Every commit was waited for, so nothing is lost with the old one.
        catalog.primary = None;
        next.promote()?;
        catalog.replica = Some(next.synchronous_standby_on(listen)?);
        catalog.primary = Some((director, next));
        Ok(())
    }

    /// The role of a Director goes to the instance at home.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn bring_home(&self, director: Centre) -> Result<()> {
        let console = self.console(director, director)?;
        let command = format!("cluster switchover to={}", director.name());
        wait::until("the role to be at home", wait::JOB, || {
            if self.active(director, director).is_ok_and(|active| active == Some(director)) {
                return Ok(Some(()));
            }
            // Refused until the instance at home has been heard of.
            let _ = console.run(&[&command], wait::START);
            Ok(None)
        })
    }

    /// Rows of a query on a Director's catalog, every value as text.
    ///
    /// # Errors
    /// When the catalog is lost, or the query fails.
    pub fn rows(&self, director: Centre, query: &str) -> Result<Vec<Vec<String>>> {
        let catalog = self.catalogs.get(&director).and_then(|catalog| catalog.primary.as_ref());
        let (_, primary) = catalog.context("the catalog is lost")?;
        primary.rows(DATABASE, query)
    }

    /// Ends a test well: every daemon that was not lost still runs, stops when asked, and has said nothing of a panic.
    ///
    /// # Errors
    /// When one of them does not.
    pub fn finish(mut self) -> Result<()> {
        for (number, mut daemon) in std::mem::take(&mut self.running) {
            let start = &self.starts[number];
            ensure!(daemon.is_running(), "{} at {} has ended by itself", start.config, start.host);
            daemon.stop(wait::JOB)?;
        }
        for (name, log) in self.logs() {
            ensure!(!log.contains("panicked at"), "{name} tells of a panic");
        }
        self.quiet = true;
        Ok(())
    }

    /// Whether any daemon has printed `text`.
    #[must_use]
    pub fn said(&self, text: &str) -> bool {
        self.logs().iter().any(|(_, log)| log.contains(text))
    }

    /// What each daemon has printed, and the messages of each Director.
    fn logs(&self) -> Vec<(String, String)> {
        let of = |start: &Start<'_>| {
            let path = self.log_of(start);
            (
                path.display().to_string(),
                String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()).into_owned(),
            )
        };
        let printed = self.starts.iter().map(of);
        let messages = Centre::ALL.map(|director| {
            let path = self.path_at("", &format!("/var/log/bacula/{}.log", director.name()));
            (path.display().to_string(), fs::read_to_string(&path).unwrap_or_default())
        });
        printed.chain(messages).collect()
    }

    fn log_of(&self, start: &Start<'_>) -> PathBuf {
        let name = Path::new(start.config).file_stem().unwrap_or_default().to_string_lossy();
        self.path_at(start.host, "/var/log/bacula").join(format!("{name}-{}.out", start.host))
    }

    /// A console at a data centre, connected to the Director's instance there.
    ///
    /// # Errors
    /// When there is no program.
    pub fn console(&self, director: Centre, at: Centre) -> Result<Console> {
        let host = at.director_host();
        let config = self.path_at(host, &format!("/etc/bacula/bconsole-{}.conf", director.name()));
        let errors = self.path_at(host, "/var/log/bacula/console.err");
        Console::new(Maker::Holdfast, config, self.place(host)?.host.clone(), errors)
    }

    /// Where a Director's active instance is, as its instance at a data centre sees it.
    ///
    /// # Errors
    /// When that cannot be asked.
    pub fn active(&self, director: Centre, asked: Centre) -> Result<Option<Centre>> {
        let report = self.console(director, asked)?.cluster_report()?;
        let instances = report["instances"].as_array().context("a report without instances")?;
        let active = instances.iter().find(|one| one["role"] == "active");
        Ok(active.and_then(|one| Centre::ALL.into_iter().find(|centre| one["instance"] == centre.name())))
    }
}

/// What is in one folder, whoever's file names it: what the clients save and restore, and where messages go, since the configuration of all instances
/// must be the same there.
fn is_of_all(path: &str) -> bool {
    ["/data", "/restored", "/var/log"].iter().any(|root| path.starts_with(root))
}

/// A host for each address of the page; those of the second data centre are behind the line, where there is one.
fn places(
    page: &Document<'static>,
    line: Option<Line>,
) -> Result<(BTreeMap<&'static str, Place>, Option<Network>)> {
    let hosts: BTreeSet<&'static str> = page
        .files
        .iter()
        .flat_map(|file| file.hosts.iter().copied())
        .chain(page.starts.iter().map(|s| s.host))
        .collect();
    let Some(line) = line else {
        let own = |host| {
            let (address, claim) = claim()?;
            Ok((host, Place { address, host: None, _claim: Some(claim) }))
        };
        return Ok((hosts.into_iter().map(own).collect::<Result<_>>()?, None));
    };
    let all: Vec<&str> = hosts.iter().copied().collect();
    let far: Vec<&str> = all.iter().copied().filter(|host| Centre::Two.has(host)).collect();
    let network = Network::create(&all, Some((&far, line)))?;
    let of = |host: &'static str| {
        let at = network.host(host)?.clone();
        Ok((host, Place { address: at.address, host: Some(at), _claim: None }))
    };
    let places = hosts.into_iter().map(of).collect::<Result<_>>()?;
    Ok((places, Some(network)))
}

impl Drop for Centres {
    fn drop(&mut self) {
        if self.quiet {
            return;
        }
        for (name, log) in self.logs() {
            let lines: Vec<&str> = log.lines().filter(|line| !line.contains("console ")).collect();
            #[expect(clippy::print_stderr, reason = "shown by the test runner beside the failure")]
            {
                eprintln!(
                    "---- {name}, its end ----\n{}",
                    lines[lines.len().saturating_sub(40)..].join("\n")
                );
            }
        }
    }
}
