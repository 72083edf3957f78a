//! The clock of leases.

use crate::protocol::Moment;
use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Reads `CLOCK_BOOTTIME`: it goes on while the host sleeps, so a lease does not outlive a suspended machine.
pub(crate) fn now() -> Moment {
    let at = clock_gettime(ClockId::Boottime);
    let nanos = u32::try_from(at.tv_nsec).unwrap_or(0);
    Moment(Duration::new(u64::try_from(at.tv_sec).unwrap_or(0), nanos))
}
