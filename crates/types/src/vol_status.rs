//! States of Volumes.

use std::fmt;

/// State of a Volume (spec/04 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VolStatus {
    /// Can be written.
    Append,
    /// At its size limit or the end of the medium.
    Full,
    /// At another limit.
    Used,
    /// To be truncated and relabelled when next written.
    Recycle,
    /// No job is left on it.
    Purged,
    /// Kept out of writing, by hand.
    Archive,
    /// Kept out of writing, by hand.
    ReadOnly,
    /// Kept out of all use, by hand.
    Disabled,
    /// The Storage Daemon found it inconsistent.
    Error,
    /// Historical.
    Busy,
    /// A cleaning cartridge.
    Cleaning,
    /// Historical.
    Scratch,
}

impl VolStatus {
    /// All values.
    pub const ALL: &'static [Self] = &[
        Self::Append,
        Self::Full,
        Self::Used,
        Self::Recycle,
        Self::Purged,
        Self::Archive,
        Self::ReadOnly,
        Self::Disabled,
        Self::Error,
        Self::Busy,
        Self::Cleaning,
        Self::Scratch,
    ];

    /// The word in the catalog and on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Append => "Append",
            Self::Full => "Full",
            Self::Used => "Used",
            Self::Recycle => "Recycle",
            Self::Purged => "Purged",
            Self::Archive => "Archive",
            Self::ReadOnly => "Read-Only",
            Self::Disabled => "Disabled",
            Self::Error => "Error",
            Self::Busy => "Busy",
            Self::Cleaning => "Cleaning",
            Self::Scratch => "Scratch",
        }
    }

    /// The value of a word, whatever its case.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|s| s.as_str().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for VolStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl VolStatus {
    /// Whether a Storage Daemon may write to a Volume of this state (spec/03 §4.7).
    #[must_use]
    pub const fn is_appendable(self) -> bool {
        matches!(self, Self::Append | Self::Recycle | Self::Purged)
    }
}
