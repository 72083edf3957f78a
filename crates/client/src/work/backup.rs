//! The backup of a job, from `append open session` to the end line.

use std::sync::Arc;

use types::JobStatus;

use super::{expand_all, finish, guarded};
use crate::accurate::AccurateList;
use crate::backup::{BackupEnd, BackupPlan, Selection, run_backup};
use crate::fileset::FileSet;
use crate::job::Job;
use crate::message::{JobLog, MessageKind};
use crate::script::{RunScript, ScriptStage};
use crate::storage::StorageSession;

/// What a session has gathered for the backup.
pub struct BackupWork {
    /// What to take.
    pub set: FileSet,
    /// What has changed.
    pub selection: Selection,
    /// The accurate list.
    pub accurate: Option<AccurateList>,
    /// FileIndex of the last file of an earlier attempt.
    pub last_index: i32,
    /// The connection to the Storage Daemon.
    pub storage: StorageSession,
    /// Scripts.
    pub scripts: Vec<RunScript>,
}

/// Runs the backup and everything behind it; the job has ended when this returns.
pub fn run(job: &Arc<Job>, work: BackupWork) {
    let BackupWork { set, selection, accurate, last_index, mut storage, scripts } = work;
    guarded(job, "the backup", || {
        job.set_status(JobStatus::Running);
        job.run_scripts(&scripts, ScriptStage::AfterSnapshot);
        data(job, &set, selection, accurate, last_index, &mut storage);
    });
    if !job.stop.is_canceled() {
        storage.terminate();
    }
    job.set_closer(None);
    drop(storage);
    guarded(job, "the end of the backup", || finish(job, &scripts));
    sys::trim_heap();
}

fn data(
    job: &Arc<Job>,
    set: &FileSet,
    selection: Selection,
    accurate: Option<AccurateList>,
    last_index: i32,
    storage: &mut StorageSession,
) {
    let files = match expand_all(set, job) {
        Ok(files) => files,
        Err(error) => return job.message(MessageKind::Fatal, &format!("{error}\n")),
    };
    if set.includes.iter().any(|include| !include.plugins.is_empty()) {
        job.message(
            MessageKind::Warning,
            "Plugin commands of the FileSet are not run: this client has no plugins.\n",
        );
    }
    let ticket = match storage.append_open() {
        Ok(ticket) => ticket,
        Err(error) => return fatal(job, &error),
    };
    let plan = BackupPlan {
        set,
        files: &files,
        selection,
        accurate,
        last_index,
        counters: &job.counters,
        stop: &job.stop,
        log: &**job,
    };
    job.set_sending(true);
    let end =
        if job.stop.is_ending() { BackupEnd::Canceled } else { run_backup(plan, &mut storage.sink(job)) };
    match end {
        BackupEnd::Complete | BackupEnd::Stopped => {
            if let Err(error) = storage.append_close(ticket) {
                fatal(job, &error);
            }
        }
        BackupEnd::Canceled => {}
        BackupEnd::Lost(error) => {
            let words = storage
                .last_words()
                .map(|words| format!(" The Storage daemon said: {words}"))
                .unwrap_or_default();
            let text = format!("Network send error to SD. ERR={}{words}\n", sys::error_text(&error));
            job.message(MessageKind::Fatal, &text);
        }
    }
}

/// A fatal message, unless the job was told to end: then the broken connection is our own doing.
fn fatal(job: &Arc<Job>, error: &crate::storage::StorageError) {
    if !job.stop.is_ending() {
        job.message(MessageKind::Fatal, &format!("{error}\n"));
    }
}
