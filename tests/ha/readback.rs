//! The Director goes away from a job on a stock Storage Daemon: the next one reads the session back from the Volume.

use anyhow::{Context, Result, ensure};
use holdfast_tests::audit::audit;
use holdfast_tests::held::{FILES, Held, Size};
use holdfast_tests::our_site;
use testkit::bmc::Bmc;
use testkit::site::{Builder, Maker, Role};
use testkit::wait;

use crate::two;

/// What is saved: two folders, the files, the FIFO.
const SAVED: usize = 2 * FILES + 3;

fn stock_storage() -> Builder {
    our_site().storage(Maker::Bacula9)
}

fn number(rows: &[Vec<String>]) -> Result<u64> {
    Ok(rows.first().and_then(|row| row.first()).context("a row")?.parse()?)
}

/// The job ends `T` with everything in the catalog that a job has which kept its Director, and comes back as it was.
fn ends_well(held: &mut Held) -> Result<()> {
    let job = held.site.wait_job(held.job, wait::JOB)?;
    let log = held.site.job_log();
    ensure!(job.status() == 'T', "{job:?}\n{log}");
    ensure!(job.files() as usize == SAVED, "{job:?}");
    ensure!(log.contains("all of them are there"), "the session was not read back:\n{log}");
    let files = held.site.sql(
        "SELECT count(*), count(DISTINCT FileIndex), max(FileIndex), sum(CASE WHEN MD5 IN ('', '0') THEN 1 ELSE 0 END) FROM File WHERE JobId = 1",
    )?;
    let all = SAVED.to_string();
    // Folders and the FIFO have no digest; a FIFO that was read has one.
    ensure!(files[0][..3] == [all.as_str(), all.as_str(), all.as_str()], "{files:?}");
    ensure!(files[0][3] == "2" || files[0][3] == "3", "digests are missing: {files:?}");
    let pieces = held.site.sql("SELECT FirstIndex, LastIndex, EndBlock FROM JobMedia WHERE JobId = 1")?;
    ensure!(pieces.len() == 1 && pieces[0][0] == "1" && pieces[0][1] == all, "{pieces:?}");
    let size = std::fs::metadata(held.site.volume_file("Vol-0001"))?.len();
    ensure!(pieces[0][2] == (size - 1).to_string(), "{pieces:?}, the Volume has {size} bytes");
    let bytes = number(&held.site.sql("SELECT VolBytes FROM Media WHERE VolumeName = 'Vol-0001'")?)?;
    ensure!(bytes == size, "the catalog says {bytes} bytes, the Volume has {size}");
    audit(&held.site, &held.trees())
}

fn killed(builder: Builder, while_away: bool) -> Result<()> {
    let mut held = Held::start(builder)?;
    held.site.kill(Role::Director)?;
    if while_away {
        held.release()?;
    }
    held.site.start_role(Role::Director)?;
    if !while_away {
        held.site.wait_job_log("took over the running JobId 1", wait::START)?;
        held.release()?;
    }
    ends_well(&mut held)?;
    held.site.finish()
}

#[test]
fn killed_with_our_file_daemon() -> Result<()> {
    killed(stock_storage(), false)
}

#[test]
fn killed_and_our_file_daemon_ends_without_a_director() -> Result<()> {
    killed(stock_storage(), true)
}

#[test]
fn killed_with_both_stock() -> Result<()> {
    killed(stock_storage().client(Maker::Bacula9), false)
}

#[test]
fn killed_and_both_stock_end_without_a_director() -> Result<()> {
    killed(stock_storage().client(Maker::Bacula9), true)
}

/// The lock of the host says that the former one has ended. Over a server that takes fencing.
#[test]
fn the_standby_reads_it_back() -> Result<()> {
    let site = stock_storage().client(Maker::Bacula9).embedded();
    let site = site.instances(&["a", "b"]).cluster("Lease Time = 3 seconds");
    let mut held = Held::start(site)?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.kill_instance("a")?;
    held.release()?;
    held.site.wait_active("b", "b", wait::START)?;
    ends_well(&mut held)?;
    held.site.finish()
}

/// Two Volumes are full and a third is begun when the Director goes.
fn over_several_volumes(builder: Builder) -> Result<Held> {
    let size = Size { before: FILES, after: 10, ..Size::default() };
    Held::start_sized(
        builder.client(Maker::Bacula9).pool("Maximum Volume Bytes = 5 MB"),
        size,
        "Vol-0003",
        100_000,
    )
}

/// It ends `T` with pieces on each of the three, and comes back as it was.
fn ends_well_on_three(held: &mut Held) -> Result<()> {
    held.release()?;
    let job = held.site.wait_job(held.job, wait::JOB)?;
    let log = held.site.job_log();
    ensure!(job.status() == 'T' && log.contains("all of them are there"), "{job:?}\n{log}");
    let volumes =
        held.site.sql("SELECT count(DISTINCT MediaId) FROM JobMedia WHERE JobId = 1 AND LastIndex > 0")?;
    ensure!(volumes == [["3"]], "Volumes with pieces: {volumes:?}");
    audit(&held.site, &held.trees())
}

#[test]
fn a_session_over_several_volumes() -> Result<()> {
    let mut held = over_several_volumes(stock_storage())?;
    held.site.kill(Role::Director)?;
    held.site.start_role(Role::Director)?;
    ends_well_on_three(&mut held)?;
    held.site.finish()
}

