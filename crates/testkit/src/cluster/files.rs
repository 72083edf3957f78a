//! The files of a cluster: for each node a directory with `corosync.conf`, and beside them `cluster.crm` for all.
//!
//! It is the form that `holdfast ha render` writes; here are those of the smallest cluster, for what concerns Pacemaker alone.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::network::Host;

/// Milliseconds after which a node that says nothing is taken for lost.
const TOKEN_MS: u32 = 1000;

/// What a cluster is made of.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// Name and host of each node.
    pub(super) nodes: Vec<(&'a str, &'a Host)>,
    /// Host of the quorum device's server, where there is one.
    pub(super) witness: Option<&'a Host>,
    /// Socket of the power switch.
    pub(super) switch: &'a Path,
    /// The Director's configuration.
    pub(super) config: &'a Path,
}

impl Plan<'_> {
    /// Writes all files below `dir`.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        for (name, _) in &self.nodes {
            let node = dir.join(name);
            fs::create_dir_all(&node)?;
            fs::write(node.join("corosync.conf"), self.corosync()?)?;
        }
        fs::write(dir.join("cluster.crm"), self.crm()?)?;
        Ok(())
    }

    fn corosync(&self) -> Result<String> {
        let mut text = format!(
            "totem {{\n  version: 2\n  cluster_name: kit\n  transport: knet\n  crypto_cipher: none\n  crypto_hash: none\n  \
             token: {TOKEN_MS}\n}}\nnodelist {{\n"
        );
        for (index, (name, host)) in self.nodes.iter().enumerate() {
            let (number, address) = (index + 1, host.address);
            writeln!(
                text,
                "  node {{\n    name: {name}\n    nodeid: {number}\n    ring0_addr: {address}\n  }}"
            )?;
        }
        text.push_str("}\nquorum {\n  provider: corosync_votequorum\n");
        if let Some(witness) = self.witness {
            writeln!(
                text,
                "  device {{\n    model: net\n    votes: 1\n    timeout: 1500\n    sync_timeout: 2000\n    net {{\n      host: {}\n      \
                 algorithm: ffsplit\n      tls: off\n      connect_timeout: 1000\n    }}\n  }}",
                witness.address
            )?;
        }
        text.push_str("}\nlogging {\n  to_stderr: no\n  to_syslog: no\n  to_logfile: yes\n  logfile: /var/log/pacemaker/corosync.log\n  timestamp: hires\n}\n");
        Ok(text)
    }

    fn crm(&self) -> Result<String> {
        let mut text = String::from(
            "property stonith-enabled=true no-quorum-policy=stop dc-deadtime=3s cluster-name=kit have-watchdog=false\n",
        );
        for (name, _) in &self.nodes {
            let switch = self.switch.display();
            writeln!(
                text,
                "primitive fence-{name} stonith:fence_switch params socket=\"{switch}\" pcmk_host_list={name} op monitor interval=60s timeout=10s"
            )?;
            // No node switches itself off.
            writeln!(text, "location fence-{name}-elsewhere fence-{name} -inf: {name}")?;
        }
        writeln!(
            text,
            "primitive director ocf:holdfast:director params config=\"{}\" op start timeout=60s interval=0 op stop timeout=60s interval=0 \
             op promote timeout=60s interval=0 op demote timeout=60s interval=0 op monitor interval=1s role=Promoted timeout=20s \
             op monitor interval=2s role=Unpromoted timeout=20s",
            self.config.display()
        )?;
        text.push_str("clone director-clone director meta promotable=true notify=true\n");
        text.push_str("rsc_defaults resource-stickiness=100\n");
        Ok(text)
    }
}

/// Makes the cluster's information base from `cluster.crm`, for each node to begin with: so no time goes by until the nodes have
/// agreed who may change it.
pub(super) fn seed(dir: &Path, nodes: &[&str]) -> Result<()> {
    let base = dir.join("cib.xml");
    let run = |program: &str, package: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .args(arguments)
            .env("CIB_file", &base)
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("start {program}; it is in Debian's package {package}"))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{program} {}: {said}", arguments.join(" "));
        Ok(output.stdout)
    };
    let empty = run("cibadmin", "pacemaker-cli-utils", &["--empty"])?;
    fs::write(&base, empty)?;
    let plan = dir.join("cluster.crm");
    let plan = plan.to_str().context("a path in UTF-8")?;
    // The agents are in place on the nodes alone.
    run("crm", "crmsh", &["-F", "configure", "load", "update", plan])?;
    let text = fs::read_to_string(&base)?;
    ensure!(
        text.contains("<primitive id=\"director\""),
        "cluster.crm has not become a configuration:\n{text}"
    );
    for node in nodes {
        fs::copy(&base, dir.join(node).join("cib.xml"))?;
    }
    Ok(())
}

/// Where the files of a node are.
pub(super) fn of_node(dir: &Path, node: &str) -> PathBuf {
    dir.join(node)
}
