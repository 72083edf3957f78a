//! What a Storage Daemon's list of jobs says of one that is to be adopted (docs/extensions.md §5). Pure.

use types::{Attempt, JobId, JobStatus, JobType};
use wire::msg::holdfast::{JobEntry, JobState};
use wire::scan::{self, Fields};

/// What becomes of the job.
#[derive(Debug)]
pub enum Held {
    /// The daemon does not hold it any more.
    Not,
    /// Its client was given no order: closed there, it starts anew.
    NotStarted,
    /// A restore that was cut off: closed there, it starts anew.
    CutOff,
    /// It runs, or has ended: its journal is followed.
    Runs(JobEntry),
}

/// Looks an attempt up in the lines that answer `jobs`.
#[must_use]
pub fn held<L: AsRef<str>>(
    lines: &[L],
    job: JobId,
    unique: &str,
    job_type: JobType,
    attempt: Attempt,
) -> Held {
    let lines = lines.iter().map(AsRef::as_ref);
    let mut entries = lines.filter_map(|line: &str| Some((line, JobEntry::parse(line.as_bytes()).ok()?)));
    let found = entries.find(|(_, entry)| entry.job_id == job && entry.attempt == attempt);
    let Some((line, entry)) = found.filter(|(_, entry)| entry.job == unique) else { return Held::Not };
    if !has_begun(line) {
        return Held::NotStarted;
    }
    // The daemon found it unfinished at its own start.
    let was_cut_off = entry.state == JobState::Ended && entry.status == JobStatus::Incomplete;
    if job_type == JobType::Restore && was_cut_off {
        return Held::CutOff;
    }
    Held::Runs(entry)
}

/// Whether a line of the SD's `jobs` tells of an attempt whose client was ordered to save or restore. One that was not, because
/// the Director died before, starts anew; unless it was canceled.
fn has_begun(line: &str) -> bool {
    let fields = Fields::new(line.as_bytes());
    let text = |key| fields.raw(key).map(scan::text).unwrap_or_default();
    match text("opened").as_str() {
        "0" => text("status") == JobStatus::Canceled.code().to_string(),
        "" => !matches!(text("state").as_str(), "reserved" | "waiting"),
        _ => true,
    }
}

/// What tells a daemon that an attempt is over by the catalog's word.
#[must_use]
pub fn close_line(job: JobId, unique: &str, attempt: Attempt) -> String {
    format!("close JobId={job} Job={unique} attempt={attempt}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_known_by_its_attempt() {
        let line = |attempt: u32, state: &str, status: JobStatus, opened: u8| {
            format!(
                "job JobId=7 Job=J.1 attempt={attempt} type=66 level=70 SDid=1 SDtime=2 state={state} status={} files=0 bytes=0 \
                 last=1 acked=0 opened={opened}\n",
                status.code()
            )
        };
        let found = |line: String, job_type| match held(&[line], JobId(7), "J.1", job_type, Attempt(2)) {
            Held::Not => "not",
            Held::NotStarted => "not started",
            Held::CutOff => "cut off",
            Held::Runs(_) => "runs",
        };
        let backup = JobType::Backup;
        assert_eq!(found(line(1, "running", JobStatus::Running, 1), backup), "not");
        assert_eq!(found(line(2, "running", JobStatus::Running, 1), backup), "runs");
        assert_eq!(found(line(2, "running", JobStatus::Running, 0), backup), "not started");
        assert_eq!(found(line(2, "ended", JobStatus::Incomplete, 1), backup), "runs");
        assert_eq!(found(line(2, "ended", JobStatus::Incomplete, 1), JobType::Restore), "cut off");
    }

    #[test]
    fn an_attempt_whose_client_was_given_no_order_has_not_begun() {
        let line = |rest: &str| format!("job JobId=2 Job=B.1 attempt=1 SDid=2 SDtime=5 {rest}");
        for rest in
            ["state=running status=82 files=0 opened=0", "state=ended status=69 files=0 acked=0 opened=0"]
        {
            assert!(!has_begun(&line(rest)), "{rest}");
        }
        for rest in [
            "state=waiting status=77 files=0 opened=1",
            "state=ended status=65 opened=0",
            "state=running acked=1",
        ] {
            assert!(has_begun(&line(rest)), "{rest}");
        }
        assert!(!has_begun(&line("state=reserved status=67 acked=1")));
    }
}
