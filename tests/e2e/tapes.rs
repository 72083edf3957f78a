//! Tapes in files, behind a disk changer: the Storage Daemon's way with tapes, without a drive. `tests/tape` has drives.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use holdfast_tests::{NOTICE, clear_restored, compare_restored, expect_good, our_site, plain_tree, scratch};
use testkit::site::{Act, Role, Site};
use testkit::wait;

/// A tape takes so many bytes.
fn resources(tape_bytes: u64) -> String {
    format!(
        "Pool {{ Name = Lib; Pool Type = Backup; Recycle = yes; AutoPrune = no; Volume Retention = 1 year; \
         Maximum Volume Bytes = {tape_bytes} }}\nJob {{ Name = InLib; JobDefs = Defaults; Storage = Lib; Pool = Lib }}"
    )
}

fn start(tree: &Path, tape_bytes: u64) -> Result<Site> {
    let site = our_site()
        .library_of_tapes()
        .storage_daemon_if_ours("Checkpoint Interval = 1 second")
        .extra(resources(tape_bytes))
        .tree(tree)
        .start()?;
    let said = site.console(&["label barcodes storage=Lib pool=Lib drive=0 slots=1-4", "yes"])?;
    ensure!(said.contains("VolType=5"), "{said}");
    Ok(site)
}

fn back_up(site: &Site, level: &str) -> Result<u32> {
    let id = site.run(&format!("run job=InLib level={level} yes"))?;
    expect_good(&site.wait_job(id, wait::JOB)?)?;
    Ok(id)
}

fn restore(site: &Site, jobs: &str, tree: &Path) -> Result<()> {
    clear_restored(site)?;
    let command =
        format!("restore {jobs} client=kit-fd storage=Lib where={} all done yes", site.restored().display());
    let id = site.run(&command)?;
    expect_good(&site.wait_job(id, wait::JOB)?)?;
    compare_restored(site, tree)?.expect_equal()
}

#[test]
fn a_backup_goes_over_tapes_and_an_incremental_is_appended_after_a_restart() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 40, 50_000)?;
    // Of what is as old as the Full, the Incremental would take all.
    wait::next_second()?;
    let mut site = start(&tree, 1_500_000)?;
    back_up(&site, "Full")?;
    let used = "SELECT VolumeName, VolStatus, VolType, CASE WHEN VolFiles > 1 THEN 1 ELSE 0 END, \
                (SELECT min(StartFile) || ',' || min(StartBlock) FROM JobMedia WHERE JobMedia.MediaId = Media.MediaId) \
                FROM Media WHERE VolBytes > 100000 ORDER BY VolumeName";
    let first = site.sql(used)?;
    // The label is in file 0.
    let expected = [["LB0001", "Full", "5", "1", "1,0"], ["LB0002", "Append", "5", "1", "1,0"]]
        .map(|row| row.map(str::to_owned));
    ensure!(first == expected, "{first:?}");
    site.stop(Role::Storage)?;
    site.start_role(Role::Storage)?;
    std::fs::write(tree.join("later"), "more")?;
    let later = back_up(&site, "Incremental")?;
    let rows = format!(
        "SELECT VolumeName, StartBlock FROM JobMedia JOIN Media USING (MediaId) WHERE JobId = {later}"
    );
    let rows = site.sql(&rows)?;
    ensure!(rows == [["LB0002", "0"]], "{rows:?}");
    restore(&site, "fileset=Tree select current", &tree)?;
    site.finish()
}

#[test]
fn what_a_killed_daemon_leaves_on_a_tape_is_not_overwritten() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 40, 50_000)?;
    let mut site = start(&tree, 0)?;
    let before = back_up(&site, "Full")?;
    for place in ["storage-volume-written", "storage-volume-synced", "storage-session-written"] {
        site.arm(place, Act::Kill)?;
        let killed = site.run("run job=InLib level=Full yes")?;
        let job = site.wait_job(killed, NOTICE)?;
        ensure!(matches!(job.status(), 'I' | 'E' | 'f'), "{place}: {job:?}");
        site.start_role(Role::Storage)?;
        let after = back_up(&site, "Full")?;
        for id in [before, after] {
            restore(&site, &format!("jobid={id}"), &tree)?;
        }
    }
    let log = std::fs::read_to_string(site.dir().join("log/jobs.log"))?;
    ensure!(log.contains("The number of files mismatch!"), "no tail was found: {log}");
    let used = site.sql("SELECT VolumeName, VolStatus FROM Media WHERE VolBytes > 100000")?;
    ensure!(used == [["LB0001", "Append"]], "{used:?}");
    site.finish()
}

#[test]
fn tapes_of_a_drive_without_a_changer_are_asked_for() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 40, 50_000)?;
    let lone = resources(1_500_000).replace("Storage = Lib", "Storage = Drive");
    let site = our_site().lone_drive().extra(lone).tree(&tree).start()?;
    for name in ["T1", "T2"] {
        std::fs::write(site.tape_in_drive(), "")?;
        let said = site.console(&[&format!("label volume={name} pool=Lib storage=Drive slot=0 drive=0")])?;
        ensure!(said.contains("3000 OK label. VolBytes="), "{said}");
        site.console(&["unmount storage=Drive"])?;
        std::fs::rename(site.tape_in_drive(), shelf(&site, name))?;
        site.console(&["mount storage=Drive"])?;
    }
    // The Director would rather have the first; what is in the drive is taken.
    std::fs::rename(shelf(&site, "T2"), site.tape_in_drive())?;
    let id = site.run("run job=InLib level=Full yes")?;
    change(&site, "append", "T2", "T1")?;
    expect_good(&site.wait_job(id, wait::JOB)?)?;
    let used = site.sql("SELECT VolumeName FROM JobMedia JOIN Media USING (MediaId) ORDER BY JobMediaId")?;
    ensure!(used == [["T2"], ["T1"]], "{used:?}");
    let command = format!(
        "restore jobid={id} client=kit-fd storage=Drive where={} all done yes",
        site.restored().display()
    );
    let id = site.run(&command)?;
    change(&site, "read", "T1", "T2")?;
    change(&site, "read", "T2", "T1")?;
    expect_good(&site.wait_job(id, wait::JOB)?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    site.finish()
}

/// A tape that is not in the drive.
fn shelf(site: &Site, name: &str) -> PathBuf {
    site.dir().join(format!("shelf-{name}"))
}

/// Waits until a job asks for a tape, and puts it into the drive in the place of another.
fn change(site: &Site, for_what: &str, from: &str, to: &str) -> Result<()> {
    let asked = format!("Please mount {for_what} Volume \"{to}\"");
    wait::until(&asked, wait::JOB, || {
        let log = std::fs::read_to_string(site.dir().join("log/jobs.log")).unwrap_or_default();
        Ok(log.contains(&asked).then_some(()))
    })?;
    let said = site.console(&["unmount storage=Drive"])?;
    ensure!(said.contains("unmounted"), "{said}");
    std::fs::rename(site.tape_in_drive(), shelf(site, from))?;
    std::fs::rename(shelf(site, to), site.tape_in_drive())?;
    let said = site.console(&["mount storage=Drive"])?;
    ensure!(said.contains(&format!("is mounted with Volume \"{to}\"")), "{said}");
    Ok(())
}
