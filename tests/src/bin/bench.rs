//! Benchmarks side by side with Bacula 9.6.7: `benches/run [FILES]` builds and runs this; `benches/README.md` has results.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use holdfast_tests::{clear_restored, plain_tree};
use testkit::compare::Compare;
use testkit::site::{JobRow, Maker, Role, Site};
use testkit::tree::{age, small_files};
use testkit::wait;

/// The longest that one job may take.
const JOB_MAX: Duration = Duration::from_secs(1800);
const ROLES: [Role; 3] = [Role::Director, Role::Storage, Role::Client];

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let files: u64 = arguments.next().map_or(Ok(200_000), |text| text.parse()).context("number of files")?;
    let only = arguments.next();
    let dir = tempfile::Builder::new().prefix("holdfast-bench-").tempdir_in("/var/tmp")?;
    let tree = dir.path().join("tree");
    eprintln!("making {files} files");
    let made = small_files(&tree, files, 42)?;
    age(&tree)?;
    println!("{} files, {} folders, {} bytes\n", made.files, made.directories, made.bytes);
    println!("| program | what | status | files | wall | CPU Director | CPU SD | CPU FD | CPU all |");
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut peaks = Vec::new();
    for (name, maker) in [("Holdfast", Maker::Holdfast), ("Bacula 9.6.7", Maker::Bacula9)] {
        if only.as_ref().is_none_or(|wanted| name.to_lowercase().starts_with(wanted.as_str())) {
            peaks.push(run(name, maker, &tree, dir.path())?);
        }
    }
    println!(
        "\n| program | peak RSS Director | peak RSS SD | peak RSS FD | differences | job of 100 files, median of 10 |"
    );
    println!("|---|---|---|---|---|---|");
    peaks.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// Runs the course with one maker's programs; gives its line of the second table.
fn run(name: &str, maker: Maker, tree: &Path, dir: &Path) -> Result<String> {
    let small = dir.join("small");
    plain_tree(&small, 100, 2000)?;
    let mut site = Site::builder()
        .all(maker)
        .tree(tree)
        .folder(dir.join(name.split(' ').next().unwrap_or(name)))
        .extra(format!(
            "FileSet {{ Name = Small; Include {{ Options {{ signature = MD5 }}; File = \"{}\" }} }}\n\
             Job {{ Name = Small; JobDefs = Defaults; FileSet = Small }}",
            small.display()
        ))
        .start()?;
    wait::next_second()?;
    phase(&mut site, name, "full", "run job=Backup level=Full yes")?;
    phase(&mut site, name, "incremental, no change", "run job=Backup level=Incremental yes")?;
    phase(&mut site, name, "restore", "restore client=kit-fd fileset=Tree select current all done yes")?;
    let found = Compare::new(tree, site.restored_tree(tree)).run()?;
    if !found.is_equal() {
        eprintln!("{found}");
    }
    let mut line = format!("| {name} |");
    for role in ROLES {
        line += &format!(" {:.1} MiB |", site.usage(role)?.resident_peak as f64 / f64::from(1 << 20));
    }
    clear_restored(&site)?;
    let mut times = (0..10).map(|_| small_job(&site)).collect::<Result<Vec<_>>>()?;
    times.sort();
    line += &format!(" {} | {:.3} s |", found.count, times[times.len() / 2].as_secs_f64());
    site.finish()?;
    Ok(line)
}

fn phase(site: &mut Site, name: &str, what: &str, command: &str) -> Result<()> {
    eprintln!("{name}: {what}");
    let before = cpu(site)?;
    let start = Instant::now();
    let id = site.run(command)?;
    let job: JobRow = site.wait_job(id, JOB_MAX)?;
    let wall = start.elapsed();
    let after = cpu(site)?;
    let used: Vec<f64> = (0..3).map(|at| (after[at].saturating_sub(before[at])).as_secs_f64()).collect();
    println!(
        "| {name} | {what} | {} | {} | {:.1} s | {:.2} s | {:.2} s | {:.2} s | {:.2} s |",
        job.status(),
        job.files(),
        wall.as_secs_f64(),
        used[0],
        used[1],
        used[2],
        used.iter().sum::<f64>()
    );
    Ok(())
}

fn cpu(site: &mut Site) -> Result<Vec<Duration>> {
    ROLES.iter().map(|role| Ok(site.usage(*role)?.cpu)).collect()
}

/// From giving `run` to a console until the report is in the log.
fn small_job(site: &Site) -> Result<Duration> {
    let reports = |log: &str| log.matches("  Termination: ").count();
    let before = reports(&site.job_log());
    let start = Instant::now();
    let id = site.run("run job=Small level=Full yes")?;
    wait::until_every(Duration::from_millis(2), "the job's report", wait::JOB, || {
        Ok((reports(&site.job_log()) > before).then_some(()))
    })?;
    let took = start.elapsed();
    let job = site.wait_job(id, wait::JOB)?;
    ensure!(job.status() == 'T', "{job:?}");
    Ok(took)
}
