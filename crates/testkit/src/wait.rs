//! Waiting on a condition with a bound.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};

/// The longest that a test waits for a daemon to answer its port.
pub const START: Duration = Duration::from_secs(30);
/// The longest that a test waits for a job.
pub const JOB: Duration = Duration::from_secs(120);

/// Asks `probe` until it has an answer, for at most `bound`.
///
/// Used where the system offers no event to wait on: that another process listens on a port, that a file has grown.
/// The first probes are 2 ms apart, later ones 50 ms, so that the wait costs little and ends soon after the fact.
///
/// # Errors
/// When `bound` has passed (the text names `what`), or at once when `probe` fails.
pub fn until<T>(what: &str, bound: Duration, probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    until_every(Duration::from_millis(50), what, bound, probe)
}

/// As [`until`], with probes at most `longest` apart: for measurements.
///
/// # Errors
/// As [`until`].
pub fn until_every<T>(
    longest: Duration,
    what: &str,
    bound: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(2).min(longest);
    loop {
        if let Some(found) = probe().with_context(|| format!("wait for {what}"))? {
            return Ok(found);
        }
        if start.elapsed() >= bound {
            bail!("waited {} s in vain for {what}", bound.as_secs());
        }
        // No event: that is what this function is for.
        thread::sleep(pause);
        pause = (pause * 2).min(longest);
    }
}

/// Waits until the clock shows another second, at most one second long.
///
/// Times in a backup have whole seconds, and a file changed in the second in which a job starts counts as changed after
/// it: between making a tree and a Full on which an Incremental shall build, a second must have passed.
///
/// # Errors
/// When the clock stands still.
pub fn next_second() -> Result<()> {
    let second = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let now = second();
    until("the next second", START, || Ok((second() > now).then_some(())))
}
