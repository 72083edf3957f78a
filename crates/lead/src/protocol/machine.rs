//! One instance of a Director: what it does on each event.

use std::sync::Arc;

use types::{ActivationId, Epoch};

use super::change::{Change, Expect, Refused};
use super::event::{Effect, Event, RoleKind};
use super::fencing::Fencing;
use super::row::{Hold, Name, Row, Sight, Stamp, Tenure};
use super::{Basis, Hindrance, Moment, Terms, Why};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Standby,
    Claiming {
        sent: Moment,
        claim: ActivationId,
    },
    Fencing(Fencing),
    Raising {
        sent: Moment,
        activation: ActivationId,
        basis: Basis,
        reconcile: bool,
    },
    Active {
        hold: Hold,
        stamp: Stamp,
        until: Moment,
        sent: Moment,
        waits: bool,
    },
    /// Acts no more, but what it began may have yet to end. The lease is renewed meanwhile, for one more lease from `since` on: no
    /// command is good for longer.
    Draining {
        hold: Hold,
        stamp: Stamp,
        until: Moment,
        sent: Moment,
        since: Moment,
        then: Then,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Then {
    Release { heir: Option<Name> },
    Raise,
}

/// The row as it was seen, and since when it has not changed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Watch {
    sight: Sight,
    since: Moment,
}

/// One instance of a Director.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    pub(super) terms: Arc<Terms>,
    pub(super) role: Role,
    pub(super) watch: Option<Watch>,
    last_read: Option<Moment>,
    seen: Epoch,
    hindrance: Option<Hindrance>,
    /// With a cluster manager: whether it wants this instance to be active. Without, the lease decides.
    ordered: Option<bool>,
    /// Nothing that a former activation of this process began is unanswered.
    is_drained: bool,
    /// The activation of this process that ended last, when its lease ran out.
    own: Option<Hold>,
}

/// One call of [`Machine::on`].
pub(super) struct Step {
    pub(super) now: Moment,
    fresh: ActivationId,
    pub(super) out: Vec<Effect>,
}

impl Machine {
    /// A standby that knows nothing yet; also after a restart.
    #[must_use]
    pub fn new(terms: Arc<Terms>) -> Self {
        Self {
            terms,
            role: Role::Standby,
            watch: None,
            last_read: None,
            seen: Epoch::default(),
            hindrance: None,
            ordered: None,
            is_drained: true,
            own: None,
        }
    }

    /// Whether [`Event::Drained`] is awaited.
    #[must_use]
    pub fn awaits_drain(&self) -> bool {
        !self.is_drained
    }

    /// Its role.
    #[must_use]
    pub fn role(&self) -> RoleKind {
        match self.role {
            Role::Standby => RoleKind::Standby,
            Role::Claiming { .. } | Role::Fencing(_) => RoleKind::Fencing,
            Role::Raising { .. } => RoleKind::Raising,
            Role::Active { .. } => RoleKind::Active,
            Role::Draining { .. } => RoleKind::Draining,
        }
    }

    /// The activation under which it may act now, and how long its lease lasts from now; as the `EpochGuard` says it.
    #[must_use]
    pub fn may_act(&self, now: Moment) -> Option<(Hold, std::time::Duration)> {
        match &self.role {
            Role::Active { hold, until, .. } if now < *until => Some((*hold, until.since(now))),
            _ => None,
        }
    }

    /// When [`Event::Wake`] is due, if nothing happens before.
    #[must_use]
    pub fn wake_at(&self) -> Moment {
        let period = self.terms.period();
        match &self.role {
            Role::Standby => {
                let read = self.last_read.map_or(Moment::default(), |at| at.after(self.terms.look_every()));
                self.ripe_at().map_or(read, |ripe| ripe.min(read))
            }
            Role::Claiming { sent, .. } | Role::Raising { sent, .. } => sent.after(self.terms.lease),
            Role::Fencing(fencing) => fencing.sent.after(period).min(fencing.until),
            Role::Active { sent, until, .. } => sent.after(period).min(*until),
            Role::Draining { sent, since, until, .. } => {
                let renewal = sent.after(period);
                if renewal < since.after(self.terms.lease) { renewal.min(*until) } else { *until }
            }
        }
    }

