//! What a drill measured, and the verdict on it: pure.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::scenario::Scenario;

/// An instance in the epoch it is active in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tenure {
    pub(crate) instance: String,
    pub(crate) epoch: u64,
}

impl fmt::Display for Tenure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As the Director's log has it: the catalog's timeline, and the count on it.
        let (timeline, count) = (self.epoch >> 32, self.epoch & u64::from(u32::MAX));
        write!(f, "{} (epoch {timeline}/{count})", self.instance)
    }
}

/// A job and its status, in the letters of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct JobState {
    pub(crate) id: u32,
    pub(crate) status: String,
}

impl JobState {
    /// Whether it has ended, well or not.
    pub(super) fn has_ended(&self) -> bool {
        ["T", "W", "E", "e", "f", "A", "D", "I"].contains(&self.status.as_str())
    }

    /// Whether it has ended well.
    pub(super) fn is_good(&self) -> bool {
        ["T", "W"].contains(&self.status.as_str())
    }
}

/// The backup that was in flight.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Canary {
    /// Name of its Job resource.
    pub(crate) job: String,
    pub(crate) id: Option<u32>,
    /// Its status at the end; none when it was never seen.
    pub(crate) status: Option<String>,
}

/// One scenario, rehearsed. Times are in milliseconds since the fault was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Drill {
    pub(crate) scenario: Scenario,
    pub(crate) director: String,
    /// When it began.
    #[serde(with = "crate::fence::record::text")]
    pub(crate) at: Timestamp,
    /// The node that was struck.
    pub(crate) node: String,
    /// Who was active before.
    pub(crate) before: Tenure,
    /// Who was active at the end of the measure.
    pub(crate) after: Option<Tenure>,
    /// What was ordered.
    pub(crate) fault: String,
    /// What took it back.
    pub(crate) undo: Vec<String>,
    pub(crate) canary: Canary,
    /// Until the first command that the active Director served.
    pub(crate) rto_ms: Option<u64>,
    /// Until every instance was there, one of them active, and cluster and replication whole.
    pub(crate) redundancy_ms: Option<u64>,
    /// Job records that the catalog had given an answer with before the fault.
    pub(crate) records: usize,
    /// Those that were no longer there, or no longer the same.
    pub(crate) records_lost: Vec<u32>,
    /// Jobs that were under way, the canary among them, and did not end well.
    pub(crate) jobs_lost: Vec<JobState>,
    /// Redundancy was not whole beforehand, or other jobs ran, and it was forced.
    pub(crate) forced: bool,
    /// What went wrong in the drill itself: orders that failed, an interruption.
    pub(crate) trouble: Vec<String>,
    pub(crate) passed: bool,
    /// Why it did not pass.
    pub(crate) reasons: Vec<String>,
}

impl Drill {
    /// Sets the verdict by what was measured.
    pub(super) fn judge(&mut self) {
        let mut reasons = self.trouble.clone();
        if self.rto_ms.is_none() {
            reasons.push("no active Director served a command within the limit".to_owned());
        }
        if !self.records_lost.is_empty() {
            reasons.push(format!(
                "the catalog lost what it had acknowledged: JobId {}",
                ids(&self.records_lost)
            ));
        }
        match &self.canary {
            Canary { id: None, .. } => reasons.push("no canary was in flight".to_owned()),
            Canary { status: None, .. } => reasons.push("what became of the canary is not known".to_owned()),
            Canary { .. } => {}
        }
        for JobState { id, status } in &self.jobs_lost {
            let which = if Some(*id) == self.canary.id { "the canary" } else { "a job" };
            reasons.push(format!("{which}, JobId {id}, did not end T: {status}"));
        }
        if self.redundancy_ms.is_none() {
            reasons.push("redundancy was not whole again within the limit".to_owned());
        }
        self.passed = reasons.is_empty();
        self.reasons = reasons;
    }

