//! The written job of a copy: its row, its plan, its attempt.

use super::super::create::{self, known, plan_row};
use super::super::end_tx::{last_file, stored_files, sums};
use super::super::job::Job;
use super::super::life::Reached;
use super::super::machine::Step;
use super::super::session::Fail;
use super::source::Original;
use super::with_control;
use crate::error::DirectorError;
use crate::handle::Director;
use crate::peer::chain;
use crate::text;
use catalog::job::{JobEnd, JobRow, JobStart, NewJob};
use catalog::{ReadTx, WriteTx, copies};
use policy::plan::{
    ClientPlan, CopyPlan, FileSetPlan, JobPlan, Limits, Origin, PrunePlan, Rerun, Reschedule, StoragePlan,
};
use std::sync::Arc;
use types::{Attempt, FileIndex, JobId, JobStatus, JobType, PoolId, Timestamp, VolSession};

/// The written job and what was reached with it.
pub(crate) struct Writing {
    pub(crate) job: Arc<Job>,
    pub(crate) attempt: Attempt,
    pub(crate) pool: PoolId,
    pub(crate) original: JobRow,
    /// What an earlier attempt has stored.
    pub(crate) rerun: Option<Rerun>,
    /// On the new Volume; from when it is known.
    pub(crate) session: VolSession,
    pub(crate) reached: Box<Reached>,
}

/// Makes the written job, or takes one up again that was cut off, in one transaction with the control job's plan. From here on
/// the catalog knows whose copy it is.
///
/// `source`: where it is read, with the last file of that where more lies elsewhere. `may_go_on`: both Storage Daemons keep the
/// files' numbers, so that a copy can go on where it ended.
pub(super) async fn prepare(
    director: &Director,
    job: &Arc<Job>,
    original: &Original,
    source: (&StoragePlan, Option<FileIndex>),
    may_go_on: bool,
) -> Result<Writing, Fail> {
    let (control, now) = (job.plan(), text::now());
    let unique = director.names().draw(&original.row.name, now);
    let fresh = plan_of(director, job, &control, original);
    let (control_id, row, read) = (job.id, original.row.clone(), source.0.clone());
    let part_end = source.1.map(FileIndex::get);
    let made = director.catalog().write(director.epoch(), move |tx| {
        let pool = catalog::pool::get_by_name(tx, &fresh.pool.name)?.map(|pool| pool.id).unwrap_or_default();
        let cut_off = if may_go_on { cut_off(tx, &row, pool, &fresh.write_storages)? } else { None };
        let (id, unique, plan) = match cut_off {
            Some((earlier, storage)) => {
                (earlier.id, earlier.unique_name.clone(), go_on(&fresh, &earlier, storage))
            }
            None => (create(tx, &row, &fresh, &unique, now)?, unique.clone(), fresh.clone()),
        };
        let of_control = JobPlan {
            read_storages: vec![read.clone()],
            ..with_control(&control, |control| {
                (control.written, control.part_end) = (Some(id.get()), part_end);
            })
        };
        for (id, plan) in [(id, &plan), (control_id, &of_control)] {
            catalog::plan::store(tx, &plan_row(id, plan).map_err(catalog::CatalogError::Refused)?)?;
        }
        let attempt = catalog::attempt::grant(tx, id, now)?;
        let start = JobStart {
            level: row.level,
            client_id: row.client_id,
            fileset_id: row.fileset_id,
            pool_id: pool,
            start_time: now,
            status: JobStatus::Running,
        };
        catalog::job::start(tx, id, &start)?;
        Ok((id, unique, plan, of_control, attempt, pool))
    });
    let (id, unique, plan, of_control, attempt, pool) = made.await?;
    job.set_plan(of_control);
    let rerun = plan.rerun;
    let written = known(director, id, unique, plan);
    begin(&written, attempt, now);
    if let Some(rerun) = rerun {
        job.messages.info(&format!("The copy JobId {id} goes on; {} files are there already.", rerun.files));
    }
    Ok(Writing {
        job: written,
        attempt,
        pool,
        original: original.row.clone(),
        rerun,
        session: rerun.map(|rerun| rerun.session).unwrap_or_default(),
        reached: Box::default(),
    })
}

