//! The leadership row: who is active, in which epoch (DESIGN §2.5, §4).

use crate::error::{CatalogError, Result};
use crate::params;
use crate::port::{Connection, Dialect};
use crate::service::Catalog;
use crate::tx::ReadTx;
use crate::value::Row;
use types::{ActivationId, Epoch, Timestamp};

/// A row of `hf_leader`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderRow {
    /// Director name.
    pub director: String,
    /// Instance that was activated last.
    pub holder: String,
    /// Its epoch.
    pub epoch: Epoch,
    /// Drawn at its activation.
    pub activation: ActivationId,
    /// Counts renewals of the lease.
    pub renewal: u64,
    /// When it was activated.
    pub activated_at: Timestamp,
    /// Instance that is about to fence the holder, which must not renew meanwhile; empty = none.
    pub claimed_by: String,
}

impl LeaderRow {
    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self> {
        let activation: String = row.get("ActivationId")?;
        Ok(Self {
            director: row.get("Director")?,
            holder: row.get("Holder")?,
            epoch: row.get("Epoch")?,
            activation: activation.parse().map_err(|_| CatalogError::BadValue {
                column: "hf_leader.ActivationId".to_owned(),
                problem: format!("holds {activation:?}, which is no activation id"),
            })?,
            renewal: row.get("Renewal")?,
            activated_at: row.get("ActivatedAt")?,
            claimed_by: row.get("ClaimedBy")?,
        })
    }
}

/// The row of a Director; none before its first activation.
///
/// # Errors
/// Those of the database.
pub fn get(r: &ReadTx<'_>, director: &str) -> Result<Option<LeaderRow>> {
    r.one("SELECT * FROM hf_leader WHERE Director = ?1", params![director], LeaderRow::from_row)
}

/// The epoch that write transactions must hold. On PostgreSQL the row is locked for key share, so that a takeover waits
/// for writers and a renewal does not (DESIGN §4); on SQLite the transaction already is the only writer.
pub(crate) fn epoch_for_write(r: &ReadTx<'_>, director: &str) -> Result<Option<Epoch>> {
    let sql = match r.dialect() {
        Dialect::Sqlite => "SELECT Epoch FROM hf_leader WHERE Director = ?1",
        Dialect::Postgres => "SELECT Epoch FROM hf_leader WHERE Director = ?1 FOR KEY SHARE",
    };
    r.scalar(sql, params![director])
}

/// Whether a write transaction of an epoch may go on, given the one in the row.
#[must_use]
pub fn may_write(stored: Option<Epoch>, epoch: Epoch) -> bool {
    stored == Some(epoch)
}

/// A wish to become active.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activation {
    /// Instance.
    pub holder: String,
    /// Drawn at random for this activation.
    pub activation: ActivationId,
    /// Every epoch that SDs and others have named.
    pub seen: Vec<Epoch>,
    /// The catalog's timeline; 0 on SQLite.
    pub timeline: u32,
    /// Now.
    pub now: Timestamp,
}

impl Catalog {
    /// Raises the epoch of this catalog's Director above the stored one, the timeline and all that were seen; from here
    /// writes under the old one are refused. Whether the caller may do so is the leadership engine's question (`lead`).
    ///
    /// # Errors
    /// Those of the database.
    pub async fn raise_epoch(&self, wish: Activation) -> Result<LeaderRow> {
        let director = self.director().to_owned();
        let row = self.activate(move |connection| raise(connection, &director, &wish)).await?;
        self.activated(&row);
        Ok(row)
    }
}

/// Raises the epoch whatever the row is.
fn raise(connection: &dyn Connection, director: &str, wish: &Activation) -> Result<LeaderRow> {
    let stored = get_locked(connection, director)?;
    store(connection, director, wish, stored.as_ref())
}

/// The row, which nobody else changes until the transaction is over. Waits for writers of its epoch.
fn get_locked(connection: &dyn Connection, director: &str) -> Result<Option<LeaderRow>> {
    // Where there is no row to lock yet, two instances must not both make it.
    crate::schema::lock(connection)?;
    let sql = match connection.dialect() {
        Dialect::Sqlite => "SELECT * FROM hf_leader WHERE Director = ?1",
        Dialect::Postgres => "SELECT * FROM hf_leader WHERE Director = ?1 FOR UPDATE",
    };
    ReadTx::new(connection).one(sql, params![director], LeaderRow::from_row)
}

/// Makes the holder of `wish` the active one, in an epoch above all that are known.
fn store(
    connection: &dyn Connection,
    director: &str,
    wish: &Activation,
    stored: Option<&LeaderRow>,
) -> Result<LeaderRow> {
    let seen = wish.seen.iter().copied().chain(stored.map(|row| row.epoch));
    let epoch = Epoch::next(seen, wish.timeline);
    let activation = wish.activation.to_string();
    connection.execute(
        "INSERT INTO hf_leader (Director, Holder, Epoch, ActivationId, Renewal, ActivatedAt) VALUES (?1, ?2, ?3, ?4, 0, ?5) \
         ON CONFLICT (Director) DO UPDATE SET Holder = excluded.Holder, Epoch = excluded.Epoch, \
         ActivationId = excluded.ActivationId, Renewal = 0, ActivatedAt = excluded.ActivatedAt, \
         ClaimedBy = '', Claim = '', Released = 0, Heir = ''",
        params![director, &wish.holder, epoch, &activation, wish.now],
    )?;
    Ok(LeaderRow {
        director: director.to_owned(),
        holder: wish.holder.clone(),
        epoch,
        activation: wish.activation,
        renewal: 0,
        activated_at: wish.now,
        claimed_by: String::new(),
    })
}
