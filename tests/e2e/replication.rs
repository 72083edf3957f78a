//! `Copy Pool`: each backup is copied as soon as it ends; `status replication` shows what is not.

use anyhow::{Result, ensure};
use holdfast_tests::copies::of_type;
use holdfast_tests::{compare_restored, expect_good, our_site, plain_tree, scratch};
use testkit::site::{Maker, Role, Site};
use testkit::wait;

fn copied(site: &Site, count: usize) -> Result<()> {
    wait::until("the copies", wait::JOB, || {
        let good = of_type(site, 'C')?.into_iter().filter(|job| job.status() == 'T').count();
        Ok((good == count).then_some(()))
    })
}

#[test]
fn a_backup_is_copied_as_soon_as_it_ends() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 20, 30_000)?;
    let mut site = our_site().far_storage(Maker::Holdfast).tree(&tree).pool("Copy Pool = Far").start()?;
    let none = site.console(&["status replication"])?;
    ensure!(none.contains("Pool \"File\" is wholly copied to Pool \"Far\""), "{none}");
    expect_good(&site.backup("Full")?)?;
    copied(&site, 1)?;
    let all = site.console(&["status replication"])?;
    ensure!(all.contains("Pool \"File\" is wholly copied to Pool \"Far\""), "{all}");

    // While the far side is away, backups go on, and what is behind is told.
    site.kill(Role::FarStorage)?;
    expect_good(&site.backup("Incremental")?)?;
    expect_good(&site.backup("Full")?)?;
    let behind = site.console(&["status replication"])?;
    ensure!(behind.contains("| File | Far      | Backup |"), "{behind}");
    ensure!(!behind.contains("wholly copied"), "{behind}");

    // The far side is back: what was asked for is done, and the near one may go.
    site.start_role(Role::FarStorage)?;
    let uncopied = site.sql("SELECT count(*) FROM Job WHERE Type = 'B' AND JobBytes > 0")?;
    copied(&site, uncopied[0][0].parse()?)?;
    site.console_within(&["wait"], wait::JOB)?;
    site.kill(Role::Storage)?;
    let job = site.restore_current()?;
    ensure!(job.status() == 'T', "{job:?}\n{}", site.job_log());
    compare_restored(&site, &tree)?.expect_equal()?;
    site.finish()
}

#[test]
fn a_job_says_for_itself_where_it_is_copied() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 5, 3_000)?;
    let site = our_site().far_storage(Maker::Holdfast).tree(&tree).job("Copy Pool = Far").start()?;
    expect_good(&site.backup("Full")?)?;
    copied(&site, 1)?;
    ensure!(site.job_log().contains("The copy to Pool \"Far\" is queued. JobId="), "{}", site.job_log());
    site.finish()
}
