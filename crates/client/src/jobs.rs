//! The jobs of this daemon: running ones, ended ones whose journal is not yet taken, and the last ones for `status`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use types::{JobId, JobLevel, JobStatus, JobType, Timestamp};

use crate::counters::Counters;
use crate::job::{Job, now};

/// Ended jobs shown by `status`.
const LAST_JOBS: usize = 10;
/// How long an ended job keeps its journal for a Director (docs/extensions.md §4).
const JOURNAL_RETENTION: Duration = Duration::from_secs(7 * 24 * 3600);
/// Journals kept; the oldest ended ones go first.
const JOURNALS_MAX: usize = 200;

/// A job that has ended.
#[derive(Debug, Clone)]
pub struct EndedJob {
    /// Catalog key.
    pub id: JobId,
    /// Name without date.
    pub name: String,
    /// What it was.
    pub job_type: JobType,
    /// How much it took.
    pub level: JobLevel,
    /// How it ended.
    pub status: JobStatus,
    /// Entries.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
    /// Errors.
    pub errors: u64,
    /// When.
    pub ended: Timestamp,
}

#[derive(Default)]
struct State {
    /// By Director and unique name: names are each Director's own.
    running: HashMap<(String, String), Arc<Job>>,
    kept: VecDeque<(Instant, Arc<Job>)>,
    last: VecDeque<EndedJob>,
    run: u64,
}

/// The registry.
#[derive(Default)]
pub struct Jobs {
    state: Mutex<State>,
    /// Told when a job has ended.
    pub ended: tokio::sync::Notify,
}

impl Jobs {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Adds a job; `false` when one of the name runs already. An earlier attempt is stopped and its place taken: the Director that
    /// began it may stand still with its connection open, and the one who follows has closed that attempt.
    pub fn add(&self, job: &Arc<Job>) -> bool {
        let mut state = self.state();
        if let Some(before) = state.running.get(&key_of(job)) {
            if !job.identity.follows(&before.identity) {
                return false;
            }
            before.cancel();
        }
        state.running.insert(key_of(job), Arc::clone(job));
        true
    }

    /// Moves a job to the ended ones; nothing is kept of an attempt whose place another has taken.
    pub fn end(&self, job: &Arc<Job>) {
        let mut state = self.state();
        if !state.running.get(&key_of(job)).is_some_and(|running| Arc::ptr_eq(running, job)) {
            return;
        }
        state.running.remove(&key_of(job));
        state.run += 1;
        let counts = &job.counters;
        state.last.push_back(EndedJob {
            id: job.identity.id,
            name: job.short_name().to_owned(),
            job_type: job.job_type(),
            level: job.level(),
            status: job.status(),
            files: Counters::get(&counts.files),
            bytes: Counters::get(&counts.job_bytes),
            errors: Counters::get(&counts.errors),
            ended: now(),
        });
        if state.last.len() > LAST_JOBS {
            state.last.pop_front();
        }
        if job.is_journaled() && !job.outbox.is_done() {
            state.kept.push_back((Instant::now(), Arc::clone(job)));
        }
        state.prune();
        drop(state);
        self.ended.notify_waiters();
    }

    /// A running job of a Director by its unique name.
    #[must_use]
    pub fn running(&self, director: &str, name: &str) -> Option<Arc<Job>> {
        self.state().running.get(&(director.to_owned(), name.to_owned())).cloned()
    }

    /// A running job by its unique name, whoever's it is: a Storage Daemon that calls says no more.
    #[must_use]
    pub fn of_any_director(&self, name: &str) -> Option<Arc<Job>> {
        self.state().running.values().find(|job| job.identity.name == name).cloned()
    }

    /// All running jobs, oldest first.
    #[must_use]
    pub fn all_running(&self) -> Vec<Arc<Job>> {
        let mut jobs: Vec<_> = self.state().running.values().cloned().collect();
        jobs.sort_by_key(|job| (job.started, job.identity.id));
        jobs
    }

    /// A running job, or an ended one whose journal is kept.
    #[must_use]
    pub fn find(&self, director: &str, name: &str) -> Option<Arc<Job>> {
        let key = (director.to_owned(), name.to_owned());
        let state = self.state();
        let kept = || state.kept.iter().map(|(_, job)| job).find(|job| key_of(job) == key);
        state.running.get(&key).or_else(kept).cloned()
    }

    /// Running jobs and ended ones with a journal.
    #[must_use]
    pub fn all_known(&self) -> Vec<Arc<Job>> {
        let mut state = self.state();
        state.prune();
        state.running.values().chain(state.kept.iter().map(|(_, job)| job)).cloned().collect()
    }

    /// Forgets the journal of an ended job.
    pub fn forget(&self, director: &str, name: &str) {
        self.state().kept.retain(|(_, job)| job.identity.director != director || job.identity.name != name);
    }

    /// The last ended jobs, oldest first.
    #[must_use]
    pub fn last(&self) -> Vec<EndedJob> {
        self.state().last.iter().cloned().collect()
    }

    /// Jobs run so far, and jobs running.
    #[must_use]
    pub fn counts(&self) -> (u64, usize) {
        let state = self.state();
        (state.run, state.running.len())
    }
}

fn key_of(job: &Job) -> (String, String) {
    (job.identity.director.clone(), job.identity.name.clone())
}

impl State {
    fn prune(&mut self) {
        self.kept.retain(|(since, job)| since.elapsed() < JOURNAL_RETENTION && !job.outbox.is_done());
        while self.kept.len() > JOURNALS_MAX {
            self.kept.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{Attempt, CatalogId, VolSession};

    use super::*;
    use crate::job::JobIdentity;

    fn job(director: &str, attempt: u32) -> Arc<Job> {
        Arc::new(Job::new(JobIdentity {
            id: JobId(5),
            name: "One.2026-11-28_12.42.23_02".into(),
            attempt: Attempt(attempt),
            session: VolSession::default(),
            key: None,
            director: director.into(),
            catalog: Some(CatalogId(7)),
            generation: wire::version::Generation::New,
            daemon: "kit-fd".into(),
            wanted: Vec::new(),
            errors_max: 3,
        }))
    }

    fn is_canceled(job: &Job) -> bool {
        job.status() == JobStatus::Canceled
    }

    /// The Director that began the earlier one was frozen with its connection open.
    #[test]
    fn a_later_attempt_takes_the_place_of_the_one_before() {
        let (jobs, first, second) = (Jobs::default(), job("dc1-dir", 1), job("dc1-dir", 2));
        assert!(jobs.add(&first) && !jobs.add(&job("dc1-dir", 1)));
        assert!(!is_canceled(&first));
        assert!(jobs.add(&second) && is_canceled(&first));
        jobs.end(&first);
        let running = jobs.running("dc1-dir", &second.identity.name).unwrap();
        assert!(Arc::ptr_eq(&running, &second) && !is_canceled(&second));
        jobs.end(&second);
        assert!(jobs.all_running().is_empty() && jobs.last().len() == 1);
    }

    #[test]
    fn directors_that_name_their_jobs_alike_do_not_meet() {
        let (jobs, one, other) = (Jobs::default(), job("dc1-dir", 1), job("dc2-dir", 1));
        assert!(jobs.add(&one) && jobs.add(&other));
        let name = &one.identity.name;
        assert!(Arc::ptr_eq(&jobs.running("dc2-dir", name).unwrap(), &other));
        jobs.end(&one);
        assert!(jobs.running("dc1-dir", name).is_none() && jobs.running("dc2-dir", name).is_some());
        assert!(jobs.of_any_director(name).is_some() && !is_canceled(&other));
    }
}
