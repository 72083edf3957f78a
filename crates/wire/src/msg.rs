//! Typed messages of every pair: `parse` is tolerant, `format` gives Bacula's bytes.
//!
//! - [`common`]: job messages, progress, cancel: said by or to several daemons.
//! - [`dir_fd`], [`dir_sd`]: a Director's commands and their answers.
//! - [`sd_dir`]: what an SD asks and tells during a job.
//! - [`fd_sd`]: the data session between FD and SD, and between SDs.
//! - [`holdfast`]: registration, journals and adoption (docs/extensions.md).
//! - [`console`]: how a Director marks output and questions.

pub mod common;
pub mod console;
pub mod dir_fd;
pub mod dir_sd;
pub mod fd_sd;
pub mod holdfast;
pub mod sd_dir;

pub use crate::scan::MsgError;
