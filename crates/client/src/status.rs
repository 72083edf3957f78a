//! `status` and `.status` (spec/01 §5.11).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::Timestamp as Instant;
use jiff::tz::TimeZone;
use types::{JobLevel, JobStatus, JobType, Seq, Timestamp};
use wire::msg::common::StatusQuery;
use wire::msg::holdfast::{JobEntry, JobState};
use wire::version::{BACULA_LEVEL, BACULA_LEVEL_DATE, BACULA_LEVEL_DATE_SHORT, Generation};

use crate::counters::Counters;
use crate::daemon::Daemon;
use crate::job::{Job, level_text, type_text};
use crate::jobs::EndedJob;
use crate::message::path_text;
use crate::restore::commas;

/// Level and date of an old client, for Directors that know no newer ones.
const OLD_LEVEL: (&str, &str) = ("9.6.7", "10Dec20");

/// Version, date and system, as the answer to `JobId=` has them.
#[must_use]
pub fn uname(generation: Generation) -> String {
    let (level, date) = match generation {
        Generation::Old => OLD_LEVEL,
        Generation::New => (BACULA_LEVEL, BACULA_LEVEL_DATE_SHORT),
    };
    format!("{level} ({date}) {},holdfast,{}", host_os(), env!("CARGO_PKG_VERSION"))
}

fn host_os() -> String {
    format!("{}-pc-linux-gnu", std::env::consts::ARCH)
}

/// `23-Nov-26 15:04`.
fn short_time(time: Timestamp) -> String {
    local(time, "%d-%b-%y %H:%M")
}

fn local(time: Timestamp, format: &str) -> String {
    Instant::from_second(time.0)
        .map(|time| TimeZone::system().to_datetime(time).strftime(format).to_string())
        .unwrap_or_default()
}

/// The text of `status`: packets with a NUL at their end, as Bacula sends them.
#[must_use]
pub fn report(daemon: &Daemon) -> Vec<String> {
    let name = &daemon.config.daemon.name;
    let (run, running) = daemon.jobs.counts();
    let bandwidth = daemon.bandwidth.load(Ordering::Relaxed) / 1000;
    let debug = daemon.debug.load(Ordering::Relaxed);
    let mut lines = vec![
        format!(
            "{name} Version: {BACULA_LEVEL} ({BACULA_LEVEL_DATE})  {} holdfast {}\n\0",
            host_os(),
            env!("CARGO_PKG_VERSION")
        ),
        format!("Daemon started {}. Jobs: run={run} running={running}.\n\0", short_time(daemon.started)),
        format!(" Sizes: boffset_t=8 size_t=8 debug={debug} trace=0 mode=0,0 bwlimit={bandwidth}kB/s\n\0"),
    ];
    lines.insert(0, "\n".to_owned());
    lines.push("\nRunning Jobs:\n\0".to_owned());
    let jobs = daemon.jobs.all_running();
    for job in &jobs {
        lines.extend(running_lines(job));
    }
    if jobs.is_empty() {
        lines.push("No Jobs running.\n\0".to_owned());
    }
    lines.push("====\n\0".to_owned());
    lines.push("\nTerminated Jobs:\n\0".to_owned());
    lines.push(" JobId  Level    Files      Bytes   Status   Finished        Name \n\0".to_owned());
    lines.push("===================================================================\n\0".to_owned());
    lines.extend(daemon.jobs.last().iter().map(ended_line));
    lines.push("====\n\0".to_owned());
    lines
}

fn running_lines(job: &Arc<Job>) -> Vec<String> {
    let counts = &job.counters;
    let (files, bytes) = (Counters::get(&counts.files), Counters::get(&counts.job_bytes));
    let seconds = (crate::job::now().0 - job.started.0).max(1) as u64;
    let rate = commas(bytes / seconds);
    let mut lines = vec![
        format!("JobId {} Job {} is running.\n\0", job.identity.id, job.identity.name),
        format!(
            "    {} {} Job started: {}\n\0",
            level_text(job.level()).trim(),
            type_text(job.job_type()),
            short_time(job.started)
        ),
        format!(
            "    Files={} Bytes={} AveBytes/sec={rate} LastBytes/sec={rate} Errors={}\n\0",
            commas(files),
            commas(bytes),
            commas(Counters::get(&counts.errors))
        ),
        format!(
            "    Bwlimit={} ReadBytes={}\n\0",
            commas(Counters::get(&counts.bandwidth)),
            commas(Counters::get(&counts.read_bytes))
        ),
        format!(
            "    Files: Examined={} Backed up={}\n\0",
            commas(Counters::get(&counts.examined)),
            commas(files)
        ),
    ];
    let current = counts.current();
    if !current.is_empty() {
        lines.push(format!("    Processing file: {}\n\0", path_text(&current)));
    }
    lines
}

