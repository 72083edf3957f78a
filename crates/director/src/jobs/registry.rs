//! The jobs that are queued or run.

use crate::jobs::JobView;
use std::collections::BTreeMap;
use std::sync::Mutex;
use tokio::sync::Notify;
use types::{JobId, JobStatus};

/// Registry of living jobs.
#[derive(Default)]
pub(crate) struct Registry {
    jobs: Mutex<BTreeMap<JobId, JobView>>,
    changed: Notify,
}

impl Registry {
    pub(crate) fn views(&self) -> Vec<JobView> {
        self.jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) async fn wait(&self, _job: JobId) -> Option<JobStatus> {
        self.changed.notified().await;
        None
    }

    pub(crate) async fn wait_all(&self) {
        self.changed.notified().await;
    }
}
