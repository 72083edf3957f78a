//! What is asked for when a job is started: by the console, a schedule, a clone line, a reschedule.

use serde::{Deserialize, Serialize};
use types::{JobLevel, Replace, Timestamp};

/// Asks for a job.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JobRequest {
    /// Name of the Job resource.
    pub job: String,
    /// Who asks.
    pub origin: Origin,
    /// What differs from the resource.
    pub overrides: Overrides,
}

impl JobRequest {
    /// A request by the console without overrides.
    #[must_use]
    pub fn new(job: impl Into<String>) -> Self {
        Self { job: job.into(), ..Self::default() }
    }
}

/// Who asked for a job.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Origin {
    /// `run` or `restore` on a console.
    #[default]
    Console,
    /// A due run of a schedule (DESIGN §4 "Schedule ledger").
    Schedule {
        /// Name of the Schedule resource.
        schedule: String,
        /// Position of the Run line in it, from 0.
        run_line: u32,
        /// Due instant in Unix seconds.
        due: i64,
    },
    /// Started with another job (`Run =`), or spawned by a copy's control job.
    Clone {
        /// JobId of the other.
        parent: u32,
    },
    /// A new attempt of a job that failed.
    Reschedule {
        /// JobId of the failed job.
        previous: u32,
    },
}

/// What differs from the Job resource. `None` = as in the resource.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Overrides {
    /// `level=`.
    pub level: Option<JobLevel>,
    /// `client=`, `backupclient=`.
    pub client: Option<String>,
    /// `restoreclient=`.
    pub restore_client: Option<String>,
    /// `fileset=`.
    pub fileset: Option<String>,
    /// `pool=`.
    pub pool: Option<String>,
    /// A schedule's `FullPool=`.
    pub full_pool: Option<String>,
    /// A schedule's `IncrementalPool=`.
    pub incremental_pool: Option<String>,
    /// A schedule's `DifferentialPool=`.
    pub differential_pool: Option<String>,
    /// `nextpool=`.
    pub next_pool: Option<String>,
    /// `storage=`.
    pub storage: Option<String>,
    /// A schedule's `Messages=`.
    pub messages: Option<String>,
    /// `when=`: not before.
    pub when: Option<Timestamp>,
    /// `priority=`.
    pub priority: Option<u32>,
    /// `accurate=`.
    pub accurate: Option<bool>,
    /// `spooldata=`.
    pub spool_data: Option<bool>,
    /// A schedule's `WritePartAfterJob=`.
    pub write_part_after_job: Option<bool>,
    /// A schedule's `MaxRunSchedTime=`, seconds.
    pub max_run_sched_s: Option<u64>,
    /// `since=` of a clone line, Unix seconds.
    pub since: Option<Timestamp>,
    /// `jobid=` of Verify, Copy, Migrate.
    pub target_job: Option<u32>,
    /// Copies to this Pool what the Job has saved (`Copy Pool`), instead of doing what the Job does.
    pub copy_to: Option<String>,
    /// `verifyjob=`.
    pub verify_job: Option<String>,
    /// `ignoreduplicatecheck=yes`.
    pub ignore_duplicates: bool,
    /// `comment=`.
    pub comment: Option<String>,
    /// `catalog=`.
    pub catalog: Option<String>,
    /// `mediatype=`.
    pub media_type: Option<String>,
    /// `pluginoptions=`.
    pub plugin_options: Option<String>,
    /// Set by `restore` and by `run` of a Restore job.
    pub restore: Option<RestoreRequest>,
}

/// What a restore restores and where to. Fields that are `None` come from the Job resource.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RestoreRequest {
    /// The bootstrap text, complete. `None`: the Job resource's `Bootstrap` file is read when the job is created.
    pub bootstrap: Option<String>,
    /// `where=`.
    pub where_: Option<String>,
    /// `regexwhere=`.
    pub regex_where: Option<String>,
    /// `replace=`.
    pub replace: Option<Replace>,
    /// Files the selection counted.
    pub files_expected: u32,
    /// Jobs restored from.
    pub job_ids: Vec<u32>,
    /// Storages to read from by name, in the order of the bootstrap; empty = the Job's.
    pub storages: Vec<String>,
}
