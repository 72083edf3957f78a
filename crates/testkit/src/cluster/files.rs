//! The files of a cluster: what `holdfast ha render` makes of a topology with these nodes, and nothing else.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::FLOATING;
use crate::network::Host;

/// Name of the topology, and so of its only cluster.
const NAME: &str = "kit";

/// Its file.
pub(super) const TOPOLOGY: &str = "holdfast-ha.conf";

/// Runs a line on a node, as ssh would: the node's first process has the folder of the cluster and the node's name in its command
/// line, and is the oldest that has; the program that tied it to the test has another name.
const REMOTE: &str = r#"#!/bin/bash
first=$(pgrep -o -f "^/bin/bash @folder@/node-init.sh $1 ") || { echo "node $1 is off" >&2; exit 255; }
exec nsenter -t "$first" -m -u -i -n -p -- bash -c "$2"
"#;

/// What a cluster is made of.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// Name and host of each node.
    pub(super) nodes: Vec<(&'a str, &'a Host)>,
    /// Host of the quorum device's server, where there is one.
    pub(super) witness: Option<&'a Host>,
    /// Socket of the power switch.
    pub(super) switch: &'a Path,
    /// The disk of the catalog, where it is the cluster's.
    pub(super) disk: Option<&'a Path>,
    /// The Director's configuration.
    pub(super) config: &'a Path,
}

impl Plan<'_> {
    /// Has all files rendered, and puts those of each node into a directory of its name below `dir`.
    pub(super) fn write(&self, dir: &Path, holdfast: &Path) -> Result<()> {
        fs::create_dir_all(dir)?;
        let topology = dir.join(TOPOLOGY);
        let remote = dir.join("remote");
        let folder = dir.parent().context("the cluster's folder")?.display().to_string();
        fs::write(&remote, REMOTE.replace("@folder@", &folder))?;
        fs::set_permissions(&remote, fs::Permissions::from_mode(0o755))?;
        fs::write(&topology, self.topology(&remote)?)?;
        let rendered = dir.join("rendered");
        run(Command::new(holdfast).args(["ha", "render"]).arg(&topology).arg("--output").arg(&rendered))?;
        for (name, _) in &self.nodes {
            let node = of_node(dir, name);
            fs::create_dir_all(&node)?;
            let own = rendered.join("nodes").join(name);
            let files = [
                (own.join("etc/corosync/corosync.conf"), "corosync.conf"),
                // Each node begins with it: so no time goes by until they have agreed who may change it.
                (rendered.join("clusters").join(NAME).join("cib.xml"), "cib.xml"),
            ];
            if self.disk.is_some() {
                let script = rendered.join("install").join(format!("{name}.sh"));
                run(Command::new("sh").arg(script).arg(node.join("root")))?;
            }
            let hosts =
                fs::read_to_string(own.join("etc/holdfast/hosts")).context("read the rendered hosts")?;
            fs::write(node.join("hosts"), format!("127.0.0.1 localhost\n{hosts}"))?;
            for (from, to) in files {
                fs::copy(&from, node.join(to)).with_context(|| format!("copy {}", from.display()))?;
            }
        }
        Ok(())
    }

    fn topology(&self, remote: &Path) -> Result<String> {
        // No keys and certificates on hosts that last for a test. A node that was fenced comes back, as tests expect it.
        let mut text = format!(
            "Topology {{ Name = {NAME}; Heartbeat Encryption = no; Fence Action = reboot; Remote Shell = \"{} %n\" }}\n",
            remote.display()
        );
        let names: Vec<&str> = self.nodes.iter().map(|(name, _)| *name).collect();
        for (index, (name, host)) in self.nodes.iter().enumerate() {
            // There is no second link, and nothing that replicates over it.
            let link = self.disk.map(|_| {
                format!("; Ring = {}/24; Replication Address = 10.10.0.{}/30", host.address, index + 1)
            });
            writeln!(
                text,
                "Data Centre {{ Name = dc-{name} }}\n\
                 Node {{ Name = {name}; Data Centre = dc-{name}; Address = {}/24; Fence Device = switch-{name}{} }}\n\
                 Fence Device {{ Name = switch-{name}; Agent = fence_switch; Timeout = 20 seconds; Option = \"socket={}\" }}",
                host.address,
                link.unwrap_or_default(),
                self.switch.display()
            )?;
        }
        if let Some(witness) = self.witness {
            writeln!(
                text,
                "Data Centre {{ Name = dc-witness }}\n\
                 Quorum {{ Name = witness; Address = {}/24; Data Centre = dc-witness; TLS = off }}",
                witness.address
            )?;
        }
        let floating = self.disk.map(|_| format!("; Floating Address = {FLOATING}/24")).unwrap_or_default();
        if let Some(disk) = self.disk {
            writeln!(
                text,
                "Replicated Device {{ Name = catalog; Domain = director; Minor = 0; Port = 7789; Backing Disk = {}; Mount Point = /srv/catalog }}\n\
                 Catalog {{ Name = main; Domain = director; Data Directory = /srv/catalog/data }}",
                disk.display()
            )?;
        }
        writeln!(
            text,
            "Failover Domain {{ Name = director; Node = {}{floating} }}\n\
             Director {{ Name = kit; Domain = director; Config File = {}; User = root; Group = root }}",
            names.join(", "),
            self.config.display()
        )?;
        Ok(text)
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Where the files of a node are.
pub(super) fn of_node(dir: &Path, node: &str) -> PathBuf {
    dir.join(node)
}
