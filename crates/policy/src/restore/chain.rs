//! The restore chain: the newest Full, the newest Differential on it, all Incrementals after (spec/05 §7, "Restore option 5/6").

use types::{JobId, JobLevel, Timestamp};

/// A finished backup of one client and one FileSet name: type `B`, status `T` or `W`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainJob {
    /// JobId.
    pub job_id: JobId,
    /// Level; others than Full, Differential and Incremental are not looked at.
    pub level: JobLevel,
    /// When its data was started to be saved (`StartTime`).
    pub start_time: Timestamp,
    /// `JobTDate`; every "most recent" orders by it.
    pub job_tdate: Timestamp,
    /// Whether every Volume of it is enabled; a Full on a disabled Volume starts no chain.
    pub media_enabled: bool,
}

/// The chain that restores the state before `before`: JobIds in the order in which they are applied.
///
/// Empty when there is no Full. The rule goes by client and FileSet name, not by job name: of two jobs that share a FileSet,
/// the newest Full of either wins, as with Bacula.
#[must_use]
pub fn plan_chain(jobs: &[ChainJob], before: Timestamp) -> Vec<JobId> {
    let candidates = jobs.iter().filter(|job| job.start_time < before);
    // Jobs can start in one second: then the later JobId is the later job.
    let age = |job: &ChainJob| (job.job_tdate, job.job_id);
    let full = candidates.clone().filter(|job| is_full(job.level) && job.media_enabled);
    let Some(full) = full.max_by_key(|job| age(job)).copied() else { return Vec::new() };
    let mut chain = vec![full];
    let newer = candidates.clone().filter(|job| job.level == JobLevel::Differential && age(job) > age(&full));
    chain.extend(newer.max_by_key(|job| age(job)));
    let since = chain.last().map_or(age(&full), age);
    let mut incrementals: Vec<_> =
        candidates.filter(|job| job.level == JobLevel::Incremental && age(job) > since).copied().collect();
    incrementals.sort_by_key(age);
    chain.extend(incrementals);
    chain.into_iter().map(|job| job.job_id).collect()
}

fn is_full(level: JobLevel) -> bool {
    // A finished VirtualFull rests in the catalog as `F`; one that was taken over from another program may say `f`.
    matches!(level, JobLevel::Full | JobLevel::VirtualFull)
}

/// The chain that ends with `last` (menu item 12): what restores the state right after that job.
#[must_use]
pub fn chain_of(jobs: &[ChainJob], last: JobId) -> Vec<JobId> {
    let Some(end) = jobs.iter().find(|job| job.job_id == last) else { return Vec::new() };
    let until: Vec<_> = jobs
        .iter()
        .filter(|job| (job.job_tdate, job.job_id) <= (end.job_tdate, end.job_id))
        .copied()
        .collect();
    plan_chain(&until, Timestamp(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: u32, level: JobLevel, time: i64) -> ChainJob {
        let time = Timestamp(time);
        ChainJob { job_id: JobId(id), level, start_time: time, job_tdate: time, media_enabled: true }
    }

    fn check(jobs: &[ChainJob], before: i64, expected: &[u32]) {
        let chain: Vec<u32> = plan_chain(jobs, Timestamp(before)).iter().map(|id| id.get()).collect();
        assert_eq!(chain, expected);
    }

    #[test]
    fn full_then_newest_differential_then_incrementals() {
        use JobLevel::{Differential as D, Full as F, Incremental as I};
        let jobs = [
            job(1, F, 10),
            job(2, I, 20),
            job(3, D, 30),
            job(4, I, 40),
            job(5, D, 50),
            job(6, I, 60),
            job(7, I, 70),
            job(8, F, 80),
            job(9, I, 90),
        ];
        check(&jobs, 1000, &[8, 9]);
        check(&jobs, 80, &[1, 5, 6, 7]);
        check(&jobs, 65, &[1, 5, 6]);
        check(&jobs, 45, &[1, 3, 4]);
        check(&jobs, 10, &[]);
        assert_eq!(chain_of(&jobs, JobId(6)), [1, 5, 6].map(JobId));
        assert_eq!(chain_of(&jobs, JobId(77)), []);
    }

    #[test]
    fn jobs_that_started_in_one_second_are_told_apart_by_their_ids() {
        use JobLevel::{Differential as D, Full as F, Incremental as I};
        check(&[job(1, I, 10), job(2, F, 10), job(3, I, 10), job(4, D, 10), job(5, I, 10)], 100, &[2, 4, 5]);
    }

    #[test]
    fn a_full_on_a_disabled_volume_starts_no_chain() {
        let mut jobs =
            [job(1, JobLevel::Full, 10), job(2, JobLevel::Full, 20), job(3, JobLevel::Incremental, 30)];
        jobs[1].media_enabled = false;
        check(&jobs, 100, &[1, 3]);
    }
}
