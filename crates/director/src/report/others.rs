//! Reports of restores, verifications and Admin jobs.

use super::{Lines, Product, daemon_status, elapsed, rate, termination};
use crate::text;
use types::{JobId, JobStatus, Replace, Timestamp};

/// Everything a restore's report shows.
#[derive(Debug, Clone)]
pub(crate) struct RestoreReport {
    pub(crate) product: Product,
    pub(crate) job_id: JobId,
    pub(crate) job: String,
    pub(crate) client: String,
    pub(crate) where_: String,
    pub(crate) regex_where: Option<String>,
    pub(crate) replace: Replace,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) expected: u64,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) fd_errors: u32,
    pub(crate) fd_status: Option<JobStatus>,
    pub(crate) sd_status: Option<JobStatus>,
    pub(crate) status: JobStatus,
}

impl RestoreReport {
    pub(crate) fn text(&self) -> String {
        let mut lines = Lines(self.product.first_line());
        lines.put("Build OS", &self.product.build_os);
        lines.put("JobId", self.job_id.to_string());
        lines.put("Job", &self.job);
        lines.put("Restore Client", &self.client);
        match &self.regex_where {
            Some(regex) => lines.put("RegexWhere", regex),
            None => lines.put("Where", &self.where_),
        }
        lines.put("Replace", self.replace.as_str());
        lines.time("Start time", self.start);
        lines.time("End time", self.end);
        let seconds = elapsed(self.start, self.end, 1);
        lines.put("Elapsed time", text::span(seconds));
        lines.put("Files Expected", text::commas(self.expected));
        lines.put("Files Restored", text::commas(self.files));
        lines.put("Bytes Restored", text::bytes(self.bytes));
        lines.put("Rate", rate(self.bytes, seconds));
        lines.put("FD Errors", self.fd_errors.to_string());
        lines.put("FD termination status", daemon_status(self.fd_status));
        lines.put("SD termination status", daemon_status(self.sd_status));
        lines.put("Termination", self.termination());
        lines.0.push('\n');
        lines.0
    }

    fn termination(&self) -> String {
        let good = matches!(self.status, JobStatus::Terminated | JobStatus::Warnings);
        if good && self.files < self.expected {
            return "Restore OK -- warning file count mismatch".to_owned();
        }
        termination("Restore", self.status, self.fd_errors)
    }
}

/// Everything an Admin job's report shows.
#[derive(Debug, Clone)]
pub(crate) struct AdminReport {
    pub(crate) product: Product,
    pub(crate) job_id: JobId,
    pub(crate) job: String,
    pub(crate) sched: Timestamp,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) status: JobStatus,
}

impl AdminReport {
    pub(crate) fn text(&self) -> String {
        // The first line of this report alone has no Director and ends in the time.
        let mut lines = Lines(format!("Bacula {}: {}\n", self.product.version, text::report_time(self.end)));
        lines.put("JobId", self.job_id.to_string());
        lines.put("Job", &self.job);
        lines.time("Scheduled time", self.sched);
        lines.time("Start time", self.start);
        lines.time("End time", self.end);
        lines.put("Termination", termination("Admin", self.status, 0));
        lines.0.push('\n');
        lines.0
    }
}
