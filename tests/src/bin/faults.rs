//! Random faults over real processes: `cargo run -p holdfast-tests --bin faults -- [RUNS] [FIRST SEED]`; needs `holdfast` built.
#![expect(clippy::print_stdout, reason = "a command for people")]

use std::time::Instant;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let runs = arguments.next().map_or(Ok(50), |text| text.parse()).context("number of runs")?;
    let first = arguments.next().map_or(Ok(1), |text| text.parse()).context("first seed")?;
    let mut since = Instant::now();
    holdfast_tests::random::run_all(first, runs, |seed, done| {
        match done {
            Ok(()) => println!("seed {seed}: 0 violations, {:.1} s", since.elapsed().as_secs_f64()),
            Err(error) => println!("seed {seed}: {error:#}"),
        }
        since = Instant::now();
    })?;
    println!("{runs} runs, 0 violations");
    Ok(())
}
