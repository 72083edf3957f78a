//! PostgreSQL backend: tokio-postgres driven from the catalog's threads.
//!
//! * Of several hosts the one that can be written is used, for reads too: no decision is read from a replica. Where two can be
//!   written, one of them is an old primary that came back ([`history`]): it is refused.
//! * Every wait has an end. A statement that the server does not answer breaks its connection; the threads of
//!   [`Catalog`](crate::Catalog) make new ones.
//! * Connections are named `holdfast/<director>/<instance>/<epoch>`, so that who takes over can end those of before.

mod connection;
mod copy;
mod error;
mod history;
mod label;
mod params;
mod row;
mod settings;
mod sql;

pub use label::application_name;
pub use settings::{PostgresSettings, Tls, TlsMode};

use crate::error::{CatalogError, Result};
use crate::port::{Backend, Connection, TxMode};
use crate::service::Catalog;
use crate::time::Zone;
use connection::PgConnection;
use error::words;
use history::{History, Newest, Watch};
use label::Label;
use postgres_openssl::MakeTlsConnector;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio_postgres::config::SslMode;
use types::Epoch;

/// Longest wait for one host: its address, TLS, login. Then the next is tried.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A database of PostgreSQL, 13 or later.
pub struct PostgresBackend {
    settings: PostgresSettings,
    tls: MakeTlsConnector,
    label: Arc<Label>,
    io: Arc<Io>,
    /// The host that was writable last; it is tried first. Who waits for a dead one sees it change.
    writable: watch::Sender<usize>,
    newest: Arc<Newest>,
    zone: Zone,
}

impl PostgresBackend {
    /// For the database of `settings`; wall-clock columns are in `zone`. Connects to nothing yet.
    ///
    /// # Errors
    /// [`CatalogError::Open`] when the files for TLS cannot be read.
    pub fn new(settings: PostgresSettings, zone: Zone) -> Result<Self> {
        let tls = settings
            .tls
            .connector()
            .map_err(|problem| CatalogError::Open { database: settings.describe(), problem })?;
        let label = Arc::new(Label::new(&settings.director, &settings.instance));
        let io = Arc::new(Io::start()?);
        Ok(Self { settings, tls, label, io, writable: watch::Sender::new(0), newest: Arc::default(), zone })
    }

    fn open(&self, purpose: Purpose) -> Result<Box<dyn Connection>> {
        loop {
            let first = *self.writable.borrow();
            match self.open_from(first, purpose) {
                // It was looked for while another thread found it.
                Err(_) if *self.writable.borrow() != first => {}
                opened => return opened,
            }
        }
    }

    /// Opens a connection to a host that can be written, the `first` of them before all others, unless another thread finds one meanwhile.
    fn open_from(&self, first: usize, purpose: Purpose) -> Result<Box<dyn Connection>> {
        let hosts = self.settings.hosts();
        let away = |problem| CatalogError::Away { database: self.describe(), problem };
        if hosts.len() > 1 && self.newest.is_doubtful() {
            self.compare(&hosts, first, purpose).map_err(away)?;
        }
        let first = *self.writable.borrow();
        let mut problems = Vec::new();
        for at in (0..hosts.len()).map(|i| (first + i) % hosts.len()) {
            let opened = self.open_on(&hosts[at], first, purpose);
            match opened.and_then(|connection| self.admitted(connection, &hosts, at)) {
                Ok(connection) => {
                    self.found(at);
                    return Ok(connection);
                }
                Err(problem) => {
                    // Another thread may have found the one that took its place while this one waited for it.
                    if *self.writable.borrow() == at {
                        self.newest.doubt();
                    }
                    problems.push(format!("{}: {problem}", hosts[at]));
                }
            }
        }
        Err(away(problems.join("; ")))
    }

    /// This one is the server in use. Who waits for another one need not any more.
    fn found(&self, at: usize) {
        self.writable.send_if_modified(|writable| std::mem::replace(writable, at) != at);
    }

