//! From the configuration and a request to a plan (spec/04 §4.4).

use super::{
    ClientPlan, ControlPlan, CopyPlan, DuplicateRules, FileSetBlock, FileSetOptions, FileSetPlan, JobPlan,
    JobRequest, LevelIntervals, LevelPools, Limits, Origin, PLAN_FORMAT, PoolPlan, PrunePlan, RawText,
    Reschedule, RestorePlan, ScriptAction, ScriptPlan, ScriptTarget, ScriptWhen, Selection, Since,
    StoragePlan,
};
use crate::group::GroupPolicy;
use conf::DirectorConfig;
use conf::director::{Client, Job, Pool, Storage, StorageGroupPolicy};
use conf::fileset::{FileSet, Include, Options};
use conf::runscript::{RunScript, RunsWhen, Script, Target};
use types::{JobLevel, JobType, Timestamp};

/// Seconds until a copy that a Copy Pool asks for is tried again.
const COPY_AGAIN_S: u64 = 300;

/// Why a request cannot become a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A resource of this name is not in the configuration.
    #[error("{kind} \"{name}\" is not in the configuration")]
    NoSuch {
        /// `Job`, `Client` …
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// Neither the Job nor its Pool names a Storage.
    #[error("no Storage for Job \"{job}\": name one in the Job or in Pool \"{pool}\"")]
    NoStorage {
        /// The Job.
        job: String,
        /// Its Pool.
        pool: String,
    },
    /// The level does not go with the type.
    #[error("level {level} does not go with Job \"{job}\" of type {job_type}")]
    LevelAndType {
        /// The Job.
        job: String,
        /// The level asked for.
        level: JobLevel,
        /// Its type.
        job_type: JobType,
    },
}

/// Resolves a request against the configuration. `now` is its time where the request has none.
///
/// # Errors
/// [`PlanError`] names the resource that is missing or does not fit.
pub fn plan_job(config: &DirectorConfig, request: &JobRequest, now: Timestamp) -> Result<JobPlan, PlanError> {
    Builder::new(config, request)?.plan(now)
}

struct Builder<'a> {
    config: &'a DirectorConfig,
    request: &'a JobRequest,
    job: &'a Job,
    client: &'a Client,
    pool: &'a Pool,
    /// Where an override comes from, for reports.
    by: &'static str,
}

impl<'a> Builder<'a> {
    fn new(config: &'a DirectorConfig, request: &'a JobRequest) -> Result<Self, PlanError> {
        let job = config.job(&request.job).ok_or_else(|| no_such("Job", &request.job))?;
        let over = &request.overrides;
        let restore = (job.job_type == JobType::Restore)
            .then(|| over.restore_client.as_ref().or(over.client.as_ref()).or(job.restore_client.as_ref()));
        let client = restore.flatten().or(over.client.as_ref()).unwrap_or(&job.client);
        let client = config.client(client).ok_or_else(|| no_such("Client", client))?;
        let pool = over.pool.as_ref().unwrap_or(&job.pool);
        let pool = config.pool(pool).ok_or_else(|| no_such("Pool", pool))?;
        let by = match request.origin {
            Origin::Schedule { .. } => "Run",
            Origin::Console | Origin::Clone { .. } | Origin::Reschedule { .. } => "Command",
        };
        Ok(Self { config, request, job, client, pool, by })
    }

