//! The leadership row, as read.

use std::sync::Arc;

use types::{ActivationId, Epoch};

/// Name of an instance.
pub type Name = Arc<str>;

/// Which history of the catalog was asked: a promotion or a recovery in time begins another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Stamp {
    /// PostgreSQL's system identifier; 0 on SQLite.
    pub system: u64,
    /// PostgreSQL's timeline; 0 on SQLite.
    pub timeline: u32,
}

/// Who may act. No wall-clock time is in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    /// Instance activated last.
    pub holder: Name,
    /// Its epoch.
    pub epoch: Epoch,
    /// Drawn for its activation.
    pub activation: ActivationId,
    /// Counts renewals of the lease, and of a claim.
    pub renewal: u64,
    /// How the role is held.
    pub tenure: Tenure,
}

/// How the role is held.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Tenure {
    /// By the holder, who renews.
    Held,
    /// The holder is being fenced: it cannot renew any more.
    Claimed {
        /// By whom.
        by: Name,
        /// Drawn for the claim.
        claim: ActivationId,
    },
    /// The holder gave it back and has no command on its way.
    Released {
        /// Who is to have it; none: anyone but the holder.
        heir: Option<Name>,
    },
}

/// What one read of the catalog shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sight {
    /// Of the server that was read.
    pub stamp: Stamp,
    /// None before the first activation.
    pub row: Option<Row>,
}

impl Sight {
    /// Whether the row was made in the history that was read. If not, the catalog may have gone back: then someone may be active
    /// of whom it knows nothing.
    #[must_use]
    pub fn is_of_this_history(&self) -> bool {
        self.row.as_ref().is_none_or(|row| row.epoch.timeline() == self.stamp.timeline)
    }
}

/// An activation as its instance knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Hold {
    /// Epoch.
    pub epoch: Epoch,
    /// Activation.
    pub activation: ActivationId,
}

impl Row {
    /// Whether the row is of this activation.
    #[must_use]
    pub fn is_of(&self, hold: Hold) -> bool {
        self.epoch == hold.epoch && self.activation == hold.activation
    }
}
