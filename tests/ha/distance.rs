//! What happens between two data centres, with a slow line between them: the second Storage Daemon and the standby are at the other
//! end of it. The loss of a whole data centre is in `centres`.

use anyhow::{Result, ensure};
use holdfast_tests::copies::{jobs, run};
use holdfast_tests::{clear_restored, compare_restored, expect_good, our_site, plain_tree, scratch};
use testkit::site::{Builder, Maker, Role, hosts};
use testkit::wait;

use crate::network::SLOW;
use crate::{copy, groups};

fn apart(builder: Builder) -> Builder {
    builder.network_with_far(&[hosts::FAR_STORAGE, "b"], SLOW)
}

#[test]
fn the_active_instance_is_killed_in_mid_copy() -> Result<()> {
    copy::active_instance_killed_in_mid_copy(apart(our_site().postgres()))
}

#[test]
fn the_far_storage_daemon_is_killed_in_mid_copy() -> Result<()> {
    copy::storage_killed_in_mid_copy(apart(our_site().postgres()), Role::FarStorage)
}

#[test]
fn a_job_that_loses_its_storage_goes_on_at_the_far_one() -> Result<()> {
    groups::storage_comes_back(apart(groups::group()))
}

#[test]
fn a_job_whose_storage_is_gone_is_whole_at_the_far_one() -> Result<()> {
    groups::storage_is_gone(apart(groups::group()))
}

/// Nobody is told that the near Storage Daemon's host is gone.
#[test]
fn a_restore_takes_the_copies_at_the_far_one() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 30, 40_000)?;
    let site = apart(our_site()).far_storage(Maker::Holdfast).tree(&tree).extra(jobs("Far")).start()?;
    wait::next_second()?;
    expect_good(&site.backup("Full")?)?;
    wait::next_second()?;
    std::fs::write(tree.join("file-0003"), "changed")?;
    expect_good(&site.backup("Incremental")?)?;
    expect_good(&run(&site, "CopyAll")?)?;
    site.network()?.unplug(hosts::STORAGE)?;
    clear_restored(&site)?;
    expect_good(&site.restore_current()?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    for id in [1, 2] {
        let says = format!("JobId {id} is restored from JobId");
        ensure!(site.job_log().contains(&says), "{}", site.job_log());
    }
    site.network()?.plug(hosts::STORAGE)?;
    site.finish()
}
