//! Jobs: what the Director asked for, how far they are, and the way back to the Director.

mod direct;
mod journaled;
mod line;
pub mod message;
mod outbox;
mod spec;
mod state;
mod table;
mod word;

pub use direct::{DirectOutbox, Spool};
pub use journaled::{Batch, JournalOutbox, NonceGiver, NonceSource, Stream, StreamEnd};
pub use line::Line;
pub use message::{JobMediaSpan, Kind, MediaRef};
pub use outbox::{Outbox, OutboxError};
pub use spec::JobSpec;
pub use state::{Job, JobEnd, JobPhase, JobState, StopFlag, StopRequest};
pub use table::{EndedJob, JobTable};
pub use word::JournalWord;
