//! The jobs of the daemon, running and ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use types::JobId;

use super::state::Job;
use crate::ledger::DirectorKey;
use crate::lock::lock;

/// Ended jobs that `status` shows.
const ENDED_MAX: usize = 10;

/// A job that is over, for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedJob {
    /// JobId.
    pub id: JobId,
    /// Unique name.
    pub job: String,
    /// ASCII code of the type.
    pub job_type: u32,
    /// ASCII code of the level.
    pub level: u32,
    /// ASCII code of the status.
    pub status: u32,
    /// Files.
    pub files: u32,
    /// Bytes.
    pub bytes: u64,
    /// Errors.
    pub errors: u32,
    /// Unix seconds.
    pub started: u64,
    /// Unix seconds.
    pub ended: u64,
}

#[derive(Debug, Default)]
struct Inner {
    jobs: Vec<Arc<Job>>,
    ended: VecDeque<EndedJob>,
    run_count: u32,
}

/// The jobs.
#[derive(Debug, Default)]
pub struct JobTable(Mutex<Inner>);

impl JobTable {
    /// Adds a job.
    pub fn add(&self, job: Arc<Job>) {
        lock(&self.0).jobs.push(job);
    }

    /// Takes a job out.
    pub fn remove(&self, job: &Arc<Job>) {
        lock(&self.0).jobs.retain(|j| !Arc::ptr_eq(j, job));
    }

    /// Notes the end of a job.
    pub fn note_ended(&self, ended: EndedJob) {
        let mut inner = lock(&self.0);
        inner.run_count += 1;
        if inner.ended.len() == ENDED_MAX {
            inner.ended.pop_front();
        }
        inner.ended.push_back(ended);
    }

    /// All jobs, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Job>> {
        lock(&self.0).jobs.clone()
    }

    /// A job by its unique name; the newest where several Directors use one name.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<Arc<Job>> {
        lock(&self.0).jobs.iter().rev().find(|j| j.spec.job == name).cloned()
    }

    /// A job of a Director.
    #[must_use]
    pub fn of_director(&self, owner: &DirectorKey, name: &str) -> Option<Arc<Job>> {
        lock(&self.0).jobs.iter().rev().find(|j| j.owner == *owner && j.spec.job == name).cloned()
    }

    /// The last ended jobs, oldest first.
    #[must_use]
    pub fn ended(&self) -> Vec<EndedJob> {
        lock(&self.0).ended.iter().cloned().collect()
    }

    /// Jobs that have ended since the start.
    #[must_use]
    pub fn run_count(&self) -> u32 {
        lock(&self.0).run_count
    }
}
