//! The jobs that live, and the queue among them.

use super::job::{Admitted, Job};
use super::machine::{JobState, Step};
use super::view::{JobView, WaitReason};
use policy::queue::{Entry, Hold, Verdict, admit};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use types::{JobId, JobStatus};

/// Registry of living jobs.
pub(crate) struct Registry {
    jobs: Mutex<BTreeMap<JobId, Arc<Job>>>,
    /// Counts arrivals and ends, for those who wait for any change.
    changes: watch::Sender<u64>,
    director_max: AtomicU32,
    started: AtomicU32,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            jobs: Mutex::default(),
            changes: watch::Sender::new(0),
            director_max: AtomicU32::new(1),
            started: AtomicU32::new(0),
        }
    }
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobId, Arc<Job>>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `Maximum Concurrent Jobs` of the Director.
    pub(crate) fn set_limit(&self, director_max: u32) {
        self.director_max.store(director_max, Ordering::Relaxed);
        self.settle();
    }

    pub(crate) fn insert(&self, job: Arc<Job>) {
        self.lock().insert(job.id, job);
        self.started.fetch_add(1, Ordering::Relaxed);
        self.changed();
    }

    /// The job is over and gone.
    pub(crate) fn remove(&self, job: &Job) {
        self.lock().remove(&job.id);
        job.update(|live| live.over = true);
        self.settle();
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    pub(crate) fn get(&self, id: JobId) -> Option<Arc<Job>> {
        self.lock().get(&id).cloned()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Job>> {
        self.lock().values().cloned().collect()
    }

    pub(crate) fn views(&self) -> Vec<JobView> {
        self.all().iter().map(|job| job.view()).collect()
    }

    /// How many jobs use each Storage, but for this one.
    pub(crate) fn storages_in_use(&self, but: JobId) -> BTreeMap<String, u32> {
        let mut used: BTreeMap<String, u32> = BTreeMap::new();
        for job in self.all().iter().filter(|job| job.id != but && !job.in_line() && job.state().is_running())
        {
            let entry = job.entry();
            for slot in entry.write.into_iter().chain(entry.read) {
                *used.entry(slot.name).or_default() += 1;
            }
        }
        used
    }

    /// Jobs taken in since the start.
    pub(crate) fn started(&self) -> u32 {
        self.started.load(Ordering::Relaxed)
    }

    /// Lets those start that may; call it after every change of state, limit or priority.
    pub(crate) fn settle(&self) {
        // Deciding and admitting under one lock: two callers must not fill the same room.
        let jobs = self.lock();
        let entries = |wanted: &dyn Fn(&Job) -> bool| -> Vec<Entry> {
            let queued = jobs.values().filter(|job| !job.plan().is_written_copy());
            queued.filter(|job| wanted(job)).map(|job| job.entry()).collect()
        };
        let waiting = entries(&|job| job.in_line());
        let running = entries(&|job| !job.in_line() && job.state().is_running());
        for (id, verdict) in admit(&waiting, &running, self.director_max.load(Ordering::Relaxed)) {
            let Some(job) = jobs.get(&id) else { continue };
            match verdict {
                Verdict::Start { write, read } => job.admit(Admitted { write, read }),
                Verdict::Wait(hold) => hold_back(job, hold),
            }
        }
    }

    /// Waits until the job is over; `None` when no such job lives. Cancel safe.
    pub(crate) async fn wait(&self, id: JobId) -> Option<JobStatus> {
        let mut live = self.get(id)?.watch();
        let over = live.wait_for(|live| live.over).await.ok()?;
        match over.state {
            JobState::Ended(status) => Some(status),
            _ => Some(JobStatus::FatalError),
        }
    }

    /// Waits until no job runs or waits for its turn; jobs whose start time lies ahead do not count. Cancel safe.
    pub(crate) async fn wait_all(&self) {
        let mut changes = self.changes.subscribe();
        loop {
            let busy = self.all().into_iter().find(|job| {
                let ahead =
                    |reason: &_| matches!(reason, WaitReason::StartTime(_) | WaitReason::Comeback(..));
                match job.state() {
                    JobState::Queued(reason) => !ahead(&reason),
                    state => !matches!(state, JobState::Ended(_)),
                }
            });
            let Some(job) = busy else { return };
            let mut live = job.watch();
            tokio::select! {
                _ = live.changed() => {}
                _ = changes.changed() => {}
            }
        }
    }

    /// Another living job of the same Job resource and type.
    pub(crate) fn duplicate_of(&self, job: &Job) -> Option<Arc<Job>> {
        let plan = job.plan();
        let others = self.all();
        others.into_iter().find(|other| {
            let theirs = other.plan();
            other.id < job.id && theirs.job == plan.job && theirs.job_type == plan.job_type
        })
    }
}

fn hold_back(job: &Job, hold: Hold) {
    let reason = match hold {
        Hold::Priority => WaitReason::Priority,
        Hold::MaxJobs => WaitReason::MaxJobs,
        Hold::Storage(name) => WaitReason::Storage(name),
        Hold::Client(name) => WaitReason::Client(name),
        Hold::Job(name) => WaitReason::Job(name),
    };
    if job.state() != JobState::Queued(reason.clone()) {
        job.step(&Step::Hold(reason));
    }
}
