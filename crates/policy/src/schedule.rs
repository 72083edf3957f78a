//! When jobs are due: Run lines against a time zone, runs since a watermark, what comes next (spec/04 §3).
//!
//! Instants come in as arguments. A Run line fires at local times: an hour that daylight saving skips does not fire, an
//! hour that it doubles fires once, at its first passing.

use std::time::Duration;

use conf::DirectorConfig;
use conf::director::Job;
use conf::schedule::{RunLine, RunTimes, Schedule};
use jiff::civil::{Date, DateTime, Weekday, date};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan};
use types::{JobLevel, Timestamp};

/// How late a run may start without counting as missed, seconds: the scheduler's own step.
const ON_TIME: i64 = 60;
/// How long after a due time a job was made at the most that is taken for its run, seconds: the scheduler's own step, and time for another
/// instance to take over. Schedules fire once an hour at the most.
const MADE_WITHIN: i64 = 300;
/// How far back from the window's start lapsed runs are counted, seconds.
const LAPSED_BACK: i64 = 31 * 86_400;

/// Whether a day is one of a Run line's (spec/04 §3.2).
#[must_use]
pub fn matches_day(times: &RunTimes, day: Date) -> bool {
    if !bit(u64::from(times.months), day.month() - 1) {
        return false;
    }
    if times.last_day && day == day.last_of_month() {
        return true;
    }
    bit(u64::from(times.days), day.day() - 1)
        && bit(u64::from(times.weekdays), day.weekday().to_sunday_zero_offset())
        && bit(u64::from(times.weeks_of_month), (day.day() - 1) / 7)
        && bit(times.weeks_of_year, week_of_year(day))
}

fn bit(set: u64, position: i8) -> bool {
    u32::try_from(position).is_ok_and(|p| set & (1 << p) != 0)
}

/// Week of the year, 0 to 53: weeks start on Monday, week 1 holds January 4th, days before it are week 0, and the last
/// days of a year never belong to the next one's week 1.
#[must_use]
pub fn week_of_year(day: Date) -> i8 {
    let fourth = date(day.year(), 1, 4);
    let first_monday = 4 - i16::from(fourth.weekday().since(Weekday::Monday));
    let days = day.day_of_year() - first_monday;
    if days < 0 { 0 } else { i8::try_from(days / 7 + 1).unwrap_or(53) }
}

/// The instants in `(after, until]` at which a Run line is due, in order.
pub fn due_times<'a>(
    times: &'a RunTimes,
    zone: &'a TimeZone,
    after: Timestamp,
    until: Timestamp,
) -> impl Iterator<Item = Timestamp> + 'a {
    let first = local(zone, after).map(DateTime::date);
    let last = local(zone, until).map(DateTime::date);
    let days = first.zip(last).into_iter().flat_map(|(first, last)| {
        std::iter::successors(Some(first), |day| day.tomorrow().ok()).take_while(move |day| *day <= last)
    });
    days.filter(|day| matches_day(times, *day))
        .flat_map(|day| {
            (0..24i8).filter(|hour| bit(u64::from(times.hours), *hour)).map(move |hour| day.at(hour, 0, 0, 0))
        })
        .filter_map(|hour| instant(zone, hour, times.minute))
        .filter(move |due| *due > after && *due <= until)
}

/// The first instant after `after` at which a Run line is due, if there is one within `horizon`.
#[must_use]
pub fn next_due(times: &RunTimes, zone: &TimeZone, after: Timestamp, horizon: Duration) -> Option<Timestamp> {
    due_times(times, zone, after, later(after, horizon)).next()
}

fn local(zone: &TimeZone, at: Timestamp) -> Option<DateTime> {
    jiff::Timestamp::from_second(at.0).ok().map(|t| zone.to_datetime(t))
}

