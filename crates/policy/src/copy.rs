//! Which jobs a Copy or Migration Job takes (spec/04 §6.1), and where they go (§6.4).

use std::collections::{BTreeMap, BTreeSet};

use conf::director::SelectionType;
use regex::Regex;
use types::{JobId, JobType, Timestamp, VolStatus};

use crate::plan::StoragePlan;

/// A good backup, or copy of one, that is in the Pool or on one of its Volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolJob {
    /// JobId.
    pub id: JobId,
    /// Name of its Job resource.
    pub name: String,
    /// Name of its client.
    pub client: String,
    /// [`JobType::Backup`] or [`JobType::JobCopy`].
    pub job_type: JobType,
    /// Bytes written.
    pub bytes: u64,
    /// End of its record; `None` where the catalog has none.
    pub real_end: Option<Timestamp>,
    /// The Pool is its own; else only a Volume of the Pool has data of it.
    pub is_in_pool: bool,
    /// There is a good copy of it, or it was migrated.
    pub is_copied: bool,
}

/// A Volume of the Pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolVolume {
    /// Name.
    pub name: String,
    /// Status.
    pub status: VolStatus,
    /// May be read.
    pub is_enabled: bool,
    /// Bytes on it.
    pub bytes: u64,
    /// When it was last written.
    pub last_written: Option<Timestamp>,
    /// Jobs with data on it.
    pub jobs: Vec<JobId>,
}

/// What the catalog knows of the read Pool, and the Pool's limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolFacts {
    /// In the order of their start.
    pub jobs: Vec<PoolJob>,
    /// In the order of their MediaIds.
    pub volumes: Vec<PoolVolume>,
    /// `Migration High Bytes`.
    pub high_bytes: u64,
    /// `Migration Low Bytes`.
    pub low_bytes: u64,
    /// `Migration Time`, seconds.
    pub migration_time_s: u64,
}

/// Why nothing can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Neither a JobId nor a Selection Type.
    #[error("no Selection Type in Job \"{0}\", and no jobid= was given: there is nothing to choose jobs by")]
    NoSelection(String),
    /// The Selection Type needs a pattern.
    #[error("Selection Type {0} needs a Selection Pattern")]
    NoPattern(&'static str),
    /// The pattern is no regular expression.
    #[error("Selection Pattern \"{pattern}\" is not understood: {problem}")]
    Pattern {
        /// As written.
        pattern: String,
        /// What is wrong.
        problem: String,
    },
    /// A Migration Job moves what it takes: nothing is uncopied for it.
    #[error("Selection Type PoolUncopiedJobs is for Copy Jobs only")]
    UncopiedOfMigration,
    /// [`SelectionType::SqlQuery`] is answered by the catalog.
    #[error("a Selection Type SqlQuery is answered by the catalog")]
    Query,
}

/// The jobs to take, in their order, each once. `is_copy` tells a Copy from a Migration Job.
///
/// # Errors
/// [`SelectError`] when the selection cannot be made.
pub fn select(
    kind: SelectionType,
    pattern: &str,
    is_copy: bool,
    facts: &PoolFacts,
    now: Timestamp,
) -> Result<Vec<JobId>, SelectError> {
    let of_pool = || facts.jobs.iter().filter(|job| job.is_in_pool);
    let ids: Vec<JobId> = match kind {
        SelectionType::Job => {
            let regex = regex(kind, pattern)?;
            of_pool().filter(|job| regex.is_match(&job.name)).map(|job| job.id).collect()
        }
        SelectionType::Client => {
            let regex = regex(kind, pattern)?;
            of_pool().filter(|job| regex.is_match(&job.client)).map(|job| job.id).collect()
        }
        SelectionType::Volume => {
            let regex = regex(kind, pattern)?;
            let volumes = full(facts).filter(|volume| regex.is_match(&volume.name));
            jobs_on(facts, volumes)
        }
        SelectionType::SmallestVolume => {
            jobs_on(facts, full(facts).min_by_key(|volume| volume.bytes).into_iter())
        }
        SelectionType::OldestVolume => {
            jobs_on(facts, full(facts).min_by_key(|volume| volume.last_written).into_iter())
        }
        SelectionType::PoolOccupancy => occupancy(facts),
        SelectionType::PoolTime => {
            let age = i64::try_from(facts.migration_time_s).unwrap_or(i64::MAX);
            let before = Timestamp(now.0.saturating_sub(age));
            let old: BTreeSet<JobId> = facts
                .jobs
                .iter()
                .filter(|job| job.real_end.is_some_and(|end| end <= before))
                .map(|job| job.id)
                .collect();
            let mut ids = jobs_on(facts, full(facts));
            ids.retain(|id| old.contains(id));
            ids
        }
        SelectionType::PoolUncopiedJobs if !is_copy => return Err(SelectError::UncopiedOfMigration),
        SelectionType::PoolUncopiedJobs => of_pool()
            .filter(|job| job.job_type == JobType::Backup && job.bytes > 0 && !job.is_copied)
            .map(|job| job.id)
            .collect(),
        SelectionType::SqlQuery => return Err(SelectError::Query),
    };
    Ok(once(ids))
}

