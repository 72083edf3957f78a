//! Copies of jobs that lie on several Storages, as a job does that has lost one and found it again (docs/copies.md).

use anyhow::{Context, Result, ensure};
use holdfast_tests::copies::{jobs, of_type, run};
use holdfast_tests::held::Held;
use holdfast_tests::{clear_restored, compare_restored, expect_good, our_site};
use testkit::site::{Act, Builder, JobRow, Maker, Role, Site};
use testkit::wait;

use crate::groups::{lose_storage_for_a_while, next_attempt, storages, wait_checkpoint};
use crate::two;

/// The Pool of the copies is on the second Device of the first Storage Daemon.
const COPIES: &str = r#"Pool { Name = Copies; Pool Type = Backup; Storage = File2; Label Format = "Copy-"; Maximum Volumes = 100; AutoPrune = no }"#;

fn group(control: String) -> Builder {
    let site = our_site().far_storage(Maker::Holdfast).pool("Storage = File1, Far");
    site.extra(COPIES).extra(control)
}

/// Copies that take some seconds.
fn slowly() -> String {
    jobs("Copies").replace("Maximum Concurrent Jobs = 3", "Maximum Bandwidth = 4 mb/s")
}

/// Job 1 is good and lies on `File1` and on `Far`.
fn scattered(builder: Builder) -> Result<(Held, JobRow)> {
    let mut held = Held::start(builder)?;
    lose_storage_for_a_while(&mut held)?;
    let job = held.site.wait_job(held.job, wait::JOB)?;
    // The client has counted the loss as an error.
    ensure!(job.status() == 'T', "{job:?}\n{}", held.site.job_log());
    ensure!(storages(&held.site, job.id)? == ["Far", "File1"], "{}", held.site.job_log());
    Ok((held, job))
}

/// All comes back from the one good copy, the Volumes of the original being gone.
fn restores_from_copy(held: &Held, original: &JobRow, letter: char) -> Result<JobRow> {
    let site = &held.site;
    let good: Vec<JobRow> =
        of_type(site, letter)?.into_iter().filter(|job| job.status() == 'T' && job.id != 1).collect();
    let [copy] = good.as_slice() else { anyhow::bail!("{good:?}\n{}", site.job_log()) };
    ensure!(copy.files() == original.files(), "{copy:?} {original:?}");
    ensure!(storages(site, copy.id)? == ["File2"], "{:?}", storages(site, copy.id)?);
    let unfinished = site.sql("SELECT JobId FROM Job WHERE JobStatus IN ('R', 'C')")?;
    ensure!(unfinished.is_empty(), "{unfinished:?}");
    for folder in [site.volumes(), site.far_volumes()] {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_file() {
                std::fs::remove_file(path)?;
            }
        }
    }
    clear_restored(site)?;
    expect_good(&held.restore(copy.id)?)?;
    compare_restored(site, &held.before)?.expect_equal()?;
    compare_restored(site, &held.after)?.expect_equal()?;
    Ok(copy.clone())
}

fn files_of_attempts(site: &Site, job: u32) -> Result<Vec<u64>> {
    let rows = site.sql(&format!("SELECT JobFiles FROM hf_attempt WHERE JobId = {job} ORDER BY Attempt"))?;
    rows.iter().map(|row| Ok(row[0].parse()?)).collect()
}

#[test]
fn a_job_on_two_storages_is_copied_from_both() -> Result<()> {
    let (held, original) = scattered(group(jobs("Copies")))?;
    expect_good(&run(&held.site, "CopyAll")?)?;
    let copy = restores_from_copy(&held, &original, 'C')?;
    let parts = files_of_attempts(&held.site, copy.id)?;
    ensure!(parts.len() == 2 && parts.iter().sum::<u64>() == original.files(), "{parts:?}");
    ensure!(parts.iter().all(|files| *files > 0), "{parts:?}");
    held.site.finish()
}

#[test]
fn a_job_on_two_storages_is_migrated_from_both() -> Result<()> {
    let (held, original) = scattered(group(jobs("Copies")))?;
    expect_good(&run(&held.site, "Migrate")?)?;
    ensure!(of_type(&held.site, 'M')?.len() == 1, "{}", held.site.job_log());
    restores_from_copy(&held, &original, 'B')?;
    held.site.finish()
}

