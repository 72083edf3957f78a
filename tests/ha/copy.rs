//! Copies between two Storage Daemons live through the end of the Director, and go on after the end of a Storage Daemon.

use std::path::Path;

use anyhow::{Result, ensure};
use holdfast_tests::copies::{jobs, of_type};
use holdfast_tests::{clear_restored, compare_restored, expect_good, our_site, plain_tree, scratch};
use testkit::site::{Act, Builder, JobRow, Maker, Role, Site};
use testkit::wait;

use crate::two;

/// Files in the tree.
const FILES: usize = 60;

/// A site with two Storage Daemons and a backup; copies of it take some time.
fn site(builder: Builder, tree: &Path) -> Result<(Site, JobRow)> {
    plain_tree(tree, FILES, 100_000)?;
    let slow = jobs("Far").replace("Maximum Concurrent Jobs = 3", "Maximum Bandwidth = 600 kb/s");
    let site = two(builder)
        .far_storage(Maker::Holdfast)
        .tree(tree)
        .storage_daemon("Checkpoint Interval = 1 second")
        .extra(slow)
        .start()?;
    site.wait_active("b", "a", wait::START)?;
    let full = site.backup("Full")?;
    expect_good(&full)?;
    Ok((site, full))
}

/// Starts a copy and waits until some of it is acknowledged. Gives the JobIds of control and written job.
fn begin(site: &Site) -> Result<(u32, u32)> {
    let control = site.run("run job=CopyAll yes")?;
    let written = wait::until("files of the copy in the catalog", wait::START, || {
        let rows = site.sql(
            "SELECT Job.JobId FROM Job JOIN File ON File.JobId = Job.JobId WHERE Job.Type = 'C' AND Job.JobStatus = 'R' \
             GROUP BY Job.JobId HAVING count(*) > 3",
        )?;
        Ok(rows.first().map(|row| row[0].clone()))
    })?;
    Ok((control, written.parse()?))
}

/// The copy is good, and all comes back from it, the original's Volume being gone.
fn restores(site: &Site, tree: &Path, full: &JobRow, written: u32) -> Result<()> {
    let copy = site.job(written)?;
    expect_good(&copy)?;
    ensure!(copy.files() == full.files(), "{copy:?} {full:?}");
    ensure!(of_type(site, 'C')?.len() == 1, "{:?}", of_type(site, 'C')?);
    std::fs::remove_file(site.volumes().join("Vol-0001"))?;
    clear_restored(site)?;
    expect_good(&site.restore_jobs(&[written], &site.restored())?)?;
    compare_restored(site, tree)?.expect_equal()
}

pub(crate) fn active_instance_killed_in_mid_copy(builder: Builder) -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let (mut site, full) = site(builder, &tree)?;
    let (control, written) = begin(&site)?;
    site.kill_instance("a")?;
    let backups = site.sql("SELECT count(*) FROM Job WHERE Type = 'B'")?;
    ensure!(backups == [["1"]], "a copy that is being written is taken for a backup: {backups:?}");
    site.wait_active("b", "b", wait::START)?;
    expect_good(&site.wait_job(control, wait::JOB)?)?;
    ensure!(site.job_log().contains("Director took over the running copy"), "{}", site.job_log());
    restores(&site, &tree, &full, written)?;
    site.finish()
}

#[test]
fn director_killed_in_mid_copy() -> Result<()> {
    active_instance_killed_in_mid_copy(our_site())
}

fn director_killed_at(place: &str) -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let (mut site, full) = site(our_site(), &tree)?;
    site.arm(place, Act::Kill)?;
    let control = site.run("run job=CopyAll yes")?;
    site.wait_reached(place, wait::JOB)?;
    site.forget_instance("a")?;
    site.wait_active("b", "b", wait::START)?;
    site.start_instance("a")?;
    expect_good(&site.wait_job(control, wait::JOB)?)?;
    let copies: Vec<JobRow> = of_type(&site, 'C')?.into_iter().filter(|job| job.status() == 'T').collect();
    ensure!(copies.len() == 1, "{copies:?}");
    let unfinished = site.sql("SELECT JobId FROM Job WHERE JobStatus IN ('R', 'C')")?;
    ensure!(unfinished.is_empty(), "{unfinished:?}");
    clear_restored(&site)?;
    std::fs::remove_file(site.volumes().join("Vol-0001"))?;
    expect_good(&site.restore_jobs(&[copies[0].id], &site.restored())?)?;
    ensure!(copies[0].files() == full.files(), "{copies:?}");
    compare_restored(&site, &tree)?.expect_equal()?;
    site.finish()
}

#[test]
fn director_killed_before_the_last_order() -> Result<()> {
    director_killed_at("director-copy-prepared")
}

#[test]
fn director_killed_after_the_last_order() -> Result<()> {
    director_killed_at("director-copy-ordered")
}

#[test]
fn director_killed_before_the_end_of_a_copy_is_committed() -> Result<()> {
    director_killed_at("director-end-uncommitted")
}

#[test]
fn director_killed_before_the_end_of_a_copy_is_acknowledged() -> Result<()> {
    director_killed_at("director-end-committed")
}

/// The Storage Daemon dies; the copy is kept as far as it was acknowledged, and the next one sends the rest under the same JobId.
pub(crate) fn storage_killed_in_mid_copy(builder: Builder, role: Role) -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let (mut site, full) = site(builder, &tree)?;
    let (control, written) = begin(&site)?;
    site.kill(role)?;
    site.start_role(role)?;
    let ended = site.wait_job(control, wait::JOB)?;
    ensure!("Ef".contains(ended.status()), "{ended:?}");
    let cut_off = site.job(written)?;
    ensure!(cut_off.status() == 'I' && cut_off.files() > 0, "{cut_off:?}\n{}", site.job_log());
    let again = site.run("run job=CopyAll yes")?;
    expect_good(&site.wait_job(again, wait::JOB)?)?;
    let sent =
        site.sql(&format!("SELECT JobFiles FROM hf_attempt WHERE JobId = {written} ORDER BY Attempt"))?;
    ensure!(sent.len() == 2, "{sent:?}");
    let last: u64 = sent[1][0].parse()?;
    ensure!(last < full.files(), "the second attempt sent all files again: {sent:?}");
    restores(&site, &tree, &full, written)?;
    site.finish()
}

#[test]
fn writing_storage_daemon_killed_in_mid_copy() -> Result<()> {
    storage_killed_in_mid_copy(our_site(), Role::FarStorage)
}

#[test]
fn reading_storage_daemon_killed_in_mid_copy() -> Result<()> {
    storage_killed_in_mid_copy(our_site(), Role::Storage)
}

#[test]
fn a_canceled_copy_is_no_copy_and_the_next_one_is() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let (site, full) = site(our_site(), &tree)?;
    let (control, written) = begin(&site)?;
    let said = site.console(&[&format!("cancel jobid={control} yes")])?;
    let ended = site.wait_job(control, wait::JOB)?;
    ensure!(ended.status() == 'A', "{ended:?}\n{said}");
    let copy = site.job(written)?;
    ensure!(copy.status() == 'A', "{copy:?}");
    let again = site.run("run job=CopyAll yes")?;
    expect_good(&site.wait_job(again, wait::JOB)?)?;
    let good: Vec<JobRow> = of_type(&site, 'C')?.into_iter().filter(|job| job.status() == 'T').collect();
    ensure!(good.len() == 1 && good[0].id != written && good[0].files() == full.files(), "{good:?}");
    site.finish()
}
