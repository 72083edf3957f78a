//! Times. Sizes are plain `u64` bytes with the unit in the name; spans are [`std::time::Duration`].

use std::fmt;

/// Seconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Microseconds since 1970-01-01 UTC, as Volume and session labels hold it (`btime`, spec/03 §1.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VolTime(pub u64);

impl VolTime {
    /// Whole seconds.
    #[must_use]
    pub const fn timestamp(self) -> Timestamp {
        Timestamp((self.0 / 1_000_000) as i64)
    }
}

impl fmt::Display for VolTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
