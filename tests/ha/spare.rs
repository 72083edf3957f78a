//! Cold spares and the Director's own failover (docs/cold-spare.md).

use anyhow::{Result, ensure};
use holdfast_tests::held::Held;
use holdfast_tests::{compare_restored, expect_good, our_site, plain_tree, scratch};
use std::path::{Path, PathBuf};
use testkit::site::{Act, Builder, Gate, Role, Site, Talk};
use testkit::wait;

use crate::groups::{ends_whole, lose_storage, lose_storage_for_a_while, next_attempt, storages};
use crate::two;

fn with_spare() -> Builder {
    our_site().cold_spare()
}

/// Brings the spare all Volumes of `File1`, which is killed.
fn lose_main(site: &mut Site) -> Result<()> {
    site.kill(Role::Storage)?;
    bring_volumes(site)
}

/// Brings the spare all Volumes of `File1`.
fn bring_volumes(site: &mut Site) -> Result<()> {
    site.stop(Role::FarStorage)?;
    for part in ["Vol-0001", ".holdfast/volumes/Vol-0001"] {
        std::fs::copy(site.volumes().join(part), site.far_volumes().join(part))?;
    }
    site.start_role(Role::FarStorage)
}

/// Who serves, in which storage epoch, and where the Volume is: three things that change together.
fn state(site: &Site) -> Result<[String; 3]> {
    let standing = site.sql("SELECT Serving, Epoch FROM hf_storage")?;
    let (serving, epoch) = match standing.first() {
        Some(row) => (row[0].clone(), row[1].clone()),
        None => ("File1".to_owned(), "1".to_owned()),
    };
    let place = site.sql(
        "SELECT Storage.Name FROM Media JOIN Storage ON Storage.StorageId = Media.StorageId WHERE VolumeName = 'Vol-0001'",
    )?;
    Ok([serving, epoch, place[0][0].clone()])
}

/// The active instance dies at a place of the change; the next one finds all of it, or nothing, and ends it when asked.
fn active_instance_dies_at(place: &str, serving_then: &str) -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 20, 20_000)?;
    let mut site = two(with_spare()).tree(&tree).start()?;
    site.wait_active("b", "a", wait::START)?;
    expect_good(&site.backup("Full")?)?;
    lose_main(&mut site)?;
    site.arm(place, Act::Kill)?;
    // Its answer may come from the next instance, or be that nobody knows.
    let _ = site.console_of("a", &["storage activate=Spare yes"]);
    site.wait_reached(place, wait::START)?;
    site.forget_instance("a")?;
    site.wait_active("b", "b", wait::START)?;
    let expected = match serving_then {
        "Spare" => ["Spare", "2", "Spare"],
        _ => ["File1", "1", "File1"],
    };
    ensure!(state(&site)? == expected, "{:?}", state(&site)?);
    let again = site.console_of("b", &["storage activate=Spare yes"])?;
    let says = if serving_then == "Spare" { "serves already" } else { "(storage epoch 2); 1 Volumes moved." };
    ensure!(again.contains(says), "{again}");
    ensure!(state(&site)? == ["Spare", "2", "Spare"], "{:?}", state(&site)?);
    let told = site.console_of("b", &["status cluster", "status cluster json"])?;
    for text in
        ["Since storage epoch", "\"serving\": \"Spare\"", "\"resting\": \"File1\"", "\"storage_epoch\": 2"]
    {
        let is_there = told.contains(text) || told.contains(&text.replace(": ", ":"));
        ensure!(is_there, "“{text}” is not in:\n{told}");
    }
    expect_good(&site.restore_current()?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    site.forget(Role::Storage)?;
    site.finish()
}

#[test]
fn the_active_instance_dies_before_the_place_is_changed() -> Result<()> {
    active_instance_dies_at("director-place-uncommitted", "File1")
}

#[test]
fn the_active_instance_dies_when_the_place_is_changed() -> Result<()> {
    active_instance_dies_at("director-place-changed", "Spare")
}

/// The plan is shown, and asks; what happens then comes between it and its commit.
fn shown_plan(site: &Site) -> Result<Talk> {
    site.arm("director-place-planned", Act::Pass)?;
    let talk = site.begin_open(&["storage activate=Spare"])?;
    site.wait_reached("director-place-planned", wait::START)?;
    Ok(talk)
}

fn agree(mut talk: Talk) -> Result<String> {
    talk.finish(&["yes"])?;
    Ok(talk.end(wait::JOB)?.text)
}

