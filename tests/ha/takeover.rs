//! The active instance goes away; the standby takes its jobs up.

use anyhow::{Result, ensure};
use holdfast_tests::audit::{Trees, audit};
use holdfast_tests::held::Held;
use holdfast_tests::{compare_restored, expect_good, our_site};
use testkit::site::{Builder, Maker, Site};
use testkit::wait;

use crate::two;

/// The job that stood at the gate ends `T`, once, and comes back as it was.
fn ends_well(held: &mut Held) -> Result<()> {
    let job = held.site.wait_job(held.job, wait::JOB)?;
    expect_good(&job)?;
    audit(&held.site, &held.trees())?;
    let listed = held.site.bls("Vol-0001", &["-j"])?;
    ensure!(listed.contains("JobId=1"), "{listed}");
    Ok(())
}

/// Who is active, and the counter of the epoch without the catalog's timeline.
fn epochs(site: &Site) -> Result<Vec<Vec<String>>> {
    site.sql("SELECT Holder, Epoch % 4294967296 FROM hf_leader")
}

pub(crate) fn killed_in_mid_job(builder: Builder, release_first: bool) -> Result<()> {
    let mut held = Held::start(two(builder))?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.kill_instance("a")?;
    if release_first {
        held.release()?;
    }
    held.site.wait_active("b", "b", wait::START)?;
    ensure!(epochs(&held.site)? == [["b", "2"]], "{:?}", epochs(&held.site)?);
    if !release_first {
        held.release()?;
    }
    ends_well(&mut held)?;
    held.site.finish()
}

#[test]
fn killed_with_a_job_in_the_middle() -> Result<()> {
    killed_in_mid_job(our_site(), false)
}

#[test]
fn killed_and_the_job_goes_on_before_the_takeover() -> Result<()> {
    killed_in_mid_job(our_site(), true)
}

#[test]
fn killed_with_a_stock_file_daemon() -> Result<()> {
    killed_in_mid_job(our_site().client(Maker::Bacula9), false)
}

#[test]
fn killed_when_idle_the_standby_serves_and_the_old_one_comes_back_as_standby() -> Result<()> {
    let dir = holdfast_tests::scratch()?;
    let tree = holdfast_tests::tree_of_every_kind(dir.path())?;
    let mut site = two(our_site()).tree(&tree).start()?;
    site.wait_active("b", "a", wait::START)?;
    expect_good(&site.backup("Full")?)?;
    site.kill_instance("a")?;
    site.wait_active("b", "b", wait::START)?;
    expect_good(&site.backup("Incremental")?)?;
    site.start_instance("a")?;
    site.wait_active("a", "b", wait::START)?;
    expect_good(&site.restore_current()?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    audit(&site, &Trees::of(&[&tree]))?;
    site.finish()
}

/// By the lock of the host, which SQLite's catalog is held by. Over PostgreSQL: `lease`, `long`.
#[test]
fn frozen_it_is_killed_before_it_is_followed() -> Result<()> {
    let mut held = Held::start(two(our_site().embedded()).cluster("Fence = none"))?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.freeze_instance("a")?;
    held.site.wait_active("b", "b", wait::START)?;
    ensure!(!held.site.is_instance_running("a"), "the frozen instance was left alive");
    held.site.forget_instance("a")?;
    held.release()?;
    ends_well(&mut held)?;
    held.site.finish()
}

#[test]
fn switched_over_with_a_job_in_the_middle() -> Result<()> {
    let mut held = Held::start(two(our_site()))?;
    held.site.wait_active("b", "a", wait::START)?;
    let said = held.site.console_of("a", &["cluster switchover to=b"])?;
    ensure!(said.contains("Instance b is active after"), "{said}");
    held.site.wait_active("a", "b", wait::START)?;
    let said = held.site.console_of("a", &["cluster switchover"])?;
    ensure!(said.contains("Instance a is active after"), "asked at the standby: {said}");
    held.release()?;
    ends_well(&mut held)?;
    held.site.finish()
}

#[test]
fn demoted_it_stays_a_standby_until_it_is_promoted() -> Result<()> {
    let mut site = two(our_site()).tree("/etc/hostname").start()?;
    site.wait_active("b", "a", wait::START)?;
    site.stop_instance("b")?;
    let refused = site.console_of("a", &["cluster switchover"])?;
    ensure!(refused.contains("Nothing was done"), "{refused}");
    let said = site.console_of("a", &["cluster demote", "status cluster", "cluster promote"])?;
    ensure!(said.contains("held back") && said.contains("may become active"), "{said}");
    site.wait_active("a", "a", wait::START)?;
    expect_good(&site.backup("Full")?)?;
    site.finish()
}
