use conf::{TextLoader, load};

use super::*;

const REST: &str = r#"
Director { Name = d; Password = p; Query File = q; Working Directory = /tmp; Pid Directory = /tmp }
Catalog { Name = c; DB Name = b }
Messages { Name = m; Console = all }
Client { Name = f; Address = f; Password = p; Catalog = c }
Storage { Name = s; Address = s; Password = p; Device = v; Media Type = t }
Pool { Name = p; Pool Type = Backup }
FileSet { Name = x; Include { File = / } }
JobDefs { Name = j; Type = Backup; Client = f; Storage = s; Pool = p; FileSet = x; Messages = m }
"#;

fn config(text: &str) -> DirectorConfig {
    let mut loader = TextLoader::new("t", format!("{REST}{text}"));
    load::<DirectorConfig>("t", &mut loader).unwrap_or_else(|e| panic!("{e}")).config
}

fn line(run: &str) -> RunTimes {
    let config = config(&format!(
        "Job {{ Name = a; JobDefs = j; Schedule = s }}\nSchedule {{ Name = s; Run = {run}\n }}"
    ));
    config.schedules[0].runs[0].when
}

fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).unwrap()
}

fn at(zone: &TimeZone, text: &str) -> Timestamp {
    let time: DateTime = text.parse().unwrap();
    Timestamp(zone.to_ambiguous_timestamp(time).compatible().unwrap().as_second())
}

/// Due times of a line between two local times, as local times.
#[track_caller]
fn check(run: &str, zone_name: &str, from: &str, to: &str, expected: &[&str]) {
    let zone = zone(zone_name);
    let due: Vec<String> = due_times(&line(run), &zone, at(&zone, from), at(&zone, to))
        .map(|t| local(&zone, t).unwrap().strftime("%Y-%m-%dT%H:%M").to_string())
        .collect();
    assert_eq!(due, expected, "{run}");
}

#[test]
fn the_examples_of_the_specification() {
    let (utc, from, to) = ("UTC", "2026-11-01T00:00:00", "2026-11-30T23:59:59");
    check("Full 1st sun at 23:05", utc, from, to, &["2026-11-01T23:05"]);
    check(
        "Differential 2nd-5th sun at 23:05",
        utc,
        from,
        to,
        &["2026-11-08T23:05", "2026-11-15T23:05", "2026-11-22T23:05", "2026-11-29T23:05"],
    );
    check("Full on lastday at 1:15", utc, from, to, &["2026-11-30T01:15"]);
    check("Full lastday 15 at 1:00", utc, from, to, &["2026-11-15T01:00", "2026-11-30T01:00"]);
    check("Differential jan-jun 3rd fri at 9:20pm", utc, from, to, &[]);
    check("Full on 31 at 1:00", utc, from, to, &[]);
    check(
        "sunday at 9:00 at 15:30",
        utc,
        from,
        "2026-11-02T00:00:00",
        &["2026-11-01T09:30", "2026-11-01T15:30"],
    );
    check("w45 tue at 3:00", utc, from, to, &["2026-11-03T03:00"]);
}

#[test]
fn without_a_time_a_line_fires_every_hour() {
    let due = due_times(&line("Full mon"), &TimeZone::UTC, Timestamp(0), Timestamp(7 * 86_400)).count();
    assert_eq!(due, 24);
}

#[test]
fn an_hour_that_daylight_saving_skips_does_not_fire_and_a_doubled_one_fires_once() {
    let berlin = "Europe/Berlin";
    check("at 2:30", berlin, "2026-03-28T12:00:00", "2026-03-30T12:00:00", &["2026-03-30T02:30"]);
    check("at 2:30", berlin, "2026-10-24T12:00:00", "2026-10-25T12:00:00", &["2026-10-25T02:30"]);
    let zone = zone(berlin);
    let due: Vec<_> = due_times(
        &line("at 2:30"),
        &zone,
        at(&zone, "2026-10-24T12:00:00"),
        at(&zone, "2026-10-25T12:00:00"),
    )
    .collect();
    assert_eq!(due, [Timestamp(1_792_888_200)], "the first of the two passings, in summer time");
}

#[test]
fn weeks_of_the_year() {
    for (day, week) in [
        (date(2026, 1, 1), 1),
        (date(2026, 1, 5), 2),
        (date(2027, 1, 1), 0),
        (date(2027, 1, 4), 1),
        (date(2026, 12, 31), 53),
        (date(2024, 12, 31), 53),
        (date(2023, 1, 1), 0),
    ] {
        assert_eq!(week_of_year(day), week, "{day}");
    }
}