/// The Storage of an open attempt, behind `at:`: empty until the job has a session there and its client.
fn noted(site: &Site, job: u32) -> Result<Option<String>> {
    let rows =
        site.sql(&format!("SELECT 'at:' || Storage FROM hf_attempt WHERE JobId = {job} AND State = 'open'"))?;
    Ok(rows.into_iter().flatten().next())
}

fn site_with_backup(dir: &Path) -> Result<(Site, PathBuf)> {
    let tree = dir.join("tree");
    plain_tree(&tree, 20, 20_000)?;
    let site = with_spare().tree(&tree).start()?;
    expect_good(&site.backup("Full")?)?;
    Ok((site, tree))
}

/// The Storage Daemon has the job, the catalog does not know so yet: its client is slow.
fn starting(site: &mut Site, command: &str) -> Result<u32> {
    site.freeze(Role::Client)?;
    let job = site.run(command)?;
    wait::until("the Storage Daemon to have the job", wait::JOB, || {
        let said = site.console(&["status storage=File1"])?;
        Ok(said.contains(&format!("JobId={job} ")).then_some(()))
    })?;
    ensure!(noted(site, job)?.as_deref() == Some("at:"), "{:?}", noted(site, job)?);
    Ok(job)
}

fn started_again(site: &Site) -> Result<()> {
    let log = site.job_log();
    let says = "The place of its Storage was changed while this job was starting; it starts again.";
    ensure!(log.contains(says), "{log}");
    Ok(())
}

#[test]
fn a_backup_that_starts_while_the_place_changes_goes_to_the_spare() -> Result<()> {
    let dir = scratch()?;
    let (mut site, tree) = site_with_backup(dir.path())?;
    let talk = shown_plan(&site)?;
    let job = starting(&mut site, "run job=Backup level=Full yes")?;
    let said = agree(talk)?;
    ensure!(said.contains("serves in the place of \"File1\" (storage epoch 2)"), "{said}");
    site.thaw(Role::Client)?;
    let end = site.wait_job(job, wait::JOB)?;
    ensure!(end.status() == 'T', "{end:?}\n{}", site.job_log());
    ensure!(storages(&site, job)? == ["Spare"], "{:?}\n{}", storages(&site, job)?, site.job_log());
    started_again(&site)?;
    expect_good(&site.restore_current()?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    wait::until("the Storage that was left to have no job", 2 * wait::JOB, || {
        let said = site.console(&["status storage=File1"])?;
        Ok(said.contains("No Jobs running.").then_some(()))
    })?;
    site.finish()
}

#[test]
fn a_restore_that_starts_while_the_place_changes_reads_from_the_spare() -> Result<()> {
    let dir = scratch()?;
    let (mut site, tree) = site_with_backup(dir.path())?;
    bring_volumes(&mut site)?;
    let talk = shown_plan(&site)?;
    let job = starting(&mut site, "restore client=kit-fd fileset=Tree select current all done yes")?;
    let said = agree(talk)?;
    ensure!(said.contains("(storage epoch 2); 1 Volumes moved."), "{said}");
    site.kill(Role::Storage)?;
    site.thaw(Role::Client)?;
    expect_good(&site.wait_job(job, wait::JOB)?)?;
    started_again(&site)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    site.forget(Role::Storage)?;
    site.finish()
}

#[test]
fn the_place_is_not_changed_under_a_job_that_has_started_since_the_plan() -> Result<()> {
    let mut held = Held::start(with_spare())?;
    // The job was there before: it stands against the plan itself.
    let refused = held.site.console(&["storage activate=Spare yes"])?;
    ensure!(refused.contains("Nothing was done."), "{refused}");
    held.release()?;
    expect_good(&held.site.wait_job(held.job, wait::JOB)?)?;
    let talk = shown_plan(&held.site)?;
    let gate = Gate::existing(held.before.with_file_name("gate"));
    let job = held.site.run("run job=Backup level=Full yes")?;
    let open = gate.wait_reader(wait::JOB)?;
    let said = agree(talk)?;
    ensure!(said.contains("jobs or Volumes have changed since the plan was made"), "{said}");
    ensure!(held.site.sql("SELECT Serving FROM hf_storage")?.is_empty());
    drop(open);
    expect_good(&held.site.wait_job(job, wait::JOB)?)?;
    ensure!(storages(&held.site, job)? == ["File1"], "{:?}", storages(&held.site, job)?);
    held.site.finish()
}

/// It was planned with its Volume at the Storage that is lost then, and starts when the spare has its place.
#[test]
fn a_queued_restore_reads_from_the_spare() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 20, 20_000)?;
    let gate = Gate::create(dir.path().join("gate"))?;
    let hold = format!(
        "Job {{ Name = Hold; Type = Admin; JobDefs = Defaults; Run Before Job = \"/bin/cat {}\" }}",
        gate.path().display()
    );
    let mut site = with_spare().jobs_at_once(1).extra(hold).tree(&tree).start()?;
    expect_good(&site.backup("Full")?)?;
    let hold = site.run("run job=Hold yes")?;
    let open = gate.wait_reader(wait::JOB)?;
    let job = site.run("restore client=kit-fd fileset=Tree select current all done yes")?;
    lose_main(&mut site)?;
    let said = site.console(&["storage activate=Spare yes"])?;
    ensure!(said.contains("1 Volumes moved."), "{said}");
    drop(open);
    site.wait_job(hold, wait::JOB)?;
    expect_good(&site.wait_job(job, wait::JOB)?)?;
    let log = site.job_log();
    ensure!(log.contains("Storage \"Spare\" serves in the place of \"File1\"."), "{log}");
    compare_restored(&site, &tree)?.expect_equal()?;
    site.forget(Role::Storage)?;
    site.finish()
}

