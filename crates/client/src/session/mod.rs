//! A session with a Director (spec/01 §5): commands one by one, answers, and in between the messages of its job.

mod commands;
mod control;
mod prepare;
mod pump;
mod setup;
mod storage;
mod tasks;

use std::sync::Arc;

use bytes::Bytes;
use net::Conn;
use types::JobId;
use wire::frame::{Packet, Signal};
use wire::hello::Hello;
use wire::msg::dir_fd::Command;
use wire::msg::holdfast;
use wire::version::{DirVersion, Generation};

use crate::daemon::Daemon;
use crate::epochs::Registered;
use crate::job::Job;
use crate::work;

use setup::Setup;

/// What a command leads to.
enum Next {
    /// The next command.
    Go,
    /// The session is over.
    End,
}

/// State of a session.
struct DirectorSession {
    daemon: Arc<Daemon>,
    /// `None` once the Director is gone.
    conn: Option<Conn>,
    /// Index of the Director's resource.
    director: usize,
    generation: Generation,
    additions: bool,
    registered: Option<Registered>,
    job: Option<Arc<Job>>,
    /// Number of this connection among the job's.
    owner: u64,
    setup: Setup,
    /// The job's end is the business of its thread, or of the session that made it.
    job_elsewhere: bool,
}

/// Serves an authenticated Director until one side ends the session.
pub(crate) async fn run(daemon: Arc<Daemon>, conn: Conn, director: usize) {
    let version = match &conn.peer().hello {
        Hello::DirectorToClient { version, .. } => *version,
        _ => DirVersion(0),
    };
    let additions = conn.peer().holdfast > 0;
    let mut session = DirectorSession {
        daemon,
        conn: Some(conn),
        director,
        generation: version.generation(),
        additions,
        registered: None,
        job: None,
        owner: 0,
        setup: Setup::default(),
        job_elsewhere: false,
    };
    session.commands().await;
    session.finish().await;
}

impl DirectorSession {
    fn director_name(&self) -> &str {
        &self.daemon.config.directors[self.director].name
    }

    /// Reads and executes commands until the end.
    async fn commands(&mut self) {
        loop {
            let packet = match self.recv().await {
                Some(Packet::Data(line)) if !line.is_empty() => line,
                // An empty packet, any signal and a lost connection end the session (spec/01 §5.1).
                _ => return,
            };
            match self.command(&packet).await {
                Next::Go => {}
                Next::End => return,
            }
        }
    }

    async fn command(&mut self, line: &[u8]) -> Next {
        let command = match Command::parse(line) {
            Ok(command) => command,
            Err(error) => return self.bad_command(line, &error.to_string()).await,
        };
        if let Err(refusal) = self.check_epoch(&command) {
            self.send(refusal.format_client()).await;
            return Next::End;
        }
        if let Some(refusal) = self.not_permitted(&command, line) {
            return match refusal {
                Refused::Monitor => {
                    self.send("2997 Invalid command for a Director with Monitor directive enabled.\n").await;
                    self.signal(Signal::Eod).await;
                    Next::Go
                }
                Refused::Disabled(text) => {
                    self.fatal(&text);
                    Next::End
                }
            };
        }
        self.execute(command).await
    }

    async fn bad_command(&mut self, line: &[u8], reason: &str) -> Next {
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        tracing::warn!(command = text, reason, "command was not understood");
        let known = [
            ("cancel", "2902 Error scanning cancel command.\n".to_owned()),
            ("stop", "2902 Error scanning cancel command.\n".to_owned()),
            ("setdebug=", format!("2991 Bad setdebug command: {text}\n")),
            ("setbandwidth=", format!("2991 Bad setbandwidth command: {text}\n")),
            ("storage ", "2902 Bad storage\n".to_owned()),
            ("verify", format!("2994 Bad verify level: {text}\n")),
            ("Run ", "2905 Bad RunScript command.\n".to_owned()),
            ("JobId=", "2901 Bad Job\n".to_owned()),
            ("accurate", "2991 Bad accurate command\n".to_owned()),
            (".status", "2900 Bad .status command, missing argument.\n".to_owned()),
        ];
        let answer = known.into_iter().find(|(prefix, _)| text.starts_with(prefix)).map(|(_, answer)| answer);
        if text.starts_with("level = ") {
            self.fatal(&format!("Bad level command: {text}\n"));
        }
        self.send(answer.unwrap_or_else(|| "2999 Invalid command\n".to_owned())).await;
        Next::End
    }

    /// A registered connection must still be of the newest epoch; one without must never have had one.
    fn check_epoch(&self, command: &Command) -> Result<(), Box<holdfast::Refusal>> {
        if matches!(command, Command::Holdfast(holdfast::Command::Register(_))) {
            return Ok(());
        }
        match &self.registered {
            Some(registered) => self.daemon.epochs.check(registered),
            None => self.daemon.epochs.check_without(self.director_name()),
        }
    }

    fn not_permitted(&self, command: &Command, line: &[u8]) -> Option<Refused> {
        let resource = &self.daemon.config.directors[self.director];
        let for_monitors = match command {
            Command::Status | Command::StatusQuery(_) | Command::Caps | Command::Holdfast(_) => true,
            Command::Job(job) => job.job_id == JobId(0),
            _ => false,
        };
        if resource.monitor && !for_monitors {
            return Some(Refused::Monitor);
        }
        let word = String::from_utf8_lossy(line);
        let word = word.split([' ', '=', '\n']).next().unwrap_or_default();
        let disabled = self.daemon.config.daemon.disable_command.iter().chain(&resource.disable_command);
        disabled
            .flat_map(|words| words.split(','))
            .any(|disabled| disabled.trim() == word)
            .then(|| Refused::Disabled(format!("Command: \"{word}\" is disabled.\n")))
    }

    /// After scripts, the end line and the last messages; then the connection is closed.
    async fn finish(&mut self) {
        if let Some(job) = self.job.clone()
            && !self.job_elsewhere
        {
            if let Some(mut storage) = self.setup.storage.take() {
                storage.terminate();
            }
            job.set_closer(None);
            if job.identity.id.get() != 0 {
                let scripts = std::mem::take(&mut self.setup.scripts);
                let thread = Arc::clone(&job);
                self.blocking(move || {
                    work::guarded(&thread, "the end of the job", || work::finish(&thread, &scripts));
                })
                .await;
                self.daemon.jobs.end(&job);
            }
            self.deliver_rest(&job).await;
        }
        if let Some(conn) = self.conn.take() {
            conn.terminate().await;
        }
    }
}

/// Why a command is refused.
enum Refused {
    /// The Director may only look.
    Monitor,
    /// By configuration.
    Disabled(String),
}

/// A packet for the Director that is no message.
pub(crate) type DirectReceiver = tokio::sync::mpsc::Receiver<Bytes>;
