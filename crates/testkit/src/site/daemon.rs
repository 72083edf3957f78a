//! One daemon as a child process.

use std::fs::{self, OpenOptions};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::programs::Program;
use crate::network::Host;
use crate::wait;

/// The unit of processor times in `/proc`, the same on every Linux architecture that we build for.
const TICKS_PER_SECOND: u64 = 100;

/// A daemon's position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The Director.
    Director,
    /// The Storage Daemon.
    Storage,
    /// The File Daemon.
    Client,
    /// A second Storage Daemon, where a site has one ([`super::Builder::far_storage`]).
    FarStorage,
}

impl Role {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Director => "director",
            Self::Storage => "storage",
            Self::Client => "client",
            Self::FarStorage => "far-storage",
        }
    }

    /// Bacula's name of the program.
    pub(crate) const fn program(self) -> &'static str {
        match self {
            Self::Director => "bacula-dir",
            Self::Storage | Self::FarStorage => "bacula-sd",
            Self::Client => "bacula-fd",
        }
    }

    pub(super) const fn config(self) -> &'static str {
        match self {
            Self::Director => "bacula-dir.conf",
            Self::Storage => "bacula-sd.conf",
            Self::Client => "bacula-fd.conf",
            Self::FarStorage => "bacula-sd-far.conf",
        }
    }

    /// The port, the same on every site's own address.
    #[must_use]
    pub const fn port(self) -> u16 {
        match self {
            Self::Director => 21_101,
            Self::Client => 21_102,
            Self::Storage => 21_103,
            Self::FarStorage => 21_104,
        }
    }
}

/// What a daemon has used since it started.
#[derive(Debug, Clone, Copy, Default)]
pub struct Usage {
    /// Peak resident memory, bytes.
    pub resident_peak: u64,
    /// Processor time, user and system.
    pub cpu: Duration,
}

#[derive(Debug)]
pub(crate) struct Daemon {
    role: Role,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    pub(crate) fn start(
        role: Role,
        program: &Program,
        config: &Path,
        log: &Path,
        host: Option<&Host>,
        listen: (Ipv4Addr, u16),
        environment: &[(String, String)],
    ) -> Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log)?;
        let path = std::path::absolute(&program.path)?;
        let child = host
            .map_or_else(|| Command::new(&path), |host| host.command(&path))
            .args(&program.arguments)
            .arg("-f")
            .arg("-c")
            .arg(config)
            // Files that a configuration includes by relative names lie beside it.
            .current_dir(config.parent().unwrap_or(Path::new("/")))
            .env("RUST_BACKTRACE", "1")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {}", program.path.display()))?;
        let mut daemon = Self { role, child, log: log.to_path_buf() };
        let what = format!("the {} to listen on {}:{}", role.word(), listen.0, listen.1);
        wait::until(&what, wait::START, || {
            if listens(daemon.id(), listen)? {
                return Ok(Some(()));
            }
            match daemon.child.try_wait()? {
                None => Ok(None),
                Some(status) => bail!("it ended with {status}: {}", daemon.log_end()),
            }
        })
        .with_context(|| format!("start the {}", role.word()))?;
        Ok(daemon)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Gives the process up without ending it.
    pub(super) fn leave(self) -> u32 {
        let id = self.child.id();
        std::mem::forget(self);
        id
    }

    fn log_end(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(self.pid(), signal).with_context(|| format!("signal the {}", self.role.word()))
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The state is the first word behind the name in brackets, `T` for one that was stopped by a signal.
    pub(super) fn is_frozen(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
    }

    pub(super) fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("kill the {}", self.role.word()))?;
        self.child.wait()?;
        Ok(())
    }

    pub(crate) fn stop(&mut self, bound: Duration) -> Result<()> {
        self.signal(Signal::TERM)?;
        let what = format!("the {} to stop after SIGTERM", self.role.word());
        wait::until(&what, bound, || Ok(self.child.try_wait()?.map(|_| ())))
    }

    pub(super) fn usage(&self) -> Result<Usage> {
        let pid = self.child.id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).context("read /proc")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
        let kib: u64 = peak.trim().trim_end_matches("kB").trim().parse().unwrap_or(0);
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("read /proc")?;
        // The name in brackets may contain spaces: count from behind it. utime and stime are fields 14 and 15.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
        let ticks: u64 = [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<u64>().ok()).sum();
        Ok(Usage { resident_peak: kib * 1024, cpu: Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND) })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a TCP socket listens there, as the kernel tells; connecting to find out would show in the daemon's log.
/// `process` is one of the network that is asked.
fn listens(process: u32, (address, port): (Ipv4Addr, u16)) -> Result<bool> {
    const LISTEN: &str = "0A";
    let number = u32::from_le_bytes(address.octets());
    let local = format!("{number:08X}:{port:04X}");
    // Gone when the process has ended: then its status says more.
    let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).unwrap_or_default();
    Ok(table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next() == Some(&local) && fields.nth(1) == Some(LISTEN)
    }))
}
