//! What a daemon decides on a Director's command (docs/extensions.md §2, §3). Values in, a verdict out, so that daemons and
//! the model of the lease protocol run the same functions.

use std::time::Duration;

use types::{ActivationId, Epoch, VolTime};

/// `lease_ms` of a Director whose leadership is a local lock without a time.
pub const LEASE_FOREVER_MS: u64 = u64::MAX;

/// Which activation a Director, or a daemon's memory, speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Standing {
    /// Epoch.
    pub epoch: Epoch,
    /// Tells apart two instances that believe in one epoch.
    pub activation: ActivationId,
}

impl Standing {
    /// Whether a daemon that knows `known` refuses this one: a lower epoch, or the same one of another activation.
    #[must_use]
    pub fn is_stale_beside(self, known: Self) -> bool {
        self.epoch < known.epoch || (self.epoch == known.epoch && self.activation != known.activation)
    }
}

/// Whether a nonce that was drawn so long ago, by the daemon's own clock, is good for a command whose Director had `lease_ms` left
/// when it checked.
#[must_use]
pub fn is_within_lease(since_drawn: Duration, lease_ms: u64) -> bool {
    lease_ms == LEASE_FOREVER_MS || since_drawn < Duration::from_millis(lease_ms)
}

/// The state of a Volume on which a command was planned, or which a daemon keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VolumeVersion {
    /// When it was labelled.
    pub label_time: VolTime,
    /// Blocks written since, labels included.
    pub writes: u64,
}

/// What of a Volume is not as planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unlike {
    /// It was labelled again.
    Label,
    /// It was written.
    Writes,
}

impl VolumeVersion {
    /// What forbids a command planned on this version, if the Volume is as `kept`.
    #[must_use]
    pub fn unlike(self, kept: Self) -> Option<Unlike> {
        if self.label_time != kept.label_time {
            return Some(Unlike::Label);
        }
        (self.writes != kept.writes).then_some(Unlike::Writes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_epoch_and_another_activation_are_stale() {
        let standing =
            |epoch, activation| Standing { epoch: Epoch(epoch), activation: ActivationId(activation) };
        let known = standing(5, 1);
        for (offered, is_stale) in [((4, 1), true), ((5, 2), true), ((5, 1), false), ((6, 2), false)] {
            assert_eq!(standing(offered.0, offered.1).is_stale_beside(known), is_stale, "{offered:?}");
        }
    }

    #[test]
    fn a_nonce_is_good_for_less_than_the_lease() {
        assert!(is_within_lease(Duration::from_millis(999), 1000));
        assert!(!is_within_lease(Duration::from_millis(1000), 1000));
        assert!(is_within_lease(Duration::MAX, LEASE_FOREVER_MS));
        assert!(!is_within_lease(Duration::ZERO, 0));
    }

    #[test]
    fn a_volume_that_was_written_or_labelled_since_is_unlike() {
        let version = |label, writes| VolumeVersion { label_time: VolTime(label), writes };
        assert_eq!(version(1, 2).unlike(version(1, 2)), None);
        assert_eq!(version(1, 2).unlike(version(1, 3)), Some(Unlike::Writes));
        assert_eq!(version(1, 2).unlike(version(2, 2)), Some(Unlike::Label));
    }
}
