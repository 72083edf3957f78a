//! Numbers of a running job that several threads count.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

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
    /// Restored files that were not right, with the errors counted for each; at most [`SPOILED_MAX`].
    spoiled: Mutex<BTreeMap<Vec<u8>, u64>>,
}

/// Files remembered that were not right.
const SPOILED_MAX: usize = 4096;

impl Counters {
    /// Remembers the errors that were counted for a restored file.
    pub fn note_spoiled(&self, path: &[u8], errors: u64) {
        let mut spoiled = self.spoiled.lock().unwrap_or_else(PoisonError::into_inner);
        if spoiled.len() < SPOILED_MAX || spoiled.contains_key(path) {
            *spoiled.entry(path.to_vec()).or_default() += errors;
        }
    }

    /// The file came once more and is right: its errors are taken back. Whether there were any.
    pub fn note_mended(&self, path: &[u8]) -> bool {
        let mended = self.spoiled.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
        let Some(mended) = mended else { return false };
        let less = |errors: u64| Some(errors.saturating_sub(mended));
        // The closure always gives a value.
        let _ = self.errors.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        true
    }

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
