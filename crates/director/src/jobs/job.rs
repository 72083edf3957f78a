//! One living job, as its own task, the queue, consoles and its connections see it.

use super::lost::{Lost, RANGES_MAX};
use super::machine::{JobState, Step};
use super::outcome::Wish;
use super::view::JobView;
use crate::messages::JobMessages;
use crate::peer::{ClientLink, StorageLink};
use policy::plan::JobPlan;
use policy::queue::{Entry, StorageSlot};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::{oneshot, watch};
use types::{Attempt, JobId, JobStatus, JobType, Timestamp, VolAddr};

/// Storages that the queue found room on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Admitted {
    pub(crate) write: Vec<String>,
    pub(crate) read: Vec<String>,
}

/// What changes while a job lives.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) state: JobState,
    /// A finer status that a daemon reported (waiting for media …).
    pub(crate) reported: Option<JobStatus>,
    pub(crate) start_time: Option<Timestamp>,
    pub(crate) attempt: Attempt,
    pub(crate) adopted: bool,
    /// The Storage that can be had again, of those that the job waits for.
    pub(crate) came_back: Option<String>,
    /// Report sent, mails out: nothing more happens.
    pub(crate) over: bool,
}

/// The daemons of a job, for `cancel`, `stop` and `setbandwidth`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held {
    pub(crate) storages: Vec<StorageLink>,
    pub(crate) client: Option<ClientLink>,
}

