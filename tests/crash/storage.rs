//! The Storage Daemon is killed while a backup runs.

use anyhow::{Result, ensure};
use holdfast_tests::{NOTICE, compare_restored, expect_good, our_site};
use testkit::site::Role;

use holdfast_tests::held::Held;

#[test]
fn the_job_becomes_incomplete_and_the_next_one_runs() -> Result<()> {
    let mut held = Held::start(our_site())?;
    held.site.kill(Role::Storage)?;
    held.release()?;
    let job = held.site.wait_job(held.job, NOTICE)?;
    ensure!(
        held.site.is_running(Role::Director) && held.site.is_running(Role::Client),
        "another daemon ended too"
    );
    held.site.start_role(Role::Storage)?;
    ensure!(matches!(job.status(), 'I' | 'E' | 'f'), "{job:?}");
    let next = held.site.run("run job=Backup level=Full fileset=Tree yes")?;
    let gate = testkit::site::Gate::existing(held.before.with_file_name("gate"));
    drop(gate.wait_reader(testkit::wait::START)?);
    let next = held.site.wait_job(next, testkit::wait::JOB)?;
    expect_good(&next)?;
    expect_good(&held.restore(next.id)?)?;
    compare_restored(&held.site, &held.before)?.expect_equal()?;
    compare_restored(&held.site, &held.after)?.expect_equal()?;
    for volume in held.site.volume_names()? {
        let listed = held.site.bls(&volume, &["-j"])?;
        ensure!(!listed.contains("Fatal error"), "{listed}");
    }
    held.site.finish()
}

#[test]
fn told_to_stop_it_ends_the_job_at_a_checkpoint() -> Result<()> {
    let mut held = Held::start(our_site())?;
    held.site.stop(Role::Storage)?;
    held.release()?;
    let job = held.site.wait_job(held.job, NOTICE)?;
    ensure!(job.status() == 'I', "{job:?}");
    ensure!(job.files() as usize >= holdfast_tests::held::SURELY_SENT, "{job:?}");
    held.site.start_role(Role::Storage)?;
    let listed = held.site.bls("Vol-0001", &["-j"])?;
    ensure!(listed.contains("JobId=1"), "{listed}");
    held.site.finish()
}
