//! The schema: created on first start, stepped afterwards.
//!
//! Bacula's part is generation 1026 exactly (spec/05 §2); Holdfast's own tables begin with `hf_`. A new catalog gets the full
//! text of both; one that is there gets the steps that it lacks, by the number in `hf_schema`: a catalog made by Bacula all
//! of them. Steps are idempotent and run in one transaction with their number. A test proves that steps and full text agree.

use crate::error::{CatalogError, Result};
use crate::port::{Connection, Dialect, TxMode};
use crate::service::in_transaction;
use crate::tx::ReadTx;

/// The generation of Bacula's schema that this program works on.
pub const GENERATION: i64 = 1026;

const BACULA_SQLITE: &str = include_str!("sqlite_1026.sql");
const BACULA_POSTGRES: &str = include_str!("postgres_1026.sql");
/// Holdfast's tables as all steps leave them.
const HOLDFAST: &str = include_str!("holdfast.sql");

/// Number n is `STEPS[n - 1]`. A step that was released is never changed; the next is appended, and [`HOLDFAST`] follows.
const STEPS: &[Step] = &[
    Step { what: "Holdfast's own tables", change: Change::Sql(include_str!("steps/01_tables.sql")) },
    Step { what: "index of open attempts", change: Change::Sql(include_str!("steps/02_open_attempts.sql")) },
    Step {
        what: "key that makes a takeover wait for writers",
        change: Change::Sql(include_str!("steps/03_leader_epoch.sql")),
    },
    Step {
        what: "claims on leaderships",
        change: leader_column("ClaimedBy", "VARCHAR(128) NOT NULL DEFAULT ''"),
    },
    Step { what: "marks of writers", change: Change::Sql(include_str!("steps/05_writers.sql")) },
    Step { what: "claims by their ids", change: leader_column("Claim", "VARCHAR(32) NOT NULL DEFAULT ''") },
    Step { what: "leaderships given back", change: leader_column("Released", "INTEGER NOT NULL DEFAULT 0") },
    Step { what: "heirs of leaderships", change: leader_column("Heir", "VARCHAR(128) NOT NULL DEFAULT ''") },
    Step {
        what: "Storages and their cold spares",
        change: Change::Sql(include_str!("steps/09_storage.sql")),
    },
    Step { what: "index of copies", change: Change::Sql(include_str!("steps/10_prior_job.sql")) },
];

const fn leader_column(column: &'static str, definition: &'static str) -> Change {
    Change::Column { table: "hf_leader", column, definition }
}

struct Step {
    what: &'static str,
    change: Change,
}

