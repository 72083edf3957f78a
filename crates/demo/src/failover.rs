//! The active Director is killed in the middle of a backup.

use std::time::Instant;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use testkit::site::Site;
use testkit::wait;

use crate::report::human;
use crate::run::{ACTIVE, STANDBY};

/// Kills it (`SIGKILL`), waits until the standby serves commands as the active one, and says how long that took.
pub(crate) fn kill(site: &Site, at: u64, of: u64) -> Result<()> {
    let pid = i32::try_from(site.instance_pid(ACTIVE)?).ok().and_then(Pid::from_raw);
    println!(
        "{} of {} read: the active Director, instance {ACTIVE}, is killed (SIGKILL)",
        human(at),
        human(of)
    );
    let start = Instant::now();
    kill_process(pid.context("the process of the active instance")?, Signal::KILL).context("kill it")?;
    site.wait_active(STANDBY, STANDBY, wait::START)?;
    println!(
        "Instance {STANDBY} is active and serves commands {:.2} s later; the backup goes on",
        start.elapsed().as_secs_f64()
    );
    Ok(())
}
