//! Connections to PostgreSQL that break, servers that go away and come back: nothing is lost, nothing is done twice.

use crate::support::{active, jobs, new_job, open, settings, wish};
use catalog::{Catalog, CatalogError, ReadTx, job};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;
use testkit::postgres::Postgres;
use testkit::wait;
use types::Epoch;

const CUT_ALL: &str =
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name LIKE 'holdfast/%'";

#[tokio::test]
async fn broken_connections_are_replaced_and_undone_work_is_done_again() {
    let (server, catalog, epoch) = active().await;
    catalog.write(epoch, |tx| job::create(tx, &new_job("before"))).await.unwrap();
    assert_eq!(jobs(&catalog).await, ["before"]);

    // Between transactions.
    let cut: u32 = server.psql("bacula", CUT_ALL).unwrap().parse().unwrap();
    assert!(cut >= 2, "{cut} sessions were cut");
    assert_eq!(jobs(&catalog).await, ["before"]);
    catalog.write(epoch, |tx| job::create(tx, &new_job("after"))).await.unwrap();

    // In the middle of one: the first run is cut after its rows.
    let server = Arc::new(server);
    let (runs, cutter) = (Arc::new(AtomicU32::new(0)), Arc::clone(&server));
    let counted = Arc::clone(&runs);
    let id = catalog
        .write(epoch, move |tx| {
            let id = job::create(tx, &new_job("cut"))?;
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                cutter.psql("bacula", CUT_ALL).unwrap();
            }
            job::set_status(tx, id, types::JobStatus::Running)?;
            Ok(id)
        })
        .await
        .unwrap();
    assert_eq!(runs.load(Ordering::SeqCst), 2);
    assert_eq!(jobs(&catalog).await, ["before", "after", "cut"]);
    assert_eq!(id.0, 3);

    // A read.
    let (runs, cutter) = (Arc::new(AtomicU32::new(0)), Arc::clone(&server));
    let counted = Arc::clone(&runs);
    let found = catalog
        .read(move |r| {
            if counted.fetch_add(1, Ordering::SeqCst) == 0 {
                cutter.psql("bacula", CUT_ALL).unwrap();
            }
            job::get(r, id)
        })
        .await
        .unwrap();
    assert_eq!((found.unwrap().name.as_str(), runs.load(Ordering::SeqCst)), ("cut", 2));

    // Sessions are named after the activation.
    let names =
        "SELECT DISTINCT application_name FROM pg_stat_activity WHERE application_name LIKE 'holdfast/%'";
    let expected = catalog::postgres::application_name("lab-dir", "a", epoch);
    assert_eq!(server.psql("bacula", names).unwrap(), expected);
}

/// They broke before the servers were compared, which takes its time where one of them is dead.
#[tokio::test]
async fn connections_that_are_found_broken_later_do_not_have_the_servers_compared_again() {
    const READERS: usize = 3;
    let (server, dead) = tokio::task::spawn_blocking(|| {
        let server = Postgres::start().unwrap();
        server.create_database("bacula").unwrap();
        (server, TcpListener::bind("127.0.0.1:0").unwrap())
    })
    .await
    .unwrap();
    let mut both = settings(&server, "bacula");
    both.address = format!("127.0.0.1:{},127.0.0.1:{}", server.port(), dead.local_addr().unwrap().port());
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    // It closes what it accepts, each when it is asked in a comparison.
    thread::spawn(move || {
        for _ in dead.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let catalog = open(both).await.unwrap();
    let epoch = catalog.raise_epoch(wish("a", 7)).await.unwrap().epoch;
    let read_at_once = || async {
        let barrier = Arc::new(Barrier::new(READERS));
        let reads = (0..READERS).map(|_| {
            let (catalog, barrier) = (catalog.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                let list = move |r: &ReadTx<'_>| {
                    barrier.wait();
                    job::list_unfinished(r)
                };
                catalog.read(list).await
            })
        });
        for read in reads.collect::<Vec<_>>() {
            read.await.unwrap().unwrap();
        }
    };
    read_at_once().await;
    let before = asked.load(Ordering::SeqCst);
    server.psql("bacula", CUT_ALL).unwrap();
    wait::until("the sessions to be over", wait::START, || {
        let left = server.psql("bacula", &CUT_ALL.replace("pg_terminate_backend(pid)", "pid"))?;
        Ok((left == "0").then_some(()))
    })
    .unwrap();
    catalog.write(epoch, |tx| job::create(tx, &new_job("compared"))).await.unwrap();
    read_at_once().await;
    // Once, and perhaps once more where a connection was seen to break meanwhile.
    let more = asked.load(Ordering::SeqCst) - before;
    assert!((1..=2).contains(&more), "the servers were compared {more} times");
}

