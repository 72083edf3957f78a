//! Steps and full text agree; older catalogs are taken up with their rows; what is not known is refused.

use super::*;
use crate::port::Backend;
use crate::sqlite::SqliteBackend;
use crate::time::Zone;
use std::path::Path;

mod postgres;

fn connect(path: &Path) -> Box<dyn Connection> {
    SqliteBackend::new(path, Zone::utc()).connect(TxMode::Write).unwrap()
}

/// Every table, column and index, without regard to how the text was written.
fn shape(connection: &dyn Connection) -> Vec<String> {
    let r = ReadTx::new(connection);
    let mut shape: Vec<String> = r
        .all(
            "SELECT m.name || ' ' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || COALESCE(c.dflt_value, '-') || ' ' || c.pk \
             FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'",
            &[],
            |row| row.at(0),
        )
        .unwrap();
    let indexes: Vec<String> = r
        .all(
            "SELECT m.tbl_name || ' ' || m.name || ' ' || c.seqno || ' ' || c.name FROM sqlite_master m JOIN pragma_index_info(m.name) c \
             WHERE m.type = 'index'",
            &[],
            |row| row.at(0),
        )
        .unwrap();
    shape.extend(indexes);
    shape.sort();
    shape
}

#[test]
fn the_steps_give_the_full_schema_and_can_be_repeated() {
    let dir = tempfile::tempdir().unwrap();
    let full = connect(&dir.path().join("full.db"));
    prepare(&*full, "full").unwrap();

    let stepped = connect(&dir.path().join("stepped.db"));
    stepped.batch(BACULA_SQLITE).unwrap();
    for step in STEPS.iter().chain(STEPS) {
        step.apply(&*stepped).unwrap();
    }
    let expected = shape(&*full);
    assert!(expected.len() > 400, "{} entries", expected.len());
    assert_eq!(shape(&*stepped), expected);
    prepare(&*full, "full").unwrap();
    assert_eq!(shape(&*full), expected);
}

#[test]
fn every_older_step_is_taken_up_with_its_rows() {
    for done in 0..STEPS.len() {
        let dir = tempfile::tempdir().unwrap();
        let old = connect(&dir.path().join("old.db"));
        old.batch(BACULA_SQLITE).unwrap();
        old.batch("INSERT INTO Job (JobId, Job, Name, Type, Level, JobStatus, SchedTime) VALUES (7, 'J.1', 'J', 'B', 'F', 'T', '2026-11-23 15:07:25')")
            .unwrap();
        for step in &STEPS[..done] {
            step.apply(&*old).unwrap();
        }
        if done > 0 {
            record_step(&*old, done as i64).unwrap();
            old.batch("INSERT INTO hf_attempt (JobId, Attempt, State, Epoch, GrantedAt) VALUES (7, 1, 'open', 3, 1)").unwrap();
        }
        prepare(&*old, "old").unwrap();
        let r = ReadTx::new(&*old);
        assert_eq!(crate::job::get(&r, types::JobId(7)).unwrap().unwrap().name, "J");
        assert_eq!(crate::attempt::list_open(&r).unwrap().len(), usize::from(done > 0));
        assert_eq!(steps_done(&*old).unwrap(), STEPS.len() as i64);
        // The numbers begin above what is there.
        assert_eq!(crate::highwater::highest(&r, crate::highwater::Sequence::JobId).unwrap(), 7);
    }
}

#[test]
fn other_generations_and_newer_steps_are_refused_with_what_to_do() {
    for (found, hint) in [
        (14, "update scripts"),
        (16, "catalog import"),
        (1022, "catalog import"),
        (1025, "catalog import"),
        (1027, "newer Bacula"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let other = connect(&dir.path().join("other.db"));
        other
            .batch(&format!("CREATE TABLE Version (VersionId INTEGER); INSERT INTO Version VALUES ({found})"))
            .unwrap();
        let refused = prepare(&*other, "other.db").unwrap_err();
        let text = refused.to_string();
        assert!(matches!(refused, CatalogError::Generation { found: f, .. } if f == found));
        assert!(text.contains(hint), "{text}");
        assert!(!has_table(&*other, "hf_catalog").unwrap(), "a refused catalog is not touched");
    }
    let dir = tempfile::tempdir().unwrap();
    let newer = connect(&dir.path().join("newer.db"));
    prepare(&*newer, "newer").unwrap();
    record_step(&*newer, STEPS.len() as i64 + 1).unwrap();
    assert!(prepare(&*newer, "newer.db").unwrap_err().to_string().contains("newer Holdfast"));
}

#[test]
fn a_catalog_keeps_its_identity() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.db");
    let id = |path: &Path| {
        let connection = connect(path);
        prepare(&*connection, "c").unwrap();
        crate::identity::load(&ReadTx::new(&*connection)).unwrap()
    };
    let first = id(&path);
    assert_eq!(id(&path), first);
    assert_ne!(id(&dir.path().join("other.db")), first);
}
