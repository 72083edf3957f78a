//! Schedules run.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use holdfast_tests::{expect_good, our_site, plain_tree, scratch};
use testkit::wait;

#[test]
fn a_due_run_starts_by_itself_once() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 5, 5000)?;
    // A minute has too few left seconds for the Director to start in: take the one after the next then.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let minute = (now + 15) / 60 % 60;
    let due = (minute + 1) % 60;
    let site = our_site()
        .tree(&tree)
        .extra(format!(
            "Schedule {{\n  Name = Soon\n  Run = Level=Full hourly at 0:{due:02}\n}}\n\
             Job {{ Name = Planned; JobDefs = Defaults; Schedule = Soon }}"
        ))
        .start()?;
    let status = site.console(&["status dir"])?;
    let planned = status.split("Scheduled Jobs").nth(1).context("no scheduled jobs in the status")?;
    ensure!(planned.contains("Planned"), "{status}");
    let bound = Duration::from_secs(150);
    wait::until("the scheduled job's start", bound, || {
        Ok((site.sql("SELECT count(*) FROM Job WHERE Name = 'Planned'")? == [["1"]]).then_some(()))
    })?;
    let job = site.wait_job(1, wait::JOB)?;
    expect_good(&job)?;
    ensure!(job.level() == 'F' && job.columns.get("name").is_some_and(|name| name == "Planned"), "{job:?}");
    assert_eq!(site.sql("SELECT count(*) FROM Job WHERE Name = 'Planned'")?, [["1"]]);
    site.finish()
}
