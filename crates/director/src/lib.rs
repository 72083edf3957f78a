//! The Director: jobs, schedules, messages, adoption; the console commands are in `console`, the Storage Daemon's catalog
//! requests in `catreq`.
//!
//! - [`Director`]: the shared handle. Everything that a console command, the scheduler or a job needs is reached through it.
//! - `cluster`: whether this instance is active, and how consoles reach the one that is.
//! - `ordered`: an instance that a cluster manager makes active and standby.
//! - [`jobs`]: one task per job over its plan; the state machine, the queue, and what each job type does.
//! - `spare`: which of a Storage and its cold spare serves.
//! - `reconcile`: what is done about a catalog that has gone back in time.
//! - [`messages`]: where job and daemon messages go.
//!
//! Times are Unix seconds inside; text shown to people is local time. No lock is held across an `.await`.

pub mod catreq;
mod cluster;
pub mod console;
pub mod jobs;
pub mod messages;

mod configuration;
mod database;
mod error;
mod handle;
mod listen;
mod ordered;
mod peer;
mod reconcile;
mod report;
mod scheduler;
mod service;
mod spare;
pub mod text;

pub use configuration::{ConfigFiles, Configuration};
pub use database::catalog_server;
pub use error::DirectorError;
pub use handle::{Director, TerminatedJob};
pub use jobs::{JobView, WaitReason};
pub use peer::{ClientConn, StorageConn};
pub use policy::plan::{JobPlan, JobRequest, Origin, Overrides, RestoreRequest};
pub use service::{OtherConfiguration, RunError, port, run, start};
