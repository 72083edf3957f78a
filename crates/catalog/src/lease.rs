//! The leadership row as the Lease engine uses it: on a connection of its own, each step bounded (DESIGN §4).
//!
//! Every step compares the whole row that the caller has seen, so that of two instances one succeeds. Renewals, claims and
//! their end change no key of the row and never wait for a writer; a takeover waits for all of them.

use crate::error::{CatalogError, Result};
use crate::leader::{self, Activation, LeaderRow};
use crate::params;
use crate::port::{Backend, Connection, Dialect, TxMode};
use crate::service::{Catalog, in_transaction};
use crate::tx::ReadTx;
use std::sync::Arc;
use std::time::Duration;

/// A connection for the lease of one Director. It is made when it is first needed, and anew after it broke.
pub struct LeaseSession {
    backend: Arc<dyn Backend>,
    director: String,
    limit: Duration,
    connection: Option<Box<dyn Connection>>,
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

    /// The row; none before the first activation. Blocks, as all steps do.
    ///
    /// # Errors
    /// [`CatalogError::Away`]; those of the database.
    pub fn read(&mut self) -> Result<Option<LeaderRow>> {
        let director = self.director.clone();
        self.step(TxMode::Read, move |connection| leader::get(&ReadTx::new(connection), &director))
    }

    /// Counts one renewal of the row as `held`. None when it is no longer that row: taken over, claimed, or renewed by a
    /// second process with this one's activation. Never waits for a writer.
    ///
    /// # Errors
    /// [`CatalogError::Away`] and [`CatalogError::OutcomeUnknown`]: the caller reads the row before it renews again.
    pub fn renew(&mut self, held: &LeaderRow) -> Result<Option<LeaderRow>> {
        self.change(held, "Renewal = Renewal + 1", "AND ClaimedBy = ''", "")
    }

    /// Claims the leadership for fencing its holder: from here the holder's renewals fail. None when the row is no longer as
    /// `seen`, or claimed by another.
    ///
    /// # Errors
    /// Those of the database.
    pub fn claim(&mut self, seen: &LeaderRow, by: &str) -> Result<Option<LeaderRow>> {
        self.change(seen, "ClaimedBy = ?6", "AND ClaimedBy IN ('', ?6)", by)
    }

    /// Gives a claim back: fencing failed. False when it is no longer there.
    ///
    /// # Errors
    /// Those of the database.
    pub fn unclaim(&mut self, claimed: &LeaderRow, by: &str) -> Result<Option<LeaderRow>> {
        self.change(claimed, "ClaimedBy = ''", "AND ClaimedBy = ?6", by)
    }

    /// Takes the leadership over: a new epoch, if the row still is as `seen` (none: there was none). None when it is not.
    /// Waits for write transactions of the old epoch, at most half the limit: end their sessions before.
    ///
    /// # Errors
    /// [`CatalogError::Busy`] when a writer outlasts the limit; those of the database.
    pub fn take_over(&mut self, seen: Option<&LeaderRow>, wish: &Activation) -> Result<Option<LeaderRow>> {
        let director = self.director.clone();
        let taken = self.step(TxMode::Write, |connection| {
            let stored = leader::get_locked(connection, &director)?;
            if stored.as_ref() != seen {
                return Ok(None);
            }
            leader::store(connection, &director, wish, stored.as_ref()).map(Some)
        })?;
        if let Some(row) = &taken {
            self.backend.activated(&row.holder, row.epoch);
        }
        Ok(taken)
    }

    /// Ends the database sessions of a holder, whose open transactions would block a takeover. Returns how many there were.
    ///
    /// # Errors
    /// Those of the database; the user of the catalog may end its own sessions.
    pub fn end_sessions(&mut self, of: &LeaderRow) -> Result<u64> {
        let name = crate::postgres::application_name(&self.director, &of.holder, of.epoch);
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

    fn change(&mut self, row: &LeaderRow, set: &str, also: &str, by: &str) -> Result<Option<LeaderRow>> {
        let sql = format!(
            "UPDATE hf_leader SET {set} WHERE Director = ?1 AND Holder = ?2 AND Epoch = ?3 AND ActivationId = ?4 \
             AND Renewal = ?5 {also} AND (?6 = ?6) RETURNING *"
        );
        let activation = row.activation.to_string();
        self.step(TxMode::Write, |connection| {
            let values = params![&row.director, &row.holder, row.epoch, &activation, row.renewal, by];
            ReadTx::new(connection).one(&sql, values, LeaderRow::from_row)
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
