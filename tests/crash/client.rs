//! The File Daemon is killed while a backup runs.

use anyhow::{Result, ensure};
use holdfast_tests::{NOTICE, compare_restored, expect_good, our_site, ours};
use testkit::site::Role;

use holdfast_tests::held::{Held, SURELY_SENT};

#[test]
fn the_job_becomes_incomplete_with_what_was_sent_and_the_next_one_runs() -> Result<()> {
    let mut held = Held::start(our_site())?;
    held.site.kill(Role::Client)?;
    held.release()?;
    let job = held.site.wait_job(held.job, NOTICE)?;
    ensure!(
        held.site.is_running(Role::Director) && held.site.is_running(Role::Storage),
        "another daemon ended too"
    );
    if !ours().is_bacula() {
        ensure!(job.status() == 'I', "{job:?}");
        ensure!(job.files() as usize >= SURELY_SENT, "{job:?}");
    }
    held.site.start_role(Role::Client)?;
    let next = held.site.run("run job=Backup level=Full yes")?;
    let gate = testkit::site::Gate::existing(held.before.with_file_name("gate"));
    drop(gate.wait_reader(testkit::wait::START)?);
    expect_good(&held.site.wait_job(next, testkit::wait::JOB)?)?;
    expect_good(&held.restore(next)?)?;
    compare_restored(&held.site, &held.before)?.expect_equal()?;
    let listed = held.site.bls("Vol-0001", &["-j"])?;
    ensure!(listed.contains("JobId=1") && listed.contains("JobId=2"), "{listed}");
    held.site.finish()
}
