//! Due runs while no Director is there, and while it dies: each happens once (DESIGN §4 "Schedule ledger").

use std::time::SystemTime;

use anyhow::{Context, Result, ensure};
use holdfast_tests::{expect_good, our_site, plain_tree, scratch};
use testkit::site::{Builder, Role, Site};
use testkit::wait;

/// Due every hour, the last time ten minutes ago; runs of the last two hours are made up.
fn hourly(dir: &std::path::Path) -> Result<Builder> {
    plain_tree(&dir.join("tree"), 5, 5000)?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    // Every offset of a time zone is of whole quarters of an hour; the runs are by the local clock.
    let minute = (now / 60 + 50) % 60;
    Ok(our_site()
        .tree(dir.join("tree"))
        .director_resource("Missed Run Window = 2 hours")
        .environment("TZ", "UTC")
        .extra(format!(
            "Schedule {{\n  Name = Hourly\n  Run = Level=Full hourly at 0:{minute:02}\n}}\n\
             Job {{ Name = Planned; JobDefs = Defaults; Schedule = Hourly }}\n\
             Job {{ Name = Plain; JobDefs = Defaults }}"
        )))
}

/// Waits until the pair has a watermark: from then on nothing is due that is past.
fn first_look(site: &Site) -> Result<()> {
    site.console(&["status dir"])?; // the catalog is there when the Director answers
    wait::until("the first look at the schedule", wait::START, || {
        Ok((!site.sql("SELECT Until FROM hf_watermark")?.is_empty()).then_some(()))
    })
}

fn planned(site: &Site) -> Result<usize> {
    Ok(site.sql("SELECT JobId FROM Job WHERE Name = 'Planned'")?.len())
}

fn wait_planned(site: &Site, count: usize) -> Result<()> {
    wait::until("the scheduled jobs", wait::JOB, || {
        let rows = site.sql("SELECT JobId FROM Job WHERE Name = 'Planned' AND JobStatus = 'T'")?;
        Ok((rows.len() == count).then_some(()))
    })
}

#[test]
fn what_was_missed_is_made_up_once_within_the_window() -> Result<()> {
    let dir = scratch()?;
    let mut site = hourly(dir.path())?.start()?;
    first_look(&site)?;
    site.stop(Role::Director)?;
    site.tamper("UPDATE hf_watermark SET Until = Until - 5 * 3600")?;
    site.start_role(Role::Director)?;
    wait_planned(&site, 2)?;
    let log = std::fs::read_to_string(site.dir().join("log/daemon.log"))?;
    let count = |text: &str| log.matches(text).count();
    ensure!(count("while no Director was active; it is started now") == 2, "{log}");
    ensure!(count("missed 3 run(s), the last of them due at") == 1, "{log}");
    site.restart(Role::Director)?;
    expect_good(&site.wait_job(site.run("run job=Plain level=Full yes")?, wait::JOB)?)?;
    ensure!(planned(&site)? == 2, "a run happened twice");
    site.finish()
}

/// The one that starts the missed runs dies over it, again and again.
#[test]
fn a_director_that_dies_while_it_starts_them_loses_and_doubles_none() -> Result<()> {
    let dir = scratch()?;
    let mut site = hourly(dir.path())?.start()?;
    first_look(&site)?;
    site.stop(Role::Director)?;
    site.tamper("UPDATE hf_watermark SET Until = Until - 5 * 3600")?;
    for least in 1..=2 {
        site.start_role(Role::Director)?;
        wait::until("a scheduled job", wait::JOB, || Ok((planned(&site)? >= least).then_some(())))?;
        site.kill(Role::Director)?;
    }
    site.start_role(Role::Director)?;
    wait_planned(&site, 2)?;
    let due = site.sql("SELECT DueAt, JobId FROM hf_due WHERE Job = 'Planned' ORDER BY DueAt")?;
    let at = |row: usize| due[row][0].parse::<i64>().context("a due time");
    ensure!(due.len() == 2 && at(1)? - at(0)? == 3600, "{due:?}");
    ensure!(planned(&site)? == 2, "a run happened twice");
    site.finish()
}