/// Each id once, where it comes first.
#[must_use]
pub fn once(ids: Vec<JobId>) -> Vec<JobId> {
    let mut seen = BTreeSet::new();
    ids.into_iter().filter(|id| seen.insert(*id)).collect()
}

/// Volumes that are not written any more.
fn full(facts: &PoolFacts) -> impl Iterator<Item = &PoolVolume> {
    let is_done = |status| matches!(status, VolStatus::Full | VolStatus::Used | VolStatus::Error);
    facts.volumes.iter().filter(move |volume| volume.is_enabled && is_done(volume.status))
}

/// Good jobs on Volumes, in the order of their start.
fn jobs_on<'a>(facts: &PoolFacts, volumes: impl Iterator<Item = &'a PoolVolume>) -> Vec<JobId> {
    let on: BTreeSet<JobId> = volumes.flat_map(|volume| volume.jobs.iter().copied()).collect();
    facts.jobs.iter().map(|job| job.id).filter(|id| on.contains(id)).collect()
}

/// Jobs of the Volumes written longest ago, until the Pool is down to its low mark.
fn occupancy(facts: &PoolFacts) -> Vec<JobId> {
    let bytes: BTreeMap<JobId, u64> = facts.jobs.iter().map(|job| (job.id, job.bytes)).collect();
    let mut left: u64 = facts.jobs.iter().filter(|job| job.is_in_pool).map(|job| job.bytes).sum();
    if left < facts.high_bytes {
        return Vec::new();
    }
    let mut volumes: Vec<&PoolVolume> = full(facts).collect();
    volumes.sort_by_key(|volume| volume.last_written);
    let mut ids = Vec::new();
    let mut counted = BTreeSet::new();
    for volume in volumes {
        if left <= facts.low_bytes {
            break;
        }
        for id in jobs_on(facts, std::iter::once(volume)) {
            if counted.insert(id) {
                left = left.saturating_sub(bytes.get(&id).copied().unwrap_or(0));
                ids.push(id);
            }
        }
    }
    ids
}

fn regex(kind: SelectionType, pattern: &str) -> Result<Regex, SelectError> {
    if pattern.is_empty() {
        return Err(SelectError::NoPattern(match kind {
            SelectionType::Job => "Job",
            SelectionType::Client => "Client",
            _ => "Volume",
        }));
    }
    Regex::new(pattern).map_err(|error| SelectError::Pattern {
        pattern: pattern.to_owned(),
        problem: error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
    })
}

/// What one control job does with the jobs that were chosen: the last it takes itself, the others are started as jobs of their
/// own, at most `spawned_max` − 1 of them (spec/04 §6.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Share {
    /// Others to be started.
    pub spawned: Vec<JobId>,
    /// Its own; `None` when nothing was chosen.
    pub own: Option<JobId>,
    /// Chosen, but over the bound: a later run takes them.
    pub left: usize,
}

/// Shares the chosen jobs out.
#[must_use]
pub fn share(chosen: &[JobId], spawned_max: u32) -> Share {
    let Some((own, others)) = chosen.split_last() else { return Share::default() };
    let bound = usize::try_from(spawned_max.max(1) - 1).unwrap_or(usize::MAX).min(others.len());
    Share { spawned: others[..bound].to_vec(), own: Some(*own), left: others.len() - bound }
}

/// Why a copy cannot go where it should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DestinationError {
    /// No Next Pool.
    #[error("No Next Pool specification found in Pool \"{pool}\". Give the Pool, or the Job, a Next Pool.")]
    NoNextPool {
        /// Read Pool.
        pool: String,
    },
    /// The Next Pool has no Storage.
    #[error("No Storage specification found in Next Pool \"{pool}\". Give the Pool a Storage.")]
    NoStorage {
        /// Next Pool.
        pool: String,
    },
    /// The copy would lie in the Pool it comes from.
    #[error("Next Pool \"{pool}\" is the Pool that is read: the copy would lie beside its original")]
    SamePool {
        /// Both.
        pool: String,
    },
}

