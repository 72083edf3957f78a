//! Holdfast and real Bacula together: each position in turn is Debian's Bacula 9.6.7, the File Daemon also 15.0.3.

use std::fs;

use anyhow::{Result, ensure};
use holdfast_tests::{
    expect_good, full_incremental_restore_list, our_site, ours, scratch, tree_of_every_kind,
};
use testkit::compare::Compare;
use testkit::site::{Maker, Site};

#[test]
fn only_the_file_daemon_is_real() -> Result<()> {
    full_incremental_restore_list(our_site().client(Maker::Bacula9))
}

#[test]
fn only_the_storage_daemon_is_real() -> Result<()> {
    full_incremental_restore_list(our_site().storage(Maker::Bacula9))
}

#[test]
fn only_the_director_is_real() -> Result<()> {
    full_incremental_restore_list(our_site().director(Maker::Bacula9))
}

#[test]
fn only_the_console_is_real() -> Result<()> {
    full_incremental_restore_list(our_site().console(Maker::Bacula9))
}

#[test]
fn only_the_console_is_ours() -> Result<()> {
    full_incremental_restore_list(Site::builder().all(Maker::Bacula9).console(ours()))
}

#[test]
fn only_the_file_daemon_is_ours() -> Result<()> {
    full_incremental_restore_list(Site::builder().all(Maker::Bacula9).client(ours()))
}

#[test]
fn only_the_storage_daemon_is_ours() -> Result<()> {
    full_incremental_restore_list(Site::builder().all(Maker::Bacula9).storage(ours()))
}

#[test]
fn the_file_daemon_is_a_real_15() -> Result<()> {
    if ours().is_bacula() {
        return Ok(()); // a Storage Daemon 9.6.7 does not serve a newer File Daemon
    }
    full_incremental_restore_list(our_site().client(Maker::Bacula15))
}

#[test]
fn real_bextract_restores_from_our_volume() -> Result<()> {
    let dir = scratch()?;
    let tree = tree_of_every_kind(dir.path())?;
    let site = our_site().tree(&tree).start()?;
    expect_good(&site.backup("Full")?)?;
    let to = dir.path().join("extracted");
    let output = site.bextract("Vol-0001", &to)?;
    ensure!(output.contains("files restored"), "{output}");
    let restored = to.join(tree.strip_prefix("/")?);
    // bextract restores neither ACLs nor extended attributes.
    Compare::new(&tree, &restored).xattrs(false).run()?.expect_equal()?;
    site.finish()
}

#[test]
fn we_restore_from_a_volume_that_bacula_wrote() -> Result<()> {
    let dir = scratch()?;
    let tree = tree_of_every_kind(dir.path())?;
    let kept = dir.path().join("site");
    let theirs = Site::builder().all(Maker::Bacula9).tree(&tree).folder(&kept).start()?;
    let full = theirs.backup("Full")?;
    expect_good(&full)?;
    theirs.finish()?;

    // The same folders and catalog: what a site does that changes its Storage and File Daemon over to Holdfast.
    let site = Site::builder().all(ours()).director(Maker::Bacula9).tree(&tree).folder(&kept).start()?;
    expect_good(&site.restore_current()?)?;
    Compare::new(&tree, site.restored_tree(&tree)).run()?.expect_equal()?;
    fs::write(tree.join("later"), "appended to their Volume\n")?;
    expect_good(&site.backup("Incremental")?)?;
    let listed = site.bls("Vol-0001", &["-j"])?;
    ensure!(listed.contains(&format!("JobId={}", full.id)) && listed.contains("JobId=3"), "{listed}");
    site.finish()
}
