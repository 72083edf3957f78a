//! The leadership row as the Lease engine uses it: on a connection of its own, each step bounded (DESIGN §4).
//!
//! What a change does to the row is decided by the caller (`lead::protocol`) inside the transaction that has the row locked.
//! A change of the epoch is one of a key and waits for all writers; every other change waits for none.

use crate::error::{CatalogError, Result};
use crate::leader::LeaderRow;
use crate::params;
use crate::port::{Backend, Connection, Dialect, TxMode};
use crate::service::{Catalog, in_transaction};
use crate::tx::ReadTx;
use crate::value::Row;
use std::sync::Arc;
use std::time::Duration;
use types::{ActivationId, Epoch, Timestamp};

/// A connection for the lease of one Director. It is made when it is first needed, and anew after it broke.
pub struct LeaseSession {
    backend: Arc<dyn Backend>,
    director: String,
    limit: Duration,
    connection: Option<Box<dyn Connection>>,
}

/// The leadership row with how the role is held. No wall-clock time is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// Instance activated last.
    pub holder: String,
    /// Its epoch.
    pub epoch: Epoch,
    /// Drawn for its activation.
    pub activation: ActivationId,
    /// Counts renewals.
    pub renewal: u64,
    /// How the role is held.
    pub tenure: LeaseTenure,
}

/// How the role is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseTenure {
    /// By the holder.
    Held,
    /// The holder is being fenced and must not renew.
    Claimed {
        /// By whom.
        by: String,
        /// Drawn for the claim.
        claim: ActivationId,
    },
    /// The holder gave it back.
    Released {
        /// Who is to have it, if one is named.
        heir: Option<String>,
    },
}

/// What one transaction saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSight {
    /// [`Server::system`].
    pub system: u64,
    /// [`Server::timeline`].
    pub timeline: u32,
    /// None before the first activation.
    pub row: Option<LeaseRow>,
}

/// What the database's server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Drawn when the server was made; a replica has its primary's. 0 with SQLite.
    pub system: u64,
    /// Counts promotions of replicas. 0 with SQLite.
    pub timeline: u32,
    /// Whether replicas confirm commits.
    pub replication: Replication,
}

/// Whether replicas confirm commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replication {
    /// There is no replica to lose commits with.
    None,
    /// A commit waits for replicas (`synchronous_standby_names`).
    Synchronous(String),
    /// Replicas exist, and no commit waits for them: one that is promoted may lack commits. The text says which setting.
    Asynchronous(String),
}

impl Catalog {
    /// A session for the lease; nothing is connected yet. Each of its steps ends within about twice `limit`.
    #[must_use]
    pub fn lease_session(&self, limit: Duration) -> LeaseSession {
        LeaseSession::new(self.backend(), self.director(), limit)
    }
}

