//! Storages and their cold spares: who serves, and where the Volumes lie.

use super::{Fixture, T0, volume};
use catalog::standing::{self, StandingRow};
use catalog::{media, storage};
use types::{StorageEpoch, StorageId};

pub(crate) async fn a_storage_and_its_volumes_change_place_together(f: &Fixture) {
    let row = |serving: &str, epoch| StandingRow {
        name: "sd1".to_owned(),
        spare: "spare".to_owned(),
        serving: serving.to_owned(),
        epoch: StorageEpoch(epoch),
        changed_at: T0,
    };
    let (moved, back) = (row("spare", 2), row("sd1", u64::from(u32::MAX) + 1));
    let stored = moved.clone();
    let (from, to) = f
        .write(move |tx| {
            let (from, to) = (storage::ensure(tx, "sd1", false)?, storage::ensure(tx, "spare", false)?);
            let at = |name: &str| media::MediaRow { storage_id: from, ..volume(name) };
            let first = media::create(tx, &at("Vol-1"))?;
            media::create(tx, &at("Vol-2"))?;
            standing::set(tx, &stored)?;
            media::relocate(tx, &[first], to)?;
            Ok((from, to))
        })
        .await;
    let names = |at: StorageId| async move {
        let rows = f.catalog.read(move |r| media::list_at(r, at)).await.unwrap();
        rows.into_iter().map(|row| row.volume_name).collect::<Vec<_>>()
    };
    assert_eq!((names(from).await, names(to).await), (vec!["Vol-2".to_owned()], vec!["Vol-1".to_owned()]));
    assert_eq!(f.catalog.read(|r| standing::list(r, "lab-dir")).await.unwrap(), [moved]);
    assert!(f.catalog.read(|r| standing::list(r, "other-dir")).await.unwrap().is_empty());
    let stored = back.clone();
    f.write(move |tx| standing::set(tx, &stored)).await;
    assert_eq!(f.catalog.read(|r| standing::list(r, "lab-dir")).await.unwrap(), [back]);
}
