//! One call of a fence agent over its standard input (ClusterLabs `FenceAgentAPI`).
//!
//! The agent reads `key=value` lines, `action=` among them, and answers by its exit code. It runs as the leader of a process
//! group of its own; when the call is over, in whatever way, the whole group is killed, so that nothing that it left behind
//! acts on the device later.

use super::metadata::MetadataError;
use rustix::process::{Pid, Signal, kill_process_group};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};

/// The most that is kept of an agent's output; what is beyond is read and thrown away. The longest metadata in Debian's
/// package are 30 KiB.
const OUTPUT_BYTES_MAX: usize = 512 << 10;

/// The most of an agent's complaint that an error shows.
const COMPLAINT_CHARS_MAX: usize = 400;

/// Directories that agents are in, before those of `PATH`: a daemon's `PATH` often lacks them.
const DIRECTORIES: &[&str] = &["/usr/sbin", "/sbin"];

/// What an agent is called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Metadata,
    Status,
    Off,
    On,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Status => "status",
            Self::Off => "off",
            Self::On => "on",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a fence agent gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There is no such program.
    #[error(
        "the fence agent {agent} is not in {searched}; install Debian's package fence-agents, or give its absolute path"
    )]
    NotFound {
        /// As configured.
        agent: String,
        /// Where it was looked for.
        searched: String,
    },
    /// The program could not be started.
    #[error("start the fence agent {}", program.display())]
    Start {
        /// Where it is.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The call took too long and was ended.
    #[error("{agent}: {action}: no answer within {} s", after.as_secs_f32())]
    Timeout {
        /// The agent.
        agent: String,
        /// What it was called for.
        action: String,
        /// The device's `Timeout`.
        after: Duration,
    },
    /// It ended by a signal.
    #[error("{agent}: {action}: killed by signal {signal}")]
    Killed {
        /// The agent.
        agent: String,
        /// What it was called for.
        action: String,
        /// The signal's number.
        signal: i32,
    },
    /// It reports a failure.
    #[error("{agent}: {action}: exit code {code}{complaint}")]
    Failed {
        /// The agent.
        agent: String,
        /// What it was called for.
        action: String,
        /// Its exit code.
        code: i32,
        /// Its last words, values of options masked; begins with `: ` where there are any.
        complaint: String,
    },
    /// Its metadata cannot be read.
    #[error("{agent}: metadata")]
    Metadata {
        /// The agent.
        agent: String,
        /// Why.
        #[source]
        source: MetadataError,
    },
}

impl AgentError {
    /// Whether another try could end differently.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::NotFound { .. } | Self::Start { .. } | Self::Metadata { .. } => false,
            Self::Timeout { .. } | Self::Killed { .. } | Self::Failed { .. } => true,
        }
    }
}

/// The program of an agent, found on this machine.
#[derive(Debug, Clone)]
pub struct Program {
    name: String,
    path: PathBuf,
}

impl Program {
    /// Finds an agent: an absolute path is taken as it is, a name is looked for in `/usr/sbin`, `/sbin` and `PATH`.
    ///
    /// # Errors
    /// [`AgentError::NotFound`].
    pub fn find(agent: &str) -> Result<Self, AgentError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let directories = DIRECTORIES.iter().map(PathBuf::from).chain(std::env::split_paths(&path));
        Self::find_in(agent, directories)
    }

    fn find_in(agent: &str, directories: impl Iterator<Item = PathBuf>) -> Result<Self, AgentError> {
        let not_found = |searched: String| AgentError::NotFound { agent: agent.to_owned(), searched };
        if agent.contains('/') {
            let path = PathBuf::from(agent);
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let program = name.filter(|_| is_program(&path)).map(|name| Self { name, path: path.clone() });
            return program.ok_or_else(|| not_found("its place, or may not be executed".to_owned()));
        }
        let directories: Vec<PathBuf> = directories.filter(|directory| directory.is_absolute()).collect();
        match directories.iter().map(|directory| directory.join(agent)).find(|path| is_program(path)) {
            Some(path) => Ok(Self { name: agent.to_owned(), path }),
            None => {
                let list: Vec<_> = directories.iter().map(|path| path.display().to_string()).collect();
                Err(not_found(list.join(", ")))
            }
        }
    }
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// What an agent answered.
pub(super) struct Answer {
    pub(super) code: i32,
    pub(super) output: Vec<u8>,
    complaint: Vec<u8>,
}

/// An agent with the options of one device.
#[derive(Clone)]
pub(super) struct Agent {
    program: Program,
    /// Key and value; secret.
    options: Vec<(String, String)>,
    timeout: Duration,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options' values stay out of every log.
        let keys: Vec<&str> = self.options.iter().map(|(key, _)| key.as_str()).collect();
        f.debug_struct("Agent").field("program", &self.program.path).field("options", &keys).finish()
    }
}