    /// What follows from an event at `now`. `fresh` is drawn at random for this call; an activation or a claim may take it.
    #[must_use]
    pub fn on(&mut self, event: Event, now: Moment, fresh: ActivationId) -> Vec<Effect> {
        let mut step = Step { now, fresh, out: Vec::new() };
        self.expire(&mut step);
        match event {
            Event::Wake => {}
            Event::Saw(sight) => self.saw(&sight, &mut step),
            Event::Answer { sent, sight, result } => self.answered(sent, &sight, result, &mut step),
            Event::Power { target, said } => self.power(&target, said, &mut step),
            Event::EpochSeen(epoch) => {
                self.seen = self.seen.max(epoch);
                self.outrun(&mut step);
            }
            Event::Drained => self.drained(&mut step),
            Event::GiveBack { heir, demote } => self.give_back(heir, demote, &mut step),
            Event::Hindered(hindrance) => self.hindrance = hindrance,
            Event::Force => self.force(&mut step),
            Event::Ordered(active) => self.order(active, &mut step),
        }
        self.proceed(&mut step);
        step.out
    }

    /// What time alone ends. The lease counts before anything that the event says: a guard has looked at the same clock.
    fn expire(&mut self, step: &mut Step) {
        match &self.role {
            Role::Active { until, .. } | Role::Draining { until, .. } if *until <= step.now => {
                self.step_down(Why::Expired, step);
            }
            Role::Fencing(fencing) if fencing.until <= step.now => self.role = Role::Standby,
            // Whether it was made shows in the row.
            Role::Claiming { sent, .. } | Role::Raising { sent, .. }
                if sent.after(self.terms.lease) <= step.now =>
            {
                self.role = Role::Standby;
            }
            _ => {}
        }
    }

    /// What is due by the clock.
    fn proceed(&mut self, step: &mut Step) {
        let (period, lease, look_every) = (self.terms.period(), self.terms.lease, self.terms.look_every());
        let is_ripe = self.ripe_at().is_some_and(|at| at <= step.now);
        match &mut self.role {
            Role::Standby if is_ripe => self.take_over(step),
            Role::Standby if self.last_read.is_none_or(|at| at.after(look_every) <= step.now) => {
                self.last_read = Some(step.now);
                step.out.push(Effect::Read);
            }
            Role::Active { hold, sent, waits, .. } if sent.after(period) <= step.now => {
                (*sent, *waits) = (step.now, true);
                let change = Change::Renew { hold: *hold };
                step.out.push(Effect::Ask { sent: step.now, change });
            }
            Role::Draining { hold, sent, since, .. }
                if sent.after(period) <= step.now && step.now < since.after(lease) =>
            {
                *sent = step.now;
                let change = Change::Renew { hold: *hold };
                step.out.push(Effect::Ask { sent: step.now, change });
            }
            Role::Fencing(fencing) if fencing.sent.after(period) <= step.now => {
                (fencing.sent, fencing.waits) = (step.now, true);
                let change = Change::KeepClaim { claim: fencing.claim };
                step.out.push(Effect::Ask { sent: step.now, change });
            }
            _ => {}
        }
    }

    /// When the row that is watched may be followed, if it stays as it is.
    fn ripe_at(&self) -> Option<Moment> {
        let Watch { sight, since } = self.watch.as_ref()?;
        if !self.is_drained {
            return None;
        }
        if let Some(ordered) = self.ordered {
            // Whoever orders has seen to it that nobody else acts: there is nothing to wait for.
            let is_held =
                matches!(self.hindrance, Some(Hindrance::ConfigurationDiffers | Hindrance::Demoted));
            return (ordered && !is_held).then_some(*since);
        }
        if self.hindrance.is_some() {
            return None;
        }
        let is_free = sight.row.as_ref().is_some_and(|row| self.is_offered(row));
        // In a history that went back, a role that was given back may have been taken since.
        if is_free && sight.is_of_this_history() {
            return Some(*since);
        }
        // It is the one that was active last: nobody else can have begun while the row is as it is.
        if sight.is_of_this_history() && sight.row.as_ref().is_some_and(|row| self.is_own(row)) {
            return Some(*since);
        }
        Some(since.after(self.terms.patience()))
    }

