//! What is done from time to time: finished journals are swept.

use std::sync::Arc;
use std::time::SystemTime;

use super::Daemon;
use crate::job::{JobPhase, Outbox};

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
