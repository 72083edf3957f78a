//! `Pool` (spec/04 §2.8).

use std::time::Duration;

use super::job::StorageGroupPolicy;
use crate::table::{Kind, ResourceKind, resource, word_enum};

word_enum! {
    /// Kind of label on tapes.
    LabelType {
        /// Bacula's own.
        Bacula = "Bacula";
        /// ANSI.
        Ansi = "ANSI";
        /// IBM.
        Ibm = "IBM";
    }
}

word_enum! {
    /// What may be done with a purged Volume.
    ActionOnPurge {
        /// Make it empty.
        Truncate = "Truncate";
    }
}

resource! {
    /// A set of Volumes and the rules for them.
    Pool = Pool "Pool" {
        /// Backup; also Copy, Cloned, Archive, Migration, Scratch.
        "Pool Type" => pool_type: String = Kind::Str128, required(), example("Backup");
        /// Name template of Volumes that are made automatically.
        "Label Format" => label_format: Option<String> = Kind::Str128, example("\"Vol-\"");
        /// Kind of label.
        "Label Type" => label_type: Option<LabelType> = Kind::Words(LabelType::WORDS);
        /// Barcode prefix of cleaning tapes.
        "Cleaning Prefix" => cleaning_prefix: Option<String> = Kind::Str128, example("CLN");
        /// One job per Volume; Maximum Volume Jobs = 1 says the same.
        "Use Volume Once" => use_volume_once: bool = Kind::Bool, default("no");
        /// When nothing else is left, purge the oldest Volume in spite of its retention.
        "Purge Oldest Volume" => purge_oldest_volume: bool = Kind::Bool, default("no");
        /// What may be done with a purged Volume.
        "Action On Purge" => action_on_purge: Option<ActionOnPurge> = Kind::Words(ActionOnPurge::WORDS), example("Truncate");
        /// When nothing else is left, prune the oldest Volume.
        "Recycle Oldest Volume" => recycle_oldest_volume: bool = Kind::Bool, default("no");
        /// Prune the Volume in the drive if it is wanted.
        "Recycle Current Volume" => recycle_current_volume: bool = Kind::Bool, default("no");
        /// Volumes in the Pool; 0 for no limit.
        "Maximum Volumes" => maximum_volumes: u32 = Kind::Uint, default("0");
        /// Jobs on a Volume; 0 for no limit.
        "Maximum Volume Jobs" => maximum_volume_jobs: u32 = Kind::Uint, default("0");
        /// Files on a Volume; 0 for no limit.
        "Maximum Volume Files" => maximum_volume_files: u32 = Kind::Uint, default("0");
        /// Size of a Volume; 0 for no limit.
        "Maximum Volume Bytes" => maximum_volume_bytes: u64 = Kind::Size, default("0"), example("50G");
        /// No: file records are not kept.
        "Catalog Files" => catalog_files: bool = Kind::Bool, default("yes");
        /// How long parts stay in the local cache.
        "Cache Retention" => cache_retention: Duration = Kind::Time, default("0");
        /// How long a Volume's jobs are kept; 0 for ever.
        "Volume Retention" => volume_retention: Duration = Kind::Time, default("1 year"), example("90 days");
        /// How long a Volume is written to, from its first use; 0 for no limit.
        "Volume Use Duration" => volume_use_duration: Duration = Kind::Time, default("0");
        /// Age at which Selection Type PoolTime takes jobs.
        "Migration Time" => migration_time: Duration = Kind::Time, default("0");
        /// Size of the Pool at which PoolOccupancy starts.
        "Migration High Bytes" => migration_high_bytes: u64 = Kind::Size, default("0");
        /// Size of the Pool at which PoolOccupancy stops.
        "Migration Low Bytes" => migration_low_bytes: u64 = Kind::Size, default("0");
        /// Destination of copies, migrations and Virtual Fulls.
        "Next Pool" => next_pool: Option<String> = Kind::Ref(ResourceKind::Pool);
        /// Storages; these win over the Job's.
        "Storage" => storage: Vec<String> = Kind::RefList(ResourceKind::Storage);
        /// How one of several Storages is chosen.
        "Storage Group Policy" => storage_group_policy: Option<StorageGroupPolicy>
            = Kind::Words(StorageGroupPolicy::WORDS), since("13");
        /// FreeSpaceLeastUsed: Storages that have no less free space than this below the most count as equal.
        "Storage Group Policy Threshold" => storage_group_policy_threshold: u64 = Kind::Size, default("0"),
            since("15");
        /// Prune Volumes when one is needed.
        "Auto Prune" => auto_prune: bool = Kind::Bool, default("yes");
        /// Purged Volumes may be used again.
        "Recycle" => recycle: bool = Kind::Bool, default("yes");
        /// Pool that purged Volumes move to.
        "Recycle Pool" => recycle_pool: Option<String> = Kind::Ref(ResourceKind::Pool);
        /// Pool that new Volumes come from; the Pool named Scratch when absent.
        "Scratch Pool" => scratch_pool: Option<String> = Kind::Ref(ResourceKind::Pool);
        /// Copies each backup to these Pools as soon as it ends.
        "Copy Pool" => copy_pool: Vec<String> = Kind::RefList(ResourceKind::Pool);
        /// Catalog of the Pool.
        "Catalog" => catalog: Option<String> = Kind::Ref(ResourceKind::Catalog);
        /// How long file records are kept; 0 leaves it to the Client.
        "File Retention" => file_retention: Duration = Kind::Time, default("0");
        /// How long job records are kept; 0 leaves it to the Client.
        "Job Retention" => job_retention: Duration = Kind::Time, default("0");
        /// Accepted for old files.
        "Use Catalog" => use_catalog: bool = Kind::Bool, default("yes"), ignored();
    }
}
