//! What prune and purge plans are made of, and the rows that go by other rules than jobs (`purge`).

use crate::error::Result;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use types::{ClientId, FileSetId, JobId, JobLevel, JobStatus, JobType, MediaId, PoolId, Timestamp};

/// What retention rules ask of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prunable {
    /// JobId.
    pub job_id: JobId,
    /// Type.
    pub job_type: JobType,
    /// Level.
    pub level: JobLevel,
    /// Status.
    pub status: JobStatus,
    /// Client.
    pub client: ClientId,
    /// FileSet.
    pub fileset: FileSetId,
    /// Pool.
    pub pool: PoolId,
    /// `JobTDate`.
    pub job_tdate: Timestamp,
    /// `JobFiles`.
    pub files: u64,
    /// File rows are gone.
    pub purged_files: bool,
}

const PRUNABLE: &str = "SELECT JobId, Type, Level, JobStatus, ClientId, FileSetId, PoolId, JobTDate, JobFiles, PurgedFiles FROM Job";

fn prunable(row: &crate::Row<'_>) -> Result<Prunable> {
    Ok(Prunable {
        job_id: row.at(0)?,
        job_type: row.at(1)?,
        level: row.at(2)?,
        status: row.at(3)?,
        client: row.at(4)?,
        fileset: row.at(5)?,
        pool: row.at(6)?,
        job_tdate: row.at(7)?,
        files: row.at(8)?,
        purged_files: row.at(9)?,
    })
}

/// All jobs, or those of a client.
///
/// # Errors
/// Those of the database.
pub fn jobs(r: &ReadTx<'_>, client: Option<ClientId>) -> Result<Vec<Prunable>> {
    let sql = format!("{PRUNABLE} WHERE ?1 = 0 OR ClientId = ?1 ORDER BY JobId");
    r.all(&sql, params![client.unwrap_or_default()], prunable)
}

/// Jobs with a part on a Volume.
///
/// # Errors
/// Those of the database.
pub fn jobs_on_volume(r: &ReadTx<'_>, media: MediaId) -> Result<Vec<Prunable>> {
    let sql =
        format!("{PRUNABLE} WHERE JobId IN (SELECT JobId FROM JobMedia WHERE MediaId = ?1) ORDER BY JobId");
    r.all(&sql, params![media], prunable)
}

/// One job.
///
/// # Errors
/// Those of the database.
pub fn job(r: &ReadTx<'_>, id: JobId) -> Result<Option<Prunable>> {
    r.one(&format!("{PRUNABLE} WHERE JobId = ?1"), params![id], prunable)
}

/// Base jobs that each job uses.
///
/// # Errors
/// Those of the database.
pub fn base_jobs(r: &ReadTx<'_>) -> Result<Vec<(JobId, JobId)>> {
    r.all("SELECT DISTINCT JobId, BaseJobId FROM BaseFiles", &[], |row| Ok((row.at(0)?, row.at(1)?)))
}

/// Removes a client's row. Its jobs must have been removed before.
///
/// # Errors
/// Those of the database.
pub fn remove_client(tx: &WriteTx<'_>, client: ClientId) -> Result<()> {
    tx.execute("DELETE FROM TagClient WHERE ClientId = ?1", params![client])?;
    tx.execute("DELETE FROM Client WHERE ClientId = ?1", params![client]).map(drop)
}

/// Fills JobHisto from ended jobs older than `before` that are not there yet (`update stats`). Returns how many.
///
/// # Errors
/// Those of the database.
pub fn update_stats(tx: &WriteTx<'_>, before: Timestamp) -> Result<u64> {
    const COLUMNS: &str = "JobId, Job, Name, Type, Level, ClientId, JobStatus, SchedTime, StartTime, EndTime, RealEndTime, JobTDate, \
         VolSessionId, VolSessionTime, JobFiles, JobBytes, ReadBytes, JobErrors, JobMissingFiles, PoolId, FileSetId, PriorJobId, \
         PurgedFiles, HasBase, HasCache, Reviewed, Comment, FileTable";
    let sql = format!(
        "INSERT INTO JobHisto ({COLUMNS}) SELECT {COLUMNS} FROM Job WHERE JobStatus IN ('T', 'W', 'f', 'A', 'E') \
         AND JobTDate < ?1 AND NOT EXISTS (SELECT 1 FROM JobHisto WHERE JobHisto.JobId = Job.JobId)"
    );
    tx.execute(&sql, params![before])
}

/// Removes rows of JobHisto older than `before`. Returns how many.
///
/// # Errors
/// Those of the database.
pub fn prune_stats(tx: &WriteTx<'_>, before: Timestamp) -> Result<u64> {
    tx.execute("DELETE FROM JobHisto WHERE JobTDate < ?1", params![before])
}
