//! Job rows (spec/05 §2.1).

use crate::error::{CatalogError, Result};
use crate::highwater;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use crate::value::{Instant, Row};
use types::{ClientId, FileSetId, JobId, JobLevel, JobStatus, JobType, PoolId, Timestamp, VolSession};

/// A row of `Job`.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    /// Key.
    pub id: JobId,
    /// Unique name, `Name.YYYY-MM-DD_HH.MM.SS_nn` (`Job`).
    pub unique_name: String,
    /// Name of the Job resource.
    pub name: String,
    /// What it is.
    pub job_type: JobType,
    /// How much it takes.
    pub level: JobLevel,
    /// Client; 0 when unknown.
    pub client_id: ClientId,
    /// State.
    pub status: JobStatus,
    /// When it was to run.
    pub sched_time: Option<Timestamp>,
    /// Start, of the original for copies.
    pub start_time: Option<Timestamp>,
    /// End, of the original for copies.
    pub end_time: Option<Timestamp>,
    /// End of this record.
    pub real_end_time: Option<Timestamp>,
    /// Unix seconds of the start; orders jobs.
    pub tdate: Timestamp,
    /// Session on the Volumes.
    pub session: VolSession,
    /// Files written.
    pub files: u64,
    /// Bytes written by the client.
    pub bytes: u64,
    /// Bytes read by the client.
    pub read_bytes: u64,
    /// Non-fatal errors.
    pub errors: u64,
    /// Files that could not be saved.
    pub missing_files: u64,
    /// Write pool.
    pub pool_id: PoolId,
    /// FileSet row.
    pub fileset_id: FileSetId,
    /// Original of a copy; 0 otherwise.
    pub prior_job_id: JobId,
    /// Unique name of the original of a chain of copies.
    pub prior_job: String,
    /// Whether its File rows are gone.
    pub purged_files: bool,
    /// Whether base jobs were used.
    pub has_base: bool,
    /// Set by `run comment=`.
    pub comment: String,
}

impl JobRow {
    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get("JobId")?,
            unique_name: row.get("Job")?,
            name: row.get("Name")?,
            job_type: row.get("Type")?,
            level: row.get("Level")?,
            client_id: row.get("ClientId")?,
            status: row.get("JobStatus")?,
            sched_time: row.get::<Instant>("SchedTime")?.0,
            start_time: row.get::<Instant>("StartTime")?.0,
            end_time: row.get::<Instant>("EndTime")?.0,
            real_end_time: row.get::<Instant>("RealEndTime")?.0,
            tdate: row.get("JobTDate")?,
            session: VolSession { id: row.get("VolSessionId")?, time: row.get("VolSessionTime")? },
            files: row.get("JobFiles")?,
            bytes: row.get("JobBytes")?,
            read_bytes: row.get("ReadBytes")?,
            errors: row.get("JobErrors")?,
            missing_files: row.get("JobMissingFiles")?,
            pool_id: row.get("PoolId")?,
            fileset_id: row.get("FileSetId")?,
            prior_job_id: row.get("PriorJobId")?,
            prior_job: row.get("PriorJob")?,
            purged_files: row.get("PurgedFiles")?,
            has_base: row.get("HasBase")?,
            comment: row.get("Comment")?,
        })
    }
}

/// What a new job begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Unique name (spec/04 §4.4).
    pub unique_name: String,
    /// Name of the Job resource.
    pub name: String,
    /// What it is.
    pub job_type: JobType,
    /// Level as asked for; [`start`] stores the one decided on.
    pub level: JobLevel,
    /// Client; 0 while unknown.
    pub client_id: ClientId,
    /// When it is to run.
    pub sched_time: Timestamp,
    /// Now.
    pub created: Timestamp,
    /// Original of a copy; 0 otherwise.
    pub prior_job_id: JobId,
    /// Of `run comment=`.
    pub comment: String,
}

/// What is decided when a job starts.
#[derive(Debug, Clone, PartialEq)]
pub struct JobStart {
    /// Level after promotion.
    pub level: JobLevel,
    /// Client.
    pub client_id: ClientId,
    /// FileSet row; 0 without one.
    pub fileset_id: FileSetId,
    /// Write pool; 0 without one.
    pub pool_id: PoolId,
    /// Start: from here the next Incremental counts.
    pub start_time: Timestamp,
    /// State to set, normally [`JobStatus::Running`].
    pub status: JobStatus,
}