/// Brings the written job to where its control job is.
pub(super) fn begin(written: &Job, attempt: Attempt, start: Timestamp) {
    written.update(|live| {
        live.attempt = attempt;
        live.start_time = Some(start);
    });
    written.step(&Step::Admit);
}

/// The last file of a copy that was cut off and can be gone on with, 0 where there is none.
pub(super) async fn stored_earlier(
    director: &Director,
    plan: &JobPlan,
    original: &JobRow,
) -> Result<FileIndex, Fail> {
    let (pool, original) = (plan.next_pool.clone().unwrap_or_default(), original.clone());
    let storages = plan.write_storages.clone();
    let read = director.catalog().read(move |r| {
        let Some(pool) = catalog::pool::get_by_name(r, &pool.name)? else { return Ok(FileIndex(0)) };
        match cut_off(r, &original, pool.id, &storages)? {
            Some((row, _)) => last_file(r, row.id),
            None => Ok(FileIndex(0)),
        }
    });
    Ok(read.await?)
}

/// The last file that the written job has whole.
pub(super) async fn stored(director: &Director, writing: &Writing) -> Result<FileIndex, Fail> {
    if writing.rerun.is_none() {
        return Ok(FileIndex(0));
    }
    let id = writing.job.id;
    Ok(director.catalog().read(move |r| last_file(r, id)).await?)
}

fn create(
    tx: &WriteTx<'_>,
    original: &JobRow,
    plan: &JobPlan,
    unique: &str,
    now: Timestamp,
) -> catalog::Result<JobId> {
    let new = NewJob {
        unique_name: unique.to_owned(),
        name: original.name.clone(),
        job_type: JobType::JobCopy,
        level: original.level,
        client_id: original.client_id,
        sched_time: plan.sched_time,
        created: now,
        prior_job_id: original.id,
        comment: original.comment.clone(),
    };
    catalog::job::create(tx, &new)
}

/// A copy of the job in the Pool that was cut off, with the Storage that has its first part. The reading side gives the files
/// their own numbers only between Storage Daemons of ours, which then have a journal of the attempt in the catalog.
fn cut_off(
    tx: &ReadTx<'_>,
    original: &JobRow,
    pool: PoolId,
    storages: &[StoragePlan],
) -> catalog::Result<Option<(JobRow, StoragePlan)>> {
    let Some(row) = copies::find_incomplete(tx, original.id, pool)? else { return Ok(None) };
    let attempts = catalog::attempt::list(tx, row.id)?;
    let Some(last) = attempts.last() else { return Ok(None) };
    let key =
        catalog::journal::JournalKey { job_id: row.id, attempt: last.attempt, storage: last.storage.clone() };
    let has_journal = catalog::journal::position(tx, &key)? > types::Seq(0);
    let storage = storages.iter().find(|storage| storage.name == last.storage);
    Ok(storage.filter(|_| has_journal && row.files > 0).map(|storage| (row.clone(), storage.clone())))
}

/// The plan of an attempt that goes on behind what the earlier ones have stored.
fn go_on(fresh: &JobPlan, earlier: &JobRow, storage: StoragePlan) -> JobPlan {
    JobPlan {
        write_storages: vec![storage],
        rerun: Some(Rerun {
            session: earlier.session,
            files: u32::try_from(earlier.files).unwrap_or(u32::MAX),
            bytes: earlier.bytes,
            errors: u32::try_from(earlier.errors).unwrap_or(u32::MAX),
            same_job: true,
        }),
        ..fresh.clone()
    }
}

