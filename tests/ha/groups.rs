//! Storage groups: which Storage a job takes, and how it goes on when that is lost (docs/storage-groups.md).

use anyhow::{Result, ensure};
use holdfast_tests::held::{FILES, Held, SURELY_SENT};
use holdfast_tests::lost::{Fate, moment};
use holdfast_tests::{compare_restored, expect_good, our_site, ours, plain_tree, scratch};
use testkit::site::{Act, Builder, Gate, JobRow, Maker, OpenGate, Role, Site, hosts};
use testkit::wait;

use crate::two;

/// Two Storage Daemons of ours in one group.
pub(crate) fn group() -> Builder {
    our_site().far_storage(Maker::Holdfast).pool("Storage = File1, Far")
}

/// The Storages on whose Volumes a job is.
pub(crate) fn storages(site: &Site, job: u32) -> Result<Vec<String>> {
    let rows = site.sql(&format!(
        "SELECT DISTINCT Storage.Name FROM JobMedia JOIN Media ON Media.MediaId = JobMedia.MediaId \
         JOIN Storage ON Storage.StorageId = Media.StorageId WHERE JobId = {job} ORDER BY Storage.Name"
    ))?;
    Ok(rows.into_iter().flatten().collect())
}

pub(crate) fn wait_checkpoint(held: &Held) -> Result<()> {
    wait::until("a checkpoint in the catalog", wait::START, || {
        let rows = held.site.sql("SELECT count(*) FROM File WHERE JobId = 1")?;
        Ok((rows[0][0].parse::<usize>()? >= SURELY_SENT).then_some(()))
    })
}

/// A job whose Storage Daemon is killed at the gate, and has checkpointed the files before it.
fn loses_its_storage(builder: Builder) -> Result<Held> {
    let mut held = Held::start(builder)?;
    lose_storage(&mut held)?;
    Ok(held)
}

/// The Storage Daemon of a held job is killed, and the job goes on without it.
pub(crate) fn lose_storage(held: &mut Held) -> Result<()> {
    wait_checkpoint(held)?;
    held.site.kill(Role::Storage)?;
    held.release()
}

/// The Storage Daemon of a held job is killed, and comes back when the job goes on with another one.
pub(crate) fn lose_storage_for_a_while(held: &mut Held) -> Result<()> {
    lose_storage(held)?;
    let gate = next_attempt(held)?;
    held.site.start_role(Role::Storage)?;
    drop(gate);
    Ok(())
}

/// Waits at the gate for the attempt that has taken the job on. The client of the one before has ended by then.
pub(crate) fn next_attempt(held: &Held) -> Result<OpenGate> {
    wait::until("the next attempt", wait::JOB, || {
        let rows = held.site.sql("SELECT count(*) FROM hf_attempt WHERE JobId = 1")?;
        Ok((rows[0][0] != "1").then_some(()))
    })?;
    Gate::existing(held.before.with_file_name("gate")).wait_reader(wait::JOB)
}

/// The job ends `T` with each file once, and restores without a difference.
pub(crate) fn ends_whole(held: &Held) -> Result<JobRow> {
    let end = held.site.wait_job(held.job, wait::JOB)?;
    ensure!(end.status() == 'T', "{end:?}\n{}", held.site.job_log());
    let all = 2 * FILES + 3;
    ensure!(end.files() as usize == all, "{} files in the row: {end:?}", end.files());
    let rows = held.site.sql("SELECT count(*), count(DISTINCT FileIndex) FROM File WHERE JobId = 1")?;
    let all = all.to_string();
    ensure!(rows == [[all.as_str(), all.as_str()]], "{rows:?}");
    expect_good(&held.restore(held.job)?)?;
    compare_restored(&held.site, &held.before)?.expect_equal()?;
    compare_restored(&held.site, &held.after)?.expect_equal()?;
    Ok(end)
}

fn files_of_attempts(site: &Site) -> Result<Vec<usize>> {
    let rows = site.sql("SELECT JobFiles FROM hf_attempt WHERE JobId = 1 ORDER BY Attempt")?;
    rows.iter().map(|row| Ok(row[0].parse()?)).collect()
}

pub(crate) fn storage_comes_back(builder: Builder) -> Result<()> {
    let mut held = Held::start(builder)?;
    lose_storage_for_a_while(&mut held)?;
    ends_whole(&held)?;
    ensure!(storages(&held.site, 1)? == ["Far", "File1"], "{:?}", storages(&held.site, 1)?);
    let files = files_of_attempts(&held.site)?;
    ensure!(files.len() == 2 && files[0] >= SURELY_SENT, "{files:?}");
    held.site.finish()
}

#[test]
fn a_killed_storage_that_comes_back_keeps_what_it_had() -> Result<()> {
    storage_comes_back(group())
}

pub(crate) fn storage_is_gone(builder: Builder) -> Result<()> {
    let mut held = loses_its_storage(builder)?;
    drop(next_attempt(&held)?);
    ends_whole(&held)?;
    ensure!(storages(&held.site, 1)? == ["Far"], "{:?}", storages(&held.site, 1)?);
    ensure!(files_of_attempts(&held.site)?.len() == 3, "{:?}", files_of_attempts(&held.site)?);
    held.site.forget(Role::Storage)?;
    held.site.finish()
}

#[test]
fn what_lay_on_a_storage_that_is_gone_is_stored_again() -> Result<()> {
    storage_is_gone(group())
}

#[test]
fn a_storage_that_comes_back_without_its_volumes_has_lost_them() -> Result<()> {
    let mut held = loses_its_storage(group())?;
    let gate = next_attempt(&held)?;
    std::fs::remove_dir_all(held.site.volumes())?;
    std::fs::create_dir(held.site.volumes())?;
    for folder in ["file1", "file2", "far"] {
        std::fs::create_dir_all(held.site.volumes().join(folder))?;
    }
    held.site.start_role(Role::Storage)?;
    drop(gate);
    ends_whole(&held)?;
    ensure!(storages(&held.site, 1)? == ["Far"], "{:?}", storages(&held.site, 1)?);
    held.site.finish()
}

