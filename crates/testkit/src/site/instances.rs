//! The instances of a clustered Director.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::config::instance_port;
use super::daemon::Daemon;
use super::{Role, Site, program};
use crate::wait;

/// The process of an instance.
#[derive(Debug, Clone)]
pub struct InstanceProcess {
    name: String,
    pid: Pid,
}

impl InstanceProcess {
    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Kills it (`SIGKILL`); [`Site::forget_instance`] then takes note.
    ///
    /// # Errors
    /// When it has ended.
    pub fn kill(&self) -> Result<()> {
        kill_process(self.pid, Signal::KILL).with_context(|| format!("kill instance {}", self.name))
    }

    /// Lets it go on (`SIGCONT`).
    ///
    /// # Errors
    /// When it has ended.
    pub fn thaw(&self) -> Result<()> {
        kill_process(self.pid, Signal::CONT).with_context(|| format!("wake instance {}", self.name))
    }
}

impl Site {
    /// Starts an instance that is not running, and waits until it listens.
    ///
    /// # Errors
    /// When it does not start; the text has the end of its log.
    pub fn start_instance(&mut self, name: &str) -> Result<()> {
        let index = self.description.instances.iter().position(|known| known == name);
        let index = index.with_context(|| format!("the site has no instance {name}"))?;
        let mut program = program(self.maker(Role::Director), Role::Director.program())?;
        program.arguments.extend(["--instance".into(), name.into()]);
        let config = self.instance_file(name, Role::Director.config());
        let log = self.dir().join("log").join(format!("director-{name}.log"));
        let listen = (self.address_of(name), instance_port(index));
        let (host, environment) = (self.host(name), self.environment());
        let daemon = Daemon::start(Role::Director, &program, &config, &log, host, listen, &environment)?;
        self.instances.insert(name.to_owned(), daemon);
        Ok(())
    }

    pub(super) fn instance_folder(&self, name: &str) -> PathBuf {
        if self.description.own_files { self.dir().join("etc").join(name) } else { self.dir().join("etc") }
    }

    /// A file of an instance's configuration: `bacula-dir.conf`, `extra.conf`. All instances have the same files unless
    /// [`Builder::own_files`](super::Builder::own_files) was said.
    #[must_use]
    pub fn instance_file(&self, name: &str, file: &str) -> PathBuf {
        self.instance_folder(name).join(file)
    }

    /// Sends an instance `SIGHUP`.
    ///
    /// # Errors
    /// When it is not running.
    pub fn reload_instance(&mut self, name: &str) -> Result<()> {
        self.instance(name)?.signal(Signal::HUP)
    }

    /// Connects consoles to this instance from now on, while it runs.
    pub fn prefer_instance(&mut self, name: &str) {
        self.preferred = Some(name.to_owned());
    }

    pub(super) fn console_instance(&self) -> Option<&str> {
        if self.description.managed {
            return self
                .preferred
                .as_deref()
                .or_else(|| self.description.instances.first().map(String::as_str));
        }
        let preferred = self.preferred.as_deref().filter(|name| self.instances.contains_key(*name));
        preferred.or_else(|| self.instances.keys().next().map(String::as_str))
    }

    fn instance(&mut self, name: &str) -> Result<&mut Daemon> {
        self.instances.get_mut(name).with_context(|| format!("instance {name} is not running"))
    }

    /// Kills an instance at once (`SIGKILL`).
    ///
    /// # Errors
    /// When it is not running.
    pub fn kill_instance(&mut self, name: &str) -> Result<()> {
        self.instance(name)?.kill()?;
        self.instances.remove(name);
        Ok(())
    }

    /// Asks an instance to stop (`SIGTERM`) and waits until it has.
    ///
    /// # Errors
    /// When it does not stop in 30 seconds.
    pub fn stop_instance(&mut self, name: &str) -> Result<()> {
        self.instance(name)?.stop(wait::START)?;
        self.instances.remove(name);
        Ok(())
    }

    /// Freezes an instance (`SIGSTOP`); returns when it stands still.
    ///
    /// # Errors
    /// When it is not running.
    pub fn freeze_instance(&mut self, name: &str) -> Result<()> {
        self.instance(name)?.signal(Signal::STOP)?;
        wait::until("a frozen instance to stand still", wait::START, || {
            Ok(self.is_instance_frozen(name).then_some(()))
        })
    }

