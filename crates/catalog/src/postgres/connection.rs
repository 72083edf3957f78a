//! One connection: the synchronous port over the asynchronous driver.

use super::error::{ends_connection, failed, is_read_only, words};
use super::history::{History, Newest, Watch};
use super::label::Label;
use super::params::Bound;
use super::row::{Columns, PgRow};
use super::{Io, Limits, Purpose, copy, sql};
use crate::error::{CatalogError, Result, act_of};
use crate::port::{Column, Connection, Dialect, TxMode};
use crate::time::Zone;
use crate::value::{Row, Value};
use bytes::BytesMut;
use futures_util::{FutureExt, SinkExt, StreamExt, pin_mut};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::{Client, Statement};

/// Prepared statements kept; there are about as many texts, and those with lists of JobIds in them come and go.
const STATEMENTS_MAX: usize = 256;

/// How much longer than the server a statement is waited for: then the server is not answering at all.
const SLACK: Duration = Duration::from_secs(5);

/// Longest wait for a commit. It waits for a synchronous replica too; the outcome is not known when it is over.
const COMMIT_LIMIT: Duration = Duration::from_secs(60);

/// Rows of an abandoned result that are read over; a connection with more is given up instead.
const SKIPPED_ROWS_MAX: usize = 10_000;

pub(super) struct PgConnection {
    client: Client,
    io: Arc<Io>,
    database: String,
    label: Arc<Label>,
    label_generation: Cell<u64>,
    purpose: Purpose,
    limits: Limits,
    zone: Zone,
    prepared: RefCell<HashMap<String, Arc<Prepared>>>,
    /// The mode of the open transaction.
    mode: Cell<Option<TxMode>>,
    /// A statement of the open transaction failed: the server will undo it whatever is said.
    spoilt: Cell<bool>,
    usable: Cell<bool>,
    /// Marks of write transactions are kept (the schema is there).
    marks: Cell<bool>,
    /// The mark of the write transaction begun last.
    mark: RefCell<Option<String>>,
    /// Where there are several servers.
    watch: Arc<Watch>,
}

/// What tells whether a commit that had no answer was made: the row of the writer holds the mark of its last transaction. The
/// lock waits for a session of before that is still at it; and where a replica was promoted that lacks the transaction, it
/// lacks the mark too.
const MARK: &str = "SELECT Mark FROM hf_writer WHERE Director = ?1 AND Instance = ?2 FOR UPDATE";

struct Prepared {
    statement: Statement,
    /// For a statement with a result.
    columns: std::result::Result<Columns, String>,
}

/// Why a statement has no result.
enum Failure {
    /// No answer within this time.
    Late(Duration),
    Driver(tokio_postgres::Error),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Driver(error)
    }
}

impl PgConnection {
    pub(super) fn new(
        (client, watch): (Client, Arc<Watch>),
        io: Arc<Io>,
        database: String,
        label: Arc<Label>,
        label_generation: u64,
        (purpose, limits): (Purpose, Limits),
        zone: Zone,
    ) -> Self {
        Self {
            client,
            io,
            database,
            label,
            label_generation: Cell::new(label_generation),
            purpose,
            limits,
            zone,
            prepared: RefCell::default(),
            mode: Cell::new(None),
            spoilt: Cell::new(false),
            usable: Cell::new(true),
            marks: Cell::new(false),
            mark: RefCell::default(),
            watch,
        }
    }

    /// It is not used any more when a newer history is known than its server's.
    pub(super) fn watch(&self, newest: Arc<Newest>, history: History) {
        self.watch.begin(newest, history);
    }

    /// It is of no use any more.
    fn give_up(&self) {
        self.usable.set(false);
        self.watch.broke();
    }