    /// Whether the row is still that of the activation that ended here last, and nobody claims it.
    fn is_own(&self, row: &Row) -> bool {
        row.tenure == Tenure::Held && self.own.is_some_and(|own| row.is_of(own))
    }

    /// Whether the role was given back and this instance may have it at once.
    fn is_offered(&self, row: &Row) -> bool {
        let me = &self.terms.me;
        matches!(&row.tenure, Tenure::Released { heir } if row.holder != *me && heir.as_ref().is_none_or(|heir| heir == me))
    }

    fn take_over(&mut self, step: &mut Step) {
        let Some(Watch { sight, .. }) = self.watch.clone() else { return };
        if self.ordered.is_some() {
            return self.raise(Expect::Unchanged(sight), Basis::Ordered, step);
        }
        if self.fence_targets(&sight).is_empty() {
            let basis = match sight.row.as_ref().map(|row| &row.tenure) {
                None => Basis::First,
                Some(Tenure::Released { .. }) => Basis::Released,
                Some(Tenure::Held | Tenure::Claimed { .. }) => Basis::Expired,
            };
            return self.raise(Expect::Unchanged(sight), basis, step);
        }
        self.role = Role::Claiming { sent: step.now, claim: step.fresh };
        let change = Change::Claim { expect: sight, by: self.terms.me.clone(), claim: step.fresh };
        step.out.push(Effect::Ask { sent: step.now, change });
    }

    pub(super) fn raise(&mut self, expect: Expect, basis: Basis, step: &mut Step) {
        let sight = self.watch.as_ref().map(|watch| &watch.sight);
        let row = sight.and_then(|sight| sight.row.as_ref());
        if let Some(row) = row.filter(|row| row.holder != self.terms.me) {
            step.out.push(Effect::EndSessions { holder: row.holder.clone(), epoch: row.epoch });
        }
        let is_behind = row.is_some_and(|row| row.epoch < self.seen);
        let reconcile = is_behind || sight.is_some_and(|sight| !sight.is_of_this_history());
        self.role = Role::Raising { sent: step.now, activation: step.fresh, basis, reconcile };
        let change = Change::Raise {
            expect,
            holder: self.terms.me.clone(),
            activation: step.fresh,
            seen: self.seen,
            basis,
            overridden: self.hindrance,
        };
        step.out.push(Effect::Ask { sent: step.now, change });
    }

    fn saw(&mut self, sight: &Sight, step: &mut Step) {
        // A server that is slow is not asked without a pause.
        self.last_read = Some(step.now);
        if matches!(self.role, Role::Standby | Role::Raising { .. }) {
            self.observe(sight, step.now);
        }
        // The answer was lost, but the activation was made.
        if let Role::Raising { sent, activation, basis, reconcile } = self.role
            && sight.row.as_ref().is_some_and(|row| row.activation == activation)
        {
            self.activated(sight, sent, basis, reconcile, step);
        }
    }

    /// Notes what the row is. Unchanged counts from the first time that it was *received* so: what was read is older than that.
    pub(super) fn observe(&mut self, sight: &Sight, now: Moment) {
        if self.watch.as_ref().is_none_or(|watch| watch.sight != *sight) {
            self.watch = Some(Watch { sight: sight.clone(), since: now });
        }
    }

