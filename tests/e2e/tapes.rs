//! Tapes in files, behind a disk changer: the Storage Daemon's way with tapes, without a drive. `tests/tape` has drives.

use std::path::Path;

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
    let mut site = start(&tree, 1_500_000)?;
    back_up(&site, "Full")?;
    let used = "SELECT VolumeName, VolStatus, VolType, VolFiles > 1, \
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
