//! Who is active: instances over a catalog that fails over, and a Storage Daemon that misses news.

pub(crate) mod landmark;
pub(crate) mod manager;
pub(crate) mod step;
pub(crate) mod world;

use std::sync::Arc;
use std::time::Duration;

use lead::protocol::{Event, Fence, Machine, Name, Row, Sight, Stamp, Terms};
use stateright::{Model, Property};
use types::Epoch;

use landmark::Landmarks;
use manager::{Manager, Word};
use world::{Budget, Bug, Catalog, Hand, Instance, Kind, Storage, Truth, World};

/// `Lease Time`, in the model's seconds; a renewal is due each second.
const LEASE: u8 = 3;
/// The drift bound: as many seconds may all clocks together miss.
const DRIFT: u8 = 1;

/// One configuration of the model.
#[derive(Debug, Clone)]
pub(crate) struct Leadership {
    pub(crate) instances: usize,
    pub(crate) fence: Fence,
    /// A cluster manager orders who is active.
    pub(crate) is_managed: bool,
    pub(crate) is_stock_storage: bool,
    /// A replica that is promoted may lack the last change, or the last activation.
    pub(crate) is_replica_late: bool,
    pub(crate) horizon: u8,
    /// Messages of one instance on their way at once.
    pub(crate) mail_max: usize,
    /// What is read may be received later than it was so.
    pub(crate) are_reads_slow: bool,
    pub(crate) kinds: &'static [Kind],
    pub(crate) budget: Budget,
    pub(crate) bug: Option<Bug>,
    pub(crate) reached: Landmarks,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Tick { late: Option<usize> },
    Wake(usize),
    Deliver(usize),
    Lose(usize),
    DrawNonce(usize),
    Check(usize, Kind),
    Execute(usize),
    Drained(usize),
    GiveBack(usize, Option<Name>),
    Ask(usize),
    Agent { at: usize, works: bool },
    Restart(usize),
    FailOver(Option<Row>),
    Manager(Word),
}

impl Leadership {
    pub(crate) fn terms(&self, at: usize) -> Arc<Terms> {
        let names = || (0..self.instances).map(name);
        Arc::new(Terms {
            me: name(at),
            peers: names().filter(|other| *other != name(at)).collect(),
            lease: Duration::from_secs(LEASE.into()),
            drift: Duration::from_secs(DRIFT.into()),
            fence: self.fence,
        })
    }

    pub(crate) fn index_of(&self, wanted: &str) -> Option<usize> {
        (0..self.instances).find(|at| *name(*at) == *wanted)
    }

    /// The first instance has just become active, by the protocol's own steps.
    fn first_activation(&self) -> World {
        let instance = |at| Instance {
            machine: Machine::new(self.terms(at)),
            clock: 0,
            is_on: true,
            life: 0,
            drawn: 0,
            hand: None,
            agent: None,
            told: Epoch::default(),
        };
        let sight = Sight { stamp: Stamp { system: 1, timeline: 1 }, row: None };
        let mut world = World {
            now: 0,
            instances: (0..self.instances).map(instance).collect(),
            catalog: Catalog { sight, before_change: None, before_raise: None },
            net: Vec::new(),
            storage: Storage { is_stock: self.is_stock_storage, clock: 0, known: None },
            budget: self.budget,
            truth: Truth::default(),
            manager: if self.is_managed { Manager::Ordered(0) } else { Manager::Absent },
        };
        if self.is_managed {
            (0..self.instances).for_each(|at| self.tell(&mut world, at, Event::Ordered(at == 0)));
        }
        for wait in [self.wait(), 0] {
            self.tell(&mut world, 0, Event::Wake);
            while !world.net.is_empty() {
                self.deliver(&mut world, 0);
            }
            for _ in 0..wait {
                self.tick(&mut world, None);
            }
        }
        assert!(world.instances[0].may_act().is_some(), "the first instance acts");
        world
    }

    /// How long the first activation waits, to see that nobody else is active.
    fn wait(&self) -> u8 {
        if self.is_managed { 0 } else { LEASE + DRIFT }
    }

