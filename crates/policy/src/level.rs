//! Level promotion (spec/04 §4.7): what level an Incremental or Differential really gets, and what it counts from.

use crate::plan::{LevelIntervals, Since};
use types::{JobLevel, Timestamp};

/// An earlier job, as the catalog knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastJob {
    /// Unique name.
    pub job: String,
    /// Level.
    pub level: JobLevel,
    /// Start, Unix seconds.
    pub start: Timestamp,
    /// End of its record, Unix seconds.
    pub real_end: Timestamp,
}

/// What the catalog says on earlier jobs of the same Job name, client and FileSet row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Newest good Full.
    pub last_full: Option<PastJob>,
    /// Newest good Differential.
    pub last_differential: Option<PastJob>,
    /// Newest good job of any of the levels F, D, I.
    pub last_any: Option<PastJob>,
    /// Newest failed (A, E, e, f) Full or Differential that is newer than the last good one.
    pub failed_since: Option<JobLevel>,
    /// A good Full exists for another row of this FileSet's name: the FileSet was changed.
    pub full_of_other_fileset: bool,
}

/// The level decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Level.
    pub level: JobLevel,
    /// What it counts from; `None` for Full.
    pub since: Option<Since>,
    /// What the job log says about it, in order.
    pub messages: Vec<String>,
}

/// Decides the level of a backup at `now`.
#[must_use]
pub fn decide(
    asked: JobLevel,
    history: &History,
    intervals: &LevelIntervals,
    rerun_failed: bool,
    now: Timestamp,
) -> Decision {
    if !matches!(asked, JobLevel::Incremental | JobLevel::Differential) {
        return Decision { level: asked, since: None, messages: Vec::new() };
    }
    let Some(full) = &history.last_full else {
        return no_full(history);
    };
    if older(full.start, intervals.full_s, now) {
        return full_because("Max Full Interval exceeded. Doing FULL backup.".to_owned());
    }
    if intervals.full_s == 0 && older(full.start, intervals.virtual_full_s, now) {
        return Decision {
            level: JobLevel::VirtualFull,
            since: None,
            messages: vec!["Max Virtual Full Interval exceeded. Doing VIRTUAL FULL backup.".to_owned()],
        };
    }
    let newest_diff = history.last_differential.as_ref().map_or(full.start, |d| d.start.max(full.start));
    if asked == JobLevel::Incremental && older(newest_diff, intervals.differential_s, now) {
        return Decision {
            level: JobLevel::Differential,
            since: Some(since(full)),
            messages: vec!["Max Diff Interval exceeded. Doing DIFFERENTIAL backup.".to_owned()],
        };
    }
    if rerun_failed && let Some(promoted) = after_failure(asked, history.failed_since) {
        let word = promoted.as_str();
        return Decision {
            level: promoted,
            since: (promoted == JobLevel::Differential).then(|| since(full)),
            messages: vec![format!("Prior failed job found in catalog. Upgrading to {word}.")],
        };
    }
    let from = if asked == JobLevel::Differential { full } else { newest(full, history.last_any.as_ref()) };
    Decision { level: asked, since: Some(since(from)), messages: Vec::new() }
}

fn no_full(history: &History) -> Decision {
    let mut decision = full_because("No prior Full backup Job record found.".to_owned());
    let mut text = "No prior or suitable Full backup found in catalog. ".to_owned();
    if history.full_of_other_fileset {
        text.push_str("The FileSet was modified. ");
    }
    text.push_str("Doing FULL backup.");
    decision.messages.push(text);
    decision
}

fn full_because(message: String) -> Decision {
    Decision { level: JobLevel::Full, since: None, messages: vec![message] }
}

fn older(start: Timestamp, limit_s: u64, now: Timestamp) -> bool {
    limit_s > 0 && now.0.saturating_sub(start.0) >= i64::try_from(limit_s).unwrap_or(i64::MAX)
}

