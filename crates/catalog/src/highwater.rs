//! Numbers that are never given out twice, also after rows were deleted or an old dump was restored (DESIGN §4, I8).

use crate::error::{CatalogError, Result};
use crate::params;
use crate::port::Dialect;
use crate::tx::{ReadTx, WriteTx};

/// What is numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sequence {
    /// `Job.JobId`.
    JobId,
    /// `Media.MediaId`.
    MediaId,
}

impl Sequence {
    const fn name(self) -> &'static str {
        match self {
            Self::JobId => "JobId",
            Self::MediaId => "MediaId",
        }
    }

    const fn postgres_sequence(self) -> &'static str {
        match self {
            Self::JobId => "job_jobid_seq",
            Self::MediaId => "media_mediaid_seq",
        }
    }

    const fn highest_row(self) -> &'static str {
        match self {
            Self::JobId => "SELECT COALESCE(MAX(JobId), 0) FROM Job",
            Self::MediaId => "SELECT COALESCE(MAX(MediaId), 0) FROM Media",
        }
    }
}

/// The highest number given out or present.
///
/// # Errors
/// Those of the database.
pub fn highest(r: &ReadTx<'_>, of: Sequence) -> Result<u32> {
    let mark: Option<u32> = r.scalar("SELECT Value FROM hf_highwater WHERE Name = ?1", params![of.name()])?;
    // Other programs (bscan) insert rows without asking us.
    let row: Option<u32> = r.scalar(of.highest_row(), &[])?;
    Ok(mark.unwrap_or(0).max(row.unwrap_or(0)))
}

/// Draws the next number.
///
/// # Errors
/// [`CatalogError::Refused`] at the end of 32 bits; those of the database.
pub fn next(tx: &WriteTx<'_>, of: Sequence) -> Result<u32> {
    let present: Option<u32> = tx.scalar(of.highest_row(), &[])?;
    // One statement: on PostgreSQL another Director of this catalog may draw at the same time.
    let drawn: Option<i64> = tx.scalar(
        "INSERT INTO hf_highwater (Name, Value) VALUES (?1, CAST(?2 AS BIGINT) + 1) ON CONFLICT (Name) DO UPDATE SET Value = \
         CASE WHEN hf_highwater.Value > CAST(?2 AS BIGINT) THEN hf_highwater.Value ELSE CAST(?2 AS BIGINT) END + 1 \
         RETURNING Value",
        params![of.name(), present.unwrap_or(0)],
    )?;
    let next = drawn
        .and_then(|n| i32::try_from(n).ok())
        .and_then(|n| u32::try_from(n).ok())
        .ok_or_else(|| CatalogError::Refused(format!("the catalog's {} numbers are used up", of.name())))?;
    raise_sequence(tx, of, next)?;
    Ok(next)
}

/// Makes sure that numbers up to `to` are not given out (again): after a catalog went back in time, the SDs know higher ones.
///
/// # Errors
/// Those of the database.
pub fn raise(tx: &WriteTx<'_>, of: Sequence, to: u32) -> Result<()> {
    tx.execute(
        "INSERT INTO hf_highwater (Name, Value) VALUES (?1, ?2) \
         ON CONFLICT (Name) DO UPDATE SET Value = excluded.Value WHERE excluded.Value > hf_highwater.Value",
        params![of.name(), to],
    )?;
    raise_sequence(tx, of, to)
}

/// Other programs on PostgreSQL (bscan, a Director of Bacula) draw from the column's sequence.
fn raise_sequence(tx: &WriteTx<'_>, of: Sequence, to: u32) -> Result<()> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let sequence = of.postgres_sequence();
    let sql = format!("SELECT setval('{sequence}', ?1) FROM {sequence} WHERE last_value <= ?1");
    tx.scalar::<i64>(&sql, params![to]).map(drop)
}
