//! The daemon: what all sessions share, who may connect, what Directors command.

mod calling;
mod changer_command;
mod command;
mod context;
mod director;
mod ending;
pub(crate) mod guard;
mod inventory;
mod listener;
mod maintenance;
mod media_command;
mod recovery;
mod reserving;
mod space;
mod start;
mod status;

pub use context::{Daemon, forget_director};
pub use guard::{OnMedium, PermitError, judge};
pub use inventory::list_line;
pub use recovery::found;
pub(crate) use reserving::{finding, may_take};
pub use start::{StartError, run};
