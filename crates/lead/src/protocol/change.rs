//! Every change that the leadership row can take, each in one transaction of the catalog.

use types::{ActivationId, Epoch};

use super::row::{Hold, Name, Row, Sight, Stamp, Tenure};
use super::{Basis, Hindrance};

/// A change that an instance asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Change {
    /// The holder lives.
    Renew {
        /// Whose lease.
        hold: Hold,
    },
    /// Stops the holder's renewals before it is fenced.
    Claim {
        /// What the claim was decided on.
        expect: Sight,
        /// The claimer.
        by: Name,
        /// Drawn for the claim.
        claim: ActivationId,
    },
    /// The claimer lives.
    KeepClaim {
        /// Its claim.
        claim: ActivationId,
    },
    /// Fencing failed: the role is its holder's as before.
    Unclaim {
        /// The claim.
        claim: ActivationId,
    },
    /// Activation.
    Raise {
        /// What it was decided on.
        expect: Expect,
        /// The new holder.
        holder: Name,
        /// Drawn for it.
        activation: ActivationId,
        /// The highest epoch that any daemon has named.
        seen: Epoch,
        /// What it rests on, for the record.
        basis: Basis,
        /// What an operator overrode, for the record.
        overridden: Option<Hindrance>,
    },
    /// The holder gives the role back.
    Release {
        /// Whose.
        hold: Hold,
        /// The history it knows.
        stamp: Stamp,
        /// To whom.
        heir: Option<Name>,
    },
}

impl Change {
    /// Whether the transaction must wait for all writers: the epoch is part of the key that they share.
    #[must_use]
    pub fn changes_key(&self) -> bool {
        matches!(self, Self::Raise { .. })
    }
}

/// What must still be so for an activation. The history is always part of it: in one that went back, an old row says nothing
/// about who is active.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expect {
    /// Row and history are as they were seen.
    Unchanged(Sight),
    /// The holder raises its own epoch.
    Own {
        /// Its activation.
        hold: Hold,
        /// The history it knows.
        stamp: Stamp,
    },
    /// The claim stands.
    Claimed {
        /// The claim.
        claim: ActivationId,
        /// The history in which it was made.
        stamp: Stamp,
    },
}

/// The row is not as the change expects; it stays as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the leadership row has changed meanwhile")]
pub struct Refused;

/// The row after a change of `stored`.
///
/// # Errors
/// [`Refused`].
pub fn apply(stored: &Sight, change: &Change) -> Result<Row, Refused> {
    match change {
        Change::Raise { expect, holder, activation, seen, .. } => {
            if !is_met(stored, expect) {
                return Err(Refused);
            }
            let known = stored.row.iter().map(|row| row.epoch).chain([*seen]);
            Ok(Row {
                holder: holder.clone(),
                epoch: Epoch::next(known, stored.stamp.timeline),
                activation: *activation,
                renewal: 0,
                tenure: Tenure::Held,
            })
        }
        Change::Claim { expect, by, claim } if stored == expect => next(stored, |row| {
            row.tenure = Tenure::Claimed { by: by.clone(), claim: *claim };
            Some(())
        }),
        Change::Claim { .. } => Err(Refused),
        Change::Renew { hold } => {
            next(stored, |row| (row.is_of(*hold) && row.tenure == Tenure::Held).then_some(()))
        }
        Change::KeepClaim { claim } => next(stored, |row| is_claimed(row, *claim).then_some(())),
        Change::Unclaim { claim } => {
            next(stored, |row| is_claimed(row, *claim).then(|| row.tenure = Tenure::Held))
        }
        Change::Release { hold, stamp, heir } => next(stored, |row| {
            let is_mine = row.is_of(*hold) && row.tenure == Tenure::Held && stored.stamp == *stamp;
            is_mine.then(|| row.tenure = Tenure::Released { heir: heir.clone() })
        }),
    }
}

/// The row with its counter moved on, so that whoever watches sees a change, and with what `change` does to it.
fn next(stored: &Sight, change: impl FnOnce(&mut Row) -> Option<()>) -> Result<Row, Refused> {
    let mut row = stored.row.clone().ok_or(Refused)?;
    change(&mut row).ok_or(Refused)?;
    row.renewal += 1;
    Ok(row)
}

fn is_claimed(row: &Row, by_claim: ActivationId) -> bool {
    matches!(&row.tenure, Tenure::Claimed { claim, .. } if *claim == by_claim)
}

fn is_met(stored: &Sight, expect: &Expect) -> bool {
    match expect {
        Expect::Unchanged(sight) => stored == sight,
        Expect::Own { hold, stamp } => {
            let is_own = |row: &Row| row.is_of(*hold) && row.tenure == Tenure::Held;
            stored.stamp == *stamp && stored.row.as_ref().is_some_and(is_own)
        }
        Expect::Claimed { claim, stamp } => {
            stored.stamp == *stamp && stored.row.as_ref().is_some_and(|row| is_claimed(row, *claim))
        }
    }
}
