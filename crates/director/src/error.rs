//! What a request to the Director can fail with.

use types::JobId;

/// Why the Director did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum DirectorError {
    /// The request names something that the configuration does not have, or that does not fit.
    #[error("{0}")]
    Plan(String),
    /// No job of this id is queued or runs.
    #[error("JobId {0} is not running")]
    NoSuchJob(JobId),
    /// A daemon could not be reached.
    #[error("connect to {peer} at {address}: {problem}")]
    Connect {
        /// What kind of daemon and its name: `Storage "File1"`.
        peer: String,
        /// Host and port.
        address: String,
        /// Why.
        problem: String,
    },
    /// A daemon knows a newer activation of this Director.
    #[error("{peer} refused this Director: {said}")]
    Stale {
        /// The daemon.
        peer: String,
        /// Its words, with the epoch it knows.
        said: String,
    },
    /// Of a Storage and its cold spare the other one serves.
    #[error("{0}")]
    NotServing(String),
    /// This instance is not the active one, or is stopping.
    #[error("this Director is not active: {0}")]
    NotActive(String),
    /// A new configuration was refused; the old one stays.
    #[error("reload: {0}")]
    Reload(String),
    /// The catalog did not do it.
    #[error("catalog: {0}")]
    Catalog(String),
}
