//! What a Storage Daemon still holds of jobs that are over (docs/extensions.md §5).
//!
//! A job whose Storage Daemon stays away is ended without it. When that daemon is back it still has the rest of the journal, or even the job;
//! it keeps what no catalog has acknowledged. So every Storage is asked once when a Director becomes active, and again when
//! a job was ended without the last word of its Storage Daemon: what the catalog has is acknowledged, the attempt is closed.

use super::turn;
use crate::error::DirectorError;
use crate::handle::Director;
use crate::peer::{Tries, chain};
use catalog::attempt::{self, AttemptState};
use catalog::journal::{self, JournalKey};
use std::time::Duration;
use types::{Attempt, JobId, Seq};
use wire::scan::{self, Fields};

/// The first wait for a Storage Daemon that does not answer; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// A job in the list of a Storage Daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Job.
    pub job: JobId,
    /// Its unique name.
    pub unique: String,
    /// Attempt.
    pub attempt: Attempt,
    is_ended: bool,
    last: Seq,
    acked: Seq,
}

impl Kept {
    /// Reads a line of `jobs`.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let fields = Fields::new(line.as_bytes());
        let text = |key| fields.raw(key).map(scan::text);
        Some(Self {
            job: text("JobId")?.parse().ok()?,
            unique: text("Job")?,
            attempt: Attempt(text("attempt")?.parse().ok()?),
            is_ended: text("state")? == "ended",
            last: Seq(text("last")?.parse().ok()?),
            acked: Seq(text("acked")?.parse().ok()?),
        })
    }

    fn key(&self) -> String {
        format!("JobId={} Job={} attempt={}", self.job, self.unique, self.attempt)
    }
}

/// What is to be said of a job that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// It goes on, or is kept as it should be.
    Leave,
    /// The catalog has all of it.
    Acknowledge(Seq),
    /// It is over; the catalog has it up to this record.
    Close(Seq),
}

/// Decides by the state of the attempt in the catalog and the last record that is there.
#[must_use]
pub fn plan(held: &Kept, state: Option<AttemptState>, position: Seq) -> Plan {
    match state {
        // A catalog that does not know the attempt may have gone back in time: nothing is given up on its word.
        None | Some(AttemptState::Open) => Plan::Leave,
        Some(AttemptState::Ended) if held.is_ended && held.acked >= held.last => Plan::Leave,
        Some(AttemptState::Ended) if held.is_ended && position >= held.last => Plan::Acknowledge(position),
        Some(AttemptState::Ended | AttemptState::Closed) => Plan::Close(position),
    }
}

/// Asks every Storage, each until it has answered.
pub(crate) fn look_everywhere(director: &Director) {
    for storage in &director.config().storages {
        director.spawn(look_until_answered(director.clone(), storage.name.clone()));
    }
}

/// Asks a Storage and the one that serves in its place, each until it has answered; the jobs that wait for it go on then.
pub(crate) fn look(director: &Director, storage: &str) {
    let standings = director.standings();
    let serving = standings.serving_for(storage);
    director.spawn(look_until_answered(director.clone(), storage.to_owned()));
    if serving != storage {
        director.spawn(look_until_answered(director.clone(), serving.to_owned()));
    }
}

async fn look_until_answered(director: Director, storage: String) {
    let mut wait = FIRST_WAIT;
    while let Err(error) = close_what_is_over(&director, &storage).await {
        tracing::debug!(
            storage,
            error = chain(&error),
            "not asked yet for what it holds of jobs that are over"
        );
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
    turn::comes_back(&director, &storage);
}

async fn close_what_is_over(director: &Director, name: &str) -> Result<(), DirectorError> {
    if let Some(why) = director.reconciliation().hold() {
        return Err(DirectorError::Plan(why));
    }
    let config = director.config();
    // A Storage that is no longer configured has nobody to ask.
    let Some(storage) = config.storage(name) else { return Ok(()) };
    if sys::failpoint::is_on(crate::reconcile::CUT_OFF) {
        return Err(DirectorError::Plan("a test keeps the Storage daemons away".to_owned()));
    }
    let mut conn = director.visit_storage(storage, Tries::Once).await?;
    let lines = if conn.holdfast { conn.command("jobs\n").await? } else { Vec::new() };
    conn.terminate().await;
    for held in lines.iter().filter_map(|line| Kept::parse(line)) {
        let (key, storage_name) = ((held.job, held.attempt), name.to_owned());
        let read = director.catalog().read(move |r| {
            let (job_id, attempt) = key;
            // Another Storage may be the same daemon.
            let row = attempt::get(r, job_id, attempt)?.filter(|row| row.storage == storage_name);
            let position =
                journal::position(r, &JournalKey { job_id, attempt, storage: storage_name.clone() })?;
            Ok((row.map(|row| row.state), position))
        });
        let (state, position) = read.await.map_err(|error| DirectorError::Catalog(chain(&error)))?;
        // A job that is alive here ends with its Storage Daemon by itself, but for an attempt that it has left.
        if state != Some(AttemptState::Closed) && director.registry().get(held.job).is_some() {
            continue;
        }
        let planned = plan(&held, state, position);
        if let Plan::Acknowledge(position) | Plan::Close(position) = planned {
            let mut conn = director.visit_storage(storage, Tries::Once).await?;
            // To attach behind a record acknowledges those before.
            let said = conn.line(format!("attach {} from={}\n", held.key(), position.0 + 1)).await?;
            tracing::debug!(job = %held.job, said, "acknowledged what the catalog has");
            conn.terminate().await;
        }
        if let Plan::Close(_) = planned {
            let mut conn = director.visit_storage(storage, Tries::Once).await?;
            let said = conn.line(format!("close {}\n", held.key())).await?;
            tracing::info!(job = %held.job, attempt = %held.attempt, storage = name, said, "closed what it held of a job that is over");
            conn.terminate().await;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(state: &str, acked: u64) -> Kept {
        Kept::parse(&format!(
            "job JobId=7 Job=B.2026 attempt=2 type=66 level=70 SDid=2 SDtime=5 state={state} status=73 files=1 bytes=2 last=9 \
             acked={acked} opened=1"
        ))
        .unwrap()
    }

    #[test]
    fn what_is_over_is_closed_and_what_the_catalog_has_is_acknowledged() {
        let check =
            |held: &Kept, state, position, expected| assert_eq!(plan(held, state, Seq(position)), expected);
        let (late, kept, running) = (held("ended", 4), held("ended", 9), held("running", 4));
        check(&late, Some(AttemptState::Ended), 6, Plan::Close(Seq(6)));
        check(&late, Some(AttemptState::Ended), 9, Plan::Acknowledge(Seq(9)));
        check(&late, Some(AttemptState::Closed), 9, Plan::Close(Seq(9)));
        check(&kept, Some(AttemptState::Ended), 9, Plan::Leave);
        check(&running, Some(AttemptState::Ended), 9, Plan::Close(Seq(9)));
        for state in [None, Some(AttemptState::Open)] {
            check(&late, state, 0, Plan::Leave);
        }
        assert_eq!(
            (late.job, late.attempt, late.key().as_str()),
            (JobId(7), Attempt(2), "JobId=7 Job=B.2026 attempt=2")
        );
    }
}
