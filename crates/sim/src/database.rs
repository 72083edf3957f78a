//! The catalog's server: SQLite in memory, one for a thread, behind the daemons' own port. A world lives in a savepoint and leaves
//! nothing behind.

use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use catalog::sqlite::SqliteBackend;
use catalog::{
    Backend, Catalog, CatalogError, Column, Connection, Dialect, ReadTx, Result, Row, TxMode, Value, Zone,
};

use crate::DIRECTOR;

thread_local! {
    static SERVER: OnceCell<Box<dyn Connection>> = const { OnceCell::new() };
    static OBSERVER: OnceCell<Catalog> = const { OnceCell::new() };
}

/// The database of a world, from its beginning to its end.
#[derive(Debug)]
pub(crate) struct Database {
    timeline: AtomicU32,
}

impl Database {
    /// Begins.
    ///
    /// # Errors
    /// Those of the database.
    pub(crate) fn begin() -> Result<Self> {
        SERVER.with(|server| {
            if server.get().is_none() {
                let connection = SqliteBackend::in_memory(Zone::utc())?;
                // The tables are made once, outside of every world.
                server.get_or_init(|| connection);
                let observer =
                    Catalog::open_inline(&(Arc::new(Access::new()) as Arc<dyn Backend>), DIRECTOR)?;
                OBSERVER.with(|slot| slot.get_or_init(|| observer).name().len());
            }
            let connection = server.get().ok_or(CatalogError::Closed)?;
            connection.batch("SAVEPOINT world")
        })?;
        Ok(Self { timeline: AtomicU32::new(1) })
    }

    /// What an observer outside reads, who is never cut off.
    ///
    /// # Errors
    /// Those of the database and of `work`.
    pub(crate) fn observe<T: Send + 'static>(
        &self,
        work: impl Fn(&ReadTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        OBSERVER.with(|observer| observer.get().ok_or(CatalogError::Closed)?.read_blocking(work))
    }

    /// Which history it is in.
    #[must_use]
    pub(crate) fn timeline(&self) -> u32 {
        self.timeline.load(Ordering::Relaxed)
    }

    /// A replica that has every commit becomes the server.
    pub(crate) fn fail_over(&self) {
        self.timeline.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let ended = SERVER.with(|server| match server.get() {
            Some(server) => server.batch("ROLLBACK TO world; RELEASE world"),
            None => Ok(()),
        });
        debug_assert!(ended.is_ok(), "the savepoint of a world is there until its end");
    }
}

/// How one process reaches the server.
#[derive(Debug)]
pub(crate) struct Access {
    is_reachable: AtomicBool,
}

impl Access {
    /// Undisturbed.
    #[must_use]
    pub(crate) fn new() -> Self {
        Self { is_reachable: AtomicBool::new(true) }
    }

    /// Whether it can be reached from now on.
    pub(crate) fn set_reachable(&self, is_reachable: bool) {
        self.is_reachable.store(is_reachable, Ordering::Relaxed);
    }

    /// Whether it can be reached.
    #[must_use]
    pub(crate) fn is_reachable(&self) -> bool {
        self.is_reachable.load(Ordering::Relaxed)
    }
}

impl Default for Access {
    fn default() -> Self {
        Self::new()
    }
}

/// [`Backend`] over an [`Access`].
pub(crate) struct Server(pub(crate) Arc<Access>);

impl Backend for Server {
    fn connect(&self, _mode: TxMode) -> Result<Box<dyn Connection>> {
        Ok(Box::new(Session(Arc::clone(&self.0))))
    }

    fn describe(&self) -> String {
        "the simulated catalog".to_owned()
    }
}

impl Backend for Access {
    fn connect(&self, _mode: TxMode) -> Result<Box<dyn Connection>> {
        Ok(Box::new(Session(Arc::new(Self::new()))))
    }

    fn describe(&self) -> String {
        "the simulated catalog".to_owned()
    }
}

struct Session(Arc<Access>);

fn on<T>(act: impl FnOnce(&dyn Connection) -> Result<T>) -> Result<T> {
    SERVER.with(|server| act(&**server.get().ok_or(CatalogError::Closed)?))
}

impl Connection for Session {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn zone(&self) -> &Zone {
        static UTC: std::sync::OnceLock<Zone> = std::sync::OnceLock::new();
        UTC.get_or_init(Zone::utc)
    }

    fn begin(&self, _mode: TxMode) -> Result<()> {
        if !self.0.is_reachable() {
            let (database, problem) = ("the simulated catalog".to_owned(), "the link is cut".to_owned());
            return Err(CatalogError::Away { database, problem });
        }
        on(|server| server.execute("SAVEPOINT one", &[])).map(drop)
    }

    fn commit(&self) -> Result<()> {
        on(|server| server.execute("RELEASE one", &[])).map(drop)
    }

    fn rollback(&self) {
        let undone = on(|server| {
            server.execute("ROLLBACK TO one", &[])?;
            server.execute("RELEASE one", &[])
        });
        debug_assert!(undone.is_ok(), "a transaction that was begun can be undone");
    }

    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64> {
        on(|server| server.execute(sql, params))
    }

    fn insert(&self, sql: &str, key: &str, params: &[Value<'_>]) -> Result<i64> {
        on(|server| server.insert(sql, key, params))
    }

    fn query(
        &self,
        sql: &str,
        params: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        on(|server| server.query(sql, params, each))
    }

    fn batch(&self, sql: &str) -> Result<()> {
        on(|server| server.batch(sql))
    }

    fn load(&self, table: &str, columns: &[Column], values: &[Value<'_>]) -> Result<()> {
        on(|server| server.load(table, columns, values))
    }
}
