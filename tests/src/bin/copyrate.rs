//! How fast a copy between two Storage Daemons is beside a plain backup to one: `copyrate [MEGABYTES [ROUNDS]]`; `benches/README.md` has results.
#![expect(clippy::print_stdout, reason = "a command for people")]

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use holdfast_tests::{bulk_tree, copies, expect_good, our_site};
use testkit::site::Maker;

/// Bytes of a file.
const FILE_BYTES: usize = 64_000_000;
/// The longest that a job may take.
const LIMIT: Duration = Duration::from_secs(1800);

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let megabytes = arguments.next().map_or(Ok(2000), |text| text.parse()).context("megabytes")?;
    let rounds: usize = arguments.next().map_or(Ok(5), |text| text.parse()).context("number of rounds")?;
    let dir = tempfile::Builder::new().prefix("holdfast-copyrate-").tempdir_in("/var/tmp")?;
    let tree = dir.path().join("tree");
    let files = (megabytes * 1_000_000 / FILE_BYTES).max(1);
    bulk_tree(&tree, files, FILE_BYTES)?;
    let site = our_site()
        .far_storage(Maker::Holdfast)
        .tree(&tree)
        .folder(dir.path().join("site"))
        .extra(copies::jobs("Far"))
        .start()?;
    let (mut written, mut copied) = (Vec::new(), Vec::new());
    let rate = |start: Instant| (files * FILE_BYTES) as f64 / 1e6 / start.elapsed().as_secs_f64();
    for _ in 0..rounds {
        let start = Instant::now();
        let id = site.run("run job=Backup level=Full yes")?;
        expect_good(&site.wait_job(id, LIMIT)?)?;
        written.push(rate(start));
        let start = Instant::now();
        let id = site.run("run job=CopyAll yes")?;
        expect_good(&site.wait_job(id, LIMIT)?)?;
        copied.push(rate(start));
    }
    println!("| what | rounds | median | least | most |\n|---|---|---|---|---|");
    for (what, rates) in [("backup to a Storage Daemon", &mut written), ("copy to another one", &mut copied)]
    {
        rates.sort_by(f64::total_cmp);
        let (least, most) = (rates[0], rates[rates.len() - 1]);
        println!("| {what} | {rounds} | {:.0} MB/s | {least:.0} | {most:.0} |", rates[rates.len() / 2]);
    }
    site.finish()
}