fn instant(zone: &TimeZone, hour: DateTime, minute: u8) -> Option<Timestamp> {
    let minute: Span = i64::from(minute).minutes();
    let ambiguous = zone.to_ambiguous_timestamp(hour.checked_add(minute).ok()?);
    if matches!(ambiguous.offset(), jiff::tz::AmbiguousOffset::Gap { .. }) {
        return None;
    }
    ambiguous.earlier().ok().map(|t| Timestamp(t.as_second()))
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp(at.0.saturating_add_unsigned(by.as_secs()))
}

/// The start of the day that an instant lies in: where `status schedule` begins.
#[must_use]
pub fn midnight(zone: &TimeZone, at: Timestamp) -> Timestamp {
    let start = local(zone, at).and_then(|t| {
        zone.to_ambiguous_timestamp(t.date().to_datetime(jiff::civil::Time::midnight())).compatible().ok()
    });
    start.map_or(at, |t| Timestamp(t.as_second()))
}

/// A run of a job that a Schedule asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Run<'a> {
    /// The job.
    pub job: &'a Job,
    /// Its Schedule.
    pub schedule: &'a Schedule,
    /// The Run line, with its overrides.
    pub line: &'a RunLine,
    /// When.
    pub due: Timestamp,
}

impl Run<'_> {
    /// The level asked for: the line's, else the Job's.
    #[must_use]
    pub fn level(&self) -> JobLevel {
        self.line.level.or(self.job.level).unwrap_or(JobLevel::None)
    }

    /// The priority: the line's, else the Job's.
    #[must_use]
    pub fn priority(&self) -> u32 {
        self.line.priority.unwrap_or(self.job.priority)
    }

    /// Whether it lies so far back at `now` that no Director was there when it fell due.
    #[must_use]
    pub const fn is_missed(&self, now: Timestamp) -> bool {
        now.0 - self.due.0 > ON_TIME
    }
}

/// Jobs that their Schedules may start, each with its Schedule: enabled all of them, and so the Client.
/// `enabled` adds what operators switched off.
pub fn scheduled_jobs<'a>(
    config: &'a DirectorConfig,
    enabled: impl Fn(&Job) -> bool + 'a,
) -> impl Iterator<Item = (&'a Job, &'a Schedule)> + 'a {
    config.jobs.iter().filter(move |job| job.enabled && enabled(job)).filter_map(|job| {
        let schedule = config.schedule(job.schedule.as_deref()?)?;
        let client_enabled = config.client(&job.client).is_none_or(|client| client.enabled);
        (schedule.enabled && client_enabled).then_some((job, schedule))
    })
}

/// For each Run line of each job its next time within `horizon`: the list of `status director`, by time and priority.
#[must_use]
pub fn upcoming<'a>(
    config: &'a DirectorConfig,
    zone: &TimeZone,
    now: Timestamp,
    horizon: Duration,
    enabled: impl Fn(&Job) -> bool + 'a,
) -> Vec<Run<'a>> {
    let mut runs: Vec<_> = scheduled_jobs(config, enabled)
        .flat_map(|(job, schedule)| schedule.runs.iter().map(move |line| (job, schedule, line)))
        .filter_map(|(job, schedule, line)| {
            let due = next_due(&line.when, zone, now, horizon)?;
            Some(Run { job, schedule, line, due })
        })
        .collect();
    sort(&mut runs);
    runs
}

/// All runs in `(after, until]`, by time and priority: the list of `status schedule`, and with `after` a watermark what
/// is due since.
#[must_use]
pub fn runs_between<'a>(
    config: &'a DirectorConfig,
    zone: &TimeZone,
    after: Timestamp,
    until: Timestamp,
    enabled: impl Fn(&Job) -> bool + 'a,
) -> Vec<Run<'a>> {
    let mut runs = Vec::new();
    for (job, schedule) in scheduled_jobs(config, enabled) {
        for line in &schedule.runs {
            let due = due_times(&line.when, zone, after, until);
            runs.extend(due.map(|due| Run { job, schedule, line, due }));
        }
    }
    sort(&mut runs);
    runs
}

