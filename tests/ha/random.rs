//! Random faults, a bounded part of what `cargo run -p holdfast-tests --bin faults` runs; `HOLDFAST_SEED` replays one run.

use anyhow::{Context, Result};
use holdfast_tests::random::run;

/// The seed that this test stands for, unless another one is to be replayed.
fn run_or_replay(seed: u64) -> Result<()> {
    match std::env::var("HOLDFAST_SEED") {
        Ok(text) => run(text.parse().context("HOLDFAST_SEED is a number")?, None),
        Err(_) => run(seed, None),
    }
}

#[test]
fn random_1() -> Result<()> {
    run_or_replay(1)
}

#[test]
fn random_2() -> Result<()> {
    run_or_replay(2)
}

#[test]
fn random_3() -> Result<()> {
    run_or_replay(3)
}
