//! JobMedia and FileMedia rows: which part of a job is where (spec/05 §2.5).

use crate::error::Result;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use crate::value::Row;
use types::{FileIndex, JobId, JobMediaId, MediaId, StorageId, Timestamp, VolAddr};

/// One piece of a job on a Volume, as the Storage Daemon reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// First file with data in it.
    pub first_index: FileIndex,
    /// Last file with data in it.
    pub last_index: FileIndex,
    /// Where it begins.
    pub start: VolAddr,
    /// Where it ends.
    pub end: VolAddr,
    /// On which Volume.
    pub media_id: MediaId,
}

/// A row of `JobMedia` with what a restore must know of its Volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobMediaRow {
    /// Key.
    pub id: JobMediaId,
    /// Job.
    pub job_id: JobId,
    /// The piece.
    pub piece: Piece,
    /// Order within the job, from 1.
    pub vol_index: u32,
    /// Volume.
    pub volume_name: String,
    /// Media Type.
    pub media_type: String,
    /// Slot in a changer.
    pub slot: i32,
    /// Whether it is in the changer.
    pub in_changer: bool,
    /// Storage that wrote it; 0 = unknown.
    pub storage_id: StorageId,
}

impl JobMediaRow {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        let start = VolAddr::from_file_block(row.get("StartFile")?, low(row.get("StartBlock")?));
        let end = VolAddr::from_file_block(row.get("EndFile")?, low(row.get("EndBlock")?));
        Ok(Self {
            id: row.get("JobMediaId")?,
            job_id: row.get("JobId")?,
            piece: Piece {
                first_index: row.get("FirstIndex")?,
                last_index: row.get("LastIndex")?,
                start,
                end,
                media_id: row.get("MediaId")?,
            },
            vol_index: row.get("VolIndex")?,
            volume_name: row.get("VolumeName")?,
            media_type: row.get("MediaType")?,
            slot: row.get("Slot")?,
            in_changer: row.get("InChanger")?,
            storage_id: row.get("StorageId")?,
        })
    }
}

/// The column is 64 bits wide, what it holds 32.
fn low(block: u64) -> u32 {
    block as u32
}

const INSERT: &str = "INSERT INTO JobMedia (JobId, MediaId, FirstIndex, LastIndex, StartFile, EndFile, StartBlock, EndBlock, VolIndex) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

/// Appends pieces to a job, numbering them on (`VolIndex`), and gives each Volume its append position.
///
/// # Errors
/// Those of the database.
pub fn create(tx: &WriteTx<'_>, job: JobId, pieces: &[Piece]) -> Result<()> {
    let highest: Option<u32> =
        tx.scalar("SELECT COALESCE(MAX(VolIndex), 0) FROM JobMedia WHERE JobId = ?1", params![job])?;
    let mut index = highest.unwrap_or(0);
    for piece in pieces {
        index += 1;
        tx.execute(
            INSERT,
            params![
                job,
                piece.media_id,
                piece.first_index,
                piece.last_index,
                piece.start.file(),
                piece.end.file(),
                piece.start.block(),
                piece.end.block(),
                index
            ],
        )?;
        if piece.last_index.0 != 0 {
            set_append_position(tx, piece)?;
        }
    }
    Ok(())
}

/// As [`create`], but a piece that begins where one of the job does already is that piece, grown: a Storage Daemon of ours tells
/// at each checkpoint of the piece that it is writing (docs/extensions.md §4).
///
/// # Errors
/// Those of the database.
pub fn extend(tx: &WriteTx<'_>, job: JobId, pieces: &[Piece]) -> Result<()> {
    for piece in pieces {
        let grown = tx.execute(
            "UPDATE JobMedia SET FirstIndex = ?5, LastIndex = ?6, EndFile = ?7, EndBlock = ?8 \
             WHERE JobId = ?1 AND MediaId = ?2 AND StartFile = ?3 AND StartBlock = ?4 AND LastIndex > 0",
            params![
                job,
                piece.media_id,
                piece.start.file(),
                piece.start.block(),
                piece.first_index,
                piece.last_index,
                piece.end.file(),
                piece.end.block()
            ],
        )?;
        if grown == 0 {
            create(tx, job, std::slice::from_ref(piece))?;
        } else {
            set_append_position(tx, piece)?;
        }
    }
    Ok(())
}

/// Takes files behind `last` out of a job's pieces: an attempt that was cut off has put parts of them on Volumes, and the next
/// attempt sends them again under the same numbers.
///
/// # Errors
/// Those of the database.
pub fn clip(tx: &WriteTx<'_>, job: JobId, last: FileIndex) -> Result<()> {
    tx.execute("DELETE FROM JobMedia WHERE JobId = ?1 AND FirstIndex > ?2", params![job, last])?;
    let sql = "UPDATE JobMedia SET LastIndex = ?2 WHERE JobId = ?1 AND LastIndex > ?2";
    tx.execute(sql, params![job, last]).map(drop)
}

