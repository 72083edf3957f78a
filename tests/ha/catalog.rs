//! The catalog's own failover: PostgreSQL's primary dies and its synchronous replica takes over (DESIGN §2.6).

use anyhow::{Result, ensure};
use holdfast_tests::held::Held;
use holdfast_tests::{clear_restored, compare_restored, expect_good, our_site};
use testkit::site::{Builder, Site};
use testkit::wait;

fn two(builder: Builder) -> Builder {
    builder.instances(&["a", "b"]).cluster("Lease Time = 3 seconds")
}

/// The job that stood at the gate ends `T` and comes back as it was, with every file in the catalog once.
fn ends_well(held: &mut Held) -> Result<()> {
    held.release()?;
    expect_good(&held.site.wait_job(held.job, wait::JOB)?)?;
    once(&held.site)?;
    restores(held)
}

fn restores(held: &Held) -> Result<()> {
    expect_good(&held.restore(held.job)?)?;
    compare_restored(&held.site, &held.before)?.expect_equal()?;
    compare_restored(&held.site, &held.after)?.expect_equal()
}

fn once(site: &Site) -> Result<()> {
    let twice =
        site.sql("SELECT JobId, FileIndex FROM File GROUP BY JobId, FileIndex HAVING count(*) > 1")?;
    ensure!(twice.is_empty(), "files that are in the catalog twice: {twice:?}");
    let open = site.sql("SELECT JobId, JobStatus FROM Job WHERE JobStatus NOT IN ('T', 'W')")?;
    ensure!(open.is_empty(), "jobs that are not good: {open:?}");
    Ok(())
}

fn timeline(site: &Site) -> Result<u64> {
    let rows = site.sql("SELECT Epoch FROM hf_leader")?;
    Ok(rows[0][0].parse::<u64>()? >> 32)
}

#[test]
fn a_director_goes_on_with_the_replica() -> Result<()> {
    let mut held = Held::start(our_site().postgres_pair())?;
    held.site.fail_over_catalog()?;
    ends_well(&mut held)?;
    held.site.finish()
}

#[test]
fn the_active_instance_goes_on_with_the_replica() -> Result<()> {
    let mut held = Held::start(two(our_site().postgres_pair()))?;
    held.site.wait_active("b", "a", wait::START)?;
    ensure!(timeline(&held.site)? == 1);
    held.site.fail_over_catalog()?;
    // The role ends and is taken again in an epoch of the new primary's timeline.
    wait::until("an epoch of the new timeline", wait::START, || {
        Ok((timeline(&held.site)? == 2).then_some(()))
    })?;
    held.site.wait_active("b", "a", wait::START)?;
    ends_well(&mut held)?;
    held.site.finish()
}

/// As when the machine dies that both are on.
#[test]
fn primary_and_active_instance_die_together() -> Result<()> {
    let mut held = Held::start(two(our_site().postgres_pair()))?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.kill_instance("a")?;
    held.site.fail_over_catalog()?;
    held.site.wait_active("b", "b", wait::START)?;
    ends_well(&mut held)?;
    held.site.start_instance("a")?;
    held.site.wait_active("a", "b", wait::START)?;
    held.site.finish()
}

/// Twice, so that the second failover goes to the server that was the primary first.
#[test]
fn under_patroni_with_a_job_in_the_middle() -> Result<()> {
    let mut held = Held::start(two(our_site().patroni()))?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.fail_over_catalog()?;
    ends_well(&mut held)?;
    held.site.revive_catalog_host()?;
    held.site.kill_instance("a")?;
    held.site.fail_over_catalog()?;
    held.site.wait_active("b", "b", wait::START)?;
    clear_restored(&held.site)?;
    restores(&held)?;
    held.site.finish()
}
