//! What tests of copies share.

use anyhow::Result;
use testkit::site::{JobRow, Site};
use testkit::wait;

/// Copy and Migration Jobs from the Pool `File` to another one.
#[must_use]
pub fn jobs(next_pool: &str) -> String {
    format!(
        r#"
Job {{
  Name = CopyAll; Type = Copy; Client = kit-fd; FileSet = Tree; Storage = File1; Pool = File; Next Pool = {next_pool}
  Messages = Standard; Selection Type = PoolUncopiedJobs; Maximum Concurrent Jobs = 3
}}
Job {{
  Name = Migrate; Type = Migrate; Client = kit-fd; FileSet = Tree; Storage = File1; Pool = File; Next Pool = {next_pool}
  Messages = Standard; Selection Type = Job; Selection Pattern = "^Back"
}}
"#
    )
}

/// Runs a control job, and waits for it and for all that it started.
///
/// # Errors
/// When it cannot be queued or does not end.
pub fn run(site: &Site, job: &str) -> Result<JobRow> {
    let id = site.run(&format!("run job={job} yes"))?;
    site.console_within(&["wait"], wait::JOB)?;
    site.wait_job(id, wait::JOB)
}

/// All jobs of a type, by its letter, oldest first.
///
/// # Errors
/// Those of the console and the catalog.
pub fn of_type(site: &Site, letter: char) -> Result<Vec<JobRow>> {
    let rows = site.sql(&format!("SELECT JobId FROM Job WHERE Type = '{letter}' ORDER BY JobId"))?;
    rows.iter().map(|row| site.job(row[0].parse()?)).collect()
}
