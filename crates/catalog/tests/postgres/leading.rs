//! The leadership row on PostgreSQL: who waits for whom.

use crate::support::{active, jobs, new_job, wish};
use catalog::lease::{LeaseRow, LeaseSession, LeaseSight, LeaseTenure};
use catalog::{Catalog, CatalogError, job};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use tokio::task::JoinHandle;
use types::{ActivationId, Epoch, JobId, Timestamp};

/// Longer than any step that does not wait takes, also on a busy machine.
const LIMIT: Duration = Duration::from_secs(5);

/// The row renewed, as it is otherwise.
fn next(seen: &LeaseSight) -> Option<LeaseRow> {
    seen.row.clone().map(|row| LeaseRow { renewal: row.renewal + 1, ..row })
}

/// The next epoch, for instance b.
fn taken_over(seen: &LeaseSight) -> Option<LeaseRow> {
    Some(LeaseRow {
        holder: "b".to_owned(),
        epoch: Epoch::next(seen.row.iter().map(|row| row.epoch), 0),
        activation: ActivationId(9),
        renewal: 0,
        tenure: LeaseTenure::Held,
    })
}

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
    tokio::task::spawn_blocking(move || {
        begun.recv_timeout(LIMIT).unwrap();
        let mut lease = steps.lock().unwrap();
        // The writer holds its transaction open all the time.
        let (renewed, made) = lease.change(false, Timestamp(0), next).unwrap();
        let row = renewed.row.unwrap();
        assert!(made && row.epoch == epoch && row.renewal == 1, "{row:?}");
        let claim = LeaseTenure::Claimed { by: "b".to_owned(), claim: ActivationId(77) };
        let claimed = |seen: &LeaseSight| Some(LeaseRow { tenure: claim.clone(), ..next(seen)? });
        lease.change(false, Timestamp(0), claimed).unwrap();
        assert_eq!(short.look().unwrap().row.unwrap().tenure, claim);
        let (left, made) = short.change(false, Timestamp(0), |_| None).unwrap();
        assert!(!made && left.row.as_ref().unwrap().renewal == 2, "{left:?}");
        let waits = short.change(true, Timestamp(0), taken_over).unwrap_err();
        assert!(matches!(waits, CatalogError::Busy { .. }), "{waits}");
        go.send(()).unwrap();
    })
    .await
    .unwrap();
    assert_eq!(writer.await.unwrap().unwrap(), JobId(1));
    let taken = tokio::task::spawn_blocking(move || {
        let mut lease = lease.lock().unwrap();
        lease.change(true, Timestamp(0), taken_over).unwrap().0.row.unwrap()
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
        let row = lease.look().unwrap().row.unwrap();
        assert!(lease.end_sessions(&row.holder, row.epoch).unwrap() >= 1);
        lease.change(true, Timestamp(0), taken_over).unwrap().0.row.unwrap()
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
