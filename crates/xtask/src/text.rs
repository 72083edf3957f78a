//! Rules on the text of one source file.

use std::path::Path;

use crate::Breach;

/// No file is longer: it holds more than one idea by then.
const LINES_MAX: usize = 800;

/// Crates whose code works on values alone.
pub(crate) const PURE: &[&str] = &["types", "conf", "attrs", "volume", "wire", "policy"];

/// Modules of other crates that do so as well.
const PURE_MODULES: &[&str] = &["crates/lead/src/protocol", "crates/ha/src/plan"];

/// What pure code does not use: sockets, files, clocks, randomness, a runtime.
const IMPURE: &[&str] = &[
    "std::fs",
    "std::net",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "tokio::",
    "rand::rng",
    "std::process",
    "std::env::var",
    "thread::spawn",
];

/// How a comment on the line or the one before begins that says why a thread sleeps and waits on nothing.
const SLEEP_REASON: &str = "// No event:";

/// Words that say that something is unfinished or hidden. Spelled in two parts, so that this file may be checked too.
const BANNED: &[(&str, &str)] = &[
    (concat!("todo", "!("), "finish it"),
    (concat!("unimplemented", "!("), "finish it"),
    (concat!("#[igno", "re"), "a test runs or is not there"),
    (concat!("allow(dead", "_code"), "remove what nobody uses"),
    (concat!("/wo", "rk/"), "no paths of one machine"),
    (concat!("/ro", "ot/"), "no paths of one machine"),
];

pub(crate) fn check(file: &Path, content: &str, found: &mut Vec<Breach>) {
    let mut breach = |line: usize, text: String| found.push(Breach { file: file.to_path_buf(), line, text });
    let count = content.lines().count();
    if count > LINES_MAX {
        breach(0, format!("{count} lines: split it, no file is longer than {LINES_MAX}"));
    }
    if let Some(text) = page(file, content) {
        breach(1, text);
    }
    let mut parts = file.components().skip(1).map(|part| part.as_os_str().to_string_lossy());
    let krate = parts.next().unwrap_or_default().into_owned();
    let is_test = is_test_file(file);
    let is_pure_module = PURE_MODULES.iter().any(|module| file.starts_with(module));
    let pure = (PURE.contains(&krate.as_str()) || is_pure_module) && !is_test;
    let mut in_tests = false;
    let mut previous = "";
    for (at, line) in content.lines().enumerate() {
        in_tests |= line.trim_start().starts_with("#[cfg(test)]");
        let code = line.split("//").next().unwrap_or_default();
        for (word, remedy) in BANNED {
            if stands_alone(line, word) {
                breach(at + 1, format!("“{word}”: {remedy}"));
            }
        }
        if krate != "sys" && krate != "xtask" && has_unsafe(code) {
            breach(at + 1, "unsafe code belongs into the crate sys".to_owned());
        }
        let reasoned = line.contains(SLEEP_REASON) || previous.contains(SLEEP_REASON);
        if code.contains("thread::sleep") && !reasoned && krate != "xtask" {
            breach(
                at + 1,
                format!("wait on an event or a condition, or say why not with “{SLEEP_REASON} …”"),
            );
        }
        previous = line;
        if pure && !in_tests {
            for word in IMPURE.iter().filter(|word| code.contains(**word)) {
                breach(at + 1, format!("pure code does not use {word}"));
            }
        }
    }
}

/// Fewest lines of the page that introduces a crate: what it is, its invariants, what is absent on purpose.
const PAGE_LINES_MIN: usize = 5;

/// The page at the top of a crate's `lib.rs`.
fn page(file: &Path, content: &str) -> Option<String> {
    let parts: Vec<_> = file.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    let [crates, _, src, lib] = parts.as_slice() else { return None };
    if crates != "crates" || src != "src" || lib != "lib.rs" {
        return None;
    }
    let lines = content.lines().take_while(|line| line.starts_with("//!")).count();
    (lines < PAGE_LINES_MIN)
        .then(|| format!("{lines} lines of introduction; say in {PAGE_LINES_MIN} or more what the crate is"))
}

/// Whether a word is in the line and no part of a longer one: a path that goes on to the left is another path.
fn stands_alone(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !word.starts_with('/') || before.is_none_or(|c| !c.is_alphanumeric())
    })
}

fn is_test_file(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "tests")
        || file.file_name().is_some_and(|name| name == "tests.rs" || name == "build.rs")
        || file.components().any(|part| part.as_os_str() == "examples" || part.as_os_str() == "bin")
}

fn has_unsafe(code: &str) -> bool {
    ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"].iter().any(|word| code.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_lines(file: &str, content: &str, expected: &[usize]) {
        let mut found = Vec::new();
        check(Path::new(file), content, &mut found);
        assert_eq!(found.iter().map(|breach| breach.line).collect::<Vec<_>>(), expected, "{found:?}");
    }

    #[test]
    fn rules_on_text_are_found_where_they_apply() {
        check_lines("crates/volume/src/a.rs", "use std::fs;\n#[cfg(test)]\nuse std::fs;\n", &[1]);
        check_lines("crates/storage/src/a.rs", "use std::fs;\n", &[]);
        check_lines("crates/lead/src/protocol/a.rs", "Instant::now()\n", &[1]);
        check_lines("crates/volume/tests/a.rs", "use std::fs;\n", &[]);
        check_lines("crates/net/src/a.rs", "// ok\nlet x = unsafe { y };\n", &[2]);
        check_lines("crates/sys/src/a.rs", "let x = unsafe { y };\n", &[]);
        check_lines("crates/net/src/a.rs", concat!("\n\ntodo", "!()"), &[3]);
        check_lines("crates/net/src/a.rs", concat!("a(\"/wo", "rk/a\")\nb(\"/opt/wo", "rk/a\")"), &[1]);
        check_lines("crates/net/src/a.rs", "std::thread::sleep(d)", &[1]);
        check_lines("crates/net/src/a.rs", "// No event: a penalty\nstd::thread::sleep(d)", &[]);
        check_lines("crates/net/src/a.rs", &"\n".repeat(801), &[0]);
        check_lines("crates/net/src/lib.rs", "//! Short.\n", &[1]);
        check_lines("crates/net/src/lib.rs", &"//! Long.\n".repeat(5), &[]);
    }
}
