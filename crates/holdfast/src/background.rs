//! Going to the background: the program starts itself again in a session of its own and waits until it is ready.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result};

/// Set for the process in the background.
const MARK: &str = "HOLDFAST_BACKGROUND";
/// What it says on its standard output when it is ready; anything else is why it is not.
const READY: &str = "ready\n";

/// Whether this is the process in the background.
pub(crate) fn is_background() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Starts this program again in the background, with its log in `log`; returns when it is ready or has failed.
///
/// # Errors
/// Why it did not start.
pub(crate) fn start(log: &Path) -> Result<ExitCode> {
    let program = std::env::current_exe().context("find this program")?;
    let file = OpenOptions::new().create(true).append(true).open(log);
    let file =
        file.with_context(|| format!("open the log {}; use -f to stay in the foreground", log.display()))?;
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let mut command = Command::new(program);
    std::os::unix::process::CommandExt::arg0(&mut command, name);
    let mut child = command
        .args(arguments)
        .env(MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file)
        .spawn()
        .context("start the daemon in the background")?;
    let mut said = String::new();
    if let Some(mut output) = child.stdout.take() {
        // Up to the end of the pipe: the daemon closes it once it is ready, or dies.
        let mut bytes = [0; 4096];
        while !said.contains(READY) {
            match output.read(&mut bytes)? {
                0 => break,
                count => said.push_str(&String::from_utf8_lossy(&bytes[..count])),
            }
        }
    }
    if said.contains(READY) {
        return Ok(ExitCode::SUCCESS);
    }
    let status = child.wait()?;
    anyhow::bail!("the daemon did not start ({status}): {}\nits log is {}", said.trim(), log.display())
}

/// In the background: leaves the terminal's session.
pub(crate) fn detach() {
    // Fails only for the leader of a process group, which a freshly started child is not.
    if let Err(error) = rustix::process::setsid() {
        tracing::debug!(%error, "no session of its own");
    }
}

/// In the background: tells the starting process that the daemon is ready.
pub(crate) fn tell_ready() {
    tell(READY);
}

/// In the background: tells the starting process why the daemon will not start.
pub(crate) fn tell_failure(error: &anyhow::Error) {
    tell(&format!("{error:#}\n"));
}

fn tell(text: &str) {
    let mut output = std::io::stdout();
    // The starting process may be gone; then nobody needs to know.
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}
