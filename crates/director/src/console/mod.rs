//! The console's side of the Director: sessions, commands, dialogues, the restore tree (spec/01 §6, spec/04 §8).
//!
//! - [`session`] runs a session over two channels of packets; `cluster::switchboard` connects them with a console.
//! - [`Session`](session::Session) reads commands and ends answers as the api mode wants it; the commands are its methods, by
//!   subject in the modules here.
//! - [`Ua`](ua::Ua) is the dialogue itself: texts, questions, selections.
//! - [`Core`](core::Core) is all that a command may ask of the Director.
//!
//! What is not here (`cloud`, `snapshot`, `setip`, `var`, `trace`) says so
//! or is no command at all.

mod acl;
mod args;
mod bvfs;
mod commands;
mod core;
mod daemons;
mod db;
mod dot;
mod estimate;
mod fmt;
mod fuzz;
mod glob;
mod jobs;
mod label;
mod list;
mod owners;
mod progress;
mod prune;
mod replication;
mod restore;
mod run;
mod schedule;
mod select;
mod serve;
mod session;
mod show;
mod simple;
mod slots;
mod sql;
mod status;
mod storage;
mod table;
#[cfg(test)]
mod tests;
mod tree;
mod tree_shell;
mod ua;
mod update;
mod volumes;

pub use fuzz::fuzz_line;

pub(crate) use acl::Acl;
pub(crate) use fmt::iso_time;
pub(crate) use serve::{run_line, session};
pub(crate) use table::{Kind, Table};
