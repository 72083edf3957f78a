//! Jobs: their state machine, the queue, and what each type of job does.
//!
//! Each living job is one task ([`life`]) over a [`job::Job`]: created, held back by the queue, started, its daemons called at
//! the same time, data, end transaction, report. [`machine`] says which state follows on which; [`outcome`] what status a
//! job ends with; both are pure. A backup that has lost its Storage goes on with
//! another one ([`failover`]). A job that runs when the Director starts is taken over by [`adopt`] and ends the same way.

mod accurate;
pub(crate) mod adopt;
mod aftermath;
mod asked;
pub(crate) mod auto_prune;
mod backup;
mod bootstrap;
pub(crate) mod cancel;
mod copy;
pub(crate) mod create;
mod detour;
mod end_tx;
mod ending;
mod failover;
pub(crate) mod fileset;
mod group;
mod held;
mod job;
pub mod leftover;
pub(crate) mod level;
mod life;
mod lost;
mod machine;
pub(crate) mod names;
mod outcome;
pub(crate) mod pieces;
mod readback;
mod registry;
mod rejoin;
mod reporting;
mod restore;
mod retarget;
mod scripts;
mod session;
mod traffic;
pub(crate) mod turn;
mod view;

pub use end_tx::{Ending, Written, last_file};
pub use held::{Held, close_line, held};
pub use outcome::{Facts, FdEnd, SdEnd, Wish, decide};
pub use view::{JobView, WaitReason};

pub(crate) use registry::Registry;
