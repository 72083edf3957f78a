//! A disk changer, driven by Debian's script, with ours and with Bacula's daemons.

use std::fs;

use anyhow::{Result, ensure};
use holdfast_tests::{clear_restored, compare_restored, expect_good, our_site, plain_tree, scratch};
use testkit::site::{Builder, Maker, Site};

/// What the changer's job needs. A Volume takes 1 MB, so that a backup goes over several.
const RESOURCES: &str = "\
Pool { Name = Lib; Pool Type = Backup; Recycle = yes; AutoPrune = no; Volume Retention = 1 year; Maximum Volume Bytes = 1000000; \
Cleaning Prefix = \"LB0006\" }\n\
Job { Name = InLib; JobDefs = Defaults; Storage = Lib; Pool = Lib }";

#[test]
fn ours_alone() -> Result<()> {
    label_back_up_restore(our_site())
}

#[test]
fn ours_alone_with_tapes() -> Result<()> {
    label_back_up_restore(our_site().library_of_tapes())
}

#[test]
fn the_director_is_real_and_the_media_are_tapes() -> Result<()> {
    label_back_up_restore(our_site().library_of_tapes().director(Maker::Bacula9))
}

#[test]
fn bacula_reads_our_tapes() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 20, 50_000)?;
    let site = our_site().library_of_tapes().extra(RESOURCES.replace("1000000", "0")).tree(&tree).start()?;
    site.console(&["label barcodes storage=Lib pool=Lib drive=0 slots=1", "yes"])?;
    for level in ["Full", "Full"] {
        let id = site.run(&format!("run job=InLib level={level} yes"))?;
        expect_good(&site.wait_job(id, testkit::wait::JOB)?)?;
    }
    let said = site.bls_of_slot("LB0001", 1, &["-j"])?;
    for job in ["JobId=1", "JobId=2"] {
        ensure!(said.contains(job), "{said}");
    }
    let to = dir.path().join("extracted");
    let said = site.bextract_of_slot("LB0001", 1, &to)?;
    let below = to.join(tree.strip_prefix("/")?);
    let names = |at: &std::path::Path| -> Result<Vec<_>> {
        let mut names = fs::read_dir(at)?.map(|e| Ok(e?.path())).collect::<Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    };
    let (saved, extracted) = (names(&tree)?, names(&below)?);
    ensure!(saved.len() == extracted.len() && !saved.is_empty(), "{said}");
    for (a, b) in saved.iter().zip(&extracted).filter(|(a, _)| a.is_file()) {
        ensure!(fs::read(a)? == fs::read(b)?, "{} differs", b.display());
    }
    site.finish()
}

#[test]
fn the_storage_daemon_is_real() -> Result<()> {
    label_back_up_restore(our_site().storage(Maker::Bacula9))
}

#[test]
fn the_director_is_real() -> Result<()> {
    label_back_up_restore(our_site().director(Maker::Bacula9))
}

/// Labels by barcodes, backs up over two Volumes at least, restores, moves media by hand, and updates the slots.
fn label_back_up_restore(builder: Builder) -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 40, 50_000)?;
    let site = builder.library().extra(RESOURCES).tree(&tree).start()?;
    let said = site.console(&["label barcodes storage=Lib pool=Lib drive=0 slots=1-3,6", "yes"])?;
    ensure!(said.contains("Catalog record for cleaning tape \"LB0006\" successfully created."), "{said}");
    let rows =
        "SELECT VolumeName, Slot, InChanger FROM Media WHERE VolStatus <> 'Cleaning' ORDER BY VolumeName";
    let expected = [["LB0001", "1", "1"], ["LB0002", "2", "1"], ["LB0003", "3", "1"]];
    assert_eq!(site.sql(rows)?, expected, "{said}");

    let id = site.run("run job=InLib level=Full yes")?;
    let full = site.wait_job(id, testkit::wait::JOB)?;
    expect_good(&full)?;
    let used = site.sql("SELECT DISTINCT VolumeName FROM JobMedia JOIN Media USING (MediaId) ORDER BY 1")?;
    ensure!(used.len() >= 2, "{used:?}");
    restore(&site, full.id, &tree)?;

    // Two media change places behind everybody's back.
    site.console(&["unmount storage=Lib drive=0", "unmount storage=Lib drive=1"])?;
    swap(&site, 1, 2)?;
    site.console(&["mount storage=Lib drive=0 slot=3", "mount storage=Lib drive=1 slot=4"])?;
    let said = site.console(&["update slots storage=Lib drive=0"])?;
    ensure!(said.contains("Device \"LibChanger\" has 6 slots."), "{said}");
    ensure!(said.contains("Catalog record for Volume \"LB0001\" updated to reference slot 2."), "{said}");
    ensure!(said.contains("Catalog record for Volume \"LB0003\" is up to date."), "{said}");
    ensure!(said.contains("Volume \"LB0004\" not found in catalog. Slot=4"), "{said}");
    let said = site.console(&["update slots storage=Lib drive=0 scan slots=1-2"])?;
    ensure!(said.contains("Catalog record for Volume \"LB0002\" is up to date."), "{said}");
    assert_eq!(site.sql(rows)?[..2], [["LB0001", "2", "1"], ["LB0002", "1", "1"]]);
    restore(&site, full.id, &tree)?;
    site.finish()
}

fn restore(site: &Site, job: u32, tree: &std::path::Path) -> Result<()> {
    clear_restored(site)?;
    let id = site.run(&format!(
        "restore jobid={job} client=kit-fd storage=Lib where={} all done yes",
        site.restored().display()
    ))?;
    expect_good(&site.wait_job(id, testkit::wait::JOB)?)?;
    compare_restored(site, tree)?.expect_equal()
}

/// The media of two slots change places, barcodes with them.
fn swap(site: &Site, a: u32, b: u32) -> Result<()> {
    let slot = |n: u32| site.library().join(format!("slot{n}"));
    let aside = site.library().join("aside");
    fs::rename(slot(a), &aside)?;
    fs::rename(slot(b), slot(a))?;
    fs::rename(&aside, slot(b))?;
    let barcodes = site.library().join("barcodes");
    let text = fs::read_to_string(&barcodes)?;
    let (code_a, code_b) = (format!("LB{a:04}"), format!("LB{b:04}"));
    let swapped = text.replace(&code_a, "aside").replace(&code_b, &code_a).replace("aside", &code_b);
    Ok(fs::write(barcodes, swapped)?)
}
