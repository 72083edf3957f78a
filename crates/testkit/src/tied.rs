//! Programs that end with the process of the test, however that ends.

use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::network::Host;
use crate::wait;

/// A running program, started through `setpriv --pdeathsig=KILL` ([`command`]).
#[derive(Debug)]
pub(crate) struct Tied {
    pid: Pid,
    /// Sends once when it has ended.
    ended: Mutex<mpsc::Receiver<()>>,
}

/// A command whose program the kernel kills when the thread that starts it ends; at a host of a network, when one is given.
pub(crate) fn command(host: Option<&Host>) -> Command {
    let mut command = host.map_or_else(|| Command::new("setpriv"), |host| host.command("setpriv"));
    command.arg("--pdeathsig=KILL");
    command
}

/// The arguments by which `setpriv` becomes another user and group. The order to die is lost with that.
pub(crate) fn as_user(uid: u32, gid: u32) -> [String; 3] {
    [format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]
}

impl Tied {
    /// Starts a [`command`].
    ///
    /// # Errors
    /// When the program is missing.
    pub(crate) fn start(name: &str, mut command: Command) -> Result<Self> {
        let (started, child) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        // The kernel kills it when the thread that started it ends: this one ends with it, or with the process.
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => {
                    let _ = started.send(Err(error));
                    return;
                }
            };
            let _ = started.send(Ok(child.id()));
            let _: Result<_, _> = Child::wait(&mut child);
            let _ = end.send(());
        })?;
        let pid = child.recv()?.with_context(|| format!("start {name}"))?;
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process without a number")?;
        Ok(Self { pid, ended: Mutex::new(ended) })
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it does not run any more.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process(self.pid, signal)?)
    }

    /// The numbers of the processes that it has started; none when it has ended.
    pub(crate) fn children(&self) -> Vec<String> {
        let pid = self.pid.as_raw_nonzero();
        let path = format!("/proc/{pid}/task/{pid}/children");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub(crate) fn wait(self) -> Result<()> {
        let ended = self.ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        ended.recv_timeout(wait::START).context("wait for the end of a process")
    }

    /// Kills it and waits for its end.
    ///
    /// # Errors
    /// When it does not end in time.
    pub(crate) fn kill(self) -> Result<()> {
        self.signal(Signal::KILL)?;
        let ended = self.ended.into_inner().unwrap_or_else(PoisonError::into_inner);
        ended.recv_timeout(wait::START).context("wait for the end of a killed process")
    }
}
