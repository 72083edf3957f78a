//! One way to the Director, whichever kind it is.

use types::JobStatus;

use super::direct::DirectOutbox;
use super::journaled::JournalOutbox;
use super::message::{JobMediaSpan, Kind};
use crate::journal::JournalError;

/// Why something could not be told to, or asked of, the Director.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// A stock Director is gone.
    #[error("the connection with the Director is lost")]
    Lost,
    /// No Director came back in time.
    #[error("no Director has taken up the job within {0} seconds")]
    NoDirector(u64),
    /// The job is to stop.
    #[error("the job was canceled")]
    Canceled,
    /// The catalog has closed the attempt.
    #[error("the Director has closed this attempt of the job")]
    Closed,
    /// The journal cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// The way to the Director.
#[derive(Debug)]
pub enum Outbox {
    /// A stock Director: messages go on the line as they come.
    Direct(DirectOutbox),
    /// Ours: everything goes into the journal first.
    Journaled(JournalOutbox),
}

impl Outbox {
    /// Sends a job message.
    pub fn message(&self, kind: Kind, text: &str) {
        match self {
            Self::Direct(o) => o.message(kind, text),
            Self::Journaled(o) => o.message(kind, text),
        }
    }

    /// Tells the status: a hint, not a record.
    pub fn status(&self, status: JobStatus) {
        match self {
            Self::Direct(o) => o.status(status),
            Self::Journaled(o) => o.status(status),
        }
    }

    /// Asks the Director and waits for its answer. `line` is without the line feed.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn request(&self, line: &str) -> Result<Vec<u8>, OutboxError> {
        match self {
            Self::Direct(o) => o.request(line),
            Self::Journaled(o) => o.request(line),
        }
    }

    /// Hands over the attributes of files that are on the Volume.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn attributes(&self, messages: &[Vec<u8>]) -> Result<(), OutboxError> {
        match self {
            Self::Direct(o) => o.attributes(messages),
            Self::Journaled(o) => o.append_all(messages),
        }
    }

    /// Hands over JobMedia rows.
    ///
    /// # Errors
    /// [`OutboxError`].
    pub fn job_media(&self, spans: &[JobMediaSpan]) -> Result<(), OutboxError> {
        match self {
            Self::Direct(o) => o.job_media(spans),
            Self::Journaled(o) => o.job_media(spans),
        }
    }

    /// Whether requests name Volumes by state: the Director is ours.
    #[must_use]
    pub const fn is_journaled(&self) -> bool {
        matches!(self, Self::Journaled(_))
    }
}
