//! One node: namespaces with a first process of their own.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::network::Machine;
use crate::tied::{self, Tied};
use crate::wait;

/// The first process of a node under Pacemaker.
pub(super) const PACEMAKER: &str =
    concat!(include_str!("node-head.sh"), include_str!("node-pacemaker.sh"), include_str!("node-reap.sh"));
/// The first process of a node that has nothing of that.
pub(super) const BARE: &str =
    concat!(include_str!("node-head.sh"), include_str!("node-bare.sh"), include_str!("node-reap.sh"));
/// The fence agent.
const AGENT: &str = include_str!("fence_switch");

/// Stands for the agents of a disk without DRBD.
const DISK_AGENT: &str = include_str!("shared_disk");

/// Where things are that all nodes use.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The cluster's own folder.
    pub(super) folder: PathBuf,
    /// The site whose Director it runs.
    pub(super) site: PathBuf,
    /// The program under test.
    pub(super) holdfast: PathBuf,
    /// The first process of each node.
    pub(super) init: &'static str,
    /// The disk that one at a time may have, where they have one.
    pub(super) disk: Option<PathBuf>,
}

/// A node, on or off.
#[derive(Debug)]
pub(super) struct Node {
    name: String,
    machine: Machine,
    places: Places,
    running: Option<Running>,
    /// It was on before: its host is made anew.
    is_used: bool,
}

#[derive(Debug)]
struct Running {
    /// `unshare`, whose child is the node's first process.
    outer: Tied,
    /// That, as this machine numbers it.
    first: Pid,
}

impl Places {
    /// Writes what the nodes begin with.
    pub(super) fn write(&self) -> Result<()> {
        fs::write(self.folder.join("node-init.sh"), self.init)?;
        Ok(())
    }

    pub(super) fn files(&self, node: &str) -> PathBuf {
        super::files::of_node(&self.folder.join("files"), node)
    }

    pub(super) fn state(&self, node: &str) -> PathBuf {
        self.folder.join("nodes").join(node)
    }
}

impl Node {
    pub(super) fn new(name: &str, machine: Machine, places: Places) -> Result<Self> {
        let (files, state) = (places.files(name), places.state(name));
        fs::write(files.join("fence_switch"), AGENT)?;
        fs::write(files.join("shared_disk"), DISK_AGENT)?;
        fs::create_dir_all(state.join("working"))?;
        // Where the site looks for what an instance has printed.
        let log = places.site.join("log").join(format!("director-{name}.log"));
        std::os::unix::fs::symlink(log, state.join("working/kit-dir.log"))?;
        Ok(Self { name: name.to_owned(), machine, places, running: None, is_used: false })
    }

    pub(super) const fn is_on(&self) -> bool {
        self.running.is_some()
    }

    pub(super) const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Switches it on. Returns when its first process runs.
    pub(super) fn switch_on(&mut self) -> Result<()> {
        if self.is_on() {
            return Ok(());
        }
        if self.is_used {
            self.machine.renew()?;
        }
        self.is_used = true;
        let state = self.places.state(&self.name);
        let log = OpenOptions::new().create(true).append(true).open(state.join("init.log"))?;
        let mut command = tied::command(Some(self.machine.host()));
        command
            .args([
                "unshare",
                "--mount",
                "--uts",
                "--ipc",
                "--pid",
                "--fork",
                "--kill-child",
                "--",
                "/bin/bash",
            ])
            .arg(self.places.folder.join("node-init.sh"))
            .arg(&self.name)
            .args([&state, &self.places.files(&self.name), &self.places.site, &self.places.holdfast])
            .args(&self.places.disk)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let outer = Tied::start(&format!("node {}", self.name), command)?;
        let what = format!("the first process of node {}", self.name);
        let first = wait::until(&what, wait::START, || {
            Ok(outer.children().first().and_then(|pid| Pid::from_raw(pid.parse().ok()?)))
        })?;
        self.running = Some(Running { outer, first });
        Ok(())
    }

    /// Cuts its power: nobody hears of its end, and nothing of it runs any more when this returns.
    pub(super) fn switch_off(&mut self) -> Result<()> {
        let Some(Running { outer, first }) = self.running.take() else { return Ok(()) };
        self.machine.set_cable(false)?;
        // With a first process its whole namespace ends, and `unshare` after it.
        let killed = kill_process(first, Signal::KILL);
        killed.or_else(|error| if error == rustix::io::Errno::SRCH { Ok(()) } else { Err(error) })?;
        outer.wait()
    }

    /// Its first process, as this machine numbers it.
    pub(super) fn first(&self) -> Option<Pid> {
        self.running.as_ref().map(|running| running.first)
    }
}

/// Runs a line of shell in the namespaces of a process.
pub(super) fn run_in(first: Pid, line: &str) -> Result<String> {
    let output = Command::new("timeout")
        .args(["60", "nsenter", "-t", &first.as_raw_nonzero().to_string()])
        .args(["-m", "-u", "-i", "-n", "-p", "--", "bash", "-c", line])
        .stdin(Stdio::null())
        .output()
        .context("start nsenter")?;
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{line}: {}: {} {}", output.status, said.trim(), errors.trim());
    Ok(said.into_owned())
}

/// The end of a node's logs, for whoever looks at a failed test.
pub(super) fn log_ends(state: &Path) -> String {
    let mut text = String::new();
    let names = ["init.log", "log/pacemaker.log", "log/corosync.log"];
    for name in names.into_iter().chain(["var/log/units/etcd.log", "var/log/units/patroni.log"]) {
        let Ok(log) = fs::read(state.join(name)) else { continue };
        let log = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = log.lines().collect();
        text.push_str(&format!("--- {name}\n{}\n", lines[lines.len().saturating_sub(60)..].join("\n")));
    }
    text
}
