//! What a daemon is given by the program that runs it: when to stop, when to reload, whom to tell that it is ready.
//!
//! Each daemon crate exposes `pub async fn run(config: …, context: DaemonContext) -> Result<(), …>`. It calls
//! [`DaemonContext::set_ready`] once its ports are open, serves until [`DaemonContext::stop`] is cancelled, and returns when
//! everything has ended at a safe point.

use std::sync::Arc;
use tokio::sync::watch;
pub use tokio_util::sync::CancellationToken;

/// Reads a daemon's configuration anew; the text says what is wrong with it.
pub type Load<C> = Arc<dyn Fn() -> Result<C, String> + Send + Sync>;

/// A [`Load`] that always gives the same, for programs whose configuration is in no file.
pub fn unchanging<C: Clone + Send + Sync + 'static>(config: C) -> Load<C> {
    Arc::new(move || Ok(config.clone()))
}

/// A daemon's side.
#[derive(Debug, Clone)]
pub struct DaemonContext {
    /// Cancelled at SIGTERM: stop at the next safe point and return from `run`.
    pub stop: CancellationToken,
    /// Counts reloads asked for (SIGHUP); wait with `changed()`.
    pub reload: watch::Receiver<u64>,
    /// Which instance of a clustered Director this process is, where that was said.
    pub instance: Option<String>,
    ready: watch::Sender<bool>,
    status: watch::Sender<String>,
    reloaded: watch::Sender<u64>,
}

/// The side of the program (or test) that runs a daemon.
#[derive(Debug)]
pub struct DaemonControl {
    /// Cancel to stop the daemon.
    pub stop: CancellationToken,
    reload: watch::Sender<u64>,
    ready: watch::Receiver<bool>,
    status: watch::Receiver<String>,
    reloaded: watch::Receiver<u64>,
    told_ready: bool,
}

/// What [`DaemonControl::next_change`] saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Its ports are open.
    Ready,
    /// One line about what it does.
    Status(String),
    /// A reload that was asked for is over: the new configuration was taken, or refused.
    Reloaded,
    /// It has ended.
    Ended,
}

/// A connected pair.
#[must_use]
pub fn pair() -> (DaemonContext, DaemonControl) {
    let stop = CancellationToken::new();
    let (reload_tx, reload_rx) = watch::channel(0);
    let (ready_tx, ready_rx) = watch::channel(false);
    let (status_tx, status_rx) = watch::channel(String::new());
    let (reloaded_tx, reloaded_rx) = watch::channel(0);
    (
        DaemonContext {
            stop: stop.clone(),
            reload: reload_rx,
            instance: None,
            ready: ready_tx,
            status: status_tx,
            reloaded: reloaded_tx,
        },
        DaemonControl {
            stop,
            reload: reload_tx,
            ready: ready_rx,
            status: status_rx,
            reloaded: reloaded_rx,
            told_ready: false,
        },
    )
}

impl DaemonContext {
    /// Says that the ports are open: the service manager is told, and a background start returns.
    pub fn set_ready(&self) {
        self.ready.send_replace(true);
    }

    /// Waits until a reload is asked for; for ever when none can be any more. Cancel safe. [`Self::reload_done`] must follow.
    pub async fn reload_asked(&mut self) {
        if self.reload.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// The reload that was asked for is over, well or not.
    pub fn reload_done(&self) {
        self.reloaded.send_modify(|count| *count += 1);
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

    /// Waits for the daemon to become ready, a new status line, or its end. Cancel safe.
    pub async fn next_change(&mut self) -> Change {
        let was_ready = *self.ready.borrow_and_update();
        if was_ready && !self.told_ready {
            self.told_ready = true;
            return Change::Ready;
        }
        tokio::select! {
            biased;
            changed = self.ready.changed() => match changed {
                Ok(()) if !self.told_ready => {
                    self.told_ready = true;
                    Change::Ready
                }
                Ok(()) => Change::Status(self.status.borrow().clone()),
                Err(_) => Change::Ended,
            },
            changed = self.reloaded.changed() => match changed {
                Ok(()) => Change::Reloaded,
                Err(_) => Change::Ended,
            },
            changed = self.status.changed() => match changed {
                Ok(()) => Change::Status(self.status.borrow_and_update().clone()),
                Err(_) => Change::Ended,
            },
        }
    }

    /// Waits for the next status line; `None` when the daemon has ended. Cancel safe.
    pub async fn next_status(&mut self) -> Option<String> {
        self.status.changed().await.ok()?;
        Some(self.status.borrow_and_update().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changes_are_told_once_and_in_order() {
        let (context, mut control) = pair();
        context.set_status("starting");
        context.set_ready();
        assert_eq!(control.next_change().await, Change::Ready);
        assert_eq!(control.next_change().await, Change::Status("starting".into()));
        context.set_status("3 jobs");
        assert_eq!(control.next_change().await, Change::Status("3 jobs".into()));
        context.reload_done();
        assert_eq!(control.next_change().await, Change::Reloaded);
        drop(context);
        assert_eq!(control.next_change().await, Change::Ended);
    }
}