    fn answered(&mut self, asked: Moment, sight: &Sight, result: Result<(), Refused>, step: &mut Step) {
        match (&mut self.role, result) {
            (Role::Active { hold, stamp, until, waits, .. }, Ok(())) => {
                if !sight.row.as_ref().is_some_and(|row| row.is_of(*hold)) {
                    return;
                }
                *waits = false;
                let has_moved = stamp.system != sight.stamp.system;
                *stamp = sight.stamp;
                let end = asked.after(self.terms.lease);
                let is_newer = end > *until;
                if is_newer {
                    *until = end;
                    step.out.push(Effect::Extend { until: end });
                }
                let has_forgotten =
                    is_newer && self.watch.as_ref().is_some_and(|watch| forgets(sight, &watch.sight));
                self.observe(sight, step.now);
                if has_moved || has_forgotten {
                    // Another server may have been made from an old copy, or an old copy put under this one: the Storage Daemons are asked
                    // at an activation.
                    self.renew(step);
                }
                self.outrun(step);
            }
            (Role::Active { hold, sent, waits: true, .. }, Err(Refused)) if *sent == asked => {
                let (why, held) = (why_refused(*hold, sight.row.as_ref()), hold.epoch);
                // A catalog that has forgotten the epoch must not give it out once more.
                self.seen = self.seen.max(held);
                self.observe(sight, step.now);
                self.step_down(why, step);
            }
            (Role::Draining { hold, until, .. }, Ok(()))
                if sight.row.as_ref().is_some_and(|row| row.is_of(*hold)) =>
            {
                *until = asked.after(self.terms.lease).max(*until);
                self.observe(sight, step.now);
            }
            (Role::Draining { hold, sent, .. }, Err(Refused)) if *sent == asked => {
                let why = why_refused(*hold, sight.row.as_ref());
                self.observe(sight, step.now);
                self.step_down(why, step);
            }
            (Role::Raising { sent, activation, basis, reconcile }, Ok(())) if *sent == asked => {
                let is_mine = sight.row.as_ref().is_some_and(|row| row.activation == *activation);
                let (sent, basis, reconcile) = (*sent, *basis, *reconcile);
                if is_mine {
                    self.activated(sight, sent, basis, reconcile, step);
                }
            }
            (Role::Claiming { sent, claim }, Ok(())) if *sent == asked => {
                let (sent, claim) = (*sent, *claim);
                self.claimed(sight, sent, claim, step);
            }
            (Role::Raising { sent, .. } | Role::Claiming { sent, .. }, Err(Refused)) if *sent == asked => {
                self.role = Role::Standby;
                self.observe(sight, step.now);
            }
            (Role::Fencing(fencing), result) if fencing.waits && fencing.sent == asked => match result {
                Ok(()) => {
                    fencing.waits = false;
                    fencing.until = asked.after(self.terms.lease);
                }
                Err(Refused) => {
                    self.role = Role::Standby;
                    self.observe(sight, step.now);
                }
            },
            (Role::Standby, _) => self.observe(sight, step.now),
            // An answer to what is no longer of interest.
            _ => {}
        }
    }

    fn activated(&mut self, sight: &Sight, sent: Moment, basis: Basis, reconcile: bool, step: &mut Step) {
        self.observe(sight, step.now);
        let until = sent.after(self.terms.lease);
        let Some(row) = sight.row.as_ref().filter(|_| step.now < until) else {
            self.role = Role::Standby;
            return;
        };
        let hold = Hold { epoch: row.epoch, activation: row.activation };
        self.own = None;
        self.role = Role::Active { hold, stamp: sight.stamp, until, sent, waits: false };
        step.out.push(Effect::Activate { hold, until, basis, reconcile });
        self.outrun(step);
    }

    /// The holder raises its own epoch when a daemon knew a higher one, or when the catalog's history is another.
    fn outrun(&mut self, step: &mut Step) {
        let Role::Active { hold, stamp, .. } = &self.role else { return };
        if self.seen > hold.epoch || hold.epoch.timeline() < stamp.timeline {
            self.renew(step);
        }
    }

    fn renew(&mut self, step: &mut Step) {
        if let Role::Active { hold, stamp, until, sent, .. } = self.role {
            let then = Then::Raise;
            self.role = Role::Draining { hold, stamp, until, sent, since: step.now, then };
            self.is_drained = false;
            step.out.push(Effect::Quiesce(Why::Renewing));
        }
    }

