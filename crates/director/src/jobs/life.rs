//! The life of a job: one task from its creation to its report.

use super::ending::{self, Finished};
use super::job::Job;
use super::level::{self, Ground};
use super::machine::Step;
use super::outcome::Wish;
use super::readback::ReadBack;
use super::retarget::retarget;
use super::session::{Ends, Fail, FdSession, SdSession};
use super::{aftermath, backup, copy, failover, leftover, restore, scripts, turn};
use crate::handle::Director;
use crate::messages::Codes;
use catalog::job::JobStart;
use policy::plan::JobPlan;
use std::sync::Arc;
use std::time::Duration;
use types::{Attempt, JobStatus, JobType, Timestamp};

/// What a job has reached; whatever ends it, the ending finds it here.
#[derive(Default)]
pub(crate) struct Reached {
    pub(crate) sd: Option<SdSession>,
    pub(crate) fd: Option<FdSession>,
    pub(crate) ends: Ends,
    /// Data has flowed.
    pub(crate) data: bool,
    /// How its Storage Daemon was lost while data flowed, even if it came back.
    pub(crate) sd_lost: Option<String>,
    /// The client could not reach the Storage Daemon.
    pub(crate) unreached_by_client: bool,
    /// The written job of a copy or migration; `sd` is its reading side.
    pub(crate) copy: Option<copy::Writing>,
    /// Sums of sessions that ended before the last one (restore from several Storages).
    pub(crate) sd_files: u64,
    pub(crate) sd_bytes: u64,
}

/// What decides the status, besides the operator's wish.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) fd: Option<Option<JobStatus>>,
    pub(crate) sd: Option<Option<JobStatus>>,
    pub(crate) may_be_incomplete: bool,
    pub(crate) failed: Option<JobStatus>,
}

/// What the job's own task knows of it.
pub(crate) struct Course {
    pub(crate) ground: Ground,
    pub(crate) attempt: Attempt,
    pub(crate) start: Timestamp,
    pub(crate) reached: Reached,
    pub(crate) outcome: Outcome,
    /// Of a job whose stock SD was read back.
    pub(crate) read_back: Option<ReadBack>,
    /// It has lost its Storage, and no other one takes it on.
    pub(crate) lost_storage: bool,
}

impl Course {
    pub(crate) fn new() -> Self {
        Self {
            ground: Ground::default(),
            attempt: Attempt(0),
            start: crate::text::now(),
            reached: Reached::default(),
            outcome: Outcome::default(),
            read_back: None,
            lost_storage: false,
        }
    }
}

/// Lives a job that is new or was queued when the Director stopped.
pub(crate) async fn live(director: Director, job: Arc<Job>) {
    let mut course = Course::new();
    let limits = limits(&director, &job);
    let led = tokio::select! {
        led = lead(&director, &job, &mut course) => led,
        () = limits => Err(Fail { status: JobStatus::Canceled, text: String::new() }),
    };
    close(&director, &job, course, led).await;
}

/// Ends a job, however its course was.
pub(crate) async fn close(director: &Director, job: &Arc<Job>, mut course: Course, led: Result<(), Fail>) {
    job.leave_line();
    if failover::goes_on(director, job, &mut course, &led).await {
        drop(course);
        return Box::pin(live(director.clone(), Arc::clone(job))).await;
    }
    if let (Some(problem), Some(None)) = (&course.reached.sd_lost, &course.outcome.sd) {
        job.messages.fatal(problem);
    }
    if let Err(fail) = led {
        if !fail.text.is_empty() {
            job.messages.fatal(&fail.text);
        }
        course.outcome.failed.get_or_insert(fail.status);
        ending::drain(director, job, &mut course).await;
    }
    job.step(&Step::Finish);
    let lost = [Some(&course.reached), course.reached.copy.as_ref().map(|writing| &*writing.reached)];
    let mut lost: Vec<String> = lost
        .into_iter()
        .flatten()
        .filter_map(|reached| reached.sd.as_ref().filter(|sd| sd.holdfast && reached.ends.sd.is_none()))
        .map(|sd| sd.storage.name.clone())
        .collect();
    lost.extend(job.plan().lost_storages.iter().cloned());
    if course.lost_storage {
        lost.extend(job.plan().write_storages.iter().map(|storage| storage.name.clone()));
    }
    lost.sort_unstable();
    lost.dedup();
    let finished = ending::finish(director, job, course).await;
    over(director, job, finished).await;
    for storage in lost {
        leftover::look(director, &storage);
    }
}