    fn plan(&self, now: Timestamp) -> Result<JobPlan, PlanError> {
        let (job, over) = (self.job, &self.request.overrides);
        let (job_type, copy_to) = (self.job_type(), over.copy_to.as_ref());
        let is_copy = matches!(job_type, JobType::Copy | JobType::Migrate);
        let level = self.level()?;
        let (write_storages, read_storages) = self.storages()?;
        let sched_time = match &self.request.origin {
            Origin::Schedule { due, .. } => Timestamp(*due),
            Origin::Console | Origin::Clone { .. } | Origin::Reschedule { .. } => over.when.unwrap_or(now),
        };
        Ok(JobPlan {
            format: PLAN_FORMAT,
            // Of what a Copy Pool asks for any number may run beside the Job itself.
            job: copy_to.map_or_else(|| job.name.clone(), |pool| format!("Copy-{pool}")),
            job_type,
            level_asked: level,
            level,
            since: over.since.map(|time| Since { time, prior_job: String::new() }),
            priority: over.priority.unwrap_or(job.priority),
            allow_mixed_priority: job.allow_mixed_priority,
            sched_time,
            not_before: over.when.filter(|when| *when > now),
            origin: self.request.origin.clone(),
            catalog: over.catalog.clone().unwrap_or_else(|| self.client.catalog.clone()),
            messages: over.messages.clone().unwrap_or_else(|| job.messages.clone()),
            client: self.client_plan(),
            fileset: self.fileset()?,
            pool: self.pool_plan(self.pool, self.pool_source(over.pool.is_some(), "Pool", "Job resource")),
            level_pools: self.level_pools()?,
            next_pool: self.next_pool()?,
            write_storages,
            group_policy: self.group_policy(),
            lost_storages: Vec::new(),
            awaited_storages: Vec::new(),
            read_storages,
            scripts: if copy_to.is_some() {
                Vec::new()
            } else {
                job.run_scripts.iter().filter_map(script).collect()
            },
            restore: self.restore(),
            target_job: over.target_job,
            verify_job: over.verify_job.clone().or_else(|| job.verify_job.clone()),
            accurate: over.accurate.unwrap_or(job.accurate),
            base_jobs: job.base.clone(),
            spool_data: over.spool_data.unwrap_or(job.spool_data),
            spool_attributes: job.spool_attributes,
            spool_bytes_max: job.spool_size,
            prefer_mounted: job.prefer_mounted_volumes,
            write_part_after_job: over.write_part_after_job.unwrap_or(job.write_part_after_job),
            bandwidth_bytes_per_s: bandwidth(
                job.maximum_bandwidth,
                // The client has no part in a copy.
                if is_copy { 0 } else { self.client.maximum_bandwidth_per_job },
            ),
            write_bootstrap: job.write_bootstrap.clone().filter(|_| copy_to.is_none()),
            clones: if copy_to.is_some() { Vec::new() } else { job.run.clone() },
            duplicates: self.duplicates(),
            limits: self.limits(),
            reschedule: self.reschedule(),
            prune: self.prune(),
            max_concurrent: if copy_to.is_some() { u32::MAX } else { job.maximum_concurrent_jobs },
            rerun: None,
            comment: over.comment.clone().unwrap_or_default(),
            intervals: LevelIntervals {
                full_s: job.max_full_interval.as_secs(),
                virtual_full_s: job.max_virtual_full_interval.as_secs(),
                differential_s: job.max_diff_interval.as_secs(),
            },
            rerun_failed_levels: job.rerun_failed_levels,
            selection: job.selection_type.map(|kind| Selection {
                kind: format!("{kind:?}"),
                pattern: job.selection_pattern.clone().unwrap_or_default(),
            }),
            copy: is_copy.then_some(CopyPlan::Control(ControlPlan {
                is_chosen: false,
                written: None,
                spawned_max: job.maximum_spawned_jobs,
                skip_copied: copy_to.is_some(),
                purge_original: job.purge_migration_job,
                part_end: None,
            })),
        })
    }

    fn job_type(&self) -> JobType {
        if self.request.overrides.copy_to.is_some() { JobType::Copy } else { self.job.job_type }
    }

    /// What a Copy Pool asks for is tried until it is done.
    fn reschedule(&self) -> Reschedule {
        let job = self.job;
        let is_policy = self.request.overrides.copy_to.is_some();
        Reschedule {
            on_error: job.reschedule_on_error || is_policy,
            incomplete: job.reschedule_incomplete_jobs,
            interval_s: if is_policy { COPY_AGAIN_S } else { job.reschedule_interval.as_secs() },
            times: if is_policy { 0 } else { job.reschedule_times },
            done: 0,
        }
    }

