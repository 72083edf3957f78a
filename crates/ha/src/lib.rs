//! The operator's side of high availability: `holdfast ha …`.
//!
//! - [`check`]: hold this machine and its services against what a highly available site needs.
//! - [`drill`]: rehearse a failover on the running system.
//! - [`fence`]: switch the machine of an instance off, or see whether that would work.
//! - [`render`]: make the configuration of every machine from a topology, or compare this machine with it.
//! - [`status`]: tell people and monitors whether one instance is active and the others stand by.
//! - [`ocf`]: resource agents for Pacemaker, `holdfast ocf …`.
//!
//! Each command is a module with its arguments and one `run`; [`Command`] lists them. What a command found is an [`Exit`]:
//! monitors and scripts go by it, so it never claims more than is known. Results go to the standard output, questions and
//! complaints to the standard error.
//!
//! Only the binary uses this crate. Absent on purpose: anything that a Director does by itself; a command works with the
//! configuration file, also while no Director runs.

pub mod check;
mod configuration;
pub mod drill;
mod exit;
pub mod fence;
pub mod ocf;
mod output;
mod plan;
pub mod render;
pub mod status;

pub use exit::Exit;

use anyhow::Result;
use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check this machine: disks, links, power, replication, quorum, fencing, clock, PostgreSQL, instances
    #[command(long_about = check::LONG)]
    Check(check::Args),
    /// Rehearse a failover with a backup in flight, measure it, and keep the report
    #[command(long_about = drill::LONG)]
    Drill(drill::Args),
    /// Switch the machine of an instance off by its Fence Device, or test whether that would work
    #[command(long_about = fence::LONG)]
    Fence(fence::Args),
    /// Make the configuration of every machine from a topology, or compare this machine with it
    #[command(long_about = render::LONG)]
    Render(render::Args),
    /// Tell whether one instance is active and the others stand by
    Status(status::Args),
}

/// Runs a command.
///
/// # Errors
/// What kept it from finding anything out: no configuration, no such instance.
pub fn run(command: &Command) -> Result<Exit> {
    match command {
        Command::Check(args) => check::run(args),
        Command::Drill(args) => drill::run(args),
        Command::Fence(args) => fence::run(args),
        Command::Render(args) => render::run(args),
        Command::Status(args) => status::run(args),
    }
}
