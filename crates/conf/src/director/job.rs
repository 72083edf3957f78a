//! `Job` and `JobDefs` (spec/04 §2.7).

use std::time::Duration;

use types::{JobLevel, JobType, Replace};

use crate::runscript::{RunScript, ShortForm};
use crate::table::{Kind, ResourceKind, resource, word_enum};
use crate::value::{JOB_TYPES, LEVELS, REPLACE};

word_enum! {
    /// How one of several Storages is chosen.
    StorageGroupPolicy {
        /// The first that has room.
        ListedOrder = "ListedOrder";
        /// The one with the fewest jobs.
        LeastUsed = "LeastUsed";
        /// The one with the most free space.
        FreeSpace = "FreeSpace";
        /// The one with the fewest jobs among those that have about the most free space.
        FreeSpaceLeastUsed = "FreeSpaceLeastUsed";
        /// The one not used for longest.
        LastBackedUpTo = "LastBackedUpTo";
    }
}

word_enum! {
    /// How a Copy or Migration Job finds its work (spec/04 §6.1).
    SelectionType {
        /// Smallest Volume of the Pool.
        SmallestVolume = "SmallestVolume";
        /// Oldest Volume of the Pool.
        OldestVolume = "OldestVolume";
        /// Jobs of clients by regular expression.
        Client = "Client";
        /// Volumes by regular expression.
        Volume = "Volume";
        /// Jobs by regular expression.
        Job = "Job";
        /// Jobs by a query.
        SqlQuery = "SqlQuery";
        /// Down to Migration Low Bytes.
        PoolOccupancy = "PoolOccupancy";
        /// Older than Migration Time.
        PoolTime = "PoolTime";
        /// What has no copy yet.
        PoolUncopiedJobs = "PoolUncopiedJobs";
    }
}

