//! `held → claimed → held`: the holder's renewals are stopped, then it is switched off, then it is followed.

use types::ActivationId;

use super::change::{Change, Expect};
use super::event::{Effect, Power};
use super::machine::{Machine, Role, Step};
use super::row::{Name, Sight, Stamp, Tenure};
use super::{Basis, Fence, Moment};

/// A claim that stands, and who is being switched off under it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Fencing {
    pub(super) claim: ActivationId,
    pub(super) stamp: Stamp,
    /// Until then the claim surely stands.
    pub(super) until: Moment,
    /// Last renewal of the claim.
    pub(super) sent: Moment,
    pub(super) waits: bool,
    /// The first is being asked.
    pub(super) targets: Vec<Name>,
    pub(super) is_off_ordered: bool,
}

impl Machine {
    /// Who must be off before the row is followed.
    pub(super) fn fence_targets(&self, sight: &Sight) -> Vec<Name> {
        let Some(row) = sight.row.as_ref() else { return Vec::new() };
        if self.terms.fence == Fence::None {
            return Vec::new();
        }
        // The catalog may not know who was active last.
        if !sight.is_of_this_history() {
            return self.terms.peers.clone();
        }
        match row.tenure {
            Tenure::Released { .. } => Vec::new(),
            Tenure::Held | Tenure::Claimed { .. } if row.holder == self.terms.me => Vec::new(),
            Tenure::Held | Tenure::Claimed { .. } => vec![row.holder.clone()],
        }
    }

    pub(super) fn claimed(&mut self, sight: &Sight, sent: Moment, claim: ActivationId, step: &mut Step) {
        self.observe(sight, step.now);
        let targets = self.fence_targets(sight);
        let Some(target) = targets.first().cloned() else {
            self.role = Role::Standby;
            return;
        };
        let until = sent.after(self.terms.lease);
        let stamp = sight.stamp;
        self.role = Role::Fencing(Fencing {
            claim,
            stamp,
            until,
            sent,
            waits: false,
            targets,
            is_off_ordered: false,
        });
        step.out.push(Effect::AskPower { target });
    }

    pub(super) fn power(&mut self, target: &Name, said: Power, step: &mut Step) {
        let Role::Fencing(fencing) = &mut self.role else { return };
        if fencing.targets.first() != Some(target) {
            return;
        }
        match said {
            Power::Off => {
                fencing.targets.remove(0);
                fencing.is_off_ordered = false;
                if let Some(next) = fencing.targets.first() {
                    step.out.push(Effect::AskPower { target: next.clone() });
                    return;
                }
                let (claim, stamp) = (fencing.claim, fencing.stamp);
                self.raise(Expect::Claimed { claim, stamp }, Basis::Fenced, step);
            }
            // A board that gives no status may still obey.
            Power::On | Power::Failed if !fencing.is_off_ordered => {
                fencing.is_off_ordered = true;
                step.out.push(Effect::PowerOff { target: target.clone() });
            }
            Power::On | Power::Failed => {
                let change = Change::Unclaim { claim: fencing.claim };
                self.role = Role::Standby;
                // Its own claim is not what it watches: what comes of it is read anew.
                self.watch = None;
                step.out.push(Effect::FencingFailed { target: target.clone() });
                step.out.push(Effect::Ask { sent: step.now, change });
            }
        }
    }
}
