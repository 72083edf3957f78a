//! The work: backup, restore, verify, estimate.

use std::sync::Arc;

use types::{JobLevel, JobStatus, JobType};
use wire::frame::Signal;
use wire::msg::dir_fd::{RestoreCommand, RestoreTarget, VerifyLevel};

use super::pump::{DIRECT_PACKETS, spawn_thread};
use super::{DirectorSession, Next};
use crate::counters::Counters;
use crate::message::{JobLog, MessageKind};
use crate::restore::{Names, RegexWhere, RestoreOptions};
use crate::work::{self, BackupWork};

impl DirectorSession {
    pub(super) async fn backup(&mut self, last_index: i32) -> Next {
        let Some(job) = self.job.clone() else { return Next::End };
        job.set_job_type(JobType::Backup);
        let selection = self.setup.selection();
        let Some(storage) = self.setup.storage.take() else {
            self.fatal("Cannot contact Storage daemon\n");
            return Next::End;
        };
        self.answer("2000 OK backup\n").await;
        let work = BackupWork {
            set: std::mem::take(&mut self.setup.set),
            selection,
            accurate: self.setup.accurate.take(),
            last_index,
            storage,
            scripts: std::mem::take(&mut self.setup.scripts),
        };
        let (daemon, thread_job) = (Arc::clone(&self.daemon), Arc::clone(&job));
        // The thread ends the job itself: it goes on when the Director, and with it this session, is gone.
        let work = spawn_thread(move || {
            work::run_backup_job(&thread_job, work);
            daemon.jobs.end(&thread_job);
        });
        self.job_elsewhere = true;
        let (_, direct) = tokio::sync::mpsc::channel(1);
        self.serve_while(work, direct).await;
        self.deliver_rest(&job).await;
        Next::End
    }

    pub(super) async fn restore(&mut self, command: RestoreCommand) -> Next {
        let Some(job) = self.job.clone() else { return Next::End };
        job.set_job_type(JobType::Restore);
        let names = match &command.target {
            RestoreTarget::Where(place) => Names::below(&String::from_utf8_lossy(place)),
            RestoreTarget::Regex(text) => match RegexWhere::parse(&String::from_utf8_lossy(text)) {
                Ok(expressions) => Names::Regex(expressions),
                Err(error) => {
                    self.fatal(&format!("Bad where regexp. {error}\n"));
                    return Next::End;
                }
            },
        };
        let Some(storage) = self.setup.storage.take() else {
            self.fatal("Cannot contact Storage daemon\n");
            return Next::End;
        };
        self.answer("2000 OK restore\n").await;
        let options = RestoreOptions { names, replace: command.replace, prefix_links: command.prefix_links };
        let thread_job = Arc::clone(&job);
        self.blocking(move || work::run_restore(&thread_job, options, storage)).await;
        if self.setup.several_storages && self.conn.is_some() {
            return self.answer("2000 OK storage end\n").await;
        }
        self.end_restore()
    }

    /// The last restore is over: with errors the job is no success.
    pub(super) fn end_restore(&mut self) -> Next {
        if let Some(job) = &self.job
            && Counters::get(&job.counters.errors) > 0
        {
            job.set_status(JobStatus::ErrorTerminated);
        }
        Next::End
    }

    pub(super) async fn verify(&mut self, level: VerifyLevel) -> Next {
        let Some(job) = self.job.clone() else { return Next::End };
        job.set_job_type(JobType::Verify);
        job.set_level(match level {
            VerifyLevel::Init => JobLevel::VerifyInit,
            VerifyLevel::Catalog => JobLevel::VerifyCatalog,
            VerifyLevel::Volume => JobLevel::VerifyVolume,
            VerifyLevel::Data => JobLevel::VerifyData,
            VerifyLevel::DiskToCatalog => JobLevel::VerifyDisk,
        });
        self.answer("2000 OK verify\n").await;
        let set = std::mem::take(&mut self.setup.set);
        let accurate = self.setup.accurate.take();
        let storage = self.setup.storage.take();
        let (direct_in, direct) = tokio::sync::mpsc::channel(DIRECT_PACKETS);
        let thread_job = Arc::clone(&job);
        let work = spawn_thread(move || match (level, storage) {
            (VerifyLevel::Init | VerifyLevel::Catalog | VerifyLevel::DiskToCatalog, _) => {
                work::run_verify_disk(&thread_job, &set, &direct_in);
            }
            (VerifyLevel::Volume | VerifyLevel::Data, Some(storage)) => {
                let data = level == VerifyLevel::Data;
                work::run_verify_volume(&thread_job, storage, &set, data, accurate, &direct_in);
            }
            (VerifyLevel::Volume | VerifyLevel::Data, None) => {
                thread_job.message(MessageKind::Fatal, "Cannot contact Storage daemon\n");
            }
        });
        self.serve_while(work, direct).await;
        self.signal(Signal::Eod).await;
        Next::End
    }

    pub(super) async fn estimate(&mut self, listing: bool, limit: Option<u64>) -> Next {
        let Some(job) = self.job.clone() else { return Next::End };
        let selection = self.setup.selection();
        let set = std::mem::take(&mut self.setup.set);
        let accurate = self.setup.accurate.take();
        let (direct_in, direct) = tokio::sync::mpsc::channel(DIRECT_PACKETS);
        let work = spawn_thread(move || {
            work::run_estimate(&job, &set, selection, accurate, listing, limit, &direct_in)
        });
        if let Some(line) = self.serve_while(work, direct).await {
            self.send(line).await;
        }
        self.signal(Signal::Eod).await;
        Next::Go
    }
}
