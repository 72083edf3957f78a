//! A catalog is created, written under an epoch, read back.

use catalog::leader::Activation;
use catalog::{Catalog, CatalogError, job, media, pool};
use types::{ActivationId, ClientId, Epoch, JobId, JobLevel, JobStatus, JobType, MediaId, Timestamp};

async fn active(catalog: &Catalog) -> Epoch {
    let wish = Activation {
        holder: "a".to_owned(),
        activation: ActivationId(7),
        seen: vec![],
        timeline: 0,
        now: Timestamp(1_795_446_447),
    };
    catalog.raise_epoch(wish).await.unwrap().epoch
}

#[tokio::test]
async fn rows_written_under_an_epoch_are_read_back_and_an_old_epoch_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let catalog = Catalog::open_sqlite(&dir.path().join("c.db"), "lab-dir").unwrap();
    let refused = catalog.write(Epoch(1), |tx| pool::list(tx)).await;
    assert!(matches!(refused, Err(CatalogError::EpochOver { current: None, .. })), "{refused:?}");

    let epoch = active(&catalog).await;
    let new = job::NewJob {
        unique_name: "Nightly.2026-11-23_15.07.25_08".to_owned(),
        name: "Nightly".to_owned(),
        job_type: JobType::Backup,
        level: JobLevel::Full,
        client_id: ClientId(1),
        sched_time: Timestamp(1_795_446_444),
        created: Timestamp(1_795_446_447),
        prior_job_id: JobId(0),
        comment: String::new(),
    };
    let id = catalog.write(epoch, move |tx| job::create(tx, &new)).await.unwrap();
    assert_eq!(id, JobId(1));
    let row = catalog.read(move |r| job::get(r, id)).await.unwrap().unwrap();
    assert_eq!(row.status, JobStatus::Created);
    assert_eq!(row.start_time, Some(Timestamp(1_795_446_447)));
    assert_eq!(row.end_time, None);

    let volume = media::MediaRow::new("Vol-0001", types::PoolId(1), "File", pool::VolumeLimits::default());
    let copy = volume.clone();
    let media_id = catalog.write(epoch, move |tx| media::create(tx, &copy)).await.unwrap();
    assert_eq!(media_id, MediaId(1));
    let stored = catalog.read(move |r| media::get(r, media_id)).await.unwrap().unwrap();
    assert_eq!(stored, media::MediaRow { id: media_id, ..volume });

    active(&catalog).await;
    let stale = catalog.write(epoch, |tx| pool::list(tx)).await;
    assert!(stale.unwrap_err().is_epoch_over());
}
