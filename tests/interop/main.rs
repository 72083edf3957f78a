//! Holdfast and real Bacula together: each position in turn is Debian's Bacula 9.6.7, the File Daemon also 15.0.3.

mod changer;
mod copy_words;

use std::fs;

use anyhow::{Result, ensure};
use holdfast_tests::{
    compare_restored, copies, expect_good, full_incremental_restore_list, our_site, ours, scratch,
    tree_of_every_kind,
};
use testkit::compare::Compare;
use testkit::site::{Builder, Maker, Site};

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

/// A copy from the first Storage Daemon to the far one, and a restore from it with the original gone.
fn copies_between(builder: Builder) -> Result<()> {
    let dir = scratch()?;
    let tree = tree_of_every_kind(dir.path())?;
    let site = builder.tree(&tree).extra(copies::jobs("Far")).start()?;
    expect_good(&site.backup("Full")?)?;
    let full = site.job(1)?;
    expect_good(&copies::run(&site, "CopyAll")?)?;
    let made = copies::of_type(&site, 'C')?;
    ensure!(made.len() == 1, "{made:?}\n{}", site.job_log());
    expect_good(&made[0])?;
    ensure!(made[0].files() == full.files(), "{made:?} {full:?}");
    ensure!(site.job_log().contains("Termination:            Copying OK"), "{}", site.job_log());
    fs::remove_file(site.volumes().join("Vol-0001"))?;
    expect_good(&site.restore_jobs(&[made[0].id], &site.restored())?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    site.finish()
}

#[test]
fn copies_from_a_real_storage_daemon_to_ours() -> Result<()> {
    copies_between(our_site().storage(Maker::Bacula9).far_storage(ours()))
}

#[test]
fn copies_from_our_storage_daemon_to_a_real_one() -> Result<()> {
    copies_between(our_site().far_storage(Maker::Bacula9))
}

#[test]
fn copies_between_real_storage_daemons() -> Result<()> {
    copies_between(our_site().storage(Maker::Bacula9).far_storage(Maker::Bacula9))
}

#[test]
fn a_real_director_copies_between_our_storage_daemons() -> Result<()> {
    copies_between(our_site().director(Maker::Bacula9).far_storage(ours()))
}

#[test]
fn a_real_director_copies_from_our_storage_daemon_to_a_real_one() -> Result<()> {
    copies_between(our_site().director(Maker::Bacula9).far_storage(Maker::Bacula9))
}

#[test]
fn a_real_director_copies_from_a_real_storage_daemon_to_ours() -> Result<()> {
    copies_between(our_site().director(Maker::Bacula9).storage(Maker::Bacula9).far_storage(ours()))
}