    pub(crate) const fn verdict(&self) -> &'static str {
        if self.passed { "passed" } else { "FAILED" }
    }

    /// What of the acknowledged was lost, for people.
    pub(crate) fn rpo(&self) -> String {
        match self.records_lost.as_slice() {
            [] if self.records == 0 => "not measured".to_owned(),
            [] => "0".to_owned(),
            lost => format!("not 0: JobId {} lost", ids(lost)),
        }
    }
}

/// What the catalog no longer has as it was acknowledged: records that are gone, and ends of jobs that are not those of before.
pub(super) fn lost(before: &[JobState], after: &[JobState]) -> Vec<u32> {
    let kept = |job: &&JobState| {
        let now = after.iter().find(|other| other.id == job.id);
        now.is_some_and(|now| !job.has_ended() || now.status == job.status)
    };
    before.iter().filter(|job| !kept(job)).map(|job| job.id).collect()
}

pub(crate) fn ids(ids: &[u32]) -> String {
    ids.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

/// Seconds with two decimals.
pub(crate) fn seconds(ms: Option<u64>) -> String {
    ms.map_or_else(|| "-".to_owned(), |ms| format!("{}.{:02} s", ms / 1000, ms % 1000 / 10))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn good() -> Drill {
        Drill {
            scenario: Scenario::KillDirector,
            director: "backup-dir".into(),
            at: "2026-11-28T08:45:00Z".parse().unwrap(),
            node: "north".into(),
            before: Tenure { instance: "north".into(), epoch: (1 << 32) + 7 },
            after: Some(Tenure { instance: "south".into(), epoch: (1 << 32) + 8 }),
            fault: "on north: kill -KILL 17".into(),
            undo: vec!["on south, else north: crm_resource --cleanup".into()],
            canary: Canary { job: "canary".into(), id: Some(12), status: Some("T".into()) },
            rto_ms: Some(1234),
            redundancy_ms: Some(4560),
            records: 12,
            records_lost: vec![],
            jobs_lost: vec![],
            forced: false,
            trouble: vec![],
            passed: true,
            reasons: vec![],
        }
    }

    fn state(id: u32, status: &str) -> JobState {
        JobState { id, status: status.into() }
    }

    #[test]
    fn it_passes_only_when_nothing_is_lost_and_all_is_whole_again() {
        let check = |change: &dyn Fn(&mut Drill), reason: &str| {
            let mut drill = good();
            change(&mut drill);
            drill.judge();
            assert_eq!((drill.passed, drill.reasons.join("; ").as_str()), (reason.is_empty(), reason));
        };
        check(&|_| {}, "");
        check(&|drill| drill.rto_ms = None, "no active Director served a command within the limit");
        check(&|drill| drill.redundancy_ms = None, "redundancy was not whole again within the limit");
        check(
            &|drill| drill.records_lost = vec![3, 4],
            "the catalog lost what it had acknowledged: JobId 3, 4",
        );
        check(&|drill| drill.jobs_lost = vec![state(12, "E")], "the canary, JobId 12, did not end T: E");
        check(&|drill| drill.jobs_lost = vec![state(9, "f")], "a job, JobId 9, did not end T: f");
        check(&|drill| drill.canary.status = None, "what became of the canary is not known");
        check(&|drill| drill.trouble = vec!["interrupted".into()], "interrupted");
    }

    #[test]
    fn a_record_is_lost_when_it_is_gone_or_its_end_is_another_one() {
        let before = [state(1, "T"), state(2, "T"), state(3, "R"), state(4, "R")];
        let after = [state(1, "T"), state(2, "E"), state(3, "T"), state(5, "R")];
        assert_eq!(lost(&before, &after), [2, 4]);
        assert_eq!(lost(&before, &before), [0; 0]);
    }

    #[test]
    fn times_are_cut_to_hundredths() {
        assert_eq!(seconds(Some(1239)), "1.23 s");
        assert_eq!(seconds(Some(5)), "0.00 s");
        assert_eq!(seconds(None), "-");
    }
}
