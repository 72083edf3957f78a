//! `holdfast ha drill` on a real cluster, from a host that is none of its nodes.

use std::path::Path;
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use holdfast_tests::{bulk_tree, scratch};
use serde_json::Value;
use testkit::cluster::{Cluster, HEALED, WITNESS};
use testkit::site::{Maker, Site, program};
use testkit::wait;

use crate::site;

/// Data of the canary: at a megabyte a second it is in flight until a Director serves again.
const FILES: usize = 10;
const FILE_BYTES: usize = 1 << 20;

const SCENARIOS: &[&str] = &["switchover", "kill-director", "stop-node", "cut-link"];

/// Where the drill is made.
struct Range {
    site: Site,
    cluster: Cluster,
    _tree: tempfile::TempDir,
}

impl Range {
    fn open() -> Result<Self> {
        let tree = scratch()?;
        bulk_tree(&tree.path().join("canary"), FILES, FILE_BYTES)?;
        let site = site(&["a", "b"], true)
            .tree(tree.path().join("canary"))
            .job("Maximum Bandwidth = 1 mb/s")
            .storage_daemon_if_ours("Checkpoint Interval = 1 second")
            .start()?;
        let cluster = Cluster::start(&site, &["a", "b"])?;
        let active = cluster.wait_whole()?;
        site.wait_active(&active, &active, wait::START)?;
        Ok(Self { site, cluster, _tree: tree })
    }

    fn ha(&self, words: &[&str]) -> Result<Output> {
        let holdfast = std::path::absolute(program(Maker::Holdfast, "ha")?.path)?;
        let host = self.site.network()?.host(WITNESS)?;
        let mut command = host.command("timeout");
        command.arg("300").arg(holdfast).arg("ha").args(words);
        command.arg("-c").arg(self.site.config_file("bacula-dir.conf")).stdin(Stdio::null());
        command.output().context("start holdfast ha")
    }

    /// Drills, and gives the code, what was said, and what was complained of.
    fn drill(&self, words: &[&str], report: &Path) -> Result<(Option<i32>, String)> {
        let (topology, report) = (self.cluster.topology(), report.to_string_lossy());
        let topology = topology.to_string_lossy();
        let mut all = vec!["drill"];
        all.extend(words);
        all.extend(["--canary", "Backup", "--topology", &topology, "--report", &report, "--limit", "120"]);
        let output = self.ha(&all)?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok((output.status.code(), format!("{said}{}", String::from_utf8_lossy(&output.stderr))))
    }

    fn other(&self, active: &str) -> Result<String> {
        let other = self.cluster.names().iter().find(|name| *name != active);
        other.cloned().context("another node")
    }
}

fn report(path: &Path) -> Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(path.with_extension("json"))?)?)
}

#[test]
fn roles_and_processes_are_rehearsed_and_the_drills_remembered() -> Result<()> {
    let range = Range::open()?;
    let folder = scratch()?;
    let path = folder.path().join("drill");
    let active = range.cluster.wait_whole()?;
    let other = range.other(&active)?;

    // One node stands by: nothing is risked, and nothing is written.
    range.cluster.run(&active, &format!("crm_standby -N {other} -v on"))?;
    wait::until("the other instance to be gone", HEALED, || {
        let said = range.ha(&["status", "--check"])?;
        Ok((said.status.code() == Some(1)).then_some(()))
    })?;
    let (code, said) = range.drill(&["switchover", "--yes"], &path)?;
    ensure!(code == Some(1) && said.contains("redundancy is not whole"), "{said}");
    range.cluster.run(&active, &format!("crm_standby -N {other} -v off"))?;
    range.cluster.wait_whole()?;

    // Without a word nothing is done but that the plan is shown.
    let (code, said) = range.drill(SCENARIOS, &path)?;
    ensure!(code == Some(2) && said.contains("crm_resource") && said.contains("kill -KILL"), "{said}");
    ensure!(range.site.console(&["list jobs"])?.contains("No results"), "a job was started");

    let (code, said) = range.drill(&[SCENARIOS, &["--yes"]].concat(), &path)?;
    println!("{said}");
    ensure!(code == Some(0), "{said}");
    let report = report(&path)?;
    for (at, scenario) in SCENARIOS.iter().enumerate() {
        let drill = &report["drills"][at];
        ensure!(drill["scenario"] == *scenario && drill["passed"] == true, "{drill}");
        ensure!(drill["canary"]["status"] == "T" && drill["rto_ms"].is_u64(), "{drill}");
        let epochs = (drill["before"]["epoch"].as_u64(), drill["after"]["epoch"].as_u64());
        // The node whose link is cut may be the one that the witness sees: then nobody follows it.
        let is_followed = epochs.1 > epochs.0 || (*scenario == "cut-link" && epochs.1 == epochs.0);
        ensure!(is_followed, "{drill}");
    }
    ensure!(report["drills"][0]["after"]["instance"] == other.as_str(), "{report}");
    let text = std::fs::read_to_string(path.with_extension("md"))?;
    ensure!(text.contains("## kill-director: passed"), "{text}");

    // Pacemaker is as it was: neither a place is forced, nor a failure listed.
    let said = range.cluster.run(&active, "crm_mon -1; cibadmin --query --scope constraints")?;
    ensure!(!said.contains("cli-prefer") && !said.contains("Failed Resource Actions"), "{said}");
    // The order of stop-node, and whoever lost the vote of cut-link.
    ensure!(range.cluster.fenced().len() == 2, "{:?}", range.cluster.fenced());

    let shown = String::from_utf8_lossy(&range.ha(&["status"])?.stdout).into_owned();
    ensure!(shown.contains("drill switchover ") && shown.contains("drill kill-director "), "{shown}");
    let shown: Value = serde_json::from_slice(&range.ha(&["status", "--json"])?.stdout)?;
    let drills = shown["drills"].as_array().context("drills")?;
    ensure!(shown["grade"] == "OK" && drills.len() == SCENARIOS.len(), "{shown}");
    Ok(())
}
