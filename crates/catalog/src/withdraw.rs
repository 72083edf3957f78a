//! Taking back what a job has stored on a Storage that is lost, so that the job can store it elsewhere (docs/storage-groups.md).

use crate::error::Result;
use crate::file;
use crate::params;
use crate::tx::WriteTx;
use attrs::EncodedStat;
use types::{FileIndex, JobId, StorageId};

/// The bits of a mode that tell the type of a file, and a directory's.
const FILE_TYPE: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;

/// Takes a job's pieces on the Volumes of a Storage out of the catalog, with the files that lie there. Dummy pieces stay: a Volume that
/// comes back is still in the hand of the job.
///
/// # Errors
/// Those of the database.
pub fn from_storage(tx: &WriteTx<'_>, job: JobId, storage: StorageId) -> Result<()> {
    let ranges: Vec<(FileIndex, FileIndex)> = tx.all(
        "SELECT FirstIndex, LastIndex FROM JobMedia JOIN Media ON Media.MediaId = JobMedia.MediaId \
         WHERE JobMedia.JobId = ?1 AND Media.StorageId = ?2 AND FirstIndex > 0",
        params![job, storage],
        |row| Ok((row.at(0)?, row.at(1)?)),
    )?;
    for (first, last) in ranges {
        files(tx, job, first, last)?;
    }
    tx.execute(
        "DELETE FROM JobMedia WHERE JobId = ?1 AND FirstIndex > 0 \
         AND MediaId IN (SELECT MediaId FROM Media WHERE StorageId = ?2)",
        params![job, storage],
    )
    .map(drop)
}

/// Takes entries out of the catalog that must not come before others which are stored again: a further name of a file comes after
/// the name that it was stored as a link to, and a directory after what is in it, since a client that restores a file changes the
/// times of its directory.
///
/// # Errors
/// Those of the database.
pub fn followers(tx: &WriteTx<'_>, job: JobId) -> Result<()> {
    let mut indexes = Vec::new();
    file::for_each_of_job(tx, job, |row| {
        let stat = EncodedStat::decode(row.lstat.as_bytes()).unwrap_or_default();
        if stat.nlink > 1 || stat.mode & FILE_TYPE == DIRECTORY {
            indexes.push(row.file_index);
        }
        Ok(())
    })?;
    indexes.into_iter().try_for_each(|index| files(tx, job, index, index))
}

/// Takes the files of a range out of the catalog, wherever they lie.
///
/// # Errors
/// Those of the database.
pub fn files(tx: &WriteTx<'_>, job: JobId, first: FileIndex, last: FileIndex) -> Result<()> {
    let sql = "DELETE FROM File WHERE JobId = ?1 AND FileIndex BETWEEN ?2 AND ?3";
    tx.execute(sql, params![job, first, last]).map(drop)
}

/// Takes all that a job has stored out of the catalog. The job and its log stay.
///
/// # Errors
/// Those of the database.
pub fn all(tx: &WriteTx<'_>, job: JobId) -> Result<()> {
    for sql in [
        "DELETE FROM File WHERE JobId = ?1",
        "DELETE FROM FileMedia WHERE JobId = ?1",
        "DELETE FROM BaseFiles WHERE JobId = ?1",
        "DELETE FROM Object WHERE JobId = ?1",
        "DELETE FROM RestoreObject WHERE JobId = ?1",
        "DELETE FROM JobMedia WHERE JobId = ?1 AND FirstIndex > 0",
    ] {
        tx.execute(sql, params![job])?;
    }
    Ok(())
}
