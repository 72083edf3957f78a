//! The catalog on PostgreSQL: the same jobs, and a server that goes away in the middle of one.

use anyhow::{Context, Result, ensure};
use holdfast_tests::held::Held;
use holdfast_tests::{
    compare_restored, expect_good, full_incremental_restore_list, our_site, plain_tree, scratch,
};
use testkit::site::Role;
use testkit::wait;

#[test]
fn backup_restore_and_lists_with_the_catalog_on_postgresql() -> Result<()> {
    full_incremental_restore_list(our_site().postgres())
}

#[test]
fn commands_that_ask_the_catalog_answer_from_postgresql() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 30, 1000)?;
    let site = our_site().postgres().tree(&tree).start()?;
    expect_good(&site.backup("Full")?)?;
    let path = format!("{}/", tree.display());
    for (commands, expected) in [
        (vec!["list jobs"], "| T"),
        (vec!["llist jobs"], "jobtdate"),
        (vec!["list jobtotals"], "Backup"),
        (vec!["list jobmedia"], "Vol-0001"),
        (vec!["list joblog jobid=1"], "Termination"),
        (vec!["list files jobid=1"], "file-0003"),
        (vec!["list volumes"], "Vol-0001"),
        (vec!["llist pool=File"], "labelformat"),
        (vec!["list clients"], "kit-fd"),
        (
            vec![
                "sqlquery",
                "SELECT count(*) AS n, sum(JobBytes) AS bytes, now() > StartTime AS past FROM Job GROUP BY StartTime;",
                "",
            ],
            "past",
        ),
        (vec!["sqlquery", "DELETE FROM Job;", ""], "read-only transaction"),
        (vec![".bvfs_update jobid=1", &format!(".bvfs_lsfiles jobid=1 path={path}")], "file-0003"),
        (
            vec![".bvfs_update jobid=1", &format!(".bvfs_lsdirs jobid=1 path={}/", dir.path().display())],
            "tree/",
        ),
        (vec!["update stats days=0"], "Updating"),
        (vec!["estimate job=Backup level=Incremental accurate=yes"], "files="),
        (vec!["prune volume=Vol-0001 yes"], ""),
        (vec!["purge volume=Vol-0001"], "purged"),
        (vec!["delete volume=Vol-0001 yes"], ""),
    ] {
        let output = site.console(&commands)?;
        ensure!(output.contains(expected), "{commands:?} lacks “{expected}”:\n{output}");
    }
    ensure!(site.sql("SELECT count(*) FROM Media")? == [["0"]], "the Volume was deleted");
    ensure!(site.sql("SELECT count(*) FROM File")? == [["0"]], "its job's files are gone");
    site.finish()
}

/// The server is killed while a job runs, and comes back when File Daemon and Storage Daemon have long sent everything.
#[test]
fn a_job_lives_through_the_loss_of_its_catalog() -> Result<()> {
    let mut held = Held::start(our_site().postgres())?;
    held.site.postgres().context("the site has a server")?.kill()?;
    held.release()?;
    let least = (2 * holdfast_tests::held::FILES * 200_000) as u64;
    let volume = held.site.volume_file("Vol-0001");
    wait::until("all files on the Volume", wait::JOB, || {
        Ok(std::fs::metadata(&volume).is_ok_and(|meta| meta.len() >= least).then_some(()))
    })?;
    // A person is not kept waiting for a server that is away.
    let output = held.site.console(&["list jobs"])?;
    ensure!(output.contains("is away"), "{output}");
    held.site.postgres().context("the site has a server")?.resume()?;
    let job = held.site.wait_job(held.job, wait::JOB)?;
    ensure!(job.status() == 'T' && job.errors() == 0, "{job:?}");
    let restore = held.restore(held.job)?;
    ensure!(restore.status() == 'T', "{restore:?}");
    compare_restored(&held.site, &held.before)?.expect_equal()?;
    compare_restored(&held.site, &held.after)?.expect_equal()?;
    held.site.restart(Role::Director)?;
    ensure!(held.site.job(held.job)?.status() == 'T', "the job is there after a restart");
    held.site.finish()
}
