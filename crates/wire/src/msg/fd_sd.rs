//! FD ↔ SD, also SD ↔ SD (spec/01 §2.6, §5.8–5.9; spec/03 §8).

use crate::line_message;

line_message! {
    /// What an SD says it can do, before authentication. All zero but for `hash`: no deduplication.
    SdCaps = "sdcaps: " {
        /// Deduplication.
        "dedup" dedup: i64,
        /// Kind of hash.
        "hash" hash: i64,
        /// Block size.
        "dedup_block" dedup_block: u64,
        /// Smallest block.
        "min_dedup_block" min_dedup_block: u64,
        /// Largest block.
        "max_dedup_block" max_dedup_block: u64,
    } "\n"
}

impl SdCaps {
    /// What the community's daemons send: no deduplication.
    #[must_use]
    pub fn none() -> Self {
        Self { dedup: 0, hash: 1, dedup_block: 65_536, min_dedup_block: 1024, max_dedup_block: 66_556 }
    }
}

line_message! {
    /// The FD's answer to [`SdCaps`]; a writing SD leaves `proxy` out.
    FdCaps = "fdcaps: " {
        /// Deduplication.
        "dedup" dedup: i64,
        /// Rehydration.
        "rehydration" rehydration: i64,
        /// Whether the Director resource is "Remote".
        "proxy" proxy: Option<bool>,
    } "\n"
}

impl FdCaps {
    /// Nothing special, with or without the last field.
    #[must_use]
    pub fn none(with_proxy: bool) -> Self {
        Self { dedup: 0, rehydration: 0, proxy: with_proxy.then_some(false) }
    }
}
