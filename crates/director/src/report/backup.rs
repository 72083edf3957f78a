//! The report of a backup.

use super::{Lines, Product, daemon_status, elapsed, rate, termination};
use crate::text;
use types::{JobId, JobLevel, JobStatus, Timestamp, VolSession};

/// Bytes before and after a compression.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Compression {
    pub(crate) plain: u64,
    pub(crate) packed: u64,
}

impl Compression {
    /// `24.7% 1.3:1`, or `None` when less than half a percent was won.
    fn shown(self) -> String {
        if self.plain == 0 || self.packed == 0 || self.packed >= self.plain {
            return "None".to_owned();
        }
        #[expect(clippy::cast_precision_loss, reason = "a ratio with one decimal")]
        let (plain, packed) = (self.plain as f64, self.packed as f64);
        let won = 100.0 * (plain - packed) / plain;
        if won < 0.5 { "None".to_owned() } else { format!("{won:.1}% {:.1}:1", plain / packed) }
    }
}

/// Everything a backup's report shows.
#[derive(Debug, Clone)]
pub(crate) struct BackupReport {
    pub(crate) product: Product,
    pub(crate) job_id: JobId,
    pub(crate) job: String,
    pub(crate) level: JobLevel,
    /// Level asked for when it was promoted.
    pub(crate) upgraded_from: Option<JobLevel>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) client: String,
    /// What the FD said of itself; empty when it was never asked.
    pub(crate) uname: String,
    pub(crate) fileset: String,
    pub(crate) fileset_created: Option<Timestamp>,
    pub(crate) pool: (String, String),
    pub(crate) catalog: (String, String),
    pub(crate) storage: Option<(String, String)>,
    pub(crate) sched: Timestamp,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) priority: u32,
    pub(crate) fd_files: u64,
    pub(crate) sd_files: u64,
    pub(crate) fd_bytes: u64,
    pub(crate) sd_bytes: u64,
    pub(crate) software: Compression,
    pub(crate) comm: Compression,
    pub(crate) vss: bool,
    pub(crate) encrypted: bool,
    pub(crate) accurate: bool,
    pub(crate) volumes: Vec<String>,
    pub(crate) session: VolSession,
    pub(crate) last_volume_bytes: u64,
    pub(crate) fd_errors: u32,
    pub(crate) sd_errors: u32,
    pub(crate) fd_status: Option<JobStatus>,
    pub(crate) sd_status: Option<JobStatus>,
    pub(crate) status: JobStatus,
}

impl BackupReport {
    pub(crate) fn text(&self) -> String {
        let mut lines = Lines(self.product.first_line());
        self.head(&mut lines);
        self.figures(&mut lines);
        lines.put("Volume name(s)", self.volumes.join("|"));
        lines.put("Volume Session Id", self.session.id.to_string());
        lines.put("Volume Session Time", self.session.time.to_string());
        lines.put("Last Volume Bytes", text::bytes(self.last_volume_bytes));
        lines.put("Non-fatal FD errors", self.fd_errors.to_string());
        lines.put("SD Errors", self.sd_errors.to_string());
        lines.put("FD termination status", daemon_status(self.fd_status));
        lines.put("SD termination status", daemon_status(self.sd_status));
        lines.put("Termination", termination("Backup", self.status, self.fd_errors + self.sd_errors));
        lines.0.push('\n');
        lines.0
    }

    fn head(&self, lines: &mut Lines) {
        lines.put("Build OS", &self.product.build_os);
        lines.put("JobId", self.job_id.to_string());
        lines.put("Job", &self.job);
        lines.put("Backup Level", self.level_shown());
        lines.put("Client", format!("\"{}\" {}", self.client, self.uname));
        let created = self.fileset_created.map_or_else(String::new, text::catalog_time);
        lines.put("FileSet", format!("\"{}\" {created}", self.fileset));
        lines.put("Pool", from(&self.pool));
        lines.put("Catalog", from(&self.catalog));
        lines.put("Storage", self.storage.as_ref().map_or_else(|| "*None*".to_owned(), from));
        lines.time("Scheduled time", self.sched);
        lines.time("Start time", self.start);
        lines.time("End time", self.end);
        lines.put("Elapsed time", text::span(elapsed(self.start, self.end, 1)));
        lines.put("Priority", self.priority.to_string());
    }