#[tokio::test]
async fn who_has_patience_waits_for_a_server_that_is_away() {
    let (mut server, catalog, epoch) = active().await;
    server.kill().unwrap();
    let hasty = catalog.with_patience(Duration::from_millis(300));
    let away = hasty.read(job::list_unfinished).await.unwrap_err();
    assert!(away.is_away(), "{away}");
    assert!(away.to_string().contains("bacula on"), "{away}");
    assert!(hasty.write(epoch, |tx| job::create(tx, &new_job("lost"))).await.unwrap_err().is_away());
    assert!(hasty.read_long(job::list_unfinished).await.unwrap_err().is_away());

    let patient = catalog.clone();
    let waiting =
        tokio::spawn(async move { patient.write(epoch, |tx| job::create(tx, &new_job("kept"))).await });
    let server = tokio::task::spawn_blocking(move || {
        server.resume().unwrap();
        server
    });
    let _server = server.await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().0, 1);
    assert_eq!(jobs(&catalog).await, ["kept"]);
}

#[tokio::test]
async fn the_host_that_can_be_written_is_found_before_and_after_a_failover() {
    let (mut primary, standby) = tokio::task::spawn_blocking(|| {
        let primary = Postgres::start().unwrap();
        primary.create_database("bacula").unwrap();
        let standby = primary.standby().unwrap();
        (primary, standby)
    })
    .await
    .unwrap();
    let mut both = settings(&primary, "bacula");
    both.address = format!("127.0.0.1:{},127.0.0.1:{}", standby.port(), primary.port());
    let catalog = open(both).await.unwrap();
    let epoch = catalog.raise_epoch(wish("a", 7)).await.unwrap().epoch;
    catalog.write(epoch, |tx| job::create(tx, &new_job("before"))).await.unwrap();

    let mut lease = catalog.lease_session(Duration::from_secs(5));
    let before = tokio::task::spawn_blocking(move || lease.server().unwrap()).await.unwrap();
    assert!(matches!(before.replication, catalog::lease::Replication::Asynchronous(_)), "{before:?}");

    let standby = tokio::task::spawn_blocking(move || {
        primary.wait_for(&standby).unwrap();
        primary.kill().unwrap();
        standby.promote().unwrap();
        standby
    })
    .await
    .unwrap();
    catalog.write(epoch, |tx| job::create(tx, &new_job("after"))).await.unwrap();
    assert_eq!(jobs(&catalog).await, ["before", "after"]);
    let mut lease = catalog.lease_session(Duration::from_secs(5));
    let after = tokio::task::spawn_blocking(move || lease.server().unwrap()).await.unwrap();
    assert_eq!(after.system, before.system);
    assert_eq!((before.timeline, after.timeline), (1, 2));
    drop(standby);
}

/// Both can be written then. Whoever has used the new one does not go back, and who starts anew takes the new one, too.
#[tokio::test]
async fn an_old_primary_that_comes_back_is_refused() {
    let (mut old, new) = tokio::task::spawn_blocking(|| {
        let primary = Postgres::start().unwrap();
        primary.create_database("bacula").unwrap();
        let standby = primary.standby().unwrap();
        (primary, standby)
    })
    .await
    .unwrap();
    let mut both = settings(&old, "bacula");
    both.address = format!("127.0.0.1:{},127.0.0.1:{}", old.port(), new.port());
    let catalog = open(both.clone()).await.unwrap();
    let epoch = catalog.raise_epoch(wish("a", 7)).await.unwrap().epoch;
    let (mut old, mut new) = tokio::task::spawn_blocking(move || {
        old.wait_for(&new).unwrap();
        old.kill().unwrap();
        new.promote().unwrap();
        (old, new)
    })
    .await
    .unwrap();
    catalog.write(epoch, |tx| job::create(tx, &new_job("new"))).await.unwrap();
    let (old, mut new) = tokio::task::spawn_blocking(move || {
        old.resume().unwrap();
        new.kill().unwrap();
        (old, new)
    })
    .await
    .unwrap();
    let hasty = catalog.with_patience(Duration::from_millis(300));
    let refused = hasty.write(epoch, |tx| job::create(tx, &new_job("old"))).await.unwrap_err();
    assert!(refused.is_away() && refused.to_string().contains("an old primary that came back"), "{refused}");
    let mut new = tokio::task::spawn_blocking(move || {
        new.resume().unwrap();
        new
    })
    .await
    .unwrap();
    catalog.write(epoch, |tx| job::create(tx, &new_job("newer"))).await.unwrap();
    assert_eq!(jobs(&catalog).await, ["new", "newer"]);
    let fresh = open(both.clone()).await.unwrap();
    assert_eq!(jobs(&fresh).await, ["new", "newer"]);

    // Who finds the old one alone takes it for the catalog, until a Storage Daemon knows better.
    new.kill().unwrap();
    let stray = open(both).await.unwrap().with_patience(Duration::from_millis(300));
    assert!(jobs(&stray).await.is_empty());
    let mut lease = stray.lease_session(Duration::from_secs(5));
    let refused = tokio::task::spawn_blocking(move || {
        lease.heard(Epoch((1 << 32) + 9)).unwrap();
        lease.look().unwrap();
        lease.heard(Epoch((2 << 32) + 1)).unwrap();
        lease.look().unwrap_err()
    })
    .await
    .unwrap();
    assert!(refused.to_string().contains("an old primary that came back"), "{refused}");
    assert!(stray.read(job::list_unfinished).await.unwrap_err().is_away());
    drop((old, new));
}

