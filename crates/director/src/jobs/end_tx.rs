//! The transaction that ends a job. The simulation runs it, too.

use super::outcome::{Facts, decide};
use super::readback::ReadBack;
use catalog::attempt::{self, AttemptState, Totals};
use catalog::job::JobEnd;
use catalog::media::MediaRow;
use catalog::{ReadTx, WriteTx};
use types::{Attempt, FileIndex, JobId, JobLevel, JobStatus, JobType, PoolId, Timestamp, VolSession};

/// What the end transaction found and wrote.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the names of the catalog's columns")]
pub struct Written {
    pub status: JobStatus,
    pub end: Timestamp,
    pub files: u64,
    pub bytes: u64,
    pub session: VolSession,
    pub volumes: Vec<MediaRow>,
    pub uname: String,
}

/// Everything the end transaction needs, on its own.
#[derive(Debug, Clone)]
pub struct Ending {
    /// Job.
    pub id: JobId,
    /// What it is.
    pub job_type: JobType,
    /// As the Job row has it.
    pub level: JobLevel,
    /// Name of the Client resource.
    pub client: String,
    /// It goes on with what an earlier attempt has stored.
    pub is_rerun: bool,
    /// The job that it is about; 0 for none.
    pub target_job: u32,
    /// The attempt that ends; 0 where none was granted.
    pub attempt: Attempt,
    /// When it started.
    pub start: Timestamp,
    /// Its session on the Volumes.
    pub session: VolSession,
    /// An SD has taken part.
    pub had_sd: bool,
    /// What decides the status.
    pub facts: Facts,
    /// Of this attempt.
    pub files: Option<u64>,
    /// The same.
    pub bytes: u64,
    /// The same.
    pub read_bytes: u64,
    /// The same.
    pub errors: u32,
    /// Pool that was written to.
    pub pool: PoolId,
    /// What a read-back found on the Volume.
    pub(super) read_back: Option<ReadBack>,
}

impl Ending {
    /// Of an attempt of a backup that writes anew, of which no daemon has told anything yet.
    #[must_use]
    pub fn of_backup(
        id: JobId,
        attempt: Attempt,
        start: Timestamp,
        session: VolSession,
        pool: PoolId,
    ) -> Self {
        Self {
            id,
            job_type: JobType::Backup,
            level: JobLevel::Full,
            client: String::new(),
            is_rerun: false,
            target_job: 0,
            attempt,
            start,
            session,
            had_sd: true,
            facts: Facts { may_be_incomplete: true, ..Facts::default() },
            files: None,
            bytes: 0,
            read_bytes: 0,
            errors: 0,
            pool,
            read_back: None,
        }
    }

    /// Ends the job and its attempt at `end`.
    ///
    /// # Errors
    /// Those of the database.
    pub fn write(mut self, tx: &WriteTx<'_>, end: Timestamp) -> catalog::Result<Written> {
        let backup = self.job_type == JobType::Backup;
        let stored = if backup { stored_files(tx, self.id)? } else { 0 };
        self.facts.kept_files = stored;
        let status = decide(&self.facts);
        if backup && status == JobStatus::Incomplete {
            catalog::jobmedia::clip(tx, self.id, last_file(tx, self.id)?)?;
        }
        if let Some(found) = self.read_back {
            found.write(tx, self.id, status.is_success(), end)?;
        }
        let earlier = if self.is_rerun { sums(tx, self.id, self.attempt)? } else { Totals::default() };
        // What is kept of an unfinished backup is what the catalog has.
        let whole = status.is_success() || !backup;
        let files = match self.files {
            Some(files) if whole && !self.is_rerun => files,
            _ if backup => stored,
            files => files.unwrap_or(0),
        };
        let totals = Totals {
            files: files.saturating_sub(earlier.files),
            bytes: self.bytes,
            read_bytes: self.read_bytes,
            errors: u64::from(self.errors),
        };
        let bytes = self.bytes + earlier.bytes;
        catalog::job::end(
            tx,
            self.id,
            &JobEnd {
                status,
                level: self.level,
                start_time: self.start,
                end_time: end,
                real_end_time: end,
                session: self.session,
                files,
                bytes,
                read_bytes: self.read_bytes + earlier.read_bytes,
                errors: u64::from(self.errors) + earlier.errors,
                missing_files: 0,
                pool_id: self.pool,
                prior_job_id: JobId(self.target_job),
                has_base: false,
            },
        )?;
        super::aftermath::note(tx, self.id, self.attempt, end)?;
        if self.attempt > Attempt(0) {
            attempt::finish(tx, self.id, self.attempt, AttemptState::Ended, totals, end)?;
        }
        sys::failpoint::reach("director-end-uncommitted");
        let uname = catalog::client::get_by_name(tx, &self.client)?.map(|row| row.uname);
        Ok(Written {
            status,
            end,
            files,
            bytes,
            session: self.session,
            volumes: catalog::media::list_of_job(tx, self.id)?,
            uname: uname.unwrap_or_default(),
        })
    }
}

/// The last file that is whole, from which a restart of the job goes on.
///
/// # Errors
/// Those of the database.
pub fn last_file(r: &ReadTx<'_>, id: JobId) -> catalog::Result<FileIndex> {
    let sql = "SELECT COALESCE(MAX(FileIndex), 0) FROM File WHERE JobId = ?1";
    Ok(FileIndex(r.scalar(sql, &[catalog::Value::Int(i64::from(id.get()))])?.unwrap_or(0)))
}

pub(super) fn stored_files(tx: &ReadTx<'_>, id: JobId) -> catalog::Result<u64> {
    let sql = "SELECT count(DISTINCT FileIndex) FROM File WHERE JobId = ?1 AND FileIndex > 0";
    Ok(tx.scalar(sql, &[catalog::Value::Int(i64::from(id.get()))])?.unwrap_or(0))
}

/// Sums of the attempts before this one.
pub(super) fn sums(tx: &WriteTx<'_>, id: JobId, this: Attempt) -> catalog::Result<Totals> {
    let attempts = attempt::list(tx, id)?;
    Ok(attempts.iter().filter(|row| row.attempt < this).fold(Totals::default(), |sum, row| Totals {
        files: sum.files + row.totals.files,
        bytes: sum.bytes + row.totals.bytes,
        read_bytes: sum.read_bytes + row.totals.read_bytes,
        errors: sum.errors + row.totals.errors,
    }))
}