async fn over(director: &Director, job: &Arc<Job>, finished: Finished) {
    job.step(&Step::End(finished.status));
    director.registry().remove(job);
    if let Some(at) = finished.again {
        aftermath::reschedule(director, job.id, at).await;
    }
}

async fn lead(director: &Director, job: &Arc<Job>, course: &mut Course) -> Result<(), Fail> {
    turn::wait_for_time(job).await?;
    // The level is needed for duplicates; it is decided again when the job starts.
    level::settle(director, job).await?;
    turn::check_duplicates(director, job).await?;
    if copy::is_control(&job.plan()) {
        copy::choose(director, job).await?;
    }
    // Room is asked for where the job will run; and the place may change while it waits.
    retarget(director, job).await?;
    turn::wait_for_turn(director, job).await?;
    course.ground = level::settle(director, job).await?;
    retarget(director, job).await?;
    start(director, job, course).await?;
    let codes = codes(director, job, course, "Running");
    job.messages.set_codes(codes.clone());
    scripts::run_before(director, job, course.attempt, &codes).await?;
    if job.plan().lost_storages.is_empty() {
        course.start = crate::text::now();
    }
    job.update(|live| live.start_time = Some(course.start));
    mark_started(director, job, course).await?;
    perform(director, job, course).await
}

/// Does what the type of the job asks for.
async fn perform(director: &Director, job: &Arc<Job>, course: &mut Course) -> Result<(), Fail> {
    let plan = job.plan();
    let (attempt, ground, reached) = (course.attempt, course.ground.clone(), &mut course.reached);
    match plan.job_type {
        JobType::Backup => {
            unless_wished(job, Box::pin(backup::run(director, job, attempt, &ground, reached))).await?;
            course.outcome = backup::outcome(&plan, &course.reached);
            Ok(())
        }
        JobType::Restore => {
            unless_wished(job, restore::run(director, job, attempt, reached)).await?;
            course.outcome = backup::outcome(&plan, &course.reached);
            course.outcome.may_be_incomplete = false;
            if job.has_unfound() && course.outcome.failed.is_none() {
                course.outcome.failed = Some(JobStatus::ErrorTerminated);
            }
            Ok(())
        }
        JobType::Admin => {
            job.messages.info(&format!("Start Admin JobId {}, Job={}", job.id, job.unique));
            Ok(())
        }
        JobType::Copy | JobType::Migrate => {
            unless_wished(job, Box::pin(copy::run(director, job, attempt, reached))).await
        }
        JobType::Verify
        | JobType::JobCopy
        | JobType::MigratedJob
        | JobType::Console
        | JobType::System
        | JobType::Archive
        | JobType::Scan => Err(Fail::fatal(format!("jobs of type {} cannot be run yet", plan.job_type))),
    }
}

/// Runs the part of a job, but ends at once when the operator wants so while nothing flows yet; a job whose data flows ends
/// with its daemons, which were told.
async fn unless_wished(job: &Job, part: impl Future<Output = Result<(), Fail>>) -> Result<(), Fail> {
    tokio::pin!(part);
    let wish = async {
        let wish = job.wished().await;
        if matches!(job.state(), super::machine::JobState::Running) {
            // The part itself waits for the daemons, with a limit.
            std::future::pending::<()>().await;
        }
        wish
    };
    tokio::select! {
        done = &mut part => done,
        wish = wish => Err(canceled(wish)),
    }
}

pub(super) fn canceled(wish: Wish) -> Fail {
    let status = if wish == Wish::Stop { JobStatus::Incomplete } else { JobStatus::Canceled };
    Fail { status, text: String::new() }
}

/// Grants the attempt and writes the start.
async fn start(director: &Director, job: &Job, course: &mut Course) -> Result<(), Fail> {
    let plan = job.plan();
    course.start = crate::text::now();
    let late = course.start.0 - plan.sched_time.0;
    let limit = plan.limits.start_delay_s;
    if limit > 0 && plan.lost_storages.is_empty() && late > i64::try_from(limit).unwrap_or(i64::MAX) {
        let text = "Job canceled because max start delay time exceeded.".to_owned();
        return Err(Fail { status: JobStatus::Canceled, text });
    }
    let (id, now) = (job.id, course.start);
    if !plan.lost_storages.is_empty() {
        // The next job of this name looks for what has changed since the first file was read.
        let row = director.catalog().read(move |r| catalog::job::get(r, id)).await?;
        course.start = row.and_then(|row| row.start_time).unwrap_or(now);
    }
    let start = course.start;
    let granted = director.catalog().write(director.epoch(), move |tx| {
        aftermath::clear_reschedule(tx, id)?;
        if sys::failpoint::is_on("bug-attempt-not-closed") {
            let last = catalog::attempt::list(tx, id)?.last().map_or(Attempt(0), |row| row.attempt);
            return catalog::attempt::create(tx, id, Attempt(last.0 + 1), now);
        }
        catalog::attempt::grant(tx, id, now)
    });
    let granted = granted.await?;
    course.attempt = granted;
    job.update(|live| {
        live.attempt = granted;
        live.start_time = Some(start);
    });
    for message in &course.ground.messages {
        job.messages.info(message);
    }
    mark_started(director, job, course).await
}

