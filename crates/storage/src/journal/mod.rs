//! The journal of a job: what the Director is to be told, durable and numbered (docs/extensions.md §4).

mod codec;
mod file;
mod recover;
mod shelf;

pub use codec::{Header, JournalError, Record, RecordKind, fuzz_journal};
pub use file::{Journal, JournalReader};
pub use recover::{Recovered, recover, recover_on};
pub use shelf::{Shelf, ShelfLimits};
