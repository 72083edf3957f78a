//! The active Director is killed in the middle of a backup.

use std::time::Instant;

use anyhow::Result;
use testkit::site::Site;
use testkit::wait;

use crate::report::human;
use crate::run::{ACTIVE, STANDBY};

/// Kills it (`SIGKILL`), waits until the standby serves commands as the active one, and says how long that took.
pub(crate) fn kill(site: &Site, at: u64, of: u64) -> Result<()> {
    let active = site.instance_process(ACTIVE)?;
    println!(
        "{} of {} read: the active Director, instance {ACTIVE}, is killed (SIGKILL)",
        human(at),
        human(of)
    );
    let start = Instant::now();
    active.kill()?;
    site.wait_active(STANDBY, STANDBY, wait::START)?;
    println!(
        "Instance {STANDBY} is active and serves commands {:.2} s later; the backup goes on",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