impl LeaseSession {
    /// For an instance that has not opened the catalog (a standby).
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, director: &str, limit: Duration) -> Self {
        Self { backend, director: director.to_owned(), limit, connection: None }
    }

    /// The row and the server's history. Blocks, as all steps do.
    ///
    /// # Errors
    /// [`CatalogError::Away`]; those of the database.
    pub fn look(&mut self) -> Result<LeaseSight> {
        let director = self.director.clone();
        self.step(TxMode::Read, |connection| sight(connection, &director, ""))
    }

    /// A Storage Daemon knows this epoch. One of a higher timeline than the server's and its row's was given out by another server.
    ///
    /// # Errors
    /// As [`Self::look`].
    pub fn heard(&mut self, seen: Epoch) -> Result<()> {
        if seen.timeline() == 0 {
            return Ok(());
        }
        let LeaseSight { timeline, row, .. } = self.look()?;
        let highest = row.map_or(timeline, |row| row.epoch.timeline().max(timeline));
        if highest < seen.timeline() {
            self.backend.left_behind(seen.timeline());
        }
        Ok(())
    }

    /// Makes one change in one transaction: `decide` is given the row as it is, locked, and returns the row as it is to be, or
    /// `None` to leave it. `key`: the change may be one of the epoch, and waits for all writers of the old one, at most half
    /// the limit (end their sessions before). Returns what is there afterwards, and whether it was changed.
    ///
    /// # Errors
    /// [`CatalogError::Away`]; [`CatalogError::OutcomeUnknown`]: the row must be looked at before anything is concluded;
    /// [`CatalogError::Busy`] when a writer outlasts the limit; those of the database.
    pub fn change(
        &mut self,
        key: bool,
        now: Timestamp,
        decide: impl Fn(&LeaseSight) -> Option<LeaseRow>,
    ) -> Result<(LeaseSight, bool)> {
        let director = self.director.clone();
        let (sight, made) = self.step(TxMode::Write, |connection| {
            if key {
                // Where there is no row to lock yet, two instances must not both make it.
                crate::schema::lock(connection)?;
            }
            let seen = sight(connection, &director, if key { "FOR UPDATE" } else { "FOR NO KEY UPDATE" })?;
            let Some(row) = decide(&seen) else { return Ok((seen, false)) };
            store(connection, &director, &row, key, now)?;
            Ok((LeaseSight { row: Some(row), ..seen }, true))
        })?;
        if let (true, true, Some(row)) = (key, made, &sight.row) {
            self.backend.activated(&row.holder, row.epoch);
        }
        Ok((sight, made))
    }

    /// Ends the database sessions of a holder, whose open transactions would block a takeover. Returns how many there were.
    ///
    /// # Errors
    /// Those of the database; the user of the catalog may end its own sessions.
    pub fn end_sessions(&mut self, holder: &str, epoch: Epoch) -> Result<u64> {
        let name = crate::postgres::application_name(&self.director, holder, epoch);
        self.step(TxMode::Write, |connection| match connection.dialect() {
            Dialect::Sqlite => Ok(0),
            Dialect::Postgres => {
                let sql = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = ?1 \
                           AND datname = current_database() AND pid <> pg_backend_pid()";
                Ok(ReadTx::new(connection).scalar(sql, params![&name])?.unwrap_or(0))
            }
        })
    }

    /// What the server says of itself: whether the catalog may have gone back in time, and whether it could.
    ///
    /// # Errors
    /// Those of the database.
    pub fn server(&mut self) -> Result<Server> {
        self.step(TxMode::Read, |connection| match connection.dialect() {
            Dialect::Sqlite => Ok(Server { system: 0, timeline: 0, replication: Replication::None }),
            Dialect::Postgres => postgres_server(&ReadTx::new(connection)),
        })
    }

    fn step<T>(&mut self, mode: TxMode, work: impl FnOnce(&dyn Connection) -> Result<T>) -> Result<T> {
        if self.connection.as_ref().is_none_or(|connection| !connection.is_usable()) {
            self.connection = Some(self.backend.connect_lease(self.limit)?);
        }
        let Some(connection) = &self.connection else { return Err(CatalogError::Closed) };
        in_transaction(&**connection, mode, || work(&**connection))
    }
}

fn sight(connection: &dyn Connection, director: &str, lock: &str) -> Result<LeaseSight> {
    let r = ReadTx::new(connection);
    let (lock, server) = match connection.dialect() {
        // The transaction is the only writer.
        Dialect::Sqlite => ("", Server { system: 0, timeline: 0, replication: Replication::None }),
        Dialect::Postgres => (lock, postgres_server(&r)?),
    };
    let sql = format!("SELECT * FROM hf_leader WHERE Director = ?1 {lock}");
    let row = r.one(&sql, params![director], LeaseRow::from_row)?;
    Ok(LeaseSight { system: server.system, timeline: server.timeline, row })
}

impl LeaseRow {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        let leader = LeaderRow::from_row(row)?;
        let (claim, heir): (String, String) = (row.get("Claim")?, row.get("Heir")?);
        let released: i64 = row.get("Released")?;
        let tenure = match (released != 0, leader.claimed_by.is_empty()) {
            (true, _) => LeaseTenure::Released { heir: Some(heir).filter(|heir| !heir.is_empty()) },
            (false, true) => LeaseTenure::Held,
            (false, false) => LeaseTenure::Claimed {
                claim: claim.parse().map_err(|_| CatalogError::BadValue {
                    column: "hf_leader.Claim".to_owned(),
                    problem: format!("holds {claim:?}, which is no claim"),
                })?,
                by: leader.claimed_by,
            },
        };
        let LeaderRow { holder, epoch, activation, renewal, .. } = leader;
        Ok(Self { holder, epoch, activation, renewal, tenure })
    }
}

