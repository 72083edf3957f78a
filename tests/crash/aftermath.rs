//! The Director is killed when the end of a job is in the catalog and what follows on it is not done.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use holdfast_tests::{our_site, plain_tree, scratch};
use testkit::site::{Gate, Role, Site};
use testkit::wait;

/// A script that notes each of its runs and stops at a gate.
struct Script {
    dir: tempfile::TempDir,
    gate: Gate,
}

impl Script {
    fn write() -> Result<Self> {
        let dir = scratch()?;
        let gate = Gate::create(dir.path().join("gate"))?;
        let text = format!(
            "echo \"$HOLDFAST_ATTEMPT $HOLDFAST_REPEAT\" >> {0}/runs\ncat {0}/gate\n",
            dir.path().display()
        );
        fs::write(dir.path().join("script"), text)?;
        plain_tree(&dir.path().join("tree"), 5, 5000)?;
        Ok(Self { dir, gate })
    }

    fn command(&self) -> String {
        format!("\"/bin/sh {}\"", self.dir.path().join("script").display())
    }

    /// Attempt and repeat of each run.
    fn runs(&self) -> Result<Vec<String>> {
        let text = fs::read_to_string(self.dir.path().join("runs"))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    fn tree(&self) -> std::path::PathBuf {
        self.dir.path().join("tree")
    }
}

/// Nothing is left to do.
fn all_done(site: &Site) -> Result<()> {
    wait::until("everything that follows on the job", wait::JOB, || {
        Ok(site
            .sql("SELECT Name FROM hf_operator WHERE Kind IN ('aftermath', 'reschedule')")?
            .is_empty()
            .then_some(()))
    })
}

fn bootstrap(path: &Path) -> Result<String> {
    Ok(fs::read_to_string(path)?)
}

#[test]
fn killed_in_a_script_after_the_job_it_runs_again() -> Result<()> {
    let script = Script::write()?;
    let job = format!("Run After Job = {}", script.command());
    let mut site = our_site().tree(script.tree()).job(job).start()?;
    let id = site.run("run job=Backup level=Full yes")?;
    let open = script.gate.wait_reader(wait::JOB)?;
    ensure!(site.job(id)?.status() == 'T', "the end is not in the catalog before the script");
    site.kill(Role::Director)?;
    drop(open);
    site.start_role(Role::Director)?;
    drop(script.gate.wait_reader(wait::JOB)?);
    all_done(&site)?;
    assert_eq!(script.runs()?, ["1 0", "1 1"]);
    ensure!(site.job(id)?.status() == 'T');
    let reports = site.sql("SELECT count(*) FROM Log WHERE LogText LIKE '%Termination: %'")?;
    ensure!(reports == [["1"]], "{reports:?}");
    // Done is done.
    site.restart(Role::Director)?;
    all_done(&site)?;
    assert_eq!(script.runs()?.len(), 2);
    site.finish()
}

#[test]
fn killed_in_a_script_that_may_not_run_again_the_rest_is_done() -> Result<()> {
    let script = Script::write()?;
    let list = script.dir.path().join("second");
    let job = format!(
        "RunScript {{ Runs When = After; Runs On Client = no; Run Again = no; Command = {} }}\n\
         Run After Job = \"/bin/cp /etc/hostname {}\"",
        script.command(),
        list.display()
    );
    let mut site = our_site().tree(script.tree()).job(job).start()?;
    site.run("run job=Backup level=Full yes")?;
    let open = script.gate.wait_reader(wait::JOB)?;
    site.kill(Role::Director)?;
    drop(open);
    site.start_role(Role::Director)?;
    all_done(&site)?;
    assert_eq!(script.runs()?, ["1 0"]);
    ensure!(!bootstrap(&list)?.is_empty(), "the script behind it did not run");
    site.wait_job_log(
        "a script with Run Again = no is left out. It was started before, in attempt 1",
        wait::START,
    )?;
    site.finish()
}

/// A reschedule is one job more, however often the Director starts.
#[test]
fn a_reschedule_happens_once_over_restarts() -> Result<()> {
    let dir = scratch()?;
    plain_tree(&dir.path().join("tree"), 5, 5000)?;
    let mut site = our_site()
        .tree(dir.path().join("tree"))
        .job("Run Before Job = \"/bin/false\"")
        .job("Reschedule On Error = yes\n  Reschedule Interval = 1 hour\n  Reschedule Times = 1")
        .extra("Job { Name = Plain; JobDefs = Defaults }")
        .start()?;
    let id = site.run("run job=Backup level=Full yes")?;
    ensure!(site.wait_job(id, wait::JOB)?.status() == 'E');
    wait::until("the job that it is to run as", wait::START, || {
        Ok((site.sql("SELECT JobId FROM Job")?.len() == 2).then_some(()))
    })?;
    for _ in 0..2 {
        site.kill(Role::Director)?;
        site.start_role(Role::Director)?;
        site.console(&["status dir"])?; // answered when it is active and has taken up what was left
    }
    all_done(&site)?;
    let plain = site.run("run job=Plain level=Full yes")?;
    ensure!(plain == 3, "a restart made job {} of a reschedule", plain - 1);
    ensure!(site.wait_job(plain, wait::JOB)?.status() == 'T');
    let status = site.console(&["status dir"])?;
    ensure!(status.contains("is waiting for its start time"), "{status}");
    let said = site.console(&["cancel jobid=2 yes"])?;
    ensure!(said.contains("marked to be canceled"), "{said}");
    ensure!(site.wait_job(2, wait::JOB)?.status() == 'A');
    all_done(&site)?;
    site.finish()
}
