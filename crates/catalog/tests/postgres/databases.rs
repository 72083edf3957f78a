//! What only PostgreSQL has: databases made by others, partitions, encodings.

use crate::support::{T0, new_job, open, settings, wish};
use catalog::file::{self, Ingest, NewFile};
use catalog::{CatalogError, WriteTx, attempt, highwater, job, partition};
use testkit::postgres::{CATALOG_USER, Postgres};
use types::{FileIndex, JobId};

fn files(count: i32) -> Vec<NewFile> {
    let file = |i: i32| NewFile {
        file_index: FileIndex(i),
        path: format!("/d{}/", i % 100).into_bytes(),
        name: format!("f{i}").into_bytes(),
        lstat: "A B C".to_owned(),
        digest: "0".to_owned(),
        delta_seq: 0,
    };
    (1..=count).map(file).collect()
}

#[tokio::test]
async fn an_empty_database_is_initialised_once_by_two_at_once() {
    let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap().unwrap();
    for round in 0..3 {
        let name = format!("empty{round}");
        server.create_database(&name).unwrap();
        let (a, b) = tokio::join!(open(settings(&server, &name)), open(settings(&server, &name)));
        assert_eq!(a.unwrap().id(), b.unwrap().id());
        assert_eq!(server.psql(&name, "SELECT count(*) FROM version").unwrap(), "1");
        assert_eq!(server.psql(&name, "SELECT count(*) FROM status").unwrap(), "28");
    }
    // Its encoding would refuse names of files.
    let sql = format!("CREATE DATABASE utf8 OWNER {CATALOG_USER} ENCODING 'UTF8' TEMPLATE template0");
    server.psql("postgres", &sql).unwrap();
    let refused = open(settings(&server, "utf8")).await.err().unwrap();
    assert!(refused.to_string().contains("ENCODING 'SQL_ASCII'"), "{refused}");
    // A database that is not there, and a name of a role that is not.
    let nowhere = open(settings(&server, "nowhere")).await.err().unwrap();
    assert!(nowhere.to_string().contains("nowhere"), "{nowhere}");
}

#[tokio::test]
async fn files_go_to_the_partition_of_their_job() {
    let (server, catalog, epoch) = crate::support::active().await;
    let id = catalog
        .write(epoch, |tx| {
            highwater::raise(tx, highwater::Sequence::JobId, 29_999)?;
            let id = job::create(tx, &new_job("far"))?;
            let mut ingest = Ingest::new(id, false);
            ingest.insert(tx, &files(500), None)?;
            ingest.insert(tx, &files(500)[400..], None)?;
            Ok(id)
        })
        .await
        .unwrap();
    assert_eq!(id, JobId(30_000));
    let partitions =
        "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relname ~ '^file_j[0-9]+$'";
    assert_eq!(server.psql("bacula", partitions).unwrap(), "file_j0 file_j10000 file_j30000 file_j40000");
    assert_eq!(server.psql("bacula", "SELECT count(*) FROM file_j30000").unwrap(), "600");
    assert_eq!(server.psql("bacula", "SELECT count(*) FROM path").unwrap(), "100");
    assert_eq!(catalog.read(move |r| file::count(r, id)).await.unwrap(), 600);

    // Another program draws from the sequences and inserts as a Director of Bacula does.
    let stock = "INSERT INTO job (job, name, type, level, jobstatus, schedtime) VALUES ('S.1', 'S', 'B', 'F', 'C', now()) RETURNING jobid";
    assert_eq!(server.psql("bacula", stock).unwrap(), "30001");
    server
        .psql(
            "bacula",
            "INSERT INTO file (fileindex, jobid, pathid, filename, lstat, md5, deltaseq) \
             SELECT 1, 30001, pathid, 'x', 'A', '0', 0 FROM path LIMIT 1",
        )
        .unwrap();
    assert_eq!(catalog.read(move |r| file::count(r, JobId(30_001))).await.unwrap(), 1);
    assert_eq!(catalog.write(epoch, |tx| job::create(tx, &new_job("next"))).await.unwrap(), JobId(30_002));
}

