//! How a job ended, from what its daemons said. Pure.

use types::JobStatus;
use wire::scan::{self, Fields};

/// What the FD said at its end (`2800 End Job …`, spec/01 §5.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the line's fields")]
pub struct FdEnd {
    pub status: JobStatus,
    pub files: u64,
    pub read_bytes: u64,
    pub bytes: u64,
    pub errors: u32,
    pub vss: bool,
    pub encrypted: bool,
    pub comm_bytes: u64,
    pub comm_packed: u64,
}

impl FdEnd {
    /// Reads the line; the last fields are absent with old daemons.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let fields = Fields::new(scan::after(line, "2800 End Job ")?);
        let number = |key: &str| fields.raw(key).and_then(|raw| scan::text(raw).parse::<u64>().ok());
        let code = u32::try_from(number("TermCode")?).ok()?;
        Some(Self {
            status: JobStatus::from_code(code).unwrap_or(JobStatus::FatalError),
            files: number("JobFiles")?,
            read_bytes: number("ReadBytes")?,
            bytes: number("JobBytes")?,
            errors: u32::try_from(number("Errors")?).unwrap_or(u32::MAX),
            vss: number("VSS").unwrap_or(0) != 0,
            encrypted: number("Encrypt").unwrap_or(0) != 0,
            comm_bytes: number("CommBytes").unwrap_or(0),
            comm_packed: number("CompressCommBytes").unwrap_or(0),
        })
    }
}

/// What the SD said at its end (`3099 Job … end …`, spec/03 §2.5).
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the line's fields")]
pub struct SdEnd {
    pub status: JobStatus,
    pub files: u64,
    pub bytes: u64,
    pub errors: u32,
    pub message: String,
}

impl SdEnd {
    /// Reads the line.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let fields = Fields::new(scan::after(line, "3099 Job ")?);
        let number = |key: &str| fields.raw(key).and_then(|raw| scan::text(raw).parse::<u64>().ok());
        let code = u32::try_from(number("JobStatus")?).ok()?;
        Some(Self {
            status: JobStatus::from_code(code).unwrap_or(JobStatus::FatalError),
            files: number("JobFiles")?,
            bytes: number("JobBytes")?,
            errors: u32::try_from(number("JobErrors").unwrap_or(0)).unwrap_or(u32::MAX),
            message: fields
                .rest("ErrMsg")
                .map(|raw| types::unbash_spaces(&scan::text(raw)))
                .unwrap_or_default(),
        })
    }
}

/// What the operator asked for while the job lived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wish {
    /// Nothing.
    #[default]
    GoOn,
    /// `stop`: end Incomplete.
    Stop,
    /// `cancel`.
    Cancel,
}

/// Everything that decides the final status.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Of the operator.
    pub wish: Wish,
    /// A script that fails the job failed, or the job could not be set up.
    pub failed: Option<JobStatus>,
    /// Whether a daemon of each kind takes part, and how it ended; `None` inside: it was lost.
    pub fd: Option<Option<JobStatus>>,
    /// The same of the SD.
    pub sd: Option<Option<JobStatus>>,
    /// Files that are safely on a Volume and in the catalog.
    pub kept_files: u64,
    /// Unfinished jobs may be kept (backups without base jobs).
    pub may_be_incomplete: bool,
}

/// The status that the job ends with (ranks as in spec/04 §4.3).
#[must_use]
pub fn decide(facts: &Facts) -> JobStatus {
    let keep = facts.may_be_incomplete && facts.kept_files > 0;
    let or_incomplete = |status| if keep { JobStatus::Incomplete } else { status };
    match facts.wish {
        Wish::Cancel => return JobStatus::Canceled,
        Wish::Stop => return or_incomplete(JobStatus::Canceled),
        Wish::GoOn => {}
    }
    if let Some(status) = facts.failed {
        return status;
    }
    let ends: Vec<Option<JobStatus>> = [facts.fd, facts.sd].into_iter().flatten().collect();
    // What a daemon said itself counts before what follows from another one being lost.
    let said = |wanted: &[JobStatus]| ends.iter().flatten().copied().find(|status| wanted.contains(status));
    if let Some(status) = said(&[JobStatus::Canceled]) {
        return status;
    }
    if ends.contains(&None) || said(&[JobStatus::Incomplete]).is_some() {
        return or_incomplete(JobStatus::FatalError);
    }
    if let Some(status) = said(&[JobStatus::FatalError, JobStatus::ErrorTerminated, JobStatus::Error]) {
        return status;
    }
    if let Some(status) = said(&[JobStatus::Differences, JobStatus::Warnings]) {
        return status;
    }
    if ends.iter().flatten().all(|status| *status == JobStatus::Terminated) {
        return JobStatus::Terminated;
    }
    // A daemon that ended in a state that is no end.
    JobStatus::ErrorTerminated
}

#[cfg(test)]
mod tests {
    use super::*;
    use JobStatus::{Canceled, ErrorTerminated, FatalError, Incomplete, Terminated};

    #[test]
    fn end_lines_of_all_ages_are_read() {
        let full = b"2800 End Job TermCode=84 JobFiles=8 ReadBytes=13914 JobBytes=13914 Errors=0 VSS=0 Encrypt=0 CommBytes=14995 CompressCommBytes=12840\n";
        let end = FdEnd::parse(full).unwrap();
        assert_eq!((end.status, end.files, end.comm_packed), (Terminated, 8, 12840));
        let old = b"2800 End Job TermCode=69 JobFiles=8 ReadBytes=1 JobBytes=2 Errors=3\n";
        assert_eq!(FdEnd::parse(old).unwrap().errors, 3);
        assert_eq!(FdEnd::parse(b"2800 End Job TermCode=84\n"), None);
        let sd = b"3099 Job A.2026_07 end JobStatus=69 JobFiles=8 JobBytes=14706 JobErrors=1 ErrMsg=disk\x01full\n";
        let end = SdEnd::parse(sd).unwrap();
        assert_eq!((end.status, end.errors, end.message.as_str()), (ErrorTerminated, 1, "disk full"));
    }

    fn facts(fd: Option<JobStatus>, sd: Option<JobStatus>, kept: u64) -> Facts {
        Facts { fd: Some(fd), sd: Some(sd), kept_files: kept, may_be_incomplete: true, ..Facts::default() }
    }

    #[test]
    fn good_is_only_what_both_call_good() {
        assert_eq!(decide(&facts(Some(Terminated), Some(Terminated), 5)), Terminated);
        assert_eq!(decide(&facts(Some(Terminated), Some(ErrorTerminated), 5)), ErrorTerminated);
        assert_eq!(decide(&facts(Some(FatalError), Some(Terminated), 5)), FatalError);
        assert_eq!(decide(&facts(Some(JobStatus::Running), Some(Terminated), 5)), ErrorTerminated);
    }

    #[test]
    fn a_lost_daemon_leaves_an_incomplete_job_when_something_was_kept() {
        assert_eq!(decide(&facts(None, Some(Incomplete), 5)), Incomplete);
        assert_eq!(decide(&facts(Some(ErrorTerminated), None, 5)), Incomplete);
        assert_eq!(decide(&facts(None, None, 0)), FatalError);
    }

    #[test]
    fn the_operators_wish_comes_first() {
        let mut f = facts(Some(Terminated), Some(Terminated), 5);
        f.wish = Wish::Cancel;
        assert_eq!(decide(&f), Canceled);
        f.wish = Wish::Stop;
        assert_eq!(decide(&f), Incomplete);
        f.kept_files = 0;
        assert_eq!(decide(&f), Canceled);
    }
}
