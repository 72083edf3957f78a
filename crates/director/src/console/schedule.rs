//! The runs that are due ahead, as the console shows them (spec/04 §8.5).

use std::time::Duration;

use conf::DirectorConfig;
use jiff::tz::TimeZone;
use policy::schedule::{Run, runs_between, upcoming};
use types::{JobType, Timestamp};

/// A run that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    /// When.
    pub(super) at: Timestamp,
    /// Job resource.
    pub(super) job: String,
    /// Its type.
    pub(super) job_type: JobType,
    /// The type's word.
    pub(super) type_word: &'static str,
    /// The level's letter for programs.
    pub(super) level_letter: char,
    /// The level's word, the Run line's override in it; `Admin` and `Restore` for jobs without level.
    pub(super) level: String,
    /// Priority.
    pub(super) priority: u32,
    /// Pool after overrides.
    pub(super) pool: String,
    /// First Storage after overrides; empty when there is none.
    pub(super) storage: String,
    /// Schedule resource.
    pub(super) schedule: String,
    /// Client resource.
    pub(super) client: String,
}

fn planned(run: &Run<'_>, config: &DirectorConfig) -> Planned {
    let (job, line) = (run.job, run.line);
    let level = match job.job_type {
        JobType::Admin => "Admin".to_owned(),
        JobType::Restore => "Restore".to_owned(),
        _ => conf::level_word(run.level()).to_owned(),
    };
    let pool = line.pool.clone().unwrap_or_else(|| job.pool.clone());
    let of_pool = config.pool(&pool).and_then(|p| p.storage.first()).cloned();
    let storage = line.storage.clone().or(of_pool).or_else(|| job.storage.first().cloned());
    Planned {
        at: run.due,
        job: job.name.clone(),
        job_type: job.job_type,
        type_word: job.job_type.as_str(),
        level_letter: run.level().letter(),
        level,
        priority: run.priority(),
        pool,
        storage: storage.unwrap_or_default(),
        schedule: run.schedule.name.clone(),
        client: job.client.clone(),
    }
}

fn days(days: u32) -> Duration {
    Duration::from_secs(u64::from(days) * 86_400)
}

/// The next run of each Run line of each job, by time and priority.
pub(super) fn next_runs(config: &DirectorConfig, now: Timestamp, ahead: u32) -> Vec<Planned> {
    let runs = upcoming(config, &TimeZone::system(), now, days(ahead), |_| true);
    runs.iter().map(|run| planned(run, config)).collect()
}

/// All runs within `ahead` days, by time, priority and job.
pub(super) fn all_runs(config: &DirectorConfig, from: Timestamp, ahead: u32) -> Vec<Planned> {
    let until = Timestamp(from.0.saturating_add(i64::from(ahead) * 86_400));
    let runs = runs_between(config, &TimeZone::system(), Timestamp(from.0 - 1), until, |_| true);
    let mut all: Vec<_> = runs.iter().map(|run| planned(run, config)).collect();
    all.sort_by(|a, b| (a.at, a.priority, &a.job).cmp(&(b.at, b.priority, &b.job)));
    all
}

/// The next run of one job.
pub(super) fn next_run_of(config: &DirectorConfig, job: &str, now: Timestamp, ahead: u32) -> Option<Planned> {
    next_runs(config, now, ahead).into_iter().find(|run| run.job == job)
}
