//! What is done from time to time: finished journals are swept.

use std::sync::Arc;
use std::time::SystemTime;

use super::Daemon;
use super::ending::end_job;
use crate::job::{JobEnd, JobPhase, Outbox, StopRequest};

/// Ends jobs that were reserved and will not be run: their Director has not come back, or has canceled them without saying `run`, so
/// that no thread of theirs would end them.
pub(crate) fn drop_forgotten(daemon: &Arc<Daemon>) {
    for job in daemon.jobs.all() {
        let Outbox::Journaled(journal) = &job.outbox else { continue };
        let is_unused = job.state().phase == JobPhase::Reserved;
        let is_canceled = job.stop.get() != StopRequest::None;
        if is_unused && (journal.is_forsaken() || is_canceled) {
            if is_canceled {
                let message = "The job was canceled before it was run.".to_owned();
                end_job(daemon, &job, &JobEnd { status: types::JobStatus::Canceled, message });
                continue;
            }
            tracing::warn!(job = %job.spec.id, "its Director has not come back to run the job; it is dropped");
            let message = "No Director came to run the job.".to_owned();
            end_job(daemon, &job, &JobEnd { status: types::JobStatus::FatalError, message });
        }
    }
}

/// Removes journals that are too old or too many, and forgets their jobs.
pub(crate) fn sweep(daemon: &Arc<Daemon>) {
    let limits = daemon.shelf_limits();
    let removed = crate::lock::lock(&daemon.shelf).sweep(limits, SystemTime::now());
    if removed.is_empty() {
        return;
    }
    for job in daemon.jobs.all() {
        let Outbox::Journaled(journal) = &job.outbox else { continue };
        if job.state().phase == JobPhase::Ended && removed.contains(&journal.path()) {
            daemon.jobs.remove(&job);
        }
    }
}
