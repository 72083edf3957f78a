//! Where job and daemon messages go (spec/04 §9).
//!
//! A job takes a [`JobMessages`] from the [`MessageCenter`] when it starts, with the destinations of its Messages resource as
//! they are then. Lines for consoles, files, standard output and the system's log leave at once; rows of the catalog's Log are
//! written in batches by one task; mails go out at the job's end.

mod center;
pub(crate) mod codes;
mod job;
mod mail;
mod sinks;

pub use center::MessageCenter;
pub use job::{JobMessages, Message};

pub(crate) use codes::Codes;
