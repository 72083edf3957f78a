//! What an observer outside knows: every acknowledged fact.

use std::collections::{BTreeMap, BTreeSet};

use lead::protocol::Hold;
use types::{Attempt, Epoch, JobId, JobStatus, VolSession, VolTime};

use crate::plan::Millis;

/// A broken invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// When, in milliseconds of the world.
    pub at: Millis,
    /// Which (DESIGN §4).
    pub invariant: &'static str,
    /// What happened.
    pub what: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {} ms: {}", self.invariant, self.at, self.what)
    }
}

/// A job as it was ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ordered {
    pub(crate) client: usize,
    pub(crate) storage: usize,
    pub(crate) created: Millis,
    /// Something happened to it that may keep it from ending `T`.
    pub(crate) is_disturbed: bool,
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: JobStatus,
}

/// What was and is.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// Every activation that was committed, in this order.
    pub(crate) activations: Vec<Hold>,
    /// The highest epoch that each Storage Daemon has answered to.
    pub(crate) storage_epochs: BTreeMap<usize, Epoch>,
    pub(crate) ordered: BTreeMap<JobId, Ordered>,
    pub(crate) ended: BTreeMap<JobId, Ended>,
    /// Due runs and their jobs.
    pub(crate) due: BTreeMap<(usize, i64), JobId>,
    /// Sessions of each Storage Daemon.
    pub(crate) sessions: BTreeSet<(usize, VolSession)>,
    pub(crate) attempts: BTreeSet<(JobId, Attempt)>,
    /// Volumes as they were labelled: those that were overwritten since.
    pub(crate) overwritten: BTreeSet<(usize, String, VolTime)>,
    /// Jobs that are ordered until then may suffer from what happened to daemons before.
    pub(crate) disturbed_until: Millis,
    pub(crate) counts: Counts,
}

/// What a world has come upon.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Counts {
    pub events: u64,
    pub activations: u64,
    pub takeovers: u64,
    pub jobs: u64,
    pub good: u64,
    pub incomplete: u64,
    pub failed: u64,
    pub adopted: u64,
    pub again: u64,
    pub closed_later: u64,
    pub recycled: u64,
    pub refused_stale: u64,
    pub refused_permit: u64,
    pub restored: u64,
    pub volumes: u64,
    pub volumes_in_use: u64,
    pub power_cuts: u64,
}

impl Counts {
    /// Sums up over worlds.
    pub fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.activations += other.activations;
        self.takeovers += other.takeovers;
        self.jobs += other.jobs;
        self.good += other.good;
        self.incomplete += other.incomplete;
        self.failed += other.failed;
        self.adopted += other.adopted;
        self.again += other.again;
        self.closed_later += other.closed_later;
        self.recycled += other.recycled;
        self.refused_stale += other.refused_stale;
        self.refused_permit += other.refused_permit;
        self.restored += other.restored;
        self.volumes += other.volumes;
        self.volumes_in_use += other.volumes_in_use;
        self.power_cuts += other.power_cuts;
    }
}

/// What file number `index` of a job holds, and how many files a job has: from the seed alone.
pub(crate) fn content(seed: u64, job: JobId, index: u32, bytes_max: usize) -> Vec<u8> {
    let mut state = mix(seed ^ (u64::from(job.0) << 32) ^ u64::from(index));
    let len = usize::try_from(state % (bytes_max as u64 + 1)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = mix(state);
        bytes.extend_from_slice(&state.to_be_bytes());
    }
    bytes.truncate(len);
    bytes
}

pub(crate) fn file_count(seed: u64, job: JobId, files_max: u32) -> u32 {
    let drawn = mix(seed.rotate_left(17) ^ u64::from(job.0));
    1 + u32::try_from(drawn % u64::from(files_max)).unwrap_or(0)
}

pub(crate) fn file_name(job: JobId, index: u32) -> String {
    format!("/data/{job}/file-{index}")
}

/// SplitMix64.
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
