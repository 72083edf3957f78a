//! Takes over an older catalog of Bacula by copying it: the old file is only read, and Bacula can go on with it.

use super::SqliteBackend;
use crate::error::{CatalogError, Result};
use crate::params;
use crate::port::{Backend, Connection, TxMode};
use crate::schema;
use crate::service::in_transaction;
use crate::time::Zone;
use crate::tx::ReadTx;
use std::fmt::Write as _;
use std::path::Path;

/// Generations that can be copied: those with a Filename table (16), and those with the name in `File` (spec/05 §1).
const GENERATIONS: &[i64] = &[16, 1022, 1023, 1024, 1025, 1026];

/// Tables whose rows come from the program, not from the old catalog.
const OWN_ROWS: &[&str] = &["Version", "Status", "NextId"];

/// A table that was copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Its name.
    pub table: String,
    /// Rows, counted on both sides.
    pub rows: u64,
}

/// Copies the SQLite catalog in the file `old` into a new one in the file `new`, bringing it to generation 1026. JobIds,
/// MediaIds and all other keys stay. Either everything is copied or the new file is left without rows.
///
/// # Errors
/// [`CatalogError::Refused`] when `new` exists, or `old` is no catalog of a known generation; those of the database.
pub fn import(old: &Path, new: &Path) -> Result<Vec<Imported>> {
    if new.exists() {
        return Err(CatalogError::Refused(format!(
            "{} exists; a catalog is imported into a new file",
            new.display()
        )));
    }
    if !old.is_file() {
        return Err(CatalogError::Refused(format!("{} is no file", old.display())));
    }
    let backend = SqliteBackend::new(new, Zone::system());
    let connection = backend.connect(TxMode::Write)?;
    schema::prepare(&*connection, &backend.describe())?;
    connection.execute("ATTACH DATABASE ?1 AS old", params![&read_only_uri(old)])?;
    let generation = generation(&*connection, old)?;
    in_transaction(&*connection, TxMode::Write, || copy_all(&*connection, generation))
}

/// `file:…?mode=ro`: nothing can be written to the old catalog.
fn read_only_uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut uri = "file:".to_owned();
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => uri.push(byte.into()),
            other => {
                // Writing to a String cannot fail.
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri.push_str("?mode=ro");
    uri
}

fn generation(connection: &dyn Connection, old: &Path) -> Result<i64> {
    let found = ReadTx::new(connection).scalar::<i64>("SELECT VersionId FROM old.Version", &[]);
    match found {
        Ok(Some(generation)) if GENERATIONS.contains(&generation) => Ok(generation),
        Ok(Some(generation)) => Err(CatalogError::Refused(format!(
            "{} has schema generation {generation}; those that can be imported are {GENERATIONS:?}",
            old.display()
        ))),
        Ok(None) | Err(_) => Err(CatalogError::Refused(format!("{} is no catalog of Bacula", old.display()))),
    }
}

fn copy_all(connection: &dyn Connection, generation: i64) -> Result<Vec<Imported>> {
    let mut imported = Vec::new();
    for table in tables(connection, "main")?.into_iter().filter(|t| !t.starts_with("hf_")) {
        if OWN_ROWS.contains(&table.as_str()) || columns(connection, "old", &table)?.is_empty() {
            continue;
        }
        copy(connection, &table, generation)?;
        let rows = count(connection, "main", &table)?;
        let expected = count(connection, "old", &table)?;
        if rows != expected {
            return Err(CatalogError::Refused(format!(
                "table {table}: {rows} of {expected} rows could be copied; check the old catalog with dbcheck"
            )));
        }
        imported.push(Imported { table, rows });
    }
    Ok(imported)
}

fn copy(connection: &dyn Connection, table: &str, generation: i64) -> Result<u64> {
    let there = columns(connection, "old", table)?;
    let mut common = columns(connection, "main", table)?;
    common.retain(|c| there.iter().any(|t| t.eq_ignore_ascii_case(c)));
    let (mut into, mut from) = (common.join(", "), prefixed(&common));
    let mut source = format!("old.{table} AS t");
    if generation == 16 && matches!(table, "File" | "UnsavedFiles") {
        // Names are in a table of their own; one that is missing there (an orphan) has no name.
        into.push_str(", Filename");
        from.push_str(", COALESCE(n.Name, '')");
        source.push_str(" LEFT JOIN old.Filename AS n ON n.FilenameId = t.FilenameId");
    }
    connection.execute(&format!("INSERT INTO main.{table} ({into}) SELECT {from} FROM {source}"), &[])
}

fn prefixed(columns: &[String]) -> String {
    columns.iter().map(|c| format!("t.{c}")).collect::<Vec<_>>().join(", ")
}