fn short_level(job_type: JobType, level: JobLevel) -> &'static str {
    match (job_type, level) {
        (JobType::Restore, _) => "Rest",
        (JobType::Admin, _) => "Admi",
        (_, JobLevel::Full) => "Full",
        (_, JobLevel::Differential) => "Diff",
        (_, JobLevel::Incremental) => "Incr",
        (_, JobLevel::Since) => "Sinc",
        (_, JobLevel::Base) => "Base",
        (_, JobLevel::VirtualFull) => "VFul",
        (JobType::Verify, JobLevel::VerifyCatalog) => "VCat",
        (JobType::Verify, JobLevel::VerifyInit) => "VIni",
        (JobType::Verify, JobLevel::VerifyVolume) => "VVol",
        (JobType::Verify, JobLevel::VerifyDisk) => "VDis",
        (JobType::Verify, JobLevel::VerifyData) => "VDat",
        _ => "",
    }
}

fn ended_status(job: &EndedJob) -> &'static str {
    match job.status {
        JobStatus::Terminated if job.errors > 0 => "OK -- with warnings",
        JobStatus::Terminated => "OK",
        JobStatus::Warnings => "OK -- with warnings",
        JobStatus::ErrorTerminated | JobStatus::FatalError | JobStatus::Error => "Error",
        JobStatus::Canceled => "Cancel",
        JobStatus::Differences => "Diffs",
        JobStatus::Incomplete => "Incomplete",
        JobStatus::Created => "Created",
        _ => "Other",
    }
}

fn ended_line(job: &EndedJob) -> String {
    format!(
        "{:6}  {:<6} {:>8} {:>10}  {:<7}  {:<8} {}\n\0",
        job.id.get(),
        short_level(job.job_type, job.level),
        commas(job.files),
        suffixed(job.bytes),
        ended_status(job),
        short_time(job.ended),
        job.name
    )
}

/// `42.11 K`: four significant digits, cut and not rounded, and the unit; below 1000 the bare number and a blank.
fn suffixed(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    let (mut whole, mut thousandths, mut units) = (bytes, 0, UNITS.iter());
    let mut unit = "";
    while whole >= 1000 {
        (whole, thousandths) = (whole / 1000, whole % 1000);
        unit = units.next().copied().unwrap_or("");
    }
    match whole {
        _ if unit.is_empty() => format!("{bytes} "),
        0..=9 => format!("{whole}.{thousandths:03} {unit}"),
        10..=99 => format!("{whole}.{:02} {unit}", thousandths / 10),
        _ => format!("{whole}.{} {unit}", thousandths / 100),
    }
}

/// The answer to `.status`.
#[must_use]
pub fn query(daemon: &Daemon, query: &StatusQuery) -> Vec<String> {
    let mut lines = match query.what.as_str() {
        "current" | "last" => vec!["2000 OK .status\n".to_owned()],
        _ => Vec::new(),
    };
    match query.what.as_str() {
        "current" => lines.extend(daemon.jobs.all_running().iter().map(|job| {
            let (status, errors) = (job.status().letter(), Counters::get(&job.counters.errors));
            format!("JobId={} JobStatus={status} JobErrors={errors}\n", job.identity.id)
        })),
        "last" => lines.extend(daemon.jobs.last().last().map(|job| {
            format!("JobId={} JobStatus={} JobErrors={}\n", job.id, job.status.letter(), job.errors)
        })),
        "header" => lines.push(header(daemon)),
        "running" => lines.extend(daemon.jobs.all_running().iter().map(running_block)),
        "terminated" => lines.extend(daemon.jobs.last().iter().map(ended_block)),
        "statistics" | "resources" => {}
        _ => lines.push("2900 Bad .status command, wrong argument.\n".to_owned()),
    }
    lines
}

