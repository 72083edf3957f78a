//! A daemon on this machine, as its PID file tells: whether it runs, start, stop.
//!
//! The file is locked while the daemon lives, so a number that was left in it by a power cut, or is another process's by now, misleads
//! nobody.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::environment::Environment;

/// How long a daemon has for its orderly end, of the time that an action has; then it is killed.
const ORDERLY_SHARE: f64 = 0.6;
/// How long the kernel may take to end a killed process.
const KILLED_LIMIT: Duration = Duration::from_secs(10);
/// The process that holds a PID file; none when nobody does.
pub(super) fn holder(pid_file: &Path) -> Option<Pid> {
    let mut file = File::open(pid_file).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => return None,
        Err(error) if error != rustix::io::Errno::WOULDBLOCK => return None,
        Err(_) => {}
    }
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    Pid::from_raw(text.trim().parse().ok()?)
}

/// A daemon as it is started.
pub(super) struct Program<'a> {
    /// `director` or `storage`.
    pub(super) role: &'static str,
    pub(super) config: &'a Path,
    /// Which instance of a Director.
    pub(super) instance: Option<&'a str>,
    /// Where its PID file is.
    pub(super) pid_directory: &'a Path,
}

/// This very program, or the one that the resource names.
pub(super) fn binary(environment: &Environment) -> Result<PathBuf> {
    match environment.parameter("binary") {
        Some(path) => Ok(PathBuf::from(path)),
        None => std::env::current_exe().context("find this program"),
    }
}

impl Program<'_> {
    /// Starts it in the background; returns when it is ready.
    pub(super) fn start(&self, environment: &Environment) -> Result<()> {
        self.make_pid_directory(environment)
            .with_context(|| format!("make the Pid Directory {}", self.pid_directory.display()))?;
        let binary = binary(environment)?;
        let mut command = Command::new(&binary);
        command.arg0("holdfast").arg(self.role).arg("-c").arg(self.config);
        if let Some(instance) = self.instance {
            command.args(["--instance", instance]);
        }
        for (flag, parameter) in [("-u", "user"), ("-g", "group")] {
            if let Some(value) = environment.parameter(parameter) {
                command.args([flag, value]);
            }
        }
        // What a daemon inherits of Pacemaker would go on to the scripts of jobs.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["OCF_", "HA_", "PCMK_"].iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("start {}", binary.display()))?;
        let process =
            pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).context("look at the daemon")?;
        if !ends_within(&process, environment.left())? {
            // What it started goes on; the stop that follows ends it.
            let _ = child.kill();
            bail!("the daemon was not ready in time; its log says what it waits for");
        }
        let status = child.wait().context("wait for the daemon to be ready")?;
        ensure!(status.success(), "the daemon did not start ({status}); the reason is above and in its log");
        Ok(())
    }

    /// It is on a file system that begins empty with the machine, and the daemon, which is not root, writes into it.
    fn make_pid_directory(&self, environment: &Environment) -> Result<()> {
        if self.pid_directory.is_dir() {
            return Ok(());
        }
        std::fs::create_dir_all(self.pid_directory)?;
        let number = |parameter: &str, of: fn(&str) -> Option<u32>| {
            environment
                .parameter(parameter)
                .map(|name| of(name).with_context(|| format!("there is no {parameter} {name}")))
                .transpose()
        };
        let (user, group) = (number("user", sys::user_id)?, number("group", sys::group_id)?);
        Ok(std::os::unix::fs::chown(self.pid_directory, user, group)?)
    }
}

/// Ends a daemon: in an orderly way, then by force. Returns when it has ended.
pub(super) fn stop(pid_file: &Path, environment: &Environment) -> Result<()> {
    let Some(pid) = holder(pid_file) else { return Ok(()) };
    end(pid, Signal::TERM, environment.left().mul_f64(ORDERLY_SHARE))?;
    if holder(pid_file) == Some(pid) {
        environment.log("WARNING", format!("process {pid} does not end by itself and is killed"));
        kill(pid_file)?;
    }
    Ok(())
}

/// Ends a daemon at once. Returns when it has ended.
pub(super) fn kill(pid_file: &Path) -> Result<()> {
    let Some(pid) = holder(pid_file) else { return Ok(()) };
    end(pid, Signal::KILL, KILLED_LIMIT)?;
    if holder(pid_file) == Some(pid) {
        bail!("process {pid} cannot be killed: it hangs in the kernel, as on a disk that does not answer");
    }
    Ok(())
}

/// Sends a signal and waits for the end of the process, at most so long.
fn end(pid: Pid, signal: Signal, limit: Duration) -> Result<()> {
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("look at process {pid}")),
    };
    match pidfd_send_signal(&process, signal) {
        Ok(()) => {}
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("end process {pid}")),
    }
    ends_within(&process, limit).map(drop)
}

/// Whether a process ends within this time.
fn ends_within(process: &OwnedFd, limit: Duration) -> Result<bool> {
    let until = Instant::now() + limit;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let left = rustix::time::Timespec::try_from(left).context("a time that can be waited for")?;
        match poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&left)) {
            Ok(ended) => return Ok(ended > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for the end of a process"),
        }
    }
}
