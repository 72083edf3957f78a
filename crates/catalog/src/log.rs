//! Log rows: the Messages destination `catalog`.

use crate::error::Result;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use crate::value::Instant;
use types::{JobId, Timestamp};

/// Stores one message (with its line end) of a job.
///
/// # Errors
/// Those of the database.
pub fn append(tx: &WriteTx<'_>, job: JobId, at: Timestamp, text: &str) -> Result<()> {
    tx.execute("INSERT INTO Log (JobId, Time, LogText) VALUES (?1, ?2, ?3)", params![job, tx.local(at), text])
        .map(drop)
}

/// The messages of a job in the order they came.
///
/// # Errors
/// Those of the database.
pub fn list(r: &ReadTx<'_>, job: JobId) -> Result<Vec<(Option<Timestamp>, String)>> {
    r.all("SELECT Time, LogText FROM Log WHERE JobId = ?1 ORDER BY LogId", params![job], |row| {
        Ok((row.get::<Instant>("Time")?.0, row.get("LogText")?))
    })
}
