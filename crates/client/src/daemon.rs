//! The daemon: ports, callers, stop.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use conf::ClientConfig;
use conf::address::{Family, ListenAddress};
use net::daemon::{DaemonContext, Load};
use net::{Certificates, Incoming, Listener, NetError, Session, Tls, TlsError};
use tokio::task::JoinSet;
use types::Timestamp;
use wire::cram::Secret;
use wire::dialogue::handshake::{refuse_hello, refuse_unknown};
use wire::hello::{Hello, HelloLine, Listener as At, PING_OK};
use wire::tls::TlsNeeds;

use crate::epochs::Epochs;
use crate::job::now;
use crate::jobs::Jobs;
use crate::session;

/// How long running jobs may take to end at a stop, before they are cancelled.
const STOP_WAIT: Duration = Duration::from_secs(60);
/// How long Directors may take then to receive what is left to tell.
const LAST_WORDS_WAIT: Duration = Duration::from_secs(10);
/// Heap arenas: a few threads run per job, and each arena keeps what it once held.
const HEAP_ARENAS: u16 = 2;
/// Callers served at once, authenticated or not.
const SESSIONS_MAX: usize = 500;

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port.
    #[error(transparent)]
    Listen(#[from] NetError),
    /// An address of the configuration.
    #[error("address \"{host}\" to listen at cannot be resolved; check FD Address")]
    Address {
        /// As written.
        host: String,
    },
    /// TLS files.
    #[error("TLS of resource \"{resource}\"")]
    Tls {
        /// Whose.
        resource: String,
        /// What is wrong.
        #[source]
        source: TlsError,
    },
}

/// What all sessions share.
pub struct Daemon {
    /// Configuration.
    pub config: ClientConfig,
    /// TLS offered to each Director, in their order.
    pub director_tls: Vec<Tls>,
    /// TLS offered to Storage Daemons.
    pub storage_tls: Tls,
    /// Jobs.
    pub jobs: Arc<Jobs>,
    /// Epochs of Directors.
    pub epochs: Arc<Epochs>,
    /// When it started.
    pub started: Timestamp,
    /// Limit for new jobs, in bytes per second; 0 for none.
    pub bandwidth: Arc<AtomicU64>,
    /// Debug level that a Director has set.
    pub debug: Arc<AtomicI64>,
    /// Cancelled when the daemon is to stop.
    pub stop: net::daemon::CancellationToken,
}

impl Daemon {
    fn new(config: ClientConfig, stop: net::daemon::CancellationToken) -> Result<Self, StartError> {
        let make = |name: &str, tls: &conf::tls::Tls| {
            tls_of(tls).map_err(|source| StartError::Tls { resource: name.to_owned(), source })
        };
        let director_tls =
            config.directors.iter().map(|d| make(&d.name, &d.tls)).collect::<Result<_, _>>()?;
        Ok(Self {
            director_tls,
            storage_tls: make(&config.daemon.name, &config.daemon.tls)?,
            bandwidth: Arc::new(config.daemon.maximum_bandwidth_per_job.into()),
            config,
            jobs: Arc::default(),
            epochs: Arc::default(),
            started: now(),
            debug: Arc::default(),
            stop,
        })
    }

    /// The same daemon with another configuration, for the sessions from now on: jobs, epochs and what Directors have set stay.
    fn reloaded(&self, config: ClientConfig) -> Result<Self, String> {
        if config.daemon.listen() != self.config.daemon.listen() {
            return Err(
                "the addresses to listen at cannot change while the daemon runs; restart it".to_owned()
            );
        }
        let new = Self::new(config, self.stop.clone()).map_err(|error| crate::storage::chain(&error))?;
        if new.config.daemon.maximum_bandwidth_per_job != self.config.daemon.maximum_bandwidth_per_job {
            self.bandwidth.store(new.config.daemon.maximum_bandwidth_per_job, Ordering::Relaxed);
        }
        Ok(Self {
            jobs: Arc::clone(&self.jobs),
            epochs: Arc::clone(&self.epochs),
            bandwidth: Arc::clone(&self.bandwidth),
            debug: Arc::clone(&self.debug),
            started: self.started,
            ..new
        })
    }
}

