//! Sessions: a job's data from its client to Volumes, and back.

mod append;
mod checkpoint;
mod client;
mod label;
mod mount;
mod restore;
mod seen;
mod tail;

pub use append::end_line;
pub use append::run_backup;
pub(crate) use append::say_started;
pub use checkpoint::{Checkpoints, Policy};
pub use client::ClientError;
pub(crate) use client::call_client;
pub use label::overwrite;
pub(crate) use label::{LabelMaker, write_label};
pub use mount::MountError;
pub(crate) use mount::{chain, load_state};
pub use restore::run_restore;
pub use tail::end_of_whole_blocks;
