//! What an operator has set by command and a restart or takeover must keep (DESIGN §2.4): `disable`, bandwidth, unmounts.

use crate::error::Result;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use types::Timestamp;

/// One setting. Kind and value are the Director's words, for example (`job`, `NightlySave`, `disabled`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// What it is about: `job`, `client`, `storage`, `bandwidth`, `device` …
    pub kind: String,
    /// Which one.
    pub name: String,
    /// What was set.
    pub value: String,
}

/// Stores a setting, replacing an earlier one of the same kind and name.
///
/// # Errors
/// Those of the database.
pub fn set(tx: &WriteTx<'_>, setting: &Setting, now: Timestamp) -> Result<()> {
    tx.execute(
        "INSERT INTO hf_operator (Director, Kind, Name, Value, SetAt) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (Director, Kind, Name) DO UPDATE SET Value = excluded.Value, SetAt = excluded.SetAt",
        params![tx.director(), &setting.kind, &setting.name, &setting.value, now],
    )
    .map(drop)
}

/// Removes a setting: the configuration counts again.
///
/// # Errors
/// Those of the database.
pub fn clear(tx: &WriteTx<'_>, kind: &str, name: &str) -> Result<()> {
    tx.execute(
        "DELETE FROM hf_operator WHERE Director = ?1 AND Kind = ?2 AND Name = ?3",
        params![tx.director(), kind, name],
    )
    .map(drop)
}

/// All settings of a Director.
///
/// # Errors
/// Those of the database.
pub fn list(r: &ReadTx<'_>, director: &str) -> Result<Vec<Setting>> {
    r.all(
        "SELECT Kind, Name, Value FROM hf_operator WHERE Director = ?1 ORDER BY Kind, Name",
        params![director],
        |row| Ok(Setting { kind: row.get("Kind")?, name: row.get("Name")?, value: row.get("Value")? }),
    )
}

/// One setting.
///
/// # Errors
/// Those of the database.
pub fn get(r: &ReadTx<'_>, director: &str, kind: &str, name: &str) -> Result<Option<String>> {
    r.scalar(
        "SELECT Value FROM hf_operator WHERE Director = ?1 AND Kind = ?2 AND Name = ?3",
        params![director, kind, name],
    )
}

/// Removes the settings of a kind that were made before `before`.
///
/// # Errors
/// Those of the database.
pub fn forget_before(tx: &WriteTx<'_>, kind: &str, before: Timestamp) -> Result<u64> {
    tx.execute(
        "DELETE FROM hf_operator WHERE Director = ?1 AND Kind = ?2 AND SetAt < ?3",
        params![tx.director(), kind, before],
    )
}
