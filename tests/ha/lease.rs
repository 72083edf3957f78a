//! Instances that share a catalog on PostgreSQL, and its lease (DESIGN §4).

use anyhow::{Context, Result, ensure};
use holdfast_tests::held::Held;
use holdfast_tests::{expect_good, our_site};
use testkit::postgres::Postgres;
use testkit::site::{Builder, Site};
use testkit::wait;

/// Two instances, the first of them active, over a catalog on PostgreSQL.
fn two() -> Builder {
    our_site().postgres().instances(&["a", "b"]).cluster("Lease Time = 3 seconds")
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
    held.ends_well()?;
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
    held.ends_well()?;
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
    held.ends_well()?;
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
    held.ends_well()?;
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

/// A command that lets data be overwritten is good for a lease, but one that was answered keeps nobody waiting.
#[test]
fn the_role_is_given_back_at_once_after_a_relabel_and_after_a_recycling() -> Result<()> {
    let recycling = "Maximum Volumes = 1";
    let site = two().tree("/etc/hostname").pool(recycling).pool("Maximum Volume Jobs = 1").start()?;
    site.wait_active("b", "a", wait::START)?;
    expect_good(&site.backup("Full")?)?;
    let relabel = "relabel storage=File1 oldvolume=Vol-0001 volume=Vol-0002 pool=File";
    let switch = "cluster switchover to=b";
    let said = site.console_of("a", &["purge volume=Vol-0001 yes", relabel, switch])?;
    ensure!(said.contains("3000 OK label") && said.contains("Instance b is active after"), "{said}");
    expect_good(&site.backup("Full")?)?;
    site.console_of("b", &["purge volume=Vol-0002 yes"])?;
    expect_good(&site.backup("Full")?)?;
    ensure!(site.job_log().contains("Recycled volume \"Vol-0002\""), "{}", site.job_log());
    let said = site.console_of("b", &["cluster switchover to=a"])?;
    ensure!(said.contains("Instance a is active after"), "{said}");
    for instance in ["a", "b"] {
        let log = site.instance_log(instance)?;
        ensure!(log.contains("why=Released") && !log.contains("why=Expired"), "{instance}: {log}");
    }
    site.finish()
}
