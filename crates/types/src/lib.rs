//! The vocabulary of the whole system: ids, units, job types, levels, statuses and names.
//!
//! A word means exactly one thing here and everywhere (the glossary is in `ARCHITECTURE.md`). This crate is pure: no I/O,
//! no clock, no randomness, and depends on no other crate of ours.
//!
//! Ids are types of their own, so that a MediaId is never passed for a JobId; names are checked once, where they come in.

mod ids;
mod job;
mod name;
mod units;
mod vol_status;

pub use ids::{
    ActivationId, Attempt, CatalogId, ClientId, Epoch, FileId, FileIndex, FileSetId, JobId, JobMediaId,
    MediaId, Nonce, PathId, PoolId, Seq, StorageEpoch, StorageId, VolAddr, VolSession,
};
pub use job::{JobLevel, JobStatus, JobType, Replace};
pub use name::{NAME_BYTES_MAX, NameError, ResourceName, VolumeName, bash_spaces, unbash_spaces};
pub use units::{Timestamp, VolTime};
pub use vol_status::VolStatus;
