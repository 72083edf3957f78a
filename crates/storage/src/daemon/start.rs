//! Starting and stopping the daemon.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use conf::StorageConfig;
use conf::address::Family;
use net::daemon::{DaemonContext, Load};

use super::Daemon;
use super::maintenance::{drop_forgotten, sweep};
use super::recovery::take_up_journals;
use crate::job::{JobPhase, StopRequest};

/// How often it looks for jobs that were reserved and will not be run.
const FORGOTTEN_EVERY: Duration = Duration::from_secs(2);
/// How often finished journals are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(600);
/// How long running jobs may take to end at a checkpoint when the daemon stops.
const STOP_TIME: Duration = Duration::from_secs(30);

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its durable files cannot be used.
    #[error("open the durable files of the Storage Daemon")]
    Home(#[source] std::io::Error),
    /// A name of an address does not resolve.
    #[error("resolve the address {host} to listen on")]
    Resolve {
        /// The name.
        host: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A port cannot be opened.
    #[error(transparent)]
    Listen(#[from] net::NetError),
}

/// Runs the daemon until it is told to stop; running jobs then end incomplete at a checkpoint.
///
/// # Errors
/// [`StartError`].
pub async fn run(
    config: StorageConfig,
    load: Load<StorageConfig>,
    mut context: DaemonContext,
) -> Result<(), StartError> {
    // Many short-lived threads would otherwise each keep a heap of their own.
    sys::limit_malloc_arenas(2);
    let (addresses, keepalive) = (addresses(&config).await?, config.storage.heartbeat_interval);
    let daemon = tokio::task::spawn_blocking(move || -> std::io::Result<Arc<Daemon>> {
        let daemon = Arc::new(Daemon::new(config)?);
        take_up_journals(&daemon)?;
        Ok(daemon)
    });
    let daemon =
        daemon.await.map_err(|e| StartError::Home(std::io::Error::other(e)))?.map_err(StartError::Home)?;
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(net::Listener::bind(address)?.with_keepalive(keepalive));
    }
    tracing::info!(name = daemon.name(), session_time = daemon.session_time(), "Storage Daemon ready");
    let mut tasks = tokio::task::JoinSet::new();
    for listener in listeners {
        tasks.spawn(listen(Arc::clone(&daemon), listener));
    }
    tasks.spawn(maintain(Arc::clone(&daemon)));
    context.set_ready();
    let stop = context.stop.clone();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = context.reload_asked() => {
                match load().and_then(|config| daemon.reload(config)) {
                    Ok(()) => tracing::info!("configuration reloaded"),
                    Err(why) => tracing::error!("reload: {why}; the old configuration stays"),
                }
                context.reload_done();
            }
        }
    }
    tasks.shutdown().await;
    let stopping = Arc::clone(&daemon);
    let stopped = tokio::task::spawn_blocking(move || stop_jobs(&stopping)).await;
    if let Err(error) = stopped {
        tracing::error!(%error, "stopping the jobs failed");
    }
    Ok(())
}

async fn addresses(config: &StorageConfig) -> Result<Vec<SocketAddr>, StartError> {
    let mut out: Vec<SocketAddr> = Vec::new();
    for listen in config.storage.listen() {
        let port = listen.port.unwrap_or(config.storage.sd_port);
        let host = match (&listen.host, listen.family) {
            (Some(host), _) => host.clone(),
            (None, Family::V6) => "::".to_owned(),
            (None, Family::V4 | Family::Any) => "0.0.0.0".to_owned(),
        };
        let resolved = tokio::net::lookup_host((host.as_str(), port)).await;
        let resolved = resolved.map_err(|source| StartError::Resolve { host: host.clone(), source })?;
        let fits = |a: &SocketAddr| match listen.family {
            Family::Any => true,
            Family::V4 => a.is_ipv4(),
            Family::V6 => a.is_ipv6(),
        };
        for address in resolved.filter(fits) {
            if !out.contains(&address) {
                out.push(address);
            }
        }
    }
    Ok(out)
}

async fn listen(daemon: Arc<Daemon>, listener: net::Listener) {
    // Connections are bounded: jobs, their consoles, and some for status.
    let most = daemon.config().storage.maximum_concurrent_jobs.max(1) as usize * 3 + 32;
    let places = Arc::new(tokio::sync::Semaphore::new(most));
    loop {
        match listener.accept().await {
            Ok(incoming) => {
                let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
                let daemon = Arc::clone(&daemon);
                tokio::spawn(super::listener::receive(daemon, incoming, place));
            }
            Err(error) => {
                tracing::error!(error = crate::session::chain(&error), "a call could not be taken");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn maintain(daemon: Arc<Daemon>) {
    let (mut looks, mut sweeps) =
        (tokio::time::interval(FORGOTTEN_EVERY), tokio::time::interval(SWEEP_EVERY));
    loop {
        let is_sweep = tokio::select! {
            _ = sweeps.tick() => true,
            _ = looks.tick() => false,
        };
        let daemon = Arc::clone(&daemon);
        if tokio::task::spawn_blocking(
            move || if is_sweep { sweep(&daemon) } else { drop_forgotten(&daemon) },
        )
        .await
        .is_err()
        {
            tracing::error!("sweeping journals failed");
        }
    }
}

/// Ends running jobs at a checkpoint, Incomplete.
fn stop_jobs(daemon: &Arc<Daemon>) {
    daemon.is_stopping.store(true, Ordering::Release);
    let is_live = |j: &Arc<crate::job::Job>| matches!(j.state().phase, JobPhase::Waiting | JobPhase::Running);
    for job in daemon.jobs.all().into_iter().filter(is_live) {
        tracing::info!(job = %job.spec.id, "the daemon stops: the job ends incomplete");
        job.request_stop(StopRequest::Stop);
    }
    for device in &daemon.devices {
        device.notify();
    }
    daemon.notify_devices();
    let until = Instant::now() + STOP_TIME;
    while Instant::now() < until && daemon.jobs.all().iter().any(is_live) {
        daemon.wait_devices(Duration::from_millis(200));
    }
}
