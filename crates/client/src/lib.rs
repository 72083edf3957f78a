//! The File Daemon: walks, reads and restores files; speaks with Directors and Storage Daemons.
//!
//! * [`daemon`]: ports, callers, stop. Control runs on tokio: one task per Director's connection.
//! * [`walk`], [`fileset`], [`accurate`]: which files a job takes, and which of them it has already.
//! * [`backup`]: read, digest, compress and send, several files at once, emitted in order; memory is bounded.
//! * [`restore`]: what comes back from a Storage Daemon becomes files again; digests are checked on the way.
//! * [`work`]: what a job's thread does. A job outlives its Director; what it has to say waits in its [`outbox`].
//!
//! A file that cannot be read or written is counted and reported, and the rest goes on. Absent on purpose: the catalog and
//! Volumes; plugins, snapshots and encryption of data (encrypted streams are refused by name on restore).

pub mod accurate;
pub mod backup;
pub mod codec;
pub mod counters;
pub mod daemon;
pub mod digest;
pub mod epochs;
pub mod fileset;
pub mod fuzz;
pub mod job;
pub mod jobs;
pub mod lzo;
pub mod message;
pub mod outbox;
pub mod restore;
pub mod script;
mod session;
pub mod status;
pub mod storage;
pub mod walk;
pub mod work;

pub use daemon::{StartError, run};
