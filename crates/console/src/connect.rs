//! The connection to the Director.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use net::NetError;
use net::blocking::{self, Conn};
use wire::frame::Signal;
use wire::hello::{Greeting, Hello};
use wire::msg::console::FromDirector;
use wire::version::ConsoleVersion;

use crate::config::Login;

/// How a Director's answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Ready for the next command.
    Ready,
    /// A question was put: an answer is wanted.
    Question,
    /// The Director has closed the session.
    Closed,
}

/// An open session with a Director.
pub struct Link {
    conn: Conn,
    timeout: Option<Duration>,
    messages_pending: bool,
}

impl Link {
    /// Connects and authenticates.
    ///
    /// # Errors
    /// What kept it from that, with what to do.
    pub(crate) fn open(login: &Login, timeout: Option<Duration>) -> Result<Self> {
        let stream = blocking::connect(&login.target, || false)?;
        let hello = Hello::Console { name: login.name.clone(), version: ConsoleVersion::CURRENT };
        let conn = blocking::open(stream, hello, &login.session).map_err(explain)?;
        Ok(Self { conn, timeout, messages_pending: false })
    }

    /// The Director's greeting, as it came.
    #[must_use]
    pub fn greeting(&self) -> String {
        match &self.conn.peer().greeting {
            Greeting::Director { version, text } => format!("1000 OK: {} {text}", version.0),
            Greeting::Client { .. } | Greeting::Storage { .. } => String::new(),
        }
    }

    /// Sends a command or an answer.
    ///
    /// # Errors
    /// A lost connection.
    pub fn send(&mut self, line: &[u8]) -> Result<()> {
        self.conn.writer.send(line).context("send the command to the Director")
    }

    /// Passes the answer on until it ends.
    ///
    /// # Errors
    /// A lost connection, and an answer that takes longer than allowed.
    pub fn receive(&mut self, mut text: impl FnMut(&[u8])) -> Result<End> {
        let deadline = self.timeout.map(|timeout| (Instant::now() + timeout, timeout));
        let mut question_follows = false;
        loop {
            if let Some((deadline, timeout)) = deadline {
                let left = deadline.saturating_duration_since(Instant::now());
                anyhow::ensure!(
                    !left.is_zero(),
                    "the command took longer than the {} s allowed",
                    timeout.as_secs()
                );
                self.conn.reader.set_timeout(Some(left))?;
            }
            let packet = match self.conn.reader.recv_ref() {
                Ok(packet) => packet,
                Err(NetError::Closed { .. }) => return Ok(End::Closed),
                Err(NetError::Timeout { .. }) => continue,
                Err(error) => return Err(error).context("wait for the Director's answer"),
            };
            match FromDirector::of(packet) {
                FromDirector::Text(bytes) => {
                    text(bytes);
                    if question_follows {
                        return Ok(End::Question);
                    }
                }
                FromDirector::Ready => return Ok(End::Ready),
                FromDirector::Question => return Ok(End::Question),
                FromDirector::QuestionFollows => question_follows = true,
                FromDirector::MessagesPending => self.messages_pending = true,
                FromDirector::Closing => return Ok(End::Closed),
                FromDirector::Succeeded
                | FromDirector::Failed
                | FromDirector::Mark(_)
                | FromDirector::Ignored(_) => {}
            }
        }
    }

    /// Asks something whose answer is not for people: the text of it.
    ///
    /// # Errors
    /// As [`Link::receive`].
    pub fn ask(&mut self, command: &str) -> Result<String> {
        self.send(command.as_bytes())?;
        let mut answer = Vec::new();
        self.receive(|text| answer.extend_from_slice(text))?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Sends a file's bytes after `.putfile`.
    ///
    /// # Errors
    /// A lost connection.
    pub fn send_data(&mut self, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(32 << 10) {
            self.conn.writer.data(piece)?;
        }
        self.conn.writer.signal(Signal::Eod)?;
        self.conn.writer.flush().context("send the file to the Director")
    }

    /// Ends the session: the Director is told.
    pub fn close(mut self) {
        // It may be gone already.
        let _ = self.conn.writer.signal(Signal::Terminate).and_then(|()| self.conn.writer.flush());
    }
}

/// Bacula's words for a refusal, with what to do.
fn explain(error: NetError) -> anyhow::Error {
    let is_password = error.is_authentication();
    let error = anyhow::Error::new(error);
    if is_password {
        error.context(
            "Director authorization problem: most likely the passwords do not agree; compare Password in the console's \
             configuration with the Director's",
        )
    } else {
        error
    }
}