    /// Lets a frozen instance go on (`SIGCONT`).
    ///
    /// # Errors
    /// When it is not running.
    pub fn thaw_instance(&mut self, name: &str) -> Result<()> {
        self.instance(name)?.signal(Signal::CONT)
    }

    /// The process of an instance, for a thread that kills it while another uses the site.
    ///
    /// # Errors
    /// When it is not running.
    pub fn instance_process(&self, name: &str) -> Result<InstanceProcess> {
        let daemon = self.instances.get(name).with_context(|| format!("instance {name} is not running"))?;
        let pid = i32::try_from(daemon.id()).ok().and_then(Pid::from_raw);
        Ok(InstanceProcess { name: name.to_owned(), pid: pid.context("a process has a number")? })
    }

    /// The process id of an instance.
    ///
    /// # Errors
    /// When it is not running.
    pub fn instance_id(&self, name: &str) -> Result<u32> {
        let daemon = self.instances.get(name).with_context(|| format!("instance {name} is not running"))?;
        Ok(daemon.id())
    }

    /// Whether the process of an instance runs.
    pub fn is_instance_running(&mut self, name: &str) -> bool {
        self.instances.get_mut(name).is_some_and(Daemon::is_running)
    }

    /// Whether the process of an instance stands still (`SIGSTOP`).
    #[must_use]
    pub fn is_instance_frozen(&self, name: &str) -> bool {
        self.instances.get(name).is_some_and(Daemon::is_frozen)
    }

    /// Takes note that an instance has been ended by another.
    ///
    /// # Errors
    /// When it has not ended.
    pub fn forget_instance(&mut self, name: &str) -> Result<()> {
        let what = format!("instance {name} to have ended");
        wait::until(&what, wait::START, || Ok((!self.is_instance_running(name)).then_some(())))?;
        self.instances.remove(name);
        Ok(())
    }

    /// The cluster as an instance sees it: `status cluster json`, its lines of JSON.
    ///
    /// # Errors
    /// As [`Site::console`], and when it printed no JSON.
    pub fn cluster_report(&self, asked: &str) -> Result<serde_json::Value> {
        self.console_at(&super::config::console_file(asked))?.cluster_report()
    }

    /// Waits until `asked` reports that `name` is active.
    ///
    /// # Errors
    /// When it does not within `bound`.
    pub fn wait_active(&self, asked: &str, name: &str, bound: Duration) -> Result<()> {
        wait::until(&format!("instance {name} to be active"), bound, || {
            let report = self.cluster_report(asked)?;
            let instances = report["instances"].as_array().context("a report without instances")?;
            let active = instances.iter().any(|one| one["instance"] == name && one["role"] == "active");
            Ok(active.then_some(()))
        })
    }

    /// What an instance has printed.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn instance_log(&self, name: &str) -> Result<String> {
        let path = self.dir().join("log").join(format!("director-{name}.log"));
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Names of the instances that have been started and not ended.
    #[must_use]
    pub fn running_instances(&self) -> Vec<String> {
        self.instances.keys().cloned().collect()
    }

    /// What the Director has printed: one log for each instance, or that of the one that stands alone.
    ///
    /// # Errors
    /// When a log cannot be read.
    pub fn director_logs(&self) -> Result<Vec<(String, String)>> {
        if self.description.instances.is_empty() {
            return Ok(vec![("alone".to_owned(), self.log(Role::Director)?)]);
        }
        self.description.instances.iter().map(|name| Ok((name.clone(), self.instance_log(name)?))).collect()
    }

    pub(super) fn finish_instances(&mut self) -> Result<()> {
        let running: Vec<String> = self.instances.keys().cloned().collect();
        for name in running {
            ensure!(self.is_instance_running(&name), "instance {name} has ended by itself");
            self.stop_instance(&name)?;
        }
        for name in self.description.instances.clone() {
            if self.description.managed
                && !self.dir().join("log").join(format!("director-{name}.log")).exists()
            {
                continue; // its node was never up
            }
            ensure!(!self.instance_log(&name)?.contains("panicked at"), "instance {name} panicked");
        }
        Ok(())
    }
}
