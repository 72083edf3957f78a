//! What a daemon is given by the program that runs it: when to stop, when to reload, whom to tell that it is ready.
//!
//! Each daemon crate exposes `pub async fn run(config: …, context: DaemonContext) -> Result<(), …>`. It calls
//! [`DaemonContext::set_ready`] once its ports are open, serves until [`DaemonContext::stop`] is cancelled, and returns when
//! everything has ended at a safe point.

use tokio::sync::watch;
pub use tokio_util::sync::CancellationToken;

/// A daemon's side.
#[derive(Debug, Clone)]
pub struct DaemonContext {
    /// Cancelled at SIGTERM: stop at the next safe point and return from `run`.
    pub stop: CancellationToken,
    /// Counts reloads asked for (SIGHUP); wait with `changed()`.
    pub reload: watch::Receiver<u64>,
    ready: watch::Sender<bool>,
    status: watch::Sender<String>,
}

/// The side of the program (or test) that runs a daemon.
#[derive(Debug)]
pub struct DaemonControl {
    /// Cancel to stop the daemon.
    pub stop: CancellationToken,
    reload: watch::Sender<u64>,
    ready: watch::Receiver<bool>,
    status: watch::Receiver<String>,
}

/// A connected pair.
#[must_use]
pub fn pair() -> (DaemonContext, DaemonControl) {
    let stop = CancellationToken::new();
    let (reload_tx, reload_rx) = watch::channel(0);
    let (ready_tx, ready_rx) = watch::channel(false);
    let (status_tx, status_rx) = watch::channel(String::new());
    (
        DaemonContext { stop: stop.clone(), reload: reload_rx, ready: ready_tx, status: status_tx },
        DaemonControl { stop, reload: reload_tx, ready: ready_rx, status: status_rx },
    )
}

impl DaemonContext {
    /// Says that the ports are open: the service manager is told, and a background start returns.
    pub fn set_ready(&self) {
        self.ready.send_replace(true);
    }

    /// One line for the service manager ("3 jobs running").
    pub fn set_status(&self, text: impl Into<String>) {
        self.status.send_replace(text.into());
    }
}

impl DaemonControl {
    /// Asks for a reload of the configuration.
    pub fn request_reload(&self) {
        self.reload.send_modify(|count| *count += 1);
    }

    /// Waits until the daemon is ready; `false` if it ended before. Cancel safe.
    pub async fn wait_ready(&mut self) -> bool {
        self.ready.wait_for(|ready| *ready).await.is_ok()
    }

    /// Waits for the next status line; `None` when the daemon has ended. Cancel safe.
    pub async fn next_status(&mut self) -> Option<String> {
        self.status.changed().await.ok()?;
        Some(self.status.borrow_and_update().clone())
    }
}
