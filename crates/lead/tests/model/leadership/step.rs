//! What one step does to the world. Every decision is the product's own function.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use catalog::leader::may_write;
use lead::protocol::{
    Basis, Change, Effect, Event, Fence, Machine, Power, RoleKind, Row, Tenure, Why, apply,
};
use types::{ActivationId, Epoch, VolTime};
use wire::verdict::{VolumeVersion, is_within_lease};

use super::landmark::Landmark;
use super::world::{
    Activation, Agent, Body, Bug, Command, Hand, Instance, Key, Kind, Mail, Nonce, World, standing,
};
use super::{Action, Leadership};

impl Leadership {
    /// The event goes into the machine, its effects into the world.
    pub(crate) fn tell(&self, world: &mut World, at: usize, event: Event) {
        let instance = &mut world.instances[at];
        // Random ids differ; these differ by who drew them and when.
        let fresh = ActivationId(1 + at as u128 + 100 * u128::from(instance.drawn));
        let now = instance.moment();
        let effects = instance.machine.on(event, now, fresh);
        if effects.iter().any(takes_id) {
            instance.drawn += 1;
        }
        // Its agent ends with the work that needed it.
        if instance.machine.role() != RoleKind::Fencing {
            instance.agent = None;
        }
        for effect in effects {
            self.perform(world, at, effect);
        }
        // One that steps down says so at once when nothing is on its way; one that gives the role back may take its time.
        let instance = &world.instances[at];
        let is_standby = instance.machine.role() == RoleKind::Standby;
        if is_standby && instance.machine.awaits_drain() && self.is_drained(instance) {
            self.tell(world, at, Event::Drained);
        }
    }

    fn perform(&self, world: &mut World, at: usize, effect: Effect) {
        let to = Key { instance: at, life: world.instances[at].life };
        match effect {
            Effect::Read => {
                let sight = world.catalog.sight.clone();
                if self.are_reads_slow {
                    self.post(world, Mail { to, body: Body::Saw(sight) });
                } else {
                    self.tell(world, at, Event::Saw(sight));
                }
            }
            Effect::Ask { sent, change } => match (self.bug, &change) {
                (Some(Bug::NoClaim), Change::Claim { .. } | Change::KeepClaim { .. }) => {
                    let body = Body::Answer { sent, sight: world.catalog.sight.clone(), result: Ok(()) };
                    self.post(world, Mail { to, body });
                }
                _ => self.post(world, Mail { to, body: Body::Ask { sent, change } }),
            },
            Effect::AskPower { target } => {
                world.instances[at].agent = Some(Agent { target, is_off_ordered: false });
            }
            Effect::PowerOff { target } => {
                world.instances[at].agent = Some(Agent { target, is_off_ordered: true });
            }
            Effect::FencingFailed { .. } => self.reached.note(Landmark::FencingFails),
            Effect::StepDown(Why::CatalogWentBack) => self.reached.note(Landmark::WentBack),
            // Sessions hold rows of the catalog only while they write, which is one step here.
            Effect::EndSessions { .. }
            | Effect::Activate { .. }
            | Effect::Extend { .. }
            | Effect::Quiesce(_)
            | Effect::StepDown(_) => {}
        }
    }

    /// What finds no room is lost.
    fn post(&self, world: &mut World, mail: Mail) {
        let on_its_way = world.net.iter().filter(|other| other.to.instance == mail.to.instance).count();
        if on_its_way < self.mail_max {
            world.net.push(mail);
            world.net.sort_by_cached_key(|mail| {
                let mut hasher = DefaultHasher::new();
                mail.hash(&mut hasher);
                hasher.finish()
            });
        }
    }

    /// A message arrives.
    pub(crate) fn deliver(&self, world: &mut World, index: usize) {
        let Mail { to, body } = world.net.remove(index);
        match body {
            Body::Ask { sent, change } => {
                let result = self.change(world, to, &change);
                let body = Body::Answer { sent, sight: world.catalog.sight.clone(), result };
                self.post(world, Mail { to, body });
            }
            Body::Saw(sight) => self.reply(world, to, Event::Saw(sight)),
            Body::Answer { sent, sight, result } => {
                let is_renewal = world.instances[to.instance].machine.role() == RoleKind::Active;
                let sent = match self.bug {
                    Some(Bug::LeaseFromAnswer) if is_renewal => world.instances[to.instance].moment(),
                    _ => sent,
                };
                self.reply(world, to, Event::Answer { sent, sight, result });
            }
        }
    }

    fn reply(&self, world: &mut World, to: Key, event: Event) {
        let instance = &world.instances[to.instance];
        if instance.is_on && instance.life == to.life {
            self.tell(world, to.instance, event);
        }
    }

