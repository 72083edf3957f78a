//! A restore that cannot have a job from its own Storage or Volume takes the job's copy, without being told.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use holdfast_tests::copies::{jobs, of_type, run};
use holdfast_tests::{expect_good, our_site, plain_tree, scratch};
use testkit::compare::Compare;
use testkit::site::{Maker, Role, Site};
use testkit::wait;

/// A Full and an Incremental on the near Storage Daemon, both with copies on the far one.
fn site(tree: &Path) -> Result<Site> {
    plain_tree(tree, 30, 40_000)?;
    let site = our_site().far_storage(Maker::Holdfast).tree(tree).extra(jobs("Far")).start()?;
    wait::next_second()?;
    expect_good(&site.backup("Full")?)?;
    wait::next_second()?;
    fs::write(tree.join("file-0003"), "changed")?;
    fs::write(tree.join("later"), "new")?;
    expect_good(&site.backup("Incremental")?)?;
    expect_good(&run(&site, "CopyAll")?)?;
    ensure!(of_type(&site, 'C')?.len() == 2);
    Ok(site)
}

fn restores(site: &Site, tree: &Path, says: &str) -> Result<()> {
    let job = site.restore_current()?;
    ensure!(job.status() == 'T', "{job:?}\n{}", site.job_log());
    // The tree's own folder was restored before the last files came.
    Compare::new(tree, site.restored_tree(tree)).dir_times(false).run()?.expect_equal()?;
    let log = site.job_log();
    ensure!(log.contains(says), "“{says}” is not in the log:\n{log}");
    Ok(())
}

#[test]
fn the_storage_daemon_is_away() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let mut site = site(&tree)?;
    site.kill(Role::Storage)?;
    restores(&site, &tree, "JobId 1 is restored from JobId")?;
    ensure!(site.job_log().contains("JobId 2 is restored from JobId"), "{}", site.job_log());
    ensure!(site.job_log().contains("Storage \"File1\" cannot be reached"), "{}", site.job_log());
    site.finish()
}

#[test]
fn a_volume_is_missing() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let site = site(&tree)?;
    fs::remove_file(site.volumes().join("Vol-0001"))?;
    restores(&site, &tree, "What the Volumes of JobId 1 did not give is restored from JobId")?;
    site.finish()
}

#[test]
fn a_volume_is_damaged() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let site = site(&tree)?;
    let path = site.volumes().join("Vol-0001");
    let mut bytes = fs::read(&path)?;
    let middle = bytes.len() / 2;
    bytes[middle..middle + 200].fill(0x55);
    fs::write(&path, bytes)?;
    restores(&site, &tree, "What the Volumes of JobId 1 did not give is restored from JobId")?;
    site.finish()
}

#[test]
fn only_one_job_of_the_chain_has_a_copy() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 30, 40_000)?;
    let site = our_site()
        .far_storage(Maker::Holdfast)
        .tree(&tree)
        .pool("Maximum Volume Jobs = 1")
        .extra(jobs("Far"))
        .start()?;
    wait::next_second()?;
    expect_good(&site.backup("Full")?)?;
    expect_good(&run(&site, "CopyAll")?)?;
    wait::next_second()?;
    fs::write(tree.join("file-0003"), "changed")?;
    expect_good(&site.backup("Incremental")?)?;
    fs::remove_file(site.volumes().join("Vol-0001"))?;
    restores(&site, &tree, "What the Volumes of JobId 1 did not give is restored from JobId")?;
    site.finish()
}

#[test]
fn without_a_copy_what_is_missing_is_named_and_the_job_fails() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 5, 4_000)?;
    let site = our_site().far_storage(Maker::Holdfast).tree(&tree).extra(jobs("Far")).start()?;
    expect_good(&site.backup("Full")?)?;
    fs::remove_file(site.volumes().join("Vol-0001"))?;
    let job = site.restore_current()?;
    ensure!(job.status() == 'E', "{job:?}");
    ensure!(
        site.job_log().contains("Not restored in full, for it is damaged or missing"),
        "{}",
        site.job_log()
    );
    site.finish()
}
