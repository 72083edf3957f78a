//! The shared handle of a running Director.

use crate::error::DirectorError;
use crate::jobs::{JobView, Registry};
use crate::messages::MessageCenter;
use policy::plan::JobRequest;
use std::sync::Arc;
use types::{JobId, JobLevel, JobStatus, JobType, Timestamp};

/// A running Director. Cheap to clone; all clones are one Director.
#[derive(Clone)]
pub struct Director {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    messages: MessageCenter,
    started: Timestamp,
}

/// A job that has ended, for `status director`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminatedJob {
    /// JobId.
    pub job_id: JobId,
    /// Name of the Job resource.
    pub name: String,
    /// Type.
    pub job_type: JobType,
    /// Level.
    pub level: JobLevel,
    /// How it ended.
    pub status: JobStatus,
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
    /// Errors, for `OK -- with warnings`.
    pub errors: u32,
    /// When it ended.
    pub finished: Timestamp,
}

impl Director {
    /// Creates the job in the catalog and queues it. It starts at once when nothing holds it back.
    ///
    /// # Errors
    /// [`DirectorError::Plan`] when the request does not fit the configuration, [`DirectorError::Catalog`].
    pub async fn submit(&self, request: JobRequest) -> Result<JobId, DirectorError> {
        let _ = request;
        Err(DirectorError::NotActive("starting".to_owned()))
    }

    /// Cancels a queued or running job. Returns the lines that FD and SD answered, as the console shows them
    /// (`2001 Job "…" marked to be canceled.`, `3000 JobId=6 Job="…" marked to be canceled.`).
    ///
    /// # Errors
    /// [`DirectorError::NoSuchJob`].
    pub async fn cancel(&self, job: JobId) -> Result<Vec<String>, DirectorError> {
        Err(DirectorError::NoSuchJob(job))
    }

    /// Stops a job so that it ends Incomplete and can be resumed; answers as [`Self::cancel`].
    ///
    /// # Errors
    /// [`DirectorError::NoSuchJob`].
    pub async fn stop_job(&self, job: JobId) -> Result<Vec<String>, DirectorError> {
        Err(DirectorError::NoSuchJob(job))
    }

    /// Waits until the job has ended and its report was sent. `None` when no such job is queued or runs.
    pub async fn wait(&self, job: JobId) -> Option<JobStatus> {
        self.inner.registry.wait(job).await
    }

    /// Waits until no job is queued or runs.
    pub async fn wait_all(&self) {
        self.inner.registry.wait_all().await;
    }

    /// The jobs that are queued or run, by JobId.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobView> {
        self.inner.registry.views()
    }

    /// One queued or running job.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<JobView> {
        self.inner.registry.views().into_iter().find(|view| view.job_id == job)
    }

    /// The last jobs that ended, oldest first (at most 10; kept over restarts by the catalog).
    #[must_use]
    pub fn terminated(&self) -> Vec<TerminatedJob> {
        Vec::new()
    }

    /// Where messages go; console sessions take theirs from it.
    #[must_use]
    pub fn messages(&self) -> &MessageCenter {
        &self.inner.messages
    }

    /// When this Director started.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.inner.started
    }
}