/// What a step does, if it is not done yet.
enum Change {
    /// Statements that may be repeated.
    Sql(&'static str),
    /// One more column.
    Column { table: &'static str, column: &'static str, definition: &'static str },
}

impl Step {
    fn apply(&self, connection: &dyn Connection) -> Result<()> {
        match self.change {
            Change::Sql(sql) => connection.batch(sql),
            Change::Column { table, column, .. } if has_column(connection, table, column)? => Ok(()),
            Change::Column { table, column, definition } => {
                connection.batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {definition}"))
            }
        }
    }
}

/// Drawn at random: the advisory lock of all instances that change the schema of a database.
const SCHEMA_LOCK: i64 = 0x686f_6c64_6661_7374;

/// Brings the database behind `connection` to the current schema: creates all of it in an empty one, refuses a
/// generation it does not know, adds what is missing of Holdfast's own.
///
/// # Errors
/// [`CatalogError::Generation`]; those of the database.
pub(crate) fn prepare(connection: &dyn Connection, database: &str) -> Result<()> {
    in_transaction(connection, TxMode::Write, || {
        lock(connection)?;
        let created = generation(connection)?;
        check_encoding(connection, database, created.is_none())?;
        match created {
            None => {
                tracing::info!(database, "create the catalog");
                connection.batch(bacula(connection.dialect()))?;
                connection.batch(HOLDFAST)?;
                record_step(connection, STEPS.len() as i64)?;
            }
            Some(GENERATION) => step_up(connection, database)?,
            Some(found) => return Err(refuse(database, found)),
        }
        ensure_identity(connection)
    })
}

fn bacula(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Sqlite => BACULA_SQLITE,
        Dialect::Postgres => BACULA_POSTGRES,
    }
}

/// Waits until no other instance changes the schema; the lock goes with the transaction. Of two Directors that reach an
/// empty database at once, the second finds it made.
pub(crate) fn lock(connection: &dyn Connection) -> Result<()> {
    match connection.dialect() {
        // The write transaction is the lock.
        Dialect::Sqlite => Ok(()),
        Dialect::Postgres => {
            let lock = "SELECT 1 FROM (SELECT pg_advisory_xact_lock(?1)) AS locked";
            ReadTx::new(connection).scalar::<i64>(lock, crate::params![SCHEMA_LOCK]).map(drop)
        }
    }
}

/// Names of files are bytes of no particular encoding: a database that checks them refuses files in the middle of a job.
fn check_encoding(connection: &dyn Connection, database: &str, is_new: bool) -> Result<()> {
    if connection.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let encoding: Option<String> = ReadTx::new(connection).scalar("SHOW server_encoding", &[])?;
    match encoding.as_deref() {
        Some("SQL_ASCII") => Ok(()),
        Some(other) if is_new => Err(CatalogError::Open {
            database: database.to_owned(),
            problem: format!(
                "the empty database has the encoding {other}; names of files are bytes, so drop it and make it with: \
                 CREATE DATABASE … ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
            ),
        }),
        other => {
            tracing::warn!(
                database,
                encoding = other,
                "the catalog's encoding is not SQL_ASCII: files whose names are not valid in it cannot be stored"
            );
            Ok(())
        }
    }
}

/// `Version.VersionId`; none in an empty database.
fn generation(connection: &dyn Connection) -> Result<Option<i64>> {
    if !has_table(connection, "Version")? {
        return Ok(None);
    }
    ReadTx::new(connection).scalar("SELECT VersionId FROM Version", &[])
}

fn has_table(connection: &dyn Connection, table: &str) -> Result<bool> {
    let sql = match connection.dialect() {
        Dialect::Sqlite => "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1",
        Dialect::Postgres => {
            "SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename = lower(?1)"
        }
    };
    let found: Option<i64> = ReadTx::new(connection).scalar(sql, crate::params![table])?;
    Ok(found.is_some())
}

fn has_column(connection: &dyn Connection, table: &str, column: &str) -> Result<bool> {
    let sql = match connection.dialect() {
        Dialect::Sqlite => "SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2",
        Dialect::Postgres => {
            "SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(?1) AND attname = lower(?2) AND NOT attisdropped"
        }
    };
    let found: Option<i64> = ReadTx::new(connection).scalar(sql, crate::params![table, column])?;
    Ok(found.is_some())
}

fn step_up(connection: &dyn Connection, database: &str) -> Result<()> {
    let done = steps_done(connection)?;
    let known = STEPS.len() as i64;
    if done > known {
        return Err(CatalogError::Refused(format!(
            "catalog {database} was stepped by a newer Holdfast (step {done}, this one knows {known}); start that version"
        )));
    }
    for (index, step) in STEPS.iter().enumerate().skip(usize::try_from(done).unwrap_or(0)) {
        let number = index as i64 + 1;
        tracing::info!(database, step = number, what = step.what, "step the catalog's schema");
        step.apply(connection)?;
        record_step(connection, number)?;
    }
    Ok(())
}

fn record_step(connection: &dyn Connection, number: i64) -> Result<()> {
    connection.execute("DELETE FROM hf_schema", &[])?;
    connection.execute("INSERT INTO hf_schema (Step) VALUES (?1)", crate::params![number]).map(drop)
}

fn steps_done(connection: &dyn Connection) -> Result<i64> {
    if !has_table(connection, "hf_schema")? {
        return Ok(0);
    }
    Ok(ReadTx::new(connection).scalar("SELECT Step FROM hf_schema", &[])?.unwrap_or(0))
}

fn ensure_identity(connection: &dyn Connection) -> Result<()> {
    let rows: Option<i64> = ReadTx::new(connection).scalar("SELECT count(*) FROM hf_catalog", &[])?;
    if rows == Some(0) {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let now = jiff::Timestamp::now().as_second();
        connection
            .execute("INSERT INTO hf_catalog (Uuid, CreatedAt) VALUES (?1, ?2)", crate::params![&id, now])?;
    }
    Ok(())
}

fn refuse(database: &str, found: i64) -> CatalogError {
    let remedy = match found {
        16 => {
            "It is Bacula 9's: copy it with \"holdfast catalog import\" and give the Director the new DB Name"
        }
        1022..GENERATION => {
            "It is Bacula 11's to 14's: copy it with \"holdfast catalog import\" and give the Director the new DB Name"
        }
        ..GENERATION => {
            "Bring it to 16 or 1026 with Bacula's own update scripts first, or give the Director a new DB Name"
        }
        _ => {
            "It was made by a newer Bacula; start a Holdfast that knows it, or give the Director a new DB Name"
        }
    };
    CatalogError::Generation { database: database.to_owned(), found, remedy }
}

#[cfg(test)]
mod tests;
