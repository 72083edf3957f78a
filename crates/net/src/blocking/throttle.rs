//! Sending no faster than a job may.

use std::time::{Duration, Instant};

/// Longest sleep, so that a cancelled job ends soon.
const NAP_MAX: Duration = Duration::from_millis(100);
/// Stretch of time over which the rate is kept: what a slow peer has cost before that is not made up for.
const STRETCH: Duration = Duration::from_secs(10);

/// Bytes sent in the current stretch of time.
#[derive(Debug)]
pub struct Throttle {
    start: Instant,
    bytes: u64,
    rate: u64,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { start: Instant::now(), bytes: 0, rate: 0 }
    }
}

impl Throttle {
    /// Counts `bytes` and returns how long they must wait to stay under `rate` bytes per second; 0 = no limit.
    pub fn due_in(&mut self, rate: u64, bytes: u64) -> Duration {
        if rate != self.rate || self.start.elapsed() > STRETCH {
            *self = Self { rate, ..Self::default() };
        }
        if rate == 0 {
            return Duration::ZERO;
        }
        self.bytes += bytes;
        let due = Duration::from_secs_f64(self.bytes as f64 / rate as f64);
        due.saturating_sub(self.start.elapsed())
    }

    /// Waits for as long as [`Self::due_in`] said, or until the job is to end: then false.
    #[must_use]
    pub fn pause(&self, wait: Duration, is_canceled: impl Fn() -> bool) -> bool {
        let until = Instant::now() + wait;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            if is_canceled() {
                return false;
            }
            // No event: it is the time itself that is waited for.
            std::thread::sleep(left.min(NAP_MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_wait_for_their_rate_and_for_nothing_without_one() {
        let mut throttle = Throttle::default();
        assert_eq!(throttle.due_in(0, 1 << 40), Duration::ZERO);
        let first = throttle.due_in(1000, 2000);
        assert!(first > Duration::from_secs(1) && first <= Duration::from_secs(2), "{first:?}");
        assert!(throttle.due_in(1000, 2000) > Duration::from_secs(2), "they add up");
        assert!(throttle.due_in(1_000_000, 1000) < Duration::from_millis(2), "another rate begins anew");
    }

    #[test]
    fn a_job_that_is_to_end_does_not_wait() {
        assert!(!Throttle::default().pause(Duration::from_secs(3600), || true));
        assert!(Throttle::default().pause(Duration::ZERO, || true));
    }
}
