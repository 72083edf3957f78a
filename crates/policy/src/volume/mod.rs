//! Volumes: which one is written next, when one is full, what may be pruned and recycled (spec/04 §5, spec/03 §3.2).
//!
//! Pure, over candidate rows: the caller loads them in one transaction, asks, and executes the answer in the same one.
//! Everything that destroys is a plan value first, printable and comparable.

mod choose;
mod limits;
mod name;
mod prune;

pub use choose::{Choice, Named, check_named, choose, choose_oldest, prune_order, take_from_scratch};
pub use limits::{Expiry, expiry};
pub use name::{LabelFacts, NameError, expand_label, is_simple_format, simple_names};
pub use prune::{
    JobFacts, JobOnVolume, JobPrunePlan, VolumePrunePlan, plan_file_prune, plan_job_prune, plan_volume_prune,
};

use types::{MediaId, PoolId, StorageId, Timestamp, VolStatus};

/// What is known of a Volume when one is chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeFacts {
    /// Key.
    pub id: MediaId,
    /// Name.
    pub name: String,
    /// Pool it is in.
    pub pool: PoolId,
    /// Media Type.
    pub media_type: String,
    /// State.
    pub status: VolStatus,
    /// 0 no, 1 yes, 2 archived.
    pub enabled: u32,
    /// Class of the device that wrote it; 0 = unknown, matches any.
    pub vol_type: u32,
    /// Whether it is in a changer.
    pub in_changer: bool,
    /// Storage that has it; 0 = unknown.
    pub storage: StorageId,
    /// First data.
    pub first_written: Option<Timestamp>,
    /// Last data.
    pub last_written: Option<Timestamp>,
    /// Jobs on it.
    pub jobs: u32,
    /// File marks on it.
    pub files: u32,
    /// Bytes on it.
    pub bytes: u64,
    /// Whether it may be recycled.
    pub recycle: bool,
    /// Seconds that its jobs are kept; 0 = for ever.
    pub retention: u64,
    /// Seconds from first use in which it is written; 0 = unlimited.
    pub use_duration: u64,
    /// 0 = unlimited.
    pub max_jobs: u32,
    /// 0 = unlimited.
    pub max_files: u32,
    /// 0 = unlimited.
    pub max_bytes: u64,
    /// Pool that it goes to when purged; 0 = stays.
    pub recycle_pool: PoolId,
}

/// What is known of the Pool that is written to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolFacts {
    /// Key.
    pub id: PoolId,
    /// Name.
    pub name: String,
    /// One job per Volume.
    pub use_once: bool,
    /// Volumes allowed; 0 = unlimited.
    pub max_volumes: u32,
    /// Volumes in it.
    pub volumes: u32,
    /// Bytes allowed in all Volumes; 0 = unlimited.
    pub max_bytes: u64,
    /// Bytes in all Volumes.
    pub bytes: u64,
    /// Whether a choice may prune.
    pub auto_prune: bool,
    /// Recycle Oldest Volume.
    pub recycle_oldest: bool,
    /// Recycle Current Volume.
    pub recycle_current: bool,
    /// Purge Oldest Volume.
    pub purge_oldest: bool,
    /// Template of automatic names; empty or `*` = none.
    pub label_format: String,
    /// Pool that purged Volumes go to; 0 = none.
    pub recycle_pool: PoolId,
}

impl PoolFacts {
    /// Whether one more Volume fits.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.max_volumes == 0 || self.volumes < self.max_volumes
    }

    /// Whether Volumes are named automatically.
    #[must_use]
    pub fn names_volumes(&self) -> bool {
        !matches!(self.label_format.as_str(), "" | "*")
    }
}

/// What a Storage Daemon asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Pool to write to.
    pub pool: PoolId,
    /// Media Type of the Storage.
    pub media_type: String,
    /// Class of its device; 0 = not told.
    pub vol_type: u32,
    /// For a changer, the Storages that share it: only Volumes in it are taken at first.
    pub changer: Option<Vec<StorageId>>,
    /// Volumes that were offered before and could not be used.
    pub exclude: Vec<MediaId>,
    /// Now.
    pub now: Timestamp,
}

#[cfg(test)]
mod tests;
