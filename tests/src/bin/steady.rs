//! Two instances with a lease of 3 seconds under full load: `steady MINUTES`. Counts failovers, of which there must be none.
//!
//! Three jobs run at any time: two that compress, and one of many rows for the catalog.
#![expect(clippy::print_stdout, reason = "a command for people")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use holdfast_tests::load::Load;
use holdfast_tests::{expect_good, our_site};
use testkit::site::{Builder, Site};
use testkit::wait;

/// The longest that one job may take.
const JOB_MAX: Duration = Duration::from_secs(1800);
/// Between two looks at the lease.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Rows of one job.
const ROWS: u64 = 100_000;
/// Megabytes of one job that compresses.
const DATA: usize = 500;

fn main() -> Result<()> {
    let minutes = std::env::args().nth(1).context("steady MINUTES")?;
    let length = Duration::from_secs(60 * minutes.parse::<u64>().context("number of minutes")?);
    let dir = tempfile::Builder::new().prefix("holdfast-steady-").tempdir_in("/var/tmp")?;
    let load = Load::make(dir.path(), ROWS, DATA, 2)?;
    let site = our_site().postgres().instances(&["a", "b"]).cluster("Lease Time = 3 seconds");
    // Two gigabytes of Volumes, used over and over.
    let site = ["Maximum Volume Bytes = 100 MB", "Maximum Volumes = 20", "Purge Oldest Volume = yes"]
        .into_iter()
        .fold(site, Builder::pool);
    let site = load.add_to(site.tree("/etc/hostname")).folder(dir.path().join("site")).start()?;
    site.wait_active("b", "a", wait::START)?;
    let first = lease(&site)?;
    let start = Instant::now();
    let ended = AtomicU32::new(0);
    let watched = thread::scope(|scope| {
        let jobs = ["Rows", "Data1", "Data2"].map(|job| {
            let (site, ended) = (&site, &ended);
            scope.spawn(move || -> Result<()> {
                while start.elapsed() < length {
                    again(site, job)?;
                    ended.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            })
        });
        let watched = watch(&site, start, length);
        for job in jobs {
            job.join().map_err(|_| anyhow::anyhow!("a job's thread panicked"))??;
        }
        watched
    })?;
    let last = lease(&site)?;
    println!(
        "{} min, {} jobs ended T; renewals {}; longest that the lease was seen to stand still {:.1} s; activations {}",
        start.elapsed().as_secs() / 60,
        ended.load(Ordering::Relaxed),
        last.renewal - first.renewal,
        watched.as_secs_f64(),
        last.epoch - first.epoch,
    );
    ensure!(last.epoch == first.epoch, "there were failovers");
    site.finish()
}

/// A job from its start to its end; its rows are deleted, so that the catalog does not grow without end.
fn again(site: &Site, job: &str) -> Result<()> {
    let id = site.run(&format!("run job={job} level=Full yes"))?;
    expect_good(&site.wait_job(id, JOB_MAX)?)?;
    site.console(&[&format!("delete jobid={id} yes")])?;
    if job == "Rows" {
        site.sql("VACUUM")?; // the private server does not by itself
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq, Clone, Copy)]
struct Lease {
    epoch: u64,
    renewal: u64,
}

fn lease(site: &Site) -> Result<Lease> {
    let rows = site.sql("SELECT Epoch, Renewal FROM hf_leader")?;
    let row = rows.first().context("no instance was ever active")?;
    Ok(Lease { epoch: row[0].parse()?, renewal: row[1].parse()? })
}

/// Looks at the lease for `length`; tells each activation, and gives the longest time for which it was not seen to change.
fn watch(site: &Site, start: Instant, length: Duration) -> Result<Duration> {
    let (mut seen, mut since, mut longest) = (lease(site)?, Instant::now(), Duration::ZERO);
    while start.elapsed() < length {
        // No event: the row is looked at from outside.
        thread::sleep(LOOK_EVERY);
        let now = lease(site)?;
        longest = longest.max(since.elapsed());
        if now.epoch != seen.epoch {
            println!("after {} s: epoch {} instead of {}", start.elapsed().as_secs(), now.epoch, seen.epoch);
        }
        if now != seen {
            (seen, since) = (now, Instant::now());
        }
    }
    Ok(longest)
}
