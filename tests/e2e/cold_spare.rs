//! A cold spare takes the place of its Storage and gives it back (docs/cold-spare.md).

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use holdfast_tests::{clear_restored, compare_restored, expect_good, our_site, plain_tree, scratch};
use testkit::site::{Act, Role, Site};
use testkit::wait;

/// A Full on `Vol-0001` and an Incremental on `Vol-0002`; the spare got the first Volume alone.
fn site(tree: &Path) -> Result<Site> {
    plain_tree(tree, 20, 20_000)?;
    let mut site = our_site().cold_spare().tree(tree).pool("Maximum Volume Jobs = 1").start()?;
    wait::next_second()?;
    expect_good(&site.backup("Full")?)?;
    wait::next_second()?;
    fs::write(tree.join("later"), "new")?;
    expect_good(&site.backup("Incremental")?)?;
    site.stop(Role::FarStorage)?;
    copy_volume(&site.volumes(), &site.far_volumes(), "Vol-0001")?;
    site.start_role(Role::FarStorage)?;
    Ok(site)
}

/// What a copy of a Volume is: its file, and its state beside it.
fn copy_volume(from: &Path, to: &Path, name: &str) -> Result<()> {
    for part in [name.to_owned(), format!(".holdfast/volumes/{name}")] {
        fs::copy(from.join(&part), to.join(&part))?;
    }
    Ok(())
}

/// The Volumes at a Storage by the catalog.
fn volumes_at(site: &Site, storage: &str) -> Result<Vec<String>> {
    let rows = site.sql(&format!(
        "SELECT VolumeName FROM Media JOIN Storage ON Storage.StorageId = Media.StorageId \
         WHERE Storage.Name = '{storage}' ORDER BY VolumeName"
    ))?;
    Ok(rows.into_iter().map(|row| row[0].clone()).collect())
}

fn says(said: &str, texts: &[&str]) -> Result<()> {
    for text in texts {
        ensure!(said.contains(text), "“{text}” is not in:\n{said}");
    }
    Ok(())
}

/// Waits until the daemon of `File1` has heard that the spare serves, and keeps it.
fn wait_told(site: &Site) -> Result<()> {
    let records = site.volumes().join(".holdfast/directors");
    wait::until("File1's daemon to know who serves", wait::JOB, || {
        for file in fs::read_dir(&records)? {
            let path = file?.path();
            let is_place = path.extension().is_some_and(|extension| extension == "place");
            if is_place && fs::read_to_string(&path)?.contains("serving=Spare") {
                return Ok(Some(()));
            }
        }
        Ok(None)
    })
}

