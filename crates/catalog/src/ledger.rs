//! Schedule ledger: each due run happens exactly once (DESIGN §4).

use crate::error::Result;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use types::{JobId, Timestamp};

/// A due run: one firing of one Run line for one job. Unique.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DueRun {
    /// Name of the Job resource.
    pub job: String,
    /// Name of the Schedule resource.
    pub schedule: String,
    /// Number of the Run line in its Schedule, from 0.
    pub run_line: u32,
    /// When it is due, UTC.
    pub due_at: Timestamp,
}

/// What became of a due run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// This job was created for it, in the same transaction.
    Started(JobId),
    /// It was missed for longer than the Missed Run Window.
    Missed,
    /// The job or schedule was disabled.
    Disabled,
}

impl Outcome {
    const fn word(self) -> &'static str {
        match self {
            Self::Started(_) => "started",
            Self::Missed => "missed",
            Self::Disabled => "disabled",
        }
    }
}

/// Whether a due run has been dealt with.
///
/// # Errors
/// Those of the database.
pub fn is_settled(r: &ReadTx<'_>, due: &DueRun) -> Result<bool> {
    let found: Option<i64> = r.scalar(
        "SELECT 1 FROM hf_due WHERE Job = ?1 AND Schedule = ?2 AND RunLine = ?3 AND DueAt = ?4",
        params![&due.job, &due.schedule, due.run_line, due.due_at],
    )?;
    Ok(found.is_some())
}

/// Settles a due run, in the transaction that creates its job. Returns false when it was settled before: then nothing is
/// changed and no job may be created for it.
///
/// # Errors
/// Those of the database.
pub fn settle(tx: &WriteTx<'_>, due: &DueRun, outcome: Outcome) -> Result<bool> {
    let job_id = match outcome {
        Outcome::Started(id) => id,
        Outcome::Missed | Outcome::Disabled => JobId(0),
    };
    let changed = tx.execute(
        "INSERT INTO hf_due (Job, Schedule, RunLine, DueAt, JobId, Outcome) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (Job, Schedule, RunLine, DueAt) DO NOTHING",
        params![&due.job, &due.schedule, due.run_line, due.due_at, job_id, outcome.word()],
    )?;
    Ok(changed > 0)
}

/// Up to when the due times of a pair were considered; none for a new pair, which starts at now.
///
/// # Errors
/// Those of the database.
pub fn watermark(r: &ReadTx<'_>, job: &str, schedule: &str) -> Result<Option<Timestamp>> {
    r.scalar("SELECT Until FROM hf_watermark WHERE Job = ?1 AND Schedule = ?2", params![job, schedule])
}

/// Moves a watermark forward. Never backward.
///
/// # Errors
/// Those of the database.
pub fn set_watermark(tx: &WriteTx<'_>, job: &str, schedule: &str, until: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO hf_watermark (Job, Schedule, Until) VALUES (?1, ?2, ?3) \
         ON CONFLICT (Job, Schedule) DO UPDATE SET Until = excluded.Until WHERE excluded.Until > hf_watermark.Until",
        params![job, schedule, until],
    )
    .map(drop)
}

/// Forgets due runs before `before`: the watermarks are beyond them.
///
/// # Errors
/// Those of the database.
pub fn forget_before(tx: &WriteTx<'_>, before: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM hf_due WHERE DueAt < ?1", params![before])
}
