//! Duplicate control (spec/04 §4.6): what happens to a job when another of its name lives.

use crate::plan::DuplicateRules;
use types::{JobId, JobLevel};

/// A living job of the same Job name and type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Living {
    /// JobId.
    pub id: JobId,
    /// Level after promotion.
    pub level: JobLevel,
    /// It waits and has not started.
    pub queued: bool,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Both may live.
    Both,
    /// Cancel the other one.
    CancelOther(JobId),
    /// Cancel the new one: `JobId N already running. Duplicate job not allowed.`
    CancelNew(JobId),
}

/// Decides about the first duplicate found.
#[must_use]
pub fn decide(rules: &DuplicateRules, backup: bool, new_level: JobLevel, other: Option<Living>) -> Outcome {
    let Some(other) = other.filter(|_| !rules.allow) else {
        return Outcome::Both;
    };
    if rules.cancel_lower_level && backup {
        match (rank(new_level), rank(other.level)) {
            (Some(new), Some(old)) if new > old => return Outcome::CancelOther(other.id),
            (Some(new), Some(old)) if new < old => return Outcome::CancelNew(other.id),
            _ => {}
        }
    }
    if (rules.cancel_queued && other.queued) || rules.cancel_running {
        return Outcome::CancelOther(other.id);
    }
    Outcome::CancelNew(other.id)
}

fn rank(level: JobLevel) -> Option<u8> {
    match level {
        JobLevel::Full | JobLevel::VirtualFull => Some(3),
        JobLevel::Differential => Some(2),
        JobLevel::Incremental => Some(1),
        JobLevel::Since
        | JobLevel::Base
        | JobLevel::VerifyCatalog
        | JobLevel::VerifyInit
        | JobLevel::VerifyVolume
        | JobLevel::VerifyDisk
        | JobLevel::VerifyData
        | JobLevel::None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(lower: bool, queued: bool, running: bool) -> DuplicateRules {
        DuplicateRules {
            allow: false,
            cancel_lower_level: lower,
            cancel_queued: queued,
            cancel_running: running,
        }
    }

    #[test]
    fn the_rules_are_tried_in_order() {
        let other = |level, queued| Some(Living { id: JobId(7), level, queued });
        let (full, inc) = (JobLevel::Full, JobLevel::Incremental);
        assert_eq!(decide(&DuplicateRules::default(), true, full, other(inc, true)), Outcome::Both);
        assert_eq!(
            decide(&rules(true, false, false), true, full, other(inc, false)),
            Outcome::CancelOther(JobId(7))
        );
        assert_eq!(
            decide(&rules(true, false, true), true, inc, other(full, false)),
            Outcome::CancelNew(JobId(7))
        );
        assert_eq!(
            decide(&rules(false, true, false), true, inc, other(full, true)),
            Outcome::CancelOther(JobId(7))
        );
        assert_eq!(
            decide(&rules(false, true, false), true, inc, other(full, false)),
            Outcome::CancelNew(JobId(7))
        );
        assert_eq!(
            decide(&rules(false, false, true), true, inc, other(full, false)),
            Outcome::CancelOther(JobId(7))
        );
        assert_eq!(decide(&rules(false, false, false), true, inc, None), Outcome::Both);
    }
}