/// Declares Job and JobDefs with the same directives: what differs is only the names.
macro_rules! job_resource {
    ($(#[doc = $doc:literal])+ $struct:ident = $kind:ident $name:literal) => {
        resource! {
            $(#[doc = $doc])+
            $struct = $kind $name {
                /// What the job does.
                "Type" => job_type: JobType = Kind::Words(JOB_TYPES), required(), example("Backup");
                /// How much a backup takes, or what a verification compares.
                "Level" => level: Option<JobLevel> = Kind::Words(LEVELS), example("Incremental");
                /// Messages of the job.
                "Messages" => messages: String = Kind::Ref(ResourceKind::Messages), required(), example("Standard");
                /// Where its Volumes come from.
                "Pool" => pool: String = Kind::Ref(ResourceKind::Pool), required(), example("File");
                /// Whose files.
                "Client" => client: String = Kind::Ref(ResourceKind::Client), required(), example("dc1-web-fd");
                /// Which files.
                "FileSet" => fileset: String = Kind::Ref(ResourceKind::FileSet), required(), example("\"Full Set\"");
                /// Storages, in the order of preference; the Pool's go before.
                "Storage" => storage: Vec<String> = Kind::RefList(ResourceKind::Storage), example("File1");
                /// How one of several Storages is chosen.
                "Storage Group Policy" => storage_group_policy: Option<StorageGroupPolicy>
                    = Kind::Words(StorageGroupPolicy::WORDS), since("13");
                /// FreeSpaceLeastUsed: Storages that have no less free space than this below the most count as equal.
                "Storage Group Policy Threshold" => storage_group_policy_threshold: u64 = Kind::Size, default("0"),
                    since("15");
                /// Destination of copies, migrations and Virtual Fulls; wins over the Pool's.
                "Next Pool" => next_pool: Option<String> = Kind::Ref(ResourceKind::Pool);
                /// Pool when the level is Full in the end.
                "Full Backup Pool" => full_backup_pool: Option<String> = Kind::Ref(ResourceKind::Pool);
                /// Pool for Virtual Fulls.
                "Virtual Full Backup Pool" => virtual_full_backup_pool: Option<String> = Kind::Ref(ResourceKind::Pool);
                /// Pool when the level is Incremental in the end.
                "Incremental Backup Pool" => incremental_backup_pool: Option<String> = Kind::Ref(ResourceKind::Pool);
                /// Pool when the level is Differential in the end.
                "Differential Backup Pool" => differential_backup_pool: Option<String> = Kind::Ref(ResourceKind::Pool);
                /// Copies each backup there as soon as it ends.
                "Copy Pool" => copy_pool: Option<String> = Kind::Ref(ResourceKind::Pool), since("Holdfast");
                /// When it starts by itself; only by hand when absent.
                "Schedule" => schedule: Option<String> = Kind::Ref(ResourceKind::Schedule), example("WeeklyCycle");
                /// The job whose newest backup a Verify checks.
                "Verify Job" => verify_job: Option<String> = Kind::Ref(ResourceKind::Job), alias(&["Job To Verify"]);
                /// Where directives not given here are taken from.
                "JobDefs" => job_defs: Option<String> = Kind::Ref(ResourceKind::JobDefs), example("DefaultJob");
                /// Jobs started with this one.
                "Run" => run: Vec<String> = Kind::StrList, example("\"CopyNightly level=%l\"");
                /// Prefix of restored files.
                "Where" => restore_where: Option<String> = Kind::Path, example("/restore");
                /// Renames restored files; wins over Where.
                "Regex Where" => regex_where: Option<String> = Kind::Str, example("!/etc/!/restored-etc/!");
                /// Prefix taken off restored files' names.
                "Strip Prefix" => strip_prefix: Option<String> = Kind::Str;
                /// Prefix put before restored files' names.
                "Add Prefix" => add_prefix: Option<String> = Kind::Str;
                /// Suffix put after restored files' names.
                "Add Suffix" => add_suffix: Option<String> = Kind::Str;
                /// Bootstrap of a restore.
                "Bootstrap" => bootstrap: Option<String> = Kind::Path;
                /// Client to restore to.
                "Restore Client" => restore_client: Option<String> = Kind::Str;
                /// File, or `|program`, that gets each job's bootstrap. %-codes are replaced.
                "Write Bootstrap" => write_bootstrap: Option<String> = Kind::Path, example("/var/lib/bacula/%c.bsr");
                /// File that gets the list of verified files.
                "Write Verify List" => write_verify_list: Option<String> = Kind::Path, pending();
                /// What a restore does with files that exist.
                "Replace" => replace: Replace = Kind::Words(REPLACE), default("Always");
                /// Limit of time since the scheduled time, running or not; 0 for none.
                "Max Run Sched Time" => max_run_sched_time: Duration = Kind::Time, default("0");
                /// Limit of running time; 0 for none.
                "Max Run Time" => max_run_time: Duration = Kind::Time, default("0");
                /// Limit of running time of Fulls.
                "Full Max Run Time" => full_max_run_time: Duration = Kind::Time, default("0"), alias(&["Full Max Wait Time"]);
                /// Limit of running time of Incrementals.
                "Incremental Max Run Time" => incremental_max_run_time: Duration = Kind::Time, default("0"),
                    alias(&["Incremental Max Wait Time"]);
                /// Limit of running time of Differentials.
                "Differential Max Run Time" => differential_max_run_time: Duration = Kind::Time, default("0"),
                    alias(&["Differential Max Wait Time"]);
                /// Limit of time spent waiting for media and devices.
                "Max Wait Time" => max_wait_time: Duration = Kind::Time, default("0"), pending();
                /// Cancels the job when it would start later than scheduled by more than this.
                "Max Start Delay" => max_start_delay: Duration = Kind::Time, default("0");
                /// Makes it a Full when the last one is older.
                "Max Full Interval" => max_full_interval: Duration = Kind::Time, default("0");
                /// Makes it a Virtual Full when the last Full is older.
                "Max Virtual Full Interval" => max_virtual_full_interval: Duration = Kind::Time, default("0");
                /// Makes an Incremental a Differential when the last one is older.
                "Max Diff Interval" => max_diff_interval: Duration = Kind::Time, default("0");
                /// Apply Where to absolute targets of links too.
                "Prefix Links" => prefix_links: bool = Kind::Bool, default("no");
                /// Prune jobs at the end whatever the Client says.
                "Prune Jobs" => prune_jobs: bool = Kind::Bool, default("no");
                /// Prune file records at the end whatever the Client says.
                "Prune Files" => prune_files: bool = Kind::Bool, default("no");
                /// Allow pruning of Volumes for this job whatever the Pool says.
                "Prune Volumes" => prune_volumes: bool = Kind::Bool, default("no");
                /// Delete a migrated job instead of keeping its record.
                "Purge Migration Job" => purge_migration_job: bool = Kind::Bool, default("no");
                /// No: not started by its Schedule.
                "Enabled" => enabled: bool = Kind::Bool, default("yes");
                /// Accepted for old files: the Storage Daemon's journal takes the place of attribute spooling.
                "Spool Attributes" => spool_attributes: bool = Kind::Bool, default("yes"), ignored();
                /// Have the Storage Daemon spool data to disk first.
                "Spool Data" => spool_data: bool = Kind::Bool, default("no"), pending();
                /// Limit of the data spool; 0 for the Device's.
                "Spool Size" => spool_size: u64 = Kind::Size, default("0"), pending();
                /// Raise the level to that of a failed job that is newer than the last good one.
                "Rerun Failed Levels" => rerun_failed_levels: bool = Kind::Bool, default("no");
                /// Prefer drives with a Volume in them; no spreads jobs over drives.
                "Prefer Mounted Volumes" => prefer_mounted_volumes: bool = Kind::Bool, default("yes");
                /// Program run before or after the job, on Director or client; repeatable.
                "Run Script" => run_scripts: Vec<RunScript> = Kind::RunScript,
                    example("{ Runs When = Before; Runs On Client = no; Command = \"/usr/local/bin/prepare %n\" }");
                /// Instances of this job at once.
                "Maximum Concurrent Jobs" => maximum_concurrent_jobs: u32 = Kind::Uint, default("1");
                /// Jobs that one Copy or Migration Job may start.
                "Maximum Spawned Jobs" => maximum_spawned_jobs: u32 = Kind::Uint, default("600");
                /// Start a failed job again.
                "Reschedule On Error" => reschedule_on_error: bool = Kind::Bool, default("no");
                /// Start an incomplete job again.
                "Reschedule Incomplete Jobs" => reschedule_incomplete_jobs: bool = Kind::Bool, default("yes");
                /// How long to wait before; an Incomplete job that has lost its Storage goes on sooner, when that is back.
                "Reschedule Interval" => reschedule_interval: Duration = Kind::Time, default("30 minutes");
                /// How often; 0 without limit.
                "Reschedule Times" => reschedule_times: u32 = Kind::Uint, default("0");
                /// Smaller numbers run first.
                "Priority" => priority: u32 = Kind::Uint, default("10");
                /// Newest jobs that a Virtual Full leaves out.
                "Backups To Keep" => backups_to_keep: u32 = Kind::Uint, default("0"), pending();
                /// Run beside jobs of other priorities that allow it.
                "Allow Mixed Priority" => allow_mixed_priority: bool = Kind::Bool, default("no");
                /// Keep what an interrupted job has stored.
                "Allow Incomplete Jobs" => allow_incomplete_jobs: bool = Kind::Bool, default("yes"), since("13"), pending();
                /// Regular expression or query of a Copy or Migration Job.
                "Selection Pattern" => selection_pattern: Option<String> = Kind::Str;
                /// How a Copy or Migration Job finds its work.
                "Selection Type" => selection_type: Option<SelectionType> = Kind::Words(SelectionType::WORDS);
                /// Send the client the list of stored files, so that moved-in and deleted files are noticed.
                "Accurate" => accurate: bool = Kind::Bool, default("no");
                /// No: a second instance of the job is canceled by the rules below.
                "Allow Duplicate Jobs" => allow_duplicate_jobs: bool = Kind::Bool, default("yes");
                /// Accepted for old files.
                "Allow Higher Duplicates" => allow_higher_duplicates: bool = Kind::Bool, default("yes"), ignored();
                /// Of two instances, cancel the one of the lower level.
                "Cancel Lower Level Duplicates" => cancel_lower_level_duplicates: bool = Kind::Bool, default("no");
                /// Of two instances, cancel the one that waits.
                "Cancel Queued Duplicates" => cancel_queued_duplicates: bool = Kind::Bool, default("no");
                /// Of two instances, cancel the one that runs.
                "Cancel Running Duplicates" => cancel_running_duplicates: bool = Kind::Bool, default("no");
                /// Purge the jobs that went into a Virtual Full.
                "Delete Consolidated Jobs" => delete_consolidated_jobs: bool = Kind::Bool, default("no"), pending();
                /// Jobs whose newest Base backup is used.
                "Base" => base: Vec<String> = Kind::RefList(ResourceKind::Job);
                /// Tags of the job in the catalog.
                "Tag" => tag: Vec<String> = Kind::StrList, since("11"), pending();
                /// Text for the client's plugins.
                "Plugin Options" => plugin_options: Option<String> = Kind::Str;
                /// Limit of the client's sending rate; 0 for none.
                "Maximum Bandwidth" => maximum_bandwidth: u64 = Kind::Speed, default("0");
                /// Age at which snapshots are pruned.
                "Snapshot Retention" => snapshot_retention: Duration = Kind::Time, default("0"), pending();
                /// Accepted for old files.
                "Write Part After Job" => write_part_after_job: bool = Kind::Bool, default("yes"), ignored();
                /// Check stored files against a malware database.
                "Check Malware" => check_malware: bool = Kind::Bool, default("no"), since("15"), pending();
            }
            also {
                /// Program on the Director's host before the job; its failure fails the job.
                "Run Before Job" = Kind::ShortScript(ShortForm::RunBeforeJob), example("\"/usr/local/bin/prepare %n\"");
                /// Program on the Director's host after a successful job.
                "Run After Job" = Kind::ShortScript(ShortForm::RunAfterJob);
                /// Program on the Director's host after a failed job.
                "Run After Failed Job" = Kind::ShortScript(ShortForm::RunAfterFailedJob);
                /// Program on the client before the job; its failure fails the job.
                "Client Run Before Job" = Kind::ShortScript(ShortForm::ClientRunBeforeJob);
                /// Program on the client after a successful job.
                "Client Run After Job" = Kind::ShortScript(ShortForm::ClientRunAfterJob);
                /// Console command before the job.
                "Console Run Before Job" = Kind::ShortScript(ShortForm::ConsoleRunBeforeJob);
                /// Console command after the job.
                "Console Run After Job" = Kind::ShortScript(ShortForm::ConsoleRunAfterJob);
            }
        }
    };
}

job_resource! {
    /// A job: what is saved, restored, verified or copied, where to, and when.
    Job = Job "Job"
}

job_resource! {
    /// Directives for the Jobs that name it; those written in the Job win, scripts are added.
    JobDefs = JobDefs "JobDefs"
}
