//! The catalog's own failover: PostgreSQL's primary dies and its synchronous replica takes over (DESIGN §2.6).

use std::path::Path;

use anyhow::{Context, Result, ensure};
use holdfast_tests::audit::{Trees, audit};
use holdfast_tests::held::Held;
use holdfast_tests::{expect_good, our_site, plain_tree, scratch};
use testkit::site::{Builder, DATABASE, Gate, Role, Site};
use testkit::wait;

/// Files of each job of [`crowd`].
const FILES: usize = 40;

fn two(builder: Builder) -> Builder {
    builder.instances(&["a", "b"]).cluster("Lease Time = 3 seconds")
}

/// The job that stood at the gate ends `T`, and everything is as it must be.
fn ends_well(held: &mut Held) -> Result<()> {
    held.release()?;
    held.ends_well()
}

fn timeline(site: &Site) -> Result<u64> {
    let rows = site.sql("SELECT Epoch FROM hf_leader")?;
    Ok(rows[0][0].parse::<u64>()? >> 32)
}

#[test]
fn a_director_goes_on_with_the_replica() -> Result<()> {
    let mut held = Held::start(our_site().postgres_pair())?;
    held.site.fail_over_catalog()?;
    ends_well(&mut held)?;
    held.site.finish()
}

/// The active instance keeps the role when the replica is the primary before its lease is over, else whoever sees it first has it.
#[test]
fn one_instance_goes_on_with_the_replica() -> Result<()> {
    let mut held = Held::start(two(our_site().postgres_pair()))?;
    held.site.wait_active("b", "a", wait::START)?;
    ensure!(timeline(&held.site)? == 1);
    held.site.fail_over_catalog()?;
    // The role ends and is taken again in an epoch of the new primary's timeline.
    wait::until("an epoch of the new timeline", wait::START, || {
        Ok((timeline(&held.site)? == 2).then_some(()))
    })?;
    let holder = held.site.sql("SELECT Holder FROM hf_leader")?[0][0].clone();
    for asked in ["a", "b"] {
        held.site.wait_active(asked, &holder, wait::START)?;
    }
    ends_well(&mut held)?;
    held.site.finish()
}

/// As when the machine dies that both are on.
#[test]
fn primary_and_active_instance_die_together() -> Result<()> {
    let mut held = Held::start(two(our_site().postgres_pair()))?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.kill_instance("a")?;
    held.site.fail_over_catalog()?;
    held.site.wait_active("b", "b", wait::START)?;
    ends_well(&mut held)?;
    held.site.start_instance("a")?;
    held.site.wait_active("a", "b", wait::START)?;
    held.site.finish()
}

/// What the Director has acknowledged to Storage and File Daemons before the primary died is on the replica.
#[test]
fn nothing_acknowledged_is_lost() -> Result<()> {
    let dir = scratch()?;
    let (builder, gates) = crowd(two(our_site().postgres_pair()), dir.path())?;
    let mut site = builder.start()?;
    let before = site.run("run job=Crowd0 level=Full yes")?;
    let open = gates[0].wait_reader(wait::START)?;
    drop(open);
    expect_good(&site.wait_job(before, wait::JOB)?)?;
    let ids: Vec<u32> = (1..gates.len())
        .map(|number| site.run(&format!("run job=Crowd{number} level=Full yes")))
        .collect::<Result<_>>()?;
    let open: Vec<_> = gates[1..].iter().map(|gate| gate.wait_reader(wait::START)).collect::<Result<_>>()?;
    // Their File Daemon begins while the primary dies.
    drop(open);
    site.fail_over_catalog()?;
    for id in &ids {
        expect_good(&site.wait_job(*id, wait::JOB)?)?;
    }
    let trees = (0..gates.len()).fold(Trees::none(), |trees, number| {
        trees.job(&format!("Crowd{number}"), &[&dir.path().join(format!("tree-{number}"))])
    });
    audit(&site, &trees)?;
    site.finish()
}

