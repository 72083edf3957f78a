//! The power switch of machines, and the line on which their fence agents reach it: a serial port of its own, as a management
//! network is one of its own.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::tied::Tied;

/// The fence agent, for `/usr/sbin/fence_plug`. `plug` is the name of a machine.
pub const AGENT: &str = include_str!("fence_plug");

/// The plug of one machine: while a process is in it, the machine has power.
#[derive(Debug, Default)]
pub(super) struct Plug(Mutex<Option<Tied>>);

impl Plug {
    pub(super) fn put_in(&self, machine: Tied) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(machine);
    }

    /// Nothing of the machine runs any more when this returns.
    pub(super) fn pull(&self) -> Result<()> {
        let mut plug = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plug.take().map_or(Ok(()), Tied::kill)
    }

    pub(super) fn is_in(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// A machine was switched off by a fence agent, which may have found it off.
#[derive(Debug, Clone)]
pub struct Fenced {
    /// When nothing of it ran any more.
    pub at: Instant,
    /// Which machine.
    pub machine: String,
}

/// The plugs of several machines. Clones are the same switch.
#[derive(Debug, Clone, Default)]
pub struct PowerSwitch(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    plugs: Mutex<BTreeMap<String, Arc<Plug>>>,
    fenced: Mutex<Vec<Fenced>>,
}

impl PowerSwitch {
    pub(super) fn plug(&self, machine: &str) -> Arc<Plug> {
        let mut plugs = self.0.plugs.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(plugs.entry(machine.to_owned()).or_default())
    }

    /// What fence agents have switched off.
    #[must_use]
    pub fn fenced(&self) -> Vec<Fenced> {
        self.0.fenced.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves the agents of one machine, until that is off.
    pub(super) fn serve(&self, line: UnixStream) -> Result<()> {
        let switch = self.clone();
        thread::Builder::new().name("power switch".to_owned()).spawn(move || {
            let Ok(mut answers) = line.try_clone() else { return };
            for asked in BufReader::new(line).lines().map_while(Result::ok) {
                let said = switch.act(asked.trim()).unwrap_or_else(|error| format!("failed: {error:#}"));
                if answers.write_all(format!("{said}\n").as_bytes()).is_err() {
                    return;
                }
            }
        })?;
        Ok(())
    }

    /// `ACTION MACHINE`, as the agent says it.
    fn act(&self, asked: &str) -> Result<String> {
        let (action, machine) = asked.split_once(' ').unwrap_or((asked, ""));
        let plug = self.0.plugs.lock().unwrap_or_else(PoisonError::into_inner).get(machine).cloned();
        let Some(plug) = plug else { bail!("there is no machine {machine}") };
        match action {
            "off" => {
                plug.pull()?;
                let off = Fenced { at: Instant::now(), machine: machine.to_owned() };
                self.0.fenced.lock().unwrap_or_else(PoisonError::into_inner).push(off);
                Ok("off".to_owned())
            }
            "status" => Ok(if plug.is_in() { "on" } else { "off" }.to_owned()),
            _ => bail!("{action} is not what this switch does"),
        }
    }
}
