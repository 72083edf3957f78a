//! All instances run the same configuration, or are visibly out of service (DESIGN §4, I10).

use anyhow::{Context, Result, ensure};
use holdfast_tests::{expect_good, our_site};
use std::fs;
use std::path::Path;
use testkit::site::{Builder, Site};
use testkit::wait;

const MAIN: &str = "bacula-dir.conf";
const EXTRA: &str = "extra.conf";
const REPLICATE: &str = "Replicate Configuration = yes";
const NEW_POOL: &str = "Pool { Name = Added; Pool Type = Backup }\n";

/// Two instances with files of their own, the first of them active.
fn two(builder: Builder) -> Result<Site> {
    let site = builder
        .instances(&["a", "b"])
        .own_files()
        .extra("Pool { Name = Extra; Pool Type = Backup }\n")
        .tree("/etc/hostname")
        .start()?;
    site.wait_active("b", "a", wait::START)?;
    Ok(site)
}

fn append(path: &Path, text: &str) -> Result<()> {
    let before = fs::read_to_string(path)?;
    fs::write(path, before + text).with_context(|| format!("write {}", path.display()))
}

fn replace(path: &Path, old: &str, new: &str) -> Result<()> {
    let before = fs::read_to_string(path)?;
    ensure!(before.contains(old), "{} has no {old}", path.display());
    fs::write(path, before.replace(old, new))?;
    Ok(())
}

/// What `asked` reports of `name`.
fn report(site: &Site, asked: &str, name: &str) -> Result<serde_json::Value> {
    let report = site.cluster_report(asked)?;
    let instances = report["instances"].as_array().context("a report without instances")?;
    instances.iter().find(|one| one["instance"] == name).cloned().context("the instance is not in the report")
}

fn wait_report(
    site: &Site,
    asked: &str,
    name: &str,
    what: &str,
    holds: impl Fn(&serde_json::Value) -> bool,
) -> Result<serde_json::Value> {
    wait::until(&format!("instance {name} to be {what}"), wait::START, || {
        Ok(Some(report(site, asked, name)?).filter(&holds))
    })
}

