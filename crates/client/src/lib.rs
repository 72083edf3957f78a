//! The File Daemon: walks, reads and restores files; speaks with Directors and Storage Daemons.
//!
//! * [`walk`], [`fileset`], [`accurate`]: which files a job takes, and which of them it has already.
//! * [`backup`]: read, digest, compress and send, several files at once, emitted in order; memory is bounded.
//! * [`restore`]: what comes back from a Storage Daemon becomes files again; digests are checked on the way.
//!
//! A file that cannot be read or written is counted and reported, and the rest goes on. Absent on purpose: the catalog and
//! Volumes; the File Daemon knows files and its two peers.

pub mod accurate;
pub mod backup;
pub mod codec;
pub mod counters;
pub mod digest;
pub mod fileset;
pub mod lzo;
pub mod message;
pub mod restore;
pub mod script;
pub mod walk;
