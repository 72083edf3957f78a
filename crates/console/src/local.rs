//! Commands that start with `@`: done here, never sent.

use std::path::Path;
use std::time::Duration;

/// What a line that starts with `@` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Local {
    /// `@input FILE`: read commands from there.
    Input(String),
    /// `@output [FILE]`: write there, or to the terminal again.
    Output(Option<String>),
    /// `@tee [FILE]`: write there and to the terminal.
    Tee(Option<String>),
    /// `@sleep SECONDS`.
    Sleep(Duration),
    /// `@time`.
    Time,
    /// `@version`.
    Version,
    /// `@echo TEXT`.
    Echo(String),
    /// `@exec COMMAND`.
    Exec(String),
    /// `@separator C`: cuts lines into several commands.
    Separator(Option<char>),
    /// `@putfile KEY FILE`.
    PutFile {
        /// Name on the Director.
        key: String,
        /// Here.
        file: String,
    },
    /// `@quit`, `@exit`.
    Quit,
    /// `@help`.
    Help,
    /// `@#`, or `@` alone.
    Comment,
    /// Anything else, with what is wrong.
    Wrong(String),
}

/// Words of `@help`.
pub(crate) const HELP: &str = "\
  @input FILE      read commands from FILE
  @output [FILE]   send output to FILE, or to the terminal again
  @tee [FILE]      send output to FILE and to the terminal
  @sleep SECONDS   wait
  @time            print the time
  @version         print this program's version
  @echo TEXT       print TEXT
  @exec COMMAND    run a program and print its output
  @separator C     cut lines at C into several commands
  @putfile KEY FILE  send FILE to the Director under KEY
  @# TEXT          a comment
  @quit            end the session
";

impl Local {
    /// Reads a line; `None` if it is for the Director.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let rest = line.trim_start().strip_prefix('@')?;
        let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let argument = unquote(argument.trim());
        let optional = (!argument.is_empty() && argument != "none").then(|| argument.to_owned());
        let needed = |make: fn(String) -> Self| match argument {
            "" => Self::Wrong(format!("@{word} needs an argument; see @help")),
            argument => make(argument.to_owned()),
        };
        Some(match word {
            _ if word.is_empty() || word.starts_with('#') => Self::Comment,
            "input" => needed(Self::Input),
            "output" => Self::Output(optional),
            "tee" => Self::Tee(optional),
            "sleep" => match argument.parse() {
                Ok(seconds) => Self::Sleep(Duration::from_secs(seconds)),
                Err(_) => Self::Wrong(format!("@sleep needs a number of seconds, not \"{argument}\"")),
            },
            "time" => Self::Time,
            "version" => Self::Version,
            "echo" => Self::Echo(argument.to_owned()),
            "exec" => needed(Self::Exec),
            "separator" => Self::Separator(argument.chars().next()),
            "putfile" => match argument.split_once(char::is_whitespace) {
                Some((key, file)) => {
                    Self::PutFile { key: key.to_owned(), file: unquote(file.trim()).to_owned() }
                }
                None => Self::Wrong("Usage: @putfile key file".to_owned()),
            },
            "quit" | "exit" => Self::Quit,
            "help" => Self::Help,
            other => Self::Wrong(format!("@{other}: is an invalid command; see @help")),
        })
    }
}

fn unquote(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// Runs a program without a shell; its output, or why there is none.
pub(crate) fn exec(command: &str) -> Result<Vec<u8>, String> {
    let words = sys::split_command(command);
    let Some((program, arguments)) = words.split_first() else {
        return Err("@exec needs a command".to_owned());
    };
    let output =
        std::process::Command::new(program).args(arguments).stdin(std::process::Stdio::null()).output();
    let output = output.map_err(|error| format!("@exec {program}: {error}"))?;
    if !output.status.success() {
        return Err(format!("@exec {program}: {}", output.status));
    }
    Ok(output.stdout)
}

/// A file to be sent, bounded as the Director keeps it in memory.
pub(crate) fn read_bounded(file: &Path) -> Result<Vec<u8>, String> {
    const FILE_BYTES_MAX: u64 = 64 << 20;
    let size = std::fs::metadata(file).map_err(|error| format!("{}: {error}", file.display()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("{} has {size} bytes; at most {FILE_BYTES_MAX} can be sent", file.display()));
    }
    std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_the_director_are_left_alone() {
        assert_eq!(Local::parse("status dir"), None);
        assert_eq!(Local::parse(""), None);
    }

    #[test]
    fn local_commands() {
        let parse = |line| Local::parse(line).unwrap();
        assert_eq!(parse("@input \"/tmp/a b\""), Local::Input("/tmp/a b".into()));
        assert_eq!(parse("@output"), Local::Output(None));
        assert_eq!(parse("@output none"), Local::Output(None));
        assert_eq!(parse("@tee /tmp/x"), Local::Tee(Some("/tmp/x".into())));
        assert_eq!(parse("@sleep 2"), Local::Sleep(Duration::from_secs(2)));
        assert_eq!(parse("@# remark"), Local::Comment);
        assert_eq!(parse("@putfile k /a"), Local::PutFile { key: "k".into(), file: "/a".into() });
        assert!(matches!(parse("@sleep x"), Local::Wrong(_)));
        assert!(matches!(parse("@nonsense"), Local::Wrong(_)));
    }

    #[test]
    fn programs_run_without_a_shell() {
        assert_eq!(exec("echo 'a  b'").unwrap(), b"a  b\n");
        assert!(exec("false").unwrap_err().contains("exit status: 1"));
    }
}
