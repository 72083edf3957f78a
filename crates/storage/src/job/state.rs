//! A job in the daemon.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use net::blocking::{Closer, Conn};
use types::{JobStatus, VolSession};
use volume::Bsr;

use super::outbox::Outbox;
use super::spec::JobSpec;
use crate::ledger::DirectorKey;
use crate::lock::{lock, wait};

/// How a job was asked to end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopRequest {
    /// Not at all.
    None,
    /// `cancel`: ends as `A`.
    Cancel,
    /// `stop`, or the daemon stops: ends as `I` at a checkpoint.
    Stop,
}

/// A job's stop request, shared with whoever waits on its behalf.
#[derive(Debug, Default)]
pub struct StopFlag(AtomicU8);

impl StopFlag {
    /// Asks the job to end as canceled.
    pub fn cancel(&self) {
        self.0.store(1, Ordering::Release);
    }

    /// Asks the job to end as incomplete, unless it is canceled already.
    pub fn stop(&self) {
        let _ = self.0.compare_exchange(0, 2, Ordering::AcqRel, Ordering::Acquire);
    }

    /// What was asked.
    #[must_use]
    pub fn get(&self) -> StopRequest {
        match self.0.load(Ordering::Acquire) {
            0 => StopRequest::None,
            1 => StopRequest::Cancel,
            _ => StopRequest::Stop,
        }
    }

    /// Whether waiting has no sense any more.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.get() == StopRequest::Cancel
    }
}

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobPhase {
    /// Known, perhaps with a device.
    Reserved,
    /// Waits for its client, a drive or an operator.
    Waiting,
    /// Its data flow.
    Running,
    /// Over.
    Ended,
}

impl JobPhase {
    /// The word in the `jobs` list (docs/extensions.md §5).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobEnd {
    /// Status.
    pub status: JobStatus,
    /// Why, where not well.
    pub message: String,
}

/// What changes.
#[derive(Debug)]
pub struct JobState {
    /// Phase.
    pub phase: JobPhase,
    /// Status, as shown.
    pub status: JobStatus,
    /// The client's connection until the job takes it.
    pub client: Option<Conn>,
    /// Its closer, to wake up whoever reads from it.
    pub client_closer: Option<Closer>,
    /// Bootstrap.
    pub bsr: Option<Bsr>,
    /// Device to append on, as a place in the daemon's list.
    pub append_device: Option<usize>,
    /// Device to read from.
    pub read_device: Option<usize>,
    /// Pool.
    pub pool: String,
    /// Its type.
    pub pool_type: String,
    /// Media Type asked for.
    pub media_type: String,
    /// Volume in use, for `status`.
    pub volume: String,
    /// Why it waits for a drive.
    pub reserve_reasons: Vec<String>,
}

/// A job in the daemon.
#[derive(Debug)]
pub struct Job {
    /// What the Director asked for.
    pub spec: JobSpec,
    /// Whose it is.
    pub owner: DirectorKey,
    /// Session.
    pub session: VolSession,
    /// Key that the client must know.
    pub key: String,
    /// The way to the Director.
    pub outbox: Outbox,
    /// Stop request.
    pub stop: Arc<StopFlag>,
    /// When it came.
    pub started: Instant,
    /// The same, Unix seconds.
    pub started_unix: u64,
    /// Files.
    pub files: AtomicU32,
    /// Bytes.
    pub bytes: AtomicU64,
    /// Errors.
    pub errors: AtomicU32,
    /// Bytes per second that the job may send; 0 = no limit.
    pub bandwidth_bytes_per_s: AtomicU64,
    /// Whether a client has authenticated; a second one is refused.
    pub has_client: AtomicBool,
    /// Its client has opened a session: the Director gave it the order to save or restore.
    pub is_opened: AtomicBool,
    state: Mutex<JobState>,
    changed: Condvar,
}

impl Job {
    /// A job as `JobId=` makes it.
    #[must_use]
    pub fn new(
        spec: JobSpec,
        owner: DirectorKey,
        session: VolSession,
        key: String,
        outbox: Outbox,
        stop: Arc<StopFlag>,
    ) -> Self {
        let state = JobState {
            phase: JobPhase::Reserved,
            status: JobStatus::Created,
            client: None,
            client_closer: None,
            bsr: None,
            append_device: None,
            read_device: None,
            pool: String::new(),
            pool_type: String::new(),
            media_type: String::new(),
            volume: String::new(),
            reserve_reasons: Vec::new(),
        };
        let bandwidth_bytes_per_s = AtomicU64::new(spec.bandwidth_bytes_per_s);
        Self {
            spec,
            owner,
            session,
            key,
            outbox,
            stop,
            started: Instant::now(),
            started_unix: crate::text::unix_now(),
            files: AtomicU32::new(0),
            bytes: AtomicU64::new(0),
            errors: AtomicU32::new(0),
            bandwidth_bytes_per_s,
            has_client: AtomicBool::new(false),
            is_opened: AtomicBool::new(false),
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// Its state, locked.
    pub fn state(&self) -> MutexGuard<'_, JobState> {
        lock(&self.state)
    }

    /// Sets phase and status, and tells the Director.
    pub fn set_status(&self, phase: JobPhase, status: JobStatus) {
        {
            let mut state = self.state();
            state.phase = phase;
            state.status = status;
        }
        self.outbox.status(status);
    }

    /// Counts an error and reports it.
    pub fn error(&self, text: &str) {
        self.errors.fetch_add(1, Ordering::Relaxed);
        self.outbox.message(super::message::Kind::Error, text);
    }

    /// Hands over the connection of its client.
    pub fn give_client(&self, conn: Conn) {
        let mut state = self.state();
        state.client_closer = conn.closer().ok();
        state.client = Some(conn);
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for the client.
    #[must_use]
    pub fn wait_client(&self, limit: Duration) -> Option<Conn> {
        let deadline = Instant::now() + limit;
        let mut state = self.state();
        loop {
            if let Some(conn) = state.client.take() {
                return Some(conn);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stop.get() != StopRequest::None || state.phase == JobPhase::Ended {
                return None;
            }
            state = wait(&self.changed, state, left.min(Duration::from_secs(1)));
        }
    }

    /// Asks the job to end, and wakes up whatever it waits for.
    pub fn request_stop(&self, request: StopRequest) {
        match request {
            StopRequest::None => {}
            StopRequest::Cancel => self.stop.cancel(),
            StopRequest::Stop => self.stop.stop(),
        }
        if let Some(closer) = &self.state().client_closer {
            closer.close();
        }
        self.changed.notify_all();
    }

    /// Waits for a change of the job, for those who wait for something else and want to notice a stop.
    pub fn notify(&self) {
        self.changed.notify_all();
    }
}
