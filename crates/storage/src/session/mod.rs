//! Sessions: a job's data from its client to Volumes, and back.

mod append;
mod checkpoint;
mod client;
mod label;
mod medium;
mod mount;
mod report;
mod restore;
mod search;
mod seen;
mod tail;
mod writing;

pub use append::end_line;
pub use append::run_backup;
pub(crate) use append::say_started;
pub use checkpoint::{Checkpoints, Policy};
pub use client::ClientError;
pub(crate) use client::{call_client, call_storage};
pub(crate) use label::write_label;
pub use label::{LabelMaker, overwrite};
pub use medium::{MediumError, OpenTape, PermitCheck, Placed, Placing, Unfit};
pub use mount::MountError;
pub(crate) use mount::{chain, load_state};
pub use report::{report_request, take_report};
pub use restore::{run_copy_source, run_restore};
pub use search::{DriveSeen, Finding, Found, Search, Step};
pub use tail::end_of_whole_blocks;
pub use writing::{Flushed, Left, Writing};
