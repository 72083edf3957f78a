//! Transactions as typed queries see them.

use crate::error::{CatalogError, Result};
use crate::port::{Column, Connection, Dialect};
use crate::time::{LocalTime, Zone};
use crate::value::{FromValue, Row, Value};
use std::ops::Deref;
use types::{Epoch, Timestamp};

/// A transaction that reads one consistent state. All reading queries take `&ReadTx`.
pub struct ReadTx<'c> {
    connection: &'c dyn Connection,
}

impl<'c> ReadTx<'c> {
    pub(crate) fn new(connection: &'c dyn Connection) -> Self {
        Self { connection }
    }

    /// Which SQL the database speaks.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.connection.dialect()
    }

    /// The zone of wall-clock columns.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        self.connection.zone()
    }

    /// The wall-clock time to store for an instant.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> LocalTime {
        self.zone().local(at)
    }

    /// The wall-clock value of an instant that may be unset: 0 on SQLite, NULL on PostgreSQL (spec/05 §3).
    #[must_use]
    pub fn local_or_unset(&self, at: Option<Timestamp>) -> Value<'static> {
        match (at, self.dialect()) {
            (Some(at), _) => Value::Time(self.local(at)),
            (None, Dialect::Sqlite) => Value::Int(0),
            (None, Dialect::Postgres) => Value::Null,
        }
    }

    /// Runs a query row by row; memory does not grow with the result.
    ///
    /// # Errors
    /// Those of the database and of `each`.
    pub fn for_each(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut each: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        self.connection.query(sql, params, &mut each)
    }

    /// All rows, converted. For results that are bounded by their meaning.
    ///
    /// # Errors
    /// Those of the database and of `convert`.
    pub fn all<T>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut convert: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        self.for_each(sql, params, |row| {
            rows.push(convert(row)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first row, if any.
    ///
    /// # Errors
    /// Those of the database and of `convert`.
    pub fn one<T>(
        &self,
        sql: &str,
        params: &[Value<'_>],
        mut convert: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let mut found = None;
        self.for_each(sql, params, |row| {
            if found.is_none() {
                found = Some(convert(row)?);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// The first column of the first row, if any.
    ///
    /// # Errors
    /// Those of the database; [`CatalogError::BadValue`].
    pub fn scalar<T: FromValue>(&self, sql: &str, params: &[Value<'_>]) -> Result<Option<T>> {
        self.one(sql, params, |row| row.at(0))
    }
}

/// A transaction that writes. It cannot be had without an [`Epoch`] and has checked it against the catalog's row.
pub struct WriteTx<'c> {
    read: ReadTx<'c>,
    epoch: Epoch,
    director: &'c str,
}

impl<'c> WriteTx<'c> {
    /// Inside an open write transaction: checks the epoch, holding the leadership row for its duration.
    pub(crate) fn begun(connection: &'c dyn Connection, director: &'c str, epoch: Epoch) -> Result<Self> {
        let read = ReadTx::new(connection);
        let current = crate::leader::epoch_for_write(&read, director)?;
        if !crate::leader::may_write(current, epoch) {
            return Err(CatalogError::EpochOver { director: director.to_owned(), held: epoch, current });
        }
        Ok(Self { read, epoch, director })
    }

    /// The epoch it was granted for.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The Director it writes for.
    #[must_use]
    pub fn director(&self) -> &str {
        self.director
    }

    /// Runs a statement; returns the number of rows changed.
    ///
    /// # Errors
    /// Those of the database.
    pub fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64> {
        self.read.connection.execute(sql, params)
    }

    /// Runs an INSERT and returns the value of its `key` column.
    ///
    /// # Errors
    /// Those of the database.
    pub fn insert(&self, sql: &str, key: &str, params: &[Value<'_>]) -> Result<i64> {
        self.read.connection.insert(sql, key, params)
    }

    /// Waits until no other instance changes the schema, and keeps others from it until the end of the transaction.
    pub(crate) fn lock_schema(&self) -> Result<()> {
        crate::schema::lock(self.read.connection)
    }

    /// Adds many rows to a table.
    ///
    /// # Errors
    /// Those of the database.
    pub fn load(&self, table: &str, columns: &[Column], values: &[Value<'_>]) -> Result<()> {
        self.read.connection.load(table, columns, values)
    }
}

impl<'c> Deref for WriteTx<'c> {
    type Target = ReadTx<'c>;

    fn deref(&self) -> &Self::Target {
        &self.read
    }
}
