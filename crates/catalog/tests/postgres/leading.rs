//! The leadership row on PostgreSQL: who waits for whom.

use crate::support::{active, jobs, new_job, wish};
use catalog::lease::LeaseSession;
use catalog::{Catalog, CatalogError, job};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tokio::task::JoinHandle;
use types::{Epoch, JobId};

/// Longer than any step that does not wait takes, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(5);

/// A write transaction that has written and goes on when told so.
fn open_writer(
    catalog: &Catalog,
    epoch: Epoch,
) -> (JoinHandle<catalog::Result<JobId>>, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (begun, is_begun) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    let may_go = Mutex::new(may_go);
    let catalog = catalog.clone();
    let task = tokio::spawn(async move {
        catalog
            .write(epoch, move |tx| {
                let id = job::create(tx, &new_job("held"))?;
                let _ = begun.send(());
                let _ = may_go.lock().unwrap().recv_timeout(Duration::from_secs(60));
                Ok(id)
            })
            .await
    });
    (task, is_begun, go)
}

#[tokio::test]
async fn renewals_pass_writers_and_takeovers_wait_for_them() {
    let (_server, catalog, epoch) = active().await;
    let lease = Arc::new(Mutex::new(catalog.lease_session(LIMIT)));
    let mut short = catalog.lease_session(Duration::from_secs(2));
    let (writer, begun, go) = open_writer(&catalog, epoch);
    let steps = Arc::clone(&lease);
    let row = tokio::task::spawn_blocking(move || {
        begun.recv_timeout(LIMIT).unwrap();
        let mut lease = steps.lock().unwrap();
        // The writer holds its transaction open all the time.
        let row = lease.read().unwrap().unwrap();
        let renewed = lease.renew(&row).unwrap().unwrap();
        assert_eq!((renewed.renewal, renewed.epoch), (1, epoch));
        assert_eq!(lease.renew(&row).unwrap(), None, "a renewal of an older row");
        let claimed = lease.claim(&renewed, "b").unwrap().unwrap();
        assert_eq!(lease.renew(&claimed).unwrap(), None, "a renewal of a claimed row");
        assert_eq!(lease.claim(&claimed, "c").unwrap(), None, "a claim of a claimed row");
        let row = lease.unclaim(&claimed, "b").unwrap().unwrap();
        assert_eq!(short.read().unwrap().as_ref(), Some(&row));
        let waits = short.take_over(Some(&row), &wish("b", 9)).unwrap_err();
        assert!(matches!(waits, CatalogError::Busy { .. }), "{waits}");
        go.send(()).unwrap();
        row
    })
    .await
    .unwrap();
    assert_eq!(writer.await.unwrap().unwrap(), JobId(1));
    let taken = tokio::task::spawn_blocking(move || {
        let mut lease = lease.lock().unwrap();
        let stale = catalog::leader::LeaderRow { renewal: 0, ..row.clone() };
        assert_eq!(lease.take_over(Some(&stale), &wish("b", 9)).unwrap(), None);
        assert_eq!(lease.take_over(None, &wish("b", 9)).unwrap(), None);
        lease.take_over(Some(&row), &wish("b", 9)).unwrap().unwrap()
    })
    .await
    .unwrap();
    assert_eq!((taken.holder.as_str(), taken.epoch), ("b", Epoch(epoch.0 + 1)));
    let over = catalog.write(epoch, |tx| job::create(tx, &new_job("late"))).await.unwrap_err();
    assert!(over.is_epoch_over(), "{over}");
    assert_eq!(jobs(&catalog).await, ["held"]);
}

#[tokio::test]
async fn the_sessions_of_the_one_before_are_ended_and_its_open_transaction_with_them() {
    let (server, catalog, epoch) = active().await;
    let other = crate::support::open(catalog::postgres::PostgresSettings {
        instance: "b".to_owned(),
        ..crate::support::settings(&server, "bacula")
    })
    .await
    .unwrap();
    let (writer, begun, go) = open_writer(&catalog, epoch);
    let mut lease: LeaseSession = other.lease_session(LIMIT);
    let taken = tokio::task::spawn_blocking(move || {
        begun.recv_timeout(LIMIT).unwrap();
        let row = lease.read().unwrap().unwrap();
        assert!(lease.end_sessions(&row).unwrap() >= 1);
        lease.take_over(Some(&row), &wish("b", 9)).unwrap().unwrap()
    })
    .await
    .unwrap();
    go.send(()).unwrap();
    let over = writer.await.unwrap().unwrap_err();
    assert!(over.is_epoch_over(), "{over}");
    assert_eq!(jobs(&other).await, Vec::<String>::new());
    other.write(taken.epoch, |tx| job::create(tx, &new_job("new"))).await.unwrap();
}

#[tokio::test]
async fn two_activations_at_once_draw_two_epochs() {
    let (server, catalog, epoch) = active().await;
    let other = crate::support::open(crate::support::settings(&server, "bacula")).await.unwrap();
    let (a, b) = tokio::join!(catalog.raise_epoch(wish("a", 1)), other.raise_epoch(wish("b", 2)));
    let mut epochs = [a.unwrap().epoch, b.unwrap().epoch];
    epochs.sort();
    assert_eq!(epochs, [Epoch(epoch.0 + 1), Epoch(epoch.0 + 2)]);
}
