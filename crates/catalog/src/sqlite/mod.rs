//! SQLite backend: one file, WAL, every commit synced.

mod import;

pub use import::{Imported, import};

use crate::error::{CatalogError, Result, act_of};
use crate::port::{Backend, Column, Connection, Dialect, TxMode};
use crate::service::Catalog;
use crate::time::{LocalTime, Zone};
use crate::value::{Row, RowSource, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// As Bacula's creation script sets it.
const FILE_MODE: u32 = 0o640;

/// How long another program (a dump, a `sqlite3` session) may hold the database before a statement fails.
const BUSY_LIMIT: Duration = Duration::from_secs(30);

/// Prepared statements kept per connection; there are about as many texts.
const STATEMENTS_MAX: usize = 256;

/// Bytes of write-ahead log kept on disk between bursts.
const WAL_BYTES_KEPT: i64 = 64 << 20;

/// Page cache of the writing connection, KiB; the readers have a quarter. Part of the Director's memory bound.
const CACHE_KIB: i64 = 16 * 1024;

/// The SQLite database in one file.
pub struct SqliteBackend {
    path: PathBuf,
    zone: Zone,
}

impl SqliteBackend {
    /// For the file at `path`, created at the first connection; wall-clock columns are in `zone`.
    #[must_use]
    pub fn new(path: &Path, zone: Zone) -> Self {
        Self { path: path.to_owned(), zone }
    }

    /// A connection to a database of its own that is in memory and ends with it. For simulation.
    ///
    /// # Errors
    /// Those of the database.
    pub fn in_memory(zone: Zone) -> Result<Box<dyn Connection>> {
        let connection =
            rusqlite::Connection::open_in_memory().map_err(|e| failed("open a database in memory", e))?;
        set_up(&connection, TxMode::Write).map_err(|e| failed("prepare the SQLite connection", e))?;
        Ok(Box::new(SqliteConnection { connection, zone }))
    }
}

impl Catalog {
    /// Opens (or creates) the embedded catalog in the file at `path` for the Director `director`.
    ///
    /// The path is `<WorkingDirectory>/<DB Name>.db` (spec/05 §3).
    ///
    /// # Errors
    /// [`CatalogError::Open`], [`CatalogError::Generation`] and those of the database.
    pub fn open_sqlite(path: &Path, director: &str) -> Result<Self> {
        Self::open(Arc::new(SqliteBackend::new(path, Zone::system())), director)
    }
}

impl Backend for SqliteBackend {
    fn connect(&self, mode: TxMode) -> Result<Box<dyn Connection>> {
        let connection = self.open_file().map_err(|e| CatalogError::Open {
            database: self.describe(),
            problem: format!("{e}; check that its directory exists and belongs to the Director's user"),
        })?;
        set_up(&connection, mode).map_err(|e| failed("prepare the SQLite connection", e))?;
        Ok(Box::new(SqliteConnection { connection, zone: self.zone.clone() }))
    }

    fn describe(&self) -> String {
        self.path.display().to_string()
    }
}

impl SqliteBackend {
    fn open_file(&self) -> rusqlite::Result<rusqlite::Connection> {
        self.create_private();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX
            | OpenFlags::SQLITE_OPEN_EXRESCODE;
        rusqlite::Connection::open_with_flags(&self.path, flags)
    }
}

impl SqliteBackend {
    /// Creates the file for its owner and group only: it names every file of every client. A failure shows when SQLite opens it.
    fn create_private(&self) {
        let created = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&self.path);
        match created {
            Ok(_) => tracing::debug!(path = %self.path.display(), "created the catalog file"),
            Err(error) => tracing::trace!(path = %self.path.display(), %error, "the catalog file was there"),
        }
    }
}

fn set_up(connection: &rusqlite::Connection, mode: TxMode) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_LIMIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    // WAL with FULL: each commit syncs the log, so what is acknowledged survives a power cut.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // After a burst the log is cut back to this, instead of staying as long as it ever was.
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES_KEPT, |_| Ok(()))?;
    connection.pragma_update(None, "foreign_keys", "OFF")?;
    // Sorts beyond the page cache go to a file: a restore tree of millions of files must not be sorted in memory.
    connection.pragma_update(None, "temp_store", "FILE")?;
    let cache = match mode {
        TxMode::Write => CACHE_KIB,
        TxMode::Read => CACHE_KIB / 4,
    };
    connection.pragma_update(None, "cache_size", -cache)?;
    if mode == TxMode::Read {
        connection.pragma_update(None, "query_only", "ON")?;
    }
    Ok(())
}

struct SqliteConnection {
    connection: rusqlite::Connection,
    zone: Zone,
}

