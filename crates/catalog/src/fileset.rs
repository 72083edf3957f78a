//! FileSet rows: one per name and digest (spec/05 §4.3).

use crate::error::Result;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use crate::value::{Instant, Row};
use types::{FileSetId, Timestamp};

/// A row of `FileSet`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSetRow {
    /// Key.
    pub id: FileSetId,
    /// Name of the FileSet resource.
    pub name: String,
    /// Digest of its file list, in Bacula's own encoding.
    pub md5: String,
    /// When this digest was first seen.
    pub created: Option<Timestamp>,
    /// Short description of what it holds (generation 1026).
    pub content: String,
}

impl FileSetRow {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("FileSetId")?,
            name: row.get("FileSet")?,
            md5: row.get("MD5")?,
            created: row.get::<Instant>("CreateTime")?.0,
            content: row.get("Content")?,
        })
    }
}

/// Finds the row of this name and digest, or creates it. With `ignore_changes` (Ignore FileSet Changes) the newest row of
/// the name is taken whatever its digest. Returns the row and whether it is new.
///
/// # Errors
/// Those of the database.
pub fn ensure(
    tx: &WriteTx<'_>,
    name: &str,
    md5: &str,
    content: &str,
    ignore_changes: bool,
    now: Timestamp,
) -> Result<(FileSetRow, bool)> {
    let found = if ignore_changes { newest(tx, name)? } else { find(tx, name, md5)? };
    if let Some(row) = found {
        return Ok((row, false));
    }
    let id = tx.insert(
        "INSERT INTO FileSet (FileSet, MD5, CreateTime, Content) VALUES (?1, ?2, ?3, ?4)",
        "FileSetId",
        params![name, md5, tx.local(now), content],
    )?;
    let row = FileSetRow {
        id: FileSetId(id as u32),
        name: name.to_owned(),
        md5: md5.to_owned(),
        created: Some(now),
        content: content.to_owned(),
    };
    Ok((row, true))
}

/// The row of a name and digest.
///
/// # Errors
/// Those of the database.
pub fn find(r: &ReadTx<'_>, name: &str, md5: &str) -> Result<Option<FileSetRow>> {
    r.one(
        "SELECT * FROM FileSet WHERE FileSet = ?1 AND MD5 = ?2 ORDER BY FileSetId DESC LIMIT 1",
        params![name, md5],
        FileSetRow::from_row,
    )
}

/// The newest row of a name.
///
/// # Errors
/// Those of the database.
pub fn newest(r: &ReadTx<'_>, name: &str) -> Result<Option<FileSetRow>> {
    r.one(
        "SELECT * FROM FileSet WHERE FileSet = ?1 ORDER BY CreateTime DESC, FileSetId DESC LIMIT 1",
        params![name],
        FileSetRow::from_row,
    )
}

/// A row by its key.
///
/// # Errors
/// Those of the database.
pub fn get(r: &ReadTx<'_>, id: FileSetId) -> Result<Option<FileSetRow>> {
    r.one("SELECT * FROM FileSet WHERE FileSetId = ?1", params![id], FileSetRow::from_row)
}

/// All rows by key.
///
/// # Errors
/// Those of the database.
pub fn list(r: &ReadTx<'_>) -> Result<Vec<FileSetRow>> {
    r.all("SELECT * FROM FileSet ORDER BY FileSetId", &[], FileSetRow::from_row)
}
