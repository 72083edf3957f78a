//! Each example's tree as it was last looked at: a change of any rendered line is seen in the change of these files.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::{EXAMPLES, Rendered, files, ha};

#[test]
fn the_trees_are_as_they_were_looked_at() {
    for name in EXAMPLES {
        let rendered = Rendered::new(name);
        let root = rendered.root();
        let mut text = String::new();
        for path in files(&root) {
            let below = path.strip_prefix(&root).unwrap().display();
            if path.is_symlink() {
                let _ = writeln!(text, "======== {below} -> {}", fs::read_link(&path).unwrap().display());
                continue;
            }
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
            let _ = writeln!(text, "======== {below} {mode:04o}\n{}", fs::read_to_string(&path).unwrap());
        }
        insta::with_settings!({ prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!(name, text);
        });
    }
}

#[test]
fn two_runs_give_the_same_bytes() {
    for name in EXAMPLES {
        let (one, two) = (Rendered::new(name), Rendered::new(name));
        let read = |rendered: &Rendered| -> Vec<_> {
            let root = rendered.root();
            let below = |path: &std::path::Path| path.strip_prefix(&root).unwrap().to_owned();
            files(&root)
                .iter()
                .filter(|path| !path.is_symlink())
                .map(|path| (below(path), fs::read(path).unwrap()))
                .collect()
        };
        assert!(read(&one) == read(&two), "{name}");
    }
}

#[test]
fn an_engine_that_lacks_something_says_what() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    let refused = |name: &str, engine: &str| {
        let (file, output) = (crate::example(name), output.to_str().unwrap().to_owned());
        let error = ha(&["render", file.to_str().unwrap(), "--output", &output, "--engine", engine]);
        error.unwrap_err().to_string()
    };
    expect_test::expect![[r#"
        the engine Pacemaker cannot serve this topology
          cluster "plain" has 2 nodes and no third vote; add a `Quorum`
          `Data Directory` of Catalog "main" is on no Replicated Device of its domain; add one, mounted above it"#]].assert_eq(&refused("lease", "pacemaker"));
    expect_test::expect![[r#"
        the engine Lease cannot serve this topology
          `Data Directory` of Catalog "main" is on a Replicated Device, which only one node can use at a time; with this engine put it on each node's own disk"#]].assert_eq(&refused("two-nodes", "lease"));
    expect_test::expect![[r#"
        the engine Patroni cannot serve this topology
          `Data Directory` of Catalog "main" is on a Replicated Device, which only one node can use at a time; with this engine put it on each node's own disk
          Storage "sd-main" is in a Failover Domain, and only Pacemaker moves Storage Daemons; give it a `Node`, and another Storage that is its `Cold Spare For`"#]].assert_eq(&refused("separate-catalog", "patroni"));
    assert!(!output.exists(), "nothing is written of what is refused");
    // What needs no disk moves as well as it is.
    assert!(
        ha(&["render", crate::example("patroni").to_str().unwrap(), "--check", "--engine", "lease"]).is_ok()
    );
}