/// Of which due runs a job may be one that was made at `made` and of which nothing else is known: the last first. Empty for one that was
/// started by hand, and for one that was made up for long after it was due.
#[must_use]
pub fn runs_that_made<'a>(
    config: &'a DirectorConfig,
    zone: &TimeZone,
    job: &'a str,
    made: Timestamp,
) -> Vec<Run<'a>> {
    let since = Timestamp(made.0.saturating_sub(MADE_WITHIN));
    let mut runs = runs_between(config, zone, since, made, move |other| other.name == job);
    runs.reverse();
    runs
}

/// Runs that are due at `now`, given up to when each (job, schedule) was considered: the schedule ledger's question.
///
/// A pair without a watermark starts at now: nothing of its past is made up. Runs further back than `window` are left
/// out. Afterwards the watermark of every pair of [`scheduled_jobs`] is `now`. Two lines of one Schedule that fall due at
/// one instant are two runs, as in Bacula.
#[must_use]
pub fn due_runs<'a>(
    config: &'a DirectorConfig,
    zone: &TimeZone,
    now: Timestamp,
    window: Duration,
    watermark: impl Fn(&Job, &Schedule) -> Option<Timestamp>,
    enabled: impl Fn(&Job) -> bool + 'a,
) -> Vec<Run<'a>> {
    let oldest = oldest(now, window);
    let mut runs = Vec::new();
    for (job, schedule) in scheduled_jobs(config, enabled) {
        let Some(since) = watermark(job, schedule) else { continue };
        for line in &schedule.runs {
            let due = due_times(&line.when, zone, since.max(oldest), now);
            runs.extend(due.map(|due| Run { job, schedule, line, due }));
        }
    }
    sort(&mut runs);
    runs
}

/// A job's due runs that lie further back than the window: nobody makes them up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lapsed<'a> {
    /// The job.
    pub job: &'a Job,
    /// How many.
    pub count: usize,
    /// The last of them.
    pub last: Timestamp,
}

/// What [`due_runs`] leaves out because no Director was there for longer than `window`; counted at most a month back.
#[must_use]
pub fn lapsed_runs<'a>(
    config: &'a DirectorConfig,
    zone: &TimeZone,
    now: Timestamp,
    window: Duration,
    watermark: impl Fn(&Job, &Schedule) -> Option<Timestamp>,
    enabled: impl Fn(&Job) -> bool + 'a,
) -> Vec<Lapsed<'a>> {
    let oldest = oldest(now, window);
    let first = Timestamp(oldest.0.saturating_sub(LAPSED_BACK));
    let mut lapsed = Vec::new();
    for (job, schedule) in scheduled_jobs(config, enabled) {
        let Some(since) = watermark(job, schedule).filter(|since| *since < oldest) else { continue };
        let times =
            schedule.runs.iter().flat_map(|line| due_times(&line.when, zone, since.max(first), oldest));
        let (count, last) = times.fold((0, since), |(count, last), due| (count + 1, last.max(due)));
        if count > 0 {
            lapsed.push(Lapsed { job, count, last });
        }
    }
    lapsed
}

/// Before this, a due run is not made up. One that is only seconds old is not missed; a window of 0 must not lose it.
fn oldest(now: Timestamp, window: Duration) -> Timestamp {
    let window = i64::try_from(window.as_secs()).unwrap_or(i64::MAX).max(ON_TIME);
    Timestamp(now.0.saturating_sub(window))
}

/// When the scheduler has to wake next: the first due time of any job after `now`, if there is one within `horizon`.
#[must_use]
pub fn next_wake(
    config: &DirectorConfig,
    zone: &TimeZone,
    now: Timestamp,
    horizon: Duration,
    enabled: impl Fn(&Job) -> bool,
) -> Option<Timestamp> {
    scheduled_jobs(config, enabled)
        .flat_map(|(_, schedule)| &schedule.runs)
        .filter_map(|line| next_due(&line.when, zone, now, horizon))
        .min()
}

fn sort(runs: &mut [Run<'_>]) {
    runs.sort_by_key(|run| (run.due, run.priority()));
}

#[cfg(test)]
mod tests;
