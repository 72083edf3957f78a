//! What a job has stored on a Storage that is lost.

use super::{Fixture, new_file, new_job, volume};
use catalog::file::{self, Ingest, NewFile};
use catalog::jobmedia::{self, Piece};
use catalog::{job, media, storage, withdraw};
use types::{FileIndex, JobId, StorageId, VolAddr};

/// A stat with this mode and number of links, the rest 0.
fn with_stat(index: i32, name: &str, mode: u32, nlink: u64) -> NewFile {
    let stat = attrs::EncodedStat { mode, nlink, ..attrs::EncodedStat::default() };
    let lstat = String::from_utf8(stat.to_text()).unwrap();
    NewFile { lstat, ..new_file(index, b"/d/", name.as_bytes()) }
}

async fn indexes(f: &Fixture, id: JobId) -> Vec<i32> {
    let read = f.catalog.read(move |r| {
        let mut found = Vec::new();
        file::for_each_of_job(r, id, |row| {
            found.push(row.file_index.0);
            Ok(())
        })?;
        Ok(found)
    });
    read.await.unwrap()
}

async fn storages(f: &Fixture, id: JobId) -> Vec<StorageId> {
    let rows = f.catalog.read(move |r| jobmedia::list(r, id)).await.unwrap();
    rows.iter().map(|row| row.storage_id).collect()
}

pub(super) async fn what_lies_on_a_lost_storage_is_taken_back(f: &Fixture) {
    let (near, far, id) = f
        .write(|tx| {
            let (near, far) = (storage::ensure(tx, "near", false)?, storage::ensure(tx, "far", false)?);
            let id = job::create(tx, &new_job("w", 0))?;
            for (name, storage, first, last) in [("N", near, 1, 3), ("F", far, 4, 7)] {
                let mut row = volume(name);
                row.storage_id = storage;
                row.id = media::create(tx, &row)?;
                let (first_index, last_index) = (FileIndex(first), FileIndex(last));
                let (start, end) = (VolAddr(1), VolAddr(9));
                jobmedia::create(tx, id, &[Piece { first_index, last_index, start, end, media_id: row.id }])?;
            }
            let mut files: Vec<NewFile> =
                (1..=5).map(|index| with_stat(index, &format!("f{index}"), 0o100_644, 1)).collect();
            files.push(with_stat(6, "linked", 0o100_644, 2));
            files.push(with_stat(7, "", 0o040_755, 1));
            Ingest::new(id, false).insert(tx, &files, None)?;
            Ok((near, far, id))
        })
        .await;
    assert_eq!(indexes(f, id).await, [1, 2, 3, 4, 5, 6, 7]);
    f.write(move |tx| withdraw::from_storage(tx, id, near)).await;
    assert_eq!((indexes(f, id).await, storages(f, id).await), (vec![4, 5, 6, 7], vec![far]));
    f.write(move |tx| withdraw::followers(tx, id)).await;
    assert_eq!(indexes(f, id).await, [4, 5]);
    f.write(move |tx| withdraw::all(tx, id)).await;
    assert_eq!((indexes(f, id).await, storages(f, id).await), (vec![], vec![]));
}