    /// While nothing is known of its history, or a server has gone, none is used before the others were asked for theirs.
    fn compare(
        &self,
        hosts: &[settings::Host],
        first: usize,
        purpose: Purpose,
    ) -> std::result::Result<(), String> {
        let doubts = self.newest.doubts();
        let mut newest: Option<(usize, History)> = None;
        for (at, host) in hosts.iter().enumerate() {
            // Who cannot be written says so below.
            let history = match self.open_on(host, first, purpose).and_then(|c| history_of(&c)) {
                Ok(history) => history,
                // Another thread has compared them.
                Err(problem) if *self.writable.borrow() != first => return Err(problem),
                Err(_) => continue,
            };
            if let Some((_, other)) = newest {
                if history.system != other.system {
                    return history::judge(history, other).map_err(|problem| format!("{host}: {problem}"));
                }
                tracing::error!(
                    catalog = self.describe(),
                    "two of its servers can be written: timelines {} and {}; the higher one is used",
                    history.timeline,
                    other.timeline
                );
            }
            if newest.is_none_or(|(_, other)| other.timeline < history.timeline) {
                newest = Some((at, history));
            }
        }
        let Some((at, history)) = newest else { return Ok(()) };
        self.newest.compared(&hosts[at].to_string(), history, doubts)?;
        self.found(at);
        Ok(())
    }

    /// The connection, unless its server was left behind. With one host there is no choice.
    fn admitted(
        &self,
        connection: PgConnection,
        hosts: &[settings::Host],
        at: usize,
    ) -> std::result::Result<Box<dyn Connection>, String> {
        if hosts.len() > 1 {
            let history = history_of(&connection)?;
            self.newest.admit(&hosts[at].to_string(), history)?;
            connection.watch(Arc::clone(&self.newest), history);
        }
        Ok(Box::new(connection))
    }

    /// Gives up when another host than the `first` is found.
    fn open_on(
        &self,
        host: &settings::Host,
        first: usize,
        purpose: Purpose,
    ) -> std::result::Result<PgConnection, String> {
        let (label, generation) = self.label.current();
        let limits = purpose.limits(self.settings.lease);
        let config = self.settings.config(host, &label, limits);
        let limit = limits.connect;
        let connect = async {
            let mut moved = self.writable.subscribe();
            tokio::select! {
                connected = tokio::time::timeout(limit, config.connect(self.tls.clone())) => connected
                    .map_err(|_| format!("no answer within {} s", limit.as_secs_f32()))?
                    .map_err(|e| words(&e)),
                _ = moved.wait_for(|writable| *writable != first) => {
                    Err("another server was found before it answered".to_owned())
                }
            }
        };
        let (client, driver) = self.io.handle().block_on(connect)?;
        let watch = Arc::new(Watch::default());
        let driven = Arc::clone(&watch);
        self.io.handle().spawn(async move {
            // One that its user has closed ends well.
            if let Err(error) = driver.await {
                driven.broke();
                tracing::debug!(error = words(&error), "a catalog connection ended");
            }
        });
        let connection = PgConnection::new(
            (client, watch),
            Arc::clone(&self.io),
            self.describe(),
            Arc::clone(&self.label),
            generation,
            (purpose, limits),
            self.zone.clone(),
        );
        connection.set_up().map_err(said)?;
        Ok(connection)
    }
}

fn history_of(connection: &PgConnection) -> std::result::Result<History, String> {
    connection.history().map_err(said)
}

/// The problem of a connection that has just been made.
fn said(error: CatalogError) -> String {
    match error {
        CatalogError::Away { problem, .. } => problem,
        other => error::chain(&other),
    }
}

impl Backend for PostgresBackend {
    fn connect(&self, mode: TxMode) -> Result<Box<dyn Connection>> {
        self.open(match mode {
            TxMode::Read => Purpose::Read,
            TxMode::Write => Purpose::Write,
        })
    }

    fn connect_long(&self) -> Result<Box<dyn Connection>> {
        self.open(Purpose::LongRead)
    }

