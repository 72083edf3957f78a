//! No input panics; every table entry keeps its promises; the recorded Run lines give the recorded sets.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use conf::fuzz::{fuzz_config, fuzz_units};
use conf::{DirectorConfig, TextLoader, load};
use proptest::prelude::*;

/// Pieces that make texts which get past the first token.
const PIECES: &[&str] = &[
    "Director",
    "Job",
    "Pool",
    "FileSet",
    "Schedule",
    "Messages",
    "Storage",
    "Device",
    "{",
    "}",
    "{",
    "}",
    "=",
    "=",
    ",",
    ";",
    "\n",
    "\n",
    " ",
    "\"",
    "\\",
    "#",
    "@",
    "@again",
    "@|x",
    "Name",
    "Name = a",
    "Type = Backup",
    "Run = ",
    "Include",
    "Options",
    "File",
    "RunScript",
    "Runs When = Before",
    "mon-fri at 2:00",
    "w10-w02",
    "lastday",
    "1 year",
    "10G",
    "all",
    "!skipped",
    "mail",
    "Password",
    "yes",
    "é",
    "\u{0}",
    "9999999999999999999999",
    "1e308",
    "-1",
    "DirAddresses",
    "ip",
    "addr",
    "port",
    "JobDefs",
    "Storage = a, b",
    "*all*",
    "Level=Full",
    "Maximum Volume Bytes",
    "Volume Retention",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_bytes_are_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        fuzz_config(&data);
        fuzz_units(&data);
    }

    #[test]
    fn any_pieces_are_read_or_refused(pieces in proptest::collection::vec(0..PIECES.len(), 0..80)) {
        let text: Vec<&str> = pieces.iter().map(|i| PIECES[*i]).collect();
        fuzz_config(text.join(" ").as_bytes());
        fuzz_config(text.concat().as_bytes());
    }

    #[test]
    fn a_real_file_with_damage_is_read_or_refused(at in 0usize..6000, cut in 0usize..40, with in 0..PIECES.len()) {
        let mut text = include_bytes!("../fixtures/lab-bacula-dir.conf").to_vec();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, PIECES[with].bytes());
        fuzz_config(&text);
    }

    #[test]
    fn units_never_panic(text in "[0-9.]{0,6} ?[a-z/]{0,6}( ?[0-9]{1,4} ?[a-z]{0,7}){0,3}") {
        fuzz_units(text.as_bytes());
    }
}

/// The positions of a set.
fn positions(set: u64) -> Vec<u64> {
    (0..64).filter(|p| set & (1 << p) != 0).collect()
}

/// A list of the fixture's JSON; `None` when it is missing or cut off.
fn list(answer: &str, key: &str) -> Option<Vec<u64>> {
    let rest = answer.split_once(&format!("\"{key}\": ["))?.1;
    let inner = &rest[..rest.find(']')?];
    inner.split(',').filter(|n| !n.trim().is_empty()).map(|n| n.trim().parse().ok()).collect()
}

#[test]
fn the_recorded_run_lines_give_the_recorded_sets() {
    let fixture = include_str!("../fixtures/schedule-edge-cases.txt");
    let rest =
        "Director { Name = d; Password = p; Query File = q; Working Directory = /t; Pid Directory = /t }
Catalog { Name = c; DB Name = b }
Messages { Name = m; Console = all }
Client { Name = f; Address = f; Password = p; Catalog = c }
Storage { Name = st; Address = s; Password = p; Device = v; Media Type = t }
Pool { Name = zzBase; Pool Type = Backup }
FileSet { Name = x; Include { File = / } }
Job { Name = j; Type = Backup; Client = f; Storage = st; Pool = zzBase; FileSet = x; Messages = m }\n";
    let mut cases = 0;
    for case in fixture.split("### ").filter(|c| c.starts_with("Run = ")) {
        let (line, answer) = case.split_once('\n').unwrap();
        let mut loader = TextLoader::new("t", format!("{rest}Schedule {{ Name = s\n {line}\n}}\n"));
        let loaded = load::<DirectorConfig>("t", &mut loader);
        cases += 1;
        if answer.contains("Config error") {
            assert!(loaded.is_err(), "{line} must be refused");
            continue;
        }
        let config = loaded.unwrap_or_else(|e| panic!("{line}: {e}")).config;
        let run = &config.schedules[0].runs[0];
        let when = &run.when;
        for (key, set) in [
            ("Hour", u64::from(when.hours)),
            ("Day", u64::from(when.days)),
            ("Month", u64::from(when.months)),
            ("DayOfWeek", u64::from(when.weekdays)),
            ("WeekOfMonth", u64::from(when.weeks_of_month)),
            ("WeekOfYear", when.weeks_of_year),
        ] {
            if let Some(expected) = list(answer, key) {
                assert_eq!(positions(set), expected, "{line}: {key}");
            }
        }
        assert_eq!(when.last_day, answer.contains("LastDay"), "{line}");
        let minute = answer.split_once("\"Minute\": ").unwrap().1;
        assert_eq!(when.minute.to_string(), minute[..minute.find(',').unwrap()], "{line}");
        let level = answer.split_once("\"Level\": \"").map(|(_, l)| &l[..l.find('"').unwrap()]);
        assert_eq!(run.level.map(conf::level_word), level, "{line}");
        if answer.contains("MaxRunSchedTime") {
            assert_eq!(run.max_run_sched_time, Some(std::time::Duration::from_secs(7_200)));
            assert_eq!((run.priority, run.spool_data, run.accurate), (Some(5), Some(true), Some(false)));
            assert_eq!(
                (run.next_pool.as_deref(), run.full_pool.as_deref()),
                (Some("zzBase"), Some("zzBase"))
            );
        }
    }
    assert_eq!(cases, 44);
}
