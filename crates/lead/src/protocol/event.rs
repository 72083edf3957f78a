//! What goes into a machine, and what comes out.

use types::Epoch;

use super::change::{Change, Refused};
use super::row::{Hold, Name, Sight};
use super::{Basis, Hindrance, Moment, Why};

/// What an instance learns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// Time has passed.
    Wake,
    /// The catalog was read.
    Saw(Sight),
    /// The transaction of an [`Effect::Ask`] ended, and its end is known.
    Answer {
        /// As in the effect.
        sent: Moment,
        /// The row as it is now, in either case.
        sight: Sight,
        /// Whether the change was made.
        result: Result<(), Refused>,
    },
    /// A fence agent answered.
    Power {
        /// Whose power.
        target: Name,
        /// What it said.
        said: Power,
    },
    /// A daemon named this epoch of our Director.
    EpochSeen(Epoch),
    /// After [`Effect::Quiesce`] or [`Effect::StepDown`]: nothing that the activation began is unanswered.
    Drained,
    /// Give the role back, to `heir` when named. With `demote` it is not taken again before [`Event::Hindered`] says none.
    GiveBack {
        /// To whom.
        heir: Option<Name>,
        /// Whether the operator demotes this instance.
        demote: bool,
    },
    /// What stands against taking over, now.
    Hindered(Option<Hindrance>),
    /// An operator orders the takeover, whatever stands against it.
    Force,
    /// A cluster manager wants this instance to be active, or not to be; it has fenced or demoted every other one before.
    Ordered(bool),
}

/// The power of an instance's host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Power {
    /// Running.
    On,
    /// Off.
    Off,
    /// The agent failed, or its answer is unclear.
    Failed,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Read the row.
    Read,
    /// Make the change in one transaction.
    Ask {
        /// The clock when it was asked: a lease is counted from here.
        sent: Moment,
        /// The change.
        change: Change,
    },
    /// End the database sessions of a former activation.
    EndSessions {
        /// Its instance.
        holder: Name,
        /// Its epoch.
        epoch: Epoch,
    },
    /// Ask the fence agent for the status of an instance's host.
    AskPower {
        /// Which.
        target: Name,
    },
    /// Have the fence agent switch it off.
    PowerOff {
        /// Which.
        target: Name,
    },
    /// This instance is active.
    Activate {
        /// Epoch and activation.
        hold: Hold,
        /// End of the lease.
        until: Moment,
        /// What it rests on.
        basis: Basis,
        /// The catalog may have gone back in time: reconcile before anything is decided on it.
        reconcile: bool,
    },
    /// The lease lasts longer.
    Extend {
        /// Its end.
        until: Moment,
    },
    /// Begin nothing new; report when nothing is unanswered.
    Quiesce(Why),
    /// The activation is over; [`Event::Drained`] is awaited before another begins.
    StepDown(Why),
    /// Fencing failed; the claim is given up and tried again after another lease.
    FencingFailed {
        /// Who could not be switched off.
        target: Name,
    },
}

/// What kind of role an instance has; for `status cluster` and tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoleKind {
    /// Watches.
    Standby,
    /// Has asked to stop the holder's renewals, or fences it.
    Fencing,
    /// Has asked for the epoch.
    Raising,
    /// Acts.
    Active,
    /// Ends what it began.
    Draining,
}
