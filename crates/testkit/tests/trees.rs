//! The tree maker and the comparison on each other.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use testkit::compare::{Compare, What};
use testkit::tree::{Kinds, change, every_kind, small_files};

const SMALL: Kinds = Kinds { large: 1 << 20, path_max: 2000, depth: 40, special: true, attributes: true };

#[test]
fn the_same_seed_gives_the_same_tree() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    every_kind(&a, 7, SMALL)?;
    every_kind(&b, 7, SMALL)?;
    let found = Compare::new(&a, &b).sockets(true).holes(true).run()?;
    found.expect_equal()?;
    assert!(found.entries > 150, "{found}");
    Ok(())
}

#[test]
fn every_kind_of_difference_is_found() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    every_kind(&a, 7, SMALL)?;
    every_kind(&b, 7, SMALL)?;
    let mut large = fs::read(b.join("regular/large"))?;
    large[300_001] ^= 1;
    fs::write(b.join("regular/large"), large)?;
    fs::write(b.join("regular/size-1"), "xy")?;
    fs::remove_file(b.join("regular/zeros"))?;
    fs::write(b.join("regular/new"), "")?;
    fs::set_permissions(b.join("modes/file-0644"), fs::Permissions::from_mode(0o600))?;
    fs::remove_file(b.join("links/b/three"))?;
    fs::copy(b.join("links/a/one"), b.join("links/b/three"))?;
    fs::remove_file(b.join("links/dangling"))?;
    std::os::unix::fs::symlink("elsewhere", b.join("links/dangling"))?;
    fs::write(b.join("sparse/only-hole"), vec![0; 8 << 20])?;
    fs::remove_file(b.join("attributes/file"))?;
    fs::write(b.join("attributes/file"), b"with attributes\n")?;
    fs::remove_file(b.join("special/fifo-too"))?;
    fs::create_dir(b.join("special/fifo-too"))?;
    let found = Compare::new(&a, &b).holes(true).run()?;
    let has = |path: &str, is: fn(&What) -> bool| {
        assert!(
            found.differences.iter().any(|d| d.path.as_os_str() == path && is(&d.what)),
            "{path}: {found}"
        );
    };
    has("regular/large", |what| matches!(what, What::Content(300_001)));
    has("regular/large", |what| matches!(what, What::Mtime(..)));
    has("regular/size-1", |what| matches!(what, What::Size(1, 2)));
    has("regular/zeros", |what| matches!(what, What::Missing));
    has("regular/new", |what| matches!(what, What::Extra));
    has("modes/file-0644", |what| matches!(what, What::Mode(0o644, 0o600)));
    has("links/b/three", |what| matches!(what, What::LinkGroup(_)));
    has("links/dangling", |what| matches!(what, What::Target(..)));
    has("sparse/only-hole", |what| matches!(what, What::Holes(..)));
    has("attributes/file", |what| matches!(what, What::Xattr(..)));
    has("special/fifo-too", |what| matches!(what, What::Kind("FIFO", "directory")));
    Ok(())
}

#[test]
fn small_files_are_counted_and_changed() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let root = dir.path().join("small");
    let made = small_files(&root, 1200, 1)?;
    assert_eq!(made.files, 1200);
    assert_eq!(made.directories, 1 + 1 + 3);
    assert_eq!(change(&root, 100, 2)?, 12 + 1);
    Ok(())
}