fn header(daemon: &Daemon) -> String {
    let (run, running) = daemon.jobs.counts();
    let name = &daemon.config.daemon.name;
    let (debug, limit) = (daemon.debug.load(Ordering::Relaxed), daemon.bandwidth.load(Ordering::Relaxed));
    format!(
        "header:\nname={name}\nversion={BACULA_LEVEL} ({BACULA_LEVEL_DATE})\nuname={} holdfast {}\nstarted_epoch={}\nstarted={}\npid={}\njobs_run={run}\njobs_running={running}\nwinver=\ndebug={debug}\ntrace=0\nbwlimit={limit}\nplugins=\n\n",
        host_os(),
        env!("CARGO_PKG_VERSION"),
        daemon.started,
        local(daemon.started, "%Y-%m-%d %H:%M:%S"),
        std::process::id(),
    )
}

fn running_block(job: &Arc<Job>) -> String {
    let counts = &job.counters;
    let bytes = Counters::get(&counts.job_bytes);
    let seconds = (crate::job::now().0 - job.started.0).max(1) as u64;
    format!(
        "JobId={}\nJob={}\nVSS=0\nLevel={}\nType={}\nStatus={}\nStartTime_epoch={}\nStartTime={}\nJobFiles={}\nJobBytes={bytes}\nBytes/sec={}\nErrors={}\nBwlimit={}\nReadBytes={}\nFiles Examined={}\nProcessing file={}\nSDReadSeqNo=0\nfd=0\nSDtls=0\n\n",
        job.identity.id,
        job.identity.name,
        job.level().letter(),
        job.job_type().letter(),
        job.status().letter(),
        job.started,
        local(job.started, "%Y-%m-%d %H:%M:%S"),
        Counters::get(&counts.files),
        bytes / seconds,
        Counters::get(&counts.errors),
        Counters::get(&counts.bandwidth),
        Counters::get(&counts.read_bytes),
        Counters::get(&counts.examined),
        path_text(&counts.current()),
    )
}

fn ended_block(job: &EndedJob) -> String {
    format!(
        "jobid={}\nname={}\ntype={}\nlevel={}\nstatus={}\njobfiles={}\njobbytes={}\nerrors={}\nendtime_epoch={}\nendtime={}\n\n",
        job.id,
        job.name,
        job.job_type.letter(),
        job.level.letter(),
        job.status.letter(),
        job.files,
        job.bytes,
        job.errors,
        job.ended,
        local(job.ended, "%Y-%m-%d %H:%M:%S"),
    )
}

/// One line of the answer to `jobs` (docs/extensions.md §5).
#[must_use]
pub fn job_entry(job: &Job) -> JobEntry {
    let (last, acked) = job.outbox.positions();
    let state = match job.status() {
        _ if job.outbox.has_ended() => JobState::Ended,
        JobStatus::Created => JobState::Waiting,
        _ => JobState::Running,
    };
    JobEntry {
        job_id: job.identity.id,
        job: job.identity.name.clone(),
        attempt: job.identity.attempt,
        job_type: job.job_type(),
        level: job.level(),
        session_id: job.identity.session.id,
        session_time: job.identity.session.time,
        state,
        status: job.status(),
        files: Counters::get(&job.counters.files),
        bytes: Counters::get(&job.counters.job_bytes),
        last: Seq(last),
        acked: Seq(acked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units_as_recorded() {
        assert_eq!(suffixed(42_110), "42.11 K");
        assert_eq!(suffixed(89_557), "89.55 K");
        assert_eq!(suffixed(0), "0 ");
        assert_eq!(suffixed(19), "19 ");
        assert_eq!(suffixed(1_234_000), "1.234 M");
    }

    #[test]
    fn lines_of_ended_jobs_are_as_recorded() {
        let job = EndedJob {
            id: types::JobId(1),
            name: "Back_Up".into(),
            job_type: JobType::Backup,
            level: JobLevel::Full,
            status: JobStatus::Terminated,
            files: 14,
            bytes: 42_110,
            errors: 0,
            ended: Timestamp(0),
        };
        let line = ended_line(&job);
        assert!(line.starts_with("     1  Full         14    42.11 K  OK       "), "{line}");
    }
}
