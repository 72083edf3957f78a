//! What a running job needs a Director for while none is there: the Storage Daemon waits with it, the File Daemon is held by
//! back-pressure, and the next Director answers (docs/extensions.md §5).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use holdfast_tests::audit::audit;
use holdfast_tests::held::{Held, SURELY_SENT, Size};
use holdfast_tests::{expect_good, our_site};
use testkit::site::{Maker, Role, Site};
use testkit::wait;

/// The journal of job 1.
fn journal(site: &Site) -> Result<PathBuf> {
    let home = site.volumes().join(".holdfast");
    for entry in fs::read_dir(&home).with_context(|| format!("read {}", home.display()))? {
        let path = entry?.path().join("job-1.1.journal");
        if path.exists() {
            return Ok(path);
        }
    }
    anyhow::bail!("no journal of the job below {}", home.display())
}

/// How often a text stands in the job's journal.
fn count_in(journal: &Path, text: &str) -> Result<usize> {
    let bytes = fs::read(journal)?;
    Ok(bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count())
}

/// The Director is killed at the gate; the rest of the job asks it for something that `asked` names in the journal.
fn asks_while_nobody_is_there(mut held: Held, asked: &str, volumes: usize) -> Result<()> {
    held.site.kill(Role::Director)?;
    let journal = journal(&held.site)?;
    let before = count_in(&journal, asked)?;
    held.release()?;
    wait::until("the request of the Storage Daemon", wait::START, || {
        Ok((count_in(&journal, asked)? > before).then_some(()))
    })?;
    ensure!(count_in(&journal, "3099 Job ")? == 0, "the job has ended while its request was open");
    held.site.start_role(Role::Director)?;
    whole(&mut held, volumes)
}

/// The job ends `T` on so many Volumes, and everything is as it must be.
fn whole(held: &mut Held, volumes: usize) -> Result<()> {
    held.ends_well()?;
    let names = held.site.volume_names()?;
    ensure!(names.len() >= volumes, "{names:?}");
    for name in names {
        let listed = held.site.bls(&name, &["-j"])?;
        ensure!(!listed.contains("Fatal error"), "{listed}");
    }
    Ok(())
}

#[test]
fn a_new_volume() -> Result<()> {
    let held = Held::start(our_site().pool("Maximum Volume Bytes = 15 MB"))?;
    asks_while_nobody_is_there(held, "VolStatus=Full", 2)
}

#[test]
fn a_new_volume_with_a_stock_file_daemon() -> Result<()> {
    let site = our_site().client(Maker::Bacula9).pool("Maximum Volume Bytes = 15 MB");
    asks_while_nobody_is_there(Held::start(site)?, "VolStatus=Full", 2)
}

/// Over a gigabyte is on three full Volumes and a fourth when the Director is killed; the rest wants a fifth.
#[test]
fn a_new_volume_over_a_gigabyte_with_a_stock_file_daemon() -> Result<()> {
    let size = Size { before: 36, after: 5, file_bytes: 30_000_000 };
    let site = our_site().client(Maker::Bacula9).pool("Maximum Volume Bytes = 300 MB");
    let held = Held::start_sized(site, size, "Vol-0004", 170_000_000)?;
    let written = held.site.volume_bytes()?;
    ensure!(written > 1 << 30, "{written} bytes are on the Volumes");
    asks_while_nobody_is_there(held, "VolStatus=Full", 5)
}

#[test]
fn a_file_mark() -> Result<()> {
    let site = our_site().device("Maximum File Size = 2 MB");
    asks_while_nobody_is_there(Held::start(site)?, "UpdateMedia ", 1)
}

#[test]
fn new_volumes_over_a_takeover() -> Result<()> {
    let site = our_site().pool("Maximum Volume Bytes = 4 MB").client(Maker::Bacula9);
    let mut held =
        Held::start_on(site.instances(&["a", "b"]).cluster("Lease Time = 3 seconds"), "Vol-0003", 1)?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.kill_instance("a")?;
    held.release()?;
    held.site.wait_active("b", "b", wait::START)?;
    whole(&mut held, 6)
}

#[test]
fn nobody_comes_back_in_time_and_the_job_ends_at_its_last_checkpoint() -> Result<()> {
    let site =
        our_site().pool("Maximum Volume Bytes = 15 MB").storage_daemon("Director Reconnect Time = 2 seconds");
    let mut held = Held::start(site)?;
    held.site.kill(Role::Director)?;
    let journal = journal(&held.site)?;
    held.release()?;
    wait::until("the end of the job in its journal", wait::START, || {
        Ok((count_in(&journal, "3099 Job ")? > 0).then_some(()))
    })?;
    held.site.start_role(Role::Director)?;
    let job = held.site.wait_job(held.job, wait::JOB)?;
    ensure!(job.status() == 'I', "{job:?}");
    ensure!(job.files() as usize >= SURELY_SENT, "{job:?}");
    let log = held.site.job_log();
    ensure!(log.contains("no Director"), "the log does not say why:\n{log}");
    audit(&held.site, &held.trees())?;
    held.site.finish()
}

#[test]
fn the_job_waits_for_its_storage_daemon_and_others_run() -> Result<()> {
    let admin = "Job { Name = Nothing; Type = Admin; JobDefs = Defaults }";
    let mut held = Held::start(our_site().extra(admin))?;
    wait_checkpoint(&held.site)?;
    held.site.kill(Role::Director)?;
    held.site.kill(Role::Storage)?;
    held.site.start_role(Role::Director)?;
    let other = held.site.run("run job=Nothing yes")?;
    expect_good(&held.site.wait_job(other, wait::JOB)?)?;
    let status = held.site.console(&["status director"])?;
    ensure!(status.contains("is waiting on Storage"), "{status}");
    ensure!(held.site.job(held.job)?.status() == 'R', "{:?}", held.site.job(held.job)?);
    held.site.start_role(Role::Storage)?;
    held.release()?;
    let job = held.site.wait_job(held.job, wait::JOB)?;
    ensure!(job.status() == 'I' && job.files() as usize >= SURELY_SENT, "{job:?}");
    audit(&held.site, &held.trees())?;
    held.site.finish()
}

#[test]
fn the_job_waits_for_its_file_daemon() -> Result<()> {
    let mut held = Held::start(our_site())?;
    wait_checkpoint(&held.site)?;
    held.site.kill(Role::Director)?;
    held.site.kill(Role::Client)?;
    held.site.start_role(Role::Director)?;
    held.site.wait_job_log("took over the running JobId 1", wait::START)?;
    ensure!(held.site.job(held.job)?.status() == 'R', "{:?}", held.site.job(held.job)?);
    held.site.start_role(Role::Client)?;
    let job = held.site.wait_job(held.job, wait::JOB)?;
    ensure!(job.status() == 'I' && job.files() as usize >= SURELY_SENT, "{job:?}");
    audit(&held.site, &held.trees())?;
    held.site.finish()
}

/// Waits until the files before the gate are in the catalog.
fn wait_checkpoint(site: &Site) -> Result<()> {
    wait::until("a checkpoint in the catalog", wait::START, || {
        let rows = site.sql("SELECT count(*) FROM File WHERE JobId = 1")?;
        Ok((rows[0][0].parse::<usize>()? >= SURELY_SENT).then_some(()))
    })
}
