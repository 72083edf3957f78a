//! The Director's decisions, pure: values in, values out. No I/O, no clock, no randomness; the time is an argument.
//!
//! * [`schedule`]: when jobs are due, over time zones; what the schedule ledger has to start.
//! * [`plan`]: what one job is going to do, resolved at its creation; queue, restart and adoption start from it.
//! * [`level`], [`duplicates`], [`queue`]: promotion of levels, second instances of a job, which waiting job may start.
//! * [`group`]: which of several Storages a job writes to, and how it goes on when it has lost one.
//! * [`copy`]: which jobs a Copy or Migration Job takes, and where they go.
//! * [`reconcile`]: what is done about a catalog that has gone back in time.
//! * [`spare`]: a Storage and its cold spare: who serves, and what a change of that does.
//! * [`volume`]: which Volume is written next, when one is full, what pruning and recycling may take.
//!
//! Whatever destroys something is a plan value first: printable, comparable, then executed by the director. Absent on
//! purpose: the catalog (rows come in as values) and the wire.

pub mod copy;
pub mod duplicates;
pub mod group;
pub mod level;
pub mod plan;
pub mod queue;
pub mod reconcile;
pub mod restore;
pub mod schedule;
pub mod spare;
pub mod volume;
