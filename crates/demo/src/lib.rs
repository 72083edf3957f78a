//! `holdfast demo`: a backup and a restore of a real tree, checked entry by entry, on one machine and with nothing to set
//! up.
//!
//! Starts two instances of a Director, a Storage Daemon and a File Daemon of this very program on a loopback address, backs up
//! a tree and a copy of a part of it, kills the active Director in the middle of that, changes some of the copy, runs an
//! Incremental, restores everything to another place, compares and prints a table. The original tree is only read.
//!
//! Then it starts the two data centres of `docs/two-data-centres.md`, loses one of them and gets it back.
#![expect(clippy::print_stdout, reason = "a command for people")]

mod copy;
mod failover;
mod keep;
mod measure;
mod report;
mod run;
mod two_sites;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

/// Options of `holdfast demo`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The tree to back up; it is only read
    #[arg(long, value_name = "DIR", default_value = "/usr/share")]
    pub tree: PathBuf,
    /// Only the part on one site
    #[arg(long, conflicts_with = "two_sites")]
    pub one_site: bool,
    /// Only the part with two data centres, of which one is lost and comes back
    #[arg(long, conflicts_with = "keep")]
    pub two_sites: bool,
    /// Leave everything of the part on one site running for a look, and say how to connect
    #[arg(long)]
    pub keep: bool,
    /// Where catalog, Volumes and the restored tree go for the time being: about twice the tree's size
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    pub work: PathBuf,
}

/// Runs the demo. The exit code is 0 only when all jobs ended well and nothing differs.
///
/// # Errors
/// When it could not be carried through.
pub fn run(args: &Args) -> Result<ExitCode> {
    let mut outcome = args.two_sites || run::run(args)?;
    if !args.one_site && !args.keep {
        if args.two_sites || testkit::postgres::is_installed() {
            println!();
            outcome &= two_sites::run(args)?;
        } else {
            println!(
                "The part with two data centres is left out: it needs PostgreSQL (Debian's package postgresql)."
            );
        }
    }
    Ok(if outcome { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
