//! The Director is killed while a backup runs: the job goes on, and the next Director brings it to its end.

use anyhow::{Result, ensure};
use holdfast_tests::{compare_restored, our_site};
use testkit::site::{Builder, Maker, Role};
use testkit::wait;

use holdfast_tests::held::Held;

fn a_new_director_takes_the_job_up(builder: Builder, while_away: bool) -> Result<()> {
    let mut held = Held::start(builder)?;
    held.site.kill(Role::Director)?;
    if while_away {
        held.release()?; // the data path goes on without a Director
    }
    held.site.start_role(Role::Director)?;
    if !while_away {
        held.release()?;
    }
    let job = held.site.wait_job(held.job, wait::JOB)?;
    ensure!(job.status() == 'T', "{job:?}");
    ensure!(job.errors() == 0, "{job:?}");
    let rows = held
        .site
        .sql("SELECT FileIndex, count(*) FROM File WHERE JobId = 1 GROUP BY FileIndex HAVING count(*) > 1")?;
    ensure!(rows.is_empty(), "files that are in the catalog twice: {rows:?}");
    let said = held.site.sql(
        "SELECT LogText FROM Log WHERE JobId = 1 AND (LogText LIKE '%Connected to Storage%' OR LogText LIKE '%FileSet:%')",
    )?;
    let count = |text: &str| said.iter().filter(|row| row[0].contains(text)).count();
    // What a stock client says while no Director is there is lost; nothing is ever there twice.
    ensure!(count("Connected to Storage") <= 1, "{said:?}");
    ensure!(held.site.maker(Role::Client).is_bacula() || count("Connected to Storage") == 1, "{said:?}");
    ensure!(count("\"Tree\" 20") == 1, "the report lacks the FileSet's time: {said:?}");
    let restore = held.restore(held.job)?;
    ensure!(restore.status() == 'T', "{restore:?}");
    compare_restored(&held.site, &held.before)?.expect_equal()?;
    compare_restored(&held.site, &held.after)?.expect_equal()?;
    let listed = held.site.bls("Vol-0001", &["-j"])?;
    ensure!(listed.contains("JobId=1"), "{listed}");
    held.site.finish()
}

#[test]
fn killed_and_started_again_while_the_job_runs() -> Result<()> {
    a_new_director_takes_the_job_up(our_site(), false)
}

#[test]
fn killed_and_the_job_goes_on_without_it() -> Result<()> {
    a_new_director_takes_the_job_up(our_site(), true)
}

#[test]
fn killed_and_started_again_with_a_stock_file_daemon() -> Result<()> {
    a_new_director_takes_the_job_up(our_site().client(Maker::Bacula9), false)
}

#[test]
fn killed_and_the_job_goes_on_with_a_stock_file_daemon() -> Result<()> {
    a_new_director_takes_the_job_up(our_site().client(Maker::Bacula9), true)
}

#[test]
fn stopped_in_good_order_it_leaves_the_job_to_the_next() -> Result<()> {
    let mut held = Held::start(our_site())?;
    held.site.stop(Role::Director)?;
    held.release()?;
    held.site.start_role(Role::Director)?;
    let job = held.site.wait_job(held.job, wait::JOB)?;
    ensure!(job.status() == 'T', "{job:?}");
    held.site.finish()
}
