//! One call of a Changer Command: %-codes, time limit, what it says.

use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::lock::lock;

/// Output that is kept, in bytes: the list of a library of ten thousand slots is a few hundred KiB.
const OUTPUT_BYTES_MAX: usize = 4 << 20;
/// Output that an error shows, in characters.
const SHOWN_MAX: usize = 400;
/// How long a program that was killed, or its children, may hold on to the pipe.
const DRAIN: Duration = Duration::from_secs(1);

/// What a changer can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Which slot is in a drive.
    Loaded,
    /// A slot into a drive.
    Load,
    /// A drive's medium back into its slot.
    Unload,
    /// Barcodes of the slots.
    List,
    /// Drives, slots, import and export, with barcodes.
    ListAll,
    /// How many slots there are.
    Slots,
    /// From slot to slot.
    Transfer,
}

impl Operation {
    /// `%o`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Load => "load",
            Self::Unload => "unload",
            Self::List => "list",
            Self::ListAll => "listall",
            Self::Slots => "slots",
            Self::Transfer => "transfer",
        }
    }
}

/// What the %-codes stand for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangerCall {
    /// The Changer Command.
    pub command: String,
    /// `%c`: Changer Device.
    pub changer_device: String,
    /// `%a`: Archive Device of the drive; for `transfer`, the slot to go to.
    pub archive_device: String,
    /// `%l`: Control Device of the drive.
    pub control_device: String,
    /// `%d`: Drive Index, from 0.
    pub drive: u32,
    /// `%S`: slot, from 1; 0 where none is meant.
    pub slot: u32,
    /// `%v`: Volume.
    pub volume: String,
    /// `%j`: Job; empty for a console.
    pub job: String,
    /// `%f`: client.
    pub client: String,
    /// Maximum Changer Wait.
    pub wait: Duration,
}

/// Why a changer did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ChangerError {
    /// There is no such program.
    #[error(
        "the Changer Command \"{line}\" cannot be started: {source}. Check the program's path and rights in the Autochanger resource"
    )]
    Start {
        /// The command.
        line: String,
        /// Why.
        source: io::Error,
    },
    /// It refused.
    #[error(
        "the Changer Command \"{line}\" ended with {status} and said: {output}. Run it by hand, put right what it says, then mount again"
    )]
    Failed {
        /// The command.
        line: String,
        /// How it ended.
        status: String,
        /// What it said.
        output: String,
    },
    /// It took too long.
    #[error(
        "the Changer Command \"{line}\" was stopped: it took more than {} s. Look at the changer; if it is sound, give more Maximum Changer \
         Wait", wait.as_secs()
    )]
    Late {
        /// The command.
        line: String,
        /// Maximum Changer Wait.
        wait: Duration,
    },
    /// It did not say what it should.
    #[error(
        "the Changer Command \"{line}\" said \"{output}\", in which there is no number. Check that it is a changer program for this changer"
    )]
    NoNumber {
        /// The command.
        line: String,
        /// What it said.
        output: String,
    },
}

impl ChangerCall {
    /// Runs the program and gives what it said.
    ///
    /// # Errors
    /// [`ChangerError`]; the program is not running any more then.
    pub fn run(&self, operation: Operation) -> Result<String, ChangerError> {
        let words = self.words(operation);
        let line = words.join(" ");
        let (child, pipe) =
            start(&words).map_err(|source| ChangerError::Start { line: line.clone(), source })?;
        let Some((status, output)) = finish(child, pipe, self.wait) else {
            return Err(ChangerError::Late { line, wait: self.wait });
        };
        if status.success() {
            return Ok(output);
        }
        let status = match (status.code(), status.signal()) {
            (Some(code), _) => format!("code {code}"),
            (None, signal) => format!("signal {}", signal.unwrap_or(0)),
        };
        Err(ChangerError::Failed { line, status, output: shown(&output) })
    }

    /// The first number that the program says: `loaded` (0 for none) and `slots`.
    ///
    /// # Errors
    /// As [`Self::run`]; [`ChangerError::NoNumber`].
    pub fn number(&self, operation: Operation) -> Result<u32, ChangerError> {
        let output = self.run(operation)?;
        let number = output.split(|c: char| !c.is_ascii_digit()).find(|word| !word.is_empty());
        number.and_then(|n| n.parse().ok()).ok_or_else(|| ChangerError::NoNumber {
            line: self.words(operation).join(" "),
            output: shown(&output),
        })
    }

    /// The command's words. Codes are put in after it is split, so that a name with blanks stays one word.
    fn words(&self, operation: Operation) -> Vec<String> {
        sys::split_command(&self.command).iter().map(|word| self.expand(word, operation)).collect()
    }

    fn expand(&self, word: &str, operation: Operation) -> String {
        conf::command::expand(word, |code| {
            Some(match code {
                'a' => self.archive_device.clone(),
                'c' => self.changer_device.clone(),
                'd' => self.drive.to_string(),
                'f' => self.client.clone(),
                'j' => self.job.clone(),
                'l' => self.control_device.clone(),
                'o' => operation.as_str().to_owned(),
                's' => self.slot.saturating_sub(1).to_string(),
                'S' => self.slot.to_string(),
                'v' => self.volume.clone(),
                _ => return None,
            })
        })
    }
}

