//! A cluster manager that says who is active (`Engine = Pacemaker`): one instance has its order, and another one gets it when that one has
//! obeyed the opposite, or was switched off.

use lead::protocol::{Event, RoleKind};

use super::world::{Bug, World};
use super::{Action, Leadership};

/// The manager, and its word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Manager {
    /// There is none: the lease decides.
    Absent,
    /// Nobody is to be active.
    Nobody,
    /// This instance is.
    Ordered(usize),
    /// This one is no longer, and has yet to obey.
    Recalled(usize),
}

/// What the manager does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Word {
    Promote(usize),
    Demote,
    /// The answer to the demotion.
    Obeyed,
    /// Whoever has the order is switched off.
    Fence,
}

impl Leadership {
    pub(crate) fn words(&self, world: &World, actions: &mut Vec<Action>) {
        let words = match world.manager {
            Manager::Absent => return,
            Manager::Nobody if world.budget.orders > 0 => {
                let on = (0..self.instances).filter(|at| world.instances[*at].is_on);
                on.map(Word::Promote).collect()
            }
            Manager::Nobody => return,
            Manager::Ordered(_) => vec![Word::Demote, Word::Fence],
            Manager::Recalled(at) => {
                let machine = &world.instances[at].machine;
                let has_obeyed = machine.role() == RoleKind::Standby && !machine.awaits_drain();
                if has_obeyed { vec![Word::Obeyed] } else { vec![Word::Fence] }
            }
        };
        actions.extend(words.into_iter().map(Action::Manager));
    }

    pub(crate) fn say(&self, world: &mut World, word: Word) {
        match (word, world.manager) {
            (Word::Promote(at), _) => {
                world.budget.orders -= 1;
                world.manager = Manager::Ordered(at);
                self.tell(world, at, Event::Ordered(true));
            }
            (Word::Demote, Manager::Ordered(at)) => {
                world.manager = Manager::Recalled(at);
                self.tell(world, at, Event::Ordered(false));
            }
            (Word::Fence, Manager::Ordered(at) | Manager::Recalled(at)) => {
                if self.bug != Some(Bug::NotFenced) {
                    self.switch_off(&mut world.instances[at]);
                }
                world.manager = Manager::Nobody;
            }
            (Word::Obeyed | Word::Demote | Word::Fence, _) => world.manager = Manager::Nobody,
        }
    }

    /// A process that the manager starts stands by; one that has died has lost its order.
    pub(crate) fn start_managed(&self, world: &mut World, at: usize) {
        if world.manager == Manager::Absent {
            return;
        }
        if [Manager::Ordered(at), Manager::Recalled(at)].contains(&world.manager) {
            world.manager = Manager::Nobody;
        }
        self.tell(world, at, Event::Ordered(false));
    }
}
