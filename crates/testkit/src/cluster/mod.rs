//! Nodes under Pacemaker and Corosync: Debian's own programs, in namespaces, with a power switch and a witness.
//!
//! A node is a set of mount, UTS, IPC and PID namespaces with a first process of its own, in the network namespace of one of the site's
//! hosts: its daemons have their own `/run`, `/dev/shm`, state and configuration, and all of them end with the first process. That is
//! what its power cut is: the cable is pulled, the first process killed, and the host made anew before it comes back. The power
//! switch that Pacemaker's fence agent calls is a socket outside of the nodes; it says *off* when nothing of the node runs any more.
//!
//! [`Cluster::bare`] has the same nodes without Pacemaker, for services that are started as a runbook says.
//!
//! The site's daemons but the Director's instances run beside the nodes, at hosts of the same network; so does the catalog's server, unless it is on a
//! [disk](crate::disk) that moves with the active instance. Everything ends with the process of the test, however that ends.

mod bare;
mod files;
mod node;
mod power;

pub use power::Off;

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Pid;

use crate::network::Machine;
use crate::site::{Maker, Site, program};
use crate::tied::{self, Tied};
use crate::wait;
use node::{Node, Places};
use power::Power;

/// Id of the Director's resource, which has an instance on each node. It is promotable as `director-kit-clone`.
pub const DIRECTOR: &str = "director-kit";
/// Host of the quorum device's server.
pub const WITNESS: &str = "witness";
/// Where clients and consoles find the active instance of a cluster whose catalog is on a disk.
pub const FLOATING: Ipv4Addr = Ipv4Addr::new(10, 9, 8, 200);
/// How long a cluster may take to come up or to heal. A failover takes a few seconds; a test says that it happens, not how fast.
pub const HEALED: Duration = Duration::from_secs(120);

/// A running cluster. Dropping it switches everything off.
#[derive(Debug)]
pub struct Cluster {
    names: Vec<String>,
    power: Arc<Power>,
    places: Places,
    _witness: Option<Tied>,
    _folder: tempfile::TempDir,
}

impl Cluster {
    /// Starts nodes of these names, each at the host of its name, with a witness where the site has a host [`WITNESS`]. The site's Director
    /// must be [managed](crate::site::Builder::managed). Returns when one instance is active and the others stand by.
    ///
    /// # Errors
    /// When a program is missing (the text says in which package it is), or the cluster does not come up.
    pub fn start(site: &Site, names: &[&str]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("holdfast-cluster-").tempdir_in("/tmp")?;
        let holdfast = std::path::absolute(program(Maker::Holdfast, "bacula-dir")?.path)?;
        let disk = site.disk().map(|disk| disk.path().to_path_buf());
        let places = Places {
            folder: folder.path().to_path_buf(),
            site: site.dir().to_path_buf(),
            holdfast,
            init: node::PACEMAKER,
            disk,
        };
        let network = site.network()?;
        let switch = places.folder.join("switch");
        let hosts = names.iter().map(|name| Ok((*name, network.host(name)?)));
        let plan = files::Plan {
            nodes: hosts.collect::<Result<_>>()?,
            witness: network.host(WITNESS).ok(),
            switch: &switch,
            disk: places.disk.as_deref(),
            config: &site.config_file("bacula-dir.conf"),
        };
        let written = places.folder.join("files");
        plan.write(&written, &places.holdfast)?;
        let witness = plan.witness.map(|host| witness(host, &places.folder)).transpose()?;
        let cluster = Self::switched_on(site, names, places, witness, folder)?;
        cluster.wait_whole()?;
        Ok(cluster)
    }

    /// The nodes, on, and their power switch.
    fn switched_on(
        site: &Site,
        names: &[&str],
        places: Places,
        witness: Option<Tied>,
        folder: tempfile::TempDir,
    ) -> Result<Self> {
        places.write()?;
        let power = Arc::new(Power::default());
        for name in names {
            let node = Node::new(name, site.network()?.machine(name)?, places.clone())?;
            power.nodes().insert((*name).to_owned(), node);
        }
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        let cluster = Self { names, power, places, _witness: witness, _folder: folder };
        cluster.power.serve(&cluster.switch())?;
        for name in &cluster.names {
            cluster.switch_on(name)?;
        }
        Ok(cluster)
    }

    /// The topology that it was rendered from. Its Remote Shell works at any host of the site that is none of the nodes.
    #[must_use]
    pub fn topology(&self) -> PathBuf {
        self.places.folder.join("files").join(files::TOPOLOGY)
    }

    /// Names of the nodes.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Cuts the power of a node.
    ///
    /// # Errors
    /// When there is no such node, or `ip` fails.
    pub fn cut_power(&self, node: &str) -> Result<()> {
        self.power.switch_off(node, false)
    }

    /// Switches a node on.
    ///
    /// # Errors
    /// As above.
    pub fn switch_on(&self, node: &str) -> Result<()> {
        self.power.with(node, Node::switch_on)
    }

    /// Whether a node has power.
    #[must_use]
    pub fn is_on(&self, node: &str) -> bool {
        self.power.nodes().get(node).is_some_and(Node::is_on)
    }

    /// Nobody reaches the power switch, or everybody again.
    pub fn cut_off_switch(&self, is_cut_off: bool) {
        self.power.cut_off(is_cut_off);
    }

