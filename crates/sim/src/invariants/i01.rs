//! I1: no two instances have effects in the same epoch, and none in an epoch that is over.

use lead::protocol::Hold;
use types::Epoch;

use crate::world::World;

/// One instance at most believes that it may act.
pub(crate) fn one_may_act(world: &mut World) {
    let holders: Vec<(usize, Hold)> = world
        .directors
        .iter()
        .enumerate()
        .filter_map(|(at, instance)| instance.may_act().map(|hold| (at, hold)))
        .collect();
    if let [first, second, ..] = holders[..] {
        world.violate("I1", format!("instances {} and {} may act: {first:?}, {second:?}", first.0, second.0));
    }
}

/// An activation was committed.
pub(crate) fn activated(world: &mut World, at: usize, hold: Hold) {
    let counts = &mut world.oracle.counts;
    counts.activations += 1;
    counts.takeovers += u64::from(!world.oracle.activations.is_empty());
    if let Some(other) = world.oracle.activations.iter().find(|other| other.epoch >= hold.epoch) {
        let what =
            format!("instance {at} was activated in epoch {}, after epoch {}", hold.epoch, other.epoch);
        world.violate("I1", what);
    }
    world.oracle.activations.push(hold);
}

/// A Storage Daemon does something for an activation.
pub(crate) fn obeyed(world: &mut World, at: usize, epoch: Epoch, what: &str) {
    let known = world.oracle.storage_epochs.entry(at).or_default();
    if epoch < *known {
        let what =
            format!("Storage Daemon {at} took {what} of epoch {epoch}, and had taken one of epoch {known}");
        return world.violate("I1", what);
    }
    *known = epoch;
}

/// After healing exactly one acts.
pub(crate) fn one_is_active(world: &mut World) {
    let active = world.directors.iter().filter(|instance| instance.is_serving()).count();
    if active != 1 {
        world.violate("I1", format!("{active} instances are active when all has healed"));
    }
}
