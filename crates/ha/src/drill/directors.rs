//! The Director, whoever of its instances is active, by the console's protocol.

use std::sync::Arc;
use std::time::Duration;

use conf::DirectorConfig;

use super::record::{JobState, Tenure};
use super::storages::{Spot, has_job};
use crate::status::{Asked, Place, Word, command, is_active, look, one_line};

/// How long a command may take. One that starts a job waits for nothing.
const LIMIT: Duration = Duration::from_secs(15);
/// Job records that are held against each other.
const RECORDS_MAX: u32 = 1000;
/// Between two looks at a job that is waited for.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(200);

#[derive(Debug, Clone)]
pub(super) struct Directors {
    pub(super) config: Arc<DirectorConfig>,
}

/// The active instance.
#[derive(Debug, Clone)]
pub(super) struct Active {
    pub(super) place: Place,
    pub(super) word: Word,
    pub(super) tenure: Tenure,
}

impl Directors {
    /// What all instances say.
    pub(super) async fn look(&self) -> Vec<Asked> {
        look(&self.config).await
    }

    /// The one that is active.
    ///
    /// # Errors
    /// One line, when none is.
    pub(super) async fn active(&self) -> Result<Active, String> {
        let asked = self.look().await;
        let found = asked.into_iter().find(is_active);
        let Some((place, Ok(word))) = found else { return Err("no instance is active".to_owned()) };
        let Some(epoch) = word.epoch else {
            return Err(format!("{} stands alone: a drill needs instances (docs/cluster.md)", place.name));
        };
        let tenure = Tenure { instance: word.instance.clone(), epoch };
        Ok(Active { place, word, tenure })
    }

    /// What the active instance answers.
    ///
    /// # Errors
    /// One line.
    pub(super) async fn command(&self, text: &str) -> Result<String, String> {
        let active = self.active().await?;
        command(&self.config, &active.place, text, LIMIT).await
    }

    /// The latest jobs of the catalog.
    ///
    /// # Errors
    /// One line.
    pub(super) async fn jobs(&self) -> Result<Vec<JobState>, String> {
        let query = format!("SELECT JobId, JobStatus FROM Job ORDER BY JobId DESC LIMIT {RECORDS_MAX}");
        let said = self.command(&format!(".sql query=\"{query}\"")).await?;
        states(&said).ok_or_else(|| format!("the catalog's answer is not understood: {}", one_line(&said)))
    }

    /// Starts a full backup by a Job.
    ///
    /// # Errors
    /// One line with the Director's words.
    pub(super) async fn start(&self, job: &str) -> Result<u32, String> {
        let said = self.command(&format!("run job=\"{job}\" level=Full yes")).await?;
        job_id(&said).ok_or_else(|| format!("the canary was not started: {}", one_line(&said)))
    }

    /// Waits until a job runs: its daemons have answered, and its data are on their way.
    ///
    /// # Errors
    /// One line, when it has ended already.
    pub(super) async fn wait_running(&self, id: u32) -> Result<(), String> {
        loop {
            let said = self.command(".status dir running").await?;
            if is_running(&said, id) {
                return Ok(());
            }
            if let Some(job) = self.jobs().await?.iter().find(|job| job.id == id && job.has_ended()) {
                return Err(format!(
                    "the canary ended ({}) before anything was struck: take a Job with more data",
                    job.status
                ));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until a Storage Daemon of these has a job. Those that do not answer have none.
    pub(super) async fn wait_written<'a>(&self, spots: &[&'a Spot], id: u32) -> &'a Spot {
        loop {
            for spot in spots {
                let said = self.command(&format!(".status storage=\"{}\" current", spot.storage)).await;
                if said.is_ok_and(|said| has_job(&said, id)) {
                    return spot;
                }
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until all these jobs have ended. `jobs` has what was last seen of them.
    pub(super) async fn wait_ended(&self, jobs: &mut [JobState]) {
        while !jobs.iter().all(JobState::has_ended) {
            tokio::time::sleep(LOOK_AGAIN).await;
            // The Director may be on its way to another node.
            let Ok(now) = self.jobs().await else { continue };
            for job in jobs.iter_mut() {
                if let Some(seen) = now.iter().find(|seen| seen.id == job.id) {
                    job.clone_from(seen);
                }
            }
        }
    }
}

/// Rows of two cells, each with a tabulator behind it.
fn states(said: &str) -> Option<Vec<JobState>> {
    let cells: Vec<&str> = said.split_terminator('\t').collect();
    let (rows, rest) = cells.as_chunks::<2>();
    let row = |[id, status]: &[&str; 2]| {
        Some(JobState { id: id.trim().parse().ok()?, status: status.trim().to_owned() })
    };
    if rest.is_empty() { rows.iter().map(row).collect() } else { None }
}

fn job_id(said: &str) -> Option<u32> {
    let (_, rest) = said.split_once("JobId=")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Whether the list of running jobs has it as running.
fn is_running(said: &str, id: u32) -> bool {
    let id = id.to_string();
    said.lines().any(|line| line.split_whitespace().next() == Some(&id) && line.contains("is running"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_others_refused() {
        let state = |id, status: &str| JobState { id, status: status.into() };
        assert_eq!(states("12\tR\t11\tT\t").unwrap(), [state(12, "R"), state(11, "T")]);
        assert_eq!(states("").unwrap(), []);
        assert_eq!(states("Query failed: x\n"), None);
        assert_eq!(states("a\tb\t"), None);
        assert_eq!(job_id("Job queued. JobId=17\n"), Some(17));
        assert_eq!(job_id("Job not found"), None);
    }

    #[test]
    fn a_job_that_waits_is_not_running() {
        let said = " JobId  Type Level\n     7  Back Full   0  0  canary   is running\n    17  Back Full   0  0  x  is waiting\n";
        assert!(is_running(said, 7));
        assert!(!is_running(said, 17) && !is_running(said, 1));
    }
}
