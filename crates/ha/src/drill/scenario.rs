//! What can be rehearsed.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A fault, or an orderly change of roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// The role moves to a standby by order
    Switchover,
    /// The process of the active Director is killed
    KillDirector,
    /// The node of the active Director is switched off by its fencing
    StopNode,
    /// The node of the active Director no longer hears its neighbours, nor they it
    CutLink,
    /// The Storage Daemon that the canary writes to is killed
    StorageLoss,
}

/// What the service is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// An instance is active in a later epoch.
    Successor,
    /// The service goes on, or comes back, while the fault lasts.
    Service,
    /// The canary is at another Storage.
    Elsewhere,
}

impl Scenario {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Switchover => "switchover",
            Self::KillDirector => "kill-director",
            Self::StopNode => "stop-node",
            Self::CutLink => "cut-link",
            Self::StorageLoss => "storage-loss",
        }
    }

    pub(super) const fn expected(self) -> Expected {
        match self {
            Self::Switchover | Self::KillDirector | Self::StopNode => Expected::Successor,
            Self::CutLink => Expected::Service,
            Self::StorageLoss => Expected::Elsewhere,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
