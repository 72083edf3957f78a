//! Consoles reach the active instance through any of them.

use anyhow::{Result, ensure};
use holdfast_tests::held::Held;
use holdfast_tests::{expect_good, full_incremental_restore_list, our_site};
use testkit::site::{Act, Maker, Role};
use testkit::wait;

#[test]
fn a_standby_relays_and_answers_for_itself() -> Result<()> {
    let site = our_site().instances(&["a", "b"]).tree("/etc/hostname").start()?;
    site.wait_active("b", "a", wait::START)?;
    let run = site.console_of("b", &["run job=Backup level=Full yes", "wait", "list jobs"])?;
    ensure!(run.contains("Job queued. JobId=1") && run.contains("| Backup"), "{run}");
    expect_good(&site.wait_job(1, wait::JOB)?)?;
    let status = site.console_of("b", &["status cluster"])?;
    ensure!(status.contains("| a ") && status.contains("| standby "), "{status}");
    // A dialogue goes through as well.
    let dialogue = site.console_of("b", &["status", "1"])?;
    ensure!(dialogue.contains("Daemon started"), "{dialogue}");
    site.finish()
}

#[test]
fn a_stock_console_works_at_the_standby() -> Result<()> {
    let site = our_site().console(Maker::Bacula9).instances(&["a", "b"]).tree("/etc/hostname").start()?;
    site.wait_active("b", "a", wait::START)?;
    let run = site.console_of("b", &["run job=Backup level=Full yes", "wait", "llist jobid=1"])?;
    ensure!(run.contains("Job queued. JobId=1") && run.contains("jobstatus: T"), "{run}");
    site.finish()
}

#[test]
fn a_named_console_keeps_its_lists_at_the_standby() -> Result<()> {
    let console = "Console { Name = watch; Password = watch-password; CommandACL = list, status; CatalogACL = *all*; JobACL = *all* }";
    let mut site = our_site().instances(&["a", "b"]).extra(console).tree("/etc/hostname").start()?;
    site.wait_active("b", "a", wait::START)?;
    let file = site.config_file("bconsole-b.conf");
    let text = std::fs::read_to_string(&file)?;
    let named = "Console { Name = watch; Password = watch-password; Director = kit-dir }\n";
    std::fs::write(&file, format!("{text}{named}"))?;
    let said =
        site.console_of("b", &["list jobs", "run job=Backup yes", "status cluster", "cluster demote"])?;
    ensure!(said.contains("run: is an invalid command"), "{said}");
    ensure!(said.contains("cluster: is an invalid command"), "{said}");
    ensure!(said.contains("| standby "), "{said}");
    ensure!(site.is_running(Role::Storage));
    site.finish()
}

/// The waiting command is told of the failover, and the session goes on with the next one.
#[test]
fn a_session_at_the_standby_lives_through_the_failover() -> Result<()> {
    let mut held = Held::start(our_site().instances(&["a", "b"]))?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.arm("director-console-waits", Act::Pass)?;
    let a = held.site.instance_process("a")?;
    let said = std::thread::scope(|scope| -> Result<String> {
        let site = &held.site;
        let session = scope.spawn(move || {
            site.console_of("b", &["wait jobid=1", "run job=Backup level=Full yes", "list jobs"])
        });
        site.wait_reached("director-console-waits", wait::START)?;
        a.kill()?;
        session.join().map_err(|_| anyhow::anyhow!("the session's thread panicked"))?
    })?;
    held.site.forget_instance("a")?;
    ensure!(said.contains("Instance a is not active any more"), "{said}");
    ensure!(said.contains("Instance b is active. Your last command changed nothing"), "{said}");
    ensure!(said.contains("Job queued. JobId=2") && said.contains("| Backup"), "{said}");
    held.release()?;
    expect_good(&held.site.wait_job(held.job, wait::JOB)?)?;
    // What the daemons say to that depends on how far it has come.
    held.site.console(&["cancel jobid=2 yes"])?;
    let canceled = held.site.wait_job(2, wait::JOB)?;
    ensure!(canceled.status() == 'A', "{canceled:?}");
    held.site.finish()
}

#[test]
fn everything_works_as_with_one() -> Result<()> {
    full_incremental_restore_list(our_site().instances(&["a", "b"]))
}
