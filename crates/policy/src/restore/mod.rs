//! Which jobs a restore needs, and the bootstrap that reads them back (spec/04 §7, spec/05 §7).

mod bootstrap;
mod chain;

pub use bootstrap::{BootstrapPlan, JobSelection, Piece, Section, Wanted, plan_bootstrap};
pub use chain::{ChainJob, chain_of, plan_chain};
