//! One seeded world: Director instances, Storage Daemons, File Daemons and the catalog, with virtual time, network and disks.
//!
//! A seed gives sizes, workload and faults. Invariants are looked at after each event; then faults stop, all must heal, and an
//! observer who knows every acknowledged fact compares. A seed always gives the same run: one thread, no clock, no randomness but
//! the seed's. `cargo run -p sim -- --seed 7 --trace` shows what happened (docs/decisions/006-sim.md).
//!
//! # What is the daemons' own code
//! - who is active: `lead::protocol` over `catalog::lease`, `lead::EpochGuard`;
//! - the catalog: its schema, transactions and typed queries, in SQLite, behind its port;
//! - the Director's side of a journal and of the choice of Volumes: `director::catreq`; what a list of jobs says, how a job ended and
//!   its end transaction: `director::jobs::{held, decide, Ending}`; the schedule ledger: `catalog::ledger`;
//! - what a Storage Daemon still holds of jobs that are over: `director::jobs::leftover`;
//! - the Storage Daemon's epochs, nonces, permits, session numbers, Volume states, labels, blocks, unowned tails, checkpoints,
//!   journals, their streams and their recovery; which Volume a session asks for, what is done to it and what of the session is on it:
//!   `storage::{ledger, daemon::judge, device, journal, job, session, daemon::found}`, over the port [`storage::disk`];
//! - every journal record, request, answer and line of `jobs`, as bytes.
//!
//! # What is modelled
//! - the lease engine's loop around its machine (`lead::lease`), the order of steps of a job's task (`director::jobs::{life, adopt,
//!   session}`), who waits for what in a session (`storage::session::{append, mount}`), which drive has which Volume;
//! - the dialogue around journals and requests (registration, `JobId=`, `attach`, `close`), told as values;
//! - the File Daemon, and schedules: a run is due every so often;
//! - TCP: connections in order, with delay, that die 10 seconds after nothing comes through.

mod bug;
mod client;
mod database;
mod director;
mod disk;
mod fault;
mod invariants;
mod message;
mod net;
mod oracle;
mod plan;
mod storage;
mod world;

pub use bug::Bug;
pub use message::Pid;
pub use oracle::{Counts, Violation};
pub use plan::{Cut, Fault, Millis, Plan};
pub use world::World;

/// Name of the Director.
pub(crate) const DIRECTOR: &str = "dc1-dir";

/// What became of a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What broke, if anything.
    pub violations: Vec<Violation>,
    /// What the world came upon.
    pub counts: Counts,
    /// Two runs of a seed have the same.
    pub digest: u64,
}

impl Report {
    /// How to see it again.
    #[must_use]
    pub fn replay(&self) -> String {
        format!("cargo run -p sim -- --seed {}", self.seed)
    }
}

/// Runs the world of a seed, with a bug put back if one is given.
///
/// # Errors
/// Those of the catalog, before the world begins.
pub fn run(seed: u64, bug: Option<Bug>) -> anyhow::Result<Report> {
    let mut world = World::new(seed, bug, false)?;
    world.run();
    Ok(Report {
        seed,
        violations: world.violations().to_vec(),
        counts: world.counts(),
        digest: world.digest(),
    })
}
