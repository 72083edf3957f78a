//! Ways to restore: selection in the tree, lists of files, dates, replace, where.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use holdfast_tests::{expect_good, our_site, plain_tree, scratch};
use testkit::site::Site;
use testkit::wait;

fn site_with_full(tree: &Path) -> Result<Site> {
    fs::create_dir_all(tree.join("one/deep"))?;
    fs::create_dir_all(tree.join("two"))?;
    plain_tree(&tree.join("one"), 5, 700)?;
    plain_tree(&tree.join("two"), 5, 900)?;
    fs::write(tree.join("one/deep/er"), "deep")?;
    let site = our_site().tree(tree).start()?;
    expect_good(&site.backup("Full")?)?;
    Ok(site)
}

fn run_last(site: &Site, commands: &[&str]) -> Result<()> {
    let output = site.console(commands)?;
    let Some((_, rest)) = output.rsplit_once("Job queued. JobId=") else {
        anyhow::bail!("nothing queued:\n{output}")
    };
    let id: String = rest.chars().take_while(char::is_ascii_digit).collect();
    expect_good(&site.wait_job(id.parse()?, wait::JOB)?)
}

#[test]
fn marked_files_and_folders_alone_are_restored() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let site = site_with_full(&tree)?;
    let cd = format!("cd {}", tree.display());
    let commands = [
        "restore client=kit-fd fileset=Tree select current",
        &cd,
        "mark one",
        "cd one",
        "unmark file-0003",
        "cd ../two",
        "mark file-0001",
        "done",
        "yes",
    ];
    run_last(&site, &commands)?;
    let restored = site.restored_tree(&tree);
    for (path, expected) in [
        ("one/file-0000", true),
        ("one/deep/er", true),
        ("one/file-0003", false),
        ("two/file-0001", true),
        ("two/file-0000", false),
    ] {
        ensure!(restored.join(path).exists() == expected, "{path} restored: {}", !expected);
    }
    site.finish()
}

#[test]
fn a_list_of_files_is_restored() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let site = site_with_full(&tree)?;
    let list = dir.path().join("list");
    fs::write(&list, format!("{0}/one/file-0002\n{0}/two/file-0004\n", tree.display()))?;
    run_last(&site, &[&format!("restore client=kit-fd fileset=Tree file=<{} done yes", list.display())])?;
    let restored = site.restored_tree(&tree);
    ensure!(restored.join("one/file-0002").exists() && restored.join("two/file-0004").exists());
    ensure!(!restored.join("one/file-0001").exists());
    site.finish()
}

#[test]
fn replace_decides_about_files_that_exist() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let site = site_with_full(&tree)?;
    let to = dir.path().join("there");
    let place = to.join(tree.strip_prefix("/")?).join("one/file-0001");
    let saved = fs::read(tree.join("one/file-0001"))?;
    for (replace, kept) in [("never", true), ("ifnewer", true), ("ifolder", false), ("always", false)] {
        fs::create_dir_all(place.parent().unwrap())?;
        fs::write(&place, "what is there already, newer")?;
        // Whole seconds decide, and the saved file may be of this very second.
        let newer = std::time::SystemTime::now() + std::time::Duration::from_secs(10);
        fs::File::options().write(true).open(&place)?.set_modified(newer)?;
        run_last(
            &site,
            &[&format!(
                "restore jobid=1 client=kit-fd where={} replace={replace} all done yes",
                to.display()
            )],
        )?;
        let is_kept = fs::read(&place)? != saved;
        ensure!(is_kept == kept, "replace={replace} kept the file: {is_kept}");
        fs::remove_dir_all(&to)?;
    }
    site.finish()
}

#[test]
fn a_restore_in_place_brings_back_what_was_lost() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let site = site_with_full(&tree)?;
    let copy = dir.path().join("copy");
    run_last(&site, &[&format!("restore jobid=1 client=kit-fd where={} all done yes", copy.display())])?;
    fs::remove_dir_all(tree.join("one"))?;
    run_last(&site, &["restore jobid=1 client=kit-fd where=/ all done yes"])?;
    testkit::compare::Compare::new(copy.join(tree.strip_prefix("/")?), &tree).run()?.expect_equal()?;
    site.finish()
}

#[test]
fn a_date_selects_the_state_at_that_time() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    let site = site_with_full(&tree)?;
    // The catalog's times have whole seconds: the next job must start in a later one.
    wait::next_second()?;
    let between = Command::new("date").arg("+%F %T").output()?;
    let between = String::from_utf8(between.stdout)?.trim().to_owned();
    wait::next_second()?;
    let old = fs::read(tree.join("one/file-0001"))?;
    fs::write(tree.join("one/file-0001"), "newer")?;
    expect_good(&site.backup("Incremental")?)?;
    run_last(
        &site,
        &[&format!("restore client=kit-fd fileset=Tree before=\"{between}\" select all done yes")],
    )?;
    ensure!(
        fs::read(site.restored_tree(&tree).join("one/file-0001"))? == old,
        "the newer state was restored"
    );
    site.finish()
}
