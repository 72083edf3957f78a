//! The scheduler: starts what falls due, each due run exactly once (DESIGN §4 "Schedule ledger").
//!
//! It sleeps until the next due time; a reload, an `enable` or a clock that was set wakes it earlier. What was due while no
//! Director was there is made up within the Missed Run Window.

use crate::handle::Director;
use crate::peer::chain;
use crate::text;
use catalog::ledger::{self, DueRun, Outcome};
use conf::director::Job;
use conf::messages::MessageType;
use conf::schedule::{RunLine, Schedule};
use jiff::tz::TimeZone;
use policy::plan::{JobRequest, Origin, Overrides};
use policy::schedule::{Run, due_runs, lapsed_runs, next_wake, scheduled_jobs};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use types::Timestamp;

/// Longest sleep: a clock that was set is noticed within it.
const SLEEP_MAX: Duration = Duration::from_secs(60);
/// How far ahead the next due time is looked for.
const HORIZON: Duration = Duration::from_secs(2 * 86_400);
/// Settled due runs older than this are forgotten: their watermarks lie far beyond.
const LEDGER_KEPT_S: i64 = 90 * 86_400;

/// Runs for ever.
pub(crate) async fn run(director: Director) {
    let zone = TimeZone::system();
    loop {
        if let Err(error) = round(&director, &zone).await {
            tracing::error!(error = %error, "look for due jobs; tried again in a minute");
        }
        let now = text::now();
        let off = switched_off(&director).await.unwrap_or_default();
        let config = director.config();
        let next = next_wake(&config, &zone, now, HORIZON, |job| !off.contains(&job.name));
        let ahead =
            next.map_or(SLEEP_MAX, |at| Duration::from_secs(u64::try_from(at.0 - now.0).unwrap_or(0)));
        tokio::select! {
            () = tokio::time::sleep(ahead.min(SLEEP_MAX)) => {}
            () = director.schedule_changed() => {}
        }
    }
}

/// Jobs that an operator has disabled, or whose Client or Schedule.
async fn switched_off(director: &Director) -> Result<BTreeSet<String>, String> {
    let name = director.config().director.name.clone();
    let settings = director.catalog().read(move |r| catalog::operator::list(r, &name)).await;
    let settings = settings.map_err(|error| chain(&error))?;
    let config = director.config();
    let off = |kind: &str, name: &str| {
        settings.iter().any(|s| s.kind.eq_ignore_ascii_case(kind) && s.name == name && s.value == "disabled")
    };
    let jobs = config.jobs.iter().filter(|job| {
        off("job", &job.name)
            || off("client", &job.client)
            || job.schedule.as_ref().is_some_and(|schedule| off("schedule", schedule))
    });
    Ok(jobs.map(|job| job.name.clone()).collect())
}

async fn round(director: &Director, zone: &TimeZone) -> Result<(), String> {
    let (config, now) = (director.config(), text::now());
    let off = switched_off(director).await?;
    let enabled = |job: &Job| !off.contains(&job.name);
    let marks = watermarks(director).await?;
    let window = config.director.missed_run_window;
    let mark = |job: &Job, schedule: &Schedule| {
        marks.get(&(job.name.clone(), schedule.name.clone())).copied().flatten()
    };
    for lapsed in lapsed_runs(&config, zone, now, window, mark, enabled) {
        director.messages().daemon(
            MessageType::Warning,
            &format!(
                "Job \"{}\" missed {} run(s), the last of them due at {}: no Director was active for longer than Missed Run Window. \
                 They are not made up; run the job by hand if it is wanted now.",
                lapsed.job.name,
                lapsed.count,
                text::report_time(lapsed.last)
            ),
        );
    }
    for run in due_runs(&config, zone, now, window, mark, enabled) {
        let due = due_run(&run);
        if run.is_missed(now) {
            director.messages().daemon(
                MessageType::Warning,
                &format!(
                    "Job \"{}\" was due at {} while no Director was active; it is started now.",
                    due.job,
                    text::report_time(due.due_at)
                ),
            );
        }
        start(director, &due, run.line).await?;
    }
    // After the jobs are in the catalog: a crash between the two repeats the look, and the ledger keeps runs unique.
    let pairs: Vec<(String, String)> = scheduled_jobs(&config, |_| true)
        .map(|(job, schedule)| (job.name.clone(), schedule.name.clone()))
        .collect();
    let written = director.catalog().write(director.epoch(), move |tx| {
        for (job, schedule) in &pairs {
            ledger::set_watermark(tx, job, schedule, now)?;
        }
        ledger::forget_before(tx, Timestamp(now.0 - LEDGER_KEPT_S)).map(drop)
    });
    written.await.map_err(|error| chain(&error))
}

/// A run as the ledger knows it.
pub(crate) fn due_run(run: &Run<'_>) -> DueRun {
    DueRun {
        job: run.job.name.clone(),
        schedule: run.schedule.name.clone(),
        run_line: line_number(run.schedule, run.line),
        due_at: run.due,
    }
}

/// Position of a Run line in its Schedule.
fn line_number(schedule: &Schedule, line: &RunLine) -> u32 {
    let position = schedule.runs.iter().position(|other| std::ptr::eq(other, line));
    position.and_then(|position| u32::try_from(position).ok()).unwrap_or(u32::MAX)
}

type Marks = BTreeMap<(String, String), Option<Timestamp>>;

async fn watermarks(director: &Director) -> Result<Marks, String> {
    let config = director.config();
    let read = director.catalog().read(move |r| {
        let mut marks = Marks::new();
        for (job, schedule) in scheduled_jobs(&config, |_| true) {
            let mark = ledger::watermark(r, &job.name, &schedule.name)?;
            marks.insert((job.name.clone(), schedule.name.clone()), mark);
        }
        Ok(marks)
    });
    read.await.map_err(|error| chain(&error))
}

async fn start(director: &Director, due: &DueRun, line: &RunLine) -> Result<(), String> {
    let request = JobRequest {
        job: due.job.clone(),
        origin: Origin::Schedule {
            schedule: due.schedule.clone(),
            run_line: due.run_line,
            due: due.due_at.0,
        },
        overrides: overrides(line),
    };
    match director.submit_due(request, due.clone()).await {
        Ok(Some(id)) => tracing::info!(job = %id, name = due.job, "started by its schedule"),
        Ok(None) => {}
        Err(error @ crate::DirectorError::Plan(_)) => {
            // It can never be started as it is configured; that must not stop the others.
            director.messages().daemon(MessageType::Error, &format!("Job \"{}\": {error}", due.job));
            let due = due.clone();
            let settled = director
                .catalog()
                .write(director.epoch(), move |tx| ledger::settle(tx, &due, Outcome::Missed));
            settled.await.map_err(|error| chain(&error))?;
        }
        Err(error) => return Err(chain(&error)),
    }
    Ok(())
}

fn overrides(line: &RunLine) -> Overrides {
    Overrides {
        level: line.level,
        pool: line.pool.clone(),
        full_pool: line.full_pool.clone(),
        incremental_pool: line.incremental_pool.clone(),
        differential_pool: line.differential_pool.clone(),
        next_pool: line.next_pool.clone(),
        storage: line.storage.clone(),
        messages: line.messages.clone(),
        priority: line.priority,
        spool_data: line.spool_data,
        write_part_after_job: line.write_part_after_job,
        accurate: line.accurate,
        max_run_sched_s: line.max_run_sched_time.map(|span| span.as_secs()),
        ..Overrides::default()
    }
}