/// TLS as the directives say.
fn tls_of(tls: &conf::tls::Tls) -> Result<Tls, TlsError> {
    let needs = TlsNeeds::from_directives(tls.enable, tls.require, tls.psk_enable);
    let path = |text: &Option<String>| text.as_ref().map(std::path::PathBuf::from);
    let certificates = Certificates {
        ca_file: path(&tls.ca_certificate_file),
        ca_dir: path(&tls.ca_certificate_dir),
        certificate: path(&tls.certificate),
        key: path(&tls.key),
        dh_file: path(&tls.dh_file),
        verify_peer: tls.verify_peer,
        allowed_cn: tls.allowed_cn.clone(),
    };
    Tls::new(needs, &certificates)
}

/// Runs the File Daemon until it is told to stop. `load` reads the configuration anew at a reload; all of it is taken for the
/// sessions that come then, or none.
///
/// # Errors
/// [`StartError`] when it cannot start.
pub async fn run(
    config: ClientConfig,
    load: Load<ClientConfig>,
    mut context: DaemonContext,
) -> Result<(), StartError> {
    sys::limit_malloc_arenas(HEAP_ARENAS);
    sys::raise_open_files();
    let mut daemon = Arc::new(Daemon::new(config, context.stop.clone())?);
    let listeners = listen(&daemon.config.daemon.listen(), daemon.config.daemon.heartbeat_interval)?;
    for listener in &listeners {
        tracing::info!(name = %daemon.config.daemon.name, address = %listener.address(), "File Daemon is listening");
    }
    context.set_ready();
    let mut sessions = JoinSet::new();
    let stop = context.stop.clone();
    let (calls_in, mut calls) = tokio::sync::mpsc::channel(16);
    let mut acceptors = JoinSet::new();
    for listener in listeners {
        let calls = calls_in.clone();
        acceptors.spawn(accept_all(listener, calls));
    }
    drop(calls_in);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = context.reload_asked() => {
                match load().and_then(|config| daemon.reloaded(config)) {
                    Ok(new) => {
                        daemon = Arc::new(new);
                        tracing::info!("configuration reloaded");
                    }
                    Err(why) => tracing::error!("reload: {why}; the old configuration stays"),
                }
                context.reload_done();
            }
            Some(call) = calls.recv() => {
                while sessions.try_join_next().is_some() {}
                if sessions.len() < SESSIONS_MAX {
                    let daemon = Arc::clone(&daemon);
                    sessions.spawn(serve(daemon, call));
                } else {
                    tracing::warn!("too many callers; one was turned away");
                }
            }
            else => break,
        }
    }
    acceptors.shutdown().await;
    stop_jobs(&daemon).await;
    // A job has ended before its last messages and its end line are delivered.
    let told = async { while sessions.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_WORDS_WAIT, told).await.is_err() {
        tracing::warn!(sessions = sessions.len(), "not everything could be told to every Director");
    }
    Ok(())
}

