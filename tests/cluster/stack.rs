//! PostgreSQL is a resource of the cluster, and moves with the Director: disk, file system, server, instance and floating address as they are
//! rendered, but for the disk's agents, which stand in for DRBD's.

use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use holdfast_tests::expect_good;
use holdfast_tests::held::Held;
use testkit::cluster::{Cluster, FLOATING, HEALED};
use testkit::site::Site;
use testkit::wait;

use crate::failover::{Then, node_death, nothing, settle, strike_at};
use crate::{held, history, site};

const SMALL: &str = r#"
FileSet { Name = Small; Include { File = "/etc/hostname" } }
Job { Name = Small; JobDefs = Defaults; Level = Full; FileSet = Small }
"#;

/// A job that stands in its middle, one that has ended before, and the nodes.
struct Stack {
    held: Held,
    cluster: Cluster,
    active: String,
    small: u32,
}

impl Stack {
    fn start() -> Result<Self> {
        let nodes = &["a", "b"];
        let floating = format!("Floating Address = {FLOATING}");
        let builder = site(nodes, true).postgres_on_disk().cluster(floating).extra(SMALL);
        let (held, cluster, active) = held(builder, nodes)?;
        let small = held.site.run("run job=Small yes")?;
        expect_good(&held.site.wait_job(small, wait::JOB)?)?;
        serves(&held.site, &active)?;
        Ok(Self { held, cluster, active, small })
    }

    /// What was in the catalog before still is, the clients' address leads to `active`, and nobody wanted the disk too early.
    fn is_whole_at(&self, active: &str) -> Result<()> {
        let site = &self.held.site;
        expect_good(&site.wait_job(self.small, wait::JOB)?)?;
        let files = site.sql(&format!("SELECT count(*) FROM File WHERE JobId = {}", self.small))?;
        ensure!(files == [["1"]], "files of the job of before: {files:?}");
        serves(site, active)?;
        let mounts = |node| self.cluster.run(node, "mountpoint -q /srv/catalog && echo yes || echo no");
        for node in self.cluster.names() {
            ensure!((mounts(node)?.trim() == "yes") == (node == active), "the disk is mounted on {node}");
        }
        let refusals = site.disk().context("a disk")?.refusals()?;
        ensure!(refusals.is_empty(), "without fencing: {refusals:?}");
        Ok(())
    }

    /// How often the processes of all instances were started.
    fn starts(&self) -> Result<usize> {
        let logs = self.cluster.names().iter().map(|node| self.held.site.instance_log(node));
        logs.map(|log| Ok(log?.matches(" starting daemon=").count())).sum()
    }
}

/// Waits until a console at the floating address, where `active` listens at its own port, is told of the jobs.
fn serves(site: &Site, active: &str) -> Result<()> {
    let own = site.network()?.host(active)?.address.to_string();
    let file = std::fs::read_to_string(site.config_file(&format!("bconsole-{active}.conf")))?;
    std::fs::write(site.config_file("bconsole-floating.conf"), file.replace(&own, &FLOATING.to_string()))?;
    wait::until("the floating address to lead to the active instance", HEALED, || {
        Ok(site.console_of("floating", &["list jobs"]).ok().filter(|said| said.contains("Small")))
    })
    .map(drop)
}

/// Pacemaker switches it off, mounts, starts PostgreSQL, promotes and moves the address.
#[test]
fn the_node_of_director_and_catalog_dies() -> Result<()> {
    let mut stack = Stack::start()?;
    let Stack { held, cluster, active, .. } = &mut stack;
    let next =
        strike_at("node death with the catalog", (held, cluster, active), Then::Fenced, node_death, nothing)?;
    stack.is_whole_at(&next)
}

#[test]
fn postgresql_is_killed_under_the_active_instance() -> Result<()> {
    let mut stack = Stack::start()?;
    let started = "SELECT pg_postmaster_start_time()";
    let first = stack.held.site.sql(started)?;
    let (starts, began, at) = (stack.starts()?, Instant::now(), SystemTime::now());
    stack.cluster.run(&stack.active, "kill -9 $(head -n 1 /srv/catalog/data/postmaster.pid)")?;
    wait::until("PostgreSQL to be started again", HEALED, || {
        Ok(stack.held.site.sql(started).ok().filter(|now| *now != first))
    })?;
    println!("kill -9 of PostgreSQL: it serves again after {:.1} s", began.elapsed().as_secs_f64());
    let next = stack.cluster.wait_whole()?;
    stack.held.site.prefer_instance(&next);
    stack.held.site.wait_active(&next, &next, wait::START)?;
    serves(&stack.held.site, &next)?;
    println!("kill -9 of PostgreSQL: {next} serves after {:.1} s", began.elapsed().as_secs_f64());
    stack.held.release()?;
    settle(&stack.held, &stack.cluster, Then::Alive, at, &stack.active)?;
    ensure!(stack.cluster.fenced().is_empty(), "{:?}", stack.cluster.fenced());
    ensure!(stack.starts()? == starts, "an instance was started again");
    stack.is_whole_at(&next)
}

#[test]
fn the_node_of_director_and_catalog_stands_by() -> Result<()> {
    let mut stack = Stack::start()?;
    let (active, began) = (stack.active.clone(), Instant::now());
    stack.cluster.run(&active, &format!("crm node standby {active}"))?;
    let next = stack.cluster.wait_other(&active)?;
    stack.held.site.wait_active(&next, &next, wait::START)?;
    serves(&stack.held.site, &next)?;
    println!("node standby with the catalog: {next} serves after {:.1} s", began.elapsed().as_secs_f64());
    stack.held.site.prefer_instance(&next);
    stack.cluster.run(&next, &format!("crm node online {active}"))?;
    ensure!(stack.cluster.wait_whole()? == next, "the role went back by itself");
    ensure!(stack.cluster.fenced().is_empty(), "{:?}", stack.cluster.fenced());
    stack.held.release()?;
    stack.held.ends_well()?;
    let tenures = history::one_at_a_time(&stack.held.site, &stack.cluster)?;
    ensure!(tenures.len() == 2, "{tenures:?}");
    stack.is_whole_at(&next)?;
    // Had it wanted the disk too early, that would be known.
    let promote = "OCF_RESOURCE_INSTANCE=drbd-catalog /usr/lib/ocf/resource.d/linbit/drbd promote";
    ensure!(stack.cluster.run(&active, promote).is_err(), "the disk is Primary on both nodes");
    let refusals = stack.held.site.disk().context("a disk")?.refusals()?;
    ensure!(refusals == [format!("{active}: another node is Primary")], "{refusals:?}");
    Ok(())
}
