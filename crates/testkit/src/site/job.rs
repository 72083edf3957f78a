//! Jobs: start, wait, outcome.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::Site;
use crate::wait;

/// A Job row as `llist jobid=` shows it.
#[derive(Debug, Clone)]
pub struct JobRow {
    /// Its JobId.
    pub id: u32,
    /// All columns, names in lower case, thousands' separators taken out of numbers.
    pub columns: BTreeMap<String, String>,
}

impl JobRow {
    fn parse(id: u32, text: &str) -> Result<Self> {
        let mut columns = BTreeMap::new();
        for line in text.lines() {
            let Some((name, value)) =
                line.split_once(": ").or_else(|| line.trim_end().strip_suffix(':').map(|n| (n, "")))
            else {
                continue;
            };
            let name = name.trim().to_ascii_lowercase();
            if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                let value = value.trim();
                let plain = value.replace(',', "");
                let is_number = !plain.is_empty() && plain.chars().all(|c| c.is_ascii_digit());
                columns.insert(name, if is_number { plain } else { value.to_owned() });
            }
        }
        ensure!(columns.get("jobid") == Some(&id.to_string()), "no Job {id} in the catalog:\n{text}");
        Ok(Self { id, columns })
    }

    /// Waits with consoles until a job has ended. Where the role may move, one that broke off is followed by another.
    pub(super) fn wait(
        id: u32,
        bound: Duration,
        is_cluster: bool,
        console: impl Fn(&[&str]) -> Result<String>,
    ) -> Result<Self> {
        let commands = [format!("wait jobid={id}"), format!("llist jobid={id}")];
        let commands = commands.each_ref().map(String::as_str);
        let mut broken = None;
        let ended = wait::until(&format!("the end of job {id}"), bound, || {
            let row = console(&commands).and_then(|output| {
                Self::parse(id, &output).context("the job did not end, or its row is gone")
            });
            match row {
                Ok(row) => Ok("TWEefADI".contains(row.status()).then_some(row)),
                Err(error) if is_cluster => {
                    broken = Some(error);
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        });
        match broken {
            Some(last) => ended.with_context(|| format!("a console ended early: {last:#}")),
            None => ended,
        }
    }

    /// The status letter; `?` when there is none.
    #[must_use]
    pub fn status(&self) -> char {
        self.columns.get("jobstatus").and_then(|text| text.chars().next()).unwrap_or('?')
    }

    /// The level letter.
    #[must_use]
    pub fn level(&self) -> char {
        self.columns.get("level").and_then(|text| text.chars().next()).unwrap_or('?')
    }

    fn number(&self, column: &str) -> u64 {
        self.columns.get(column).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// JobFiles.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.number("jobfiles")
    }

    /// JobBytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.number("jobbytes")
    }

    /// JobErrors.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.number("joberrors")
    }
}

/// The JobId in what a console printed when the last of these commands queued a job.
pub(super) fn queued(commands: &[&str], output: &str) -> Result<u32> {
    let command = commands.join("; ");
    let Some((_, rest)) = output.rsplit_once("Job queued. JobId=") else {
        bail!("“{command}” queued no job:\n{output}");
    };
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().with_context(|| format!("JobId after “{command}”"))
}

impl Site {
    /// Gives a command that queues a job and returns the JobId.
    ///
    /// # Errors
    /// When nothing was queued; the text has the console's output.
    pub fn run(&self, command: &str) -> Result<u32> {
        self.run_dialogue(&[command])
    }

    /// Gives commands of which the last queues a job and returns the JobId.
    ///
    /// # Errors
    /// When nothing was queued; the text has the console's output.
    pub fn run_dialogue(&self, commands: &[&str]) -> Result<u32> {
        queued(commands, &self.console(commands)?)
    }

    /// The Job row as it is now.
    ///
    /// # Errors
    /// When there is none.
    pub fn job(&self, id: u32) -> Result<JobRow> {
        JobRow::parse(id, &self.console(&[&format!("llist jobid={id}")])?)
    }

    /// Waits until a job has ended. In a cluster the role may move meanwhile, which ends consoles of the instance that had it.
    ///
    /// # Errors
    /// When it has not after `bound`.
    pub fn wait_job(&self, id: u32, bound: Duration) -> Result<JobRow> {
        let is_cluster = self.console_instance().is_some();
        JobRow::wait(id, bound, is_cluster, |commands| self.console_within(commands, bound))
    }

    /// Queues the Job `Backup` at a level and waits for its end.
    ///
    /// # Errors
    /// When it cannot be queued or does not end.
    pub fn backup(&self, level: &str) -> Result<JobRow> {
        let id = self.run(&format!("run job=Backup level={level} yes"))?;
        self.wait_job(id, wait::JOB)
    }

    /// Restores everything of the newest backup chain into [`Site::restored`].
    ///
    /// # Errors
    /// When it cannot be queued or does not end.
    pub fn restore_current(&self) -> Result<JobRow> {
        let id = self.run("restore client=kit-fd fileset=Tree select current all done yes")?;
        self.wait_job(id, wait::JOB)
    }

    /// Restores everything that these jobs saved to `to`.
    ///
    /// # Errors
    /// When it cannot be queued or does not end.
    pub fn restore_jobs(&self, jobs: &[u32], to: &Path) -> Result<JobRow> {
        let list = jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let id =
            self.run(&format!("restore jobid={list} client=kit-fd where={} all done yes", to.display()))?;
        self.wait_job(id, wait::JOB)
    }

    /// Changes the catalog behind the Director's back.
    ///
    /// # Errors
    /// When the statement fails.
    pub fn tamper(&self, statement: &str) -> Result<()> {
        if let Some(done) = self.database.rows(statement) {
            return done.map(drop);
        }
        let path = self.catalog_file();
        let database =
            rusqlite::Connection::open(&path).with_context(|| format!("open {}", path.display()))?;
        database.busy_timeout(Duration::from_secs(10))?;
        database.execute_batch(statement).with_context(|| format!("do “{statement}”"))
    }

    /// Rows of a query on the catalog, every value as text.
    ///
    /// # Errors
    /// When the query fails.
    pub fn sql(&self, query: &str) -> Result<Vec<Vec<String>>> {
        use rusqlite::types::ValueRef;
        if let Some(rows) = self.database.rows(query) {
            return rows;
        }
        let path = self.catalog_file();
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = rusqlite::Connection::open_with_flags(&path, flags)
            .with_context(|| format!("open {}", path.display()))?;
        database.busy_timeout(Duration::from_secs(10))?;
        let mut statement = database.prepare(query)?;
        let count = statement.column_count();
        let mut rows = statement.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let value = |at: usize| {
                Ok(match row.get_ref(at)? {
                    ValueRef::Null => String::new(),
                    ValueRef::Integer(number) => number.to_string(),
                    ValueRef::Real(number) => number.to_string(),
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                        String::from_utf8_lossy(bytes).into_owned()
                    }
                })
            };
            found.push((0..count).map(value).collect::<Result<Vec<_>>>()?);
        }
        Ok(found)
    }
}
