//! What `restore` asks: chains, files by name, names of clients and FileSets (spec/05 §7).

use crate::error::Result;
use crate::known::id_list;
use crate::params;
use crate::tx::ReadTx;
use types::{FileIndex, JobId, JobLevel, Timestamp};

/// A good backup of a client and FileSet name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// JobId.
    pub job_id: JobId,
    /// Level.
    pub level: JobLevel,
    /// `StartTime` as an instant.
    pub start_time: Timestamp,
    /// `JobTDate`.
    pub job_tdate: Timestamp,
    /// Every Volume of it is enabled.
    pub media_enabled: bool,
}

/// All good backups (type `B`, status `T` or `W`) of a client and FileSet name, of a pool's Volumes only if given.
///
/// # Errors
/// Those of the database.
pub fn backups(r: &ReadTx<'_>, client: &str, fileset: &str, pool: Option<&str>) -> Result<Vec<Backup>> {
    r.all(
        "SELECT Job.JobId, Job.Level, Job.StartTime, Job.JobTDate, \
         NOT EXISTS (SELECT 1 FROM JobMedia JOIN Media ON Media.MediaId = JobMedia.MediaId \
           WHERE JobMedia.JobId = Job.JobId AND Media.Enabled <> 1) AS MediaEnabled \
         FROM Job JOIN Client ON Client.ClientId = Job.ClientId JOIN FileSet ON FileSet.FileSetId = Job.FileSetId \
         WHERE Client.Name = ?1 AND FileSet.FileSet = ?2 AND Job.Type = 'B' AND Job.JobStatus IN ('T', 'W') \
         AND (?3 = '' OR EXISTS (SELECT 1 FROM JobMedia JOIN Media ON Media.MediaId = JobMedia.MediaId \
           JOIN Pool ON Pool.PoolId = Media.PoolId WHERE JobMedia.JobId = Job.JobId AND Pool.Name = ?3)) \
         ORDER BY Job.JobTDate, Job.JobId",
        params![client, fileset, pool.unwrap_or("")],
        |row| {
            let job_tdate: Timestamp = row.get("JobTDate")?;
            Ok(Backup {
                job_id: row.get("JobId")?,
                level: row.get("Level")?,
                start_time: row.get::<crate::Instant>("StartTime")?.0.unwrap_or(job_tdate),
                job_tdate,
                media_enabled: row.get("MediaEnabled")?,
            })
        },
    )
}

/// Names of FileSets that a client has good backups of, by name.
///
/// # Errors
/// Those of the database.
pub fn filesets_of_client(r: &ReadTx<'_>, client: &str) -> Result<Vec<String>> {
    r.all(
        "SELECT DISTINCT FileSet.FileSet FROM Job JOIN Client ON Client.ClientId = Job.ClientId \
         JOIN FileSet ON FileSet.FileSetId = Job.FileSetId \
         WHERE Client.Name = ?1 AND Job.Type = 'B' ORDER BY FileSet.FileSet",
        params![client],
        |row| row.at(0),
    )
}

/// Name of the client and of the FileSet of a job.
///
/// # Errors
/// Those of the database.
pub fn client_and_fileset(r: &ReadTx<'_>, job: JobId) -> Result<Option<(String, String)>> {
    r.one(
        "SELECT Client.Name, COALESCE(FileSet.FileSet, '') FROM Job JOIN Client ON Client.ClientId = Job.ClientId \
         LEFT JOIN FileSet ON FileSet.FileSetId = Job.FileSetId WHERE Job.JobId = ?1",
        params![job],
        |row| Ok((row.at(0)?, row.at(1)?)),
    )
}

/// The newest version of one file: the job and its FileIndex there.
///
/// Looks in `jobs` when there are any, else in the good backups of `client` that started at or before `until`.
///
/// # Errors
/// Those of the database.
pub fn find_file(
    r: &ReadTx<'_>,
    client: &str,
    jobs: &[JobId],
    until: Timestamp,
    path: &[u8],
    name: &[u8],
) -> Result<Option<(JobId, FileIndex)>> {
    let narrowed = if jobs.is_empty() {
        "Client.Name = ?3 AND Job.Type = 'B' AND Job.JobStatus IN ('T', 'W') AND Job.StartTime <= ?4"
            .to_owned()
    } else {
        format!("Job.JobId IN ({}) AND ?3 = ?3 AND ?4 = ?4", id_list(jobs))
    };
    let sql = format!(
        "SELECT Job.JobId, File.FileIndex FROM Path JOIN File ON File.PathId = Path.PathId JOIN Job ON Job.JobId = File.JobId \
         JOIN Client ON Client.ClientId = Job.ClientId \
         WHERE Path.Path = ?1 AND File.Filename = ?2 AND {narrowed} ORDER BY Job.JobTDate DESC, Job.JobId DESC LIMIT 1"
    );
    let found: Option<(JobId, FileIndex)> =
        r.one(&sql, params![path, name, client, r.local(until)], |row| Ok((row.at(0)?, row.at(1)?)))?;
    // The newest version says that the file was gone.
    Ok(found.filter(|(_, index)| index.get() > 0))
}

/// Files directly in one directory (`directory=`), each with the job and FileIndex of its newest version in `jobs`.
///
/// # Errors
/// Those of the database.
pub fn files_in_directory(r: &ReadTx<'_>, jobs: &[JobId], path: &[u8]) -> Result<Vec<(JobId, FileIndex)>> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT JobId, FileIndex FROM (SELECT File.JobId, File.FileIndex, ROW_NUMBER() OVER (PARTITION BY File.Filename \
         ORDER BY Job.JobTDate DESC, Job.JobId DESC) AS Newest FROM Path JOIN File ON File.PathId = Path.PathId \
         JOIN Job ON Job.JobId = File.JobId WHERE Path.Path = ?1 AND File.JobId IN ({})) F \
         WHERE Newest = 1 AND FileIndex > 0 ORDER BY JobId, FileIndex",
        id_list(jobs)
    );
    r.all(&sql, params![path], |row| Ok((row.at(0)?, row.at(1)?)))
}

/// Jobs of the list whose file rows are gone or were never written.
///
/// # Errors
/// Those of the database.
pub fn without_files(r: &ReadTx<'_>, jobs: &[JobId]) -> Result<Vec<JobId>> {
    let mut without = Vec::new();
    for job in jobs {
        let some: Option<i64> = r.scalar(
            "SELECT 1 FROM Job WHERE JobId = ?1 AND (JobFiles = 0 OR (PurgedFiles = 0 \
             AND (EXISTS (SELECT 1 FROM File WHERE File.JobId = ?1) OR EXISTS (SELECT 1 FROM BaseFiles WHERE BaseFiles.JobId = ?1))))",
            params![*job],
        )?;
        if some.is_none() {
            without.push(*job);
        }
    }
    Ok(without)
}