    fn figures(&self, lines: &mut Lines) {
        lines.put("FD Files Written", text::commas(self.fd_files));
        lines.put("SD Files Written", text::commas(self.sd_files));
        lines.put("FD Bytes Written", text::bytes(self.fd_bytes));
        lines.put("SD Bytes Written", text::bytes(self.sd_bytes));
        lines.put("Rate", rate(self.fd_bytes, elapsed(self.start, self.end, 1)));
        lines.put("Software Compression", self.software.shown());
        lines.put("Comm Line Compression", self.comm.shown());
        lines.put("Snapshot/VSS", yes_no(self.vss));
        lines.put("Encryption", yes_no(self.encrypted));
        lines.put("Accurate", yes_no(self.accurate));
    }

    fn level_shown(&self) -> String {
        let mut text = self.level.to_string();
        if let Some(asked) = self.upgraded_from {
            text.push_str(&format!(" (upgraded from {asked})"));
        }
        if let Some(since) = self.since {
            text.push_str(&format!(", since={}", text::catalog_time(since)));
        }
        text
    }
}

fn from((name, source): &(String, String)) -> String {
    format!("\"{name}\" (From {source})")
}

fn yes_no(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 23-Nov-2026 15:07:27 in whatever zone the test runs.
    fn at(seconds: i64) -> Timestamp {
        let civil = jiff::civil::date(2026, 11, 23).at(15, 7, 0, 0);
        let zoned = jiff::tz::TimeZone::system().to_ambiguous_zoned_datetime(civil).compatible().unwrap();
        Timestamp(zoned.timestamp().as_second() + seconds)
    }

    fn report() -> BackupReport {
        BackupReport {
            product: Product {
                director: "lab-dir".into(),
                version: "9.6.7 (10Dec20)".into(),
                build_os: "x86_64-pc-linux-gnu debian bookworm/sid".into(),
            },
            job_id: JobId(1),
            job: "NightlySave.2026-11-23_15.07.25_08".into(),
            level: JobLevel::Full,
            upgraded_from: None,
            since: None,
            client: "lab-fd".into(),
            uname: "9.6.7 (10Dec20) x86_64-pc-linux-gnu,debian,bookworm/sid".into(),
            fileset: "Small Set".into(),
            fileset_created: Some(at(25)),
            pool: ("File".into(), "Job resource".into()),
            catalog: ("MyCatalog".into(), "Client resource".into()),
            storage: Some(("File1".into(), "Job resource".into())),
            sched: at(24),
            start: at(27),
            end: at(27),
            priority: 10,
            fd_files: 12,
            sd_files: 12,
            fd_bytes: 275_263,
            sd_bytes: 276_480,
            software: Compression { plain: 365_601, packed: 275_263 },
            comm: Compression::default(),
            vss: false,
            encrypted: false,
            accurate: false,
            volumes: vec!["Vol-0001".into()],
            session: VolSession { id: 1, time: 1_795_446_221 },
            last_volume_bytes: 277_569,
            fd_errors: 0,
            sd_errors: 0,
            fd_status: Some(JobStatus::Terminated),
            sd_status: Some(JobStatus::Terminated),
            status: JobStatus::Terminated,
        }
    }

    /// The report inside a recorded mail: from after `JobId N: ` to the empty line.
    fn recorded(mail: &str) -> String {
        let (_, rest) = mail.split_once(": Bacula lab-dir").unwrap();
        let (report, _) = rest.split_once("\n\n").unwrap();
        format!("Bacula lab-dir{report}\n\n")
    }

    #[test]
    fn the_layout_is_that_of_the_recorded_report() {
        let mail = include_str!("../../fixtures/mail-backup-ok.txt");
        assert_eq!(report().text(), recorded(mail));
    }

    #[test]
    fn a_failed_one_too() {
        let mail = include_str!("../../fixtures/mail-backup-error.txt");
        let mut failed = report();
        failed.job_id = JobId(21);
        failed.job = "FailScript.2026-11-23_15.19.05_43".into();
        failed.upgraded_from = Some(JobLevel::Incremental);
        failed.sched = at(12 * 60 + 5);
        failed.start = at(12 * 60 + 7);
        failed.end = at(12 * 60 + 7);
        (failed.fd_files, failed.sd_files, failed.fd_bytes, failed.sd_bytes) = (0, 0, 0, 0);
        failed.software = Compression::default();
        failed.volumes.clear();
        failed.session = VolSession::default();
        failed.last_volume_bytes = 0;
        failed.fd_errors = 1;
        (failed.fd_status, failed.sd_status) = (None, None);
        failed.status = JobStatus::ErrorTerminated;
        assert_eq!(failed.text(), recorded(mail));
    }
}