/// The written job's plan: what the Storage Daemon is told of it, and where it goes.
fn plan_of(director: &Director, job: &Job, control: &JobPlan, original: &Original) -> JobPlan {
    let config = director.config();
    let client = config.client(&original.client).map(|client| client.address.clone().unwrap_or_default());
    JobPlan {
        job: original.row.name.clone(),
        job_type: JobType::JobCopy,
        level_asked: original.row.level,
        level: original.row.level,
        since: None,
        not_before: None,
        origin: Origin::Clone { parent: job.id.get() },
        client: ClientPlan {
            name: original.client.clone(),
            address: client.unwrap_or_default(),
            ..ClientPlan::default()
        },
        fileset: FileSetPlan {
            name: original.fileset.clone(),
            md5: original.fileset_md5.clone(),
            ..FileSetPlan::default()
        },
        pool: control.next_pool.clone().unwrap_or_default(),
        next_pool: None,
        read_storages: Vec::new(),
        scripts: Vec::new(),
        target_job: Some(original.row.id.get()),
        accurate: false,
        base_jobs: Vec::new(),
        bandwidth_bytes_per_s: 0,
        write_bootstrap: None,
        clones: Vec::new(),
        limits: Limits::default(),
        reschedule: Reschedule::default(),
        prune: PrunePlan { jobs: false, files: false, ..control.prune },
        rerun: None,
        selection: None,
        copy: Some(CopyPlan::Written { control: job.id.get() }),
        ..control.clone()
    }
}

/// Closes a written job that nobody drives any more: its control job is over, or has given it up. One that is over stays as it is.
pub(crate) async fn give_up(director: &Director, id: JobId) -> Result<(), DirectorError> {
    let now = text::now();
    let closed = director.catalog().write(director.epoch(), move |tx| {
        let Some(row) = catalog::job::get(tx, id)? else { return Ok(()) };
        if let Some(open) = catalog::attempt::open_of(tx, id)? {
            let totals = catalog::attempt::Totals::default();
            let closed = catalog::attempt::AttemptState::Closed;
            catalog::attempt::finish(tx, id, open.attempt, closed, totals, now)?;
        }
        if row.status.is_final() {
            return Ok(());
        }
        tracing::warn!(copy = %id, "a copy that nobody drives any more is closed");
        // What is in the catalog was acknowledged: a later copy can go on behind it.
        let files = stored_files(tx, id)?;
        if files == 0 {
            return catalog::job::set_status(tx, id, JobStatus::FatalError);
        }
        catalog::jobmedia::clip(tx, id, last_file(tx, id)?)?;
        let bytes = sums(tx, id, Attempt(u32::MAX))?.bytes;
        catalog::job::end(tx, id, &incomplete(&row, files, bytes, now))
    });
    closed.await.map_err(|error| DirectorError::Catalog(chain(&error)))
}

pub(super) fn incomplete(row: &JobRow, files: u64, bytes: u64, now: Timestamp) -> JobEnd {
    JobEnd {
        status: JobStatus::Incomplete,
        level: row.level,
        start_time: row.start_time.unwrap_or(now),
        end_time: now,
        real_end_time: now,
        session: row.session,
        files,
        bytes,
        read_bytes: row.read_bytes,
        errors: row.errors,
        missing_files: row.missing_files,
        pool_id: row.pool_id,
        prior_job_id: row.prior_job_id,
        has_base: row.has_base,
    }
}

/// As [`give_up`], for a control job that ends without having known of its written job.
pub(super) async fn give_up_left(director: &Director, control: JobId) -> Result<(), DirectorError> {
    let read = director.catalog().read(move |r| catalog::plan::load(r, control)).await;
    let row = read.map_err(|error| DirectorError::Catalog(chain(&error)))?;
    let Some(row) = row else { return Ok(()) };
    match create::parse(&row)?.control().and_then(|control| control.written) {
        Some(written) => give_up(director, JobId(written)).await,
        None => Ok(()),
    }
}