/// How a job ended. Times of copies are those of the original.
#[derive(Debug, Clone, PartialEq)]
pub struct JobEnd {
    /// Final state.
    pub status: JobStatus,
    /// Level, as it may have changed.
    pub level: JobLevel,
    /// Start; orders jobs together with the FileSet's other jobs.
    pub start_time: Timestamp,
    /// End.
    pub end_time: Timestamp,
    /// End of this record.
    pub real_end_time: Timestamp,
    /// Session on the Volumes.
    pub session: VolSession,
    /// Files written, summed over attempts.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Errors.
    pub errors: u64,
    /// Files that could not be saved.
    pub missing_files: u64,
    /// Write pool.
    pub pool_id: PoolId,
    /// Original of a copy; 0 otherwise.
    pub prior_job_id: JobId,
    /// Whether base jobs were used.
    pub has_base: bool,
}

const INSERT: &str = "INSERT INTO Job (JobId, Job, Name, Type, Level, ClientId, JobStatus, SchedTime, StartTime, JobTDate, PriorJobId, Comment) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'C', ?7, ?8, ?9, ?10, ?11)";

/// Creates a job in state `C`. Its id is above every id ever given out, also of deleted jobs (I8).
///
/// # Errors
/// Those of the database.
pub fn create(tx: &WriteTx<'_>, new: &NewJob) -> Result<JobId> {
    let id = JobId(highwater::next(tx, highwater::Sequence::JobId)?);
    create_as(tx, id, new)?;
    Ok(id)
}

/// Creates a job anew that a Storage Daemon knows and the catalog has lost, under its own id.
///
/// # Errors
/// [`CatalogError::Conflict`] when there is one of this id; those of the database.
pub fn create_as(tx: &WriteTx<'_>, id: JobId, new: &NewJob) -> Result<()> {
    crate::partition::ensure(tx, id)?;
    let (sched, start) = (tx.local(new.sched_time), tx.local(new.created));
    let (job_type, level) = (letter(new.job_type.letter()), letter(new.level.letter()));
    tx.insert(
        INSERT,
        "JobId",
        params![
            id,
            &new.unique_name,
            &new.name,
            job_type.as_str(),
            level.as_str(),
            new.client_id,
            sched,
            start,
            new.created,
            new.prior_job_id,
            &new.comment
        ],
    )
    .map(drop)
}

const START: &str = "UPDATE Job SET JobStatus = ?2, Level = ?3, StartTime = ?4, ClientId = ?5, JobTDate = ?6, PoolId = ?7, FileSetId = ?8 WHERE JobId = ?1";

/// Stores what was decided at the start.
///
/// # Errors
/// [`CatalogError::Refused`] when there is no such job; those of the database.
pub fn start(tx: &WriteTx<'_>, id: JobId, start: &JobStart) -> Result<()> {
    let (status, level) = (letter(start.status.letter()), letter(start.level.letter()));
    let changed = tx.execute(
        START,
        params![
            id,
            status.as_str(),
            level.as_str(),
            tx.local(start.start_time),
            start.client_id,
            start.start_time,
            start.pool_id,
            start.fileset_id
        ],
    )?;
    expect_one(changed, id)
}

/// Sets the state.
///
/// # Errors
/// [`CatalogError::Refused`] when there is no such job; those of the database.
pub fn set_status(tx: &WriteTx<'_>, id: JobId, status: JobStatus) -> Result<()> {
    let status = letter(status.letter());
    let changed =
        tx.execute("UPDATE Job SET JobStatus = ?2 WHERE JobId = ?1", params![id, status.as_str()])?;
    expect_one(changed, id)
}

/// Stores the session that identifies the job on its Volumes.
///
/// # Errors
/// [`CatalogError::Refused`] when there is no such job; those of the database.
pub fn set_session(tx: &WriteTx<'_>, id: JobId, session: VolSession) -> Result<()> {
    let changed = tx.execute(
        "UPDATE Job SET VolSessionId = ?2, VolSessionTime = ?3 WHERE JobId = ?1",
        params![id, session.id, session.time],
    )?;
    expect_one(changed, id)
}

