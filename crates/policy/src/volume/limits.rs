//! When a Volume takes no further job (spec/04 §5.2, limit checks).

use super::{PoolFacts, VolumeFacts};
use std::fmt;
use types::{Timestamp, VolStatus};

/// The limit that a Volume has reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expiry {
    /// Maximum Volume Bytes.
    Bytes,
    /// Use Volume Once.
    Once,
    /// Maximum Volume Jobs.
    Jobs,
    /// Maximum Volume Files.
    Files,
    /// Volume Use Duration.
    Duration,
    /// Maximum Pool Bytes.
    PoolBytes,
}

impl Expiry {
    /// The state that the Volume gets.
    #[must_use]
    pub const fn status(self) -> VolStatus {
        match self {
            Self::Bytes => VolStatus::Full,
            Self::Once | Self::Jobs | Self::Files | Self::Duration | Self::PoolBytes => VolStatus::Used,
        }
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "Max Volume bytes reached",
            Self::Once => "Use Volume Once",
            Self::Jobs => "Max Volume jobs reached",
            Self::Files => "Max Volume files reached",
            Self::Duration => "Volume Use Duration exceeded",
            Self::PoolBytes => "Max Pool bytes reached",
        })
    }
}

/// The first limit that an Append Volume with jobs has reached; none for one that may be written on.
#[must_use]
pub fn expiry(volume: &VolumeFacts, pool: &PoolFacts, now: Timestamp) -> Option<Expiry> {
    if volume.status != VolStatus::Append || volume.jobs == 0 {
        return None;
    }
    let used_for = volume.first_written.map_or(0, |first| now.0.saturating_sub(first.0));
    let checks = [
        (reached(volume.bytes, volume.max_bytes), Expiry::Bytes),
        (pool.use_once, Expiry::Once),
        (reached(volume.jobs.into(), volume.max_jobs.into()), Expiry::Jobs),
        (reached(volume.files.into(), volume.max_files.into()), Expiry::Files),
        (reached(u64::try_from(used_for).unwrap_or(0), volume.use_duration), Expiry::Duration),
        (reached(pool.bytes, pool.max_bytes), Expiry::PoolBytes),
    ];
    checks.into_iter().find_map(|(reached, expiry)| reached.then_some(expiry))
}

fn reached(value: u64, limit: u64) -> bool {
    limit > 0 && value >= limit
}
