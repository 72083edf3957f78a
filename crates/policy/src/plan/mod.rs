//! The job plan: what a job is going to do, as one value (DESIGN §2.4).
//!
//! A [`JobPlan`] is resolved once, when the job is created, from the configuration and a [`JobRequest`] with all overrides.
//! It is stored in the catalog with the Job row as JSON; queue, restart, adoption and `resume` start from it. It holds names,
//! addresses and texts, never a password: those come from the configuration of the Director that runs the job.

mod bootstrap;
mod build;
mod letters;
mod raw;
mod request;

pub use bootstrap::{bootstrap_by_storage, bootstrap_sections};
pub use build::{PlanError, plan_job, storage_plan};
pub use raw::RawText;
pub use request::{JobRequest, Origin, Overrides, RestoreRequest};

use crate::group::GroupPolicy;
use serde::{Deserialize, Serialize};
use types::{JobId, JobLevel, JobType, Replace, Timestamp, VolSession};

/// Format number of a stored plan; raised when a field changes its meaning (new fields default).
pub const PLAN_FORMAT: u32 = 1;

/// What a job is going to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobPlan {
    /// [`PLAN_FORMAT`] of the writer.
    pub format: u32,
    /// Name of the Job resource.
    pub job: String,
    /// What kind of job it is.
    #[serde(with = "letters::job_type")]
    pub job_type: JobType,
    /// Level that was asked for (before promotion, spec/04 §4.7).
    #[serde(with = "letters::job_level")]
    pub level_asked: JobLevel,
    /// Level decided; equal to `level_asked` until the catalog was asked.
    #[serde(with = "letters::job_level")]
    pub level: JobLevel,
    /// What an Incremental or Differential counts from.
    #[serde(default)]
    pub since: Option<Since>,
    /// Priority, smaller runs first.
    pub priority: u32,
    /// Whether it may run beside jobs of other priorities (spec/04 §4.5).
    #[serde(default)]
    pub allow_mixed_priority: bool,
    /// When it was due: the schedule's time, or the time of the request. Unix seconds.
    #[serde(with = "letters::timestamp")]
    pub sched_time: Timestamp,
    /// Not before this time (`run when=`).
    #[serde(default, with = "letters::timestamp_opt")]
    pub not_before: Option<Timestamp>,
    /// Who asked for it.
    pub origin: Origin,
    /// Name of the Catalog resource.
    pub catalog: String,
    /// Name of the Messages resource.
    pub messages: String,
    /// The client.
    pub client: ClientPlan,
    /// The FileSet.
    pub fileset: FileSetPlan,
    /// Pool that is written to (or, for a restore, the job's own).
    pub pool: PoolPlan,
    /// Pools by level, applied when the level is decided.
    #[serde(default)]
    pub level_pools: LevelPools,
    /// Destination of Copy, Migrate and VirtualFull.
    #[serde(default)]
    pub next_pool: Option<PoolPlan>,
    /// Storages to write to, in the order of preference.
    #[serde(default)]
    pub write_storages: Vec<StoragePlan>,
    /// How one of several Storages to write to is chosen.
    #[serde(default)]
    pub group_policy: GroupPolicy,
    /// Storages that the job has lost while it was written, in that order; they are tried last.
    #[serde(default)]
    pub lost_storages: Vec<String>,
    /// Storages that the last attempt has lost: the job goes on before `not_before` when one of them answers again.
    #[serde(default)]
    pub awaited_storages: Vec<String>,
    /// Storages to read from (restore, verify, copy).
    #[serde(default)]
    pub read_storages: Vec<StoragePlan>,
    /// Scripts, in the order in which they run.
    #[serde(default)]
    pub scripts: Vec<ScriptPlan>,
    /// What a restore restores; `None` for other types.
    #[serde(default)]
    pub restore: Option<RestorePlan>,
    /// Job to verify, copy or migrate, when one was named.
    #[serde(default)]
    pub target_job: Option<u32>,
    /// Name of the Job resource that a Verify checks.
    #[serde(default)]
    pub verify_job: Option<String>,
    /// Send the list of files of earlier jobs to the FD.
    #[serde(default)]
    pub accurate: bool,
    /// Base jobs by name.
    #[serde(default)]
    pub base_jobs: Vec<String>,
    /// SD spools data.
    #[serde(default)]
    pub spool_data: bool,
    /// SD may keep attributes until the end (stock SD).
    #[serde(default = "yes")]
    pub spool_attributes: bool,
    /// Bytes of data spool; 0 = the device's limit.
    #[serde(default)]
    pub spool_bytes_max: u64,
    /// Write to mounted Volumes first.
    #[serde(default = "yes")]
    pub prefer_mounted: bool,
    /// Sent to the SD as it is, obsolete.
    #[serde(default = "yes")]
    pub write_part_after_job: bool,
    /// Bytes per second; 0 = no limit.
    #[serde(default)]
    pub bandwidth_bytes_per_s: u64,
    /// File or `|program` that receives the job's bootstrap.
    #[serde(default)]
    pub write_bootstrap: Option<String>,
    /// Names of jobs that are started with this one (`Run =`).
    #[serde(default)]
    pub clones: Vec<String>,
    /// Rules on jobs of the same name.
    #[serde(default)]
    pub duplicates: DuplicateRules,
    /// Limits on waiting and running.
    #[serde(default)]
    pub limits: Limits,
    /// When it is run again.
    #[serde(default)]
    pub reschedule: Reschedule,
    /// What is pruned at its end.
    #[serde(default)]
    pub prune: PrunePlan,
    /// Instances of this Job resource at once.
    pub max_concurrent: u32,
    /// An unfinished job continued: what its earlier attempts left.
    #[serde(default)]
    pub rerun: Option<Rerun>,
    /// `run comment=`.
    #[serde(default)]
    pub comment: String,
    /// Spans that promote the level (seconds; 0 = not set).
    #[serde(default)]
    pub intervals: LevelIntervals,
    /// Repeat a failed Full or Differential first.
    #[serde(default)]
    pub rerun_failed_levels: bool,
    /// `Selection Type` and `Selection Pattern` of Copy and Migrate.
    #[serde(default)]
    pub selection: Option<Selection>,
    /// Its part in a copy or migration; `None` for other types.
    #[serde(default)]
    pub copy: Option<CopyPlan>,
}