/// What was stored twice, since its first place was lost, is copied once.
#[test]
fn a_job_that_has_lost_a_storage_for_good_is_copied() -> Result<()> {
    let mut held = Held::start(group(jobs("Copies")))?;
    wait_checkpoint(&held)?;
    held.site.kill(Role::Storage)?;
    held.release()?;
    drop(next_attempt(&held)?);
    let original = held.site.wait_job(held.job, wait::JOB)?;
    ensure!(original.status() == 'T', "{original:?}\n{}", held.site.job_log());
    ensure!(storages(&held.site, 1)? == ["Far"], "{:?}", storages(&held.site, 1)?);
    held.site.start_role(Role::Storage)?;
    expect_good(&run(&held.site, "CopyAll")?)?;
    let copy = restores_from_copy(&held, &original, 'C')?;
    let rows = held.site.sql(&format!("SELECT count(*) FROM File WHERE JobId = {}", copy.id))?;
    ensure!(rows == [[original.files().to_string()]], "{rows:?} {original:?}");
    held.site.finish()
}

/// A Director that takes over at a place between the parts, or in one, ends the copy.
fn director_killed_at(place: &str) -> Result<()> {
    let (mut held, original) = scattered(two(group(slowly())))?;
    held.site.arm(place, Act::Kill)?;
    let control = held.site.run("run job=CopyAll yes")?;
    held.site.wait_reached(place, wait::JOB)?;
    held.site.forget_instance("a")?;
    held.site.wait_active("b", "b", wait::START)?;
    expect_good(&held.site.wait_job(control, wait::JOB)?)?;
    let copy = restores_from_copy(&held, &original, 'C')?;
    let parts = files_of_attempts(&held.site, copy.id)?;
    ensure!(parts.iter().sum::<u64>() == original.files(), "files were read again: {parts:?}");
    held.site.finish()
}

#[test]
fn director_killed_before_the_first_part_is_noted() -> Result<()> {
    director_killed_at("director-part-uncommitted")
}

#[test]
fn director_killed_between_the_parts() -> Result<()> {
    director_killed_at("director-part-committed")
}

/// Waits until some of the second part is acknowledged. Gives the JobIds of control and written job.
fn in_second_part(site: &Site) -> Result<(u32, u32)> {
    let control = site.run("run job=CopyAll yes")?;
    let written = wait::until("files of the second part in the catalog", wait::JOB, || {
        let rows = site.sql(
            "SELECT Job.JobId FROM Job JOIN hf_attempt A ON A.JobId = Job.JobId JOIN File ON File.JobId = Job.JobId \
             WHERE Job.Type = 'C' AND Job.JobStatus = 'R' AND A.Attempt = 2 \
             GROUP BY Job.JobId, A.JobFiles HAVING count(*) > (SELECT JobFiles FROM hf_attempt WHERE Attempt = 1 AND JobId = Job.JobId) + 3",
        )?;
        Ok(rows.first().map(|row| row[0].clone()))
    })?;
    Ok((control, written.parse()?))
}

#[test]
fn director_killed_in_the_second_part() -> Result<()> {
    let (mut held, original) = scattered(two(group(slowly())))?;
    let (control, written) = in_second_part(&held.site)?;
    held.site.kill_instance("a")?;
    held.site.wait_active("b", "b", wait::START)?;
    expect_good(&held.site.wait_job(control, wait::JOB)?)?;
    let log = held.site.job_log();
    ensure!(log.contains("Director took over the running copy"), "{log}");
    ensure!(restores_from_copy(&held, &original, 'C')?.id == written);
    held.site.finish()
}

#[test]
fn reading_storage_daemon_killed_in_the_second_part() -> Result<()> {
    let (mut held, original) = scattered(group(slowly()))?;
    let (control, written) = in_second_part(&held.site)?;
    held.site.kill(Role::FarStorage)?;
    held.site.start_role(Role::FarStorage)?;
    let ended = held.site.wait_job(control, wait::JOB)?;
    ensure!("Ef".contains(ended.status()), "{ended:?}");
    let cut_off = held.site.job(written)?;
    ensure!(cut_off.status() == 'I', "{cut_off:?}\n{}", held.site.job_log());
    expect_good(&run(&held.site, "CopyAll")?)?;
    let copy = restores_from_copy(&held, &original, 'C')?;
    ensure!(copy.id == written, "{copy:?}");
    let parts = files_of_attempts(&held.site, written)?;
    let last = parts.last().context("attempts of the copy")?;
    ensure!(parts.len() == 3 && *last < original.files() - parts[0], "{parts:?}");
    held.site.finish()
}