/// Names come from our own schema or are compared with it; none is outside text.
fn tables(connection: &dyn Connection, schema: &str) -> Result<Vec<String>> {
    let sql = format!("SELECT name FROM {schema}.sqlite_master WHERE type = 'table' ORDER BY name");
    ReadTx::new(connection).all(&sql, &[], |row| row.at(0))
}

fn columns(connection: &dyn Connection, schema: &str, table: &str) -> Result<Vec<String>> {
    ReadTx::new(connection).all(
        "SELECT name FROM pragma_table_info(?1, ?2) ORDER BY cid",
        params![table, schema],
        |row| row.at(0),
    )
}

fn count(connection: &dyn Connection, schema: &str, table: &str) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM {schema}.{table}");
    Ok(ReadTx::new(connection).scalar(&sql, &[])?.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{file, job};
    use types::{FileIndex, JobId};

    /// Generation 16 as far as it differs in what is copied.
    const OLD_16: &str = "CREATE TABLE Version (VersionId INTEGER); INSERT INTO Version VALUES (16);
        CREATE TABLE Filename (FilenameId INTEGER PRIMARY KEY, Name TEXT);
        CREATE TABLE Path (PathId INTEGER PRIMARY KEY, Path TEXT);
        CREATE TABLE File (FileId INTEGER PRIMARY KEY, FileIndex INTEGER, JobId INTEGER, PathId INTEGER, FilenameId INTEGER,
            DeltaSeq INTEGER DEFAULT 0, MarkId INTEGER DEFAULT 0, LStat TEXT, MD5 TEXT);
        CREATE TABLE Job (JobId INTEGER PRIMARY KEY, Job TEXT, Name TEXT, Type TEXT, Level TEXT, ClientId INTEGER DEFAULT 0,
            JobStatus TEXT, SchedTime TEXT, JobTDate INTEGER DEFAULT 0);
        INSERT INTO Filename VALUES (1, ''), (2, 'passwd'), (3, CAST(x'ff61' AS TEXT));
        INSERT INTO Path VALUES (5, '/etc/');
        INSERT INTO File (FileIndex, JobId, PathId, FilenameId, LStat, MD5) VALUES (1, 9, 5, 2, 'A', '0'), (2, 9, 5, 3, 'B', '0'),
            (3, 9, 5, 1, 'C', '0'), (4, 9, 5, 77, 'D', '0');
        INSERT INTO Job (JobId, Job, Name, Type, Level, JobStatus, SchedTime) VALUES (9, 'J.1', 'J', 'B', 'F', 'T', '2026-11-23 15:07:25');";

    fn old(path: &Path, sql: &str) {
        let connection = SqliteBackend::new(path, Zone::utc()).connect(TxMode::Write).unwrap();
        connection.batch(sql).unwrap();
    }

    #[test]
    fn a_catalog_of_generation_16_is_copied_with_its_names_as_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("old catalog.db"), dir.path().join("new.db"));
        old(&from, OLD_16);
        let imported = import(&from, &to).unwrap();
        let rows = |table: &str| imported.iter().find(|i| i.table == table).map(|i| i.rows);
        assert_eq!(
            (rows("File"), rows("Job"), rows("Filename"), rows("Version")),
            (Some(4), Some(1), None, None)
        );

        let new = SqliteBackend::new(&to, Zone::utc()).connect(TxMode::Read).unwrap();
        let r = ReadTx::new(&*new);
        assert_eq!(job::get(&r, JobId(9)).unwrap().unwrap().unique_name, "J.1");
        let mut names = Vec::new();
        file::for_each_of_job(&r, JobId(9), |row| {
            names.push((row.file_index, row.name));
            Ok(())
        })
        .unwrap();
        let expected = [(1, &b"passwd"[..]), (2, b"\xffa"), (3, b""), (4, b"")];
        assert_eq!(names, expected.map(|(index, name)| (FileIndex(index), name.to_vec())));
        assert!(import(&from, &to).unwrap_err().to_string().contains("exists"));
    }

    #[test]
    fn what_is_no_catalog_or_too_old_is_refused_and_untouched() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("old.db");
        old(&from, "CREATE TABLE Version (VersionId INTEGER); INSERT INTO Version VALUES (14)");
        let refused = import(&from, &dir.path().join("a.db")).unwrap_err();
        assert!(refused.to_string().contains("generation 14"), "{refused}");
        std::fs::write(
            dir.path().join("text"),
            "no database, but long enough to be looked at as one".repeat(40),
        )
        .unwrap();
        assert!(import(&dir.path().join("text"), &dir.path().join("b.db")).is_err());
        assert!(import(&dir.path().join("none"), &dir.path().join("c.db")).is_err());
    }
}
