//! Reports at the end of a job, in Bacula's layout (spec/04 §9.4, fixtures `mail-*.txt`). Pure.

mod backup;
mod copy;
mod others;

pub(crate) use backup::{BackupReport, Compression};
pub(crate) use copy::CopyReport;
pub(crate) use others::{AdminReport, RestoreReport};

use crate::text;
use types::{JobStatus, Timestamp};

/// What a report says about the program that wrote it.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    /// Director's name.
    pub(crate) director: String,
    /// `15.0.3 (25Mar25)`.
    pub(crate) version: String,
    /// `x86_64-pc-linux-gnu debian 12`.
    pub(crate) build_os: String,
}

impl Product {
    fn first_line(&self) -> String {
        format!("Bacula {} {}:\n", self.director, self.version)
    }
}

/// Lines `  Name:                 value`, the value in column 26.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn put(&mut self, name: &str, value: impl AsRef<str>) {
        let label = format!("{name}:");
        self.0.push_str(&format!("  {label:<23} {}\n", value.as_ref()));
    }

    fn time(&mut self, name: &str, at: Timestamp) {
        self.put(name, text::report_time(at));
    }
}

/// Seconds between two instants, at least `least`.
fn elapsed(start: Timestamp, end: Timestamp, least: u64) -> u64 {
    u64::try_from(end.0 - start.0).unwrap_or(0).max(least)
}

/// `275.3 KB/s`.
fn rate(bytes: u64, seconds: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a rate with one decimal")]
    let rate = bytes as f64 / 1000.0 / seconds.max(1) as f64;
    format!("{rate:.1} KB/s")
}

/// The word for a daemon's status at its end; empty when it never had one.
pub(crate) fn daemon_status(status: Option<JobStatus>) -> &'static str {
    match status {
        None => "",
        Some(JobStatus::Terminated) => "OK",
        Some(JobStatus::Warnings) => "OK -- with warnings",
        Some(JobStatus::ErrorTerminated | JobStatus::Error) => "Error",
        Some(JobStatus::FatalError) => "Fatal Error",
        Some(JobStatus::Canceled) => "Canceled",
        Some(JobStatus::Differences) => "Differences",
        Some(JobStatus::Incomplete) => "Incomplete",
        Some(JobStatus::Created) => "Created, not yet running",
        Some(JobStatus::Running) => "Running",
        Some(JobStatus::Blocked) => "Blocked",
        Some(JobStatus::WaitFd) => "Waiting for FD",
        Some(JobStatus::WaitSd) => "Waiting for SD",
        Some(JobStatus::WaitMedia | JobStatus::WaitMount) => "Waiting for media",
        Some(
            JobStatus::WaitStorage
            | JobStatus::WaitJob
            | JobStatus::WaitClient
            | JobStatus::WaitMaxJobs
            | JobStatus::WaitStartTime
            | JobStatus::WaitPriority
            | JobStatus::WaitDevice,
        ) => "Waiting",
        Some(JobStatus::AttrDespooling | JobStatus::AttrInserting) => "Despooling attributes",
        Some(JobStatus::DataDespooling | JobStatus::Committing) => "Despooling data",
        Some(JobStatus::CloudUpload | JobStatus::CloudDownload) => "Cloud transfer",
    }
}

/// `Backup OK`, `*** Backup Error ***`, `Backup Canceled` …
pub(crate) fn termination(what: &str, status: JobStatus, errors: u32) -> String {
    match status {
        JobStatus::Terminated if errors == 0 => format!("{what} OK"),
        JobStatus::Terminated | JobStatus::Warnings => format!("{what} OK -- with warnings"),
        JobStatus::Canceled => format!("{what} Canceled"),
        JobStatus::Incomplete => format!("{what} failed -- Incomplete"),
        JobStatus::Differences => format!("{what} Differences"),
        _ => format!("*** {what} Error ***"),
    }
}
