//! Copies and migrated jobs: what may be copied, what a copy is compared with, what its end changes (spec/04 §6).

use crate::error::Result;
use crate::job::JobRow;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use crate::value::Instant;
use types::{JobId, JobType, MediaId, PoolId, Timestamp, VolSession, VolStatus};

/// A good backup, or copy of one, that is in a Pool or on one of its Volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolJobRow {
    /// JobId.
    pub id: JobId,
    /// Name of its Job resource.
    pub name: String,
    /// Name of its client; empty when unknown.
    pub client: String,
    /// [`JobType::Backup`] or [`JobType::JobCopy`].
    pub job_type: JobType,
    /// Bytes written.
    pub bytes: u64,
    /// End of its record.
    pub real_end: Option<Timestamp>,
    /// The Pool is its own; else only a Volume of the Pool has data of it.
    pub is_in_pool: bool,
    /// There is a good backup or copy with this job as its original.
    pub is_copied: bool,
}

/// A Volume of a Pool, with the jobs that have data on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolVolumeRow {
    /// Name.
    pub name: String,
    /// Status.
    pub status: VolStatus,
    /// May be read.
    pub is_enabled: bool,
    /// Bytes on it.
    pub bytes: u64,
    /// When it was last written.
    pub last_written: Option<Timestamp>,
    /// In the order of their JobIds.
    pub jobs: Vec<JobId>,
}

const POOL_JOBS: &str = "SELECT Job.JobId, Job.Name, COALESCE(Client.Name, '') AS ClientName, Job.Type, Job.JobBytes, Job.RealEndTime, \
     CASE WHEN Job.PoolId = ?1 THEN 1 ELSE 0 END AS InPool, \
     CASE WHEN Job.JobId IN (SELECT PriorJobId FROM Job WHERE PriorJobId > 0 AND Type IN ('B', 'C') AND JobStatus IN ('T', 'W')) \
       THEN 1 ELSE 0 END AS Copied \
     FROM Job LEFT JOIN Client ON Client.ClientId = Job.ClientId \
     WHERE Job.Type IN ('B', 'C') AND Job.JobStatus IN ('T', 'W') AND (Job.PoolId = ?1 OR Job.JobId IN \
       (SELECT JobMedia.JobId FROM JobMedia JOIN Media ON Media.MediaId = JobMedia.MediaId WHERE Media.PoolId = ?1)) \
     ORDER BY Job.StartTime, Job.JobId";

/// Good backups and copies in a Pool or on its Volumes, in the order of their start.
///
/// # Errors
/// Those of the database.
pub fn pool_jobs(r: &ReadTx<'_>, pool: PoolId) -> Result<Vec<PoolJobRow>> {
    r.all(POOL_JOBS, params![pool], |row| {
        Ok(PoolJobRow {
            id: row.get("JobId")?,
            name: row.get("Name")?,
            client: row.get("ClientName")?,
            job_type: row.get("Type")?,
            bytes: row.get("JobBytes")?,
            real_end: row.get::<Instant>("RealEndTime")?.0,
            is_in_pool: row.get("InPool")?,
            is_copied: row.get("Copied")?,
        })
    })
}

/// Volumes of a Pool that are not written any more, in the order of their MediaIds.
///
/// # Errors
/// Those of the database.
pub fn pool_volumes(r: &ReadTx<'_>, pool: PoolId) -> Result<Vec<PoolVolumeRow>> {
    let pairs: Vec<(MediaId, JobId)> = r.all(
        "SELECT DISTINCT JobMedia.MediaId, JobMedia.JobId FROM JobMedia JOIN Media ON Media.MediaId = JobMedia.MediaId \
         WHERE Media.PoolId = ?1 AND Media.VolStatus IN ('Full', 'Used', 'Error') ORDER BY JobMedia.MediaId, JobMedia.JobId",
        params![pool],
        |row| Ok((row.at(0)?, row.at(1)?)),
    )?;
    let volumes = crate::media::list(r, Some(pool))?;
    let mut rows = Vec::new();
    for media in volumes {
        let from = pairs.partition_point(|(id, _)| *id < media.id);
        let jobs = pairs[from..].iter().take_while(|(id, _)| *id == media.id).map(|(_, job)| *job);
        rows.push(PoolVolumeRow {
            jobs: jobs.collect(),
            name: media.volume_name,
            status: media.status,
            is_enabled: media.enabled == 1,
            bytes: media.vol_bytes,
            last_written: media.last_written,
        });
    }
    Ok(rows)
}

