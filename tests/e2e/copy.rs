//! Copy and Migration Jobs on one Storage Daemon: what they take, what the catalog says of them, restores from what they wrote.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use holdfast_tests::copies::{of_type, run};
use holdfast_tests::{
    clear_restored, compare_restored, copies, expect_good, our_site, plain_tree, scratch, tree_of_every_kind,
};
use testkit::site::{Builder, JobRow};
use testkit::wait;

/// A Pool for copies on the second device, and jobs that copy or migrate into it.
fn site(tree: &Path) -> Builder {
    let jobs = copies::jobs("Copies");
    our_site().tree(tree).extra(format!(
        r#"
Pool {{ Name = Copies; Pool Type = Backup; Storage = File2; Label Format = "Copy-"; Maximum Volumes = 100; AutoPrune = no }}
Job {{
  Name = Nowhere; Type = Copy; Client = kit-fd; FileSet = Tree; Storage = File1; Pool = File
  Messages = Standard; Selection Type = PoolUncopiedJobs
}}
{jobs}"#
    ))
}

#[test]
fn what_is_uncopied_is_copied_once_and_restores_from_the_copy() -> Result<()> {
    let dir = scratch()?;
    let tree = tree_of_every_kind(dir.path())?;
    let site = site(&tree).start()?;
    wait::next_second()?;
    let full = site.backup("Full")?;
    expect_good(&full)?;
    wait::next_second()?;
    fs::write(tree.join("regular/new-one"), "new")?;
    let incremental = site.backup("Incremental")?;
    expect_good(&incremental)?;

    expect_good(&run(&site, "CopyAll")?)?;
    let log = site.job_log();
    ensure!(
        log.contains(&format!(
            "The following 2 JobIds were chosen to be copied: {},{}",
            full.id, incremental.id
        )),
        "{log}"
    );
    ensure!(log.matches("Termination:            Copying OK").count() == 2, "{log}");
    let copies = of_type(&site, 'C')?;
    ensure!(copies.len() == 2, "{copies:?}");
    for original in [&full, &incremental] {
        let prior = original.id.to_string();
        let copy = copies.iter().find(|copy| copy.columns.get("priorjobid") == Some(&prior));
        let copy = copy.with_context(|| format!("no copy of JobId {prior}: {copies:?}"))?;
        expect_good(copy)?;
        ensure!(copy.files() == original.files(), "{copy:?} {original:?}");
    }
    let listed = site.console(&["list copies", &format!("list copies jobid={}", full.id)])?;
    ensure!(
        listed.contains("The catalog contains copies as follows:") && listed.contains("File2"),
        "{listed}"
    );

    // Nothing is left to copy.
    expect_good(&run(&site, "CopyAll")?)?;
    ensure!(site.job_log().contains("Copying -- no files to copy"));
    ensure!(of_type(&site, 'C')?.len() == 2);

    // The originals go, the copies are the backups: a restore finds them without being told.
    let deleted = site.console(&[
        &format!("delete jobid={} yes", full.id),
        &format!("delete jobid={} yes", incremental.id),
    ])?;
    ensure!(of_type(&site, 'C')?.is_empty(), "{deleted}");
    let volume = fs::remove_file(site.volumes().join("Vol-0001"));
    volume.context("the original's Volume")?;
    expect_good(&site.restore_current()?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    site.finish()
}

#[test]
fn a_migrated_job_moves() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 40, 30_000)?;
    let site = site(&tree).start()?;
    let full = site.backup("Full")?;
    expect_good(&full)?;
    expect_good(&run(&site, "Migrate")?)?;
    ensure!(site.job_log().contains("Termination:            Migration OK"), "{}", site.job_log());
    let moved = of_type(&site, 'M')?;
    ensure!(moved.len() == 1 && moved[0].id == full.id, "{moved:?}");
    let new: Vec<JobRow> = of_type(&site, 'B')?;
    ensure!(new.len() == 1 && new[0].id != full.id, "{new:?}");
    let files = site
        .console(&[&format!("list files jobid={}", full.id), &format!("list files jobid={}", new[0].id)])?;
    ensure!(files.matches("/file-0007").count() == 1, "{files}");
    fs::remove_file(site.volumes().join("Vol-0001"))?;
    expect_good(&site.restore_current()?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    // The next Incremental counts from the migrated Full.
    clear_restored(&site)?;
    wait::next_second()?;
    fs::write(tree.join("file-0007"), "changed")?;
    let incremental = site.backup("Incremental")?;
    // The Volume that is gone is an error of this job, which takes another.
    ensure!(incremental.status() == 'T' && incremental.level() == 'I', "{incremental:?}");
    site.finish()
}

#[test]
fn a_damaged_original_is_not_taken_for_copied() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 40, 30_000)?;
    let site = site(&tree).start()?;
    let full = site.backup("Full")?;
    expect_good(&full)?;
    let path = site.volumes().join("Vol-0001");
    let mut bytes = fs::read(&path)?;
    let middle = bytes.len() / 2;
    bytes[middle..middle + 100].fill(0x55);
    fs::write(&path, bytes)?;
    let migration = run(&site, "Migrate")?;
    ensure!(migration.status() == 'E', "{migration:?}\n{}", site.job_log());
    ensure!(site.job_log().contains("*** Migration Error ***"), "{}", site.job_log());
    let kept = of_type(&site, 'B')?;
    ensure!(kept.len() == 1 && kept[0].id == full.id, "{kept:?}");
    let files = site.console(&[&format!("list files jobid={}", full.id)])?;
    ensure!(files.contains("/file-0007"), "the original has lost its files:\n{files}");
    site.finish()
}

#[test]
fn a_copy_without_a_place_to_go_says_so() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 3, 300)?;
    let site = site(&tree).start()?;
    expect_good(&site.backup("Full")?)?;
    let job = run(&site, "Nowhere")?;
    ensure!(job.status() == 'f', "{job:?}");
    ensure!(
        site.job_log().contains("No Next Pool specification found in Pool \"File\""),
        "{}",
        site.job_log()
    );
    site.finish()
}
