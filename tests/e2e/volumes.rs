//! Volumes: several, shared, full.

use anyhow::{Context, Result, ensure};
use holdfast_tests::{clear_restored, compare_restored, expect_good, our_site, plain_tree, scratch};
use testkit::site::Gate;
use testkit::wait;

#[test]
fn a_job_spans_volumes_and_restores_from_all_of_them() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 60, 100_000)?;
    let site = our_site().tree(&tree).pool("Maximum Volume Bytes = 1500000").start()?;
    expect_good(&site.backup("Full")?)?;
    let names = site.volume_names()?;
    ensure!(names.len() >= 4, "{names:?}");
    for name in &names {
        let size = std::fs::metadata(site.volume_file(name))?.len();
        ensure!(size <= 1_500_000, "{name} has {size} bytes");
    }
    expect_good(&site.restore_current()?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    let listed = site.bls(&names.join("|"), &[])?;
    assert_eq!(listed.matches("/file-").count(), 60, "{listed}");
    site.finish()
}

#[test]
fn jobs_side_by_side_share_a_volume_and_come_back_each() -> Result<()> {
    let dir = scratch()?;
    let gates: Vec<Gate> =
        (0..3).map(|n| Gate::create(dir.path().join(format!("gate-{n}")))).collect::<Result<_>>()?;
    let mut builder = our_site();
    for (number, gate) in gates.iter().enumerate() {
        let tree = dir.path().join(format!("tree-{number}"));
        plain_tree(&tree, 40 + number, 20_000)?;
        builder = builder.extra(format!(
            "FileSet {{ Name = Set{number}; Include {{ Options {{ signature = MD5 }}; File = \"{}\" }} }}\n\
             Job {{ Name = Side{number}; JobDefs = Defaults; FileSet = Set{number}; Client Run Before Job = \"/bin/cat {}\" }}",
            tree.display(),
            gate.path().display()
        ));
    }
    let site = builder.tree(dir.path()).start()?;
    let ids: Vec<u32> =
        (0..3).map(|n| site.run(&format!("run job=Side{n} level=Full yes"))).collect::<Result<_>>()?;
    // All three stand at their gates before any of them may write.
    let open = gates.iter().map(|gate| gate.wait_reader(wait::START)).collect::<Result<Vec<_>>>()?;
    drop(open);
    for (number, id) in ids.iter().enumerate() {
        let job = site.wait_job(*id, wait::JOB)?;
        expect_good(&job)?;
        assert_eq!(job.files(), 41 + number as u64);
    }
    assert_eq!(site.volume_names()?, ["Vol-0001"]);
    for (number, id) in ids.iter().enumerate() {
        clear_restored(&site)?;
        expect_good(&site.restore_jobs(&[*id], &site.restored())?)?;
        compare_restored(&site, &dir.path().join(format!("tree-{number}")))?.expect_equal()?;
    }
    site.finish()
}

#[test]
fn volumes_take_no_more_jobs_than_they_may() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 5, 1000)?;
    let site = our_site().tree(&tree).pool("Maximum Volume Jobs = 1").start()?;
    for _ in 0..3 {
        expect_good(&site.backup("Full")?)?;
    }
    assert_eq!(site.volume_names()?, ["Vol-0001", "Vol-0002", "Vol-0003"]);
    let list = site.console(&["list volumes"])?;
    ensure!(list.matches("Used").count() >= 2, "{list}");
    site.finish()
}

#[test]
fn two_devices_write_at_once() -> Result<()> {
    let dir = scratch()?;
    let gates: Vec<Gate> =
        (1..3).map(|n| Gate::create(dir.path().join(format!("gate-{n}")))).collect::<Result<_>>()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 30, 50_000)?;
    let mut builder = our_site().tree(&tree);
    for (number, gate) in (1..3).zip(&gates) {
        builder = builder.extra(format!(
            "Pool {{ Name = Pool{number}; Pool Type = Backup; Label Format = \"P{number}-\"; Storage = File{number}; }}\n\
             Job {{ Name = Job{number}; JobDefs = Defaults; Pool = Pool{number}; Storage = File{number}; \
             Client Run Before Job = \"/bin/cat {}\" }}",
            gate.path().display()
        ));
    }
    let site = builder.start()?;
    let ids: Vec<u32> =
        (1..3).map(|n| site.run(&format!("run job=Job{n} level=Full yes"))).collect::<Result<_>>()?;
    let open = gates.iter().map(|gate| gate.wait_reader(wait::START)).collect::<Result<Vec<_>>>()?;
    drop(open);
    for id in &ids {
        expect_good(&site.wait_job(*id, wait::JOB)?)?;
    }
    for (number, id) in (1..3).zip(&ids) {
        // Which of the two numbered its Volume first is open.
        let rows = site.sql(&format!("SELECT VolumeName FROM Media WHERE VolumeName LIKE 'P{number}-%'"))?;
        let own = &rows.first().context("no Volume of its Pool")?[0];
        ensure!(site.dir().join(format!("volumes/file{number}/{own}")).exists(), "{own} is elsewhere");
        clear_restored(&site)?;
        expect_good(&site.restore_jobs(&[*id], &site.restored())?)?;
        compare_restored(&site, &tree)?.expect_equal()?;
    }
    site.finish()
}

#[test]
fn a_job_prunes_what_is_too_old_and_keeps_what_a_restore_needs() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 5, 1000)?;
    let site = our_site().tree(&tree).job("Prune Jobs = yes").pool("Job Retention = 1 second").start()?;
    let old = site.backup("Full")?;
    expect_good(&old)?;
    let since = std::time::Instant::now();
    wait::until("the retention to pass", wait::START, || Ok((since.elapsed().as_secs() > 2).then_some(())))?;
    let new = site.backup("Full")?;
    expect_good(&new)?;
    site.wait_job_log("End auto prune.", wait::START)?;
    let log = site.job_log();
    for words in
        ["Begin pruning Jobs older than 1 sec .", "No Jobs found to prune.", "Pruned 1 Job for client kit-fd"]
    {
        ensure!(log.contains(words), "“{words}” is not in:\n{log}");
    }
    let list = site.console(&["list jobs"])?;
    ensure!(list.contains("No results") || !list.contains(" 1 | Backup "), "{list}");
    expect_good(&site.restore_current()?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    site.finish()
}