/// Nobody is told that its host is gone: the Director looks for it.
#[test]
fn a_storage_whose_wire_is_cut_is_left() -> Result<()> {
    let mut held = Held::start(group().network())?;
    wait_checkpoint(&held)?;
    held.site.network()?.unplug(hosts::STORAGE)?;
    held.release()?;
    drop(next_attempt(&held)?);
    ends_whole(&held)?;
    ensure!(storages(&held.site, 1)? == ["Far"], "{:?}", storages(&held.site, 1)?);
    held.site.network()?.plug(hosts::STORAGE)?;
    // It is asked what it has left of jobs that are over, and told to give this one up.
    wait::until("the lost Storage Daemon to have no job", 2 * wait::JOB, || {
        let said = held.site.console(&["status storage=File1"])?;
        Ok(said.contains("No Jobs running.").then_some(()))
    })?;
    held.site.finish()
}

/// A daemon that stands still breaks no connection; when it goes on, nobody wants what it does.
#[test]
fn a_storage_that_stands_still_is_left() -> Result<()> {
    let mut held = Held::start(group())?;
    wait_checkpoint(&held)?;
    held.site.freeze(Role::Storage)?;
    held.release()?;
    let gate = next_attempt(&held)?;
    held.site.thaw(Role::Storage)?;
    drop(gate);
    ends_whole(&held)?;
    ensure!(storages(&held.site, 1)? == ["Far", "File1"], "{:?}", storages(&held.site, 1)?);
    held.site.finish()
}

/// The next attempt stores all of the job on the other Storage; the lost one does not come back.
fn ends_whole_at_far(mut held: Held) -> Result<()> {
    drop(next_attempt(&held)?);
    ends_whole(&held)?;
    ensure!(storages(&held.site, 1)? == ["Far"], "{:?}", storages(&held.site, 1)?);
    held.site.forget(Role::Storage)?;
    held.site.finish()
}

#[test]
fn with_a_stock_file_daemon() -> Result<()> {
    let held = loses_its_storage(group().client(Maker::Bacula9))?;
    ends_whole_at_far(held)
}

#[test]
fn a_storage_that_does_not_answer_is_passed_over() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 5, 3_000)?;
    let mut site = group().tree(&tree).start()?;
    site.kill(Role::Storage)?;
    let job = site.backup("Full")?;
    expect_good(&job)?;
    ensure!(storages(&site, job.id)? == ["Far"], "{:?}", storages(&site, job.id)?);
    ensure!(site.job_log().contains("Storage \"File1\" is passed over"), "{}", site.job_log());
    site.start_role(Role::Storage)?;
    let job = site.backup("Full")?;
    ensure!(storages(&site, job.id)? == ["File1"], "{:?}", storages(&site, job.id)?);
    site.finish()
}

#[test]
fn the_storage_written_to_longest_ago_is_next() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 5, 3_000)?;
    let site = group().pool("Storage Group Policy = LastBackedUpTo").tree(&tree).start()?;
    let mut used = Vec::new();
    for _ in 0..3 {
        let job = site.backup("Full")?;
        expect_good(&job)?;
        used.extend(storages(&site, job.id)?);
        // Start times are whole seconds.
        wait::next_second()?;
    }
    ensure!(used == ["File1", "Far", "File1"], "{used:?}");
    site.finish()
}

/// Seeds of moments; `cargo run -p holdfast-tests --bin groups` goes through many.
const SEEDS: [u64; 2] = [4, 11];

#[test]
fn at_random_moments_and_back() -> Result<()> {
    SEEDS.into_iter().try_for_each(|seed| moment(seed, ours(), Fate::Back).map(drop))
}

#[test]
fn at_random_moments_and_gone() -> Result<()> {
    SEEDS.into_iter().try_for_each(|seed| moment(seed, ours(), Fate::Gone).map(drop))
}

/// The Director ends at a place between two attempts; the next one finds a job that goes on.
fn director_killed_at(place: &str) -> Result<()> {
    let mut held = Held::start(two(group()))?;
    held.site.wait_active("b", "a", wait::START)?;
    wait_checkpoint(&held)?;
    held.site.arm(place, Act::Kill)?;
    held.site.kill(Role::Storage)?;
    held.release()?;
    held.site.wait_reached(place, wait::JOB)?;
    held.site.forget_instance("a")?;
    held.site.wait_active("b", "b", wait::START)?;
    ends_whole_at_far(held)
}

#[test]
fn the_director_dies_before_the_turn_is_committed() -> Result<()> {
    director_killed_at("director-failover-uncommitted")
}

#[test]
fn the_director_dies_between_two_attempts() -> Result<()> {
    director_killed_at("director-failover-committed")
}

/// Both at once: the next Director finds an attempt whose Storage does not answer.
#[test]
fn the_director_dies_with_the_storage() -> Result<()> {
    let mut held = Held::start(two(group()))?;
    held.site.wait_active("b", "a", wait::START)?;
    wait_checkpoint(&held)?;
    held.site.kill_instance("a")?;
    held.site.kill(Role::Storage)?;
    held.release()?;
    held.site.wait_active("b", "b", wait::START)?;
    let gate = next_attempt(&held)?;
    held.site.start_role(Role::Storage)?;
    drop(gate);
    ends_whole(&held)?;
    ensure!(storages(&held.site, 1)? == ["Far", "File1"], "{:?}", storages(&held.site, 1)?);
    held.site.finish()
}
