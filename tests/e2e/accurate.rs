//! Accurate: what was deleted stays away, what was moved in with an old time is saved.

use std::fs;

use anyhow::{Result, ensure};
use holdfast_tests::{compare_restored, expect_good, our_site, scratch, tree_of_every_kind};

#[test]
fn accurate_restores_the_tree_as_it_was_at_the_last_job() -> Result<()> {
    let dir = scratch()?;
    let tree = tree_of_every_kind(dir.path())?;
    let site = our_site().tree(&tree).job("Accurate = yes").start()?;
    expect_good(&site.backup("Full")?)?;
    fs::remove_file(tree.join("regular/size-512"))?;
    fs::remove_dir_all(tree.join("names"))?;
    fs::rename(tree.join("regular/size-513"), tree.join("regular/renamed"))?;
    fs::write(tree.join("regular/size-511"), "other")?;
    let incremental = site.backup("Incremental")?;
    expect_good(&incremental)?;
    let restore = site.restore_current()?;
    expect_good(&restore)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    ensure!(!site.restored_tree(&tree).join("names").exists());
    site.finish()
}
