//! Scenarios that name their length: an instance that is frozen for so long, a catalog that is away for so long.

use std::time::Duration;

use anyhow::Result;
use holdfast_tests::held::Held;
use holdfast_tests::{expect_good, our_site, pass};
use testkit::site::hosts;
use testkit::wait;

use crate::two;

/// Over PostgreSQL nobody can kill the frozen one: it wakes up beside the one who has followed it.
fn frozen_for(time: Duration, ends_meanwhile: bool) -> Result<()> {
    let mut held = Held::start(two(our_site().postgres()))?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.prefer_instance("b");
    held.site.freeze_instance("a")?;
    if ends_meanwhile {
        held.site.wait_active("b", "b", wait::START)?;
        held.release()?;
        expect_good(&held.site.wait_job(held.job, wait::JOB)?)?;
    }
    pass(time)?;
    held.site.thaw_instance("a")?;
    for asked in ["a", "b"] {
        held.site.wait_active(asked, "b", wait::START)?;
    }
    if !ends_meanwhile {
        held.release()?;
    }
    held.ends_well()?;
    held.site.finish()
}

#[test]
fn frozen_for_five_seconds() -> Result<()> {
    frozen_for(Duration::from_secs(5), false)
}

#[test]
fn frozen_for_half_a_minute_in_which_the_job_ends() -> Result<()> {
    frozen_for(Duration::from_secs(30), true)
}

/// Nobody acts, and nobody is told a lie; the jobs write on until they need a Volume, and then wait.
#[test]
fn the_catalog_is_gone_for_a_minute_with_jobs_running() -> Result<()> {
    let small_volumes = our_site().postgres().pool("Maximum Volume Bytes = 15 MB");
    let mut held = Held::start(two(small_volumes.network()))?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.network()?.unplug(hosts::CATALOG)?;
    held.release()?;
    wait::until("the lease to run out", wait::START, || {
        let said = held.site.instance_log("a")?;
        Ok(said.contains("standby: the lease ran out").then_some(()))
    })?;
    pass(Duration::from_mins(1))?;
    held.site.network()?.plug(hosts::CATALOG)?;
    held.ends_well()?;
    held.site.finish()
}