    fn work(&self, world: &World, at: usize, actions: &mut Vec<Action>) {
        let instance = &world.instances[at];
        if let Some(Hand::Checked(_)) = instance.hand {
            actions.push(Action::Execute(at));
        }
        if !instance.is_on {
            return;
        }
        if instance.machine.wake_at() <= instance.moment() {
            actions.push(Action::Wake(at));
        }
        if instance.machine.awaits_drain() && self.is_drained(instance) {
            actions.push(Action::Drained(at));
        }
        if let Some(known) = world.storage.known.filter(|known| known.epoch > instance.told) {
            let is_old_news =
                world.truth.activations.last().is_some_and(|last| last.hold.epoch < known.epoch);
            // A standby hears of an epoch in the row as well; only one that the row lacks makes a difference.
            if is_old_news || world.catalog.sight.row.as_ref().is_none_or(|row| row.epoch < known.epoch) {
                actions.push(Action::Ask(at));
            }
        }
        if instance.agent.is_some() {
            actions.extend([true, false].map(|works| Action::Agent { at, works }));
        }
        if instance.may_act().is_some() {
            self.commands(world, at, actions);
        }
    }

    fn commands(&self, world: &World, at: usize, actions: &mut Vec<Action>) {
        match world.instances[at].hand {
            None if world.budget.commands > 0 => {
                actions.extend(self.kinds.iter().map(|kind| match kind {
                    Kind::Write | Kind::Start => Action::Check(at, *kind),
                    Kind::Overwrite => Action::DrawNonce(at),
                }));
            }
            Some(Hand::Nonce(_)) => actions.push(Action::Check(at, Kind::Overwrite)),
            None | Some(Hand::Checked(_)) => {}
        }
        if world.budget.switchovers > 0 {
            let heir = (at + 1) % self.instances;
            actions.push(Action::GiveBack(at, Some(name(heir))));
            if self.instances > 2 {
                actions.push(Action::GiveBack(at, None));
            }
        }
    }

    fn step(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::Tick { late } => {
                world.budget.lost_ticks -= u8::from(late.is_some());
                self.tick(world, late);
            }
            Action::Wake(at) => self.tell(world, at, Event::Wake),
            Action::Deliver(index) => self.deliver(world, index),
            Action::Lose(index) => {
                world.budget.losses -= 1;
                world.net.remove(index);
            }
            Action::DrawNonce(at) => {
                world.budget.commands -= 1;
                self.draw_nonce(world, at)?;
            }
            Action::Check(at, kind) => {
                world.budget.commands -= u8::from(kind != Kind::Overwrite);
                self.check(&mut world.instances[at], kind)?;
            }
            Action::Execute(at) => self.execute(world, at)?,
            Action::Drained(at) => self.tell(world, at, Event::Drained),
            Action::GiveBack(at, heir) => {
                world.budget.switchovers -= 1;
                self.tell(world, at, Event::GiveBack { heir, demote: false });
            }
            Action::Ask(at) => {
                let known = world.storage.known?;
                self.hear(world, at, known.epoch);
            }
            Action::Agent { at, works } => self.agent(world, at, works)?,
            Action::Restart(at) => {
                world.budget.restarts -= 1;
                self.restart(world, at);
            }
            Action::FailOver(row) => {
                world.budget.failovers -= 1;
                self.fail_over(world, row);
            }
            Action::Manager(word) => self.say(world, word),
        }
        Some(())
    }
}

impl Model for Leadership {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.first_activation()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.now < self.wait() + self.horizon {
            actions.push(Action::Tick { late: None });
            if world.budget.lost_ticks > 0 {
                actions.extend((0..=self.instances).map(|late| Action::Tick { late: Some(late) }));
            }
        }
        actions.extend((0..world.net.len()).map(Action::Deliver));
        for at in 0..self.instances {
            self.work(world, at, actions);
        }
        self.faults(world, actions);
        self.words(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        self.step(&mut next, action)?;
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("I1: one instance at most holds a lease", |_, world: &World| {
                world.instances.iter().filter(|instance| instance.may_act().is_some()).count() <= 1
            }),
            Property::always("I1: an epoch belongs to one activation", |_, world: &World| {
                !world.truth.breaches.epoch_shared
            }),
            Property::always(
                "I1: no effect in an epoch that the peer knows to be over",
                |_, world: &World| !world.truth.breaches.effect_after_end,
            ),
            Property::always("I4: nothing is overwritten for one that was followed", |_, world: &World| {
                !world.truth.breaches.stale_overwrite
            }),
            Property::always(
                "I11: none is followed that may run, where fencing is required",
                |_, world: &World| !world.truth.breaches.unfenced,
            ),
            Property::always("I11: none is switched off that holds a lease", |_, world: &World| {
                !world.truth.breaches.shot_holder
            }),
        ]
    }
}

fn name(at: usize) -> Name {
    Name::from(["a", "b", "c"][at])
}
