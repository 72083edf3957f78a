//! What pruning removes and keeps (spec/04 §5.6), as plans.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use types::{ClientId, FileSetId, JobId, JobLevel, JobStatus, JobType, MediaId, Timestamp};

/// A job that has data on a Volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobOnVolume {
    /// Job.
    pub job: JobId,
    /// Start of its data.
    pub tdate: Timestamp,
    /// State.
    pub status: JobStatus,
}

/// What pruning one Volume would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumePrunePlan {
    /// Volume.
    pub volume: MediaId,
    /// Its name.
    pub name: String,
    /// Jobs whose records go, from the catalog altogether.
    pub delete: Vec<JobId>,
    /// Jobs that stay: too young, or not over.
    pub keep: Vec<JobId>,
}

impl VolumePrunePlan {
    /// Whether nothing is left on the Volume afterwards, so that it becomes Purged.
    #[must_use]
    pub fn purges(&self) -> bool {
        self.keep.is_empty()
    }
}

impl fmt::Display for VolumePrunePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Volume \"{}\": delete {} Job(s)", self.name, self.delete.len())?;
        write_ids(f, &self.delete)?;
        match self.purges() {
            true => write!(f, "; nothing is left, it becomes Purged"),
            false => {
                write!(f, "; keep {} Job(s)", self.keep.len())?;
                write_ids(f, &self.keep)
            }
        }
    }
}

fn write_ids(f: &mut fmt::Formatter<'_>, ids: &[JobId]) -> fmt::Result {
    if ids.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = ids.iter().map(ToString::to_string).collect();
    write!(f, " ({})", list.join(","))
}

/// Plans the prune of a Volume by its own retention (seconds; 0 = never). The last Full is not protected here: the operator
/// has said how long this Volume is kept.
#[must_use]
pub fn plan_volume_prune(
    volume: MediaId,
    name: &str,
    retention: u64,
    jobs: &[JobOnVolume],
    now: Timestamp,
) -> VolumePrunePlan {
    let limit = before(now, retention);
    let (delete, keep): (Vec<_>, Vec<_>) =
        jobs.iter().partition(|j| retention > 0 && j.tdate < limit && j.status.is_final());
    let ids = |jobs: Vec<&JobOnVolume>| jobs.into_iter().map(|j| j.job).collect();
    VolumePrunePlan { volume, name: name.to_owned(), delete: ids(delete), keep: ids(keep) }
}

fn before(now: Timestamp, seconds: u64) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(seconds).unwrap_or(i64::MAX)))
}

/// What is known of a job when jobs are pruned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFacts {
    /// Job.
    pub job: JobId,
    /// What it is.
    pub job_type: JobType,
    /// How much it took.
    pub level: JobLevel,
    /// State.
    pub status: JobStatus,
    /// Client.
    pub client: ClientId,
    /// FileSet row.
    pub fileset: FileSetId,
    /// Start of its data.
    pub tdate: Timestamp,
    /// Files it holds.
    pub files: u64,
    /// Base jobs that it uses.
    pub base_jobs: Vec<JobId>,
    /// Whether its File rows are gone.
    pub purged_files: bool,
}

/// Which records a prune removes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobPrunePlan {
    /// Jobs to delete (or, for files, whose File rows to delete).
    pub delete: Vec<JobId>,
    /// Jobs old enough that stay all the same, because a restore of the newest state needs them.
    pub protected: Vec<JobId>,
}

impl fmt::Display for JobPrunePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "delete {} Job(s)", self.delete.len())?;
        write_ids(f, &self.delete)?;
        if self.protected.is_empty() {
            return Ok(());
        }
        write!(f, "; keep {} that a restore needs", self.protected.len())?;
        write_ids(f, &self.protected)
    }
}

/// Plans a prune of jobs older than `retention` seconds. `jobs` are all jobs of the client (or Pool), old and young: the
/// newest restore chain of each client and FileSet stays, with the base jobs it uses, and so does the newest Verify
/// InitCatalog.
#[must_use]
pub fn plan_job_prune(jobs: &[JobFacts], retention: u64, now: Timestamp) -> JobPrunePlan {
    let limit = before(now, retention);
    let needed = needed_for_restore(jobs);
    let mut plan = JobPrunePlan::default();
    for job in jobs.iter().filter(|j| j.tdate < limit && j.status.is_final() && is_prunable(j.job_type)) {
        let list = if needed.contains(&job.job) { &mut plan.protected } else { &mut plan.delete };
        list.push(job.job);
    }
    plan.delete.sort_unstable();
    plan.protected.sort_unstable();
    plan
}

/// Plans a prune of File rows older than `retention` seconds. Unconditional: the jobs stay restorable as a whole.
#[must_use]
pub fn plan_file_prune(jobs: &[JobFacts], retention: u64, now: Timestamp) -> JobPrunePlan {
    let limit = before(now, retention);
    let old = |j: &&JobFacts| j.tdate < limit && j.status.is_final() && !j.purged_files;
    let mut delete: Vec<_> = jobs.iter().filter(old).map(|j| j.job).collect();
    delete.sort_unstable();
    JobPrunePlan { delete, protected: Vec::new() }
}

fn is_prunable(job_type: JobType) -> bool {
    match job_type {
        JobType::Backup
        | JobType::JobCopy
        | JobType::MigratedJob
        | JobType::Verify
        | JobType::Restore
        | JobType::Admin
        | JobType::Copy
        | JobType::Migrate => true,
        JobType::Console | JobType::System | JobType::Archive | JobType::Scan => false,
    }
}

fn needed_for_restore(jobs: &[JobFacts]) -> BTreeSet<JobId> {
    let mut groups: BTreeMap<(ClientId, FileSetId), Vec<&JobFacts>> = BTreeMap::new();
    for job in jobs.iter().filter(|j| j.job_type == JobType::Backup && j.status.is_success()) {
        groups.entry((job.client, job.fileset)).or_default().push(job);
    }
    let mut needed = BTreeSet::new();
    for group in groups.values() {
        for job in chain(group).into_iter().filter(|j| j.files > 0) {
            needed.insert(job.job);
            needed.extend(job.base_jobs.iter().copied());
        }
    }
    let init = jobs.iter().filter(|j| j.job_type == JobType::Verify && j.level == JobLevel::VerifyInit);
    needed.extend(init.max_by_key(|j| (j.tdate, j.job)).map(|j| j.job));
    needed
}

/// The newest Full, the newest Differential after it, the Incrementals after that.
fn chain<'j>(group: &[&'j JobFacts]) -> Vec<&'j JobFacts> {
    let newest = |level: JobLevel, after: (Timestamp, JobId)| {
        group
            .iter()
            .copied()
            .filter(|j| j.level == level && (j.tdate, j.job) > after)
            .max_by_key(|j| (j.tdate, j.job))
    };
    let Some(full) = newest(JobLevel::Full, (Timestamp(i64::MIN), JobId(0))) else {
        // Without a Full everything is all there is.
        return group.to_vec();
    };
    let mut jobs = vec![full];
    jobs.extend(newest(JobLevel::Differential, (full.tdate, full.job)));
    let last = jobs.last().map_or((full.tdate, full.job), |j| (j.tdate, j.job));
    jobs.extend(
        group.iter().copied().filter(|j| j.level == JobLevel::Incremental && (j.tdate, j.job) > last),
    );
    jobs
}