fn yes() -> bool {
    true
}

impl JobPlan {
    /// Whether the job writes to a Storage.
    #[must_use]
    pub fn writes(&self) -> bool {
        !self.write_storages.is_empty()
    }

    /// Whether a File Daemon takes part (spec/04 §4.5: Copy, Migrate, Admin and VirtualFull need none).
    #[must_use]
    pub fn needs_client(&self) -> bool {
        match self.job_type {
            JobType::Backup => self.level != JobLevel::VirtualFull,
            JobType::Restore | JobType::Verify => true,
            JobType::Admin
            | JobType::Copy
            | JobType::Migrate
            | JobType::JobCopy
            | JobType::MigratedJob
            | JobType::Console
            | JobType::System
            | JobType::Archive
            | JobType::Scan => false,
        }
    }

    /// The control job's part in a copy or migration.
    #[must_use]
    pub const fn control(&self) -> Option<ControlPlan> {
        match self.copy {
            Some(CopyPlan::Control(control)) => Some(control),
            Some(CopyPlan::Written { .. }) | None => None,
        }
    }

    /// Whether another job drives this one: it never stands in the queue.
    #[must_use]
    pub const fn is_written_copy(&self) -> bool {
        matches!(self.copy, Some(CopyPlan::Written { .. }))
    }

    /// The Storage that is written to first, or that is read first.
    #[must_use]
    pub fn first_storage(&self) -> Option<&StoragePlan> {
        self.write_storages.first().or(self.read_storages.first())
    }
}

/// What an Incremental or Differential counts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// Start of the earlier job, Unix seconds.
    #[serde(with = "letters::timestamp")]
    pub time: Timestamp,
    /// Unique name of the earlier job; empty when it was given by hand.
    pub prior_job: String,
}

/// The client as the plan needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClientPlan {
    /// Name of the Client resource.
    pub name: String,
    /// Host, or `|program`.
    pub address: String,
    /// Port of its File Daemon.
    pub port: u16,
    /// Where the FD finds the SD, if not at the Storage's own address.
    pub fd_storage_address: Option<String>,
    /// The SD calls the client.
    pub sd_calls_client: bool,
    /// Jobs at once on this client.
    pub max_concurrent: u32,
}

