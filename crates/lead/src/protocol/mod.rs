//! The lease protocol (DESIGN §4) as pure functions: values in, values out; time and random ids are arguments.
//!
//! - [`Row`], [`Change`], [`apply`]: the leadership row and every change it can take. What the catalog does in one transaction.
//! - [`Machine`]: one instance. Events and its own clock go in, [`Effect`]s come out.
//!
//! The model in `tests/model` explores these very functions (docs/decisions/004-lease-model.md has what it found).
//!
//! # How an engine drives it
//! One task owns the [`Machine`] and loops: wait for the next event or for [`Machine::wake_at`]; call [`Machine::on`] with the
//! reading of `CLOCK_BOOTTIME` taken *now* and a freshly drawn id; perform the effects in their order.
//!
//! - [`Effect::Read`]: read row and [`Stamp`] on the writable server in one transaction, report [`Event::Saw`]. An error needs no
//!   report: the machine asks again after a third of the lease.
//! - [`Effect::Ask`]: one transaction: read the row under lock (`FOR UPDATE` when [`Change::changes_key`], else `FOR NO KEY UPDATE`, so
//!   that a renewal never waits for a writer's `FOR KEY SHARE`), [`apply`], store the row, commit. Then [`Event::Answer`] with the very
//!   `sent` of the effect. When the outcome is unknown report nothing; never report a guess. Statements are bounded by a third of the lease.
//! - [`Effect::EndSessions`] before the [`Effect::Ask`] behind it, on the same connection: a dead host's open transaction would block it.
//! - [`Effect::Activate`], [`Effect::Extend`], [`Effect::StepDown`]: make, extend, end the `EpochGuard`. The guard itself looks at the clock,
//!   so an instance that is late with its events does not act either.
//! - [`Effect::Quiesce`], and [`Effect::StepDown`] without one before: end the guard for whatever is new, wait until every command that
//!   was checked has been *answered* (a closed connection does not do: the peer may have yet to read it) and every write transaction is
//!   over, then [`Event::Drained`]. What waits for a peer that is gone ends when the peer's connection is known to be dead on both sides, or
//!   with the process: a process that is started anew has nothing to drain.
//! - [`Effect::AskPower`], [`Effect::PowerOff`]: run the fence agent, bounded; report [`Event::Power`], `Failed` for anything unclear.
//! - Whenever a daemon names a higher epoch: [`Event::EpochSeen`]. A standby asks the Storage Daemons of its own accord, so that a
//!   takeover need not wait for them.
//!
//! Absent on purpose: I/O, and jobs.

mod change;
mod event;
mod fencing;
mod machine;
mod row;
#[cfg(test)]
mod tests;

pub use change::{Change, Expect, Refused, apply};
pub use event::{Effect, Event, Power, RoleKind};
pub use machine::Machine;
pub use row::{Hold, Name, Row, Sight, Stamp, Tenure};

use std::time::Duration;

/// A reading of this process's own clock (`CLOCK_BOOTTIME`), since an origin that means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(pub Duration);

impl Moment {
    /// So much later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }

    /// Time since `earlier`; none passed when that is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// The longest time between two reads of a standby. A read is one row of one server.
const LOOK_EVERY_MAX: Duration = Duration::from_millis(250);

/// Whether an instance that is followed must be off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fence {
    /// The lease and the epochs do.
    None,
    /// It is powered off before it is followed.
    Required,
}

/// What all instances of a Director agree on; from the `Cluster` and `Instance` resources.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Terms {
    /// This instance.
    pub me: Name,
    /// The other instances.
    pub peers: Vec<Name>,
    /// `Lease Time`.
    pub lease: Duration,
    /// By how much any clocks of ours may differ over a lease and this time: the sum of what holder, SD and standby may be off.
    pub drift: Duration,
    /// `Fence`.
    pub fence: Fence,
}

impl Terms {
    /// Between two renewals; also how long an answer is waited for before asking again.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.lease / 3
    }

    /// Between two reads of a standby: a role that is given back, or taken, is seen soon.
    #[must_use]
    pub fn look_every(&self) -> Duration {
        (self.period() / 4).min(LOOK_EVERY_MAX)
    }

    /// How long a row must be seen unchanged before its holder may be followed.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.lease + self.drift
    }
}

/// What an activation rests on; recorded with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basis {
    /// No Director was ever active on this catalog.
    First,
    /// The holder gave the role back.
    Released,
    /// The row was unchanged for lease and drift.
    Expired,
    /// The former holder is off.
    Fenced,
    /// The holder itself: the catalog has moved to another timeline, or a daemon knew a higher epoch.
    Renewed,
    /// An operator's word.
    Forced,
    /// A cluster manager's word, which demotes or fences the former holder first.
    Ordered,
}

/// Why an instance does not take over by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hindrance {
    /// Replicas exist, but commits do not wait for them (DESIGN §2.6).
    NotSynchronous,
    /// Its configuration is not that of the active instance.
    ConfigurationDiffers,
    /// An operator took the role from it.
    Demoted,
}

/// Why an instance stopped acting.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Why {
    /// No renewal was confirmed in time.
    Expired,
    /// Another instance is active.
    Superseded(types::Epoch),
    /// Another instance is about to fence this one.
    Claimed(Name),
    /// The catalog does not know this activation: it has gone back in time.
    CatalogWentBack,
    /// Given back on demand.
    Released,
    /// To come back at once with a higher epoch ([`Basis::Renewed`]).
    Renewing,
}
