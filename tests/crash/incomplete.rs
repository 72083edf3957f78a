//! A job that lost a daemon is Incomplete, and its restart sends only the rest under the same JobId.

use anyhow::{Result, ensure};
use holdfast_tests::held::{FILES, Held, SURELY_SENT};
use holdfast_tests::{NOTICE, compare_restored, expect_good, our_site};
use testkit::site::{Builder, Gate, JobRow, Role};
use testkit::wait;

/// A job whose daemon is killed at the gate, and started again when the job has ended.
fn loses(role: Role, builder: Builder) -> Result<(Held, JobRow)> {
    let (mut held, job) = loses_for_good(role, builder)?;
    held.site.start_role(role)?;
    Ok((held, job))
}

fn loses_for_good(role: Role, builder: Builder) -> Result<(Held, JobRow)> {
    let mut held = Held::start(builder)?;
    // What is not checkpointed dies with the Storage Daemon.
    wait::until("a checkpoint in the catalog", wait::START, || {
        let rows = held.site.sql("SELECT count(*) FROM File WHERE JobId = 1")?;
        Ok((rows[0][0].parse::<usize>()? >= SURELY_SENT).then_some(()))
    })?;
    held.site.kill(role)?;
    held.release()?;
    // Not by the console's `wait`: a job that is rescheduled has not ended for it.
    let job = wait::until("the end of the first attempt", NOTICE, || {
        let ended = held.site.sql("SELECT State FROM hf_attempt WHERE JobId = 1 AND State = 'ended'")?;
        if ended.is_empty() { Ok(None) } else { held.site.job(held.job).map(Some) }
    })?;
    ensure!(job.status() == 'I' || held.site.job_log().contains("Rescheduled Job"), "{job:?}");
    ensure!(job.files() as usize >= SURELY_SENT, "{job:?}");
    Ok((held, job))
}

/// Lets the job that runs again pass the gate, and sees that it is whole.
fn ends_whole(held: &mut Held, first: &JobRow) -> Result<()> {
    let gate = Gate::existing(held.before.with_file_name("gate"));
    drop(gate.wait_reader(wait::START)?);
    let end = wait::until("the end of the second attempt", wait::JOB, || {
        let row = held.site.job(held.job)?;
        Ok("TEfA".contains(row.status()).then_some(row))
    })?;
    ensure!(end.status() == 'T', "{end:?}");
    // Two folders, the files, the FIFO.
    ensure!(end.files() as usize == 2 * FILES + 3, "{} files in the row: {end:?}", end.files());
    ensure!(end.bytes() > first.bytes(), "{first:?} {end:?}");
    let rows = held.site.sql(
        "SELECT count(*), count(DISTINCT FileIndex), min(FileIndex), max(FileIndex) FROM File WHERE JobId = 1",
    )?;
    let all = (2 * FILES + 3).to_string();
    ensure!(rows == [[all.as_str(), all.as_str(), "1", all.as_str()]], "{rows:?}");
    let names = held.site.sql(
        "SELECT count(*) FROM (SELECT PathId, Filename FROM File WHERE JobId = 1 GROUP BY PathId, Filename) AS versions",
    )?;
    ensure!(names == [[all.as_str()]], "files that are in the catalog twice: {names:?}");
    let sent = held.site.sql("SELECT JobFiles FROM hf_attempt WHERE JobId = 1 ORDER BY Attempt")?;
    ensure!(sent.len() == 2, "{sent:?}");
    ensure!(
        sent[1][0].parse::<usize>()? <= 2 * FILES + 3 - SURELY_SENT,
        "the second attempt sent too much: {sent:?}"
    );
    expect_good(&held.restore(held.job)?)?;
    compare_restored(&held.site, &held.before)?.expect_equal()?;
    compare_restored(&held.site, &held.after)?.expect_equal()
}

fn restarted_by_hand(role: Role) -> Result<()> {
    let (mut held, job) = loses(role, our_site())?;
    let said = held.site.console(&["restart incomplete jobid=1"])?;
    ensure!(said.contains("JobId=1"), "{said}");
    ends_whole(&mut held, &job)?;
    held.site.finish()
}

#[test]
fn restarted_by_hand_after_the_file_daemon_was_lost() -> Result<()> {
    restarted_by_hand(Role::Client)
}

#[test]
fn restarted_by_hand_after_the_storage_daemon_was_lost() -> Result<()> {
    restarted_by_hand(Role::Storage)
}

#[test]
fn rescheduled_by_itself() -> Result<()> {
    let rule = "Reschedule Incomplete Jobs = yes\n  Reschedule Interval = 3 seconds\n  Reschedule Times = 5";
    let (mut held, job) = loses(Role::Client, our_site().job(rule))?;
    ends_whole(&mut held, &job)?;
    held.site.finish()
}

/// A time that no test waits for.
const MUCH_LATER: &str = "Reschedule Incomplete Jobs = yes\n  Reschedule Interval = 1 day";

fn says(held: &Held, text: &str) -> Result<()> {
    let log = held.site.job_log();
    ensure!(log.contains(text), "“{text}” is not in:\n{log}");
    Ok(())
}

#[test]
fn goes_on_as_soon_as_its_storage_daemon_is_back() -> Result<()> {
    let (mut held, job) = loses(Role::Storage, our_site().job(MUCH_LATER))?;
    ends_whole(&mut held, &job)?;
    says(&held, "It goes on before that when Storage \"File1\" can be had again.")?;
    says(&held, "Storage \"File1\" can be had again; JobId 1 goes on.")?;
    held.site.finish()
}

#[test]
fn goes_on_when_its_storage_daemon_comes_back_under_another_director() -> Result<()> {
    let (mut held, job) = loses_for_good(Role::Storage, our_site().job(MUCH_LATER))?;
    wait::until("the job to wait for its Storage", wait::START, || {
        let said = held.site.console(&["status director"])?;
        Ok(said.contains("is waiting on Storage \"File1\", at most until").then_some(()))
    })?;
    held.site.kill(Role::Director)?;
    held.site.start_role(Role::Director)?;
    held.site.start_role(Role::Storage)?;
    ends_whole(&mut held, &job)?;
    held.site.finish()
}
