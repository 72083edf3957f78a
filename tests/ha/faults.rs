//! Faults, one after another, each audited after it was healed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use holdfast_tests::audit::{Trees, audit};
use holdfast_tests::held::Held;
use holdfast_tests::load::Load;
use holdfast_tests::{expect_good, our_site, pass, plain_tree, scratch};
use testkit::site::{Act, Gate, Role, Site};
use testkit::wait;

use crate::two;

/// A small tree and its site with two instances, the first active.
fn small() -> Result<(tempfile::TempDir, PathBuf, Site)> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 20, 30_000)?;
    let site = two(our_site()).tree(&tree).start()?;
    site.wait_active("b", "a", wait::START)?;
    Ok((dir, tree, site))
}

/// A backup that is held at its gate, under the first of two instances.
fn held() -> Result<Held> {
    let held = Held::start(two(our_site()))?;
    held.site.wait_active("b", "a", wait::START)?;
    Ok(held)
}

/// The held job ended so, and everything is as it must be.
fn ended(held: Held, status: char) -> Result<()> {
    let job = held.site.wait_job(held.job, wait::JOB)?;
    ensure!(job.status() == status, "{job:?}");
    audit(&held.site, &held.trees())?;
    held.site.finish()
}

#[test]
fn killed_when_idle() -> Result<()> {
    let (_dir, tree, mut site) = small()?;
    expect_good(&site.backup("Full")?)?;
    site.kill_instance("a")?;
    site.wait_active("b", "b", wait::START)?;
    expect_good(&site.backup("Full")?)?;
    site.start_instance("a")?;
    audit(&site, &Trees::of(&[&tree]))?;
    site.finish()
}

#[test]
fn killed_with_twenty_jobs_half_of_them_queued() -> Result<()> {
    const JOBS: u32 = 20;
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 20, 30_000)?;
    let gate = Gate::create(dir.path().join("gate"))?;
    let mut site = two(our_site())
        .option("readfifo = yes")
        .job("Maximum Concurrent Jobs = 20")
        .tree(&tree)
        .tree(gate.path())
        .start()?;
    site.wait_active("b", "a", wait::START)?;
    let commands = vec!["run job=Backup level=Full yes"; JOBS as usize];
    site.console(&commands)?;
    // Client and Storage take ten at once.
    wait::until("ten jobs with data on the Volume", wait::START, || {
        let running =
            site.sql("SELECT count(*) FROM hf_attempt WHERE State = 'open' AND VolSessionId > 0")?;
        Ok((running == [["10"]]).then_some(()))
    })?;
    drop(gate.wait_reader(wait::START)?);
    site.kill_instance("a")?;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Whoever comes to the gate is let through.
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                drop(gate.wait_reader(Duration::from_millis(20)));
            }
        });
        let all = (1..=JOBS).try_for_each(|id| expect_good(&site.wait_job(id, wait::JOB)?));
        over.store(true, Ordering::Relaxed);
        all
    })?;
    audit(&site, &Trees::of(&[&tree]).unmark(gate.path()))?;
    site.finish()
}

/// Rows of a job with many files are on their way into the catalog, and other jobs write.
#[test]
fn killed_in_the_ingest_of_many_rows() -> Result<()> {
    const ROWS: u64 = 30_000;
    let dir = scratch()?;
    let load = Load::make(dir.path(), ROWS, 10, 3)?;
    let mut site = load.add_to(two(our_site()).storage_daemon("Checkpoint Interval = 1 second")).start()?;
    site.wait_active("b", "a", wait::START)?;
    let mut jobs = vec![site.run("run job=Rows level=Full yes")?];
    for number in 1..=load.data_jobs {
        jobs.push(site.run(&format!("run job=Data{number} level=Full yes"))?);
    }
    let rows = "SELECT count(*) FROM File WHERE JobId = 1";
    wait::until("the first rows in the catalog", wait::JOB, || {
        Ok((site.sql(rows)? != [["0"]]).then_some(()))
    })?;
    site.arm("director-journal-uncommitted", Act::Kill)?;
    site.wait_reached("director-journal-uncommitted", wait::JOB)?;
    site.forget_instance("a")?;
    let had: u64 = site.sql(rows)?[0][0].parse()?;
    ensure!(had < ROWS, "all rows were in the catalog");
    site.wait_active("b", "b", wait::START)?;
    site.start_instance("a")?;
    for job in jobs {
        expect_good(&site.wait_job(job, wait::JOB)?)?;
    }
    audit(&site, &load.trees())?;
    site.finish()
}