/// Changes the type: a promoted copy becomes [`JobType::Backup`], a migrated job [`JobType::MigratedJob`].
///
/// # Errors
/// [`CatalogError::Refused`] when there is no such job; those of the database.
pub fn set_type(tx: &WriteTx<'_>, id: JobId, job_type: JobType) -> Result<()> {
    let job_type = letter(job_type.letter());
    let changed = tx.execute("UPDATE Job SET Type = ?2 WHERE JobId = ?1", params![id, job_type.as_str()])?;
    expect_one(changed, id)
}

const END: &str = "UPDATE Job SET JobStatus = ?2, Level = ?3, StartTime = ?4, EndTime = ?5, RealEndTime = ?6, JobTDate = ?7, \
     VolSessionId = ?8, VolSessionTime = ?9, JobFiles = ?10, JobBytes = ?11, ReadBytes = ?12, JobErrors = ?13, \
     JobMissingFiles = ?14, PoolId = ?15, PriorJobId = ?16, HasBase = ?17 WHERE JobId = ?1";

/// Stores the end. Part of the end transaction: with the last batch of files and the Volumes' states (DESIGN §2.3).
///
/// # Errors
/// [`CatalogError::Refused`] when there is no such job; those of the database.
pub fn end(tx: &WriteTx<'_>, id: JobId, end: &JobEnd) -> Result<()> {
    let (status, level) = (letter(end.status.letter()), letter(end.level.letter()));
    let changed = tx.execute(
        END,
        params![
            id,
            status.as_str(),
            level.as_str(),
            tx.local(end.start_time),
            tx.local(end.end_time),
            tx.local(end.real_end_time),
            end.start_time,
            end.session.id,
            end.session.time,
            end.files,
            end.bytes,
            end.read_bytes,
            end.errors,
            end.missing_files,
            end.pool_id,
            end.prior_job_id,
            end.has_base
        ],
    )?;
    // Dummy records reserve a Volume for a job; they mean nothing once it is over (spec/03 §3.2).
    tx.execute("DELETE FROM JobMedia WHERE JobId = ?1 AND FirstIndex = 0 AND LastIndex = 0", params![id])?;
    expect_one(changed, id)
}

/// A job by its id.
///
/// # Errors
/// Those of the database; [`CatalogError::BadValue`].
pub fn get(r: &ReadTx<'_>, id: JobId) -> Result<Option<JobRow>> {
    r.one("SELECT * FROM Job WHERE JobId = ?1", params![id], JobRow::from_row)
}

/// A job by its unique name.
///
/// # Errors
/// Those of the database; [`CatalogError::BadValue`].
pub fn get_by_unique_name(r: &ReadTx<'_>, unique_name: &str) -> Result<Option<JobRow>> {
    r.one("SELECT * FROM Job WHERE Job = ?1 ORDER BY JobId DESC", params![unique_name], JobRow::from_row)
}

/// Jobs in the order of `ids`; ids without a row are left out.
///
/// # Errors
/// Those of the database; [`CatalogError::BadValue`].
pub fn get_many(r: &ReadTx<'_>, ids: &[JobId]) -> Result<Vec<JobRow>> {
    let mut rows = Vec::with_capacity(ids.len());
    for id in ids {
        rows.extend(get(r, *id)?);
    }
    Ok(rows)
}

/// That a row of Job has no end yet.
pub(crate) const UNFINISHED: &str = "Job.JobStatus NOT IN ('T', 'W', 'E', 'e', 'f', 'A', 'I', 'D')";

/// Jobs that are not over, oldest first: after a start of the Director, those to adopt or to close.
///
/// # Errors
/// Those of the database; [`CatalogError::BadValue`].
pub fn list_unfinished(r: &ReadTx<'_>) -> Result<Vec<JobRow>> {
    r.all(&format!("SELECT * FROM Job WHERE {UNFINISHED} ORDER BY JobId"), &[], JobRow::from_row)
}

/// What a previous backup must have been, to count for a level decision (spec/04 §4.7).
#[derive(Debug, Clone, PartialEq)]
pub struct Lineage {
    /// Name of the Job resource.
    pub name: String,
    /// Client.
    pub client_id: ClientId,
    /// FileSet row.
    pub fileset_id: FileSetId,
}

