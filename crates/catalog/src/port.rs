//! The port: what a database must do for the typed queries.

use crate::error::Result;
use crate::time::Zone;
use crate::value::{Row, Value};
use std::time::Duration;
use types::Epoch;

/// The differences between databases that the typed queries must know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite 3: dates are text, unset ones 0; parameters `?1`.
    Sqlite,
    /// PostgreSQL 13 and later: `timestamp` columns; a backend rewrites `?1` to `$1`.
    Postgres,
}

/// How a transaction begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxMode {
    /// Sees one state of the catalog, changes nothing.
    Read,
    /// May write; on SQLite the write lock is taken at once, so that it never fails halfway for another writer.
    Write,
}

/// One connection, used by one thread. Object-safe and synchronous: a backend whose driver is asynchronous blocks its thread.
///
/// Parameters are written `?1`, `?2` … in the SQL text, each number may be used several times.
pub trait Connection: Send {
    /// Which SQL it speaks.
    fn dialect(&self) -> Dialect;

    /// The zone of its wall-clock columns.
    fn zone(&self) -> &Zone;

    /// Begins a transaction; there is none open.
    ///
    /// # Errors
    /// Those of the database.
    fn begin(&self, mode: TxMode) -> Result<()>;

    /// Makes the transaction durable: when this returns, a power cut does not undo it.
    ///
    /// # Errors
    /// Those of the database; the transaction is then undone, but for [`crate::CatalogError::OutcomeUnknown`].
    fn commit(&self) -> Result<()>;

    /// Undoes the transaction. Failure is logged, not returned: the connection is reset then.
    fn rollback(&self);

    /// Runs a statement, prepared and cached by its text. Returns the number of rows changed.
    ///
    /// # Errors
    /// Those of the database.
    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64>;

    /// Runs an INSERT and returns the new row's key, the value of `key` (an integer column filled by the database).
    ///
    /// # Errors
    /// Those of the database.
    fn insert(&self, sql: &str, key: &str, params: &[Value<'_>]) -> Result<i64>;

    /// Runs a query; `each` sees the rows one by one as the database yields them, and stops it by an error.
    ///
    /// # Errors
    /// Those of the database and of `each`.
    fn query(
        &self,
        sql: &str,
        params: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()>;

    /// Runs several statements without parameters (schema steps).
    ///
    /// # Errors
    /// Those of the database.
    fn batch(&self, sql: &str) -> Result<()>;

    /// Adds rows to a table in the way that is fastest for many. `values` are the rows one after another, each as long as
    /// `columns`.
    ///
    /// # Errors
    /// Those of the database.
    fn load(&self, table: &str, columns: &[Column], values: &[Value<'_>]) -> Result<()>;

    /// Whether another transaction can be begun. A connection that broke, or whose state is not known, is replaced.
    fn is_usable(&self) -> bool {
        true
    }

    /// A name for the write transaction that was begun last, by which [`Connection::outcome`] knows it on another connection.
    fn transaction(&self) -> Option<String> {
        None
    }

    /// Whether the transaction with this name was committed (`Some(true)`) or undone; none when that cannot be known.
    ///
    /// # Errors
    /// Those of the database.
    fn outcome(&self, transaction: &str) -> Result<Option<bool>> {
        let _ = transaction;
        Ok(None)
    }
}

/// A column that [`Connection::load`] fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub holds: Holds,
}

/// What a column holds: bulk loads must say it byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// 16 bits.
    Small,
    /// 32 bits.
    Int,
    /// 64 bits.
    Big,
    /// Text.
    Text,
}

/// Opens connections to one database. The service opens one for writing and a few for reading.
pub trait Backend: Send + Sync {
    /// A new connection.
    ///
    /// # Errors
    /// [`crate::CatalogError::Open`] and those of the database.
    fn connect(&self, mode: TxMode) -> Result<Box<dyn Connection>>;

    /// A new connection for one read whose rows go to something slow.
    ///
    /// # Errors
    /// As [`Backend::connect`].
    fn connect_long(&self) -> Result<Box<dyn Connection>> {
        self.connect(TxMode::Read)
    }

    /// A new connection for the lease of a leadership: each statement is over, or has failed, within `limit`.
    ///
    /// # Errors
    /// As [`Backend::connect`].
    fn connect_lease(&self, limit: Duration) -> Result<Box<dyn Connection>> {
        let _ = limit;
        self.connect(TxMode::Write)
    }

    /// This instance has become active in `epoch`: its connections, those open and those to come, are named after it.
    fn activated(&self, holder: &str, epoch: Epoch) {
        let _ = (holder, epoch);
    }

    /// A Storage Daemon has been told of an epoch of this timeline, and the server that is used is of a lower one: it was left behind.
    /// Where there is another, this one is used no more.
    fn left_behind(&self, timeline: u32) {
        let _ = timeline;
    }

    /// What the operator calls this database (a path, or host and name).
    fn describe(&self) -> String;
}
