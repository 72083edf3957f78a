//! Commands through a console.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::job::{JobRow, queued};
use super::programs::Program;
use super::{Maker, Site, hosts, program};
use crate::network::Host;
use crate::wait;

/// How a console is started that connects to one Director.
#[derive(Debug)]
pub struct Console {
    program: Program,
    maker: Maker,
    /// Its configuration file.
    config: PathBuf,
    /// Where it runs, if not in the machine's own network.
    host: Option<Host>,
    /// What it says on its standard error goes there.
    errors: PathBuf,
}

/// A console that runs commands. Dropping it kills the console.
#[derive(Debug)]
pub struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    ended: mpsc::Receiver<Vec<u8>>,
}

/// What a console printed.
#[derive(Debug, Clone)]
pub struct Said {
    /// Everything, from the greeting on.
    pub text: String,
    /// Whether it ended by itself.
    pub is_whole: bool,
}

impl Talk {
    /// Gives further commands, and the end, to a console that was [left open](Console::begin_open).
    ///
    /// # Errors
    /// When it has ended.
    pub fn finish(&mut self, commands: &[&str]) -> Result<()> {
        let mut input = self.input.take().context("the console has had its last command")?;
        input.write_all(script(commands, true).as_bytes()).context("give a console its last commands")
    }

    /// Waits for its end; after `bound` it is killed.
    ///
    /// # Errors
    /// Those of the system.
    pub fn end(mut self, bound: Duration) -> Result<Said> {
        let received = self.ended.recv_timeout(bound);
        let is_whole = received.is_ok();
        if !is_whole {
            let _ = self.child.kill();
        }
        self.child.wait()?;
        let text = String::from_utf8_lossy(&ended_or(received, &self.ended)).into_owned();
        Ok(Said { text, is_whole })
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Console {
    pub(crate) fn new(maker: Maker, config: PathBuf, host: Option<Host>, errors: PathBuf) -> Result<Self> {
        Ok(Self { program: program(maker, "bconsole")?, maker, config, host, errors })
    }

    /// Begins to run commands, one a line, and does not wait for the end.
    ///
    /// # Errors
    /// When the console cannot be started.
    pub fn begin(&self, commands: &[&str]) -> Result<Talk> {
        let (talk, mut input) = self.open()?;
        // A console that ended early closes the pipe; what it printed tells more than that.
        let _ = input.write_all(script(commands, true).as_bytes());
        Ok(talk)
    }

    /// As [`Self::begin`], but it waits for more: [`Talk::finish`].
    ///
    /// # Errors
    /// As [`Self::begin`], and when it has ended.
    pub fn begin_open(&self, commands: &[&str]) -> Result<Talk> {
        let (mut talk, mut input) = self.open()?;
        input.write_all(script(commands, false).as_bytes()).context("give a console commands")?;
        talk.input = Some(input);
        Ok(talk)
    }

    fn open(&self) -> Result<(Talk, ChildStdin)> {
        let path = &self.program.path;
        let mut command = self.host.as_ref().map_or_else(|| Command::new(path), |host| host.command(path));
        command.args(&self.program.arguments);
        if self.maker.is_bacula() {
            command.arg("-n"); // no line editing: input is no terminal
        }
        let errors = File::create(&self.errors)?;
        let mut child = command
            .arg("-c")
            .arg(&self.config)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("start {}", path.display()))?;
        let input = child.stdin.take().context("console without input")?;
        let mut output = child.stdout.take().context("console without output")?;
        let (sender, ended) = mpsc::channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = output.read_to_end(&mut bytes);
            let _ = sender.send(bytes);
        });
        Ok((Talk { child, input: None, ended }, input))
    }

    /// Runs commands and gives what was printed; the console is killed after `bound`.
    ///
    /// # Errors
    /// When it cannot connect.
    pub fn run(&self, commands: &[&str], bound: Duration) -> Result<String> {
        let text = self.begin(commands)?.end(bound)?.text;
        if text.is_empty() {
            let errors = std::fs::read_to_string(&self.errors).unwrap_or_default();
            bail!("the console printed nothing; its errors: {errors}");
        }
        ensure!(text.contains("1000 OK"), "the console did not connect:\n{text}");
        Ok(text)
    }

    /// The cluster as the instance sees it: `status cluster json`, its lines of JSON.
    ///
    /// # Errors
    /// As [`Self::run`], and when no JSON was printed.
    pub fn cluster_report(&self) -> Result<serde_json::Value> {
        let said = self.run(&["status cluster json"], wait::JOB)?;
        let json =
            said.lines().find(|line| line.starts_with('{')).with_context(|| format!("no JSON:\n{said}"))?;
        serde_json::from_str(json).context("read the report of the cluster")
    }

    /// Gives commands of which the last queues a job and returns the JobId.
    ///
    /// # Errors
    /// When nothing was queued; the text has the console's output.
    pub fn queue(&self, commands: &[&str]) -> Result<u32> {
        queued(commands, &self.run(commands, wait::JOB)?)
    }

    /// Waits until a job of a cluster has ended. The role may move meanwhile, which ends consoles of the instance that had it.
    ///
    /// # Errors
    /// When it has not after `bound`.
    pub fn wait_job(&self, id: u32, bound: Duration) -> Result<JobRow> {
        JobRow::wait(id, bound, true, |commands| self.run(commands, bound))
    }
}