/// One pool as the plan needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PoolPlan {
    /// Name of the Pool resource.
    pub name: String,
    /// `Pool Type`.
    pub pool_type: String,
    /// Where it came from, for the report: `Job resource`, `Command input`, `Run FullPool override` …
    pub source: String,
    /// File rows are stored.
    pub catalog_files: bool,
}

/// Pools that replace the job's own once the level is known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LevelPools {
    /// For Full.
    pub full: Option<PoolPlan>,
    /// For VirtualFull.
    pub virtual_full: Option<PoolPlan>,
    /// For Incremental.
    pub incremental: Option<PoolPlan>,
    /// For Differential.
    pub differential: Option<PoolPlan>,
}

/// One Storage as the plan needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoragePlan {
    /// Name of the Storage resource.
    pub name: String,
    /// Host as the Director reaches it.
    pub address: String,
    /// Host as the FD reaches it, if another.
    pub fd_address: Option<String>,
    /// Port.
    pub port: u16,
    /// Devices, tried in order.
    pub devices: Vec<String>,
    /// Media type.
    pub media_type: String,
    /// Software compression may be used.
    pub allow_compression: bool,
    /// Whether it is an autochanger.
    pub autochanger: bool,
    /// Jobs at once.
    pub max_concurrent: u32,
    /// Of them readers; 0 = no limit.
    pub max_concurrent_read: u32,
    /// Where it came from, for the report: `Job resource`, `Pool resource`, `Command input` …
    pub source: String,
}

/// A FileSet, ready to be sent (spec/01 §5.6).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FileSetPlan {
    /// Name of the FileSet resource.
    pub name: String,
    /// Digest of its names in the legacy encoding (spec/05 §4.3).
    pub md5: String,
    /// `Ignore FileSet Changes`.
    pub ignore_changes: bool,
    /// `Enable VSS`.
    pub vss: bool,
    /// `Enable Snapshot`.
    pub snapshot: bool,
    /// Include blocks.
    pub includes: Vec<FileSetBlock>,
    /// Exclude blocks.
    pub excludes: Vec<FileSetBlock>,
}

/// An Include or Exclude block.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FileSetBlock {
    /// `Exclude Dir Containing`, each.
    pub exclude_dir_containing: Vec<RawText>,
    /// Options groups in the order written.
    pub options: Vec<FileSetOptions>,
    /// `File =` values as written; `|program` and `<file` are expanded when the job starts.
    pub files: Vec<RawText>,
    /// `Plugin =` values.
    pub plugins: Vec<RawText>,
}

/// One Options group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FileSetOptions {
    /// Option letters.
    pub letters: String,
    /// The same without compression, for a Storage with `Allow Compression = no`.
    pub letters_uncompressed: String,
    /// Lines of the group in the order sent: code (`R`, `RD`, `W`, `WD` …) and text.
    pub lines: Vec<(String, RawText)>,
}

/// When a script runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScriptWhen {
    /// Before the job.
    Before,
    /// After the job.
    After,
    /// After the snapshot was taken.
    AfterSnapshot,
    /// Before and after.
    Always,
}

/// What a script runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScriptAction {
    /// A program, started without a shell.
    Command(String),
    /// A console command.
    Console(String),
}

/// Where a script runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScriptTarget {
    /// On the Director.
    Director,
    /// On the job's client.
    Client,
    /// On the client of this name; does nothing for a job of another client.
    NamedClient(String),
}

/// One script (spec/04 §4.8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptPlan {
    /// When.
    pub when: ScriptWhen,
    /// Where.
    pub target: ScriptTarget,
    /// What.
    pub action: ScriptAction,
    /// Run when the job went well.
    pub on_success: bool,
    /// Run when it did not.
    pub on_failure: bool,
    /// A non-zero exit fails the job.
    pub fail_job: bool,
    /// A later attempt of the job runs it again.
    #[serde(default = "yes")]
    pub run_again: bool,
}

/// What a restore restores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestorePlan {
    /// The bootstrap, complete; split by Storage when the job starts.
    pub bootstrap: String,
    /// Prefix; empty = to the original place.
    pub where_: String,
    /// Relocation; wins over `where_`.
    pub regex_where: Option<String>,
    /// What to do with files that exist.
    #[serde(with = "letters::replace")]
    pub replace: Replace,
    /// Apply the prefix to link targets too.
    pub prefix_links: bool,
    /// Files that the selection counted.
    pub files_expected: u32,
    /// Jobs that are restored from, for the log.
    pub job_ids: Vec<u32>,
    /// Plugin options.
    pub plugin_options: String,
}

