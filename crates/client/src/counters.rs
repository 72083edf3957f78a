//! Numbers of a running job that several threads count.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counts of a job. Bytes are as the End Job line has them (spec/02 §7.0).
#[derive(Debug, Default)]
pub struct Counters {
    /// Entries saved or restored.
    pub files: AtomicU64,
    /// Bytes of data, ACL and attribute packets sent; bytes written on restore.
    pub job_bytes: AtomicU64,
    /// Plain bytes read; bytes received on restore.
    pub read_bytes: AtomicU64,
    /// Errors that did not end the job.
    pub errors: AtomicU64,
    /// Entries looked at.
    pub examined: AtomicU64,
    /// Payload bytes sent to the Storage Daemon.
    pub comm_bytes: AtomicU64,
    /// Limit of the connection to the Storage Daemon in bytes per second; 0 for none.
    pub bandwidth: AtomicU64,
    /// The entry being worked on.
    current: Mutex<Vec<u8>>,
}

impl Counters {
    /// Adds to a count.
    pub fn add(counter: &AtomicU64, value: u64) {
        counter.fetch_add(value, Ordering::Relaxed);
    }

    /// Reads a count.
    #[must_use]
    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Says which entry is being worked on; skipped when somebody is just reading it.
    pub fn set_current(&self, path: &[u8]) {
        if let Ok(mut current) = self.current.try_lock() {
            current.clear();
            current.extend_from_slice(path);
        }
    }

    /// The entry being worked on.
    #[must_use]
    pub fn current(&self) -> Vec<u8> {
        self.current.lock().map(|current| current.clone()).unwrap_or_default()
    }
}

/// How a job is asked to end before its time.
#[derive(Debug, Default)]
pub struct StopFlags {
    cancel: AtomicBool,
    stop: AtomicBool,
}

impl StopFlags {
    /// Ends the job at once, as failed.
    pub fn cancel(&self) {
        self.cancel.store(true, Ordering::Release);
    }

    /// Ends the job behind the current file, as Incomplete.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Whether it is to end at once.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.cancel.load(Ordering::Acquire)
    }

    /// Whether it is to end behind the current file.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Whether it is to end in one way or the other.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.is_canceled() || self.is_stopped()
    }
}