    fn give_back(&mut self, heir: Option<Name>, demote: bool, step: &mut Step) {
        if demote {
            self.hindrance = Some(Hindrance::Demoted);
        }
        // It is not taken again before the next order.
        self.ordered = self.ordered.map(|_| false);
        match &mut self.role {
            Role::Active { hold, stamp, until, sent, .. } => {
                let then = Then::Release { heir };
                let (hold, stamp, until, sent) = (*hold, *stamp, *until, *sent);
                self.role = Role::Draining { hold, stamp, until, sent, since: step.now, then };
                self.is_drained = false;
                step.out.push(Effect::Quiesce(Why::Released));
            }
            Role::Draining { then, .. } if *then == Then::Raise => *then = Then::Release { heir },
            _ => {}
        }
    }

    /// Only what has no command on its way is given back or raised: a daemon that hears of nothing would execute one within the lease
    /// that it names. What is not drained within two leases expires.
    ///
    /// Nor does an instance follow itself before: a thread of its former activation may be about to send, and a stock Storage
    /// Daemon asks for no nonce.
    fn drained(&mut self, step: &mut Step) {
        self.is_drained = true;
        let Role::Draining { hold, stamp, then, .. } = self.role.clone() else { return };
        match then {
            Then::Raise => {
                step.out.push(Effect::StepDown(Why::Renewing));
                self.raise(Expect::Own { hold, stamp }, Basis::Renewed, step);
            }
            Then::Release { heir } => {
                self.step_down(Why::Released, step);
                self.is_drained = true;
                step.out.push(Effect::Ask { sent: step.now, change: Change::Release { hold, stamp, heir } });
            }
        }
    }

    fn force(&mut self, step: &mut Step) {
        let Some(Watch { sight, .. }) = self.watch.clone() else { return };
        if self.is_drained && matches!(self.role, Role::Standby | Role::Claiming { .. } | Role::Fencing(_)) {
            self.raise(Expect::Unchanged(sight), Basis::Forced, step);
        }
    }

    /// A cluster manager has said whether this instance is to be active; from then on the lease alone gives it no role.
    fn order(&mut self, active: bool, step: &mut Step) {
        self.ordered = Some(active);
        if active {
            return;
        }
        match self.role {
            Role::Active { .. } | Role::Draining { .. } => self.give_back(None, false, step),
            // Should it have been made all the same, nobody acts in its epoch.
            Role::Raising { .. } | Role::Claiming { .. } | Role::Fencing(_) => self.role = Role::Standby,
            Role::Standby => {}
        }
    }

    fn step_down(&mut self, why: Why, step: &mut Step) {
        // One that was to be given back is not taken again.
        self.own = match &self.role {
            Role::Active { hold, .. } | Role::Draining { hold, then: Then::Raise, .. }
                if why == Why::Expired =>
            {
                Some(*hold)
            }
            _ => None,
        };
        self.role = Role::Standby;
        self.is_drained = false;
        // Its own view of the row is no watch: others may have seen more of it.
        self.watch = self.watch.take().map(|watch| Watch { since: step.now, ..watch });
        step.out.push(Effect::StepDown(why));
    }
}

/// Whether a renewal found the row of the same activation as it was before another one that was confirmed.
fn forgets(now: &Sight, before: &Sight) -> bool {
    let (Some(now), Some(before)) = (&now.row, &before.row) else { return false };
    now.activation == before.activation && now.renewal <= before.renewal
}

/// What a refused renewal says.
fn why_refused(hold: Hold, row: Option<&Row>) -> Why {
    match row {
        Some(row) if row.epoch > hold.epoch => Why::Superseded(row.epoch),
        Some(Row { tenure: Tenure::Claimed { by, .. }, .. }) => Why::Claimed(by.clone()),
        Some(_) | None => Why::CatalogWentBack,
    }
}