    fn level(&self) -> Result<JobLevel, PlanError> {
        let asked = self.request.overrides.level.or(self.job.level);
        let level = match self.job_type() {
            // Neither has a level; the word of the resource means nothing (spec/04 §4.2).
            JobType::Restore | JobType::Admin => return Ok(JobLevel::None),
            JobType::Verify => asked.unwrap_or(JobLevel::VerifyCatalog),
            _ => asked.unwrap_or(JobLevel::Full),
        };
        let of_verify = matches!(
            level,
            JobLevel::VerifyCatalog
                | JobLevel::VerifyInit
                | JobLevel::VerifyVolume
                | JobLevel::VerifyDisk
                | JobLevel::VerifyData
        );
        if of_verify == (self.job_type() == JobType::Verify) {
            return Ok(level);
        }
        // A level taken over from JobDefs of another type is not the operator's word.
        if self.request.overrides.level.is_none() {
            let default = if of_verify { JobLevel::Full } else { JobLevel::VerifyCatalog };
            return Ok(default);
        }
        Err(PlanError::LevelAndType { job: self.job.name.clone(), level, job_type: self.job.job_type })
    }

    fn client_plan(&self) -> ClientPlan {
        let client = self.client;
        ClientPlan {
            name: client.name.clone(),
            address: client.address.clone().unwrap_or_default(),
            port: u16::try_from(client.fd_port).unwrap_or(9102),
            fd_storage_address: client.fd_storage_address.clone(),
            sd_calls_client: client.sd_calls_client,
            max_concurrent: client.maximum_concurrent_jobs,
        }
    }

    fn pool_source(&self, overridden: bool, what: &str, otherwise: &str) -> String {
        match (overridden, self.by) {
            (false, _) => otherwise.to_owned(),
            (true, "Run") => format!("Run {what} override"),
            (true, _) => "Command input".to_owned(),
        }
    }

    #[expect(clippy::unused_self, reason = "reads as one family with the other parts")]
    fn pool_plan(&self, pool: &Pool, source: String) -> PoolPlan {
        PoolPlan {
            name: pool.name.clone(),
            pool_type: pool.pool_type.clone(),
            source,
            catalog_files: pool.catalog_files,
        }
    }

    fn named_pool(&self, name: &str, source: String) -> Result<PoolPlan, PlanError> {
        let pool = self.config.pool(name).ok_or_else(|| no_such("Pool", name))?;
        Ok(self.pool_plan(pool, source))
    }

    fn level_pools(&self) -> Result<LevelPools, PlanError> {
        let (job, over) = (self.job, &self.request.overrides);
        // A pool given by hand holds whatever the level becomes.
        if over.pool.is_some() {
            return Ok(LevelPools::default());
        }
        let choose = |over: &Option<String>, own: &Option<String>, word: &str| {
            let (name, source) = match (over, own) {
                (Some(name), _) => (name, format!("Run {word} override")),
                (None, Some(name)) => (name, format!("Job {word} override")),
                (None, None) => return Ok(None),
            };
            self.named_pool(name, source).map(Some)
        };
        Ok(LevelPools {
            full: choose(&over.full_pool, &job.full_backup_pool, "FullPool")?,
            virtual_full: choose(&None, &job.virtual_full_backup_pool, "VFullPool")?,
            incremental: choose(&over.incremental_pool, &job.incremental_backup_pool, "IncPool")?,
            differential: choose(&over.differential_pool, &job.differential_backup_pool, "DiffPool")?,
        })
    }