/// An unfinished copy of a job in a Pool, the newest: it can be gone on with.
///
/// # Errors
/// Those of the database; [`crate::CatalogError::BadValue`].
pub fn find_incomplete(r: &ReadTx<'_>, original: JobId, pool: PoolId) -> Result<Option<JobRow>> {
    r.one(
        "SELECT * FROM Job WHERE PriorJobId = ?1 AND Type = 'C' AND JobStatus = 'I' AND PoolId = ?2 ORDER BY JobId DESC LIMIT 1",
        params![original, pool],
        JobRow::from_row,
    )
}

/// Good jobs that hold the same data as this one: its copies, for a copy its original and the other copies; oldest first.
///
/// # Errors
/// Those of the database; [`crate::CatalogError::BadValue`].
pub fn list_alike(r: &ReadTx<'_>, job: JobId) -> Result<Vec<JobRow>> {
    r.all(
        "SELECT Job.* FROM Job, (SELECT CASE WHEN PriorJobId > 0 THEN PriorJobId ELSE JobId END AS Origin FROM Job WHERE JobId = ?1) O \
         WHERE (Job.PriorJobId = O.Origin OR Job.JobId = O.Origin) AND Job.JobId <> ?1 AND Job.Type IN ('B', 'C') \
         AND Job.JobStatus IN ('T', 'W') ORDER BY Job.JobId",
        params![job],
        JobRow::from_row,
    )
}

/// Good backups and copies of a session on Volumes: normally one; two Storage Daemons may have started in the same second.
///
/// # Errors
/// Those of the database; [`crate::CatalogError::BadValue`].
pub fn list_of_session(r: &ReadTx<'_>, session: VolSession) -> Result<Vec<JobRow>> {
    r.all(
        "SELECT * FROM Job WHERE VolSessionId = ?1 AND VolSessionTime = ?2 AND Type IN ('B', 'C') AND JobStatus IN ('T', 'W') \
         ORDER BY JobId",
        params![session.id, session.time],
        JobRow::from_row,
    )
}

/// Files of a job that another one has not, or has under another number.
///
/// # Errors
/// Those of the database.
pub fn count_renumbered(r: &ReadTx<'_>, job: JobId, other: JobId) -> Result<u64> {
    let count: Option<u64> = r.scalar(
        "SELECT count(*) FROM (SELECT FileIndex, PathId, Filename FROM File WHERE JobId = ?1 AND FileIndex > 0 \
         EXCEPT SELECT FileIndex, PathId, Filename FROM File WHERE JobId = ?2) Lacking",
        params![job, other],
    )?;
    Ok(count.unwrap_or(0))
}

/// Rows of files that one of the two jobs has and the other has not, or has with other attributes or another digest.
///
/// # Errors
/// Those of the database.
pub fn count_differences(r: &ReadTx<'_>, original: JobId, copy: JobId) -> Result<u64> {
    const LACKS: &str = "SELECT count(*) FROM (SELECT PathId, Filename, LStat, MD5 FROM File WHERE JobId = ?1 \
         EXCEPT SELECT PathId, Filename, LStat, MD5 FROM File WHERE JobId = ?2) Lacking";
    let lacking: Option<u64> = r.scalar(LACKS, params![original, copy])?;
    let additional: Option<u64> = r.scalar(LACKS, params![copy, original])?;
    Ok(lacking.unwrap_or(0) + additional.unwrap_or(0))
}

/// Lets a good copy say where it comes from, and gives it what does not come over the wire: the messages of the original, which
/// files of base jobs it counts as its own, the name at the head of a chain of copies.
///
/// # Errors
/// Those of the database.
pub fn complete(tx: &WriteTx<'_>, original: &JobRow, copy: JobId) -> Result<()> {
    let head = if original.prior_job.is_empty() { &original.unique_name } else { &original.prior_job };
    tx.execute(
        "UPDATE Job SET PriorJob = ?2, HasBase = ?3 WHERE JobId = ?1",
        params![copy, head, original.has_base],
    )?;
    tx.execute(
        "INSERT INTO BaseFiles (BaseJobId, JobId, FileId, FileIndex) \
         SELECT BaseJobId, ?2, FileId, FileIndex FROM BaseFiles WHERE JobId = ?1",
        params![original.id, copy],
    )
    .map(drop)
}