    /// The catalog's transaction.
    fn change(&self, world: &mut World, by: Key, change: &Change) -> Result<(), lead::protocol::Refused> {
        let change = match (self.bug, change) {
            // Without a claim there is nothing that the activation could insist on.
            (Some(Bug::NoClaim), Change::Raise { basis: Basis::Fenced, .. }) => &unconditional(world, change),
            _ => change,
        };
        let mut row = apply(&world.catalog.sight, change)?;
        let before = world.catalog.sight.row.clone();
        if let Change::Raise { basis, .. } = change {
            if self.bug == Some(Bug::EpochNotRaised) {
                row.epoch = before.as_ref().map_or(row.epoch, |before| before.epoch);
            }
            self.note_activation(world, by, &row, before.as_ref(), *basis);
            world.catalog.before_raise = before.clone();
        }
        world.catalog.before_change = before;
        world.catalog.sight.row = Some(row);
        Ok(())
    }

    fn note_activation(&self, world: &mut World, by: Key, row: &Row, before: Option<&Row>, basis: Basis) {
        let hold = lead::protocol::Hold { epoch: row.epoch, activation: row.activation };
        match basis {
            Basis::Expired => self.reached.note(Landmark::Expired),
            Basis::Fenced => self.reached.note(Landmark::Fenced),
            Basis::Released => self.reached.note(Landmark::Released),
            Basis::Renewed => self.reached.note(Landmark::Renewed),
            Basis::Ordered if !world.truth.activations.is_empty() => self.reached.note(Landmark::Ordered),
            Basis::First | Basis::Forced | Basis::Ordered => {}
        }
        let last = world.truth.activations.last().copied();
        if let Some(last) =
            last.filter(|last| self.fence == Fence::Required && last.key.instance != by.instance)
        {
            let is_given_back = before.is_some_and(|row| {
                matches!(row.tenure, Tenure::Released { .. }) && row.activation == last.hold.activation
            });
            let holder = &world.instances[last.key.instance];
            let may_run = holder.is_on && holder.life == last.key.life;
            world.truth.breaches.unfenced |= may_run && !is_given_back;
        }
        let is_taken = |earlier: &Activation| earlier.hold.epoch == hold.epoch;
        world.truth.breaches.epoch_shared |= world.truth.activations.iter().any(is_taken);
        world.truth.activations.push(Activation { hold, key: by });
    }

    /// A thread looks at the guard, and notes what it is about to send.
    pub(crate) fn check(&self, instance: &mut Instance, kind: Kind) -> Option<()> {
        let (hold, lease_left) = instance.may_act()?;
        let nonce = match (kind, instance.hand.take()) {
            (Kind::Overwrite, Some(Hand::Nonce(nonce))) => Some(nonce),
            (Kind::Write | Kind::Start, None) => None,
            _ => return None,
        };
        instance.hand = Some(Hand::Checked(Command { kind, hold, lease_left, nonce }));
        Some(())
    }

    /// A thread registers with the SD and asks for a nonce.
    pub(crate) fn draw_nonce(&self, world: &mut World, at: usize) -> Option<()> {
        let (hold, _) = world.instances[at].may_act()?;
        if self.register(world, at, hold) {
            let nonce = Nonce { drawn: world.storage.clock, activation: hold.activation };
            world.instances[at].hand = Some(Hand::Nonce(nonce));
        }
        Some(())
    }

    /// Whether the SD takes a command of this activation; it tells a stale one what it knows.
    fn register(&self, world: &mut World, at: usize, hold: lead::protocol::Hold) -> bool {
        let offered = standing(hold);
        if let Some(known) = world.storage.known.filter(|known| offered.is_stale_beside(*known)) {
            self.reached.note(Landmark::StaleRefused);
            if self.bug != Some(Bug::EpochNotChecked) {
                self.hear(world, at, known.epoch);
                return false;
            }
        }
        if !world.storage.is_stock {
            world.storage.known = Some(offered);
        }
        true
    }

    /// The SD names the epoch that it knows.
    pub(crate) fn hear(&self, world: &mut World, at: usize, epoch: Epoch) {
        world.instances[at].told = epoch;
        if world.instances[at].is_on {
            self.tell(world, at, Event::EpochSeen(epoch));
        }
    }

    /// A command reaches its peer.
    pub(crate) fn execute(&self, world: &mut World, at: usize) -> Option<()> {
        let Some(Hand::Checked(command)) = world.instances[at].hand.take() else { return None };
        let hold = command.hold;
        let happens = match command.kind {
            Kind::Write => may_write(world.catalog.sight.row.as_ref().map(|row| row.epoch), hold.epoch),
            Kind::Start => self.register(world, at, hold),
            Kind::Overwrite => self.register(world, at, hold) && self.permits(world, command),
        };
        if happens {
            self.note_effect(world, command);
        }
        Some(())
    }

    fn permits(&self, world: &mut World, command: Command) -> bool {
        // The Volume itself is another model's; here it is always as planned.
        let version = VolumeVersion { label_time: VolTime(1), writes: 1 };
        if world.storage.is_stock || self.bug == Some(Bug::NoNonce) {
            return version.unlike(version).is_none();
        }
        let Some(nonce) = command.nonce.filter(|nonce| nonce.activation == command.hold.activation) else {
            return false;
        };
        let age = Duration::from_secs(u64::from(world.storage.clock - nonce.drawn));
        let lease_ms = u64::try_from(command.lease_left.as_millis()).unwrap_or(0);
        let is_good = is_within_lease(age, lease_ms) && version.unlike(version).is_none();
        if !is_good {
            self.reached.note(Landmark::LateRefused);
        }
        is_good
    }

