//! Storage Daemons killed at random moments of backups: `groups [MOMENTS [STOCK [SEED]]]`; docs/storage-groups.md has results.
//!
//! So many moments with our File Daemon, each once with the killed daemon back before the restore and once with it and its
//! Volumes gone for good; then so many with the stock one. Every job must end `T` and restore without a difference.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

use anyhow::{Context, Result, ensure};
use holdfast_tests::lost::{Fate, moment};
use testkit::site::Maker;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64, what: &'static str| {
        arguments.next().map_or(Ok(default), |text| text.parse::<u64>()).context(what)
    };
    let (ours, stock, first) = (number(20, "moments")?, number(5, "moments")?, number(1, "seed")?);
    println!("| client | the killed Storage Daemon | jobs | ended `T` and restored equal | attempts |");
    println!("|---|---|---|---|---|");
    let mut failed = 0;
    for (client, moments) in [(Maker::Holdfast, ours), (Maker::Bacula9, stock)] {
        for fate in [Fate::Back, Fate::Gone] {
            let (mut jobs, mut good, mut attempts, mut seed) = (0, 0, 0, first);
            while jobs < moments {
                let shown = moment(seed, client, fate);
                seed += 1;
                match shown {
                    // A job that had ended before its daemon died shows nothing.
                    Ok(shown) if shown.attempts == 1 => continue,
                    Ok(shown) => {
                        eprintln!("{client:?} {fate:?} seed {}: {shown:?}", seed - 1);
                        good += 1;
                        attempts += shown.attempts;
                    }
                    Err(error) => {
                        eprintln!("{client:?} {fate:?} seed {}: FAILED: {error:#}", seed - 1);
                        failed += 1;
                    }
                }
                jobs += 1;
            }
            println!("| {client:?} | {fate:?} | {jobs} | {good} | {attempts} |");
        }
    }
    ensure!(failed == 0, "{failed} moments failed");
    Ok(())
}