#[test]
fn a_session_over_several_volumes_of_a_frozen_instance_that_is_switched_off() -> Result<()> {
    let (board_a, board_b) = (Bmc::start()?, Bmc::start()?);
    let site = two(stock_storage().postgres()).cluster("Fence = required");
    let mut held = over_several_volumes(site.board("a", &board_a).board("b", &board_b))?;
    held.site.wait_active("b", "a", wait::START)?;
    board_a.powers(held.site.instance_process("a")?.id())?;
    held.site.freeze_instance("a")?;
    held.site.wait_active("b", "b", wait::JOB)?;
    held.site.forget_instance("a")?;
    ends_well_on_three(&mut held)?;
    held.site.finish()
}

/// Two instances over PostgreSQL, both daemons stock; a frozen one is switched off by its board before it is followed.
fn frozen_and_fenced(cluster: &str) -> Result<()> {
    let (board_a, board_b) = (Bmc::start()?, Bmc::start()?);
    let site = stock_storage().client(Maker::Bacula9).postgres().instances(&["a", "b"]).cluster(cluster);
    let mut held = Held::start(site.board("a", &board_a).board("b", &board_b))?;
    held.site.wait_active("b", "a", wait::START)?;
    board_a.powers(held.site.instance_process("a")?.id())?;
    held.site.freeze_instance("a")?;
    held.site.wait_active("b", "b", wait::JOB)?;
    ensure!(!board_a.is_on()? && !held.site.is_instance_running("a"), "the frozen instance was left alive");
    held.site.forget_instance("a")?;
    held.release()?;
    ends_well(&mut held)?;
    held.site.finish()
}

#[test]
fn frozen_it_is_switched_off_and_the_standby_reads_the_session_back() -> Result<()> {
    frozen_and_fenced("Lease Time = 3 seconds; Fence = required")
}

/// Nothing is said of fencing: there are Fence Devices, and a Storage Daemon that checks no epochs.
#[test]
fn fencing_is_what_is_safe_when_nothing_is_said() -> Result<()> {
    frozen_and_fenced("Lease Time = 3 seconds")
}

#[test]
fn without_fencing_it_is_refused_and_not_guessed() -> Result<()> {
    let site = stock_storage().client(Maker::Bacula9).postgres();
    let site = site.instances(&["a", "b"]).cluster("Lease Time = 3 seconds");
    let mut held = Held::start(site)?;
    held.site.wait_active("b", "a", wait::START)?;
    let said = held.site.console_of("b", &["status cluster"])?;
    ensure!(said.contains("Fence none: ") && said.contains("has no Fence Device"), "{said}");
    held.site.freeze_instance("a")?;
    held.site.prefer_instance("b");
    held.site.wait_active("b", "b", wait::START)?;
    held.release()?;
    let job = held.site.wait_job(held.job, wait::JOB)?;
    let log = held.site.job_log();
    ensure!(job.status() == 'f' && log.contains("what became of the job is not guessed"), "{job:?}\n{log}");
    let pieces = held.site.sql("SELECT count(*) FROM File WHERE JobId = 1")?;
    ensure!(pieces == [["0"]], "{pieces:?}");
    held.site.thaw_instance("a")?;
    held.site.wait_active("a", "b", wait::START)?;
    held.site.finish()
}

#[test]
fn a_session_that_is_not_whole_is_no_good_job() -> Result<()> {
    let mut held = Held::start(stock_storage().client(Maker::Bacula9))?;
    held.site.kill(Role::Director)?;
    held.release()?;
    let volume = held.site.volume_file("Vol-0001");
    wait::until("the end of the session on the Volume", wait::START, || {
        let whole = held.site.bls("Vol-0001", &["-j"])?.contains("JobStatus=84");
        Ok((whole || held.site.bls("Vol-0001", &["-j"])?.contains("End Job Session Record")).then_some(()))
    })?;
    held.site.stop(Role::Storage)?;
    let file = std::fs::OpenOptions::new().write(true).open(&volume)?;
    file.set_len(std::fs::metadata(&volume)?.len() - 3_000_000)?;
    held.site.start_role(Role::Storage)?;
    held.site.start_role(Role::Director)?;
    let job = held.site.wait_job(held.job, wait::JOB)?;
    ensure!(job.status() == 'f', "{job:?}");
    let log = held.site.job_log();
    ensure!(log.contains("The session on the Volume is not complete"), "{log}");
    let pieces = held.site.sql("SELECT JobMediaId FROM JobMedia WHERE JobId = 1")?;
    ensure!(pieces.is_empty(), "{pieces:?}");
    held.site.finish()
}

#[test]
fn both_daemons_killed_nothing_is_guessed() -> Result<()> {
    let mut held = Held::start(stock_storage().client(Maker::Bacula9))?;
    for role in [Role::Director, Role::Storage, Role::Client] {
        held.site.kill(role)?;
    }
    held.release()?;
    for role in [Role::Storage, Role::Client, Role::Director] {
        held.site.start_role(role)?;
    }
    let job = held.site.wait_job(held.job, wait::JOB)?;
    ensure!(job.status() == 'f', "{job:?}");
    let log = held.site.job_log();
    ensure!(log.contains("the client does not list the job any more"), "{log}");
    held.site.finish()
}