    /// The cable of a node.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn machine(&self, node: &str) -> Result<Machine> {
        self.power.with(node, |node| Ok(node.machine().clone()))
    }

    /// Every time that a node was switched off, by the test or by a fence agent.
    #[must_use]
    pub fn offs(&self) -> Vec<Off> {
        self.power.offs().clone()
    }

    /// Those that fence agents ordered.
    #[must_use]
    pub fn fenced(&self) -> Vec<Off> {
        self.offs().into_iter().filter(|off| off.fenced).collect()
    }

    /// Runs a line of shell on a node.
    ///
    /// # Errors
    /// When the node is off, or the line fails.
    pub fn run(&self, node: &str, line: &str) -> Result<String> {
        // The switch is not kept waiting for it.
        let first = self.first(node)?;
        node::run_in(first, line).with_context(|| format!("on node {node}"))
    }

    fn first(&self, node: &str) -> Result<Pid> {
        self.power.with(node, |of| of.first().with_context(|| format!("node {node} is off")))
    }

    /// The node that Pacemaker has promoted, as one of the nodes that are on sees it; none when nobody is.
    #[must_use]
    pub fn promoted(&self) -> Option<String> {
        let on = self.names.iter().filter(|name| self.is_on(name));
        on.into_iter().find_map(|asked| self.promoted_by(asked))
    }

    /// As [`Self::promoted`], by one node's word.
    #[must_use]
    pub fn promoted_by(&self, asked: &str) -> Option<String> {
        let said = self.run(asked, "crm_mon -1 --output-as=xml").ok()?;
        promoted_in(&said)
    }

    /// Waits until all nodes are there, one instance is active and the others stand by. Returns the active one.
    ///
    /// # Errors
    /// When that does not come within [`HEALED`]; the text has the ends of the nodes' logs.
    pub fn wait_whole(&self) -> Result<String> {
        let whole = wait::until("a whole cluster", HEALED, || {
            let Some(promoted) = self.promoted() else { return Ok(None) };
            let is_whole = self.names.iter().all(|asked| {
                let said = self.run(asked, "crm_mon -1 --output-as=xml").unwrap_or_default();
                let online = said.matches("online=\"true\"").count();
                let pending = said.contains("pending=\"true\"");
                let standbys = with_role(&said, "Unpromoted").count();
                online == self.names.len()
                    && !pending
                    && standbys == self.names.len() - 1
                    && promoted_in(&said).as_ref() == Some(&promoted)
            });
            Ok(is_whole.then_some(promoted))
        });
        whole.with_context(|| self.logs())
    }

    /// Waits until Pacemaker has promoted an instance on a node other than `former`. Returns it.
    ///
    /// # Errors
    /// As [`Self::wait_whole`].
    pub fn wait_other(&self, former: &str) -> Result<String> {
        let what = format!("another node than {former} to be promoted");
        let others: Vec<&String> = self.names.iter().filter(|name| *name != former).collect();
        let found = wait::until(&what, HEALED, || {
            let promoted =
                others.iter().filter(|name| self.is_on(name)).find_map(|name| self.promoted_by(name));
            Ok(promoted.filter(|name| name != former))
        });
        found.with_context(|| self.logs())
    }

    /// When a fence agent had a node switched off since `since`; none when it did not.
    #[must_use]
    pub fn fenced_since(&self, node: &str, since: Instant) -> Option<Instant> {
        self.fenced().iter().find(|off| off.node == node && off.at >= since).map(|off| off.at)
    }

    fn logs(&self) -> String {
        let ends =
            self.names.iter().map(|name| format!("== {name}\n{}", node::log_ends(&self.places.state(name))));
        ends.collect()
    }

    /// Switches everything off, as its drop does.
    pub fn end(self) {}

    fn switch(&self) -> PathBuf {
        self.places.folder.join("switch")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("HOLDFAST_KEEP_SITES").is_some() {
            // For whoever looks at it.
            let _ = std::fs::write(self.places.site.join("log/cluster.log"), self.logs());
        }
        self.power.end(&self.switch());
    }
}

fn promoted_in(said: &str) -> Option<String> {
    let (_, rest) = with_role(said, "Promoted").next()?.split_once("<node name=\"")?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// The elements of the Director's instances in a role.
fn with_role<'a>(said: &'a str, role: &str) -> impl Iterator<Item = &'a str> + use<'a> {
    let role = format!("role=\"{role}\"");
    let all = said.split("<resource id=\"").filter(|one| one.split('"').next() == Some(DIRECTOR));
    all.filter(move |one| one.contains(&role))
}

/// The server of the quorum device, at a host of its own.
fn witness(host: &crate::network::Host, folder: &Path) -> Result<Tied> {
    let log = std::fs::File::create(folder.join("witness.log"))?;
    let socket = folder.join("qnetd.sock");
    let lock = folder.join("qnetd.pid");
    ensure!(socket.as_os_str().len() < 100, "the path of the folder for temporary files is too long");
    let mut command = tied::command(Some(host));
    command
        .args(["corosync-qnetd", "-f", "-s", "off", "-S"])
        .arg(format!("local_socket_file={}", socket.display()))
        .arg("-S")
        .arg(format!("lock_file={}", lock.display()))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let running = Tied::start("qnetd", command)?;
    wait::until("the witness to listen", wait::START, || Ok(socket.exists().then_some(())))
        .context("start corosync-qnetd; it is in Debian's package corosync-qnetd")?;
    Ok(running)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_promoted_node_is_read_from_crm_mon() {
        let said = r#"<resource id="drbd-catalog" role="Promoted"><node name="c" id="3"/></resource>
<resource id="director-kit" role="Unpromoted"><node name="a" id="1"/></resource>
<resource id="director-kit" role="Promoted" active="true"><node name="b" id="2" cached="true"/></resource>"#;
        assert_eq!(super::promoted_in(said).as_deref(), Some("b"));
        assert_eq!(super::promoted_in("<nodes/>"), None);
    }
}