#[test]
fn a_spare_takes_the_place_and_gives_it_back() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let mut site = site(&tree)?;

    // The plan is shown, and nothing done.
    site.kill(Role::Storage)?;
    let plan = site.console(&["storage activate=Spare plan"])?;
    says(
        &plan,
        &[
            "Storage \"Spare\" takes the place of Storage \"File1\": storage epoch 1 -> 2",
            "Devices: FileDev1 -> FarDev (Media Type File1)",
            "Volumes: 1 go from \"File1\" to \"Spare\".",
            "Missing at \"Spare\": 1 Volumes.",
            "Vol-0002 (Pool \"File\", 1 jobs) is not there",
        ],
    )?;
    let asked = site.console(&["storage activate=Spare", "no"])?;
    says(&asked, &["Do this? (yes/no):", "Nothing was done."])?;
    ensure!(volumes_at(&site, "Spare")?.is_empty());

    let done = site.console(&["storage activate=Spare yes"])?;
    says(
        &done,
        &[
            "Storage \"Spare\" serves in the place of \"File1\" (storage epoch 2); 1 Volumes moved.",
            "Storage \"File1\" does not know it yet",
        ],
    )?;
    ensure!(volumes_at(&site, "Spare")? == ["Vol-0001"] && volumes_at(&site, "File1")? == ["Vol-0002"]);
    says(
        &site.console(&["status director", "storage"])?,
        &["Attention: Storage \"Spare\" serves in the place of \"File1\" (storage epoch 2).", "| Spare"],
    )?;

    // Jobs that name File1 go to the spare by themselves, and append to nothing that is not there.
    wait::next_second()?;
    let full = site.backup("Full")?;
    expect_good(&full)?;
    ensure!(site.far_volumes().join("Vol-0003").exists(), "{}", site.job_log());
    ensure!(volumes_at(&site, "Spare")? == ["Vol-0001", "Vol-0003"]);
    let log = site.job_log();
    says(&log, &["Storage \"Spare\" serves in the place of \"File1\"."])?;
    expect_good(&site.restore_current()?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    clear_restored(&site)?;

    // The old one comes back: it is told, and not used.
    site.start_role(Role::Storage)?;
    wait_told(&site)?;
    let why = "Storage \"File1\" is not used: its cold spare \"Spare\" serves (storage epoch 2)";
    let labelled = site.console(&["label storage=File1 volume=Stray pool=File drive=0 slot=0"])?;
    says(&labelled, &[why])?;
    ensure!(!site.volumes().join("Stray").exists());
    says(&site.console(&["status storage=File1"])?, &[why, "kit-sd"])?;

    // It gets its place back with all Volumes only.
    let refused = site.console(&["storage activate=File1 yes"])?;
    says(&refused, &["Vol-0003 (Pool \"File\", 1 jobs) is not there", "missing=leave", "Nothing was done."])?;
    copy_volume(&site.far_volumes(), &site.volumes(), "Vol-0003")?;
    let back = site.console(&["storage activate=File1 yes"])?;
    says(
        &back,
        &[
            "1 Volumes that were left at \"File1\" are used again.",
            "Storage \"File1\" serves in the place of \"Spare\" (storage epoch 3); 2 Volumes moved.",
        ],
    )?;
    ensure!(volumes_at(&site, "File1")? == ["Vol-0001", "Vol-0002", "Vol-0003"]);
    site.kill(Role::FarStorage)?;
    wait::next_second()?;
    fs::write(tree.join("last"), "x")?;
    expect_good(&site.backup("Incremental")?)?;
    expect_good(&site.restore_current()?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    site.finish()
}

#[test]
fn volumes_may_be_left_behind_by_the_operators_word() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let mut site = site(&tree)?;
    says(&site.console(&["storage activate=Spare yes"])?, &["1 Volumes moved"])?;
    wait::next_second()?;
    expect_good(&site.backup("Full")?)?;
    let back = site.console(&["storage activate=File1 missing=leave yes"])?;
    says(&back, &["Missing at \"File1\": 1 Volumes. They stay at \"Spare\"", "(storage epoch 3)"])?;
    ensure!(volumes_at(&site, "Spare")? == ["Vol-0003"]);
    // What lies at the Storage that does not serve is not read: the restore says why.
    let restore = site.restore_current()?;
    ensure!(restore.status() == 'f', "{restore:?}");
    says(
        &site.job_log(),
        &["Storage \"Spare\" is not used: it is the cold spare of \"File1\", which serves (storage epoch 3)"],
    )?;
    // Once more the other way, and it is there.
    says(&site.console(&["storage activate=Spare yes"])?, &["(storage epoch 4)"])?;
    expect_good(&site.restore_current()?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    site.kill(Role::Storage)?;
    site.finish()
}

#[test]
fn a_director_that_dies_over_the_change_has_made_it_or_not() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let mut site = site(&tree)?;
    // In the catalog, and told to nobody yet.
    site.arm("director-place-changed", Act::Kill)?;
    let _ = site.console(&["storage activate=Spare yes"]);
    site.wait_reached("director-place-changed", wait::START)?;
    site.forget(Role::Director)?;
    site.start_role(Role::Director)?;
    wait_told(&site)?;
    says(&site.console(&["status director"])?, &["Storage \"Spare\" serves in the place of \"File1\""])?;
    wait::next_second()?;
    expect_good(&site.backup("Full")?)?;
    ensure!(site.far_volumes().join("Vol-0003").exists(), "{}", site.job_log());
    says(&site.console(&["storage activate=Spare yes"])?, &["Storage \"Spare\" serves already"])?;
    site.finish()
}
