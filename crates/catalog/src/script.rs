//! Starts and ends of scripts: they run at least once, and a repeat can be told (DESIGN §4).

use crate::error::Result;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use types::{Attempt, JobId, Timestamp};

/// Bit of [`ScriptRow::script`] that says that it is the script's run after the job.
pub const AFTER: u32 = 1 << 16;

/// A script of a job's plan that was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptRow {
    /// Attempt it ran in.
    pub attempt: Attempt,
    /// Its number in the plan, with [`AFTER`] or without.
    pub script: u32,
    /// When it was started.
    pub started_at: Timestamp,
    /// Exit code; none while it is not known to have ended.
    pub exit_code: Option<i32>,
}

/// Records a start, before the script is started.
///
/// # Errors
/// Those of the database.
pub fn started(tx: &WriteTx<'_>, job: JobId, attempt: Attempt, script: u32, now: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO hf_script (JobId, Attempt, Script, StartedAt) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (JobId, Attempt, Script) DO UPDATE SET StartedAt = excluded.StartedAt, EndedAt = 0",
        params![job, attempt, script, now],
    )
    .map(drop)
}

/// Records an end.
///
/// # Errors
/// Those of the database.
pub fn ended(
    tx: &WriteTx<'_>,
    job: JobId,
    attempt: Attempt,
    script: u32,
    code: i32,
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE hf_script SET EndedAt = ?4, ExitCode = ?5 WHERE JobId = ?1 AND Attempt = ?2 AND Script = ?3",
        params![job, attempt, script, now, code],
    )
    .map(drop)
}

/// The scripts of a job that were started, over all attempts.
///
/// # Errors
/// Those of the database.
pub fn list(r: &ReadTx<'_>, job: JobId) -> Result<Vec<ScriptRow>> {
    r.all("SELECT * FROM hf_script WHERE JobId = ?1 ORDER BY Attempt, Script", params![job], |row| {
        let ended: i64 = row.get("EndedAt")?;
        let code: i32 = row.get("ExitCode")?;
        Ok(ScriptRow {
            attempt: row.get("Attempt")?,
            script: row.get("Script")?,
            started_at: row.get("StartedAt")?,
            exit_code: (ended != 0).then_some(code),
        })
    })
}