async fn accept_all(listener: Listener, calls: tokio::sync::mpsc::Sender<Incoming>) {
    loop {
        match listener.accept().await {
            Ok(call) => {
                if calls.send(call).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::error!(%error, "accepting a call failed");
                // No descriptors left, most likely: give the system time instead of spinning.
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Ends running jobs behind their current file, and waits until they have.
async fn stop_jobs(daemon: &Daemon) {
    for job in daemon.jobs.all_running() {
        tracing::info!(job = %job.identity.name, "the daemon stops: the job ends as Incomplete");
        job.stop_incomplete();
    }
    let deadline = tokio::time::Instant::now() + STOP_WAIT;
    while !daemon.jobs.all_running().is_empty() {
        let ended = daemon.jobs.ended.notified();
        let tick = Duration::from_millis(500);
        if tokio::time::Instant::now() >= deadline {
            for job in daemon.jobs.all_running() {
                tracing::warn!(job = %job.identity.name, "the job did not end in time and is cancelled");
                job.cancel();
            }
            return;
        }
        // The tick heals a lost notification.
        let _ = tokio::time::timeout(tick, ended).await;
    }
}

fn listen(addresses: &[ListenAddress], keepalive: Duration) -> Result<Vec<Listener>, StartError> {
    let mut listeners = Vec::new();
    for address in addresses {
        for socket in resolve(address)? {
            listeners.push(Listener::bind(socket)?.with_keepalive(keepalive));
        }
    }
    Ok(listeners)
}

fn resolve(address: &ListenAddress) -> Result<Vec<SocketAddr>, StartError> {
    let port = address.port.unwrap_or(9102);
    let Some(host) = &address.host else {
        let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
        let v6 = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port);
        return Ok(match address.family {
            Family::V4 => vec![v4],
            Family::V6 => vec![v6],
            Family::Any => vec![v6, v4],
        });
    };
    let failed = || StartError::Address { host: host.clone() };
    let found: Vec<_> = (host.as_str(), port)
        .to_socket_addrs()
        .map_err(|_| failed())?
        .filter(|socket| match address.family {
            Family::Any => true,
            Family::V4 => socket.is_ipv4(),
            Family::V6 => socket.is_ipv6(),
        })
        .take(1)
        .collect();
    if found.is_empty() { Err(failed()) } else { Ok(found) }
}

/// Serves one caller.
async fn serve(daemon: Arc<Daemon>, mut call: Incoming) {
    let address = call.address();
    let line = tokio::select! {
        () = daemon.stop.cancelled() => return,
        line = call.first_packet() => match line {
            Ok(line) => line,
            Err(error) => return tracing::debug!(%address, %error, "no Hello"),
        },
    };
    let hello = match HelloLine::parse(&line, At::Client) {
        Ok(hello) => hello,
        Err(error) => {
            tracing::warn!(%address, %error, "refused");
            return net::refuse(call, refuse_hello(&error)).await;
        }
    };
    match &hello.hello {
        Hello::Ping => ping(call).await,
        Hello::StorageCalls { job, .. } => match daemon.jobs.of_any_director(job) {
            Some(job) => match call.into_std() {
                Ok(stream) => job.deliver_call(stream),
                Err(error) => tracing::warn!(%error, "call of a Storage Daemon was lost"),
            },
            None => net::refuse(call, refuse_unknown(At::Client, &hello)).await,
        },
        Hello::DirectorToClient { name, .. } => {
            let Some(at) = daemon.config.directors.iter().position(|d| d.name == *name) else {
                tracing::warn!(%address, director = %name, "connection from unknown Director rejected");
                return net::refuse(call, refuse_unknown(At::Client, &hello)).await;
            };
            director(daemon, call, hello, at).await;
        }
        other => {
            tracing::warn!(%address, hello = ?other, "refused");
            net::refuse(call, refuse_unknown(At::Client, &hello)).await;
        }
    }
}

async fn ping(call: Incoming) {
    use tokio::io::AsyncWriteExt;
    let mut packet = (PING_OK.len() as u32).to_be_bytes().to_vec();
    packet.extend_from_slice(PING_OK);
    // Whoever pings and does not wait for the answer does not want it.
    let _ = call.into_tcp().write_all(&packet).await;
}

async fn director(daemon: Arc<Daemon>, call: Incoming, hello: HelloLine, at: usize) {
    let address = call.address();
    let resource = &daemon.config.directors[at];
    let secret = Secret::from_session_key(&resource.password);
    let own = Session::new(daemon.config.daemon.name.clone(), secret, daemon.director_tls[at].clone());
    match net::accept(call, hello, &own).await {
        Ok(conn) => session::run(daemon, conn, at).await,
        Err(error) => {
            let error = crate::storage::chain(&error);
            tracing::warn!(%address, %error, "session was not opened");
        }
    }
}
