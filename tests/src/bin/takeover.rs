//! How long a takeover and a switchover last under load: `takeover [ROWS [ROUNDS]]`; `benches/README.md` has results.
//!
//! Twenty jobs that compress and one of so many rows run when the active instance is ended; measured is the time until a console
//! that was connected to the other one has its first command served. Then the role is switched back, and measured, too.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use holdfast_tests::load::Load;
use holdfast_tests::{expect_good, our_site};
use testkit::bmc::Bmc;
use testkit::site::{Builder, Site};
use testkit::wait;

/// Jobs that compress.
const DATA_JOBS: usize = 20;
/// Megabytes of each.
const DATA: usize = 1500;
/// Rows that are in the catalog when the active instance is ended.
const ROWS_BEFORE: u64 = 20_000;
/// The longest that anything may take here.
const LIMIT: Duration = Duration::from_secs(1800);

/// How the active instance is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// `SIGKILL`.
    Kill,
    /// Its cable first.
    PowerCut,
    /// `SIGKILL`, and nobody follows before its machine is off.
    Fenced,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let rows = arguments.next().map_or(Ok(2_000_000), |text| text.parse()).context("number of rows")?;
    let rounds: usize = arguments.next().map_or(Ok(10), |text| text.parse()).context("number of rounds")?;
    let dir = tempfile::Builder::new().prefix("holdfast-takeover-").tempdir_in("/var/tmp")?;
    eprintln!("making {rows} files");
    let load = Load::make(dir.path(), rows, DATA, DATA_JOBS)?;
    println!("| what | rounds | median | least | most |\n|---|---|---|---|---|");
    for end in [End::Kill, End::PowerCut, End::Fenced] {
        measure(dir.path(), &load, end, rounds)?;
    }
    Ok(())
}

fn measure(dir: &Path, load: &Load, end: End, rounds: usize) -> Result<()> {
    let boards = [("a", Bmc::start()?), ("b", Bmc::start()?)];
    let builder = our_site().postgres().instances(&["a", "b"]).cluster("Lease Time = 3 seconds");
    let builder = builder.jobs_at_once(40).tree("/etc/hostname");
    let builder = match end {
        End::Kill => builder,
        End::PowerCut => builder.network(),
        End::Fenced => fenced(builder, &boards),
    };
    let mut site = load.add_to(builder).folder(dir.join(format!("{end:?}"))).start()?;
    site.wait_active("b", "a", wait::START)?;
    let (mut takeovers, mut switchovers) = (Vec::new(), Vec::new());
    for round in 1..=rounds {
        let first = start_jobs(&site)?;
        if end == End::Fenced {
            for (name, board) in &boards {
                board.switch_on()?;
                board.powers(site.instance_id(name)?)?;
            }
        }
        takeovers.push(takeover(&mut site, end)?);
        if end == End::PowerCut {
            site.network()?.plug("a")?;
        }
        site.start_instance("a")?;
        site.wait_active("a", "b", wait::START)?;
        switchovers.push(switchover(&site, "b", "a")?);
        eprintln!("{end:?} {round}: {:?}, switched back {:?}", takeovers[round - 1], switchovers[round - 1]);
        if round == rounds {
            all_end_well(&site, first)?;
        } else {
            cancel_jobs(&site)?;
        }
    }
    let words = match end {
        End::Kill => "takeover after `SIGKILL`",
        End::PowerCut => "takeover after a power cut",
        End::Fenced => "takeover after `SIGKILL`, `Fence = required`",
    };
    line(words, takeovers);
    line("switchover, jobs running", switchovers);
    if end == End::Kill {
        let idle = (0..rounds).map(|round| match round % 2 {
            0 => switchover(&site, "a", "b"),
            _ => switchover(&site, "b", "a"),
        });
        line("switchover, idle", idle.collect::<Result<_>>()?);
    }
    site.finish()
}

fn fenced(builder: Builder, boards: &[(&str, Bmc)]) -> Builder {
    boards
        .iter()
        .fold(builder.cluster("Fence = required"), |builder, (name, board)| builder.board(name, board))
}

/// Starts all jobs and waits until all of them run and the one of many rows has some in the catalog; gives the first JobId.
fn start_jobs(site: &Site) -> Result<u32> {
    let data = (1..=DATA_JOBS).map(|number| format!("Data{number}"));
    let names = ["Rows".to_owned()].into_iter().chain(data);
    let commands: Vec<String> = names.map(|name| format!("run job={name} level=Full yes")).collect();
    let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
    let said = site.console_of("a", &commands)?;
    let (_, rest) = said.split_once("Job queued. JobId=").with_context(|| format!("no job:\n{said}"))?;
    let first: u32 = rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse()?;
    let rows = format!("SELECT count(*) FROM File WHERE JobId = {first}");
    let running = "SELECT count(*) FROM Job WHERE JobStatus = 'R'";
    wait::until("all jobs to run", LIMIT, || {
        let count = |sql: &str| -> Result<u64> { Ok(site.sql(sql)?[0][0].parse()?) };
        ensure!(count("SELECT count(*) FROM Job WHERE JobStatus IN ('T', 'f')")? == 0, "too little to do");
        Ok((count(running)? == DATA_JOBS as u64 + 1 && count(&rows)? >= ROWS_BEFORE).then_some(()))
    })?;
    Ok(first)
}

/// Ends a, and waits until a console of b has had a command served.
fn takeover(site: &mut Site, end: End) -> Result<Duration> {
    let start = Instant::now();
    match end {
        End::Kill | End::Fenced => site.kill_instance("a")?,
        End::PowerCut => site.cut_power("a")?,
    }
    wait::until_every(Duration::from_millis(10), "a command to be served", LIMIT, || {
        let said = site.console_of("b", &["list clients"]);
        Ok(said.is_ok_and(|said| said.contains("kit-fd")).then(|| start.elapsed()))
    })
}

/// The time for which the command runs; the role is the heir's when it ends.
fn switchover(site: &Site, from: &str, to: &str) -> Result<Duration> {
    let start = Instant::now();
    let said = site.console_of(from, &[&format!("cluster switchover to={to}")])?;
    let took = start.elapsed();
    ensure!(said.contains(&format!("Instance {to} is active after")), "{said}");
    site.wait_active(from, to, wait::START)?;
    Ok(took)
}

fn cancel_jobs(site: &Site) -> Result<()> {
    site.console_of("a", &["cancel all yes"])?;
    wait::until("the jobs to be cancelled", LIMIT, || {
        let left = site.sql("SELECT count(*) FROM Job WHERE JobStatus NOT IN ('T', 'A', 'f', 'I', 'E')")?;
        Ok((left == [["0"]]).then_some(()))
    })?;
    let jobs = site.sql("SELECT JobId FROM Job")?;
    let delete: Vec<String> = jobs.iter().map(|row| format!("delete jobid={} yes", row[0])).collect();
    site.console_of("a", &delete.iter().map(String::as_str).collect::<Vec<_>>()).map(drop)
}

fn all_end_well(site: &Site, first: u32) -> Result<()> {
    for id in first..=first + u32::try_from(DATA_JOBS)? {
        expect_good(&site.wait_job(id, LIMIT)?)?;
    }
    Ok(())
}

fn line(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let shown = |at: usize| format!("{:.2} s", times[at].as_secs_f64());
    println!(
        "| {what} | {} | {} | {} | {} |",
        times.len(),
        shown(times.len() / 2),
        shown(0),
        shown(times.len() - 1)
    );
}
