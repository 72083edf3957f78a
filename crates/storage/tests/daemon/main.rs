//! The Storage Daemon on loopback, with a Director and clients that the tests play.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod backup;
mod changer;
mod commands;
mod copy;
mod damage;
mod site;
mod takeover;
