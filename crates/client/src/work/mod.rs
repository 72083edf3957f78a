//! What a job's thread does: backup, restore, verify, estimate. Blocking code; sessions run it on threads of their own.

mod backup;
mod estimate;
mod restore;
mod verify;

use std::sync::Arc;

use types::JobStatus;

pub use backup::{BackupWork, run as run_backup_job};
pub use estimate::run as run_estimate;
pub use restore::run as run_restore;
pub use verify::{run_disk as run_verify_disk, run_volume as run_verify_volume};

use crate::fileset::{ExpandError, FileSet, expand_entries};
use crate::job::Job;
use crate::message::{JobLog, MessageKind};
use crate::script::{RunScript, ScriptStage};

/// Packets of a work to the Director that are no messages: listings, verify records.
pub type Direct = tokio::sync::mpsc::Sender<bytes::Bytes>;

/// Expands the entries of all Includes on this client.
///
/// # Errors
/// The first [`ExpandError`]; it ends the job.
pub fn expand_all(set: &FileSet, job: &Job) -> Result<Vec<Vec<Vec<u8>>>, ExpandError> {
    let one = |files: &Vec<Vec<u8>>| {
        let mut all = Vec::new();
        for file in files {
            all.extend(expand_entries(file, |text| job.expand(text))?);
        }
        Ok(all)
    };
    set.includes.iter().map(|include| one(&include.files)).collect()
}

/// Ends a job: After scripts, then the end line.
pub fn finish(job: &Arc<Job>, scripts: &[RunScript]) {
    if matches!(job.status(), JobStatus::Created | JobStatus::Running) {
        job.set_status(JobStatus::Terminated);
    }
    job.run_scripts(scripts, ScriptStage::After);
    job.push_end();
    tracing::info!(job = %job.identity.name, status = job.exit_status_text(), "job ended");
}

/// Runs work that must not take the daemon with it: a panic ends the job as a fatal error and is reported.
pub fn guarded(job: &Arc<Job>, what: &str, work: impl FnOnce()) {
    if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
        let text =
            format!("Internal error during {what}; this is a bug, please report it with the daemon's log.\n");
        job.message(MessageKind::Fatal, &text);
    }
}
