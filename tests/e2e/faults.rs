//! Things that go wrong in a job's life without anybody being killed.

use std::fs;

use anyhow::{Result, ensure};
use holdfast_tests::{compare_restored, expect_good, our_site, plain_tree, scratch};
use testkit::fault::SmallDisk;
use testkit::site::Gate;
use testkit::wait;

#[test]
fn a_path_that_is_not_there_is_counted_and_the_rest_saved() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 5, 1000)?;
    let site = our_site().tree(dir.path().join("not-there")).tree(&tree).start()?;
    let job = site.backup("Full")?;
    ensure!(matches!(job.status(), 'T' | 'W') && job.files() == 6 && job.errors() > 0, "{job:?}");
    ensure!(site.job_log().contains("not-there"), "{}", site.job_log());
    site.restore_current()?;
    compare_restored(&site, &tree)?.expect_equal()?;
    site.finish()
}

#[test]
fn a_full_disk_ends_the_job_with_an_error_and_spares_what_was_there() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 10, 50_000)?;
    let folder = dir.path().join("site");
    let volumes = folder.join("volumes");
    let _disk = SmallDisk::mount(&volumes, 8 << 20)?;
    let site = our_site().tree(&tree).folder(&folder).start()?;
    let first = site.backup("Full")?;
    expect_good(&first)?;
    plain_tree(&tree.join("more"), 200, 100_000)?;
    let second = site.backup("Full")?;
    ensure!(matches!(second.status(), 'E' | 'f' | 'I' | 'A'), "{second:?}");
    let log = site.job_log();
    let says_why = log.to_lowercase().contains("no space left") || log.contains("Out of freespace");
    ensure!(log.contains("Vol-0001") && says_why, "{log}");
    fs::remove_dir_all(tree.join("more"))?;
    expect_good(&site.restore_jobs(&[first.id], &site.restored())?)?;
    let found = compare_restored(&site, &tree)?;
    ensure!(found.differences.iter().all(|d| d.path.as_os_str().is_empty()), "{found}"); // the root's own time
    site.finish()
}

#[test]
fn a_canceled_job_ends_canceled_and_frees_its_device() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 5, 1000)?;
    let gate = Gate::create(dir.path().join("gate"))?;
    let site = our_site()
        .tree(&tree)
        .extra(format!(
            "Job {{ Name = Held; JobDefs = Defaults; Client Run Before Job = \"/bin/cat {}\" }}",
            gate.path().display()
        ))
        .start()?;
    let id = site.run("run job=Held level=Full yes")?;
    let open = gate.wait_reader(wait::START)?;
    let answer = site.console(&[&format!("cancel jobid={id} yes")])?;
    ensure!(answer.contains("marked to be canceled"), "{answer}");
    drop(open);
    let job = site.wait_job(id, wait::JOB)?;
    ensure!(job.status() == 'A', "{job:?}");
    expect_good(&site.backup("Full")?)?;
    site.finish()
}
