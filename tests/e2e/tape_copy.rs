//! Copies from disks to tapes, and from tapes to disks, of virtual tapes behind a disk changer.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use holdfast_tests::copies::{of_type, run};
use holdfast_tests::{clear_restored, compare_restored, expect_good, our_site, plain_tree, scratch};
use testkit::site::{JobRow, Maker, Site};
use testkit::wait;

/// The bytes that a tape takes: the tree goes over two.
const TAPE: u64 = 1_500_000;

/// A job to tapes, and Copy and Migration Jobs either way.
fn resources() -> String {
    format!(
        "Pool {{ Name = Lib; Pool Type = Backup; Storage = Lib; AutoPrune = no; Volume Retention = 1 year; Maximum Volume Bytes = {TAPE} }}\n\
         Job {{ Name = InLib; JobDefs = Defaults; Storage = Lib; Pool = Lib }}\n\
         JobDefs {{ Name = Copies; Client = kit-fd; FileSet = Tree; Messages = Standard; Selection Type = Job; Selection Pattern = \".\" }}\n\
         Job {{ Name = ToTape; Type = Copy; JobDefs = Copies; Storage = File1; Pool = File; Next Pool = Lib }}\n\
         Job {{ Name = MoveToTape; Type = Migrate; JobDefs = Copies; Storage = File1; Pool = File; Next Pool = Lib }}\n\
         Job {{ Name = FromTape; Type = Copy; JobDefs = Copies; Storage = Lib; Pool = Lib; Next Pool = Far }}\n\
         Job {{ Name = MoveFromTape; Type = Migrate; JobDefs = Copies; Storage = Lib; Pool = Lib; Next Pool = Far }}\n"
    )
}

/// A second Storage Daemon has disks for what leaves the tapes.
fn start(tree: &Path) -> Result<Site> {
    plain_tree(tree, 40, 50_000)?;
    let site =
        our_site().library_of_tapes().far_storage(Maker::Holdfast).extra(resources()).tree(tree).start()?;
    let said = site.console(&["label barcodes storage=Lib pool=Lib drive=0 slots=1-4", "yes"])?;
    ensure!(said.contains("VolType=5"), "{said}");
    Ok(site)
}

fn to_tape(site: &Site) -> Result<JobRow> {
    let id = site.run("run job=InLib level=Full yes")?;
    let job = site.wait_job(id, wait::JOB)?;
    expect_good(&job)?;
    Ok(job)
}

/// The Volumes of a job in the order of its parts.
fn volumes(site: &Site, job: &JobRow) -> Result<Vec<String>> {
    let rows = site.sql(&format!(
        "SELECT VolumeName FROM JobMedia JOIN Media USING (MediaId) WHERE JobId = {} ORDER BY JobMediaId",
        job.id
    ))?;
    let mut volumes: Vec<String> = rows.into_iter().flatten().collect();
    volumes.dedup();
    Ok(volumes)
}

fn restores(site: &Site, tree: &Path, job: &JobRow) -> Result<()> {
    clear_restored(site)?;
    expect_good(&site.restore_jobs(&[job.id], &site.restored())?)?;
    compare_restored(site, tree)?.expect_equal()
}

#[test]
fn a_backup_on_disks_is_copied_and_moved_to_tapes() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let site = start(&tree)?;
    let full = site.backup("Full")?;
    expect_good(&full)?;
    let disks = volumes(&site, &full)?;
    expect_good(&run(&site, "ToTape")?)?;
    let copies = of_type(&site, 'C')?;
    ensure!(copies.len() == 1 && copies[0].files() == full.files(), "{copies:?}");
    let tapes = volumes(&site, &copies[0])?;
    ensure!(tapes == ["LB0001", "LB0002"], "{tapes:?}");
    restores(&site, &tree, &copies[0])?;
    // The next is written behind it.
    expect_good(&run(&site, "MoveToTape")?)?;
    ensure!(of_type(&site, 'M')?.len() == 1, "{:?}", of_type(&site, 'M')?);
    let backups = of_type(&site, 'B')?;
    ensure!(backups.len() == 1 && backups[0].id != full.id, "{backups:?}");
    let tapes = volumes(&site, &backups[0])?;
    ensure!(tapes == ["LB0002", "LB0003"], "{tapes:?}");
    for volume in &disks {
        fs::remove_file(site.volumes().join(volume))?;
    }
    restores(&site, &tree, &backups[0])?;
    site.finish()
}

#[test]
fn a_backup_on_tapes_is_copied_and_moved_to_disks() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let site = start(&tree)?;
    let full = to_tape(&site)?;
    ensure!(volumes(&site, &full)? == ["LB0001", "LB0002"], "{:?}", volumes(&site, &full)?);
    expect_good(&run(&site, "FromTape")?)?;
    let copies = of_type(&site, 'C')?;
    ensure!(copies.len() == 1 && copies[0].files() == full.files(), "{copies:?}");
    restores(&site, &tree, &copies[0])?;
    expect_good(&run(&site, "MoveFromTape")?)?;
    let backups = of_type(&site, 'B')?;
    ensure!(backups.len() == 1 && backups[0].id != full.id, "{backups:?}");
    ensure!(volumes(&site, &backups[0])?.iter().all(|name| name.starts_with("Far-")));
    restores(&site, &tree, &backups[0])?;
    site.finish()
}
