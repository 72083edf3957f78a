//! The Storage Daemon: devices, reservation, journals, sessions.

pub mod journal;
pub mod ledger;