/// `File2` is on the daemon that is killed, `File1` served by its spare.
#[test]
fn a_job_goes_on_at_the_spare_that_serves_in_its_group() -> Result<()> {
    let builder = with_spare().pool("Storage = File2, File1");
    let (mut held, ()) = Held::start_managed(builder, |site| {
        let said = site.console(&["storage activate=Spare yes"])?;
        ensure!(said.contains("(storage epoch 2)"), "{said}");
        Ok(())
    })?;
    lose_storage_for_a_while(&mut held)?;
    ends_whole(&held)?;
    ensure!(storages(&held.site, 1)? == ["File2", "Spare"], "{:?}", storages(&held.site, 1)?);
    held.site.finish()
}

/// Of a pair that stands in one group, the job has the one that serves, once.
#[test]
fn a_group_may_name_both_of_a_pair() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 5, 20_000)?;
    let mut site = with_spare().pool("Storage = Spare, File1").tree(&tree).start()?;
    expect_good(&site.backup("Full")?)?;
    ensure!(storages(&site, 1)? == ["File1"], "{}", site.job_log());
    lose_main(&mut site)?;
    let said = site.console(&["storage activate=Spare yes"])?;
    ensure!(said.contains("1 Volumes moved."), "{said}");
    wait::next_second()?;
    expect_good(&site.backup("Full")?)?;
    ensure!(storages(&site, 2)? == ["Spare"], "{}", site.job_log());
    expect_good(&site.restore_current()?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    site.forget(Role::Storage)?;
    site.finish()
}

/// An Incomplete job waits for its Storage, and the spare has its Volumes.
fn waits_for_its_storage(builder: Builder) -> Result<Held> {
    let later = "Reschedule Incomplete Jobs = yes\n  Reschedule Interval = 1 day";
    let mut held = Held::start(builder.job(later))?;
    lose_storage(&mut held)?;
    wait::until("the job to wait for its Storage", wait::JOB, || {
        let said = held.site.console(&["status director"])?;
        Ok(said.contains("is waiting on Storage \"File1\", at most until").then_some(()))
    })?;
    bring_volumes(&mut held.site)?;
    Ok(held)
}

fn goes_on_at_the_spare(mut held: Held) -> Result<()> {
    drop(next_attempt(&held)?);
    ends_whole(&held)?;
    ensure!(storages(&held.site, 1)? == ["Spare"], "{:?}", storages(&held.site, 1)?);
    held.site.forget(Role::Storage)?;
    held.site.finish()
}

#[test]
fn an_incomplete_job_goes_on_at_the_spare() -> Result<()> {
    let held = waits_for_its_storage(with_spare())?;
    let said = held.site.console(&["storage activate=Spare yes"])?;
    ensure!(said.contains("1 Volumes moved."), "{said}");
    goes_on_at_the_spare(held)
}

/// The next instance knows of the change from the catalog alone.
#[test]
fn an_incomplete_job_goes_on_at_the_spare_when_the_active_instance_dies() -> Result<()> {
    let mut held = waits_for_its_storage(two(with_spare()))?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.arm("director-place-changed", Act::Kill)?;
    // Its answer may come from the next instance, or be that nobody knows.
    let _ = held.site.console_of("a", &["storage activate=Spare yes"]);
    held.site.wait_reached("director-place-changed", wait::START)?;
    held.site.forget_instance("a")?;
    held.site.wait_active("b", "b", wait::START)?;
    goes_on_at_the_spare(held)
}
