//! The transaction that ends a copy or migration: both jobs, and what becomes of the original.

use super::super::end_tx::{Ending, Written, last_file, stored_files, sums};
use super::super::outcome::{Facts, decide};
use catalog::attempt::{self, AttemptState, Totals};
use catalog::job::{JobEnd, JobRow};
use catalog::{WriteTx, copies};
use types::{Attempt, JobId, JobStatus, JobType, PoolId, Timestamp, VolSession};

/// Everything that the transaction needs, on its own.
#[derive(Debug, Clone)]
pub(super) struct CopyEnding {
    pub(super) control: Ending,
    pub(super) written: JobId,
    pub(super) attempt: Attempt,
    pub(super) session: VolSession,
    pub(super) pool: PoolId,
    pub(super) original: JobRow,
    /// A migration, and whether the original goes altogether.
    pub(super) migrate: Option<bool>,
    pub(super) is_rerun: bool,
    /// More of the original lies on other Storages.
    pub(super) is_part: bool,
    /// File rows of the copy are kept: `Catalog Files` of its Pool.
    pub(super) keeps_rows: bool,
    /// What decides the written job's status: `sd` the writing side, `fd` the reading side.
    pub(super) facts: Facts,
    /// As the writing side said, of this attempt.
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) errors: u32,
}

/// What became of both.
#[derive(Debug, Clone)]
pub(super) struct CopyEnded {
    pub(super) control: Written,
    /// Why the copy is not good although both daemons say so.
    pub(super) problem: Option<String>,
    pub(super) status: JobStatus,
    pub(super) files: u64,
    /// The original is gone, so the copy is the backup now.
    pub(super) is_heir: bool,
}

impl CopyEnding {
    pub(super) fn write(mut self, tx: &WriteTx<'_>, end: Timestamp) -> catalog::Result<CopyEnded> {
        let stored = stored_files(tx, self.written)?;
        self.facts.kept_files = stored;
        let mut status = decide(&self.facts);
        let problem = if status.is_success() { self.problem(tx)? } else { None };
        if problem.is_some() {
            status = JobStatus::ErrorTerminated;
        }
        if status == JobStatus::Incomplete {
            catalog::jobmedia::clip(tx, self.written, last_file(tx, self.written)?)?;
        }
        let files = self.end_written(tx, status, stored, end)?;
        let is_heir = if status.is_success() { self.settle(tx)? } else { false };
        let mut control = self.control;
        control.facts.sd = Some(Some(JobStatus::Terminated));
        control.facts.fd = None;
        control.facts.failed = (!status.is_success()).then_some(match status {
            JobStatus::Incomplete => JobStatus::ErrorTerminated,
            other => other,
        });
        (control.files, control.bytes) = (Some(0), 0);
        let mut control = control.write(tx, end)?;
        control.volumes = catalog::media::list_of_job(tx, self.written)?;
        Ok(CopyEnded { control, problem, status, files, is_heir })
    }

    /// A copy is good when the catalog has of it, row by row, what it has of the original: attributes and digests came from the
    /// new Volume's Storage Daemon, after it had stored the data. Only where no rows are kept the number of files decides.
    fn problem(&self, tx: &WriteTx<'_>) -> catalog::Result<Option<String>> {
        if self.is_part {
            return Ok(Some("it is what lies on one Storage, and there are others".to_owned()));
        }
        let Some(original) = catalog::job::get(tx, self.original.id)? else { return Ok(None) };
        let has_rows = !original.purged_files && catalog::file::count(tx, original.id)? > 0;
        if has_rows && self.keeps_rows {
            let differences = copies::count_differences(tx, original.id, self.written)?;
            return Ok((differences > 0).then(|| {
                format!("{differences} file records of the copy differ from those of JobId {}", original.id)
            }));
        }
        if !self.is_rerun && self.files != original.files {
            let (got, due) = (self.files, original.files);
            return Ok(Some(format!("the copy has {got} files, JobId {} has {due}", original.id)));
        }
        Ok(None)
    }

    fn end_written(
        &self,
        tx: &WriteTx<'_>,
        status: JobStatus,
        stored: u64,
        end: Timestamp,
    ) -> catalog::Result<u64> {
        let earlier = if self.is_rerun { sums(tx, self.written, self.attempt)? } else { Totals::default() };
        // A good copy has what its original has; its Storage Daemon may have counted the gaps between the numbers, too.
        let files = if status.is_success() { self.original.files } else { stored };
        let totals = Totals {
            files: files.saturating_sub(earlier.files),
            bytes: self.bytes,
            read_bytes: 0,
            errors: u64::from(self.errors),
        };
        let original = &self.original;
        catalog::job::end(
            tx,
            self.written,
            &JobEnd {
                status,
                level: original.level,
                // A copy counts as of the time of its original.
                start_time: original.start_time.unwrap_or(original.tdate),
                end_time: original.end_time.unwrap_or(end),
                real_end_time: end,
                session: self.session,
                files,
                bytes: self.bytes + earlier.bytes,
                read_bytes: original.read_bytes,
                errors: totals.errors + earlier.errors,
                missing_files: original.missing_files,
                pool_id: self.pool,
                prior_job_id: original.id,
                has_base: original.has_base,
            },
        )?;
        attempt::finish(tx, self.written, self.attempt, AttemptState::Ended, totals, end)?;
        Ok(files)
    }

    /// What a good copy changes. Whether it is the backup now, since there is none any more.
    fn settle(&self, tx: &WriteTx<'_>) -> catalog::Result<bool> {
        let Some(original) = catalog::job::get(tx, self.original.id)? else {
            let has_backup =
                copies::list_alike(tx, self.written)?.iter().any(|row| row.job_type == JobType::Backup);
            if !has_backup {
                catalog::job::set_type(tx, self.written, JobType::Backup)?;
            }
            return Ok(!has_backup);
        };
        copies::complete(tx, &original, self.written)?;
        match self.migrate {
            Some(purge) => copies::migrate(tx, original.id, self.written, purge)?,
            None => copies::duplicate_log(tx, original.id, self.written)?,
        }
        Ok(false)
    }
}