impl Site {
    /// Runs commands through the site's console, one a line, and gives what it printed.
    ///
    /// # Errors
    /// When the console cannot connect or has not ended after 2 minutes.
    pub fn console(&self, commands: &[&str]) -> Result<String> {
        self.console_within(commands, wait::JOB)
    }

    /// As [`Site::console`], with another bound. In a cluster it is connected to the preferred
    /// instance ([`Site::prefer_instance`]), else to the first that runs.
    ///
    /// # Errors
    /// As [`Site::console`].
    pub fn console_within(&self, commands: &[&str], bound: Duration) -> Result<String> {
        let file = self.console_instance().map(super::config::console_file);
        self.console_with(&file.unwrap_or_else(|| "bconsole.conf".to_owned()), commands, bound)
    }

    /// Runs commands through a console that is connected to one instance of a cluster, active or not.
    ///
    /// # Errors
    /// As [`Site::console`].
    pub fn console_of(&self, instance: &str, commands: &[&str]) -> Result<String> {
        self.console_with(&super::config::console_file(instance), commands, wait::JOB)
    }

    fn console_with(&self, file: &str, commands: &[&str], bound: Duration) -> Result<String> {
        self.console_at(file)?.run(commands, bound)
    }

    /// Begins to run commands through a console that waits for more ([`Talk::finish`]).
    ///
    /// # Errors
    /// When the console cannot be started.
    pub fn begin_open(&self, commands: &[&str]) -> Result<Talk> {
        self.console_at("bconsole.conf")?.begin_open(commands)
    }

    /// Begins to run commands through a console that is connected to one instance of a cluster, and does not wait for its end.
    ///
    /// # Errors
    /// When the console cannot be started.
    pub fn begin_console_of(&self, instance: &str, commands: &[&str]) -> Result<Talk> {
        self.console_at(&super::config::console_file(instance))?.begin(commands)
    }

    pub(super) fn console_at(&self, file: &str) -> Result<Console> {
        let (config, host) = (self.config_file(file), self.host(hosts::CONSOLE).cloned());
        Console::new(self.description.console, config, host, self.dir().join("log/console.err"))
    }

    /// Who makes the console.
    #[must_use]
    pub const fn console_maker(&self) -> Maker {
        self.description.console
    }
}

fn ended_or(received: Result<Vec<u8>, mpsc::RecvTimeoutError>, ended: &mpsc::Receiver<Vec<u8>>) -> Vec<u8> {
    match received {
        Ok(bytes) => bytes,
        // The console was killed just now: its output ends within a moment.
        Err(_) => ended.recv_timeout(Duration::from_secs(5)).unwrap_or_default(),
    }
}

fn script(commands: &[&str], ends: bool) -> String {
    let lines: String = commands.iter().map(|line| format!("{line}\n")).collect();
    if ends { lines + "quit\n" } else { lines }
}