/// What a [`proxy`] does when it next sees a commit.
const PASS: u8 = 0;
const CUT_BEFORE: u8 = 1;
const CUT_AFTER: u8 = 2;

/// Passes connections on to the port `to`, and cuts them where it is told.
fn proxy(to: u16, mode: Arc<AtomicU8>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let (mut back_from, mut back_to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let mode = Arc::clone(&mode);
            let holds = Arc::new(AtomicU8::new(0));
            let held = Arc::clone(&holds);
            thread::spawn(move || {
                let mut buffer = [0; 65536];
                while let Ok(n @ 1..) = back_from.read(&mut buffer) {
                    // The answer to the commit: it was made, and nobody is told.
                    if held.load(Ordering::SeqCst) == 1 || back_to.write_all(&buffer[..n]).is_err() {
                        break;
                    }
                }
                let _ = back_to.shutdown(Shutdown::Both);
                let _ = back_from.shutdown(Shutdown::Both);
            });
            thread::spawn(move || forward(client, server, &mode, &holds));
        }
    });
    port
}

fn forward(mut client: TcpStream, mut server: TcpStream, mode: &AtomicU8, holds: &AtomicU8) {
    let mut buffer = [0; 65536];
    while let Ok(n @ 1..) = client.read(&mut buffer) {
        if buffer[..n].windows(6).any(|bytes| bytes == b"COMMIT")
            && buffer[..n].windows(8).any(|b| b == b"SET LOCA")
        {
            match mode.load(Ordering::SeqCst) {
                CUT_BEFORE => {
                    mode.store(PASS, Ordering::SeqCst);
                    break;
                }
                CUT_AFTER => {
                    mode.store(PASS, Ordering::SeqCst);
                    holds.store(1, Ordering::SeqCst);
                }
                _ => {}
            }
        }
        if server.write_all(&buffer[..n]).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

#[tokio::test]
async fn a_commit_without_an_answer_is_neither_lost_nor_repeated() {
    let (server, direct, _) = active().await;
    let mode = Arc::new(AtomicU8::new(PASS));
    let mut through = settings(&server, "bacula");
    (through.address, through.port) = ("127.0.0.1".to_owned(), proxy(server.port(), Arc::clone(&mode)));
    let catalog: Catalog = open(through).await.unwrap();
    let epoch = catalog.raise_epoch(wish("a", 8)).await.unwrap().epoch;
    for (cut, expected_runs) in [(CUT_BEFORE, 2), (CUT_AFTER, 1), (PASS, 1)] {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        mode.store(cut, Ordering::SeqCst);
        let done: Result<_, CatalogError> = catalog
            .write(epoch, move |tx| {
                counted.fetch_add(1, Ordering::SeqCst);
                job::create(tx, &new_job(&format!("job-{cut}")))
            })
            .await;
        assert!(done.is_ok(), "{cut}: {done:?}");
        assert_eq!(runs.load(Ordering::SeqCst), expected_runs, "{cut}");
        assert_eq!(mode.load(Ordering::SeqCst), PASS, "{cut}");
    }
    assert_eq!(jobs(&direct).await, ["job-1", "job-2", "job-0"]);
}
