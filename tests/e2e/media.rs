//! The life of Volumes under the console's commands: label, prune, purge, truncate, recycle. What they destroy is said first.

use anyhow::{Result, ensure};
use holdfast_tests::{compare_restored, expect_good, our_site, plain_tree, scratch};

#[test]
fn a_labeled_volume_is_written_and_a_purged_one_recycled() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 20, 5000)?;
    let site = our_site()
        .tree(&tree)
        .pool("Maximum Volume Jobs = 1")
        .pool("Recycle Oldest Volume = no")
        .extra(
            "Pool { Name = Two; Pool Type = Backup; Recycle = yes; AutoPrune = no; Maximum Volume Jobs = 1; \
             Volume Retention = 1 year }\n\
             Job { Name = InTwo; JobDefs = Defaults; Pool = Two }",
        )
        .start()?;
    let labeled = site.console(&["label storage=File1 pool=Two volume=Hand-1 drive=0"])?;
    ensure!(labeled.contains("Hand-1") && labeled.contains("successfully created"), "{labeled}");
    let first = site.run("run job=InTwo level=Full yes")?;
    let first = site.wait_job(first, testkit::wait::JOB)?;
    expect_good(&first)?;

    let purged = site.console(&["purge volume=Hand-1"])?;
    ensure!(purged.contains("Hand-1"), "{purged}");
    let listed = site.console(&["list volumes pool=Two"])?;
    ensure!(listed.contains("Purged"), "{listed}");
    // The Job's files can no longer be found in the catalog, nor can it be restored from it.
    let rows = site.sql(&format!("SELECT count(*) FROM File WHERE JobId = {}", first.id))?;
    assert_eq!(rows, [["0"]]);

    let second = site.run("run job=InTwo level=Full yes")?;
    let second = site.wait_job(second, testkit::wait::JOB)?;
    expect_good(&second)?;
    let rows = site.sql("SELECT VolumeName, RecycleCount FROM Media")?;
    assert_eq!(rows, [["Hand-1", "1"]]);
    expect_good(&site.restore_jobs(&[second.id], &site.restored())?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    let listed = site.bls("Hand-1", &["-j"])?;
    assert_eq!(listed.matches("Begin Job Session").count(), 1, "{listed}");
    site.finish()
}

#[test]
fn nothing_is_recycled_that_is_still_wanted() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 5, 5000)?;
    let site = our_site().tree(&tree).pool("Maximum Volume Jobs = 1").start()?;
    for _ in 0..2 {
        expect_good(&site.backup("Full")?)?;
    }
    let answer = site.console(&["prune volume=Vol-0001 yes"])?;
    ensure!(!answer.contains("purged from catalog"), "{answer}");
    expect_good(&site.backup("Full")?)?;
    assert_eq!(site.volume_names()?, ["Vol-0001", "Vol-0002", "Vol-0003"]);
    expect_good(&site.restore_jobs(&[1], &site.restored())?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    site.finish()
}