/// A living job.
pub(crate) struct Job {
    pub(crate) id: JobId,
    pub(crate) unique: String,
    pub(crate) messages: JobMessages,
    plan: RwLock<Arc<JobPlan>>,
    live: watch::Sender<Live>,
    wish: watch::Sender<Wish>,
    held: Mutex<Held>,
    admission: Mutex<Option<oneshot::Sender<Admitted>>>,
    /// Storages that count as used while it runs; those with room until one was chosen.
    storages: Mutex<Option<Admitted>>,
    admitted: Mutex<Option<Admitted>>,
    /// What its Volumes did not give, of a restore.
    lost: Mutex<Vec<Lost>>,
    /// Some of that no copy gave either.
    unfound: AtomicBool,
    /// Where Volumes end, as a stock SD says while they are read back.
    volume_ends: Mutex<Vec<(String, VolAddr)>>,
    files: AtomicU64,
    bytes: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Job {
    pub(crate) fn new(id: JobId, unique: String, plan: JobPlan, messages: JobMessages) -> Self {
        let live = Live {
            state: JobState::Created,
            reported: None,
            start_time: None,
            attempt: Attempt(0),
            adopted: false,
            came_back: None,
            over: false,
        };
        Self {
            id,
            unique,
            messages,
            plan: RwLock::new(Arc::new(plan)),
            live: watch::Sender::new(live),
            wish: watch::Sender::new(Wish::GoOn),
            held: Mutex::default(),
            admission: Mutex::default(),
            storages: Mutex::default(),
            admitted: Mutex::default(),
            lost: Mutex::default(),
            unfound: AtomicBool::new(false),
            volume_ends: Mutex::default(),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    pub(crate) fn plan(&self) -> Arc<JobPlan> {
        Arc::clone(&self.plan.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_plan(&self, plan: JobPlan) {
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(plan);
    }

    /// Takes a step and logs it. One that does not follow is a bug: it is reported and the state stays.
    pub(crate) fn step(&self, step: &Step) {
        self.live.send_modify(|live| match live.state.after(step) {
            Ok(state) => {
                tracing::info!(job = %self.id, name = self.unique, from = %live.state, to = %state, "job");
                live.state = state;
                live.reported = None;
            }
            Err(error) => tracing::error!(job = %self.id, %error, "please report this as a bug"),
        });
    }

    pub(crate) fn state(&self) -> JobState {
        self.live.borrow().state.clone()
    }

    pub(crate) fn live(&self) -> Live {
        self.live.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Live> {
        self.live.subscribe()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Live)) {
        self.live.send_modify(change);
    }

    /// A daemon's word on what it does (`Status JobId=… JobStatus=…`).
    pub(crate) fn report_status(&self, status: JobStatus) {
        if !status.is_final() {
            let reported = (status != JobStatus::Running).then_some(status);
            self.live.send_if_modified(|live| std::mem::replace(&mut live.reported, reported) != reported);
        }
    }

    /// Remembers files that a Storage Daemon could not deliver.
    pub(crate) fn note_lost(&self, lost: Lost) {
        let mut all = lock(&self.lost);
        if all.len() < RANGES_MAX {
            all.push(lost);
        }
    }

    pub(crate) fn take_lost(&self) -> Vec<Lost> {
        std::mem::take(&mut *lock(&self.lost))
    }

    /// Notes that a restore lacks something for good.
    pub(crate) fn note_unfound(&self) {
        self.unfound.store(true, Ordering::Relaxed);
    }

    /// See [`Self::note_unfound`].
    pub(crate) fn has_unfound(&self) -> bool {
        self.unfound.load(Ordering::Relaxed)
    }

    pub(crate) fn note_volume_end(&self, volume: String, end: VolAddr) {
        let mut all = lock(&self.volume_ends);
        if all.len() < RANGES_MAX {
            all.push((volume, end));
        }
    }

    /// Where a Volume ends, if an SD said so since.
    pub(crate) fn volume_end(&self, volume: &str) -> Option<VolAddr> {
        lock(&self.volume_ends).iter().rev().find(|(name, _)| name == volume).map(|(_, end)| *end)
    }

    pub(crate) fn progress(&self, files: u64, bytes: u64) {
        self.files.fetch_max(files, Ordering::Relaxed);
        self.bytes.fetch_max(bytes, Ordering::Relaxed);
    }

    pub(crate) fn wish(&self) -> Wish {
        *self.wish.borrow()
    }

    /// The operator's wish; the first one stays.
    pub(crate) fn set_wish(&self, wish: Wish) {
        self.wish.send_if_modified(|now| *now == Wish::GoOn && std::mem::replace(now, wish) != wish);
    }

    /// Returns when the job is to be canceled or stopped. Cancel safe.
    pub(crate) async fn wished(&self) -> Wish {
        let mut wish = self.wish.subscribe();
        let got = wish.wait_for(|wish| *wish != Wish::GoOn).await;
        got.map_or(Wish::Cancel, |wish| *wish)
    }

    /// Returns when one of the Storages that the job waits for can be had again. Cancel safe.
    pub(crate) async fn came_back(&self) -> String {
        let mut live = self.watch();
        let got = live.wait_for(|live| live.came_back.is_some()).await;
        got.ok().and_then(|live| live.came_back.clone()).unwrap_or_default()
    }

    pub(crate) fn hold_storage(&self, link: StorageLink) {
        lock(&self.held).storages.push(link);
    }

    /// [`Self::hold_storage`] for a daemon that is asked more than once.
    pub(crate) fn hold_storage_once(&self, link: StorageLink) {
        let mut held = lock(&self.held);
        if held.storages.iter().all(|other| other.name != link.name) {
            held.storages.push(link);
        }
    }

    pub(crate) fn hold_client(&self, link: ClientLink) {
        lock(&self.held).client = Some(link);
    }

    pub(crate) fn held(&self) -> Held {
        lock(&self.held).clone()
    }

    /// Gets in line; the answer comes when the queue lets the job start.
    pub(crate) fn await_admission(&self) -> oneshot::Receiver<Admitted> {
        let (sender, receiver) = oneshot::channel();
        *lock(&self.admission) = Some(sender);
        receiver
    }

    /// Whether it is in line.
    pub(crate) fn in_line(&self) -> bool {
        lock(&self.admission).is_some()
    }

    /// Leaves the line without having been admitted.
    pub(crate) fn leave_line(&self) {
        lock(&self.admission).take();
    }

    pub(crate) fn admit(&self, admitted: Admitted) {
        if let Some(sender) = lock(&self.admission).take() {
            self.use_storages(admitted.clone());
            self.step(&Step::Admit);
            // The job may have been canceled meanwhile; it then ends by itself.
            let _ = sender.send(admitted);
        }
    }

    /// Forgets the daemons and the place in the queue of an attempt that is over.
    pub(crate) fn leave_daemons(&self) {
        *lock(&self.held) = Held::default();
        *lock(&self.storages) = None;
        *lock(&self.admitted) = None;
    }

    /// The Storages that count as used from now on.
    pub(crate) fn use_storages(&self, used: Admitted) {
        *lock(&self.storages) = Some(used);
    }

    /// Storages that the queue found room on.
    pub(crate) fn set_admitted(&self, admitted: Admitted) {
        *lock(&self.admitted) = Some(admitted);
    }

    /// See [`Self::set_admitted`]; `None` for a job that was not queued in this life.
    pub(crate) fn admitted(&self) -> Option<Admitted> {
        lock(&self.admitted).clone()
    }

    /// As the queue sees it.
    pub(crate) fn entry(&self) -> Entry {
        let plan = self.plan();
        let used = lock(&self.storages).clone();
        let slots =
            |storages: &[policy::plan::StoragePlan], used: Option<&Vec<String>>| -> Vec<StorageSlot> {
                storages
                    .iter()
                    .filter(|s| used.is_none_or(|names| names.contains(&s.name)))
                    .map(|s| StorageSlot {
                        name: s.name.clone(),
                        max: s.max_concurrent,
                        max_read: s.max_concurrent_read,
                    })
                    .collect()
            };
        Entry {
            id: self.id,
            priority: plan.priority,
            mixed: plan.allow_mixed_priority,
            job: (plan.job.clone(), plan.max_concurrent),
            client: plan.needs_client().then(|| (plan.client.name.clone(), plan.client.max_concurrent)),
            write: slots(&plan.write_storages, used.as_ref().map(|u| &u.write)),
            read: slots(&plan.read_storages, used.as_ref().map(|u| &u.read)),
            restore: plan.job_type == JobType::Restore,
        }
    }

    pub(crate) fn view(&self) -> JobView {
        let (plan, live) = (self.plan(), self.live());
        let used = lock(&self.storages).clone();
        let storages = match used {
            Some(used) if !used.write.is_empty() || !used.read.is_empty() => [used.write, used.read].concat(),
            _ => plan.write_storages.iter().chain(&plan.read_storages).map(|s| s.name.clone()).collect(),
        };
        let waiting = match &live.state {
            JobState::Queued(reason) => Some(reason.clone()),
            _ => None,
        };
        JobView {
            job_id: self.id,
            job: self.unique.clone(),
            name: plan.job.clone(),
            job_type: plan.job_type,
            level: plan.level,
            status: live.reported.unwrap_or_else(|| live.state.status()),
            waiting,
            files: self.files.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            errors: self.messages.errors(),
            priority: plan.priority,
            sched_time: plan.sched_time,
            start_time: live.start_time,
            client: plan.client.name.clone(),
            storages,
            pool: plan.pool.name.clone(),
            fileset: plan.fileset.name.clone(),
            attempt: live.attempt.get(),
            adopted: live.adopted,
        }
    }
}