impl Agent {
    pub(super) fn new<'a>(
        program: Program,
        options: impl Iterator<Item = (&'a str, &'a str)>,
        timeout: Duration,
    ) -> Self {
        let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        Self { program, options, timeout }
    }

    pub(super) fn name(&self) -> &str {
        &self.program.name
    }

    pub(super) fn program(&self) -> &Path {
        &self.program.path
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Calls the agent and waits for its end.
    pub(super) async fn call(&self, action: Action) -> Result<Answer, AgentError> {
        let mut child = Command::new(&self.program.path)
            .current_dir("/")
            .env("LC_ALL", "C")
            // Python's own warnings would hide what the agent has to say.
            .env("PYTHONWARNINGS", "ignore")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| AgentError::Start { program: self.program.path.clone(), source })?;
        let mut group = Group::of(&child);
        let (input, output, complaint) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let text = self.input(action);
        let talk = async {
            let ended = async {
                let status = child.wait().await;
                // What it left running would hold its output open, and could act later.
                group.kill();
                status
            };
            tokio::join!(ended, feed(input, &text), read(output), read(complaint))
        };
        let Ok((status, (), output, complaint)) = tokio::time::timeout(self.timeout, talk).await else {
            return Err(AgentError::Timeout {
                agent: self.name().to_owned(),
                action: action.to_string(),
                after: self.timeout,
            });
        };
        let status =
            status.map_err(|source| AgentError::Start { program: self.program.path.clone(), source })?;
        let code = self.code(action, status)?;
        Ok(Answer { code, output, complaint })
    }

    fn code(&self, action: Action, status: ExitStatus) -> Result<i32, AgentError> {
        use std::os::unix::process::ExitStatusExt as _;
        status.code().ok_or_else(|| AgentError::Killed {
            agent: self.name().to_owned(),
            action: action.to_string(),
            signal: status.signal().unwrap_or_default(),
        })
    }

    /// The answer, when it is a success.
    pub(super) fn success(&self, action: Action, answer: Answer) -> Result<Answer, AgentError> {
        if answer.code == 0 { Ok(answer) } else { Err(self.failure(action, answer)) }
    }

    /// The answer as the failure that it is.
    pub(super) fn failure(&self, action: Action, answer: Answer) -> AgentError {
        let Answer { code, output, complaint } = answer;
        let said = if complaint.trim_ascii().is_empty() { output } else { complaint };
        AgentError::Failed {
            agent: self.name().to_owned(),
            action: action.to_string(),
            code,
            complaint: self.last_words(&said),
        }
    }

    /// The end of what an agent said, in one line, without the values of options.
    fn last_words(&self, said: &[u8]) -> String {
        let mut text = String::from_utf8_lossy(said).into_owned();
        // One that holds another goes first, or a part of it would be left over.
        let mut secrets: Vec<&str> =
            self.options.iter().filter(|(key, _)| is_secret(key)).map(|(_, value)| value.as_str()).collect();
        secrets.sort_by_key(|value| std::cmp::Reverse(value.len()));
        for value in secrets.into_iter().filter(|value| !value.is_empty()) {
            text = text.replace(value, "***");
        }
        let words: Vec<&str> = text.split_whitespace().collect();
        let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
        let from = line.chars().count().saturating_sub(COMPLAINT_CHARS_MAX);
        let cut: String = line.chars().skip(from).collect();
        match (cut.is_empty(), from > 0) {
            (true, _) => String::new(),
            (false, true) => format!(": …{cut}"),
            (false, false) => format!(": {cut}"),
        }
    }

    /// What the agent reads; secret.
    fn input(&self, action: Action) -> String {
        let options = self.options.iter().map(|(key, value)| format!("{key}={value}\n"));
        std::iter::once(format!("action={action}\n")).chain(options).collect()
    }
}

/// Keys of options whose values an agent's own words must not show. All others (`ip`, `plug`) help the operator there.
fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    ["pass", "secret", "token", "key", "community", "_kg"].iter().any(|word| key.contains(word))
        && !key.ends_with("_script")
}

/// Writes the input and closes it. An agent that does not read it has its reasons; its exit code tells.
async fn feed(input: Option<ChildStdin>, text: &str) {
    if let Some(mut input) = input {
        let _ = input.write_all(text.as_bytes()).await;
        let _ = input.shutdown().await;
    }
}

/// Reads to the end and keeps the first [`OUTPUT_BYTES_MAX`]. A pipe that fails ends like one that is closed.
async fn read(source: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut source) = source else { return kept };
    let mut part = [0; 4096];
    while let Ok(count) = source.read(&mut part).await {
        if count == 0 {
            break;
        }
        let room = OUTPUT_BYTES_MAX - kept.len();
        kept.extend_from_slice(&part[..count.min(room)]);
    }
    kept
}

/// The agent's process group; killed when the call is over.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }

    /// Kills what is left of it. Its number is not given to another process as long as a member lives; when none does, the
    /// kernel finds nothing to kill, unless it has gone through all numbers since the agent's end, a moment ago.
    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_are_found_by_name_or_absolute_path() {
        let program = Program::find("sh").unwrap();
        assert!(program.path.is_absolute() && program.name == "sh");
        assert_eq!(Program::find("/bin/sh").unwrap().path, Path::new("/bin/sh"));
        let error = Program::find("fence_nosuch").unwrap_err().to_string();
        assert!(error.contains("fence_nosuch is not in /usr/sbin, /sbin"), "{error}");
        let error = Program::find("/etc/passwd").unwrap_err().to_string();
        assert!(error.contains("may not be executed"), "{error}");
        // A relative entry of PATH would be looked up wherever the daemon happens to be.
        let relative = [PathBuf::from("bin")].into_iter();
        assert!(Program::find_in("sh", relative).is_err());
    }

    #[test]
    fn secrets_do_not_come_back_in_complaints() {
        let options = [("ip", "10.1.9.1"), ("password", "geheim"), ("snmp_priv_passwd", "geheimer")];
        let agent = Agent::new(Program::find("sh").unwrap(), options.into_iter(), Duration::from_secs(1));
        let words = agent.last_words(b"ipmitool -H 10.1.9.1 -P geheim\nfailed: geheimer\n");
        assert_eq!(words, ": ipmitool -H 10.1.9.1 -P *** failed: ***");
        assert!(!format!("{agent:?}").contains("geheim"));
        assert_eq!(agent.last_words(b" \n"), "");
        let long = agent.last_words("ä".repeat(1000).as_bytes());
        assert_eq!(long.chars().count(), COMPLAINT_CHARS_MAX + 3);
    }
}
