//! Runs seeds: `cargo run -p sim -- --seed 7`, `--from 0 --count 10000`, `--bug no-nonce`, `--trace`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::Result;
use clap::Parser;
use sim::{Bug, Counts, Report, World};

/// The simulated world of Holdfast.
#[derive(Debug, Parser)]
#[command(name = "sim")]
struct Arguments {
    /// Run this seed alone.
    #[arg(long)]
    seed: Option<u64>,
    /// First seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Number of seeds.
    #[arg(long, default_value_t = 500)]
    count: u64,
    /// Put a known bug back.
    #[arg(long, value_enum)]
    bug: Option<Bug>,
    /// Show every event of the seed.
    #[arg(long)]
    trace: bool,
    /// Threads; each runs worlds of its own.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => one(seed, &arguments),
        None => many(&arguments),
    }
}

fn one(seed: u64, arguments: &Arguments) -> Result<ExitCode> {
    let mut world = World::new(seed, arguments.bug, arguments.trace)?;
    world.run();
    let mut out = io::stdout().lock();
    for line in world.trace() {
        writeln!(out, "{line}")?;
    }
    for violation in world.violations() {
        writeln!(out, "seed {seed}: {violation}")?;
    }
    writeln!(out, "seed {seed}: {:?}", world.counts())?;
    Ok(code(world.violations().is_empty()))
}

fn many(arguments: &Arguments) -> Result<ExitCode> {
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from + arguments.count;
    let work = || -> Result<(Counts, Vec<Report>)> {
        let (mut counts, mut broken) = (Counts::default(), Vec::new());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                return Ok((counts, broken));
            }
            let report = sim::run(seed, arguments.bug)?;
            counts.add(&report.counts);
            if !report.violations.is_empty() {
                broken.push(report);
            }
        }
    };
    let (mut counts, mut broken) = (Counts::default(), Vec::new());
    thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..arguments.threads.max(1)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            let done = worker.join().map_err(|_| anyhow::anyhow!("a world has panicked"))??;
            counts.add(&done.0);
            broken.extend(done.1);
        }
        Ok(())
    })?;
    broken.sort_by_key(|report| report.seed);
    let mut out = io::stdout().lock();
    for report in &broken {
        for violation in &report.violations {
            writeln!(out, "seed {}: {violation}", report.seed)?;
        }
        writeln!(out, "    {}", report.replay())?;
    }
    writeln!(out, "{} seeds, {} with violations; {counts:?}", arguments.count, broken.len())?;
    Ok(code(broken.is_empty()))
}

fn code(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
