//! Cold spares and the Director's own failover (docs/cold-spare.md).

use anyhow::{Result, ensure};
use holdfast_tests::{compare_restored, expect_good, our_site, plain_tree, scratch};
use testkit::site::{Act, Builder, Role, Site};
use testkit::wait;

use crate::two;

fn with_spare() -> Builder {
    our_site().cold_spare()
}

/// Brings the spare all Volumes of `File1`, which is killed.
fn lose_main(site: &mut Site) -> Result<()> {
    site.kill(Role::Storage)?;
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
