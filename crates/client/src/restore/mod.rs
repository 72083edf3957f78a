//! Restores entries from the records of a read session (spec/02 §7.6, §7.7).
//!
//! Nothing is ever written through a symlink that came from a backup: every component below the place of the restore is
//! opened by name, not following links.

mod data;
mod engine;
mod meta;
mod names;
mod tree;

pub(crate) use engine::commas;
pub use engine::{RestoreError, RestoreOptions, Restorer};
pub use names::{NameError, Names, RegexWhere};
pub use tree::{Place, RestoreTree};