#[tokio::test]
async fn the_partition_of_a_range_without_files_is_dropped_and_comes_back_for_a_job_that_is_taken_up_again() {
    let (server, catalog, epoch) = crate::support::active().await;
    let with_files = |tx: &WriteTx<'_>, name: &str| {
        let id = job::create(tx, &new_job(name))?;
        Ingest::new(id, false).insert(tx, &files(10), None)?;
        Ok(id)
    };
    let ids = catalog
        .write(epoch, move |tx| {
            let old = [with_files(tx, "a")?, with_files(tx, "b")?];
            highwater::raise(tx, highwater::Sequence::JobId, 20_000)?;
            Ok([old[0], old[1], with_files(tx, "c")?])
        })
        .await
        .unwrap();
    assert_eq!(ids.map(|id| id.0), [1, 2, 20_001]);
    let drop_unused = |purged: &[JobId]| {
        let (catalog, purged) = (catalog.clone(), purged.iter().copied().collect());
        async move { catalog.write(epoch, move |tx| partition::drop_unused(tx, &purged)).await }
    };
    // One of two jobs has files still; the newest range stays, whatever is purged of it.
    assert_eq!(drop_unused(&[ids[0], ids[2]]).await.unwrap(), [10_000]);
    assert_eq!(server.psql("bacula", "SELECT count(*) FROM file").unwrap(), "30");

    // A reader stands in the way: nothing is changed.
    let (reading, has_read) = std::sync::mpsc::channel();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let other = catalog.clone();
    let reader = tokio::spawn(async move {
        let read = other.read_long(move |r| {
            let count = file::count(r, JobId(1))?;
            let _ = reading.send(());
            let _ = wait.recv();
            Ok(count)
        });
        read.await
    });
    tokio::task::spawn_blocking(move || has_read.recv().unwrap()).await.unwrap();
    let busy = drop_unused(&ids[..2]).await;
    assert!(matches!(busy, Err(CatalogError::Busy { .. })), "{busy:?}");
    go.send(()).unwrap();
    assert_eq!(reader.await.unwrap().unwrap(), 10);
    assert_eq!(server.psql("bacula", "SELECT count(*) FROM job WHERE purgedfiles = 1").unwrap(), "0");

    assert_eq!(drop_unused(&ids[..2]).await.unwrap(), [0]);
    assert_eq!(server.psql("bacula", "SELECT count(*) FROM file").unwrap(), "10");
    let purged = "SELECT string_agg(jobid::text, ' ' ORDER BY jobid) FROM job WHERE purgedfiles = 1";
    assert_eq!(server.psql("bacula", purged).unwrap(), "1 2");
    catalog
        .write(epoch, move |tx| {
            attempt::grant(tx, ids[0], T0)?;
            Ingest::new(ids[0], false).insert(tx, &files(3), None)
        })
        .await
        .unwrap();
    assert!(
        drop_unused(&[ids[1]]).await.unwrap().is_empty(),
        "it has files again, though they were purged once"
    );
    assert_eq!(server.psql("bacula", "SELECT count(*) FROM file_j0").unwrap(), "3");
}

/// The tables as Bacula's own script makes them, as far as Holdfast's differ.
fn bacula_schema() -> String {
    let ours = include_str!("../../src/schema/postgres_1026.sql");
    let partitioned = "    PRIMARY KEY (FileId, JobId)\n) PARTITION BY RANGE (JobId);";
    assert!(ours.contains(partitioned));
    let plain = ours.replace(partitioned, "    PRIMARY KEY (FileId)\n);");
    plain.lines().filter(|line| !line.contains("PARTITION OF")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn a_catalog_of_bacula_is_used_as_it_is() {
    let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap().unwrap();
    server.create_database("bacula").unwrap();
    server.psql("bacula", &format!("SET ROLE {CATALOG_USER}; {}", bacula_schema())).unwrap();
    server
        .psql(
            "bacula",
            "INSERT INTO job (job, name, type, level, jobstatus, schedtime) VALUES ('S.1', 'S', 'B', 'F', 'T', now())",
        )
        .unwrap();
    let catalog = open(settings(&server, "bacula")).await.unwrap();
    let epoch = catalog.raise_epoch(wish("a", 7)).await.unwrap().epoch;
    let id = catalog
        .write(epoch, |tx| {
            let id = job::create(tx, &new_job("ours"))?;
            Ingest::new(id, false).insert(tx, &files(10), None)?;
            Ok(id)
        })
        .await
        .unwrap();
    assert_eq!(id, JobId(2));
    assert_eq!(catalog.read(move |r| file::count(r, id)).await.unwrap(), 10);
    assert_eq!(server.psql("bacula", "SELECT relkind FROM pg_class WHERE relname = 'file'").unwrap(), "r");
}