#[test]
fn killed_in_a_restore() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 60, 200_000)?;
    let mut site = two(our_site()).tree(&tree).start()?;
    site.wait_active("b", "a", wait::START)?;
    expect_good(&site.backup("Full")?)?;
    let restore = site.run("restore client=kit-fd fileset=Tree select current all done yes")?;
    wait::until("the first restored file", wait::START, || {
        Ok(site.restored_tree(&tree).join("file-0000").exists().then_some(()))
    })?;
    site.freeze(Role::Client)?;
    site.kill_instance("a")?;
    site.wait_active("b", "b", wait::START)?;
    site.thaw(Role::Client)?;
    expect_good(&site.wait_job(restore, wait::JOB)?)?;
    holdfast_tests::compare_restored(&site, &tree)?.expect_equal()?;
    audit(&site, &Trees::of(&[&tree]))?;
    site.finish()
}

#[test]
fn killed_in_a_prune_it_was_done_or_not() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 20, 30_000)?;
    let mut site = two(our_site()).client_resource("File Retention = 1 second").tree(&tree).start()?;
    site.wait_active("b", "a", wait::START)?;
    expect_good(&site.backup("Full")?)?;
    pass(Duration::from_secs(3))?;
    expect_good(&site.backup("Full")?)?;
    site.arm("director-console-uncommitted", Act::Kill)?;
    // The console loses its Director in the middle of the command.
    let _ = site.console_of("a", &["prune files client=kit-fd yes"]);
    site.wait_reached("director-console-uncommitted", wait::START)?;
    site.forget_instance("a")?;
    site.wait_active("b", "b", wait::START)?;
    let kept = site.sql("SELECT count(*) FROM Job WHERE PurgedFiles = 0 AND Type = 'B'")?;
    ensure!(kept == [["2"]], "half a prune is in the catalog: {kept:?}");
    audit(&site, &Trees::of(&[&tree]))?;
    site.finish()
}

#[test]
fn killed_in_a_reload() -> Result<()> {
    let (_dir, tree, mut site) = small()?;
    expect_good(&site.backup("Full")?)?;
    let file = site.config_file("bacula-dir.conf");
    let text = fs::read_to_string(&file)?;
    fs::write(&file, format!("{text}\nJob {{ Name = Added; JobDefs = Defaults }}\n"))?;
    site.reload_instance("a")?;
    site.kill_instance("a")?;
    site.wait_active("b", "b", wait::START)?;
    site.reload_instance("b")?;
    let added =
        wait::until("the added job", wait::START, || Ok(site.run("run job=Added level=Full yes").ok()))?;
    expect_good(&site.wait_job(added, wait::JOB)?)?;
    audit(&site, &Trees::of(&[&tree]).job("Added", &[&tree]))?;
    site.finish()
}

#[test]
fn frozen_for_less_than_the_lease_it_goes_on() -> Result<()> {
    let mut held = held()?;
    held.site.freeze_instance("a")?;
    pass(Duration::from_secs(1))?;
    held.site.thaw_instance("a")?;
    held.release()?;
    ended(held, 'T')
}

#[test]
fn standby_killed_and_back() -> Result<()> {
    let mut held = held()?;
    held.site.kill_instance("b")?;
    held.release()?;
    held.site.start_instance("b")?;
    held.site.wait_active("b", "a", wait::START)?;
    ended(held, 'T')
}

#[test]
fn both_killed_and_back() -> Result<()> {
    let mut held = held()?;
    held.site.kill_instance("b")?;
    held.site.kill_instance("a")?;
    held.release()?;
    held.site.start_instance("b")?;
    held.site.start_instance("a")?;
    ended(held, 'T')
}

#[test]
fn killed_while_it_takes_over() -> Result<()> {
    let mut held = Held::start(our_site().instances(&["a", "b", "c"]).cluster("Lease Time = 3 seconds"))?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.arm("director-activated", Act::Kill)?;
    held.site.kill_instance("a")?;
    held.site.wait_reached("director-activated", wait::START)?;
    // One of the two has gone while it took over; the other does it.
    let gone = wait::until("the end of one instance", wait::START, || {
        Ok(["b", "c"].into_iter().find(|name| !held.site.is_instance_running(name)))
    })?;
    held.site.forget_instance(gone)?;
    let heir = if gone == "b" { "c" } else { "b" };
    held.site.wait_active(heir, heir, wait::START)?;
    held.release()?;
    held.site.start_instance("a")?;
    ended(held, 'T')
}

/// Storage or File Daemon dies and comes back while no Director is there: the job is found out, and what is kept is true.
fn other_daemon_killed_while_no_director_is_there(role: Role) -> Result<()> {
    let mut held = held()?;
    wait::until("a checkpoint in the catalog", wait::START, || {
        Ok((held.site.sql("SELECT count(*) FROM File")? != [["0"]]).then_some(()))
    })?;
    held.site.kill_instance("b")?;
    held.site.kill_instance("a")?;
    held.site.kill(role)?;
    held.release()?;
    held.site.start_role(role)?;
    held.site.start_instance("a")?;
    held.site.start_instance("b")?;
    ended(held, 'I')
}