fn start(words: &[String]) -> io::Result<(Child, io::PipeReader)> {
    let Some((program, args)) = words.split_first() else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the command is empty"));
    };
    let (reader, writer) = io::pipe()?;
    let child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        // It is stopped with all that it has started.
        .process_group(0)
        .spawn()?;
    Ok((child, reader))
}

/// Waits for a program; `None` when it had to be stopped.
fn finish(mut child: Child, mut pipe: io::PipeReader, wait: Duration) -> Option<(ExitStatus, String)> {
    let group = rustix::process::Pid::from_child(&child);
    let said = Arc::new(Mutex::new(Vec::new()));
    let (read, all_read) = channel::<()>();
    let heard = Arc::clone(&said);
    std::thread::spawn(move || {
        let _until_all_is_read = read;
        let mut piece = [0; 4096];
        // What was read before an error counts.
        while let Ok(n) = pipe.read(&mut piece) {
            let mut heard = lock(&heard);
            if n == 0 || heard.len() > OUTPUT_BYTES_MAX {
                return;
            }
            heard.extend_from_slice(&piece[..n]);
        }
    });
    let (ended, status) = channel();
    std::thread::spawn(move || drop(ended.send(child.wait())));
    let status = match status.recv_timeout(wait) {
        Ok(status) => status.ok(),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            let _ = status.recv_timeout(DRAIN);
            None
        }
    }?;
    // Somebody that it left behind may keep the pipe open: no more is waited for then.
    let _ = all_read.recv_timeout(DRAIN);
    let said = String::from_utf8_lossy(&lock(&said)).into_owned();
    Some((status, said))
}

fn shown(output: &str) -> String {
    let line = output.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_MAX) {
        None if line.is_empty() => "nothing".to_owned(),
        None => line,
        Some((at, _)) => format!("{} …", &line[..at]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(command: &str) -> ChangerCall {
        ChangerCall {
            command: command.into(),
            changer_device: "/dev/sg0".into(),
            archive_device: "/dev/nst0".into(),
            control_device: "/dev/sg1".into(),
            drive: 1,
            slot: 3,
            volume: "A Volume".into(),
            job: "J.1".into(),
            client: "fd".into(),
            wait: Duration::from_secs(60),
        }
    }

    fn check_words(command: &str, expected: &[&str]) {
        assert_eq!(call(command).words(Operation::Load), expected, "{command}");
    }

    #[test]
    fn codes_stand_for_what_bacula_has_them_stand_for() {
        check_words(
            "mtx-changer %c %o %S %a %d",
            &["mtx-changer", "/dev/sg0", "load", "3", "/dev/nst0", "1"],
        );
        check_words("x %s %l %j %f %v", &["x", "2", "/dev/sg1", "J.1", "fd", "A Volume"]);
        check_words("'a b' 100%% %q %", &["a b", "100%", "%q", "%"]);
        check_words("", &[]);
    }

    #[test]
    fn a_program_gives_its_first_number() {
        assert_eq!(call("/bin/echo drive is 12 of 14").number(Operation::Loaded).unwrap(), 12);
        let error = call("/bin/echo none").number(Operation::Slots).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the Changer Command \"/bin/echo none\" said \"none\", in which there is no number. Check that it is a changer program for \
             this changer"
        );
    }

    #[test]
    fn errors_name_the_program_and_what_it_said() {
        let error = call("/bin/sh -c 'echo Storage Element %S is Empty >&2; exit 3'")
            .run(Operation::Load)
            .unwrap_err();
        let text = error.to_string();
        assert!(text.contains("ended with code 3 and said: Storage Element 3 is Empty."), "{text}");
        let error = call("/no/such/program %o").run(Operation::Load).unwrap_err();
        assert!(matches!(error, ChangerError::Start { .. }), "{error}");
        assert!(matches!(call(" ").run(Operation::List), Err(ChangerError::Start { .. })));
    }

    #[test]
    fn a_program_that_hangs_is_stopped_with_its_children() {
        let dir = tempfile::tempdir().unwrap();
        let note = dir.path().join("pid");
        let command = format!("/bin/sh -c 'sleep 600 & echo $! > {}; wait'", note.display());
        let late = ChangerCall { wait: Duration::from_secs(1), ..call(&command) };
        assert!(matches!(late.run(Operation::Load), Err(ChangerError::Late { .. })));
        let pid: i32 = std::fs::read_to_string(&note).unwrap().trim().parse().unwrap();
        let is_alive = || {
            // A zombie waits for its new parent; it runs no more.
            std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
        };
        let until = std::time::Instant::now() + Duration::from_secs(30);
        while is_alive() {
            assert!(std::time::Instant::now() < until, "the child of the program is left behind");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_child_that_keeps_the_pipe_does_not_hide_that_the_program_is_done() {
        let slot = call("/bin/sh -c 'echo 4; sleep 5 &'").number(Operation::Loaded);
        assert_eq!(slot.unwrap(), 4);
    }
}