/// The names of the Storages on whose Volumes good backups of a Job are, with the start of the last one.
///
/// # Errors
/// Those of the database.
pub fn last_on_storages(r: &ReadTx<'_>, job_name: &str) -> Result<Vec<(String, Timestamp)>> {
    r.all(
        "SELECT Storage.Name, MAX(Job.JobTDate) FROM Job JOIN JobMedia ON JobMedia.JobId = Job.JobId \
         JOIN Media ON Media.MediaId = JobMedia.MediaId JOIN Storage ON Storage.StorageId = Media.StorageId \
         WHERE Job.Name = ?1 AND Job.Type = 'B' AND Job.JobStatus IN ('T', 'W') GROUP BY Storage.Name",
        params![job_name],
        |row| Ok((row.at(0)?, Timestamp(row.at(1)?))),
    )
}

fn set_append_position(tx: &WriteTx<'_>, piece: &Piece) -> Result<()> {
    tx.execute(
        "UPDATE Media SET EndFile = ?2, EndBlock = ?3 WHERE MediaId = ?1",
        params![piece.media_id, piece.end.file(), piece.end.block()],
    )
    .map(drop)
}

/// Notes that a job writes to a Volume from `start` on, before any piece of it is known, unless a row says so already or the
/// Volume was labelled `afresh`. The row is a dummy (FirstIndex and LastIndex 0) that is deleted at the end of the job.
///
/// # Errors
/// Those of the database.
pub fn reserve(tx: &WriteTx<'_>, job: JobId, media_id: MediaId, start: VolAddr, afresh: bool) -> Result<()> {
    if afresh {
        let sql =
            "DELETE FROM JobMedia WHERE JobId = ?1 AND MediaId = ?2 AND FirstIndex = 0 AND LastIndex = 0";
        tx.execute(sql, params![job, media_id])?;
    }
    let sql = "SELECT count(*) FROM JobMedia WHERE JobId = ?1 AND MediaId = ?2";
    let known: Option<u64> = tx.scalar(sql, params![job, media_id])?;
    if known.unwrap_or(0) > 0 {
        return Ok(());
    }
    let none = FileIndex(0);
    create(tx, job, &[Piece { first_index: none, last_index: none, start, end: start, media_id }])
}

/// The pieces of a job in their order, dummies left out (spec/05 §2.5).
///
/// # Errors
/// Those of the database.
pub fn list(r: &ReadTx<'_>, job: JobId) -> Result<Vec<JobMediaRow>> {
    let mut rows = list_all(r, job)?;
    rows.retain(|row| row.piece.last_index.0 != 0 || row.piece.first_index.0 != 0);
    Ok(rows)
}

/// As [`list`], with the dummies: the Volumes of a job that has not ended.
///
/// # Errors
/// Those of the database.
pub fn list_all(r: &ReadTx<'_>, job: JobId) -> Result<Vec<JobMediaRow>> {
    r.all(
        "SELECT JobMedia.JobMediaId, JobMedia.JobId, JobMedia.MediaId, JobMedia.FirstIndex, JobMedia.LastIndex, JobMedia.StartFile, \
         JobMedia.EndFile, JobMedia.StartBlock, JobMedia.EndBlock, JobMedia.VolIndex, Media.VolumeName, Media.MediaType, Media.Slot, \
         Media.InChanger, Media.StorageId FROM JobMedia JOIN Media ON Media.MediaId = JobMedia.MediaId \
         WHERE JobMedia.JobId = ?1 ORDER BY JobMedia.VolIndex, JobMedia.JobMediaId",
        params![job],
        JobMediaRow::from_row,
    )
}

/// Where one file of a job is inside a Volume (streams with offsets only).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilePosition {
    /// Volume.
    pub media_id: MediaId,
    /// File.
    pub file_index: FileIndex,
    /// Address of the block.
    pub block_address: u64,
    /// Record in the block.
    pub record_no: u32,
    /// Offset in the file.
    pub file_offset: u64,
}

/// Appends FileMedia rows.
///
/// # Errors
/// Those of the database.
pub fn create_file_media(tx: &WriteTx<'_>, job: JobId, positions: &[FilePosition]) -> Result<()> {
    for p in positions {
        tx.execute(
            "INSERT INTO FileMedia (JobId, FileIndex, MediaId, BlockAddress, RecordNo, FileOffset) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![job, p.file_index, p.media_id, p.block_address, p.record_no, p.file_offset],
        )?;
    }
    Ok(())
}