fn same_files(site: &Site) -> Result<bool> {
    for file in [MAIN, EXTRA] {
        if fs::read(site.instance_file("a", file))? != fs::read(site.instance_file("b", file))? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[test]
fn a_reload_reaches_the_standby_which_acts_by_it_after_the_takeover() -> Result<()> {
    let mut site = two(our_site().director_resource(REPLICATE))?;
    let old = fs::read(site.instance_file("b", EXTRA))?;
    append(&site.instance_file("a", EXTRA), NEW_POOL)?;
    replace(&site.instance_file("a", MAIN), "Maximum Volumes = 100", "Maximum Volumes = 90")?;
    let checked = site.console_of("a", &["reload check", "show pool=Added"])?;
    ensure!(
        checked.contains("Pool \"Added\" added") && checked.contains("nothing was changed yet"),
        "{checked}"
    );
    ensure!(!checked.contains("Pool: name=Added"), "a check has taken it: {checked}");
    let said = site.console_of("b", &["reload"])?;
    ensure!(said.contains("Pool \"Added\" added"), "{said}");
    ensure!(said.contains("Pool \"File\": Maximum Volumes: 100 → 90"), "{said}");
    ensure!(said.contains("Configuration reloaded."), "{said}");
    let active = report(&site, "a", "a")?;
    wait_report(&site, "a", "b", "of the same configuration", |b| {
        b["config"] == active["config"] && b["config_differs"] == false
    })?;
    ensure!(same_files(&site)?, "the files differ");
    ensure!(fs::read(site.instance_file("b", "extra.conf.previous"))? == old, "the old file was not kept");
    site.kill_instance("a")?;
    site.wait_active("b", "b", wait::START)?;
    let shown = site.console_of("b", &["show pool=Added", "list pools"])?;
    ensure!(shown.contains("Pool: name=Added") && shown.contains("| Added"), "{shown}");
    expect_good(&site.backup("Full")?)?;
    site.finish()
}

#[test]
fn what_changed_while_a_standby_was_away_reaches_it_when_it_is_back() -> Result<()> {
    let mut site = two(our_site().director_resource(REPLICATE))?;
    site.stop_instance("b")?;
    append(&site.instance_file("a", EXTRA), NEW_POOL)?;
    site.console_of("a", &["reload"])?;
    // An edit made here meanwhile gives way, and is kept.
    append(&site.instance_file("b", EXTRA), "Pool { Name = Side; Pool Type = Backup }\n")?;
    site.start_instance("b")?;
    let active = report(&site, "a", "a")?;
    wait_report(&site, "a", "b", "of the same configuration", |b| b["config"] == active["config"])?;
    ensure!(same_files(&site)?, "the files differ");
    let kept = fs::read_to_string(site.instance_file("b", "extra.conf.previous"))?;
    ensure!(kept.contains("Name = Side"), "{kept}");
    site.finish()
}

#[test]
fn a_broken_configuration_changes_nothing_on_either() -> Result<()> {
    let mut site = two(our_site().director_resource(REPLICATE))?;
    let before = report(&site, "b", "b")?;
    let old = fs::read(site.instance_file("b", EXTRA))?;
    append(
        &site.instance_file("a", EXTRA),
        "Pool { Name = One; Pool Tipe = Backup }\nJob { Name = Two; Nonsense = 3 }\n",
    )?;
    let refused = site.console_of("a", &["reload", "show pool=One"])?;
    ensure!(refused.contains("Pool Tipe") && refused.contains("Nonsense"), "all findings: {refused}");
    ensure!(!refused.contains("Pool: name=One"), "{refused}");
    let noted = report(&site, "b", "a")?;
    ensure!(noted["config"] == before["config"], "{noted}");
    ensure!(noted["config_edited"][0].as_str().is_some_and(|file| file.ends_with(EXTRA)), "{noted}");
    // One that has no instance b any more is not brought to b.
    fs::write(site.instance_file("a", EXTRA), &old)?;
    let main = site.instance_file("a", MAIN);
    replace(&main, "Instance { Name = b;", "Instance { Name = c;")?;
    site.console_of("a", &["reload"])?;
    ensure!(fs::read(site.instance_file("b", EXTRA))? == old);
    ensure!(report(&site, "b", "b")?["config"] == before["config"]);
    replace(&main, "Instance { Name = c;", "Instance { Name = b;")?;
    site.console_of("a", &["reload"])?;
    wait_report(&site, "a", "b", "of the same configuration", |b| b["config"] == before["config"])?;
    site.kill_instance("a")?;
    site.wait_active("b", "b", wait::START)?;
    site.finish()
}

#[test]
fn a_set_that_says_something_else_on_the_standby_is_refused_and_nothing_written() -> Result<()> {
    let site = two(our_site().director_resource(REPLICATE))?;
    let old = fs::read(site.instance_file("b", EXTRA))?;
    fs::write(site.instance_file("a", "here.inc"), "Pool { Name = OfA; Pool Type = Backup }\n")?;
    fs::write(site.instance_file("b", "here.inc"), "Pool { Name = OfB; Pool Type = Backup }\n")?;
    append(&site.instance_file("a", EXTRA), "@|\"cat here.inc\"\n")?;
    site.console_of("a", &["reload"])?;
    let b = wait_report(&site, "a", "b", "refusing", |b| b["config_refused"].is_string())?;
    let why = b["config_refused"].as_str().unwrap_or_default();
    ensure!(why.contains("cat here.inc") && why.contains("another output"), "{why}");
    ensure!(b["config_differs"] == true && b["role"] == "held back", "{b}");
    ensure!(fs::read(site.instance_file("b", EXTRA))? == old, "something was written");
    fs::copy(site.instance_file("a", "here.inc"), site.instance_file("b", "here.inc"))?;
    append(&site.instance_file("a", EXTRA), NEW_POOL)?;
    site.console_of("a", &["reload"])?;
    wait_report(&site, "a", "b", "of the same configuration", |b| {
        b["config_differs"] == false && b["config_refused"].is_null() && b["role"] == "standby"
    })?;
    ensure!(same_files(&site)?, "the files differ");
    site.finish()
}

#[test]
fn one_that_was_edited_on_the_side_does_not_become_active_unless_forced() -> Result<()> {
    let mut site = two(our_site())?;
    append(&site.instance_file("b", EXTRA), NEW_POOL)?;
    let noted = site.console_of("a", &["status cluster"])?;
    ensure!(noted.contains("edited and not loaded") && noted.contains(EXTRA), "{noted}");
    site.reload_instance("b")?;
    let b = wait_report(&site, "a", "b", "held back", |b| b["role"] == "held back")?;
    ensure!(b["config_differs"] == true, "{b}");
    let table = site.console_of("a", &["status cluster"])?;
    ensure!(table.contains("(differs)") && table.contains("cluster promote force"), "{table}");
    site.kill_instance("a")?;
    let refused = site.console_of("b", &["cluster promote"])?;
    ensure!(refused.contains("may not become active"), "{refused}");
    // Restarted, it has heard nothing, and the catalog knows.
    site.stop_instance("b")?;
    site.start_instance("b")?;
    let b = wait_report(&site, "b", "b", "held back", |b| b["role"] == "held back")?;
    let why = b["config_held_back"].as_str().context("no reason")?;
    ensure!(why.contains("instance a"), "{why}");
    ensure!(site.instance_log("b")?.contains("not to become active"), "it does not say why in its log");
    ensure!(
        site.sql("SELECT Holder, Epoch % 4294967296 FROM hf_leader")? == [["a", "1"]],
        "the epoch was raised"
    );
    site.console_of("b", &["cluster promote force"])?;
    site.wait_active("b", "b", wait::START)?;
    // Now it is the other one that is different.
    site.start_instance("a")?;
    wait_report(&site, "b", "a", "held back", |a| a["role"] == "held back")?;
    append(&site.instance_file("a", EXTRA), NEW_POOL)?;
    wait_report(&site, "b", "a", "a standby again", |a| {
        a["role"] == "standby" && a["config_differs"] == false
    })?;
    site.finish()
}

#[test]
fn a_standby_killed_at_any_time_has_whole_files() -> Result<()> {
    let mut site = two(our_site().director_resource(REPLICATE))?;
    let (mine, other) = (site.instance_file("a", EXTRA), site.instance_file("b", EXTRA));
    let (main, other_main) = (site.instance_file("a", MAIN), site.instance_file("b", MAIN));
    for round in 0..8 {
        let long = "# a comment of some length\n".repeat(20_000);
        fs::write(&mine, format!("{long}Pool {{ Name = Round{round}; Pool Type = Backup }}\n"))?;
        replace(
            &main,
            &format!("Maximum Volumes = {}", 100 - round),
            &format!("Maximum Volumes = {}", 99 - round),
        )?;
        let olds = [fs::read(&other)?, fs::read(&other_main)?];
        let news = [fs::read(&mine)?, fs::read(&main)?];
        site.console_of("a", &["reload"])?;
        let staged = other.with_file_name(format!(".{EXTRA}.holdfast-new"));
        // As near to the moment as can be seen from outside; every other round as soon as anything has been staged.
        wait::until_every(std::time::Duration::from_millis(1), "the set to arrive", wait::START, || {
            let arrived = round % 2 == 0 && staged.exists();
            Ok((arrived || fs::read(&other)? == news[0]).then_some(()))
        })?;
        site.kill_instance("b")?;
        for (file, at) in [(&other, 0), (&other_main, 1)] {
            let now = fs::read(file)?;
            ensure!(now == olds[at] || now == news[at], "round {round}: {} is torn", file.display());
        }
        site.start_instance("b")?;
        let active = report(&site, "a", "a")?;
        wait_report(&site, "a", "b", "of the same configuration", |b| b["config"] == active["config"])?;
        ensure!(same_files(&site)?, "round {round}: the files differ");
    }
    site.finish()
}
