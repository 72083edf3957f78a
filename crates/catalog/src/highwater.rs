//! Numbers that are never given out twice, also after rows were deleted or an old dump was restored (DESIGN §4, I8).

use crate::error::{CatalogError, Result};
use crate::params;
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
    let next = highest(tx, of)?
        .checked_add(1)
        .filter(|&n| i32::try_from(n).is_ok())
        .ok_or_else(|| CatalogError::Refused(format!("the catalog's {} numbers are used up", of.name())))?;
    raise(tx, of, next)?;
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
    )
    .map(drop)
}
