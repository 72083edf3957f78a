//! Full, Differential, Incremental.

use std::fs;

use anyhow::{Result, ensure};
use holdfast_tests::{
    clear_restored, compare_restored, expect_good, full_incremental_restore_list, our_site, ours, plain_tree,
    scratch,
};
use testkit::compare::Compare;

#[test]
fn a_tree_of_every_kind_comes_back_without_a_difference() -> Result<()> {
    full_incremental_restore_list(our_site())
}

#[test]
fn a_differential_takes_all_since_the_full_and_an_incremental_since_the_last_job() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 20, 3000)?;
    let site = our_site().tree(&tree).start()?;
    // The first Incremental has no Full before it and becomes one.
    let first = site.backup("Incremental")?;
    expect_good(&first)?;
    ensure!(first.level() == 'F' && first.files() == 21, "{first:?}");
    fs::write(tree.join("file-0001"), "changed once")?;
    let second = site.backup("Incremental")?;
    expect_good(&second)?;
    ensure!(second.level() == 'I' && second.files() >= 1, "{second:?}");
    fs::write(tree.join("file-0002"), "changed too")?;
    let third = site.backup("Differential")?;
    expect_good(&third)?;
    ensure!(third.level() == 'D' && third.files() >= 2, "{third:?}");
    fs::write(tree.join("file-0003"), "and this")?;
    expect_good(&site.backup("Incremental")?)?;
    let restore = site.restore_current()?;
    expect_good(&restore)?;
    Compare::new(&tree, site.restored_tree(&tree)).dir_times(!ours().is_bacula()).run()?.expect_equal()?;
    // What the Full alone holds is the state before the changes.
    clear_restored(&site)?;
    expect_good(&site.restore_jobs(&[first.id], &site.restored())?)?;
    let old = compare_restored(&site, &tree)?;
    ensure!(old.differences.iter().any(|d| d.path.as_os_str() == "file-0003"), "{old}");
    site.finish()
}

#[test]
fn an_incremental_without_changes_saves_nothing() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 50, 100)?;
    testkit::tree::age(&tree)?;
    let site = our_site().tree(&tree).option("mtimeonly = yes").start()?;
    expect_good(&site.backup("Full")?)?;
    let incremental = site.backup("Incremental")?;
    expect_good(&incremental)?;
    ensure!(incremental.files() == 0, "{incremental:?}");
    site.finish()
}
