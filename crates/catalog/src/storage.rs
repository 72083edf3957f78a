//! Storage and MediaType rows (spec/05 §2.6).

use crate::error::Result;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use crate::value::Row;
use types::StorageId;

/// A row of `Storage`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageRow {
    /// Key.
    pub id: StorageId,
    /// Name of the Storage resource.
    pub name: String,
    /// Whether it is an autochanger.
    pub autochanger: bool,
}

impl StorageRow {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self { id: row.get("StorageId")?, name: row.get("Name")?, autochanger: row.get("AutoChanger")? })
    }
}

/// Creates the row or brings it up to date; returns its key.
///
/// # Errors
/// Those of the database.
pub fn ensure(tx: &WriteTx<'_>, name: &str, autochanger: bool) -> Result<StorageId> {
    match get_by_name(tx, name)? {
        Some(row) => {
            if row.autochanger != autochanger {
                tx.execute(
                    "UPDATE Storage SET AutoChanger = ?2 WHERE StorageId = ?1",
                    params![row.id, autochanger],
                )?;
            }
            Ok(row.id)
        }
        None => tx
            .insert(
                "INSERT INTO Storage (Name, AutoChanger) VALUES (?1, ?2)",
                "StorageId",
                params![name, autochanger],
            )
            .map(|id| StorageId(id as u32)),
    }
}

/// Creates the row of a Media Type where there is none.
///
/// # Errors
/// Those of the database.
pub fn ensure_media_type(tx: &WriteTx<'_>, media_type: &str) -> Result<()> {
    let known: Option<i64> =
        tx.scalar("SELECT 1 FROM MediaType WHERE MediaType = ?1", params![media_type])?;
    if known.is_none() {
        tx.execute("INSERT INTO MediaType (MediaType, ReadOnly) VALUES (?1, 0)", params![media_type])?;
    }
    Ok(())
}

/// A Storage by its key.
///
/// # Errors
/// Those of the database.
pub fn get(r: &ReadTx<'_>, id: StorageId) -> Result<Option<StorageRow>> {
    r.one("SELECT * FROM Storage WHERE StorageId = ?1", params![id], StorageRow::from_row)
}

/// A Storage by its name.
///
/// # Errors
/// Those of the database.
pub fn get_by_name(r: &ReadTx<'_>, name: &str) -> Result<Option<StorageRow>> {
    r.one("SELECT * FROM Storage WHERE Name = ?1 ORDER BY StorageId", params![name], StorageRow::from_row)
}

/// All Storages by key.
///
/// # Errors
/// Those of the database.
pub fn list(r: &ReadTx<'_>) -> Result<Vec<StorageRow>> {
    r.all("SELECT * FROM Storage ORDER BY StorageId", &[], StorageRow::from_row)
}
