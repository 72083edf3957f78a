//! Wires cut between the daemons, each of which is a host of its own: nobody is sent a FIN, everything is lost silently.

use std::time::Duration;

use anyhow::{Result, ensure};
use holdfast_tests::audit::audit;
use holdfast_tests::held::Held;
use holdfast_tests::{expect_good, our_site};
use testkit::network::Line;
use testkit::site::{Builder, Site, hosts};
use testkit::wait;

/// Between data centres: 20 ms, and of a hundred packets one makes the line stand still for as long as TCP takes to send one again.
pub(crate) const SLOW: Line =
    Line { delay: Duration::from_millis(20), stall_one_in: 100, stall: Duration::from_millis(200) };

/// Two instances, the first of them active, and a catalog on PostgreSQL.
fn two() -> Builder {
    crate::two(our_site().postgres())
}

/// Two instances on a network, and a job that a has started.
fn held() -> Result<Held> {
    let held = Held::start(two().network())?;
    held.site.wait_active("b", "a", wait::START)?;
    Ok(held)
}

/// Counter of the epoch, without the catalog's timeline.
fn epoch(site: &Site) -> Result<u64> {
    let rows = site.sql("SELECT Epoch FROM hf_leader")?;
    Ok(rows[0][0].parse::<u64>()? & u64::from(u32::MAX))
}

/// All instances agree that `name` is active, in this epoch, and everything is as it must be.
fn settled(held: Held, name: &str, in_epoch: u64) -> Result<()> {
    let site = &held.site;
    for asked in ["a", "b"] {
        site.wait_active(asked, name, wait::START)?;
    }
    ensure!(epoch(site)? == in_epoch, "epoch {} instead of {in_epoch}", epoch(site)?);
    audit(site, &held.trees())?;
    held.site.finish()
}

/// The job that stood at the gate goes on and ends `T`.
fn ends_well(held: &mut Held) -> Result<()> {
    held.release()?;
    expect_good(&held.site.wait_job(held.job, wait::JOB)?)
}

/// b has followed a, which is alive and cut off; the job goes on and ends, and then the wire is whole again.
fn followed(mut held: Held, heal: impl FnOnce(&Site) -> Result<()>) -> Result<()> {
    held.site.prefer_instance("b");
    held.site.wait_active("b", "b", wait::START)?;
    ends_well(&mut held)?;
    heal(&held.site)?;
    settled(held, "b", 2)
}

#[test]
fn power_cut_of_the_active_instance() -> Result<()> {
    let mut held = held()?;
    held.site.cut_power("a")?;
    held.site.wait_active("b", "b", wait::START)?;
    ends_well(&mut held)?;
    held.site.network()?.plug("a")?;
    held.site.start_instance("a")?;
    settled(held, "b", 2)
}

#[test]
fn the_active_instance_is_cut_from_everything() -> Result<()> {
    let held = held()?;
    held.site.network()?.unplug("a")?;
    followed(held, |site| site.network()?.plug("a"))
}

#[test]
fn the_active_instance_is_cut_from_the_catalog_only() -> Result<()> {
    let held = held()?;
    held.site.network()?.cut("a", hosts::CATALOG)?;
    followed(held, |site| site.network()?.heal("a", hosts::CATALOG))
}

#[test]
fn what_the_active_instance_sends_to_the_catalog_is_lost() -> Result<()> {
    let held = held()?;
    held.site.network()?.lose("a", hosts::CATALOG)?;
    followed(held, |site| site.network()?.heal("a", hosts::CATALOG))
}

#[test]
fn what_the_catalog_sends_to_the_active_instance_is_lost() -> Result<()> {
    let held = held()?;
    held.site.network()?.lose(hosts::CATALOG, "a")?;
    followed(held, |site| site.network()?.heal("a", hosts::CATALOG))
}

/// Nobody follows: the lease is renewed. The job goes on, and is told about when the wire is whole.
fn without_its_storage(cut: impl FnOnce(&Site) -> Result<()>) -> Result<()> {
    let mut held = held()?;
    cut(&held.site)?;
    held.release()?;
    let volume = held.site.volume_file("Vol-0001");
    wait::until("the rest of the job on the Volume", wait::START, || {
        Ok((std::fs::metadata(&volume)?.len() > 20_000_000).then_some(()))
    })?;
    let said = held.site.console(&["status storage=File1", "status director"])?;
    ensure!(said.contains("is running") || said.contains("is waiting"), "{said}");
    held.site.network()?.heal("a", hosts::STORAGE)?;
    expect_good(&held.site.wait_job(held.job, wait::JOB)?)?;
    settled(held, "a", 1)
}

#[test]
fn the_active_instance_is_cut_from_a_storage_only() -> Result<()> {
    without_its_storage(|site| site.network()?.cut("a", hosts::STORAGE))
}

#[test]
fn what_the_active_instance_sends_to_a_storage_is_lost() -> Result<()> {
    without_its_storage(|site| site.network()?.lose("a", hosts::STORAGE))
}

#[test]
fn what_a_storage_sends_to_the_active_instance_is_lost() -> Result<()> {
    without_its_storage(|site| site.network()?.lose(hosts::STORAGE, "a"))
}

#[test]
fn the_standby_is_cut_off() -> Result<()> {
    let mut held = held()?;
    held.site.network()?.unplug("b")?;
    ends_well(&mut held)?;
    held.site.network()?.plug("b")?;
    settled(held, "a", 1)
}

/// The active instance is far from catalog, Storage and client: its lease holds.
#[test]
fn a_slow_line_with_stalls_is_no_failover() -> Result<()> {
    let mut held = Held::start(two().network_with_far(&["a"], SLOW))?;
    held.site.wait_active("b", "a", wait::START)?;
    ends_well(&mut held)?;
    settled(held, "a", 1)
}
