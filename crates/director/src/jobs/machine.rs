//! The states of a job, and which follow on which (DESIGN §3 "a job is an explicit state machine"). Pure.
//!
//! ```text
//! Created ─ hold ─► Queued ─ admit ─► Starting ─ connect ─► Connecting ─ prepare ─► Preparing ─ run ─► Running ─ finish ─► Ending ─ end ─► Ended
//!    └──────────────── adopt ─► Adopting ─ run ─────────────────────────────────────────┘ (or: finish, hold again)
//! ```
//! A job that has lost its Storage and goes on with another one is created anew: `fail over`, from any state between `Starting` and `Running`.
//! A job that is adopted by a restarted Director enters in the middle and takes the same way from there. Any state may end.

use super::WaitReason;
use std::fmt;
use types::JobStatus;

/// Where a job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobState {
    /// In the catalog, nothing done yet.
    Created,
    /// Waits for its turn.
    Queued(WaitReason),
    /// Admitted: level, Director-side scripts.
    Starting,
    /// Calls its daemons.
    Connecting,
    /// Sets the sessions up: reservation, FileSet, client-side scripts.
    Preparing,
    /// Taken over: its daemons are asked what they hold.
    Adopting,
    /// Data flows.
    Running,
    /// Data has flowed: last records, end transaction, report, scripts.
    Ending,
    /// Over.
    Ended(JobStatus),
}

/// What happens to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Hold(WaitReason),
    Admit,
    Connect,
    Prepare,
    Adopt,
    Run,
    FailOver,
    Finish,
    End(JobStatus),
}

/// A step that does not follow on a state: a bug.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {state} cannot {step}")]
pub(crate) struct BadStep {
    state: JobState,
    step: Step,
}

impl JobState {
    /// The state after a step.
    ///
    /// # Errors
    /// [`BadStep`] when the step does not follow on this state.
    pub(crate) fn after(&self, step: &Step) -> Result<Self, BadStep> {
        use JobState as S;
        let next = match (self, step) {
            (S::Created | S::Queued(_) | S::Adopting, Step::Hold(reason)) => S::Queued(reason.clone()),
            (S::Created | S::Queued(_) | S::Adopting, Step::Admit) => S::Starting,
            (S::Starting, Step::Connect) => S::Connecting,
            (S::Connecting, Step::Prepare) => S::Preparing,
            (S::Created, Step::Adopt) => S::Adopting,
            (S::Preparing | S::Adopting, Step::Run) => S::Running,
            // The next attempt goes the way of the first, from the queue on.
            (S::Starting | S::Connecting | S::Preparing | S::Adopting | S::Running, Step::FailOver) => {
                S::Created
            }
            // A job may be over before data flows: an error, a cancel, an Admin job.
            (
                S::Created
                | S::Queued(_)
                | S::Starting
                | S::Connecting
                | S::Preparing
                | S::Adopting
                | S::Running,
                Step::Finish,
            ) => S::Ending,
            (S::Ending, Step::End(status)) => S::Ended(*status),
            _ => return Err(BadStep { state: self.clone(), step: step.clone() }),
        };
        Ok(next)
    }

    /// Status letter while the job is in this state; daemons may report a finer one.
    pub(crate) fn status(&self) -> JobStatus {
        match self {
            Self::Created => JobStatus::Created,
            Self::Queued(reason) => reason.status(),
            Self::Adopting => JobStatus::WaitSd,
            Self::Starting | Self::Connecting | Self::Preparing | Self::Running | Self::Ending => {
                JobStatus::Running
            }
            Self::Ended(status) => *status,
        }
    }

    /// Whether it counts as running for concurrency limits.
    pub(crate) fn is_running(&self) -> bool {
        matches!(
            self,
            Self::Starting
                | Self::Connecting
                | Self::Preparing
                | Self::Adopting
                | Self::Running
                | Self::Ending
        )
    }
}

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("created"),
            Self::Queued(reason) => write!(f, "queued ({reason})"),
            Self::Starting => f.write_str("starting"),
            Self::Connecting => f.write_str("connecting"),
            Self::Preparing => f.write_str("preparing"),
            Self::Adopting => f.write_str("being adopted"),
            Self::Running => f.write_str("running"),
            Self::Ending => f.write_str("ending"),
            Self::Ended(status) => write!(f, "ended ({status})"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold(reason) => write!(f, "be held ({reason})"),
            Self::Admit => f.write_str("be admitted"),
            Self::Connect => f.write_str("connect"),
            Self::Prepare => f.write_str("prepare"),
            Self::Adopt => f.write_str("be adopted"),
            Self::Run => f.write_str("run"),
            Self::FailOver => f.write_str("go on elsewhere"),
            Self::Finish => f.write_str("finish"),
            Self::End(status) => write!(f, "end ({status})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(steps: &[Step]) -> Result<JobState, BadStep> {
        steps.iter().try_fold(JobState::Created, |state, step| state.after(step))
    }

    #[test]
    fn a_start_and_an_adoption_end_the_same_way() {
        let ended = JobState::Ended(JobStatus::Terminated);
        let end = [Step::Run, Step::Finish, Step::End(JobStatus::Terminated)];
        let start = [Step::Hold(WaitReason::MaxJobs), Step::Admit, Step::Connect, Step::Prepare]
            .into_iter()
            .chain(end.clone());
        assert_eq!(walk(&start.collect::<Vec<_>>()), Ok(ended.clone()));
        assert_eq!(walk(&[Step::Adopt].into_iter().chain(end).collect::<Vec<_>>()), Ok(ended));
    }

    #[test]
    fn a_job_that_lost_its_storage_goes_the_way_from_the_beginning() {
        let start = [Step::Hold(WaitReason::MaxJobs), Step::Admit, Step::Connect, Step::Prepare, Step::Run];
        let steps: Vec<Step> = start.iter().chain([&Step::FailOver]).chain(&start).cloned().collect();
        assert_eq!(walk(&steps), Ok(JobState::Running));
        assert!(walk(&[Step::FailOver]).is_err());
        assert!(walk(&[Step::Finish, Step::FailOver]).is_err());
    }

    #[test]
    fn what_does_not_follow_is_refused() {
        assert!(walk(&[Step::Run]).is_err());
        assert!(walk(&[Step::End(JobStatus::Terminated)]).is_err());
        let over = [Step::Finish, Step::End(JobStatus::Canceled)];
        assert!(walk(&over).is_ok());
        assert!(walk(&[over[0].clone(), over[1].clone(), Step::Admit]).is_err());
    }
}
