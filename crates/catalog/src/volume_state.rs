//! The state of Volumes by their Storage Daemon's own sequence (DESIGN §2.2): a newer state is never overwritten by an older one.

use crate::error::Result;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use types::{Attempt, JobId, MediaId, Timestamp, VolAddr};

/// What the catalog knows of a Volume's own counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VolumeState {
    /// From the Volume's label, microseconds (`btime`); names the Volume together with its name.
    pub label_date: u64,
    /// Sequence of the state last applied; 0 = none of a Holdfast SD yet.
    pub state_seq: u64,
    /// Counts writes that let data be overwritten or appended, as the SD counts them.
    pub write_counter: u64,
}

/// The stored state; all zero when no Holdfast SD has reported one.
///
/// # Errors
/// Those of the database.
pub fn get(r: &ReadTx<'_>, id: MediaId) -> Result<VolumeState> {
    let found = r.one(
        "SELECT LabelDate, StateSeq, WriteCounter FROM hf_volume WHERE MediaId = ?1",
        params![id],
        |row| {
            Ok(VolumeState {
                label_date: row.get("LabelDate")?,
                state_seq: row.get("StateSeq")?,
                write_counter: row.get("WriteCounter")?,
            })
        },
    )?;
    Ok(found.unwrap_or_default())
}

/// Stores a state if it is newer: by its number, or of a later label, since a Volume that was made anew under its old name (its file
/// was removed) is numbered anew. Returns false for an older or equal one: then its Media columns are not applied either.
///
/// # Errors
/// Those of the database.
pub fn advance(tx: &WriteTx<'_>, id: MediaId, state: VolumeState) -> Result<bool> {
    let changed = tx.execute(
        "INSERT INTO hf_volume (MediaId, LabelDate, StateSeq, WriteCounter) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (MediaId) DO UPDATE SET LabelDate = excluded.LabelDate, StateSeq = excluded.StateSeq, \
         WriteCounter = excluded.WriteCounter WHERE excluded.StateSeq > hf_volume.StateSeq OR excluded.LabelDate > hf_volume.LabelDate",
        params![id, state.label_date, state.state_seq, state.write_counter],
    )?;
    Ok(changed > 0)
}

/// A range of a Volume that belongs to no job of the catalog: written by an attempt that was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unowned {
    /// Volume.
    pub media_id: MediaId,
    /// First byte.
    pub start: VolAddr,
    /// Last byte.
    pub end: VolAddr,
    /// Job whose attempt wrote it.
    pub job_id: JobId,
    /// That attempt.
    pub attempt: Attempt,
}

/// Marks a range as unowned.
///
/// # Errors
/// Those of the database.
pub fn mark_unowned(tx: &WriteTx<'_>, range: Unowned, now: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO hf_unowned (MediaId, StartAddr, EndAddr, JobId, Attempt, FoundAt) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (MediaId, StartAddr) DO NOTHING",
        params![range.media_id, range.start.0, range.end.0, range.job_id, range.attempt, now],
    )
    .map(drop)
}
