//! A stock Storage Daemon and one of ours in one group (docs/storage-groups.md).

use anyhow::{Result, ensure};
use holdfast_tests::held::Held;
use holdfast_tests::{compare_restored, expect_good, our_site, plain_tree, scratch};
use testkit::site::{Builder, Maker, Role};
use testkit::wait;

use crate::groups::{ends_whole, next_attempt, storages, wait_checkpoint};

/// `File1` is ours, `Far` a real Bacula; the first of `order` is taken.
fn group(order: &str) -> Builder {
    our_site().far_storage(Maker::Bacula9).pool(format!("Storage = {order}"))
}

#[test]
fn the_policy_chooses_a_stock_storage_as_any_other() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 5, 20_000)?;
    let site = group("Far, File1").pool("Storage Group Policy = LastBackedUpTo").tree(&tree).start()?;
    for (job, expected) in [(1, "Far"), (2, "File1"), (3, "Far")] {
        expect_good(&site.backup("Full")?)?;
        ensure!(storages(&site, job)? == [expected], "{:?}\n{}", storages(&site, job)?, site.job_log());
        wait::next_second()?;
    }
    expect_good(&site.restore_current()?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    site.finish()
}

#[test]
fn a_stock_storage_that_tells_no_space_counts_last() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 5, 20_000)?;
    let site = group("Far, File1").pool("Storage Group Policy = FreeSpace").tree(&tree).start()?;
    expect_good(&site.backup("Full")?)?;
    ensure!(storages(&site, 1)? == ["File1"], "{}", site.job_log());
    let log = site.job_log();
    ensure!(
        log.contains("Storage \"Far\" counts as the one with the least free space: its daemon does not"),
        "{log}"
    );
    site.finish()
}

/// The lost Storage has confirmed nothing, so the job begins with the first file.
fn a_stock_storage_is_lost(client: Maker) -> Result<()> {
    let mut held = Held::start(group("Far, File1").client(client))?;
    held.site.kill(Role::FarStorage)?;
    held.release()?;
    drop(next_attempt(&held)?);
    ends_whole(&held)?;
    ensure!(storages(&held.site, 1)? == ["File1"], "{:?}", storages(&held.site, 1)?);
    held.site.forget(Role::FarStorage)?;
    held.site.finish()
}

#[test]
fn a_job_goes_on_at_ours_when_a_stock_storage_is_killed() -> Result<()> {
    a_stock_storage_is_lost(Maker::Holdfast)
}

#[test]
fn a_job_of_a_stock_client_goes_on_at_ours_when_a_stock_storage_is_killed() -> Result<()> {
    a_stock_storage_is_lost(Maker::Bacula9)
}

/// Ours comes back before the end, or does not: then the stock Storage gets all.
fn ours_is_lost(client: Maker, comes_back: bool) -> Result<()> {
    let mut held = Held::start(group("File1, Far").client(client))?;
    wait_checkpoint(&held)?;
    held.site.kill(Role::Storage)?;
    held.release()?;
    let gate = next_attempt(&held)?;
    if comes_back {
        held.site.start_role(Role::Storage)?;
    }
    drop(gate);
    ends_whole(&held)?;
    let expected: &[&str] = if comes_back { &["Far", "File1"] } else { &["Far"] };
    ensure!(storages(&held.site, 1)? == expected, "{:?}", storages(&held.site, 1)?);
    if !comes_back {
        held.site.forget(Role::Storage)?;
    }
    held.site.finish()
}

#[test]
fn a_job_goes_on_at_a_stock_storage_when_ours_is_killed() -> Result<()> {
    ours_is_lost(Maker::Holdfast, true)
}

#[test]
fn a_stock_storage_gets_all_when_ours_is_gone_for_good() -> Result<()> {
    ours_is_lost(Maker::Holdfast, false)
}

#[test]
fn a_job_of_a_stock_client_goes_on_at_a_stock_storage() -> Result<()> {
    ours_is_lost(Maker::Bacula9, true)
}

/// The Volume that it wrote is taken by the operator's word: it has no state to be told by.
#[test]
fn a_cold_spare_of_ours_takes_the_place_of_a_stock_storage_and_gives_it_back() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 20, 20_000)?;
    let mut site = our_site().storage(Maker::Bacula9).cold_spare().tree(&tree).start()?;
    expect_good(&site.backup("Full")?)?;
    site.kill(Role::Storage)?;
    let (there, here) = (site.volume_file("Vol-0001"), site.far_volumes().join("Vol-0001"));
    std::fs::copy(&there, &here)?;
    let plan = site.console(&["storage activate=Spare plan"])?;
    ensure!(plan.contains("Volumes: 0 go from") && plan.contains("add \"missing=take\""), "{plan}");
    let said = site.console(&["storage activate=Spare missing=take yes"])?;
    ensure!(said.contains("(storage epoch 2); 1 Volumes moved."), "{said}");
    expect_good(&site.restore_current()?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    wait::next_second()?;
    std::fs::write(tree.join("later"), "behind what Bacula wrote")?;
    expect_good(&site.backup("Incremental")?)?;
    ensure!(storages(&site, 3)? == ["Spare"], "{}", site.job_log());

    // The way back: a stock daemon says nothing of what it has, and all goes over.
    site.stop(Role::FarStorage)?;
    std::fs::copy(&here, &there)?;
    site.start_role(Role::FarStorage)?;
    site.start_role(Role::Storage)?;
    let back = site.console(&["storage activate=File1 yes"])?;
    ensure!(back.contains("cannot say which Volumes it has") && back.contains("(storage epoch 3)"), "{back}");
    wait::next_second()?;
    std::fs::write(tree.join("last"), "behind what ours wrote")?;
    expect_good(&site.backup("Incremental")?)?;
    ensure!(storages(&site, 4)? == ["File1"], "{}", site.job_log());
    expect_good(&site.restore_current()?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    site.finish()
}
