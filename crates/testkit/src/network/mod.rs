//! Hosts on a switch of their own: network namespaces, to cut wires between daemons as a dead switch or a power cut does.
//!
//! Each host is a namespace with one interface, `eth0`; their other ends are ports of a bridge in one more namespace, so that
//! nothing of it shows in the machine's own network. It needs root and `ip` (Debian's package `iproute2`). The names carry
//! the number and the start of the process that made them: tests run side by side, and what a killed run has left is removed by
//! the next.
//!
//! A packet that is lost is lost silently, without a refusal, as the cut of a real wire is: nobody is sent a FIN or an RST.

mod leftovers;
mod line;
mod machine;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};

pub use line::Line;
pub use machine::Machine;

/// Where `ip netns` keeps the namespaces that have a name.
const NAMESPACES: &str = "/run/netns";
/// Where `ip` says that packets go which shall reach nobody: an address of the kind that is given by hand.
const NOBODY: &str = "02:00:00:00:00:00";
/// Name of the switch among the namespaces of a network.
const SWITCH: &str = "switch";

/// A place that programs run at: a network namespace and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    namespace: String,
    /// Its only address but 127.0.0.1.
    pub address: Ipv4Addr,
    /// Its port at the switch.
    port: String,
}

/// Hosts and their switch; gone when dropped.
#[derive(Debug)]
pub struct Network {
    name: String,
    hosts: BTreeMap<String, Host>,
    line: Option<line::Running>,
}

impl Network {
    /// Makes hosts of these names; those of `far` are behind a line that is slow.
    ///
    /// # Errors
    /// For others than root; when `ip`, or for a slow line `ethtool`, is missing (the text says which package).
    pub fn create(hosts: &[&str], far: Option<(&[&str], Line)>) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        ensure!(rustix::process::getuid().is_root(), "making network namespaces needs root");
        leftovers::remove()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", leftovers::mine()?);
        let mut network = Self { name, hosts: BTreeMap::new(), line: None };
        network.add_switch()?;
        let (far, line) = far.map_or((&[][..], None), |(far, line)| (far, Some(line)));
        for (index, host) in hosts.iter().enumerate() {
            let side = if far.contains(host) { line::FAR } else { line::NEAR };
            network.add_host(host, index, side)?;
        }
        if let Some(line) = line {
            network.line = Some(line::Running::start(&network, line)?);
        }
        Ok(network)
    }

    fn add_switch(&self) -> Result<()> {
        let switch = self.namespace(SWITCH);
        ip(&["netns", "add", &switch])?;
        for side in [line::NEAR, line::FAR] {
            ip(&["-n", &switch, "link", "add", side, "type", "bridge", "stp_state", "0"])?;
            ip(&["-n", &switch, "link", "set", side, "up"])?;
        }
        Ok(())
    }

    fn add_host(&mut self, name: &str, index: usize, side: &str) -> Result<()> {
        let (namespace, switch) = (self.namespace(name), self.namespace(SWITCH));
        // Every network is one of its own: all of them have the same addresses.
        let address = Ipv4Addr::new(10, 9, 8, u8::try_from(index + 1).context("too many hosts")?);
        let port = format!("port{index}");
        let host = Host { namespace, address, port };
        self.hosts.insert(name.to_owned(), host.clone());
        host.make(&switch, side)
    }

    fn namespace(&self, host: &str) -> String {
        format!("{}-{host}", self.name)
    }

    /// A host by its name.
    ///
    /// # Errors
    /// When there is none.
    pub fn host(&self, name: &str) -> Result<&Host> {
        self.hosts.get(name).with_context(|| format!("the network has no host {name}"))
    }

    /// Pulls the cable of a host out of the switch. Programs at it go on.
    ///
    /// # Errors
    /// When there is no such host, or `ip` fails.
    pub fn unplug(&self, host: &str) -> Result<()> {
        self.set_port(host, "down")
    }

    /// Puts it in again.
    ///
    /// # Errors
    /// As [`Network::unplug`].
    pub fn plug(&self, host: &str) -> Result<()> {
        self.set_port(host, "up")
    }

    fn set_port(&self, host: &str, state: &str) -> Result<()> {
        ip(&["-n", &self.namespace(SWITCH), "link", "set", &self.host(host)?.port, state])
    }

    /// The machine that a host is, for whoever switches it off while the network is another's.
    ///
    /// # Errors
    /// When there is no such host.
    pub fn machine(&self, host: &str) -> Result<Machine> {
        Ok(Machine::new(self.host(host)?.clone(), self.namespace(SWITCH)))
    }

    /// What these two send to each other is lost.
    ///
    /// # Errors
    /// When there is no such host, or `ip` fails.
    pub fn cut(&self, one: &str, other: &str) -> Result<()> {
        self.lose(one, other)?;
        self.lose(other, one)
    }

    /// Undoes [`Network::cut`], and [`Network::lose`] of either direction.
    ///
    /// # Errors
    /// As [`Network::cut`].
    pub fn heal(&self, one: &str, other: &str) -> Result<()> {
        for (from, to) in [(one, other), (other, one)] {
            let to = self.host(to)?.address.to_string();
            let from = &self.host(from)?.namespace;
            let list = output(&["-n", from, "neigh", "show", "to", &to, "dev", "eth0", "nud", "permanent"])?;
            if !list.trim().is_empty() {
                ip(&["-n", from, "neigh", "del", &to, "dev", "eth0"])?;
            }
        }
        Ok(())
    }

    /// What `from` sends to `to` is lost, and what comes back arrives. It leaves `from` for a station that is not there.
    ///
    /// # Errors
    /// As [`Network::cut`].
    pub fn lose(&self, from: &str, to: &str) -> Result<()> {
        let to = self.host(to)?.address.to_string();
        let from = &self.host(from)?.namespace;
        ip(&["-n", from, "neigh", "replace", &to, "lladdr", NOBODY, "dev", "eth0", "nud", "permanent"])
    }
}

impl Host {
    /// A command that runs at this host. Its files are those of the machine.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        // Unlike `ip netns exec` it keeps the mounts as they are; and the number of the process is that of the program.
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.file().display())).arg(program);
        command
    }

    /// Makes its namespace, and its cable to the switch.
    fn make(&self, switch: &str, side: &str) -> Result<()> {
        let Self { namespace, address, port } = self;
        ip(&["netns", "add", namespace])?;
        let inside = ["-n", namespace.as_str()];
        let cable = ["link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", switch];
        ip(&[&inside[..], &cable].concat())?;
        ip(&["-n", switch, "link", "set", port, "master", side, "up"])?;
        ip(&[&inside[..], &["address", "add", &format!("{address}/24"), "dev", "eth0"]].concat())?;
        for interface in ["lo", "eth0"] {
            ip(&[&inside[..], &["link", "set", interface, "up"]].concat())?;
        }
        Ok(())
    }

    fn file(&self) -> PathBuf {
        PathBuf::from(NAMESPACES).join(&self.namespace)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // Its sockets would keep the switch.
        self.line = None;
        for name in self.hosts.keys().map(String::as_str).chain([SWITCH]) {
            // What is left, the next run removes.
            let _ = ip(&["netns", "del", &self.namespace(name)]);
        }
    }
}

/// Runs `ip`.
fn ip(arguments: &[&str]) -> Result<()> {
    output(arguments).map(drop)
}

fn output(arguments: &[&str]) -> Result<String> {
    run("ip", "iproute2", arguments)
}

/// Runs a program of one of Debian's packages and gives what it printed.
fn run(program: &str, package: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {program}; it is in Debian's package {package}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} {}: {}", arguments.join(" "), errors.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
