//! Entry for the fuzzer: what a console sends.

use super::args::{Args, number_list, yes_no};
use super::fmt::{parse_duration, parse_size, parse_speed, parse_time};
use super::tree::{Stat, Tree};
use super::{commands, glob, run, sql};
use types::{FileIndex, JobId};

/// Takes a command line as a console sends it, with all that its words may be.
pub fn fuzz_line(data: &[u8]) {
    let line = String::from_utf8_lossy(data);
    let args = Args::parse(&line);
    let _ = (commands::find(args.command()), commands::help_text(Some(args.command())), args.rest());
    for word in args.words() {
        let value = word.value.as_deref().unwrap_or(&word.key);
        let _ = (number_list(value, 1000), yes_no(value), parse_size(value), parse_speed(value));
        if let Some(seconds) = parse_time(value) {
            assert_eq!(parse_time(&super::fmt::iso_time(seconds)), Some(seconds), "{value}");
        }
        let _ = parse_duration(value).map(super::fmt::duration);
        let _ = glob::matches(word.key.as_bytes(), value.as_bytes());
        let _ = run::relocated(value, &word.key);
    }
    let _ = sql::read_queries(&line);
    fuzz_tree(data);
}

/// Lines as paths of a restore tree.
fn fuzz_tree(data: &[u8]) {
    let mut tree = Tree::new();
    for (line, index) in data.split(|&b| b == b'\n').zip(1..) {
        let at = line.iter().rposition(|&b| b == b'/').map_or(0, |at| at + 1);
        let stat = Stat { nlink: 2, link_fi: index / 2, ..Stat::default() };
        // Names beyond a tree's bounds are refused.
        let _ = tree.insert(&line[..at], &line[at..], JobId(1), FileIndex(index), stat);
    }
    for line in data.split(|&b| b == b'\n').take(8) {
        if let Some(directory) = tree.find_directory(Tree::ROOT, line) {
            tree.mark_matching(directory, b"*", true);
        }
    }
    let (total, marked) = tree.count();
    assert!(marked <= total);
    tree.mark_all();
    assert_eq!(tree.count().0, tree.count().1);
}

#[cfg(test)]
mod tests {
    use super::fuzz_line;

    #[test]
    fn lines_of_every_kind_return() {
        for line in [
            "run job=NightlySave level=Full yes",
            "restore jobid=1,3-5 before=\"2026-11-23 15:07:50\" regexwhere=!a!b!i,/x/y/",
            "update volume=V volretention=1 year maxvolbytes=10G\n/a/b\n/a/\n//\n/a/b/c/../d",
            "\\",
            "\"",
            "=",
            "a=\\",
            ".",
            "",
        ] {
            fuzz_line(line.as_bytes());
        }
    }
}
