//! Storage groups whose policy looks at the free space (docs/storage-groups.md).

use anyhow::{Result, ensure};
use holdfast_tests::{compare_restored, expect_good, our_site, plain_tree, scratch};
use testkit::fault::SmallDisk;
use testkit::site::{Builder, Gate, Maker, Role, Site};
use testkit::wait;

use crate::groups::storages;

const SMALL: u64 = 16 << 20;
const LARGE: u64 = 64 << 20;

/// The Volumes of `File1` are on a small file system, those of `Far`, the last of the list, on a larger one.
struct Disks {
    site: Site,
    tree: std::path::PathBuf,
    _disks: [SmallDisk; 2],
    _dir: tempfile::TempDir,
}

fn start(far: Maker, policy: &[&str]) -> Result<Disks> {
    start_with(far, policy, "")
}

fn start_with(far: Maker, policy: &[&str], more: &str) -> Result<Disks> {
    let dir = scratch()?;
    let (tree, folder) = (dir.path().join("tree"), dir.path().join("site"));
    plain_tree(&tree, 5, 20_000)?;
    let mount = |name, bytes| SmallDisk::mount(&folder.join("volumes").join(name), bytes);
    let disks = [mount("file1", SMALL)?, mount("far", LARGE)?];
    let site: Builder = our_site().far_storage(far).pool("Storage = File1, Far");
    let site = policy.iter().fold(site, |site, line| site.pool(*line));
    let site = site.tree(&tree).folder(&folder).extra(more).start()?;
    Ok(Disks { site, tree, _disks: disks, _dir: dir })
}

/// A good backup, and the Storage that it is on.
fn goes_to(site: &Site, expected: &str) -> Result<()> {
    let job = site.backup("Full")?;
    ensure!(job.status() == 'T', "{job:?}\n{}", site.job_log());
    let found = storages(site, job.id)?;
    ensure!(found == [expected], "job {} is on {found:?}, not on {expected}:\n{}", job.id, site.job_log());
    Ok(())
}

/// Leaves `Far` with less room than `File1` has.
fn fill_far(site: &Site) -> Result<()> {
    std::fs::write(site.far_volumes().join("ballast"), vec![1; (LARGE - SMALL / 2) as usize])?;
    Ok(())
}

#[test]
fn the_storage_with_more_room_is_taken_though_it_is_listed_last() -> Result<()> {
    let disks = start(Maker::Holdfast, &["Storage Group Policy = FreeSpace"])?;
    let site = &disks.site;
    goes_to(site, "Far")?;
    let log = site.job_log();
    ensure!(log.contains("Free space of the Storages: \"Far\" ") && log.contains(", \"File1\" "), "{log}");
    fill_far(site)?;
    goes_to(site, "File1")?;
    expect_good(&site.restore_current()?)?;
    compare_restored(site, &disks.tree)?.expect_equal()?;
    disks.site.finish()
}

#[test]
fn a_storage_that_does_not_answer_counts_last() -> Result<()> {
    let mut disks = start(Maker::Holdfast, &["Storage Group Policy = FreeSpace"])?;
    disks.site.kill(Role::FarStorage)?;
    goes_to(&disks.site, "File1")?;
    let log = disks.site.job_log();
    ensure!(log.contains("Storage \"Far\" counts as the one with the least free space: "), "{log}");
    disks.site.forget(Role::FarStorage)?;
    disks.site.finish()
}

#[test]
fn beyond_the_threshold_the_room_counts() -> Result<()> {
    // 48 MiB lie between them.
    let policy = ["Storage Group Policy = FreeSpaceLeastUsed", "Storage Group Policy Threshold = 30 mb"];
    let disks = start(Maker::Holdfast, &policy)?;
    goes_to(&disks.site, "Far")?;
    fill_far(&disks.site)?;
    goes_to(&disks.site, "File1")?;
    disks.site.finish()
}

#[test]
fn within_the_threshold_the_fewest_jobs_count() -> Result<()> {
    let dir = scratch()?;
    let gate = Gate::create(dir.path().join("gate"))?;
    let held = format!(
        "Job {{ Name = Held; JobDefs = Defaults; Client Run Before Job = \"/bin/cat {}\" }}",
        gate.path().display()
    );
    let policy = ["Storage Group Policy = FreeSpaceLeastUsed", "Storage Group Policy Threshold = 1 gb"];
    let disks = start_with(Maker::Holdfast, &policy, &held)?;
    let site = &disks.site;
    let first = site.run("run job=Held level=Full yes")?;
    let open = gate.wait_reader(wait::JOB)?;
    goes_to(site, "File1")?;
    drop(open);
    expect_good(&site.wait_job(first, wait::JOB)?)?;
    ensure!(storages(site, first)? == ["Far"], "{}", site.job_log());
    disks.site.finish()
}