fn after_failure(asked: JobLevel, failed: Option<JobLevel>) -> Option<JobLevel> {
    match (asked, failed?) {
        (_, JobLevel::Full) => Some(JobLevel::Full),
        (JobLevel::Incremental, JobLevel::Differential) => Some(JobLevel::Differential),
        _ => None,
    }
}

fn newest<'a>(full: &'a PastJob, any: Option<&'a PastJob>) -> &'a PastJob {
    any.filter(|job| job.start >= full.start).unwrap_or(full)
}

fn since(job: &PastJob) -> Since {
    Since { time: job.start, prior_job: job.job.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(level: JobLevel, start: i64) -> PastJob {
        PastJob { job: format!("J.{start}"), level, start: Timestamp(start), real_end: Timestamp(start + 10) }
    }

    fn with_full() -> History {
        History {
            last_full: Some(past(JobLevel::Full, 1000)),
            last_any: Some(past(JobLevel::Full, 1000)),
            ..History::default()
        }
    }

    fn run(
        asked: JobLevel,
        history: &History,
        intervals: LevelIntervals,
        now: i64,
    ) -> (JobLevel, Option<i64>) {
        let decision = decide(asked, history, &intervals, false, Timestamp(now));
        (decision.level, decision.since.map(|s| s.time.0))
    }

    #[test]
    fn without_a_full_everything_becomes_full_and_says_so() {
        let decision = decide(
            JobLevel::Incremental,
            &History::default(),
            &LevelIntervals::default(),
            false,
            Timestamp(5000),
        );
        assert_eq!(decision.level, JobLevel::Full);
        assert_eq!(
            decision.messages,
            [
                "No prior Full backup Job record found.",
                "No prior or suitable Full backup found in catalog. Doing FULL backup."
            ]
        );
    }

    #[test]
    fn an_incremental_counts_from_the_newest_a_differential_from_the_full() {
        let mut history = with_full();
        history.last_any = Some(past(JobLevel::Incremental, 2000));
        let none = LevelIntervals::default();
        assert_eq!(run(JobLevel::Incremental, &history, none, 3000), (JobLevel::Incremental, Some(2000)));
        assert_eq!(run(JobLevel::Differential, &history, none, 3000), (JobLevel::Differential, Some(1000)));
        assert_eq!(run(JobLevel::Full, &history, none, 3000), (JobLevel::Full, None));
    }

    #[test]
    fn intervals_promote() {
        let history = with_full();
        let full = LevelIntervals { full_s: 500, ..LevelIntervals::default() };
        assert_eq!(run(JobLevel::Incremental, &history, full, 1500), (JobLevel::Full, None));
        assert_eq!(run(JobLevel::Incremental, &history, full, 1499), (JobLevel::Incremental, Some(1000)));
        let diff = LevelIntervals { differential_s: 500, ..LevelIntervals::default() };
        assert_eq!(run(JobLevel::Incremental, &history, diff, 1500), (JobLevel::Differential, Some(1000)));
        let virt = LevelIntervals { virtual_full_s: 500, ..LevelIntervals::default() };
        assert_eq!(run(JobLevel::Differential, &history, virt, 1500).0, JobLevel::VirtualFull);
    }

    #[test]
    fn a_failed_full_is_repeated_when_asked_for() {
        let mut history = with_full();
        history.failed_since = Some(JobLevel::Full);
        let none = LevelIntervals::default();
        let decision = decide(JobLevel::Incremental, &history, &none, true, Timestamp(3000));
        assert_eq!(decision.level, JobLevel::Full);
        history.failed_since = Some(JobLevel::Differential);
        let decision = decide(JobLevel::Incremental, &history, &none, true, Timestamp(3000));
        assert_eq!(decision.level, JobLevel::Differential);
        let decision = decide(JobLevel::Differential, &history, &none, true, Timestamp(3000));
        assert_eq!(decision.level, JobLevel::Differential);
        assert_eq!(decision.since.map(|s| s.time.0), Some(1000));
    }
}
