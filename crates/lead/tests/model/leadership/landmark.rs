//! What an exploration must come upon, or it shows nothing. Kept beside the states, which it would only multiply.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Landmark {
    /// A lease that ran out is followed.
    Expired,
    /// One is fenced and followed.
    Fenced,
    /// Fencing fails.
    FencingFails,
    /// The role is handed over.
    Released,
    /// A cluster manager has another one follow.
    Ordered,
    /// A holder comes back with a higher epoch.
    Renewed,
    /// A holder finds that the catalog does not know it.
    WentBack,
    /// The SD refuses an epoch.
    StaleRefused,
    /// The SD refuses a command that is late.
    LateRefused,
    /// Data are overwritten by right.
    Overwritten,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Landmarks(Arc<AtomicU32>);

impl Landmarks {
    pub(crate) fn note(&self, landmark: Landmark) {
        self.0.fetch_or(1 << landmark as u32, Ordering::Relaxed);
    }

    pub(crate) fn has(&self, landmark: Landmark) -> bool {
        self.0.load(Ordering::Relaxed) & (1 << landmark as u32) != 0
    }
}
