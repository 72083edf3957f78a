//! The same on PostgreSQL, and that both spellings have the same tables and columns.

use super::*;
use crate::postgres::{PostgresBackend, PostgresSettings, Tls};
use std::collections::BTreeSet;
use testkit::postgres::{CATALOG_USER, Postgres};

fn connect(server: &Postgres, database: &str) -> Box<dyn Connection> {
    let settings = PostgresSettings {
        address: server.socket_dir().display().to_string(),
        port: server.port(),
        user: CATALOG_USER.to_owned(),
        password: String::new(),
        database: database.to_owned(),
        tls: Tls::default(),
        director: "dir".to_owned(),
        instance: "a".to_owned(),
        lease: None,
    };
    PostgresBackend::new(settings, Zone::utc()).unwrap().connect(TxMode::Write).unwrap()
}

/// Every column and index.
fn shape(connection: &dyn Connection) -> Vec<String> {
    let r = ReadTx::new(connection);
    let all = |sql: &str| r.all(sql, &[], |row| row.at::<String>(0)).unwrap();
    let mut shape = all(
        "SELECT table_name || ' ' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || COALESCE(column_default, '-') \
         FROM information_schema.columns WHERE table_schema = 'public'",
    );
    shape.extend(all("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"));
    shape.sort();
    shape
}

fn columns(connection: &dyn Connection, sql: &str) -> BTreeSet<String> {
    ReadTx::new(connection).all(sql, &[], |row| row.at(0)).unwrap().into_iter().collect()
}

#[test]
fn steps_give_the_full_schema_which_is_that_of_sqlite() {
    let server = Postgres::start().unwrap();
    for name in ["whole", "stepped", "older"] {
        server.create_database(name).unwrap();
    }
    let full = connect(&server, "whole");
    prepare(&*full, "full").unwrap();
    let stepped = connect(&server, "stepped");
    stepped.batch(BACULA_POSTGRES).unwrap();
    for step in STEPS.iter().chain(STEPS) {
        step.apply(&*stepped).unwrap();
    }
    let expected = shape(&*full);
    assert!(expected.len() > 400, "{} entries", expected.len());
    assert_eq!(shape(&*stepped), expected);
    prepare(&*full, "full").unwrap();
    assert_eq!(shape(&*full), expected);

    let dir = tempfile::tempdir().unwrap();
    let sqlite = super::connect(&dir.path().join("full.db"));
    prepare(&*sqlite, "full").unwrap();
    let there = columns(
        &*full,
        "SELECT table_name || ' ' || column_name FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name !~ '^file_j[0-9]+$'",
    );
    let mut here = columns(
        &*sqlite,
        "SELECT lower(m.name || ' ' || c.name) FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'",
    );
    // An obsolete table that only SQLite has (spec/05 §2.6).
    here.retain(|column| !column.starts_with("nextid "));
    assert_eq!(there, here);

    // A catalog of before the last steps keeps its rows.
    let old = connect(&server, "older");
    old.batch(BACULA_POSTGRES).unwrap();
    STEPS[0].apply(&*old).unwrap();
    record_step(&*old, 1).unwrap();
    old.batch("INSERT INTO hf_attempt (JobId, Attempt, State, Epoch, GrantedAt) VALUES (7, 1, 'open', 3, 1)")
        .unwrap();
    prepare(&*old, "old").unwrap();
    assert_eq!(crate::attempt::list_open(&ReadTx::new(&*old)).unwrap().len(), 1);
    assert_eq!(steps_done(&*old).unwrap(), STEPS.len() as i64);
}
