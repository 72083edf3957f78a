//! Identifiers. No bare integer crosses a module boundary.

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;

macro_rules! id_type {
    ($($(#[$doc:meta])* $name:ident($int:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $int);

        impl $name {
            /// The bare number, for encoders and SQL parameters.
            #[must_use]
            pub const fn get(self) -> $int {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.trim().parse().map(Self)
            }
        }

        impl From<$int> for $name {
            fn from(value: $int) -> Self {
                Self(value)
            }
        }
    )*};
}

id_type! {
    /// Catalog key of a Job; 0 stands for the system or a console (spec/01 §7.1).
    JobId(u32);
    /// Catalog key of a Volume.
    MediaId(u32);
    /// Catalog key of a Client.
    ClientId(u32);
    /// Catalog key of a Pool.
    PoolId(u32);
    /// Catalog key of a FileSet row; one name has a row per digest (spec/05 §4.3).
    FileSetId(u32);
    /// Catalog key of a Storage.
    StorageId(u32);
    /// Catalog key of a File row; 64 bits.
    FileId(u64);
    /// Catalog key of a Path row.
    PathId(u32);
    /// Catalog key of a JobMedia row.
    JobMediaId(u32);
    /// Position of a file in its job: 1, 2, 3 …; negative values are labels (spec/03 §1.5).
    FileIndex(i32);
    /// A start of a job. The first is 1; each reschedule, restart or rerun draws the next from the catalog.
    Attempt(u32);
    /// Sequence number of a journal record, from 1, without gaps in one journal.
    Seq(u64);
    /// Address in a Volume: byte offset on disk, `file << 32 | block` on tape (spec/03 §1.11).
    VolAddr(u64);
}

impl VolAddr {
    /// From the two halves that JobMedia rows and session labels hold.
    #[must_use]
    pub const fn from_file_block(file: u32, block: u32) -> Self {
        Self(((file as u64) << 32) | block as u64)
    }

    /// High half: tape file number, or bits 32.. of a disk address.
    #[must_use]
    pub const fn file(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Low half: block number in the tape file, or bits 0..32 of a disk address.
    #[must_use]
    pub const fn block(self) -> u32 {
        self.0 as u32
    }
}

/// A session of a Storage Daemon: one job run in one life of the daemon (spec/03 §1.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VolSession {
    /// Counter in the daemon's life, from 1.
    pub id: u32,
    /// Unix seconds; durable and strictly growing on a Holdfast SD.
    pub time: u32,
}

impl fmt::Display for VolSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id, self.time)
    }
}

/// A number that grows at each activation of a Director (DESIGN §2.5).
///
/// 64 bits: the catalog's timeline in the high half, a counter in the low half.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Builds an epoch from the catalog's timeline and a counter.
    #[must_use]
    pub const fn new(timeline: u32, counter: u32) -> Self {
        Self(((timeline as u64) << 32) | counter as u64)
    }

    /// The catalog's timeline (PostgreSQL's; 0 on SQLite).
    #[must_use]
    pub const fn timeline(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The counter within the timeline.
    #[must_use]
    pub const fn counter(self) -> u32 {
        self.0 as u32
    }

    /// The epoch of the next activation, given every epoch seen and the catalog's timeline: greater than all of them.
    #[must_use]
    pub fn next(seen: impl IntoIterator<Item = Epoch>, timeline: u32) -> Self {
        let highest = seen.into_iter().map(|e| e.0).max().unwrap_or(0);
        Self(highest.max((timeline as u64) << 32) + 1)
    }
}

impl fmt::Display for Epoch {
    /// `7`, or `2/7` where the catalog has a timeline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.timeline() {
            0 => write!(f, "{}", self.counter()),
            timeline => write!(f, "{timeline}/{}", self.counter()),
        }
    }
}

/// A number that grows whenever the place of a Storage goes over between it and its cold spare (docs/cold-spare.md); 1 = it never
/// has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageEpoch(pub u64);

impl StorageEpoch {
    /// Of a pair in which the main Storage has always served.
    pub const FIRST: Self = Self(1);

    /// The next one above this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for StorageEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! token_type {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                u128::from_str_radix(text.trim(), 16).map(Self)
            }
        }
    )*};
}

token_type! {
    /// Drawn at random at each activation of a Director; tells apart two instances that believe in one epoch.
    ActivationId;
    /// Identity of a catalog database, drawn when it is created. Everything on an SD is keyed by it and the Director's name.
    CatalogId;
    /// Drawn by an SD; a destructive command must carry the latest one (DESIGN §2.5).
    Nonce;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_epoch_is_above_all_seen_and_its_timeline() {
        assert_eq!(Epoch::next([], 0), Epoch(1));
        assert_eq!(Epoch::next([Epoch(6), Epoch(2)], 0), Epoch(7));
        assert_eq!(Epoch::next([Epoch(6)], 2), Epoch::new(2, 1));
        assert_eq!(Epoch::next([Epoch::new(3, 9)], 2), Epoch::new(3, 10));
    }

    #[test]
    fn volume_addresses_split_and_join() {
        let addr = VolAddr(0x0000_0002_0000_0005);
        assert_eq!((addr.file(), addr.block()), (2, 5));
        assert_eq!(VolAddr::from_file_block(2, 5), addr);
    }
}