fn store(
    connection: &dyn Connection,
    director: &str,
    row: &LeaseRow,
    key: bool,
    now: Timestamp,
) -> Result<()> {
    let (by, claim, released, heir) = match &row.tenure {
        LeaseTenure::Held => ("", String::new(), 0, ""),
        LeaseTenure::Claimed { by, claim } => (by.as_str(), claim.to_string(), 0, ""),
        LeaseTenure::Released { heir } => ("", String::new(), 1, heir.as_deref().unwrap_or_default()),
    };
    let activation = row.activation.to_string();
    if key {
        connection.execute(
            "INSERT INTO hf_leader (Director, Holder, Epoch, ActivationId, Renewal, ActivatedAt, ClaimedBy, Claim, Released, Heir) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
             ON CONFLICT (Director) DO UPDATE SET Holder = excluded.Holder, Epoch = excluded.Epoch, \
             ActivationId = excluded.ActivationId, Renewal = excluded.Renewal, ActivatedAt = excluded.ActivatedAt, \
             ClaimedBy = excluded.ClaimedBy, Claim = excluded.Claim, Released = excluded.Released, Heir = excluded.Heir",
            params![director, &row.holder, row.epoch, &activation, row.renewal, now, by, &claim, released, heir],
        )?;
    } else {
        // The key is not named, so that those who share it are not waited for.
        connection.execute(
            "UPDATE hf_leader SET Renewal = ?2, ClaimedBy = ?3, Claim = ?4, Released = ?5, Heir = ?6 WHERE Director = ?1",
            params![director, row.renewal, by, &claim, released, heir],
        )?;
    }
    Ok(())
}

/// Which database system holds the catalog; none on SQLite, which has no number of its own.
///
/// # Errors
/// Those of the database.
pub fn server(r: &ReadTx<'_>) -> Result<Option<u64>> {
    match r.dialect() {
        Dialect::Sqlite => Ok(None),
        Dialect::Postgres => Ok(Some(postgres_server(r)?.system)),
    }
}

fn postgres_server(r: &ReadTx<'_>) -> Result<Server> {
    let found = r.one(
        "SELECT (SELECT system_identifier FROM pg_control_system()) AS System, \
         substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS Timeline, \
         current_setting('synchronous_standby_names') AS Names, current_setting('synchronous_commit') AS Waits, \
         (SELECT count(*) FROM pg_stat_replication) AS Replicas",
        &[],
        |row| {
            let timeline: String = row.get("Timeline")?;
            let (names, waits): (String, String) = (row.get("Names")?, row.get("Waits")?);
            let replicas: i64 = row.get("Replicas")?;
            Ok(Server {
                system: row.get::<i64>("System")?.cast_unsigned(),
                timeline: u32::from_str_radix(&timeline, 16).unwrap_or(0),
                replication: replication(&names, &waits, replicas),
            })
        },
    )?;
    found.ok_or_else(|| CatalogError::BadValue {
        column: "system_identifier".to_owned(),
        problem: "is missing from the server's answer".to_owned(),
    })
}

fn replication(names: &str, waits: &str, replicas: i64) -> Replication {
    let is_waited = matches!(waits, "on" | "remote_write" | "remote_apply");
    match (names, replicas) {
        ("", 0) => Replication::None,
        ("", _) => Replication::Asynchronous("synchronous_standby_names is empty".to_owned()),
        (_, _) if !is_waited => Replication::Asynchronous(format!("synchronous_commit is {waits}")),
        (names, _) => Replication::Synchronous(names.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_that_nobody_confirms_are_told() {
        let why = |names, waits, replicas| match replication(names, waits, replicas) {
            Replication::None => "none".to_owned(),
            Replication::Synchronous(names) => format!("waits for {names}"),
            Replication::Asynchronous(why) => why,
        };
        assert_eq!(why("", "on", 0), "none");
        assert_eq!(why("", "on", 1), "synchronous_standby_names is empty");
        assert_eq!(why("b", "local", 1), "synchronous_commit is local");
        // The replica may be away just now: commits wait for it.
        assert_eq!(why("b", "remote_apply", 0), "waits for b");
    }
}
