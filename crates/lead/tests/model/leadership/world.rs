//! Everything that is: instances, catalog, messages on their way, a Storage Daemon, and what an outside observer knows.

use std::time::Duration;

use lead::protocol::{Change, Hold, Machine, Moment, Name, Refused, Row, Sight};
use types::{ActivationId, Epoch};
use wire::verdict::Standing;

use super::manager::Manager;

/// What is put wrong; none of it in the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Bug {
    /// An activation keeps the epoch of the one before.
    EpochNotRaised,
    /// The lease is counted from the answer to a renewal.
    LeaseFromAnswer,
    /// The SD takes commands of any epoch.
    EpochNotChecked,
    /// The SD overwrites without asking for a nonce.
    NoNonce,
    /// The holder is fenced while it may renew.
    NoClaim,
    /// The counter goes on where it was when the catalog goes back: the timeline is no part of what is watched.
    TimelineNotWatched,
    /// The role is given back while a command is on its way.
    NotDrained,
    /// The cluster manager takes an instance for dead that is not.
    NotFenced,
}

/// One instance's process, host and clock.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Instance {
    pub(crate) machine: Machine,
    /// Whole seconds of its own clock.
    pub(crate) clock: u8,
    /// Its host has power.
    pub(crate) is_on: bool,
    /// Counts its processes.
    pub(crate) life: u8,
    /// Counts the ids that it has drawn.
    pub(crate) drawn: u8,
    /// A thread of it, somewhere between decision and effect.
    pub(crate) hand: Option<Hand>,
    /// The fence agent that it runs.
    pub(crate) agent: Option<Agent>,
    /// Highest epoch that the SD has told it.
    pub(crate) told: Epoch,
}

/// A thread's work; whatever happens to the thread's process, a command that is checked may still arrive.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Hand {
    /// It has a nonce.
    Nonce(Nonce),
    /// It has looked at the lease, and sends.
    Checked(Command),
}

/// A nonce, known by when it was drawn on the SD's clock and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Nonce {
    pub(crate) drawn: u8,
    pub(crate) activation: ActivationId,
}

/// What a Director does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Command {
    pub(crate) kind: Kind,
    pub(crate) hold: Hold,
    pub(crate) lease_left: Duration,
    pub(crate) nonce: Option<Nonce>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A write transaction of the catalog.
    Write,
    /// A command to the SD that destroys nothing.
    Start,
    /// A command to the SD that lets data be overwritten.
    Overwrite,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Agent {
    pub(crate) target: Name,
    pub(crate) is_off_ordered: bool,
}

/// The catalog's writable server, and what of its past a replica may have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Catalog {
    pub(crate) sight: Sight,
    /// The row before the last change.
    pub(crate) before_change: Option<Row>,
    /// The row before the last activation.
    pub(crate) before_raise: Option<Row>,
}

/// A message between an instance and the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Mail {
    pub(crate) to: Key,
    pub(crate) body: Body,
}

/// Which process; one that was restarted gets no answers to what its former one asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) instance: usize,
    pub(crate) life: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Body {
    Ask { sent: Moment, change: Change },
    Saw(Sight),
    Answer { sent: Moment, sight: Sight, result: Result<(), Refused> },
}

/// A Storage Daemon. A stock one remembers nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Storage {
    pub(crate) is_stock: bool,
    pub(crate) clock: u8,
    pub(crate) known: Option<Standing>,
}

/// One activation, as it was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Activation {
    pub(crate) hold: Hold,
    pub(crate) key: Key,
}

/// What an observer outside knows.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Truth {
    /// All activations in their order.
    pub(crate) activations: Vec<Activation>,
    /// Who has had an effect in the last epoch that had one.
    pub(crate) acted: Option<Hold>,
    /// The highest epoch of which the SD has seen anything.
    pub(crate) acted_on_storage: Option<Epoch>,
    pub(crate) breaches: Breaches,
}

/// Invariants that an event broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Breaches {
    /// I1: two activations had effects in one epoch, or had the same epoch.
    pub(crate) epoch_shared: bool,
    /// I1: a peer let an effect happen in an epoch that it knows to be over.
    pub(crate) effect_after_end: bool,
    /// I4: data were overwritten for a Director that had been followed.
    pub(crate) stale_overwrite: bool,
    /// I11: one was followed that may still run, though fencing is required.
    pub(crate) unfenced: bool,
    /// One was switched off that held a lease.
    pub(crate) shot_holder: bool,
}

/// How often each fault may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Budget {
    /// Seconds that some clock misses: the drift bound is as much.
    pub(crate) lost_ticks: u8,
    pub(crate) restarts: u8,
    pub(crate) failovers: u8,
    pub(crate) switchovers: u8,
    pub(crate) commands: u8,
    /// Messages that are lost, beyond those for which no room is left.
    pub(crate) losses: u8,
    /// Promotions after the first.
    pub(crate) orders: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) now: u8,
    pub(crate) instances: Vec<Instance>,
    pub(crate) catalog: Catalog,
    pub(crate) net: Vec<Mail>,
    pub(crate) storage: Storage,
    pub(crate) budget: Budget,
    pub(crate) truth: Truth,
    pub(crate) manager: Manager,
}

impl Instance {
    pub(crate) fn moment(&self) -> Moment {
        moment(self.clock)
    }

    /// Whether its guard lets it act, by its own clock.
    pub(crate) fn may_act(&self) -> Option<(Hold, Duration)> {
        self.machine.may_act(self.moment()).filter(|_| self.is_on)
    }
}

impl Truth {
    /// Whether another activation was committed after this one.
    pub(crate) fn is_over(&self, hold: Hold) -> bool {
        self.activations.last().is_none_or(|last| last.hold != hold)
    }

    pub(crate) fn note_effect(&mut self, hold: Hold) {
        if let Some(acted) = self.acted {
            self.breaches.epoch_shared |= acted.epoch == hold.epoch && acted.activation != hold.activation;
        }
        self.acted = Some(hold);
    }
}

pub(crate) fn moment(clock: u8) -> Moment {
    Moment(Duration::from_secs(u64::from(clock)))
}

pub(crate) fn standing(hold: Hold) -> Standing {
    Standing { epoch: hold.epoch, activation: hold.activation }
}
