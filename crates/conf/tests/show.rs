//! `show` prints each resource of the recorded session exactly as Bacula 9.6.7 did.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use conf::show::{Live, Show, help, keyword};
use conf::table::ResourceKind;
use conf::{DirectorConfig, TextLoader, load};

const RECORDED: &str = include_str!("../fixtures/show.txt");

fn config() -> DirectorConfig {
    let mut loader = TextLoader::new("lab", include_str!("../fixtures/lab-bacula-dir.conf"));
    load::<DirectorConfig>("lab", &mut loader).unwrap().config
}

/// The recorded answer to a command.
fn answer(command: &str) -> &'static str {
    let start = RECORDED.find(&format!("\n{command}\n")).unwrap() + command.len() + 2;
    let end = RECORDED[start..].find("\nshow ").map_or(RECORDED.len(), |n| start + n + 1);
    &RECORDED[start..end]
}

/// Splits an answer into resources: lines that begin in the first column with `Word: `.
fn resources(answer: &str) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for line in answer.split_inclusive('\n') {
        if !line.starts_with(' ') || list.is_empty() {
            list.push(String::new());
        }
        list.last_mut().unwrap().push_str(line);
    }
    list
}

#[test]
fn every_recorded_resource_prints_as_recorded() {
    let config = config();
    let mut live = Live { catalog_driver: "PostgreSQL".into(), ..Live::default() };
    for (id, name) in [(1, "File1"), (2, "File2"), (3, "Chg1")] {
        live.storage_ids.insert(name.into(), id);
    }
    let show = Show::new(&config, &live);
    for (word, count) in [
        ("pools", 6),
        ("jobs", 10),
        ("schedules", 3),
        ("clients", 2),
        ("storages", 3),
        ("filesets", 3),
        ("counters", 1),
        ("catalogs", 1),
        ("messages", 2),
        ("directors", 1),
    ] {
        let kind = keyword(word).unwrap();
        let recorded = resources(answer(&format!("show {word}")));
        assert!(recorded.len() >= count, "{word}: {}", recorded.len());
        for text in recorded {
            let name = text.split_once("ame=").unwrap().1;
            let end = name.find(['\n', '=']).unwrap();
            // The name ends before the next ` Word=`.
            let name = match name[..end].rfind(' ') {
                Some(blank) if name.as_bytes()[end] == b'=' => &name[..blank],
                _ => &name[..end],
            };
            let printed = show.kind(kind, Some(name)).unwrap_or_else(|| panic!("no {word} named {name:?}"));
            pretty_assertions(&printed, &text);
        }
    }
    assert_eq!(show.kind(ResourceKind::Pool, Some("none")), None);
    assert_eq!(help(), answer("show help"));
}

#[track_caller]
fn pretty_assertions(printed: &str, recorded: &str) {
    for (a, b) in printed.lines().zip(recorded.lines()) {
        assert_eq!(a, b, "in:\n{printed}");
    }
    assert_eq!(printed, recorded);
}
