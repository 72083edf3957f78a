//! Client rows (spec/05 §2.6).

use crate::error::Result;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use crate::value::Row;
use types::ClientId;

/// A row of `Client`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRow {
    /// Key.
    pub id: ClientId,
    /// Name of the Client resource.
    pub name: String,
    /// The File Daemon's version line.
    pub uname: String,
    /// Whether jobs prune on their own.
    pub auto_prune: bool,
    /// Seconds.
    pub file_retention: u64,
    /// Seconds.
    pub job_retention: u64,
}

impl ClientRow {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("ClientId")?,
            name: row.get("Name")?,
            uname: row.get("Uname")?,
            auto_prune: row.get("AutoPrune")?,
            file_retention: row.get("FileRetention")?,
            job_retention: row.get("JobRetention")?,
        })
    }
}

/// What the configuration says of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewClient {
    /// Name of the Client resource.
    pub name: String,
    /// The File Daemon's version line; empty while unknown (keeps the stored one).
    pub uname: String,
    /// Whether jobs prune on their own.
    pub auto_prune: bool,
    /// Seconds.
    pub file_retention: u64,
    /// Seconds.
    pub job_retention: u64,
}

/// Creates the row or brings it up to date; returns its key.
///
/// # Errors
/// Those of the database.
pub fn ensure(tx: &WriteTx<'_>, new: &NewClient) -> Result<ClientId> {
    let Some(row) = get_by_name(tx, &new.name)? else {
        let id = tx.insert(
            "INSERT INTO Client (Name, Uname, AutoPrune, FileRetention, JobRetention) VALUES (?1, ?2, ?3, ?4, ?5)",
            "ClientId",
            params![&new.name, &new.uname, new.auto_prune, new.file_retention, new.job_retention],
        )?;
        return Ok(ClientId(id as u32));
    };
    let uname = if new.uname.is_empty() { &row.uname } else { &new.uname };
    tx.execute(
        "UPDATE Client SET Uname = ?2, AutoPrune = ?3, FileRetention = ?4, JobRetention = ?5 WHERE ClientId = ?1",
        params![row.id, uname, new.auto_prune, new.file_retention, new.job_retention],
    )?;
    Ok(row.id)
}

/// A client by its id.
///
/// # Errors
/// Those of the database.
pub fn get(r: &ReadTx<'_>, id: ClientId) -> Result<Option<ClientRow>> {
    r.one("SELECT * FROM Client WHERE ClientId = ?1", params![id], ClientRow::from_row)
}

/// A client by its name.
///
/// # Errors
/// Those of the database.
pub fn get_by_name(r: &ReadTx<'_>, name: &str) -> Result<Option<ClientRow>> {
    r.one("SELECT * FROM Client WHERE Name = ?1", params![name], ClientRow::from_row)
}

/// All clients by key.
///
/// # Errors
/// Those of the database.
pub fn list(r: &ReadTx<'_>) -> Result<Vec<ClientRow>> {
    r.all("SELECT * FROM Client ORDER BY ClientId", &[], ClientRow::from_row)
}
