//! Random faults over real processes: `cargo run -p holdfast-tests --bin faults -- [RUNS] [FIRST SEED] [--bug NAME]`; needs `holdfast`
//! built. With a known bug put back it ends at the first seed that finds it.
#![expect(clippy::print_stdout, reason = "a command for people")]

use std::time::Instant;

use anyhow::{Context, Result};
use holdfast_tests::random::{find_bug, run_all};

fn main() -> Result<()> {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let bug = words.iter().position(|word| word == "--bug").map(|at| words.drain(at..).nth(1));
    let number = |at: usize, otherwise: u64| words.get(at).map_or(Ok(otherwise), |text| text.parse());
    let (runs, first) = (number(0, 50).context("number of runs")?, number(1, 1).context("first seed")?);
    let mut since = Instant::now();
    if let Some(bug) = bug {
        let bug = bug.context("--bug wants the name of a known bug")?;
        let (seed, found) = find_bug(&bug, first, runs, |seed| println!("seed {seed}: {bug} was not found"))?;
        println!("seed {seed} finds {bug}, and nothing without it: {found:#}");
        return Ok(());
    }
    run_all(first, runs, |seed, done| {
        match done {
            Ok(()) => println!("seed {seed}: 0 violations, {:.1} s", since.elapsed().as_secs_f64()),
            Err(error) => println!("seed {seed}: {error:#}"),
        }
        since = Instant::now();
    })?;
    println!("{runs} runs, 0 violations");
    Ok(())
}
