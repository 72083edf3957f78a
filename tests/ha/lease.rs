//! Instances that share a catalog on PostgreSQL, and its lease (DESIGN §4).

use anyhow::{Context, Result, ensure};
use holdfast_tests::held::Held;
use holdfast_tests::{compare_restored, expect_good, our_site};
use testkit::postgres::Postgres;
use testkit::site::{Builder, Site};
use testkit::wait;

/// Two instances, the first of them active, over a catalog on PostgreSQL.
fn two() -> Builder {
    our_site().postgres().instances(&["a", "b"]).cluster("Lease Time = 3 seconds")
}

/// The job that stood at the gate ends `T`, once, and comes back as it was.
fn ends_well(held: &mut Held) -> Result<()> {
    expect_good(&held.site.wait_job(held.job, wait::JOB)?)?;
    let twice = held
        .site
        .sql("SELECT FileIndex, count(*) FROM File WHERE JobId = 1 GROUP BY FileIndex HAVING count(*) > 1")?;
    ensure!(twice.is_empty(), "files that are in the catalog twice: {twice:?}");
    expect_good(&held.restore(held.job)?)?;
    compare_restored(&held.site, &held.before)?.expect_equal()?;
    compare_restored(&held.site, &held.after)?.expect_equal()
}

fn server(held: &mut Held) -> Result<&mut Postgres> {
    held.site.postgres().context("the site has a server")
}

/// Counter of the epoch, without the catalog's timeline.
fn epoch(site: &Site) -> Result<u64> {
    let rows = site.sql("SELECT Epoch FROM hf_leader")?;
    Ok(rows[0][0].parse::<u64>()? & u64::from(u32::MAX))
}

#[test]
fn killed_the_lease_runs_out_and_the_standby_takes_the_job_up() -> Result<()> {
    let mut held = Held::start(two())?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.kill_instance("a")?;
    held.site.wait_active("b", "b", wait::START)?;
    ensure!(epoch(&held.site)? == 2);
    held.release()?;
    ends_well(&mut held)?;
    held.site.start_instance("a")?;
    held.site.wait_active("a", "b", wait::START)?;
    held.site.finish()
}

/// Nobody can kill it from another host: it wakes up beside its successor, sees so, and is a standby.
#[test]
fn frozen_and_woken_it_does_nothing_and_stands_by() -> Result<()> {
    let mut held = Held::start(two())?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.freeze_instance("a")?;
    held.site.wait_active("b", "b", wait::START)?;
    held.site.thaw_instance("a")?;
    held.site.wait_active("a", "b", wait::START)?;
    ensure!(epoch(&held.site)? == 2, "the woken instance raised the epoch");
    held.release()?;
    ends_well(&mut held)?;
    held.site.finish()
}

#[test]
fn switched_over_and_back_with_a_job_in_the_middle() -> Result<()> {
    let mut held = Held::start(two())?;
    held.site.wait_active("b", "a", wait::START)?;
    let said = held.site.console_of("a", &["cluster switchover to=b"])?;
    ensure!(said.contains("Instance b is active after"), "{said}");
    let said = held.site.console_of("a", &["cluster switchover"])?;
    ensure!(said.contains("Instance a is active after"), "asked at the standby: {said}");
    ensure!(epoch(&held.site)? == 3);
    held.release()?;
    ends_well(&mut held)?;
    held.site.finish()
}

/// The role runs out when the catalog does not answer, and is taken again when it does; the job goes on meanwhile.
#[test]
fn without_its_catalog_nobody_acts_and_the_job_lives() -> Result<()> {
    let mut held = Held::start(two())?;
    held.site.wait_active("b", "a", wait::START)?;
    server(&mut held)?.kill()?;
    wait::until("the lease to run out", wait::START, || {
        let said = held.site.instance_log("a")?;
        Ok(said.contains("standby: the lease ran out").then_some(()))
    })?;
    held.release()?;
    server(&mut held)?.resume()?;
    ends_well(&mut held)?;
    held.site.finish()
}

#[test]
fn demoted_it_stays_a_standby_until_it_is_promoted() -> Result<()> {
    let mut site = two().tree("/etc/hostname").start()?;
    site.wait_active("b", "a", wait::START)?;
    site.stop_instance("b")?;
    let said = site.console_of("a", &["cluster demote", "status cluster", "cluster promote"])?;
    ensure!(said.contains("held back") && said.contains("may become active"), "{said}");
    site.wait_active("a", "a", wait::START)?;
    expect_good(&site.backup("Full")?)?;
    site.finish()
}
