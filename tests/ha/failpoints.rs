//! A daemon ends between two steps that belong together.

use anyhow::{Result, ensure};
use holdfast_tests::audit::{Trees, audit};
use holdfast_tests::held::Held;
use holdfast_tests::{expect_good, our_site, plain_tree, scratch};
use testkit::site::{Act, Builder, Role};
use testkit::wait;

use crate::two;

/// The active Director ends at a place that every backup over several Volumes comes to; the job ends well all the same.
pub(crate) fn director_killed_at(place: &str, builder: Builder) -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 40, 100_000)?;
    let mut site = two(builder)
        .tree(&tree)
        .pool("Maximum Volume Bytes = 1500000")
        .storage_daemon("Checkpoint Interval = 1 second")
        .start()?;
    site.wait_active("b", "a", wait::START)?;
    site.arm(place, Act::Kill)?;
    let job = site.run("run job=Backup level=Full yes")?;
    site.wait_reached(place, wait::START)?;
    site.forget_instance("a")?;
    site.wait_active("b", "b", wait::START)?;
    site.start_instance("a")?;
    expect_good(&site.wait_job(job, wait::JOB)?)?;
    audit(&site, &Trees::of(&[&tree]))?;
    site.finish()
}

#[test]
fn director_killed_before_a_batch_is_committed() -> Result<()> {
    director_killed_at("director-journal-uncommitted", our_site())
}

#[test]
fn director_killed_before_a_batch_is_acknowledged() -> Result<()> {
    director_killed_at("director-journal-committed", our_site())
}

#[test]
fn director_killed_before_a_volume_is_answered() -> Result<()> {
    director_killed_at("director-volume-decided", our_site())
}

#[test]
fn director_killed_before_the_end_is_committed() -> Result<()> {
    director_killed_at("director-end-uncommitted", our_site())
}

#[test]
fn director_killed_before_the_end_is_acknowledged() -> Result<()> {
    director_killed_at("director-end-committed", our_site())
}

/// The answer is in the catalog and was not sent; the Storage Daemon waits for it in the middle of the job.
#[test]
fn director_killed_before_a_volume_change_is_answered() -> Result<()> {
    let mut held = Held::start(two(our_site()).pool("Maximum Volume Bytes = 10000000"))?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.arm("director-volume-decided", Act::Kill)?;
    held.release()?;
    held.site.wait_reached("director-volume-decided", wait::START)?;
    held.site.forget_instance("a")?;
    held.site.wait_active("b", "b", wait::START)?;
    expect_good(&held.site.wait_job(held.job, wait::JOB)?)?;
    ensure!(held.site.volume_names()?.len() > 1, "no Volume was changed");
    audit(&held.site, &held.trees())?;
    held.site.finish()
}

/// The Storage Daemon ends there: the job is Incomplete or failed, what the catalog has of it is true, and the next one runs.
fn storage_killed_at(place: &str) -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 40, 100_000)?;
    let mut site = two(our_site())
        .tree(&tree)
        .pool("Maximum Volume Bytes = 1500000")
        .storage_daemon("Checkpoint Interval = 1 second")
        .start()?;
    site.wait_active("b", "a", wait::START)?;
    expect_good(&site.backup("Full")?)?;
    site.arm(place, Act::Kill)?;
    let job = site.run("run job=Backup level=Full yes")?;
    site.wait_reached(place, wait::START)?;
    site.forget(Role::Storage)?;
    site.start_role(Role::Storage)?;
    let job = site.wait_job(job, wait::JOB)?;
    ensure!(matches!(job.status(), 'I' | 'f' | 'E' | 'T'), "{job:?}");
    expect_good(&site.backup("Full")?)?;
    audit(&site, &Trees::of(&[&tree]))?;
    site.finish()
}

#[test]
fn storage_killed_when_a_block_is_written() -> Result<()> {
    storage_killed_at("storage-volume-written")
}

#[test]
fn storage_killed_between_volume_and_journal() -> Result<()> {
    storage_killed_at("storage-volume-synced")
}

#[test]
fn storage_killed_at_a_volume_change() -> Result<()> {
    storage_killed_at("storage-volume-left")
}

#[test]
fn storage_killed_when_the_session_is_written() -> Result<()> {
    storage_killed_at("storage-session-written")
}

#[test]
fn storage_killed_before_the_end_is_recorded() -> Result<()> {
    storage_killed_at("storage-end-unrecorded")
}

#[test]
fn storage_killed_when_a_label_is_begun() -> Result<()> {
    storage_killed_at("storage-label-truncated")
}

#[test]
fn storage_killed_when_a_label_is_written() -> Result<()> {
    storage_killed_at("storage-label-written")
}