impl Connection for SqliteConnection {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn zone(&self) -> &Zone {
        &self.zone
    }

    fn begin(&self, mode: TxMode) -> Result<()> {
        let sql = match mode {
            TxMode::Read => "BEGIN DEFERRED",
            TxMode::Write => "BEGIN IMMEDIATE",
        };
        self.simple(sql)
    }

    fn commit(&self) -> Result<()> {
        self.simple("COMMIT")
    }

    fn rollback(&self) {
        // A statement that failed hard (disk full) has already ended the transaction.
        if !self.connection.is_autocommit()
            && let Err(error) = self.simple("ROLLBACK")
        {
            tracing::error!(%error, "roll back a catalog transaction");
        }
    }

    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| failed(sql, e))?;
        let changed = statement.execute(rusqlite::params_from_iter(params.iter().map(Bound)));
        changed.map(|n| n as u64).map_err(|e| failed(sql, e))
    }

    fn insert(&self, sql: &str, _key: &str, params: &[Value<'_>]) -> Result<i64> {
        self.execute(sql, params)?;
        Ok(self.connection.last_insert_rowid())
    }

    fn query(
        &self,
        sql: &str,
        params: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| failed(sql, e))?;
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement
            .query(rusqlite::params_from_iter(params.iter().map(Bound)))
            .map_err(|e| failed(sql, e))?;
        while let Some(row) = rows.next().map_err(|e| failed(sql, e))? {
            each(&Row::new(&SqliteRow { row, names: &names }, &self.zone))?;
        }
        Ok(())
    }

    fn batch(&self, sql: &str) -> Result<()> {
        self.connection.execute_batch(sql).map_err(|e| failed(sql, e))
    }

    fn load(&self, table: &str, columns: &[Column], values: &[Value<'_>]) -> Result<()> {
        let names: Vec<&str> = columns.iter().map(|c| c.name).collect();
        let places: Vec<String> = (1..=columns.len()).map(|n| format!("?{n}")).collect();
        let sql = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), places.join(", "));
        let mut statement = self.connection.prepare_cached(&sql).map_err(|e| failed(&sql, e))?;
        for row in values.chunks_exact(columns.len()) {
            statement
                .execute(rusqlite::params_from_iter(row.iter().map(Bound)))
                .map_err(|e| failed(&sql, e))?;
        }
        Ok(())
    }
}

impl SqliteConnection {
    fn simple(&self, sql: &str) -> Result<()> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|e| failed(sql, e))?;
        statement.execute([]).map(drop).map_err(|e| failed(sql, e))
    }
}

/// A value as a bound parameter.
struct Bound<'a>(&'a Value<'a>);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let borrowed = match *self.0 {
            Value::Null => ValueRef::Null,
            Value::Int(i) => ValueRef::Integer(i),
            Value::Real(r) => ValueRef::Real(r),
            Value::Text(t) => ValueRef::Text(t),
            Value::Blob(b) => ValueRef::Blob(b),
            Value::Time(t) => return Ok(ToSqlOutput::Owned(time_text(t).into())),
        };
        Ok(ToSqlOutput::Borrowed(borrowed))
    }
}

fn time_text(time: LocalTime) -> String {
    time.to_string()
}

struct SqliteRow<'a> {
    row: &'a rusqlite::Row<'a>,
    names: &'a [String],
}

impl RowSource for SqliteRow<'_> {
    fn len(&self) -> usize {
        self.names.len()
    }

    fn name(&self, index: usize) -> &str {
        self.names.get(index).map_or("", String::as_str)
    }

    fn value(&self, index: usize) -> Value<'_> {
        match self.row.get_ref(index) {
            Ok(ValueRef::Integer(i)) => Value::Int(i),
            Ok(ValueRef::Real(r)) => Value::Real(r),
            Ok(ValueRef::Text(t)) => Value::Text(t),
            Ok(ValueRef::Blob(b)) => Value::Blob(b),
            Ok(ValueRef::Null) | Err(_) => Value::Null,
        }
    }
}

/// Sorts a database error by what the caller can do about it.
fn failed(sql: &str, error: rusqlite::Error) -> CatalogError {
    let act = act_of(sql);
    let (code, detail) = match &error {
        rusqlite::Error::SqliteFailure(code, detail) => (Some(code.code), detail.clone().unwrap_or_default()),
        _ => (None, String::new()),
    };
    match code {
        Some(ErrorCode::ConstraintViolation) => CatalogError::Conflict { act, detail },
        Some(ErrorCode::DiskFull) => CatalogError::DiskFull { act },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => CatalogError::Busy { act },
        _ => CatalogError::Database { act, source: Box::new(error) },
    }
}
