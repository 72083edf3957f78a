//! The harness itself, with real Bacula in every position: what fails here is no fault of Holdfast's.

use anyhow::Result;
use holdfast_tests::{compare_restored, scratch, tree_of_every_kind};
use testkit::site::{Maker, Site};

#[test]
fn real_bacula_in_every_position_backs_up_and_restores() -> Result<()> {
    let dir = scratch()?;
    let tree = tree_of_every_kind(dir.path())?;
    let site = Site::builder().all(Maker::Bacula9).tree(&tree).start()?;
    let full = site.backup("Full")?;
    assert_eq!((full.status(), full.level()), ('T', 'F'), "{full:?}");
    let restore = site.restore_current()?;
    assert_eq!(restore.status(), 'T', "{restore:?}");
    assert_eq!(restore.files(), full.files());
    compare_restored(&site, &tree)?.expect_equal()?;
    let listed = site.bls("Vol-0001", &["-j"])?;
    assert!(listed.contains("JobId=1"), "{listed}");
    site.finish()
}

#[test]
fn a_real_file_daemon_15_serves_a_real_director_9() -> Result<()> {
    let dir = scratch()?;
    let tree = tree_of_every_kind(dir.path())?;
    let site = Site::builder().all(Maker::Bacula9).client(Maker::Bacula15).tree(&tree).start()?;
    let status = site.console(&["status client=kit-fd"])?;
    assert!(status.contains("kit-fd Version: 15.0.3"), "{status}");
    site.finish()
}