    /// Settings of the session. Names of files are bytes, so no text is ever converted.
    pub(super) fn set_up(&self) -> Result<()> {
        let limits = self.limits;
        let statement = match self.purpose {
            // The server would count the time for which the receiver takes no rows.
            Purpose::LongRead => Duration::ZERO,
            Purpose::Write | Purpose::Read | Purpose::Lease(_) => limits.statement,
        };
        let network = limits.network.unwrap_or_default();
        let mut sql = format!(
            "SET client_encoding = 'SQL_ASCII'; SET standard_conforming_strings = on; SET datestyle = 'ISO, YMD'; \
             SET client_min_messages = warning; SET statement_timeout = {}; SET lock_timeout = {}; \
             SET idle_in_transaction_session_timeout = {}; SET tcp_user_timeout = {}; SET tcp_keepalives_idle = {}; \
             SET tcp_keepalives_interval = {}; SET tcp_keepalives_count = 3",
            statement.as_millis(),
            limits.lock.as_millis(),
            limits.idle.as_millis(),
            network.as_millis(),
            (limits.probe * 3).as_secs(),
            limits.probe.as_secs(),
        );
        match self.purpose {
            Purpose::Write => {
                sql.push_str("; ");
                sql.push_str(crate::file::PATHS_TABLE);
            }
            Purpose::Read | Purpose::LongRead => sql.push_str("; SET default_transaction_read_only = on"),
            Purpose::Lease(_) => {}
        }
        self.batch(&sql)?;
        if self.purpose == Purpose::Write {
            let there =
                "SELECT 1 FROM (SELECT to_regclass('hf_writer') AS it) AS writer WHERE it IS NOT NULL";
            self.query(there, &[], &mut |_| {
                self.marks.set(true);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Which history its server holds.
    pub(super) fn history(&self) -> Result<History> {
        let sql = "SELECT (SELECT system_identifier FROM pg_control_system()) AS System, \
                   substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) AS Timeline";
        let mut history = History { system: 0, timeline: 0 };
        self.query(sql, &[], &mut |row| {
            let timeline: String = row.get("Timeline")?;
            history.system = row.get::<i64>("System")?.cast_unsigned();
            history.timeline = u32::from_str_radix(&timeline, 16).unwrap_or(0);
            Ok(())
        })?;
        Ok(history)
    }

    fn statement_limit(&self) -> Duration {
        match self.purpose {
            // Its waits must be over when it says so: there is a lease to be kept.
            Purpose::Lease(limit) => limit,
            Purpose::Write | Purpose::Read | Purpose::LongRead => self.limits.statement + SLACK,
        }
    }

    fn wait<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    ) -> std::result::Result<T, Failure> {
        match self.io.handle().block_on(async { tokio::time::timeout(limit, work).await }) {
            Ok(done) => done.map_err(Failure::Driver),
            Err(_) => Err(Failure::Late(limit)),
        }
    }

    /// The error of a statement; notes what has become of transaction and connection.
    fn failed(&self, sql: &str, failure: &Failure) -> CatalogError {
        self.spoilt.set(true);
        let away = |problem: String| {
            self.give_up();
            CatalogError::Away { database: self.database.clone(), problem }
        };
        match failure {
            Failure::Late(limit) => {
                away(format!("no answer to \"{}\" within {} s", act_of(sql), limit.as_secs_f32()))
            }
            Failure::Driver(error) if ends_connection(error) || self.client.is_closed() => {
                away(format!("the connection broke: {}", words(error)))
            }
            Failure::Driver(error) if is_read_only(error) && self.mode.get() == Some(TxMode::Write) => {
                away("its server has become a replica".to_owned())
            }
            Failure::Driver(error) => failed(sql, error),
        }
    }

    /// The statement of a text, prepared once.
    fn prepared(&self, sql: &str) -> Result<Arc<Prepared>> {
        if let Some(known) = self.prepared.borrow().get(sql) {
            return Ok(Arc::clone(known));
        }
        let statement = self
            .wait(self.statement_limit(), self.client.prepare(&sql::rewrite(sql)))
            .map_err(|failure| self.failed(sql, &failure))?;
        let columns = Columns::of(&statement);
        let prepared = Arc::new(Prepared { statement, columns });
        let mut all = self.prepared.borrow_mut();
        if all.len() >= STATEMENTS_MAX {
            all.clear();
        }
        all.insert(sql.to_owned(), Arc::clone(&prepared));
        Ok(prepared)
    }

    fn simple(&self, sql: &str, limit: Duration) -> std::result::Result<(), Failure> {
        self.wait(limit, self.client.batch_execute(sql))
    }

    /// Reads over what is left of an abandoned result, or gives the connection up.
    fn skip(&self, mut rest: std::pin::Pin<&mut tokio_postgres::RowStream>) {
        for _ in 0..SKIPPED_ROWS_MAX {
            match self.wait(SLACK, async { rest.next().await.transpose() }) {
                Ok(Some(_)) => {}
                Ok(None) => return,
                Err(_) => break,
            }
        }
        self.give_up();
    }
}

impl Connection for PgConnection {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn zone(&self) -> &Zone {
        &self.zone
    }

    fn begin(&self, mode: TxMode) -> Result<()> {
        let mut sql = String::new();
        if let Some((name, generation)) = self.label.newer_than(self.label_generation.get()) {
            sql = format!("SET application_name = {}; ", quoted(&name));
            self.label_generation.set(generation);
        }
        sql.push_str(match mode {
            TxMode::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            TxMode::Write => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
        });
        let mark =
            (mode == TxMode::Write && self.marks.get()).then(|| uuid::Uuid::new_v4().simple().to_string());
        if let Some(mark) = &mark {
            let (director, instance) = (quoted(self.label.director()), quoted(self.label.instance()));
            let upsert = format!(
                "; INSERT INTO hf_writer (Director, Instance, Mark) VALUES ({director}, {instance}, '{mark}') \
                 ON CONFLICT (Director, Instance) DO UPDATE SET Mark = excluded.Mark"
            );
            sql.push_str(&upsert);
        }
        *self.mark.borrow_mut() = mark;
        self.spoilt.set(false);
        self.mode.set(Some(mode));
        self.simple(&sql, self.statement_limit()).map_err(|failure| self.failed("BEGIN", &failure))
    }

    fn commit(&self) -> Result<()> {
        if self.spoilt.get() && self.mode.get() == Some(TxMode::Write) {
            // The server would answer COMMIT with a silent ROLLBACK.
            return Err(CatalogError::Refused(
                "a catalog statement failed and its transaction was to be committed all the same; this is a bug, please report it"
                    .to_owned(),
            ));
        }
        let mode = self.mode.take();
        if self.client.is_closed() && mode == Some(TxMode::Write) {
            self.give_up();
            let problem = "the connection broke before the commit".to_owned();
            return Err(CatalogError::Away { database: self.database.clone(), problem });
        }
        // A timeout of the server would end the wait for a synchronous replica and call the commit done.
        let limit = match self.purpose {
            Purpose::Lease(limit) => limit,
            Purpose::Write | Purpose::Read | Purpose::LongRead => COMMIT_LIMIT,
        };
        let Err(failure) = self.simple("SET LOCAL statement_timeout = 0; COMMIT", limit) else {
            return Ok(());
        };
        match (self.failed("COMMIT", &failure), mode) {
            (CatalogError::Away { database, problem }, Some(TxMode::Write)) => {
                Err(CatalogError::OutcomeUnknown { database, problem })
            }
            // What was read was read.
            (CatalogError::Away { .. }, _) => Ok(()),
            (other, _) => Err(other),
        }
    }

    fn rollback(&self) {
        self.mode.set(None);
        if !self.is_usable() {
            return;
        }
        if self.simple("ROLLBACK", SLACK).is_err() {
            self.give_up();
        }
    }

    fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64> {
        let prepared = self.prepared(sql)?;
        let work = self.client.execute_raw(&prepared.statement, params.iter().map(Bound));
        self.wait(self.statement_limit(), work).map_err(|failure| self.failed(sql, &failure))
    }

    fn insert(&self, sql: &str, key: &str, params: &[Value<'_>]) -> Result<i64> {
        let sql = format!("{sql} RETURNING {key}");
        let mut id = 0;
        self.query(&sql, params, &mut |row| {
            id = row.at(0)?;
            Ok(())
        })?;
        Ok(id)
    }

    fn query(
        &self,
        sql: &str,
        params: &[Value<'_>],
        each: &mut dyn FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let prepared = self.prepared(sql)?;
        let columns = prepared.columns.as_ref().map_err(|e| CatalogError::Refused(e.clone()))?;
        let limit = self.statement_limit();
        let rows = self
            .wait(limit, self.client.query_raw(&prepared.statement, params.iter().map(Bound)))
            .map_err(|failure| self.failed(sql, &failure))?;
        pin_mut!(rows);
        loop {
            // Most rows are there already: entering the runtime for each would be the cost.
            let next = match rows.next().now_or_never() {
                Some(next) => next.transpose().map_err(Failure::Driver),
                None => self.wait(limit, async { rows.next().await.transpose() }),
            };
            let Some(row) = next.map_err(|failure| self.failed(sql, &failure))? else { return Ok(()) };
            if let Err(error) = each(&Row::new(&PgRow::new(&row, columns), &self.zone)) {
                self.skip(rows);
                return Err(error);
            }
        }
    }

    fn batch(&self, sql: &str) -> Result<()> {
        self.simple(sql, self.statement_limit()).map_err(|failure| self.failed(sql, &failure))
    }

    fn load(&self, table: &str, columns: &[Column], values: &[Value<'_>]) -> Result<()> {
        let sql = copy::statement(table, columns);
        let prepared = self.prepared(&sql)?;
        let misfit = std::cell::Cell::new(None);
        let work = async {
            let sink = self.client.copy_in(&prepared.statement).await?;
            pin_mut!(sink);
            let mut out = BytesMut::with_capacity(copy::CHUNK + copy::CHUNK / 4);
            copy::begin(&mut out);
            for row in values.chunks_exact(columns.len()) {
                if let Err(problem) = copy::row(&mut out, columns, row) {
                    // Dropping the sink without its end makes the server undo what came.
                    misfit.set(Some(problem));
                    return Ok(());
                }
                if out.len() >= copy::CHUNK {
                    sink.send(out.split().freeze()).await?;
                }
            }
            copy::end(&mut out);
            sink.send(out.split().freeze()).await?;
            sink.finish().await.map(drop)
        };
        self.wait(self.statement_limit(), work).map_err(|failure| self.failed(&sql, &failure))?;
        match misfit.take() {
            None => Ok(()),
            Some(problem) => {
                self.spoilt.set(true);
                Err(CatalogError::Refused(format!("{}: {problem}", act_of(&sql))))
            }
        }
    }

    fn is_usable(&self) -> bool {
        let is_open = self.usable.get() && !self.client.is_closed();
        if !is_open {
            // Its task may not have come so far.
            self.watch.broke();
        }
        is_open && self.watch.is_allowed()
    }

    fn transaction(&self) -> Option<String> {
        self.mark.borrow().clone()
    }

    fn outcome(&self, transaction: &str) -> Result<Option<bool>> {
        let mut last = None;
        let writer = [Value::from(self.label.director()), Value::from(self.label.instance())];
        self.query(MARK, &writer, &mut |row| {
            last = Some(row.at::<String>(0)?);
            Ok(())
        })?;
        // Without a row the catalog is one of before this instance's first transaction.
        Ok(Some(last.as_deref() == Some(transaction)))
    }
}

/// Text as a literal.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
