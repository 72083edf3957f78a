//! `holdfast ha check` with real instances and a real server of PostgreSQL, and over a tree of recorded files.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use holdfast_tests::our_site;
use testkit::site::{Maker, program};
use testkit::wait;

/// Runs it and wants this exit code and these words.
fn check(words: &[&str], code: i32, wanted: &[&str]) -> Result<String> {
    let holdfast = program(Maker::Holdfast, "ha")?;
    let mut command = Command::new(&holdfast.path);
    command.args(&holdfast.arguments).arg("check").args(words);
    let output = command.output().context("run holdfast")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let all = wanted.iter().all(|word| said.contains(word));
    ensure!(output.status.code() == Some(code) && all, "want {code} and {wanted:?}: {output:?}");
    Ok(said)
}

fn check_file(file: &Path, only: &str, code: i32, wanted: &[&str]) -> Result<()> {
    let file = file.to_string_lossy();
    check(&["-c", &file, "--only", only], code, wanted).map(drop)
}

#[test]
fn instances_their_configuration_and_their_server_are_asked() -> Result<()> {
    let mut site = our_site().postgres().instances(&["a", "b"]).tree("/etc/hostname").start()?;
    site.wait_active("b", "a", wait::START)?;
    let file = site.config_file("bacula-dir.conf");
    let both = "director,configuration";
    check_file(&file, both, 0, &["OK           director", "a is active (epoch ", "the same: a, b "])?;
    // The tests' server does not write through, which is what the check is for.
    let unsafe_server = ["CRITICAL     postgresql fsync", "  off\n", "-> set fsync = on"];
    check_file(&file, "postgresql", 2, &unsafe_server)?;
    site.kill_instance("b")?;
    check_file(&file, "configuration", 3, &["UNKNOWN      configuration  b does not tell"])?;
    check_file(&file, "director", 1, &["WARNING      director  a is active (epoch ", "; b is missing: "])?;
    site.finish()
}

/// Several servers in the Catalog resource: what the active instance confirms must be on the replica as well.
#[test]
fn a_replicated_catalog_must_be_synchronous() -> Result<()> {
    let site = our_site().postgres_pair().instances(&["a", "b"]).tree("/etc/hostname").start()?;
    site.wait_active("b", "a", wait::START)?;
    let file = site.config_file("bacula-dir.conf");
    check_file(&file, "postgresql", 2, &["OK           postgresql synchronous_standby_names"])?;
    site.finish()
}

#[test]
fn what_is_not_there_is_never_well() -> Result<()> {
    let root = holdfast_tests::scratch()?;
    let nothing = root.path().join("dir.conf");
    let (root, nothing) = (root.path().to_string_lossy(), nothing.to_string_lossy());
    let args =
        ["--root", &root, "-c", &nothing, "--only", "bond,drbd,quorum,cluster,stonith,director,postgresql"];
    let said = check(&args, 3, &["UNKNOWN: 0 critical, 0 unknown, 0 warnings, 0 ok, 7 not present"])?;
    ensure!(!said.contains("OK "), "{said}");
    let args = [&args[..], &["--require", "bond,drbd"]].concat();
    check(&args, 2, &["CRITICAL: 2 critical, ", "CRITICAL     bond", "required, but not present: no bond"])?;
    Ok(())
}

#[test]
fn a_program_reads_the_findings_as_json() -> Result<()> {
    let root = holdfast_tests::scratch()?;
    let bonds = root.path().join("proc/net/bonding");
    std::fs::create_dir_all(&bonds)?;
    let degraded = include_str!("../../crates/ha/fixtures/check/bonding/active-backup.d1-down.txt");
    std::fs::write(bonds.join("bond0"), degraded)?;
    let said = check(&["--root", &root.path().to_string_lossy(), "--only", "bond", "--json"], 1, &[])?;
    let said: serde_json::Value = serde_json::from_str(&said).context("read its JSON")?;
    ensure!(said["summary"]["verdict"] == "warning", "{said}");
    let bond = &said["findings"][0];
    ensure!(bond["check"] == "bond" && bond["subject"] == "bond0" && bond["verdict"] == "warning", "{said}");
    ensure!(bond["remedy"].as_str().is_some_and(|remedy| remedy.contains("mend the leg")), "{said}");
    Ok(())
}
