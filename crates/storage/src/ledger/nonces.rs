//! Nonces: a destructive command is executed only within the lease time that its Director saw (docs/extensions.md §3).

use std::collections::VecDeque;
use std::time::Instant;

use types::Nonce;
use wire::verdict::is_within_lease;

/// Nonces remembered for a registration; older ones are no longer good.
const NONCES_MAX: usize = 64;

/// The nonces given to one registration.
#[derive(Debug, Default)]
pub struct Nonces(VecDeque<(Nonce, Instant)>);

impl Nonces {
    /// Remembers a nonce drawn `now`.
    pub fn give(&mut self, nonce: Nonce, now: Instant) {
        if self.0.len() == NONCES_MAX {
            self.0.pop_front();
        }
        self.0.push_back((nonce, now));
    }

    /// Whether the nonce was given here, less than `lease_ms` ago.
    #[must_use]
    pub fn is_fresh(&self, nonce: Nonce, lease_ms: u64, now: Instant) -> bool {
        self.0.iter().any(|(given, at)| {
            *given == nonce && is_within_lease(now.saturating_duration_since(*at), lease_ms)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use wire::verdict::LEASE_FOREVER_MS;

    #[test]
    fn a_nonce_is_good_for_the_lease_and_only_here() {
        let mut nonces = Nonces::default();
        let start = Instant::now();
        nonces.give(Nonce(1), start);
        let later = |ms| start + Duration::from_millis(ms);
        assert!(nonces.is_fresh(Nonce(1), 1000, later(999)));
        assert!(!nonces.is_fresh(Nonce(1), 1000, later(1000)));
        assert!(nonces.is_fresh(Nonce(1), LEASE_FOREVER_MS, later(1_000_000_000)));
        assert!(!nonces.is_fresh(Nonce(2), 1000, start));
        for n in 0..NONCES_MAX as u128 {
            nonces.give(Nonce(10 + n), start);
        }
        assert!(!nonces.is_fresh(Nonce(1), 1000, start));
    }
}
