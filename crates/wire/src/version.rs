//! Version numbers and what they add (spec/01 §2.2).

/// What this product calls itself.
pub const PRODUCT: &str = "Holdfast";
/// Version of this product.
pub const PRODUCT_VERSION: &str = env!("CARGO_PKG_VERSION");
/// The Bacula release whose protocol is spoken; tools that ask for a version get it.
pub const BACULA_LEVEL: &str = "15.0.3";
/// Date of that release, as Bacula shows it.
pub const BACULA_LEVEL_DATE: &str = "25 March 2025";
/// The same in the short form of a client's `uname` line.
pub const BACULA_LEVEL_DATE_SHORT: &str = "25Mar25";

/// Number of the additions to the protocol that this build speaks (docs/extensions.md §1).
pub const HOLDFAST: u32 = 4;
/// From this number on a Storage Daemon tells its inventory (docs/extensions.md §9).
pub const HOLDFAST_INVENTORY: u32 = 2;
/// From this number on a Storage Daemon keeps which of a Storage and its cold spare serves (docs/extensions.md §11).
pub const HOLDFAST_PLACES: u32 = 3;
/// From this number on a Storage Daemon tells how much space its Devices have (docs/extensions.md §12).
pub const HOLDFAST_SPACE: u32 = 4;

/// Number by which a peer's Jmsg types are read: 9.6 counts without the EVENTS type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Generation {
    /// Up to 9.6 (and, as far as known, before 13).
    Old,
    /// 13 and 15.
    New,
}

/// A File Daemon's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FdVersion(pub u32);

impl FdVersion {
    /// What a Holdfast FD announces.
    pub const CURRENT: Self = Self(15);
    /// What a stock 9.6 FD announces.
    pub const V9_6: Self = Self(214);

    /// The number to announce to a Director: 214 to one of 9.6, whose message types an FD of that age uses.
    #[must_use]
    pub const fn announce_to(director: DirVersion) -> Self {
        match director.generation() {
            Generation::Old => Self::V9_6,
            Generation::New => Self::CURRENT,
        }
    }

    const fn is_community_2xx(self) -> bool {
        matches!(self.0, 213 | 214)
    }

    /// Message types and other things that changed between 9.6 and 13.
    #[must_use]
    pub const fn generation(self) -> Generation {
        if self.0 >= 200 { Generation::Old } else { Generation::New }
    }

    /// `Authorization=` in `storage`, `2000 OK storage end`, `endrestore`.
    #[must_use]
    pub const fn has_several_storages(self) -> bool {
        self.0 >= 2
    }

    /// `setbandwidth=`.
    #[must_use]
    pub const fn has_bandwidth(self) -> bool {
        self.0 >= 4
    }

    /// `files=` in `restore`.
    #[must_use]
    pub const fn has_restore_files(self) -> bool {
        self.0 >= 7
    }

    /// Takes and sends compressed packets.
    #[must_use]
    pub const fn has_compression(self) -> bool {
        self.0 >= 9 && self.0 != 213
    }

    /// Is greeted by the SD with `3000 OK Hello`.
    #[must_use]
    pub const fn has_storage_greeting(self) -> bool {
        self.0 >= 9 || self.0 == 5
    }

    /// The SD may call the client; `.status` takes an api number.
    #[must_use]
    pub const fn has_sd_calls_client(self) -> bool {
        self.0 >= 10
    }

    /// `sdcaps`/`fdcaps` before authentication with the SD.
    #[must_use]
    pub const fn has_caps(self) -> bool {
        self.0 >= 12 && !self.is_community_2xx()
    }

    /// `snapshot` commands.
    #[must_use]
    pub const fn has_snapshots(self) -> bool {
        self.0 >= 13
    }

    /// `PluginFeatures`, `restorefilelist`.
    #[must_use]
    pub const fn has_plugin_features(self) -> bool {
        self.0 >= 14 && !self.is_community_2xx()
    }

    /// `estimate … limit=`, the word `estimate` in `level`.
    #[must_use]
    pub const fn has_estimate_limit(self) -> bool {
        self.0 >= 15 && !self.is_community_2xx()
    }
}

/// A Storage Daemon's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SdVersion(pub u32);

impl SdVersion {
    /// What a Holdfast SD announces to Directors of 13 and 15.
    pub const CURRENT: Self = Self(30_008);
    /// What a stock 9.6 SD announces.
    pub const V9_6: Self = Self(306);

    /// The number to announce to a Director: never below its own SD's number, which it would refuse.
    #[must_use]
    pub const fn announce_to(director: DirVersion) -> Self {
        match director.generation() {
            Generation::Old => Self::V9_6,
            Generation::New => Self::CURRENT,
        }
    }

    /// Message types and other things that changed between 9.6 and 13.
    #[must_use]
    pub const fn generation(self) -> Generation {
        if self.0 < 30_000 { Generation::Old } else { Generation::New }
    }

    /// Exchanges `sdcaps`/`fdcaps` with clients that can.
    #[must_use]
    pub const fn has_caps(self) -> bool {
        self.0 == 4 || self.0 >= 30_007
    }

    /// `MaxPoolBytes=` and `PoolBytes=` in volume replies (33 fields and more).
    #[must_use]
    pub const fn has_pool_bytes(self) -> bool {
        self.0 >= 30_006
    }

    /// `create=` in `FindMedia`, `wait=` in `use storage`.
    #[must_use]
    pub const fn has_create(self) -> bool {
        self.0 == 307 || self.0 >= 30_007
    }

    /// Volume protection and encryption fields, `sendprogress`.
    #[must_use]
    pub const fn has_protection(self) -> bool {
        self.0 >= 30_008
    }
}

/// A Director's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DirVersion(pub u32);

impl DirVersion {
    /// What a Holdfast Director announces.
    pub const CURRENT: Self = Self(10_002);
    /// What a stock 9.6 Director announces.
    pub const V9_6: Self = Self(103);

    /// Message types and other things that changed between 9.6 and 13.
    #[must_use]
    pub const fn generation(self) -> Generation {
        if self.0 < 10_000 { Generation::Old } else { Generation::New }
    }
}

/// A console's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ConsoleVersion(pub u32);

impl ConsoleVersion {
    /// What the Holdfast console announces: like 15's, but without interactive plugin authentication.
    pub const CURRENT: Self = Self(100);
    /// Understands interactive plugin authentication.
    #[must_use]
    pub const fn has_plugin_authentication(self) -> bool {
        self.0 >= 200
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_and_features_by_number() {
        let caps = |n| FdVersion(n).has_caps();
        assert_eq!([11, 12, 14, 15, 213, 214].map(caps), [false, true, true, true, false, false]);
        assert!(!FdVersion(214).has_plugin_features() && FdVersion(14).has_plugin_features());
        assert!(FdVersion(214).has_compression() && !FdVersion(213).has_compression());
        assert!(!SdVersion(306).has_caps() && SdVersion(30_007).has_caps());
    }

    #[test]
    fn what_is_announced_to_whom() {
        assert_eq!(FdVersion::announce_to(DirVersion(103)), FdVersion(214));
        assert_eq!(SdVersion::announce_to(DirVersion(10_002)), SdVersion(30_008));
        assert_eq!(SdVersion(306).generation(), Generation::Old);
        assert_eq!(FdVersion(14).generation(), Generation::New);
    }
}
