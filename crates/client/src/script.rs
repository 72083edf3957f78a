//! Programs that a job runs: RunScripts and `|program` entries; %-codes (spec/02 §8.1, §8.2).

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

/// A RunScript as the Director sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunScript {
    /// Run when the job is well.
    pub on_success: bool,
    /// Run when the job has failed.
    pub on_failure: bool,
    /// A failure of the script fails the job.
    pub fail_on_error: bool,
    /// Bits: 1 after, 2 before, 4 after the snapshot.
    pub when: u32,
    /// Command with %-codes.
    pub command: String,
    /// Came by the old `RunBeforeJob`/`RunAfterJob`.
    pub old_style: bool,
}

/// When scripts run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScriptStage {
    /// Before the job's data.
    Before,
    /// Between snapshot and data; without snapshots: just before the data.
    AfterSnapshot,
    /// After the data.
    After,
}

impl ScriptStage {
    /// The bit in [`RunScript::when`].
    #[must_use]
    pub const fn bit(self) -> u32 {
        match self {
            Self::After => 1,
            Self::Before => 2,
            Self::AfterSnapshot => 4,
        }
    }

    /// Label of messages.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Before => "ClientBeforeJob",
            Self::AfterSnapshot => "ClientAfterVSS",
            Self::After => "ClientAfterJob",
        }
    }
}

impl From<wire::msg::dir_fd::RunScript> for RunScript {
    fn from(script: wire::msg::dir_fd::RunScript) -> Self {
        Self {
            on_success: script.on_success,
            on_failure: script.on_failure,
            fail_on_error: script.abort_on_error,
            when: script.when,
            command: script.command,
            old_style: false,
        }
    }
}

impl RunScript {
    /// A script of the old commands `RunBeforeJob` and `RunAfterJob`.
    #[must_use]
    pub fn old_style(command: String, stage: ScriptStage) -> Self {
        Self {
            on_success: true,
            on_failure: false,
            fail_on_error: true,
            when: stage.bit(),
            command,
            old_style: true,
        }
    }
}

/// Splits a command line at blanks; `"…"` and `'…'` hold words together, `\` takes the next character as it is.
#[must_use]
pub fn split_command(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some('"') | None, '\\') => {
                if let Some(next) = chars.next() {
                    let word = word.get_or_insert_default();
                    // Only what has a meaning of its own loses its backslash: `printf '\n'` and paths keep theirs.
                    if !matches!(next, '"' | '\'' | '\\' | ' ') {
                        word.push('\\');
                    }
                    word.push(next);
                }
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Starts a command without a shell; its standard output and error come on one pipe.
///
/// # Errors
/// The system's, with an empty command as "not found".
pub fn spawn(line: &str, environment: &[(&str, String)]) -> io::Result<(Child, io::PipeReader)> {
    let words = split_command(line);
    let Some((program, args)) = words.split_first() else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the command is empty"));
    };
    let (reader, writer) = io::pipe()?;
    let child = Command::new(program)
        .args(args)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()?;
    Ok((child, reader))
}

/// What a program gave.
#[derive(Debug)]
pub struct Captured {
    /// Exit status; 128 + signal when it was killed.
    pub status: i32,
    /// Its output, errors included.
    pub stdout: Vec<u8>,
}

impl Captured {
    /// `Child exited with code 1`.
    #[must_use]
    pub fn status_text(&self) -> String {
        exit_text(self.status)
    }
}

/// Text of an exit status.
#[must_use]
pub fn exit_text(status: i32) -> String {
    if status > 128 {
        format!("Child died from signal {}", status - 128)
    } else {
        format!("Child exited with code {status}")
    }
}

fn wait(child: &mut Child) -> io::Result<i32> {
    use std::os::unix::process::ExitStatusExt;
    let status = child.wait()?;
    Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}

/// Runs a command and keeps its output, up to `bytes_max`.
///
/// # Errors
/// Why it could not be started or read.
pub fn run_captured(line: &str, bytes_max: usize) -> Result<Captured, String> {
    let (mut child, reader) = spawn(line, &[]).map_err(|error| sys::error_text(&error))?;
    let mut stdout = Vec::new();
    let read = reader.take(bytes_max as u64).read_to_end(&mut stdout);
    let status = wait(&mut child).map_err(|error| sys::error_text(&error))?;
    read.map_err(|error| sys::error_text(&error))?;
    Ok(Captured { status, stdout })
}

/// Runs a command with these variables added to its environment and gives each line of its output to `line_seen`, without its line
/// end. Gives the exit status.
///
/// # Errors
/// Why it could not be started.
pub fn run_lines(
    line: &str,
    environment: &[(&str, String)],
    mut line_seen: impl FnMut(&str),
) -> Result<i32, String> {
    let (mut child, reader) = spawn(line, environment).map_err(|error| sys::error_text(&error))?;
    let mut reader = BufReader::new(reader);
    let mut text = Vec::new();
    loop {
        text.clear();
        // A line of more than a megabyte is given in pieces.
        match (&mut reader).take(1 << 20).read_until(b'\n', &mut text) {
            Ok(0) | Err(_) => break,
            Ok(_) => line_seen(String::from_utf8_lossy(&text).trim_end_matches(['\n', '\r'])),
        }
    }
    wait(&mut child).map_err(|error| sys::error_text(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_quoted() {
        let words = split_command("sh -c \"echo 'a  b' \\\"c\\\"\" d\\ e ''");
        assert_eq!(words, ["sh", "-c", "echo 'a  b' \"c\"", "d e", ""]);
        assert!(split_command("  ").is_empty());
    }

    #[test]
    fn output_and_errors_come_by_line() {
        let mut lines = Vec::new();
        let status =
            run_lines("sh -c \"echo $ONE; echo two >&2; exit 3\"", &[("ONE", "one".to_owned())], |line| {
                lines.push(line.to_owned());
            })
            .unwrap();
        assert_eq!((status, lines), (3, vec!["one".to_owned(), "two".to_owned()]));
        assert_eq!(exit_text(3), "Child exited with code 3");
        assert!(run_lines("/no/such/program", &[], |_| {}).is_err());
    }
}
