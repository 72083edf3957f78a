//! The one place that all messages pass.

use super::job::JobMessages;
use super::sinks::{ConsoleSpool, Files};
use conf::messages::{Destination, MessageType};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};
use types::{JobId, Timestamp};

/// Rows of the catalog's Log waiting to be written. More than that only come when the catalog is away.
const LOG_ROWS_MAX: usize = 20_000;

/// A row for the catalog's Log table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogRow {
    pub(crate) job: JobId,
    pub(crate) time: Timestamp,
    pub(crate) text: String,
}

/// Routes messages to their destinations and keeps those for the console until a session takes them.
#[derive(Clone)]
pub struct MessageCenter {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) director: String,
    console: Mutex<ConsoleSpool>,
    arrived: Notify,
    files: Mutex<Files>,
    log: Mutex<LogQueue>,
    log_waiting: Notify,
    log_written: watch::Sender<u64>,
    daemon: Mutex<Arc<[Destination]>>,
}

#[derive(Default)]
struct LogQueue {
    rows: VecDeque<LogRow>,
    /// Rows ever put in.
    entered: u64,
    dropped: u64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MessageCenter {
    /// A center for the Director of this name; console messages left by an earlier life are taken from `working_directory`.
    #[must_use]
    pub fn new(director: &str, working_directory: &Path) -> Self {
        let spool = working_directory.join(format!("{director}.conmsg"));
        Self {
            inner: Arc::new(Inner {
                director: director.to_owned(),
                console: Mutex::new(ConsoleSpool::open(spool)),
                arrived: Notify::new(),
                files: Mutex::new(Files::default()),
                log: Mutex::new(LogQueue::default()),
                log_waiting: Notify::new(),
                log_written: watch::Sender::new(0),
                daemon: Mutex::new(Arc::from([])),
            }),
        }
    }

    /// Whether messages for the console wait (`You have messages.`).
    #[must_use]
    pub fn console_pending(&self) -> bool {
        !lock(&self.inner.console).is_empty()
    }

    /// Takes all messages that wait for the console, oldest first; each ends in a line feed.
    #[must_use]
    pub fn take_console(&self) -> Vec<String> {
        lock(&self.inner.console).take()
    }

    /// Returns when a message for the console arrives after the call. Cancel safe.
    pub async fn console_arrived(&self) {
        self.inner.arrived.notified().await;
    }

    /// The messages of a job, to these destinations.
    #[must_use]
    pub fn job(&self, destinations: Arc<[Destination]>, job: JobId) -> JobMessages {
        JobMessages::new(self.clone(), destinations, job)
    }

    /// Sets where messages of the daemon itself go.
    pub(crate) fn set_daemon(&self, destinations: Arc<[Destination]>) {
        *lock(&self.inner.daemon) = destinations;
    }

    /// A message of the daemon itself (JobId 0).
    pub fn daemon(&self, kind: MessageType, text: &str) {
        let destinations = Arc::clone(&lock(&self.inner.daemon));
        self.job(destinations, JobId(0)).put(kind, text);
    }

    pub(super) fn to_console(&self, line: &str) {
        lock(&self.inner.console).push(line);
        self.inner.arrived.notify_waiters();
    }

    pub(super) fn to_files(&self, act: impl FnOnce(&mut Files)) {
        // A line to a local file takes microseconds; a thread of its own would only add a queue that can fill.
        act(&mut lock(&self.inner.files));
    }

    pub(super) fn to_log(&self, row: LogRow) {
        let mut queue = lock(&self.inner.log);
        if queue.rows.len() >= LOG_ROWS_MAX {
            queue.dropped += 1;
            return;
        }
        queue.rows.push_back(row);
        queue.entered += 1;
        drop(queue);
        self.inner.log_waiting.notify_one();
    }

    /// Takes the rows that wait for the catalog, waiting for the first. Returns them with the count to report to
    /// [`Self::log_done`]. Cancel safe.
    pub(crate) async fn next_log_batch(&self) -> (Vec<LogRow>, u64) {
        loop {
            {
                let mut queue = lock(&self.inner.log);
                if queue.dropped > 0 {
                    tracing::error!(
                        rows = queue.dropped,
                        "rows of the catalog's Log were lost: the catalog is away"
                    );
                    queue.dropped = 0;
                }
                if !queue.rows.is_empty() {
                    return (queue.rows.drain(..).collect(), queue.entered);
                }
            }
            self.inner.log_waiting.notified().await;
        }
    }

    /// Rows up to `entered` are in the catalog, or given up.
    pub(crate) fn log_done(&self, entered: u64) {
        self.inner.log_written.send_replace(entered);
    }

    /// Waits until the rows put in so far are in the catalog. Cancel safe.
    pub(crate) async fn flush_log(&self) {
        let wanted = lock(&self.inner.log).entered;
        // The sender is in `inner`, so the wait cannot fail while this center lives.
        let _ = self.inner.log_written.subscribe().wait_for(|written| *written >= wanted).await;
    }
}