/// The newest good backup of one of `levels`, by start time.
///
/// # Errors
/// Those of the database; [`CatalogError::BadValue`].
pub fn find_last_good(r: &ReadTx<'_>, of: &Lineage, levels: &[JobLevel]) -> Result<Option<JobRow>> {
    let sql = format!(
        "SELECT * FROM Job WHERE JobStatus IN ('T', 'W') AND Type = 'B' AND Level IN ({}) \
         AND Name = ?1 AND ClientId = ?2 AND FileSetId = ?3 ORDER BY StartTime DESC, JobId DESC LIMIT 1",
        letters(levels)
    );
    r.one(&sql, params![&of.name, of.client_id, of.fileset_id], JobRow::from_row)
}

/// The newest good Full of the same job and client with whatever FileSet: tells that the FileSet was modified.
///
/// # Errors
/// Those of the database; [`CatalogError::BadValue`].
pub fn find_last_full_any_fileset(r: &ReadTx<'_>, name: &str, client_id: ClientId) -> Result<Option<JobRow>> {
    r.one(
        "SELECT * FROM Job WHERE JobStatus IN ('T', 'W') AND Type = 'B' AND Level = 'F' AND Name = ?1 AND ClientId = ?2 \
         ORDER BY StartTime DESC, JobId DESC LIMIT 1",
        params![name, client_id],
        JobRow::from_row,
    )
}

/// All good backups of a Job name and client on any of these FileSet rows, oldest first.
///
/// # Errors
/// Those of the database; [`CatalogError::BadValue`].
pub fn list_good_backups(
    r: &ReadTx<'_>,
    name: &str,
    client_id: ClientId,
    filesets: &[FileSetId],
) -> Result<Vec<JobRow>> {
    let rows = r.all(
        "SELECT * FROM Job WHERE Name = ?1 AND ClientId = ?2 AND Type = 'B' AND JobStatus IN ('T', 'W') \
         ORDER BY JobTDate, JobId",
        params![name, client_id],
        JobRow::from_row,
    )?;
    Ok(rows.into_iter().filter(|row| filesets.contains(&row.fileset_id)).collect())
}

/// The level (Full before Differential) of a failed backup that started after `after` (Rerun Failed Levels).
///
/// # Errors
/// Those of the database; [`CatalogError::BadValue`].
pub fn find_failed_level_since(r: &ReadTx<'_>, of: &Lineage, after: Timestamp) -> Result<Option<JobLevel>> {
    r.one(
        "SELECT Level FROM Job WHERE JobStatus IN ('A', 'E', 'e', 'f') AND Type = 'B' AND Level IN ('F', 'D') \
         AND Name = ?1 AND ClientId = ?2 AND FileSetId = ?3 AND StartTime > ?4 ORDER BY Level DESC LIMIT 1",
        params![&of.name, of.client_id, of.fileset_id, r.local(after)],
        |row| row.at(0),
    )
}

/// The newest row of each of the last `limit` ended jobs, newest first (`status dir`, terminated jobs).
///
/// # Errors
/// Those of the database; [`CatalogError::BadValue`].
pub fn list_ended(r: &ReadTx<'_>, limit: u32) -> Result<Vec<JobRow>> {
    r.all(
        "SELECT * FROM Job WHERE JobStatus IN ('T', 'W', 'E', 'e', 'f', 'A', 'I', 'D') ORDER BY RealEndTime DESC, JobId DESC LIMIT ?1",
        params![limit],
        JobRow::from_row,
    )
}

pub(crate) fn letter(letter: char) -> String {
    letter.to_string()
}

/// Letters of our own enums as an SQL list; no outside text can enter.
pub(crate) fn letters(levels: &[JobLevel]) -> String {
    levels.iter().map(|l| format!("'{}'", l.letter())).collect::<Vec<_>>().join(", ")
}

fn expect_one(changed: u64, id: JobId) -> Result<()> {
    match changed {
        0 => Err(CatalogError::Refused(format!("JobId {id} is not in the catalog"))),
        _ => Ok(()),
    }
}
