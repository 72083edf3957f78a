//! The File Daemon: walks, reads and restores files; speaks with Directors and Storage Daemons.

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
