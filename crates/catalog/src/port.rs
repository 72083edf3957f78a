//! The port: what a database must do for the typed queries.

use crate::error::Result;
use crate::time::Zone;
use crate::value::{Row, Value};

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
    /// Those of the database; the transaction is then undone.
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
}

/// Opens connections to one database. The service opens one for writing and a few for reading.
pub trait Backend: Send + Sync {
    /// A new connection.
    ///
    /// # Errors
    /// [`crate::CatalogError::Open`] and those of the database.
    fn connect(&self, mode: TxMode) -> Result<Box<dyn Connection>>;

    /// What the operator calls this database (a path, or host and name).
    fn describe(&self) -> String;
}