    fn note_effect(&self, world: &mut World, command: Command) {
        let is_over = world.truth.is_over(command.hold);
        let known = world.storage.known;
        let truth = &mut world.truth;
        match command.kind {
            // One row, one server: it knows every activation but those that went with a lost primary.
            Kind::Write => {
                let row = world.catalog.sight.row.as_ref();
                truth.breaches.effect_after_end |= row.is_none_or(|row| row.epoch != command.hold.epoch);
            }
            Kind::Start => {
                let newest = truth.acted_on_storage;
                truth.breaches.effect_after_end |= newest.is_some_and(|newest| newest > command.hold.epoch);
            }
            Kind::Overwrite => {
                truth.breaches.stale_overwrite |= is_over;
                self.reached.note(Landmark::Overwritten);
            }
        }
        if command.kind != Kind::Write {
            truth.acted_on_storage = truth.acted_on_storage.max(Some(command.hold.epoch));
            truth.acted_on_storage = truth.acted_on_storage.max(known.map(|known| known.epoch));
        }
        truth.note_effect(command.hold);
    }

    /// The fence agent answers.
    pub(crate) fn agent(&self, world: &mut World, at: usize, works: bool) -> Option<()> {
        let Agent { target, is_off_ordered } = world.instances[at].agent.take()?;
        let victim = self.index_of(&target)?;
        let said = match (works, is_off_ordered, world.instances[victim].is_on) {
            (false, _, _) => Power::Failed,
            (true, false, true) => Power::On,
            (true, false, false) => Power::Off,
            (true, true, _) => {
                world.truth.breaches.shot_holder |= world.instances[victim].may_act().is_some();
                self.switch_off(&mut world.instances[victim]);
                Power::Off
            }
        };
        self.tell(world, at, Event::Power { target, said });
        Some(())
    }

    /// What was on its way has arrived or is lost by the time that the agent says so.
    pub(crate) fn switch_off(&self, instance: &mut Instance) {
        instance.is_on = false;
        instance.hand = None;
        instance.agent = None;
    }

    /// The process, or its host, starts anew. A command that it had sent may still arrive.
    pub(crate) fn restart(&self, world: &mut World, at: usize) {
        let instance = &mut world.instances[at];
        instance.machine = Machine::new(self.terms(at));
        instance.is_on = true;
        instance.life += 1;
        instance.agent = None;
        instance.told = Epoch::default();
        instance.hand = instance.hand.take().filter(|hand| matches!(hand, Hand::Checked(_)));
        world.net.retain(|mail| mail.to.instance != at || matches!(mail.body, Body::Ask { .. }));
        self.start_managed(world, at);
    }

    /// A replica becomes the writable server. What it may lack is given by `row`.
    pub(crate) fn fail_over(&self, world: &mut World, row: Option<Row>) {
        world.catalog.sight.row = row;
        if self.bug != Some(Bug::TimelineNotWatched) {
            world.catalog.sight.stamp.timeline += 1;
        }
    }

    /// A second passes; `late` is the clock that misses it: one of an instance, or behind those the SD's.
    pub(crate) fn tick(&self, world: &mut World, late: Option<usize>) {
        world.now += 1;
        let count = world.instances.len();
        for (at, instance) in world.instances.iter_mut().enumerate() {
            instance.clock += u8::from(late != Some(at));
        }
        world.storage.clock += u8::from(late != Some(count));
    }

    /// Whether the instance may say that nothing is unanswered.
    pub(crate) fn is_drained(&self, instance: &Instance) -> bool {
        self.bug == Some(Bug::NotDrained) || !matches!(instance.hand, Some(Hand::Checked(_)))
    }

    /// The faults that are within the budget.
    pub(crate) fn faults(&self, world: &World, actions: &mut Vec<Action>) {
        let budget = world.budget;
        for at in 0..world.instances.len() {
            if budget.restarts > 0 {
                actions.push(Action::Restart(at));
            }
        }
        if budget.failovers > 0 {
            let catalog = &world.catalog;
            let mut rows = vec![catalog.sight.row.clone()];
            for row in [&catalog.before_change, &catalog.before_raise] {
                if self.is_replica_late && !rows.contains(row) {
                    rows.push(row.clone());
                }
            }
            actions.extend(rows.into_iter().map(Action::FailOver));
        }
        if budget.losses > 0 {
            actions.extend((0..world.net.len()).map(Action::Lose));
        }
    }
}

fn takes_id(effect: &Effect) -> bool {
    matches!(effect, Effect::Ask { change: Change::Raise { .. } | Change::Claim { .. }, .. })
}

/// The activation, whatever the row is by now.
fn unconditional(world: &World, change: &Change) -> Change {
    let mut change = change.clone();
    if let Change::Raise { expect, .. } = &mut change {
        *expect = lead::protocol::Expect::Unchanged(world.catalog.sight.clone());
    }
    change
}