/// Checks that a plan says where to write.
///
/// # Errors
/// [`DestinationError`].
pub fn check_destination(
    pool: &str,
    next_pool: Option<&str>,
    write_storages: &[StoragePlan],
) -> Result<(), DestinationError> {
    let Some(next) = next_pool else { return Err(DestinationError::NoNextPool { pool: pool.to_owned() }) };
    if next == pool {
        return Err(DestinationError::SamePool { pool: pool.to_owned() });
    }
    if write_storages.is_empty() {
        return Err(DestinationError::NoStorage { pool: next.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: u32, name: &str, client: &str, bytes: u64) -> PoolJob {
        PoolJob {
            id: JobId(id),
            name: name.to_owned(),
            client: client.to_owned(),
            job_type: JobType::Backup,
            bytes,
            real_end: Some(Timestamp(1000 + i64::from(id))),
            is_in_pool: true,
            is_copied: false,
        }
    }

    fn volume(name: &str, status: VolStatus, bytes: u64, last: i64, jobs: &[u32]) -> PoolVolume {
        PoolVolume {
            name: name.to_owned(),
            status,
            is_enabled: true,
            bytes,
            last_written: Some(Timestamp(last)),
            jobs: jobs.iter().map(|&id| JobId(id)).collect(),
        }
    }

    fn facts() -> PoolFacts {
        let mut copied = job(2, "Web", "web-fd", 20);
        copied.is_copied = true;
        let mut copy = job(3, "Mail", "mail-fd", 30);
        copy.job_type = JobType::JobCopy;
        let mut other = job(4, "Other", "x-fd", 5);
        other.is_in_pool = false;
        PoolFacts {
            jobs: vec![job(1, "Mail", "mail-fd", 10), copied, copy, other, job(5, "Empty", "mail-fd", 0)],
            volumes: vec![
                volume("Vol-1", VolStatus::Full, 100, 50, &[1, 2]),
                volume("Vol-2", VolStatus::Used, 40, 60, &[3, 4]),
                volume("Vol-3", VolStatus::Append, 10, 10, &[5]),
            ],
            high_bytes: 50,
            low_bytes: 45,
            migration_time_s: 10,
        }
    }

    fn check(kind: SelectionType, pattern: &str, expected: &[u32]) {
        let ids = select(kind, pattern, true, &facts(), Timestamp(1012)).unwrap();
        assert_eq!(ids.iter().map(|id| id.0).collect::<Vec<_>>(), expected, "{kind:?}");
    }

    #[test]
    fn each_selection_type_takes_its_jobs() {
        check(SelectionType::PoolUncopiedJobs, "", &[1]);
        check(SelectionType::Job, "^Ma", &[1, 3]);
        check(SelectionType::Client, "^(web|x)-fd$", &[2]);
        check(SelectionType::Volume, "Vol-[23]", &[3, 4]);
        check(SelectionType::SmallestVolume, "", &[3, 4]);
        check(SelectionType::OldestVolume, "", &[1, 2]);
        // 60 bytes are over 50; the oldest Volume's jobs bring it down to 30.
        check(SelectionType::PoolOccupancy, "", &[1, 2]);
        check(SelectionType::PoolTime, "", &[1, 2]);
    }

    #[test]
    fn a_pool_below_its_mark_gives_nothing() {
        let mut facts = facts();
        facts.high_bytes = 61;
        let ids = select(SelectionType::PoolOccupancy, "", false, &facts, Timestamp(0)).unwrap();
        assert!(ids.is_empty());
    }

    #[test]
    fn a_disabled_volume_gives_nothing() {
        let mut facts = facts();
        facts.volumes[0].is_enabled = false;
        let ids = select(SelectionType::OldestVolume, "", false, &facts, Timestamp(0)).unwrap();
        assert_eq!(ids, [JobId(3), JobId(4)]);
    }

    #[test]
    fn what_cannot_be_chosen_by_is_named() {
        let of = |kind, pattern: &str, is_copy| {
            select(kind, pattern, is_copy, &facts(), Timestamp(0)).unwrap_err().to_string()
        };
        assert_eq!(of(SelectionType::Job, "", true), "Selection Type Job needs a Selection Pattern");
        assert!(of(SelectionType::Job, "(", true).starts_with("Selection Pattern \"(\" is not understood: "));
        assert!(of(SelectionType::PoolUncopiedJobs, "", false).contains("Copy Jobs only"));
    }

    #[test]
    fn the_last_is_its_own_and_the_others_are_bounded() {
        let ids: Vec<JobId> = (1..=5).map(JobId).collect();
        let shared = share(&ids, 600);
        assert_eq!((shared.spawned.len(), shared.own, shared.left), (4, Some(JobId(5)), 0));
        let shared = share(&ids, 3);
        assert_eq!((shared.spawned, shared.own, shared.left), (vec![JobId(1), JobId(2)], Some(JobId(5)), 2));
        assert_eq!(share(&ids, 0).spawned, []);
        assert_eq!(share(&[], 600), Share::default());
        assert_eq!(once(vec![JobId(2), JobId(1), JobId(2)]), [JobId(2), JobId(1)]);
    }

    #[test]
    fn a_copy_must_have_a_place_to_go() {
        let storage = [StoragePlan::default()];
        assert_eq!(check_destination("File", Some("Far"), &storage), Ok(()));
        let of = |next, storages: &[StoragePlan]| check_destination("File", next, storages).unwrap_err();
        assert!(
            of(None, &storage).to_string().starts_with("No Next Pool specification found in Pool \"File\"")
        );
        assert!(matches!(of(Some("Far"), &[]), DestinationError::NoStorage { .. }));
        assert!(matches!(of(Some("File"), &storage), DestinationError::SamePool { .. }));
    }
}