/// Rules on jobs of the same name (spec/04 §4.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DuplicateRules {
    /// `Allow Duplicate Jobs`.
    pub allow: bool,
    /// `Cancel Lower Level Duplicates`.
    pub cancel_lower_level: bool,
    /// `Cancel Queued Duplicates`.
    pub cancel_queued: bool,
    /// `Cancel Running Duplicates`.
    pub cancel_running: bool,
}

impl Default for DuplicateRules {
    fn default() -> Self {
        Self { allow: true, cancel_lower_level: false, cancel_queued: false, cancel_running: false }
    }
}

/// Limits in seconds; 0 = none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Since the scheduled time, running or not.
    pub run_sched_s: u64,
    /// Since the start.
    pub run_s: u64,
    /// Since the start, of a Full.
    pub full_run_s: u64,
    /// Since the start, of an Incremental.
    pub incremental_run_s: u64,
    /// Since the start, of a Differential.
    pub differential_run_s: u64,
    /// Summed waiting for resources and media.
    pub wait_s: u64,
    /// Between scheduled time and start.
    pub start_delay_s: u64,
}

/// When a job is run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reschedule {
    /// After an error.
    pub on_error: bool,
    /// When it is Incomplete.
    pub incomplete: bool,
    /// Seconds before the next attempt.
    pub interval_s: u64,
    /// Attempts at most; 0 = no limit.
    pub times: u32,
    /// Attempts so far that were rescheduled.
    pub done: u32,
}

/// What is pruned at a job's end (spec/04 §5.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PrunePlan {
    /// Prune jobs.
    pub jobs: bool,
    /// Prune files.
    pub files: bool,
    /// May prune Volumes when one is needed.
    pub volumes: bool,
    /// Retention of jobs in seconds.
    pub job_retention_s: u64,
    /// Retention of files in seconds.
    pub file_retention_s: u64,
}

/// What earlier attempts of an unfinished job left (spec/04 §4.7 "Incomplete").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rerun {
    /// Session of the first part, reused.
    #[serde(with = "letters::vol_session")]
    pub session: VolSession,
    /// Files stored so far.
    pub files: u32,
    /// Bytes stored so far.
    pub bytes: u64,
    /// Errors so far.
    pub errors: u32,
    /// The job had written something, so the same JobId goes on.
    pub same_job: bool,
}

/// Spans that promote a level, seconds; 0 = not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LevelIntervals {
    /// `Max Full Interval`.
    pub full_s: u64,
    /// `Max Virtual Full Interval`.
    pub virtual_full_s: u64,
    /// `Max Diff Interval`.
    pub differential_s: u64,
}

/// What a job does in a copy or migration, which takes two: one reads and decides, the other is what is written (spec/04 §6.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CopyPlan {
    /// The control job, of type Copy or Migrate; `target_job` of the plan is what it takes.
    Control(ControlPlan),
    /// The written job; `target_job` of the plan is its original.
    Written {
        /// JobId of the control job that drives it.
        control: u32,
    },
}

/// A control job's part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ControlPlan {
    /// The selection was made: `target_job` is final, even where there is none.
    pub is_chosen: bool,
    /// JobId of the written job, once there is one.
    pub written: Option<u32>,
    /// `Maximum Spawned Jobs`.
    pub spawned_max: u32,
    /// `Purge Migration Job`.
    pub purge_original: bool,
    /// Nothing is done where a good copy is in the Pool already (`Copy Pool`: the job may be asked for more than once).
    #[serde(default)]
    pub skip_copied: bool,
    /// The last file of what is read now, where more of the original lies on another Storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_end: Option<i32>,
}

/// `Selection Type` and `Selection Pattern`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Word of the Selection Type.
    pub kind: String,
    /// The pattern.
    pub pattern: String,
}

impl RestorePlan {
    /// The jobs restored from.
    pub fn jobs(&self) -> impl Iterator<Item = JobId> + '_ {
        self.job_ids.iter().map(|&id| JobId(id))
    }
}
