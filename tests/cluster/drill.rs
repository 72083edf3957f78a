//! `holdfast ha drill` on a real cluster, from a host that is none of its nodes.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use holdfast_tests::{bulk_tree, scratch};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use testkit::cluster::{Cluster, HEALED, WITNESS};
use testkit::site::{Maker, Role, Site, hosts, program};
use testkit::wait;

use crate::site;

/// Data of the canary: at a megabyte a second it is in flight until a Director serves again.
const FILES: usize = 10;
const FILE_BYTES: usize = 1 << 20;

/// All scenarios one after the other, each with its waits.
const DRILLED: Duration = Duration::from_secs(300);
const SCENARIOS: &[&str] = &["switchover", "kill-director", "stop-node", "cut-link", "storage-loss"];

/// Where the drill is made.
struct Range {
    site: Site,
    cluster: Cluster,
    stores: Stores,
    _tree: tempfile::TempDir,
}

impl Range {
    fn open() -> Result<Self> {
        let tree = scratch()?;
        bulk_tree(&tree.path().join("canary"), FILES, FILE_BYTES)?;
        let mut site = site(&["a", "b"], true)
            .far_storage(Maker::Holdfast)
            .pool("Storage = File1, Far")
            .tree(tree.path().join("canary"))
            .job("Maximum Bandwidth = 1 mb/s")
            .storage_daemon_if_ours("Checkpoint Interval = 1 second")
            .start()?;
        let cluster = Cluster::start(&site, &["a", "b"])?;
        let active = cluster.wait_whole()?;
        site.wait_active(&active, &active, wait::START)?;
        let stores = Stores::beside(&mut site, &cluster)?;
        Ok(Self { site, cluster, stores, _tree: tree })
    }

    fn ha(&self, words: &[&str]) -> Result<Output> {
        self.command(words)?.output().context("start holdfast ha")
    }

    fn command(&self, words: &[&str]) -> Result<Command> {
        let holdfast = std::path::absolute(program(Maker::Holdfast, "ha")?.path)?;
        let host = self.site.network()?.host(WITNESS)?;
        let mut command = host.command("timeout");
        // A signal that it is sent goes to the drill alone, not once more to the group with the drill's undo in it.
        command.args(["--foreground", "300"]).arg(holdfast).arg("ha").args(words);
        command.arg("-c").arg(self.site.config_file("bacula-dir.conf")).stdin(Stdio::null());
        Ok(command)
    }

    fn begin(&self, words: &[&str], report: &Path) -> Result<Child> {
        let (topology, report) = (self.stores.path("holdfast-ha.conf"), report.to_string_lossy());
        let topology = topology.to_string_lossy();
        let mut all = vec!["drill"];
        all.extend(words);
        all.extend(["--canary", "Backup", "--topology", &topology, "--report", &report, "--limit", "120"]);
        let said = File::create(self.stores.path("said"))?;
        Ok(self.command(&all)?.stdout(said.try_clone()?).stderr(said).spawn()?)
    }

