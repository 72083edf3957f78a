//! DESIGN §4's invariants: those that hold always, looked at after each event or where something irreversible happens, and those that
//! hold when all has healed.

pub(crate) mod i01;
pub(crate) mod i02;
pub(crate) mod i03;
pub(crate) mod i04;
pub(crate) mod i05;
pub(crate) mod i06;
pub(crate) mod i08;
pub(crate) mod i09;

use crate::world::World;

/// Holds at every moment.
pub(crate) fn after_event(world: &mut World) {
    i01::one_may_act(world);
}

/// Holds when faults have stopped and nothing is to come.
pub(crate) fn after_healing(world: &mut World) {
    i01::one_is_active(world);
    i05::all_is_over(world);
    i02::undisturbed_jobs_are_good(world);
    i06::good_jobs_can_be_restored(world);
    i08::ranges_have_one_owner(world);
    i09::volumes_are_as_long_as_known(world);
}