async fn mark_started(director: &Director, job: &Job, course: &Course) -> Result<(), Fail> {
    let plan = job.plan();
    let start = JobStart {
        level: super::create::row_level(&plan),
        client_id: course.ground.client,
        fileset_id: course.ground.fileset,
        pool_id: course.ground.pool,
        start_time: course.start,
        status: JobStatus::Running,
    };
    let id = job.id;
    Ok(director.catalog().write(director.epoch(), move |tx| catalog::job::start(tx, id, &start)).await?)
}

/// Returns when the job has run longer than its directives allow; its daemons are told to end.
async fn limits(director: &Director, job: &Arc<Job>) {
    let mut live = job.watch();
    let plan = job.plan();
    let limit = |plan: &JobPlan| -> Option<(u64, bool, &'static str)> {
        let l = plan.limits;
        let by_level = match plan.level {
            types::JobLevel::Full => l.full_run_s,
            types::JobLevel::Incremental => l.incremental_run_s,
            types::JobLevel::Differential => l.differential_run_s,
            _ => 0,
        };
        let sched = (l.run_sched_s > 0).then_some((l.run_sched_s, true, "Max sched run time exceeded."));
        let run = [by_level, l.run_s].into_iter().filter(|s| *s > 0).min();
        sched.or(run.map(|seconds| (seconds, false, "Max run time exceeded.")))
    };
    if limit(&plan).is_none()
        && plan.limits.full_run_s + plan.limits.incremental_run_s + plan.limits.differential_run_s == 0
    {
        return std::future::pending().await;
    }
    loop {
        let plan = job.plan();
        let started = live.borrow_and_update().start_time;
        if let Some((seconds, since_sched, text)) = limit(&plan)
            && let Some(from) = if since_sched { Some(plan.sched_time) } else { started }
        {
            let left = from.0 + i64::try_from(seconds).unwrap_or(i64::MAX / 2) - crate::text::now().0;
            if left <= 0 {
                job.messages.fatal(&format!("{text} Job canceled."));
                // The job ends by this wish as by an operator's; what its daemons answer is of no interest.
                let _ = director.cancel(job.id).await;
                return std::future::pending().await;
            }
            let left = Duration::from_secs(u64::try_from(left).unwrap_or(1).min(60));
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                _ = live.changed() => {}
            }
        } else if live.changed().await.is_err() {
            return std::future::pending().await;
        }
    }
}

/// What commands, scripts and names of this job may say of it.
pub(crate) fn codes(director: &Director, job: &Job, course: &Course, exit: &str) -> Codes {
    let plan = job.plan();
    let since = plan
        .since
        .as_ref()
        .map_or_else(|| "0000-00-00 00:00:00".to_owned(), |since| crate::text::catalog_time(since.time));
    let ends = &course.reached.ends;
    // Of a copy and migration they are the place that is written to, as with Bacula 9.6.7.
    let (pool, storage) = match &plan.next_pool {
        Some(next) if copy::is_control(&plan) => (&next.name, plan.write_storages.first()),
        _ => (&plan.pool.name, plan.first_storage()),
    };
    Codes {
        client: plan.client.name.clone(),
        client_address: plan.client.address.clone(),
        director: director.config().director.name.clone(),
        exit: exit.to_owned(),
        errors: job.messages.errors(),
        job_id: job.id.get(),
        job: job.unique.clone(),
        name: plan.job.clone(),
        level: if plan.level.as_str().is_empty() { " ".to_owned() } else { plan.level.to_string() },
        job_type: plan.job_type.to_string(),
        since,
        volumes: String::new(),
        files: ends.fd.map_or(0, |end| end.files),
        bytes: ends.fd.map_or(0, |end| end.bytes),
        read_bytes: ends.fd.map_or(0, |end| end.read_bytes),
        priority: plan.priority,
        fileset: plan.fileset.name.clone(),
        pool: pool.clone(),
        storage: storage.map(|s| s.name.clone()).unwrap_or_default(),
        spooling: plan.spool_data,
        cloned: matches!(plan.origin, policy::plan::Origin::Clone { .. }),
        previous_job: plan.target_job.unwrap_or(0),
    }
}
