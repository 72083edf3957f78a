//! What a monitor is told of the cluster: `holdfast ha status`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use holdfast_tests::our_site;
use testkit::site::{Maker, program};
use testkit::wait;

/// Runs `holdfast ha status` and wants this exit code and these words, with `--check` in one line.
fn status(file: &Path, check: bool, code: i32, words: &[&str]) -> Result<()> {
    let holdfast = program(Maker::Holdfast, "ha")?;
    let mut command = Command::new(&holdfast.path);
    command.args(&holdfast.arguments).arg("status").arg("-c").arg(file);
    if check {
        command.arg("--check");
    }
    let output = command.output().context("run holdfast")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let all = words.iter().all(|word| said.contains(word));
    ensure!(output.status.code() == Some(code) && all, "want {code} and {words:?}: {output:?}");
    ensure!(!check || said.lines().count() == 1, "more than one line:\n{said}");
    Ok(())
}

#[test]
fn a_monitor_sees_the_active_instance_go_and_its_standby_too() -> Result<()> {
    let mut site = our_site().instances(&["a", "b"]).tree("/etc/hostname").start()?;
    site.wait_active("b", "a", wait::START)?;
    let file = site.config_file("bacula-dir.conf");
    status(&file, true, 0, &["OK: a is active (epoch ", "); b stands by"])?;
    site.kill_instance("a")?;
    site.wait_active("b", "b", wait::START)?;
    status(&file, true, 1, &["WARNING: b is active (epoch ", "); a is missing: "])?;
    status(&file, false, 1, &["\n  a (127.", ": unreachable: ", "\n  b (127.", ": active, epoch "])?;
    site.kill_instance("b")?;
    status(&file, true, 2, &["CRITICAL: no instance is active; a is missing: ", "; b is missing: "])
}

#[test]
fn a_standby_that_is_held_back_is_a_warning() -> Result<()> {
    let site = our_site().instances(&["a", "b"]).tree("/etc/hostname").start()?;
    site.wait_active("b", "a", wait::START)?;
    site.console_of("a", &["cluster demote"])?;
    site.wait_active("a", "b", wait::START)?;
    status(&site.config_file("bacula-dir.conf"), true, 1, &["WARNING: b is active", "; a is held back"])?;
    site.finish()
}

#[test]
fn a_director_that_stands_alone_can_be_monitored() -> Result<()> {
    let site = our_site().tree("/etc/hostname").start()?;
    // The console waits until the Director is active.
    site.console(&["version"])?;
    status(&site.config_file("bacula-dir.conf"), true, 0, &["OK: kit-dir is active"])?;
    status(Path::new("/nonexistent/dir.conf"), true, 3, &["UNKNOWN: ", "/nonexistent/dir.conf"])?;
    site.finish()
}