#[test]
fn storage_daemon_killed_while_no_director_is_there() -> Result<()> {
    other_daemon_killed_while_no_director_is_there(Role::Storage)
}

#[test]
fn file_daemon_killed_while_no_director_is_there() -> Result<()> {
    other_daemon_killed_while_no_director_is_there(Role::Client)
}

/// The job is ended while its Storage Daemon is away. What that one still holds of it when it is back is closed, not kept for ever.
#[test]
fn storage_daemon_back_after_its_job_was_ended() -> Result<()> {
    let mut held = held()?;
    wait::until("a checkpoint in the catalog", wait::START, || {
        Ok((held.site.sql("SELECT count(*) FROM File")? != [["0"]]).then_some(()))
    })?;
    held.site.kill(Role::Storage)?;
    held.release()?;
    let job = held.site.wait_job(held.job, wait::JOB)?;
    ensure!(job.status() == 'I', "{job:?}");
    ensure!(held.site.journals()?.len() == 1, "the journal is gone: {:?}", held.site.journals()?);
    held.site.start_role(Role::Storage)?;
    wait::until("the journal to be closed", wait::JOB, || {
        Ok(held.site.journals()?.is_empty().then_some(()))
    })?;
    audit(&held.site, &held.trees())?;
    held.site.finish()
}

#[test]
fn killed_in_a_script_before_the_job() -> Result<()> {
    killed_in_a_before_script("Run Before Job = \"@\"", 2)
}

#[test]
fn killed_in_a_script_before_the_job_that_may_not_run_again() -> Result<()> {
    let script = "RunScript { Runs When = Before; Runs On Client = no; Run Again = no; Command = \"@\" }";
    killed_in_a_before_script(script, 1)
}

/// The Director dies in a script before the job, which then runs so often; `@` in `directive` stands for its command.
fn killed_in_a_before_script(directive: &str, runs: usize) -> Result<()> {
    let dir = scratch()?;
    let (tree, note) = (dir.path().join("tree"), dir.path().join("note"));
    plain_tree(&tree, 20, 30_000)?;
    let gate = Gate::create(dir.path().join("gate"))?;
    let script =
        format!("/bin/sh -c 'echo $HOLDFAST_ATTEMPT >> {}; cat {}'", note.display(), gate.path().display());
    let mut site = two(our_site()).job(directive.replace('@', &script)).tree(&tree).start()?;
    site.wait_active("b", "a", wait::START)?;
    let job = site.run("run job=Backup level=Full yes")?;
    let open = gate.wait_reader(wait::START)?;
    site.kill_instance("a")?;
    drop(open);
    site.wait_active("b", "b", wait::START)?;
    if runs > 1 {
        attempts(&note, runs)?;
        drop(gate.wait_reader(wait::START)?);
    }
    expect_good(&site.wait_job(job, wait::JOB)?)?;
    let said = if runs > 1 { "a script runs again" } else { "a script with Run Again = no is left out" };
    ensure!(site.job_log().contains(said), "the job's messages do not say: {said}");
    let ran = fs::read_to_string(&note)?;
    ensure!(ran == ["1\n", "2\n"][..runs].concat(), "the script ran otherwise: {ran:?}");
    let recorded = site.sql("SELECT Attempt FROM hf_script WHERE JobId = 1 ORDER BY Attempt")?;
    ensure!(recorded == [["1"], ["2"]][..runs], "starts recorded: {recorded:?}");
    audit(&site, &Trees::of(&[&tree]))?;
    site.finish()
}

fn attempts(note: &Path, count: usize) -> Result<()> {
    wait::until("the script of the next attempt", wait::START, || {
        Ok((fs::read_to_string(note)?.lines().count() == count).then_some(()))
    })
}

/// `run` has no answer: the Director cannot know whether it was lost with the connection. It says it again when it has attached.
#[test]
fn a_run_that_is_lost_with_its_connection_is_said_again() -> Result<()> {
    let (_dir, tree, site) = small()?;
    site.switch_on("storage-run-lost")?;
    let job = site.run("run job=Backup level=Full yes")?;
    site.wait_job_log("it is asked whether it still holds the job", wait::START)?;
    site.switch_off("storage-run-lost")?;
    expect_good(&site.wait_job(job, wait::JOB)?)?;
    audit(&site, &Trees::of(&[&tree]))?;
    site.finish()
}
