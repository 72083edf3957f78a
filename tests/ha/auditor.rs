//! The auditor finds what it is there to find.

use anyhow::{Context, Result, ensure};
use holdfast_tests::audit::{Trees, audit};
use holdfast_tests::{expect_good, our_site, plain_tree, scratch};
use testkit::fault;

/// A site with one good job on one Volume, harmed by `harm`: the audit must break `invariant` with these words.
fn check_found(harm: &str, invariant: &str, words: &str) -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 6, 30_000)?;
    let site = our_site().tree(&tree).quiet().start()?;
    expect_good(&site.backup("Full")?)?;
    audit(&site, &Trees::of(&[&tree])).context("before the harm")?;
    let volume = site.volume_file("Vol-0001");
    match harm {
        "cut the Volume" => fault::cut(&volume, 100_000)?,
        "flip a byte" => fault::flip(&volume, 100_000, 1)?,
        "change a file" => std::fs::write(tree.join("file-0003"), "something else")?,
        statement => site.tamper(statement)?,
    }
    let Err(found) = audit(&site, &Trees::of(&[&tree])) else { anyhow::bail!("“{harm}” was not found") };
    let found = format!("{found:#}");
    let line = found.lines().find(|line| line.starts_with(invariant) && line.contains(words));
    ensure!(line.is_some(), "“{harm}” was not found as {invariant}, “{words}”, but:\n{found}");
    Ok(())
}

#[test]
fn a_lost_row_and_one_too_many() -> Result<()> {
    check_found("DELETE FROM File WHERE FileIndex = 3", "I3", "rows 6")?;
    check_found(
        "INSERT INTO File (FileIndex, JobId, PathId, Filename, LStat, MD5) \
         SELECT FileIndex, JobId, PathId, Filename, LStat, MD5 FROM File WHERE FileIndex = 2",
        "I3",
        "in the catalog twice",
    )
}

#[test]
fn a_journal_that_is_not_in_the_catalog() -> Result<()> {
    check_found("UPDATE hf_journal SET Seq = 3", "I3", "has rows to record")
}

#[test]
fn a_volume_that_is_cut_or_damaged_or_another() -> Result<()> {
    check_found("cut the Volume", "I9", "Volume Vol-0001 has 100000 bytes")?;
    check_found("flip a byte", "I6", "bad blocks")?;
    check_found("UPDATE hf_volume SET LabelDate = LabelDate - 1", "I4", "was labelled at")
}

#[test]
fn a_session_that_nobody_knows_and_one_of_two() -> Result<()> {
    check_found(
        "UPDATE Job SET VolSessionId = 77; UPDATE hf_attempt SET VolSessionId = 77",
        "I8",
        "is nobody's",
    )?;
    check_found(
        "INSERT INTO Job (JobId, Job, Name, Type, Level, JobStatus, SchedTime, VolSessionId, VolSessionTime) \
         SELECT JobId + 100, 'Other', Name, 'R', Level, JobStatus, SchedTime, VolSessionId, VolSessionTime FROM Job",
        "I8",
        "sessions of several jobs",
    )
}

#[test]
fn a_restore_that_differs_and_rows_that_do_not_reach_the_data() -> Result<()> {
    check_found("change a file", "I6", "came back otherwise")?;
    check_found("UPDATE JobMedia SET EndBlock = EndBlock - 70000", "I6", "no JobMedia row holds")
}

#[test]
fn an_epoch_that_never_was_and_one_that_fell_back() -> Result<()> {
    check_found("UPDATE hf_attempt SET Epoch = Epoch + 9", "I1", "an epoch that never was")?;
    check_found("UPDATE hf_leader SET Epoch = 0", "I1", "1 was active")
}
