//! The harness itself, with real Bacula in every position: what fails here is no fault of Holdfast's.

use anyhow::Result;
use holdfast_tests::{full_incremental_restore_list, plain_tree, scratch};
use testkit::site::{Gate, Maker, Role, Site};
use testkit::wait;

#[test]
fn real_bacula_in_every_position_backs_up_and_restores() -> Result<()> {
    full_incremental_restore_list(Site::builder().all(Maker::Bacula9))
}

#[test]
fn a_real_file_daemon_15_answers_a_real_director_9() -> Result<()> {
    let dir = scratch()?;
    let site = Site::builder().all(Maker::Bacula9).client(Maker::Bacula15).tree(dir.path()).start()?;
    let status = site.console(&["status client=kit-fd"])?;
    assert!(status.contains("kit-fd Version: 15.0.3"), "{status}");
    site.finish()
}

#[test]
fn a_gate_holds_a_job_and_a_killed_daemon_comes_back() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 3, 1000)?;
    let gate = Gate::create(dir.path().join("gate"))?;
    let mut site = Site::builder()
        .all(Maker::Bacula9)
        .tree(&tree)
        .job(format!("Client Run Before Job = \"/bin/cat {}\"", gate.path().display()))
        .start()?;
    let id = site.run("run job=Backup level=Full yes")?;
    let open = gate.wait_reader(wait::START)?;
    assert_eq!(site.job(id)?.status(), 'R');
    drop(open);
    assert_eq!(site.wait_job(id, wait::JOB)?.status(), 'T');
    site.kill(Role::Client)?;
    assert!(!site.is_running(Role::Client));
    site.start_role(Role::Client)?;
    assert_eq!(site.console(&["status client=kit-fd"])?.matches("Version: 9.6.7").count(), 2);
    site.finish()
}