    fn next_pool(&self) -> Result<Option<PoolPlan>, PlanError> {
        let over = &self.request.overrides;
        if let Some(name) = &over.copy_to {
            return self.named_pool(name, "Copy Pool".to_owned()).map(Some);
        }
        let over = &over.next_pool;
        let (name, source) = match (over, &self.job.next_pool, &self.pool.next_pool) {
            (Some(name), _, _) => (name, self.pool_source(true, "NextPool", "")),
            (None, Some(name), _) => (name, "Job's NextPool resource".to_owned()),
            (None, None, Some(name)) => (name, "Job Pool's NextPool resource".to_owned()),
            (None, None, None) => return Ok(None),
        };
        self.named_pool(name, source).map(Some)
    }

    /// Storages to write to and to read from, by the job's type.
    fn storages(&self) -> Result<(Vec<StoragePlan>, Vec<StoragePlan>), PlanError> {
        match self.job_type() {
            JobType::Admin => Ok((Vec::new(), Vec::new())),
            JobType::Restore => Ok((Vec::new(), self.restore_storages()?)),
            JobType::Verify => Ok((Vec::new(), self.job_storages().unwrap_or_default())),
            JobType::Copy | JobType::Migrate => Ok((self.next_storages()?, self.job_storages()?)),
            JobType::Backup
            | JobType::JobCopy
            | JobType::MigratedJob
            | JobType::Console
            | JobType::System
            | JobType::Archive
            | JobType::Scan => Ok((self.job_storages()?, Vec::new())),
        }
    }

    /// Storages of the Next Pool; none where there is no such Pool, which the job itself reports.
    fn next_storages(&self) -> Result<Vec<StoragePlan>, PlanError> {
        let Some(next) = self.next_pool()? else { return Ok(Vec::new()) };
        let pool = self.config.pool(&next.name).ok_or_else(|| no_such("Pool", &next.name))?;
        pool.storage.iter().map(|name| self.storage(name, &next.source)).collect()
    }

    fn job_storages(&self) -> Result<Vec<StoragePlan>, PlanError> {
        if let Some(name) = &self.request.overrides.storage {
            let source = self.pool_source(true, "storage", "");
            return Ok(vec![self.storage(name, &source)?]);
        }
        let (names, source) = if self.pool.storage.is_empty() {
            (&self.job.storage, "Job resource")
        } else {
            (&self.pool.storage, "Pool resource")
        };
        if names.is_empty() {
            return Err(PlanError::NoStorage { job: self.job.name.clone(), pool: self.pool.name.clone() });
        }
        names.iter().map(|name| self.storage(name, source)).collect()
    }

    /// The policy stands where the Storages do; a policy of the Job is good for those of its Pool, which has none.
    fn group_policy(&self) -> GroupPolicy {
        let of_pool = self.pool.storage_group_policy.filter(|_| !self.pool.storage.is_empty());
        match of_pool.or(self.job.storage_group_policy).unwrap_or(StorageGroupPolicy::ListedOrder) {
            StorageGroupPolicy::ListedOrder => GroupPolicy::ListedOrder,
            StorageGroupPolicy::LeastUsed => GroupPolicy::LeastUsed,
            StorageGroupPolicy::FreeSpace => GroupPolicy::FreeSpace,
            StorageGroupPolicy::FreeSpaceLeastUsed => GroupPolicy::FreeSpaceLeastUsed {
                threshold_bytes: match of_pool {
                    Some(_) => self.pool.storage_group_policy_threshold,
                    None => self.job.storage_group_policy_threshold,
                },
            },
            StorageGroupPolicy::LastBackedUpTo => GroupPolicy::LastBackedUpTo,
        }
    }

    fn restore_storages(&self) -> Result<Vec<StoragePlan>, PlanError> {
        let named = self.request.overrides.restore.as_ref().map_or(&[][..], |restore| &restore.storages);
        if self.request.overrides.storage.is_some() || named.is_empty() {
            return self.job_storages();
        }
        named.iter().map(|name| self.storage(name, "Command input")).collect()
    }

