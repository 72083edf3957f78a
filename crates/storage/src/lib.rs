//! The Storage Daemon: devices, reservation, journals, sessions.
//!
//! It is the ledger of running jobs: what a session stores is in its journal before anybody is told that it is stored, so a
//! job outlives its Director. `T` means synced. Epochs, nonces and Volume states guard every command that lets data be
//! overwritten; refusal survives a restart. Everything is keyed by Director name and catalog.
//!
//! Absent on purpose: the catalog. Volumes are named by name and label date, never by a row's key alone.

pub mod daemon;
pub mod device;
pub mod disk;
pub mod job;
pub mod journal;
pub mod ledger;
mod lock;
pub mod session;
pub mod text;

pub use daemon::{StartError, forget_director, run};