    fn connect_lease(&self, limit: Duration) -> Result<Box<dyn Connection>> {
        self.open(Purpose::Lease(limit))
    }

    fn left_behind(&self, timeline: u32) {
        if self.settings.hosts().len() > 1 {
            self.newest.heard(timeline);
        }
    }

    fn describe(&self) -> String {
        self.settings.describe()
    }

    fn activated(&self, holder: &str, epoch: Epoch) {
        self.label.activated(holder, epoch);
    }
}

impl Catalog {
    /// Opens the catalog in a database of PostgreSQL; an empty database is initialised. Blocks: not to be called inside an
    /// asynchronous task.
    ///
    /// # Errors
    /// [`CatalogError::Away`], [`CatalogError::Open`], [`CatalogError::Generation`] and those of the database.
    pub fn open_postgres(settings: PostgresSettings) -> Result<Self> {
        let director = settings.director.clone();
        let backend = PostgresBackend::new(settings, Zone::system())?;
        Self::open(Arc::new(backend), &director)
    }
}

/// What a connection is for: it says how long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Write,
    Read,
    /// Rows go to something slow.
    LongRead,
    Lease(Duration),
}

/// Longest waits.
#[derive(Debug, Clone, Copy)]
struct Limits {
    connect: Duration,
    /// For a statement on the server, and for the first or next rows of one.
    statement: Duration,
    /// For a lock.
    lock: Duration,
    /// Between statements of a transaction: a Director that is stopped in the middle must not hold its locks for ever.
    idle: Duration,
    /// For the confirmation of what was sent, before the connection is given up; none = the system's own, minutes.
    network: Option<Duration>,
    /// Between the probes of an idle connection; three without an answer end it, and the first comes after three times this.
    probe: Duration,
}

impl Purpose {
    /// With a `lease`, what an instance of a cluster has begun is over, one way or the other, when its lease is.
    fn limits(self, lease: Option<Duration>) -> Limits {
        let seconds = Duration::from_secs;
        let probe = lease.map_or(seconds(3), |lease| (lease / 6).clamp(seconds(1), seconds(3)));
        match self {
            Self::Write | Self::Read => Limits {
                connect: CONNECT_LIMIT,
                // The removal of a job with millions of files takes minutes.
                statement: seconds(600),
                lock: seconds(30),
                idle: lease.unwrap_or(seconds(60)),
                network: Some(lease.unwrap_or(seconds(15))),
                probe,
            },
            // A receiver that does not take its rows for hours is the receiver's business. The transaction holds no lock
            // that a writer waits for.
            Self::LongRead => Limits {
                connect: CONNECT_LIMIT,
                statement: seconds(3600),
                lock: seconds(30),
                idle: seconds(24 * 3600),
                network: None,
                probe,
            },
            // The server gives up first, so that the connection stays.
            Self::Lease(limit) => Limits {
                connect: limit,
                statement: limit / 4 * 3,
                lock: limit / 2,
                idle: limit,
                network: Some(limit),
                probe,
            },
        }
    }
}

/// The runtime on which connections do their reading and writing: one thread, whatever their number.
struct Io {
    runtime: Option<Runtime>,
    handle: Handle,
}

impl Io {
    fn start() -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(4)
            .thread_name("catalog-io")
            .enable_all()
            .build()
            .map_err(|e| CatalogError::Database {
                act: "start thread catalog-io".to_owned(),
                source: Box::new(e),
            })?;
        let handle = runtime.handle().clone();
        Ok(Self { runtime: Some(runtime), handle })
    }

    fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        // Dropping a runtime inside an asynchronous task is not allowed; a Catalog may be dropped anywhere.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl TlsMode {
    fn ssl_mode(self) -> SslMode {
        match self {
            Self::Disable => SslMode::Disable,
            Self::Prefer => SslMode::Prefer,
            Self::Require | Self::VerifyCa | Self::VerifyFull => SslMode::Require,
        }
    }
}