    fn storage(&self, name: &str, source: &str) -> Result<StoragePlan, PlanError> {
        let storage = self.config.storage(name).ok_or_else(|| no_such("Storage", name))?;
        Ok(storage_plan(storage, source))
    }

    fn fileset(&self) -> Result<FileSetPlan, PlanError> {
        let name = self.request.overrides.fileset.as_ref().unwrap_or(&self.job.fileset);
        let fileset = self.config.fileset(name).ok_or_else(|| no_such("FileSet", name))?;
        Ok(fileset_plan(fileset))
    }

    fn restore(&self) -> Option<RestorePlan> {
        if self.job.job_type != JobType::Restore {
            return None;
        }
        let (job, over) = (self.job, &self.request.overrides);
        let request = over.restore.clone().unwrap_or_default();
        let regex = request.regex_where.or_else(|| match request.where_ {
            Some(_) => None,
            None => job.regex_where.clone().or_else(|| relocation(job)),
        });
        Some(RestorePlan {
            bootstrap: request.bootstrap.unwrap_or_default(),
            where_: request.where_.or_else(|| job.restore_where.clone()).unwrap_or_default(),
            regex_where: regex.filter(|r| !r.is_empty()),
            replace: request.replace.unwrap_or(job.replace),
            prefix_links: job.prefix_links,
            files_expected: request.files_expected,
            job_ids: request.job_ids,
            plugin_options: over
                .plugin_options
                .clone()
                .or_else(|| job.plugin_options.clone())
                .unwrap_or_default(),
        })
    }

    fn duplicates(&self) -> DuplicateRules {
        let job = self.job;
        DuplicateRules {
            allow: job.allow_duplicate_jobs || self.request.overrides.ignore_duplicates,
            cancel_lower_level: job.cancel_lower_level_duplicates,
            cancel_queued: job.cancel_queued_duplicates,
            cancel_running: job.cancel_running_duplicates,
        }
    }

    fn limits(&self) -> Limits {
        let job = self.job;
        Limits {
            run_sched_s: self.request.overrides.max_run_sched_s.unwrap_or(job.max_run_sched_time.as_secs()),
            run_s: job.max_run_time.as_secs(),
            full_run_s: job.full_max_run_time.as_secs(),
            incremental_run_s: job.incremental_max_run_time.as_secs(),
            differential_run_s: job.differential_max_run_time.as_secs(),
            wait_s: job.max_wait_time.as_secs(),
            start_delay_s: job.max_start_delay.as_secs(),
        }
    }

    fn prune(&self) -> PrunePlan {
        let (job, client, pool) = (self.job, self.client, self.pool);
        let auto = client.auto_prune && self.config.director.auto_prune;
        let longer = |pool: std::time::Duration, client: std::time::Duration| {
            if pool.is_zero() { client.as_secs() } else { pool.as_secs() }
        };
        PrunePlan {
            jobs: job.prune_jobs || auto,
            files: job.prune_files || auto,
            volumes: job.prune_volumes,
            job_retention_s: longer(pool.job_retention, client.job_retention),
            file_retention_s: longer(pool.file_retention, client.file_retention),
        }
    }
}

fn no_such(kind: &'static str, name: &str) -> PlanError {
    PlanError::NoSuch { kind, name: name.to_owned() }
}

/// A Storage resource as a plan holds it.
#[must_use]
pub fn storage_plan(storage: &Storage, source: &str) -> StoragePlan {
    StoragePlan {
        name: storage.name.clone(),
        address: storage.address.clone(),
        fd_address: storage.fd_storage_address.clone(),
        port: u16::try_from(storage.sd_port).unwrap_or(9103),
        devices: storage.device.clone(),
        media_type: storage.media_type.clone(),
        allow_compression: storage.allow_compression,
        autochanger: storage.is_autochanger(),
        max_concurrent: storage.maximum_concurrent_jobs,
        max_concurrent_read: storage.maximum_concurrent_read_jobs,
        source: source.to_owned(),
    }
}

