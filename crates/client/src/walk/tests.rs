use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::*;
use crate::fileset::FileSetParser;

#[derive(Default)]
struct Seen {
    entries: Vec<String>,
    notices: Vec<String>,
}

impl Visit for Seen {
    fn entry(&mut self, entry: &Entry<'_>) -> ControlFlow<()> {
        let path = String::from_utf8_lossy(entry.path);
        let slash = if matches!(entry.found, Found::Directory(_)) { "/" } else { "" };
        self.entries.push(format!("{path}{slash}"));
        assert!(stat_at(entry.dir, entry.name).unwrap().same_inode(entry.stat));
        ControlFlow::Continue(())
    }

    fn notice(&mut self, notice: Notice<'_>) {
        self.notices.push(format!("{notice:?}"));
    }

    fn examined(&mut self, _: &[u8]) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

fn walk(lines: &[&str], file: &Path) -> Seen {
    let mut parser = FileSetParser::default();
    for line in lines {
        parser.line(line.as_bytes()).unwrap();
    }
    let set = parser.finish();
    let mut seen = Seen::default();
    let _ = walk_include(&set, 0, &[file.as_os_str().as_bytes().to_vec()], &mut seen);
    seen
}

/// Entries relative to the root, sorted.
fn relative(seen: &Seen, root: &Path) -> Vec<String> {
    let prefix = root.to_str().unwrap();
    let mut names: Vec<_> = seen.entries.iter().map(|e| e.strip_prefix(prefix).unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn directories_come_after_their_content_and_rejected_ones_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::create_dir_all(root.join("skip/x")).unwrap();
    fs::create_dir_all(root.join("marked")).unwrap();
    fs::write(root.join("marked/.nobackup"), "").unwrap();
    fs::write(root.join("a/b/f"), "x").unwrap();
    std::os::unix::fs::symlink("nowhere", root.join("link")).unwrap();
    let seen = walk(&["I", "Z .nobackup", "O e", "WD */skip", "N", "O M", "N"], root);
    assert_eq!(relative(&seen, root), ["/", "/a/", "/a/b/", "/a/b/f", "/link"]);
    let at = |name: &str| seen.entries.iter().position(|e| e.ends_with(name)).unwrap();
    assert!(at("/a/b/f") < at("/a/b/") && at("/a/b/") < at("/a/"));
    assert!(seen.notices.is_empty(), "{:?}", seen.notices);
}

#[test]
fn a_tree_deeper_than_the_open_levels_and_the_path_limit_is_walked() {
    let dir = tempfile::tempdir().unwrap();
    let mut fd = open_root(dir.path().as_os_str().as_bytes()).unwrap();
    let name = [b'n'; 60];
    for depth in 0..250 {
        fd.create_file(b"z").unwrap();
        fd.create_file(b"a").unwrap();
        fd.make_dir(&name, 0o755).unwrap();
        fd = fd.open_path(&name, false).unwrap_or_else(|error| panic!("{depth}: {error}"));
    }
    let seen = walk(&["I", "O M", "N"], dir.path());
    assert!(seen.notices.is_empty(), "{:?}", seen.notices);
    assert_eq!(seen.entries.len(), 250 * 3 + 1);
    assert!(seen.entries.iter().any(|entry| entry.len() > 4096));
}

#[test]
fn a_missing_entry_is_told_and_a_single_file_is_an_entry() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("one");
    fs::write(&file, "1").unwrap();
    assert_eq!(walk(&["I", "O M", "N"], &file).entries, [file.to_str().unwrap()]);
    let seen = walk(&["I", "O M", "N"], &dir.path().join("none"));
    assert!(seen.entries.is_empty() && seen.notices[0].contains("NoStat"));
}