    fn said(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.stores.path("said"))?)
    }

    /// Drills, and gives the code and what was said.
    fn drill(&mut self, words: &[&str], report: &Path) -> Result<(Option<i32>, String)> {
        let mut drill = self.begin(words, report)?;
        let code = wait::until("the drill to end", DRILLED, || {
            self.stores.serve(&mut self.site)?;
            Ok(drill.try_wait()?)
        })?;
        Ok((code.code(), self.said()?))
    }

    /// Waits until drills may begin; returns the node of the active instance. Pacemaker's word is not enough: the instances see each other a moment later.
    fn wait_whole(&mut self, report: &Path) -> Result<String> {
        let active = self.cluster.wait_whole()?;
        wait::until("redundancy to be whole", HEALED, || {
            let (code, said) = self.drill(&["switchover", "--plan"], report)?;
            ensure!(code != Some(2), "{said}");
            Ok((code == Some(0)).then_some(()))
        })?;
        Ok(active)
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
    let mut range = Range::open()?;
    let folder = scratch()?;
    // Where it is kept, as docs/drill-report is.
    let kept = std::env::var_os("HOLDFAST_DRILL_REPORT").map(PathBuf::from);
    let path = kept.unwrap_or_else(|| folder.path().join("drill"));
    let active = range.wait_whole(&path)?;
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
    range.wait_whole(&path)?;

    // Without a word nothing is done but that the plan is shown.
    let (code, said) = range.drill(SCENARIOS, &path)?;
    ensure!(code == Some(2) && said.contains("crm_resource") && said.contains("kill -KILL"), "{said}");
    ensure!(range.site.console(&["list jobs"])?.contains("No results"), "a job was started");

    // An operator who stops it leaves no cut link behind.
    let mut drill = range.begin(&["cut-link", "--yes"], &path)?;
    wait::until("the link to be cut", HEALED, || {
        let rules = range.cluster.run(&active, "nft list tables")?;
        Ok(rules.contains("holdfast_drill").then_some(()))
    })?;
    let process = Pid::from_raw(i32::try_from(drill.id())?).context("its process")?;
    kill_process(process, Signal::TERM)?;
    let code = wait::until("the drill to end", HEALED, || Ok(drill.try_wait()?))?;
    let said = range.said()?;
    ensure!(code.code() == Some(1) && said.contains("FAILED: interrupted"), "{said}");
    let active = range.cluster.wait_whole()?;
    let other = range.other(&active)?;
    for node in [&active, &other] {
        ensure!(!range.cluster.run(node, "nft list tables")?.contains("holdfast_drill"), "{said}");
    }
    range.site.wait_job(1, wait::JOB)?;
    range.wait_whole(&path)?;

    // Other jobs are put at risk only by a word more.
    let job = range.site.run("run job=Backup level=Full yes")?;
    let (code, said) = range.drill(&["switchover", "--plan"], &path)?;
    ensure!(code == Some(1) && said.contains("1 jobs are queued or running; mend it first"), "{said}");
    let (code, said) = range.drill(&["switchover", "--plan", "--force"], &path)?;
    ensure!(code == Some(0) && said.contains("switchover: strikes"), "{said}");
    range.site.console(&[&format!("cancel jobid={job} yes")])?;
    range.site.wait_job(job, wait::JOB)?;
    let fenced = range.cluster.fenced().len();

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
        let may_stay = ["cut-link", "storage-loss"].contains(scenario);
        let is_followed = epochs.1 > epochs.0 || (may_stay && epochs.1 == epochs.0);
        ensure!(is_followed, "{drill}");
    }
    ensure!(report["drills"][4]["node"] == "near-store", "{report}");
    ensure!(report["drills"][0]["after"]["instance"] == other.as_str(), "{report}");
    let text = std::fs::read_to_string(path.with_extension("md"))?;
    println!("{text}");
    ensure!(text.contains("## kill-director: passed"), "{text}");

    // Pacemaker is as it was: neither a place is forced, nor a failure listed.
    let said = range.cluster.run(&active, "crm_mon -1; cibadmin --query --scope constraints")?;
    ensure!(!said.contains("cli-prefer") && !said.contains("Failed Resource Actions"), "{said}");
    // The order of stop-node, and whoever lost the vote of cut-link.
    ensure!(range.cluster.fenced().len() >= fenced + 2, "{:?}", range.cluster.fenced());

    let shown = String::from_utf8_lossy(&range.ha(&["status"])?.stdout).into_owned();
    ensure!(shown.contains("drill switchover ") && shown.contains("drill kill-director "), "{shown}");
    let shown: Value = serde_json::from_slice(&range.ha(&["status", "--json"])?.stdout)?;
    let drills = shown["drills"].as_array().context("drills")?;
    ensure!(shown["grade"] == "OK" && drills.len() == SCENARIOS.len(), "{shown}");
    Ok(())
}

/// Two machines beside the cluster have a Storage Daemon each, which this test starts and stops as their service manager would.
struct Stores {
    folder: tempfile::TempDir,
}

/// Stands for ssh to them and for their systemctl; what it cannot do itself the test does, by a file of its name.
const STORE_SHELL: &str = r#"#!/bin/bash
cd @folder@ || exit 1
case $1:$2 in
*-store:"systemctl kill"*) kill -KILL "$(cat "$1.pid")" ;;
*-store:"systemctl start"*)
    kill -0 "$(cat "$1.pid")" 2>/dev/null && exit 0
    touch "$1.start"
    for _ in $(seq 1200); do [ -e "$1.started" ] && exit 0; sleep 0.05; done
    exit 1 ;;
*) exec @remote@ "$@" ;;
esac
"#;

impl Stores {
    /// Writes the topology of the cluster with both added.
    fn beside(site: &mut Site, cluster: &Cluster) -> Result<Self> {
        let folder = scratch()?;
        let topology = cluster.topology();
        let remote = topology.with_file_name("remote").display().to_string();
        let shell = folder.path().join("remote");
        let script = STORE_SHELL.replace("@folder@", &folder.path().display().to_string());
        std::fs::write(&shell, script.replace("@remote@", &remote))?;
        std::fs::set_permissions(&shell, std::fs::Permissions::from_mode(0o755))?;
        let mut text = std::fs::read_to_string(&topology)?.replace(&remote, &shell.display().to_string());
        for (name, host, role) in [
            ("near-store", hosts::STORAGE, Role::Storage),
            ("far-store", hosts::FAR_STORAGE, Role::FarStorage),
        ] {
            let (address, port) = (site.network()?.host(host)?.address, role.port());
            text.push_str(&format!(
                "Data Centre {{ Name = dc-{name} }}\nNode {{ Name = {name}; Data Centre = dc-{name}; Address = {address}/24 }}\n\
                 Storage {{ Name = {name}; Node = {name}; SD Port = {port} }}\n"
            ));
            std::fs::write(folder.path().join(format!("{name}.pid")), site.pid(role)?.to_string())?;
        }
        std::fs::write(folder.path().join("holdfast-ha.conf"), text)?;
        Ok(Self { folder })
    }

    /// Starts the daemon that a drill wants to have started.
    fn serve(&self, site: &mut Site) -> Result<()> {
        let asked = self.path("near-store.start");
        if asked.exists() {
            std::fs::remove_file(asked)?;
            site.forget(Role::Storage)?;
            site.start_role(Role::Storage)?;
            std::fs::write(self.path("near-store.pid"), site.pid(Role::Storage)?.to_string())?;
            std::fs::write(self.path("near-store.started"), "")?;
        }
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
