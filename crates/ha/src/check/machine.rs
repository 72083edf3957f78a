//! What is read of the machine: files below a root, and what programs print.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// How long one program may take. `storcli` on a busy controller takes seconds.
const PROGRAM_LIMIT: Duration = Duration::from_secs(20);

/// The most that is kept of a file or of a program's output.
const BYTES_MAX: usize = 4 << 20;

/// The most of a complaint that is shown.
const COMPLAINT_CHARS_MAX: usize = 200;

/// Directories of programs besides `PATH`, which a monitor's environment often lacks; the last ones are vendors'.
const DIRECTORIES: &[&str] = &[
    "/usr/sbin",
    "/sbin",
    "/usr/bin",
    "/opt/MegaRAID/storcli",
    "/opt/MegaRAID/perccli",
    "/opt/smartstorageadmin/ssacli/bin",
];

/// What became of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ran {
    /// There is no such program.
    Missing,
    /// It ran to its end.
    Ended { code: i32, output: String, complaint: String },
    /// It could not be started, was killed, or took too long.
    Failed(String),
}

impl Ran {
    /// Why an output is of no use, in one line.
    pub(super) fn trouble(&self, program: &str) -> String {
        match self {
            Self::Missing => format!("{program} is not installed"),
            Self::Failed(why) => format!("{program}: {why}"),
            Self::Ended { code, output, complaint } => {
                let said = if complaint.trim().is_empty() { output } else { complaint };
                match clip(said) {
                    said if said.is_empty() => format!("{program}: exit code {code}"),
                    said => format!("{program}: exit code {code}: {said}"),
                }
            }
        }
    }
}

/// One line without control characters, cut to what a table holds.
pub(super) fn clip(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|c| !c.is_control()).collect();
    if line.chars().count() <= COMPLAINT_CHARS_MAX {
        return line;
    }
    line.chars().take(COMPLAINT_CHARS_MAX).chain(['…']).collect()
}

/// Runs programs that change nothing.
pub(super) trait Programs: Sync {
    /// Runs one to its end.
    fn run(&self, program: &str, arguments: &[&str]) -> Ran;
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Read {
    Absent,
    Text(String),
    Failed(String),
}

/// A machine: where its files are and how its programs are run.
pub(super) struct Machine<'a> {
    pub(super) root: PathBuf,
    pub(super) programs: &'a dyn Programs,
}

impl Machine<'_> {
    /// Reads a file; its path is relative to the root.
    pub(super) fn read(&self, path: &str) -> Read {
        let place = self.root.join(path);
        let read = || -> std::io::Result<String> {
            let mut bytes = Vec::new();
            std::fs::File::open(&place)?.take(BYTES_MAX as u64).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        match read() {
            Ok(text) => Read::Text(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Read::Absent,
            Err(error) => Read::Failed(format!("read /{path}: {error}")),
        }
    }

    /// A file's text without blanks around it; none where it cannot be read.
    pub(super) fn word(&self, path: &str) -> Option<String> {
        match self.read(path) {
            Read::Text(text) => Some(text.trim().to_owned()),
            Read::Absent | Read::Failed(_) => None,
        }
    }

    /// The names in a directory, sorted; none where there is no such directory.
    pub(super) fn names(&self, path: &str) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.root.join(path)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    pub(super) fn run(&self, program: &str, arguments: &[&str]) -> Ran {
        self.programs.run(program, arguments)
    }
}

/// The programs of this machine.
pub(super) struct Installed;

impl Programs for Installed {
    fn run(&self, program: &str, arguments: &[&str]) -> Ran {
        let Some(path) = find(program) else { return Ran::Missing };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => runtime.block_on(call(&path, arguments, PROGRAM_LIMIT)),
            Err(error) => Ran::Failed(format!("start the runtime: {error}")),
        }
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(DIRECTORIES.iter().map(PathBuf::from));
    directories
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(program))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Runs a program as the leader of a process group, which is killed when the call is over, in whatever way.
async fn call(path: &Path, arguments: &[&str], limit: Duration) -> Ran {
    let spawned = Command::new(path)
        .args(arguments)
        .current_dir("/")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return Ran::Failed(format!("start it: {error}")),
    };
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let kill = || {
        if let Some(group) = group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    };
    let (output, complaint) = (child.stdout.take(), child.stderr.take());
    let ended = async {
        let status = child.wait().await;
        // What it left running would hold its output open.
        kill();
        status
    };
    let talk = Box::pin(async { tokio::join!(ended, keep(output), keep(complaint)) });
    match tokio::time::timeout(limit, talk).await {
        Err(_) => {
            kill();
            Ran::Failed(format!("no answer within {} s", limit.as_secs_f32()))
        }
        Ok((Err(error), _, _)) => Ran::Failed(format!("wait for it: {error}")),
        Ok((Ok(status), output, complaint)) => match status.code() {
            Some(code) => Ran::Ended { code, output, complaint },
            None => Ran::Failed(format!("killed by signal {}", status.signal().unwrap_or_default())),
        },
    }
}

/// Reads to the end and keeps the first [`BYTES_MAX`].
async fn keep(source: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    let Some(mut source) = source else { return String::new() };
    let mut part = [0; 8192];
    while let Ok(count) = source.read(&mut part).await {
        if count == 0 {
            break;
        }
        let room = BYTES_MAX - kept.len();
        kept.extend_from_slice(&part[..count.min(room)]);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> Ran {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(call(&find("sh").unwrap(), &["-c", script], limit))
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn output_exit_code_and_complaint_are_kept() {
        let ran = shell("echo out; echo bad >&2; exit 3", LONG);
        let expected = Ran::Ended { code: 3, output: "out\n".into(), complaint: "bad\n".into() };
        assert_eq!(ran, expected);
        assert_eq!(ran.trouble("sh"), "sh: exit code 3: bad");
        assert_eq!(shell("kill -9 $$", LONG), Ran::Failed("killed by signal 9".into()));
        assert_eq!(Installed.run("no-such-program", &[]), Ran::Missing);
    }

    #[test]
    fn one_that_hangs_is_ended_and_one_that_talks_for_ever_is_cut() {
        let ran = shell("exec sleep 600", Duration::from_millis(50));
        assert_eq!(ran, Ran::Failed("no answer within 0.05 s".into()));
        let Ran::Ended { output, .. } = shell("head -c 6000000 /dev/zero", LONG) else { panic!("not ended") };
        assert_eq!(output.len(), BYTES_MAX);
    }

    #[test]
    fn a_complaint_is_one_short_line() {
        assert_eq!(clip(" a\n\tb\u{1b}[31m "), "a b[31m");
        assert_eq!(clip(&"x".repeat(900)).chars().count(), COMPLAINT_CHARS_MAX + 1);
    }
}
