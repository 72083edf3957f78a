//! Known bugs, put back at the points where the right thing is decided; the simulation must find each.

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Bug {
    /// An activation keeps the epoch of the one before.
    EpochNotRaised,
    /// The lease is counted from the answer to a renewal.
    LeaseFromAnswer,
    /// The Storage Daemon takes commands of any epoch.
    EpochNotChecked,
    /// The Storage Daemon overwrites without asking for a fresh nonce.
    NoNonce,
    /// A new attempt is begun while the Storage Daemon still holds the old one.
    AttemptNotClosed,
    /// What is not on stable storage is told as stored.
    AnsweredBeforeDurable,
    /// A journal is read from its beginning at each adoption, and its records are taken for new.
    RecordsTakenTwice,
    /// `run` is not said again to a Storage Daemon that was lost and is attached to anew.
    RunNotSaidAgain,
    /// A Volume that one drive is about to write is given to another.
    VolumeNotClaimed,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::EpochNotRaised,
        Self::LeaseFromAnswer,
        Self::EpochNotChecked,
        Self::NoNonce,
        Self::AttemptNotClosed,
        Self::AnsweredBeforeDurable,
        Self::RecordsTakenTwice,
        Self::RunNotSaidAgain,
        Self::VolumeNotClaimed,
    ];
}
