//! Which of a Storage and its cold spare serves (docs/cold-spare.md).

use crate::error::Result;
use crate::params;
use crate::port::Dialect;
use crate::tx::{ReadTx, WriteTx};
use types::{StorageEpoch, Timestamp};

/// One pair. There is a row once its place has changed for the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingRow {
    /// The Storage resource that jobs name.
    pub name: String,
    /// Its cold spare.
    pub spare: String,
    /// Which of them serves.
    pub serving: String,
    /// Grows with each change.
    pub epoch: StorageEpoch,
    /// When it changed last.
    pub changed_at: Timestamp,
}

/// Keeps every other write transaction of this Director out until this one is over, and waits for those under way: who serves must not
/// change while a job notes its Storage, though the two touch no common row. To be called before anything else is read; each write
/// transaction shares the leadership row.
///
/// # Errors
/// Those of the database.
pub fn lock(tx: &WriteTx<'_>) -> Result<()> {
    match tx.dialect() {
        // There is one writer at a time.
        Dialect::Sqlite => Ok(()),
        Dialect::Postgres => tx
            .scalar::<i64>(
                "SELECT Epoch FROM hf_leader WHERE Director = ?1 FOR UPDATE",
                params![tx.director()],
            )
            .map(drop),
    }
}

/// Stores who serves.
///
/// # Errors
/// Those of the database.
pub fn set(tx: &WriteTx<'_>, row: &StandingRow) -> Result<()> {
    tx.execute(
        "INSERT INTO hf_storage (Director, Name, Spare, Serving, Epoch, ChangedAt) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (Director, Name) DO UPDATE SET Spare = excluded.Spare, Serving = excluded.Serving, \
         Epoch = excluded.Epoch, ChangedAt = excluded.ChangedAt",
        params![tx.director(), &row.name, &row.spare, &row.serving, row.epoch, row.changed_at],
    )
    .map(drop)
}

/// All pairs of a Director, by the name of the main Storage.
///
/// # Errors
/// Those of the database.
pub fn list(r: &ReadTx<'_>, director: &str) -> Result<Vec<StandingRow>> {
    r.all(
        "SELECT Name, Spare, Serving, Epoch, ChangedAt FROM hf_storage WHERE Director = ?1 ORDER BY Name",
        params![director],
        |row| {
            Ok(StandingRow {
                name: row.get("Name")?,
                spare: row.get("Spare")?,
                serving: row.get("Serving")?,
                epoch: row.get("Epoch")?,
                changed_at: row.get("ChangedAt")?,
            })
        },
    )
}