/// A daemon ends while a purged Volume is truncated. The same command is done once more, and the Volume is used again.
fn killed_at_a_truncate(place: &str, role: Role) -> Result<()> {
    const TRUNCATE: &str = "truncate allpools storage=File1 drive=0";
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 20, 30_000)?;
    let mut site = two(our_site()).pool("Action On Purge = Truncate").tree(&tree).start()?;
    site.wait_active("b", "a", wait::START)?;
    expect_good(&site.backup("Full")?)?;
    site.console(&["purge volume=Vol-0001"])?;
    site.arm(place, Act::Kill)?;
    // The console loses a daemon in the middle of the command.
    let _ = site.console_of("a", &[TRUNCATE]);
    site.wait_reached(place, wait::START)?;
    if role == Role::Storage {
        site.forget(role)?;
        site.start_role(role)?;
    } else {
        site.forget_instance("a")?;
        site.wait_active("b", "b", wait::START)?;
        site.start_instance("a")?;
    }
    let said = site.console(&[TRUNCATE])?;
    ensure!(said.contains("The volume \"Vol-0001\" has been truncated"), "{said}");
    expect_good(&site.backup("Full")?)?;
    ensure!(site.volume_names()?.len() == 1, "the Volume was not used again: {:?}", site.volume_names()?);
    audit(&site, &Trees::of(&[&tree]))?;
    site.finish()
}

#[test]
fn director_killed_before_a_truncate_is_sent() -> Result<()> {
    killed_at_a_truncate("director-relabel-decided", Role::Director)
}

#[test]
fn director_killed_before_a_truncate_is_in_the_catalog() -> Result<()> {
    killed_at_a_truncate("director-relabel-answered", Role::Director)
}

#[test]
fn storage_killed_when_a_truncate_is_begun() -> Result<()> {
    killed_at_a_truncate("storage-label-truncated", Role::Storage)
}

#[test]
fn storage_killed_when_a_truncate_is_written() -> Result<()> {
    killed_at_a_truncate("storage-label-written", Role::Storage)
}

/// The Director ends in the middle of a `label` or `relabel` to Volume `Vol-0007`. What was done is found out by the next one, what was
/// not done is done by the same command.
fn killed_at_a_label(command: &str, place: &str, is_done: bool) -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 20, 30_000)?;
    let mut site = two(our_site()).tree(&tree).start()?;
    site.wait_active("b", "a", wait::START)?;
    expect_good(&site.backup("Full")?)?;
    // Of which nothing can be used any more, so that the next job takes the new one.
    site.console(&["purge volume=Vol-0001", "update volume=Vol-0001 recycle=no"])?;
    site.arm(place, Act::Kill)?;
    // The console loses its Director in the middle of the command.
    let _ = site.console_of("a", &[command]);
    site.wait_reached(place, wait::START)?;
    site.forget_instance("a")?;
    site.wait_active("b", "b", wait::START)?;
    site.start_instance("a")?;
    if is_done {
        wait::until("the row of the new Volume", wait::START, || {
            let rows = site.sql("SELECT VolStatus FROM Media WHERE VolumeName = 'Vol-0007'")?;
            Ok((rows == [["Append"]]).then_some(()))
        })?;
    } else {
        let said = site.console(&[command])?;
        ensure!(said.contains("3000 OK label") && said.contains("successfully created"), "{said}");
    }
    expect_good(&site.backup("Full")?)?;
    let is_relabel = command.starts_with("relabel");
    let names = if is_relabel { vec!["Vol-0007"] } else { vec!["Vol-0001", "Vol-0007"] };
    ensure!(site.volume_names()? == names, "{:?}", site.volume_names()?);
    let rows = site.sql("SELECT VolumeName FROM Media ORDER BY VolumeName")?;
    ensure!(rows.concat() == names, "{rows:?}");
    let left = site.sql("SELECT Name FROM hf_operator WHERE Kind = 'labelling'")?;
    ensure!(left.is_empty(), "notes that are left: {left:?}");
    audit(&site, &Trees::of(&[&tree]))?;
    site.finish()
}

const LABEL: &str = "label storage=File1 drive=0 pool=File volume=Vol-0007 slot=0";
const RELABEL: &str = "relabel storage=File1 drive=0 oldvolume=Vol-0001 volume=Vol-0007 pool=File";

#[test]
fn director_killed_before_a_label_is_sent() -> Result<()> {
    killed_at_a_label(LABEL, "director-label-decided", false)
}

#[test]
fn director_killed_before_a_label_is_in_the_catalog() -> Result<()> {
    killed_at_a_label(LABEL, "director-label-answered", true)
}

#[test]
fn director_killed_before_a_relabel_is_sent() -> Result<()> {
    killed_at_a_label(RELABEL, "director-relabel-decided", false)
}

#[test]
fn director_killed_before_a_relabel_is_in_the_catalog() -> Result<()> {
    killed_at_a_label(RELABEL, "director-relabel-answered", true)
}