/// The lower of two limits, 0 being none.
fn bandwidth(job: u64, client: u64) -> u64 {
    match (job, client) {
        (0, limit) | (limit, 0) => limit,
        (job, client) => job.min(client),
    }
}

fn script(script: &RunScript) -> Option<ScriptPlan> {
    let when = match script.when {
        RunsWhen::Before => ScriptWhen::Before,
        RunsWhen::After => ScriptWhen::After,
        RunsWhen::AfterVss | RunsWhen::AfterSnapshot => ScriptWhen::AfterSnapshot,
        RunsWhen::Always => ScriptWhen::Always,
        RunsWhen::Never => return None,
    };
    Some(ScriptPlan {
        when,
        target: match &script.target {
            Target::Director => ScriptTarget::Director,
            Target::Client => ScriptTarget::Client,
            Target::Named(name) => ScriptTarget::NamedClient(name.clone()),
        },
        action: match &script.script {
            Script::Command(text) => ScriptAction::Command(text.clone()),
            Script::Console(text) => ScriptAction::Console(text.clone()),
        },
        on_success: script.on_success,
        on_failure: script.on_failure,
        fail_job: script.fail_job_on_error,
        run_again: script.run_again,
    })
}

fn fileset_plan(fileset: &FileSet) -> FileSetPlan {
    FileSetPlan {
        name: fileset.name.clone(),
        md5: fileset.digest(),
        ignore_changes: fileset.ignore_fileset_changes,
        vss: fileset.enable_vss,
        snapshot: fileset.enable_snapshot,
        includes: fileset.includes().map(include_plan).collect(),
        excludes: fileset
            .excludes()
            .map(|files| FileSetBlock { files: raw(files), ..FileSetBlock::default() })
            .collect(),
    }
}

fn raw(items: &[Vec<u8>]) -> Vec<RawText> {
    items.iter().map(|item| RawText(item.clone())).collect()
}

fn include_plan(include: &Include) -> FileSetBlock {
    FileSetBlock {
        exclude_dir_containing: include.exclude_dir_containing.iter().map(|n| RawText(n.clone())).collect(),
        options: include.options.iter().map(options_plan).collect(),
        files: raw(&include.files),
        plugins: raw(&include.plugins),
    }
}

/// Lines in the order in which a Director sends them (spec/01 §5.6).
fn options_plan(options: &Options) -> FileSetOptions {
    let groups: [(&str, &[Vec<u8>]); 10] = [
        ("R", &options.regex),
        ("RD", &options.regex_dir),
        ("RF", &options.regex_file),
        ("W", &options.wild),
        ("WD", &options.wild_dir),
        ("WF", &options.wild_file),
        ("WF", &options.wild_base),
        ("B", &options.base),
        ("X", &options.fs_type),
        ("XD", &options.drive_type),
    ];
    let mut lines: Vec<(String, RawText)> = Vec::new();
    for (code, items) in groups {
        lines.extend(items.iter().map(|item| (code.to_owned(), RawText(item.clone()))));
    }
    lines.extend(options.plugin.iter().map(|item| ("G".to_owned(), RawText(item.clone()))));
    FileSetOptions { letters: options.letters(true), letters_uncompressed: options.letters(false), lines }
}

/// `Strip Prefix`, `Add Suffix` and `Add Prefix` as one RegexWhere, in exactly that order (spec/04 §7.4).
fn relocation(job: &Job) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(strip) = &job.strip_prefix {
        parts.push(format!("!{}!!i", escaped(strip)));
    }
    if let Some(suffix) = &job.add_suffix {
        parts.push(format!("!([^/])$!$1{}!", escaped(suffix)));
    }
    if let Some(add) = &job.add_prefix {
        parts.push(format!("!^!{}!", escaped(add)));
    }
    (!parts.is_empty()).then(|| parts.join(","))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('!', "\\!")
}