const JOBS: &str = r#"
Job { Name = a; JobDefs = j; Schedule = day; Level = Incremental }
Job { Name = b; JobDefs = j; Schedule = day; Priority = 5 }
Job { Name = off; JobDefs = j; Schedule = day; Enabled = no }
Job { Name = hand; JobDefs = j }
Schedule { Name = day
  Run = Full 1st sun at 23:05
  Run = mon-sat at 23:05
}
"#;

#[test]
fn the_next_times_are_listed_by_time_and_priority() {
    let config = config(JOBS);
    let now = at(&TimeZone::UTC, "2026-11-23T15:00:00");
    let list = upcoming(&config, &TimeZone::UTC, now, Duration::from_secs(86_400), |_| true);
    let shown: Vec<_> = list.iter().map(|r| (r.job.name.as_str(), r.level(), r.due.0 - now.0)).collect();
    assert_eq!(shown, [("b", JobLevel::None, 29_100), ("a", JobLevel::Incremental, 29_100)]);
    assert_eq!(
        next_wake(&config, &TimeZone::UTC, now, Duration::from_secs(86_400), |_| true),
        Some(list[0].due)
    );
    assert_eq!(next_wake(&config, &TimeZone::UTC, now, Duration::from_secs(3_600), |_| true), None);
}

#[test]
fn each_due_run_is_seen_once_whatever_the_steps() {
    let config = config(JOBS);
    let start = at(&TimeZone::UTC, "2026-11-20T00:00:00");
    let end = at(&TimeZone::UTC, "2026-12-07T12:00:00");
    let window = Duration::from_secs(30 * 86_400);
    let once = due_runs(&config, &TimeZone::UTC, end, window, |_, _| Some(start), |_| true);
    let mut stepped = Vec::new();
    let mut mark = start;
    while mark < end {
        let now = Timestamp((mark.0 + 7_001).min(end.0));
        stepped.extend(due_runs(&config, &TimeZone::UTC, now, window, |_, _| Some(mark), |_| true));
        mark = now;
    }
    assert_eq!(once, stepped);
    // Fri and Sat; two weeks of Monday to Saturday; and Sunday the 6th, the first of its month. For two jobs.
    assert_eq!(once.len(), 2 * (2 + 12 + 1));
}

#[test]
fn runs_outside_the_window_and_of_new_pairs_are_left() {
    let config = config(JOBS);
    let now = at(&TimeZone::UTC, "2026-11-25T12:00:00");
    let week = Some(Timestamp(now.0 - 7 * 86_400));
    let day = Duration::from_secs(86_400);
    let runs = due_runs(&config, &TimeZone::UTC, now, day, |_, _| week, |_| true);
    assert_eq!(runs.len(), 2);
    assert!(runs[0].is_missed(now));
    assert!(due_runs(&config, &TimeZone::UTC, now, day, |_, _| None, |_| true).is_empty());
    assert!(due_runs(&config, &TimeZone::UTC, now, Duration::ZERO, |_, _| week, |_| true).is_empty());
    let lapsed = lapsed_runs(&config, &TimeZone::UTC, now, day, |_, _| week, |_| true);
    let last = at(&TimeZone::UTC, "2026-11-23T23:05:00");
    // Seven days, but for the Sunday and the last day, which is within the window.
    assert_eq!(lapsed.iter().map(|one| (one.count, one.last)).collect::<Vec<_>>(), [(5, last), (5, last)]);
    assert!(lapsed_runs(&config, &TimeZone::UTC, now, 8 * day, |_, _| week, |_| true).is_empty());
    assert!(lapsed_runs(&config, &TimeZone::UTC, now, day, |_, _| None, |_| true).is_empty());
    let on_time = at(&TimeZone::UTC, "2026-11-25T23:05:30");
    assert_eq!(due_runs(&config, &TimeZone::UTC, on_time, Duration::ZERO, |_, _| week, |_| true).len(), 2);
}

#[test]
fn a_job_that_was_made_at_a_due_time_is_its_run() {
    let config = config(
        "Job { Name = a; JobDefs = j; Schedule = s }\nJob { Name = b; JobDefs = j; Schedule = s }\n\
         Schedule { Name = s\n Run = Full daily at 1:00\n Run = Incremental hourly at 0:00\n }",
    );
    let utc = TimeZone::UTC;
    let lines = |made: &str| -> Vec<JobLevel> {
        let runs = runs_that_made(&config, &utc, "a", at(&utc, made));
        assert!(runs.iter().all(|run| run.job.name == "a"));
        runs.iter().map(Run::level).collect()
    };
    assert_eq!(lines("2026-11-28T02:00:01"), [JobLevel::Incremental]);
    assert_eq!(lines("2026-11-28T01:04:59").len(), 2);
    assert!(lines("2026-11-28T02:05:00").is_empty());
    assert!(lines("2026-11-28T01:59:59").is_empty());
}