/// Jobs `Crowd0`… that begin when their gate is opened.
fn crowd(mut builder: Builder, dir: &Path) -> Result<(Builder, Vec<Gate>)> {
    let gates: Vec<Gate> =
        (0..6).map(|number| Gate::create(dir.join(format!("gate-{number}")))).collect::<Result<_>>()?;
    for (number, gate) in gates.iter().enumerate() {
        let tree = dir.join(format!("tree-{number}"));
        plain_tree(&tree, FILES, 50_000)?;
        builder = builder.extra(format!(
            "FileSet {{ Name = Set{number}; Include {{ Options {{ signature = MD5 }}; File = \"{}\" }} }}\n\
             Job {{ Name = Crowd{number}; JobDefs = Defaults; FileSet = Set{number}; Client Run Before Job = \"/bin/cat {}\" }}",
            tree.display(),
            gate.path().display()
        ));
    }
    Ok((builder, gates))
}

/// Both servers can be written then, and `DB Address` names the old one first. It is refused by an instance that slept through
/// the failover, by those that have used the new one, also while that is away, and by those that start anew.
#[test]
fn an_old_primary_that_comes_back_writable_is_refused() -> Result<()> {
    let mut held = Held::start(two(our_site().postgres_pair()))?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.freeze_instance("b")?;
    let mut old = held.site.fail_over_catalog()?.context("the old primary")?;
    old.configure("")?; // or its commits would wait for a replica
    old.resume()?;
    let leader = "SELECT * FROM hf_leader";
    let before = old.rows(DATABASE, leader)?;
    wait::until("an epoch of the new timeline", wait::START, || {
        Ok((timeline(&held.site)? == 2).then_some(()))
    })?;
    held.site.thaw_instance("b")?;
    // Who has never seen the new one, with only the old one in reach, learns of it from the Storage Daemons.
    wait::until("b to compare its servers", wait::START, || {
        Ok(held.site.instance_log("b")?.contains("two of its servers can be written").then_some(()))
    })?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.postgres().context("the new primary")?.kill()?;
    for name in ["a", "b"] {
        wait::until("the old primary to be refused", wait::START, || {
            Ok(held.site.instance_log(name)?.contains("an old primary that came back").then_some(()))
        })?;
    }
    held.release()?;
    held.site.postgres().context("the new primary")?.resume()?;
    expect_good(&held.site.wait_job(held.job, wait::JOB)?)?;
    for name in ["a", "b"] {
        held.site.kill_instance(name)?;
    }
    held.site.start_instance("b")?;
    held.site.wait_active("b", "b", wait::START)?;
    held.site.start_instance("a")?;
    ensure!(timeline(&held.site)? == 2, "timeline {}", timeline(&held.site)?);
    ensure!(old.rows(DATABASE, leader)? == before, "the old primary was written");
    held.ends_well()?;
    held.site.finish()
}

/// As after a power cut, when everything starts at once.
#[test]
fn a_director_that_starts_before_its_server_waits_for_it() -> Result<()> {
    let mut site = our_site().postgres().tree("/etc/hostname").start()?;
    expect_good(&site.backup("Full")?)?;
    site.kill(Role::Director)?;
    site.postgres().context("the server")?.kill()?;
    site.start_role(Role::Director)?;
    wait::until("the Director to say so", wait::START, || {
        let log = site.log(Role::Director)?;
        Ok(log.contains("the catalog cannot be reached; it is tried until it can").then_some(()))
    })?;
    site.postgres().context("the server")?.resume()?;
    expect_good(&site.backup("Incremental")?)?;
    site.finish()
}

/// Twice, so that the second failover goes to the server that was the primary first.
#[test]
fn under_patroni_with_a_job_in_the_middle() -> Result<()> {
    let mut held = Held::start(two(our_site().patroni()))?;
    held.site.wait_active("b", "a", wait::START)?;
    held.site.fail_over_catalog()?;
    ends_well(&mut held)?;
    held.site.revive_catalog_host()?;
    held.site.kill_instance("a")?;
    held.site.fail_over_catalog()?;
    held.site.wait_active("b", "b", wait::START)?;
    audit(&held.site, &held.trees())?;
    held.site.finish()
}
