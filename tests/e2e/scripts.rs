//! RunScripts on client and Director.

use std::fs;

use anyhow::{Result, ensure};
use holdfast_tests::{expect_good, our_site, plain_tree, scratch};

#[test]
fn scripts_run_where_and_when_they_are_told() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 3, 100)?;
    let note = dir.path().join("note");
    let line = |when: &str, client: &str, word: &str| {
        format!(
            "RunScript {{ RunsWhen = {when}; RunsOnClient = {client}; RunsOnSuccess = yes; RunsOnFailure = no; \
             Command = \"/bin/sh -c 'echo {word} %n >> {}'\" }}",
            note.display()
        )
    };
    let site = our_site()
        .tree(&tree)
        .job(line("Before", "no", "dir-before"))
        .job(line("Before", "yes", "fd-before"))
        .job(line("After", "yes", "fd-after"))
        .job(line("After", "no", "dir-after"))
        .start()?;
    expect_good(&site.backup("Full")?)?;
    let lines = fs::read_to_string(&note)?;
    assert_eq!(lines, "dir-before Backup\nfd-before Backup\nfd-after Backup\ndir-after Backup\n");
    site.finish()
}

#[test]
fn a_failing_script_before_the_job_ends_it_and_says_so() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 3, 100)?;
    let note = dir.path().join("note");
    let site = our_site()
        .tree(&tree)
        .job("Client Run Before Job = \"/bin/false\"")
        .job(format!(
            "RunScript {{ RunsWhen = After; RunsOnClient = no; RunsOnSuccess = no; RunsOnFailure = yes; \
             Command = \"/bin/sh -c 'echo failed >> {}'\" }}",
            note.display()
        ))
        .start()?;
    let job = site.backup("Full")?;
    ensure!(matches!(job.status(), 'f' | 'E'), "{job:?}");
    assert_eq!(fs::read_to_string(&note)?, "failed\n");
    ensure!(site.job_log().contains("/bin/false"), "{}", site.job_log());
    site.finish()
}
