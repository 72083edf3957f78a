//! The report of a copy or migration.

use super::{Lines, Product, daemon_status, elapsed, rate, termination};
use crate::text;
use types::{JobId, JobLevel, JobStatus, Timestamp, VolSession};

/// Everything that the report shows; names with where they come from.
#[derive(Debug, Clone)]
pub(crate) struct CopyReport {
    pub(crate) product: Product,
    /// `Copying` or `Migration`.
    pub(crate) what: &'static str,
    pub(crate) original: Option<(JobId, String)>,
    pub(crate) new: Option<JobId>,
    pub(crate) job_id: JobId,
    pub(crate) job: String,
    pub(crate) level: JobLevel,
    pub(crate) client: String,
    pub(crate) fileset: (String, Option<Timestamp>),
    pub(crate) read_pool: (String, String),
    pub(crate) read_storage: Option<(String, String)>,
    pub(crate) write_pool: Option<(String, String)>,
    pub(crate) write_storage: Option<(String, String)>,
    pub(crate) catalog: String,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
    pub(crate) priority: u32,
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    pub(crate) volumes: Vec<String>,
    pub(crate) session: VolSession,
    pub(crate) last_volume_bytes: u64,
    pub(crate) errors: u32,
    pub(crate) sd_status: Option<JobStatus>,
    pub(crate) status: JobStatus,
}

impl CopyReport {
    pub(crate) fn text(&self) -> String {
        let sourced = |named: &Option<(String, String)>| {
            named.as_ref().map_or("*None*".to_owned(), |(name, source)| format!("\"{name}\" (From {source})"))
        };
        let mut lines = Lines(self.product.first_line());
        lines.put("Build OS", &self.product.build_os);
        let (original, name) = self.original.clone().unwrap_or((JobId(0), String::new()));
        lines.put("Prev Backup JobId", original.to_string());
        lines.put("Prev Backup Job", name);
        lines.put("New Backup JobId", self.new.unwrap_or(JobId(0)).to_string());
        lines.put("Current JobId", self.job_id.to_string());
        lines.put("Current Job", &self.job);
        lines.put("Backup Level", self.level.to_string());
        lines.put("Client", &self.client);
        let created = self.fileset.1.map(text::catalog_time).unwrap_or_default();
        lines.put("FileSet", format!("\"{}\" {created}", self.fileset.0));
        lines.put("Read Pool", sourced(&Some(self.read_pool.clone())));
        lines.put("Read Storage", sourced(&self.read_storage));
        lines.put("Write Pool", sourced(&self.write_pool));
        lines.put("Write Storage", sourced(&self.write_storage));
        lines.put("Catalog", format!("\"{}\" (From Client resource)", self.catalog));
        lines.time("Start time", self.start);
        lines.time("End time", self.end);
        let seconds = elapsed(self.start, self.end, 1);
        lines.put("Elapsed time", text::span(seconds));
        lines.put("Priority", self.priority.to_string());
        lines.put("SD Files Written", text::commas(self.files));
        lines.put("SD Bytes Written", text::bytes(self.bytes));
        lines.put("Rate", rate(self.bytes, seconds));
        lines.put("Volume name(s)", self.volumes.join("|"));
        lines.put("Volume Session Id", self.session.id.to_string());
        lines.put("Volume Session Time", self.session.time.to_string());
        lines.put("Last Volume Bytes", text::bytes(self.last_volume_bytes));
        lines.put("SD Errors", self.errors.to_string());
        lines.put("SD termination status", daemon_status(self.sd_status));
        lines.put("Termination", self.termination());
        lines.0.push('\n');
        lines.0
    }

    fn termination(&self) -> String {
        if self.original.is_none() && matches!(self.status, JobStatus::Terminated | JobStatus::Warnings) {
            return format!(
                "{} -- no files to {}",
                self.what,
                if self.what == "Migration" { "migrate" } else { "copy" }
            );
        }
        termination(self.what, self.status, self.errors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_report() {
        let recorded = include_str!("../../fixtures/console/mail-copy-ok.txt");
        let named = |name: &str, source: &str| Some((name.to_owned(), source.to_owned()));
        let at = |time: &str| {
            let civil: jiff::civil::DateTime = time.parse().unwrap();
            Timestamp(jiff::tz::TimeZone::system().to_timestamp(civil).unwrap().as_second())
        };
        let report = CopyReport {
            product: Product {
                director: "lab-dir".to_owned(),
                version: "9.6.7 (10Dec20)".to_owned(),
                build_os: "x86_64-pc-linux-gnu debian bookworm/sid".to_owned(),
            },
            what: "Copying",
            original: Some((JobId(1), "NightlySave.2026-11-23_15.07.25_08".to_owned())),
            new: Some(JobId(9)),
            job_id: JobId(8),
            job: "CopyDisk.2026-11-23_15.08.11_19".to_owned(),
            level: JobLevel::Incremental,
            client: "lab-fd".to_owned(),
            fileset: ("Small Set".to_owned(), Some(at("2026-11-23T15:07:25"))),
            read_pool: ("File".to_owned(), "Command input".to_owned()),
            read_storage: named("File1", "Job resource"),
            write_pool: named("CopyPool", "Command input"),
            write_storage: named("File2", "Command input"),
            catalog: "MyCatalog".to_owned(),
            start: at("2026-11-23T15:08:11"),
            end: at("2026-11-23T15:08:11"),
            priority: 10,
            files: 12,
            bytes: 276_480,
            volumes: vec!["Copy-0003".to_owned()],
            session: VolSession { id: 7, time: 1_795_446_221 },
            last_volume_bytes: 277_582,
            errors: 0,
            sd_status: Some(JobStatus::Terminated),
            status: JobStatus::Terminated,
        };
        let text = report.text();
        assert!(recorded.contains(text.trim_end()), "{text}");
        let nothing = CopyReport { original: None, ..report };
        assert!(nothing.text().contains("Termination:            Copying -- no files to copy\n"));
    }
}
