//! One restore: a read session with one Storage Daemon.

use std::sync::Arc;

use attrs::Stream;
use types::JobStatus;

use super::guarded;
use crate::job::Job;
use crate::message::{JobLog, MessageKind};
use crate::restore::{RestoreOptions, Restorer};
use crate::storage::{StorageError, StorageSession};

/// Reads the session and restores what comes. The connection is closed at the end.
pub fn run(job: &Arc<Job>, options: RestoreOptions, mut storage: StorageSession) {
    guarded(job, "the restore", || {
        job.set_status(JobStatus::Running);
        if let Err(error) = session(job, options, &mut storage)
            && !job.stop.is_ending()
        {
            job.message(MessageKind::Fatal, &format!("{error}\n"));
        }
    });
    storage.terminate();
    job.set_closer(None);
}

fn session(
    job: &Arc<Job>,
    options: RestoreOptions,
    storage: &mut StorageSession,
) -> Result<(), StorageError> {
    let ticket = storage.read_open(job.identity.session)?;
    let mut restorer = Restorer::new(options, &job.counters, &**job);
    let mut broken = false;
    let result = storage.read_records(|header, data| {
        // Labels have no business here; a damaged Volume may hold anything.
        if header.file_index.get() <= 0 || job.stop.is_ending() {
            return !job.stop.is_ending();
        }
        if let Err(error) = restorer.record(Stream(header.stream), data) {
            job.message(MessageKind::Error, &format!("{error}\n"));
            broken = true;
        }
        true
    });
    restorer.finish();
    if broken {
        tracing::warn!(job = %job.identity.name, "records of the Volume could not be read");
    }
    result?;
    if job.stop.is_ending() {
        return Ok(());
    }
    storage.read_close(ticket)
}