/// Gives a copy the messages of its original.
///
/// # Errors
/// Those of the database.
pub fn duplicate_log(tx: &WriteTx<'_>, original: JobId, copy: JobId) -> Result<()> {
    tx.execute(
        "INSERT INTO Log (JobId, Time, LogText) SELECT ?2, Time, LogText FROM Log WHERE JobId = ?1 ORDER BY LogId",
        params![original, copy],
    )
    .map(drop)
}

/// Makes the written job of a migration the backup, and the original a migrated job without files; `purge` removes the original
/// altogether. To be called only when the new one is known to be whole.
///
/// # Errors
/// Those of the database.
pub fn migrate(tx: &WriteTx<'_>, original: JobId, new: JobId, purge: bool) -> Result<()> {
    crate::job::set_type(tx, new, JobType::Backup)?;
    for table in ["Log", "RestoreObject", "Object"] {
        tx.execute(&format!("UPDATE {table} SET JobId = ?2 WHERE JobId = ?1"), params![original, new])?;
    }
    crate::job::set_type(tx, original, JobType::MigratedJob)?;
    if purge {
        return crate::purge::delete_jobs(tx, &[original]).map(drop);
    }
    crate::purge::purge_files(tx, original)
}

/// What a Job has in a Pool and not in the one that this is copied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uncopied {
    /// Name of the Job resource.
    pub job: String,
    /// Backups.
    pub jobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// End of the oldest of them: what happened since is lost with the first Pool.
    pub oldest: Option<Timestamp>,
}

/// Good backups of a Pool that have no good copy in another one, by Job.
///
/// # Errors
/// Those of the database.
pub fn uncopied(r: &ReadTx<'_>, from: PoolId, to: PoolId) -> Result<Vec<Uncopied>> {
    r.all(
        "SELECT Name, count(*) AS Jobs, CAST(SUM(JobBytes) AS BIGINT) AS Bytes, MIN(RealEndTime) AS Oldest FROM Job \
         WHERE PoolId = ?1 AND Type = 'B' AND JobStatus IN ('T', 'W') AND JobBytes > 0 AND JobId NOT IN \
           (SELECT PriorJobId FROM Job WHERE PoolId = ?2 AND PriorJobId > 0 AND Type IN ('B', 'C') AND JobStatus IN ('T', 'W')) \
         GROUP BY Name ORDER BY Name",
        params![from, to],
        |row| {
            Ok(Uncopied {
                job: row.get("Name")?,
                jobs: row.get("Jobs")?,
                bytes: row.get("Bytes")?,
                oldest: row.get::<Instant>("Oldest")?.0,
            })
        },
    )
}

/// Bytes that copies have brought into a Pool since then, and the seconds that they took.
///
/// # Errors
/// Those of the database.
pub fn copied_since(r: &ReadTx<'_>, to: PoolId, since: Timestamp) -> Result<(u64, u64)> {
    let found = r.one(
        "SELECT CAST(COALESCE(SUM(A.JobBytes), 0) AS BIGINT), CAST(COALESCE(SUM(A.EndedAt - A.GrantedAt), 0) AS BIGINT) \
         FROM hf_attempt A JOIN Job ON Job.JobId = A.JobId \
         WHERE Job.PoolId = ?1 AND Job.PriorJobId > 0 AND A.State = 'ended' AND A.EndedAt > ?2",
        params![to, since],
        |row| Ok((row.at(0)?, row.at(1)?)),
    )?;
    Ok(found.unwrap_or_default())
}

/// Whether a job has a good copy in a Pool.
///
/// # Errors
/// Those of the database.
pub fn is_copied_to(r: &ReadTx<'_>, original: JobId, pool: PoolId) -> Result<bool> {
    let found: Option<i64> = r.scalar(
        "SELECT 1 FROM Job WHERE PriorJobId = ?1 AND PoolId = ?2 AND Type IN ('B', 'C') AND JobStatus IN ('T', 'W') LIMIT 1",
        params![original, pool],
    )?;
    Ok(found.is_some())
}
