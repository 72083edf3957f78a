//! Connections to Storage and File Daemons.
//!
//! A [`Peer`] is a session with two sides: its own task reads every packet and hands what nobody asked for (messages, status,
//! catalog requests, clock questions) to a [`Traffic`] at once, whatever the job waits for; answers go through a bounded
//! channel to whoever gave the command.

mod call;
mod jmsg;

pub use call::{ClientConn, StorageConn};
pub(crate) use call::{ClientLink, Identity, Links, StorageLink, Tries, tls};
pub(crate) use jmsg::parse_jmsg;

use bytes::Bytes;
use net::{Conn, ConnReader, ConnWriter, NetError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio_util::task::AbortOnDropHandle;
use wire::dialogue::handshake::PeerInfo;
use wire::frame::{Packet, Signal};
use wire::scan;

/// Answers read ahead of the job; the peer is held back beyond it.
const ANSWERS_MAX: usize = 64;

/// What a session yields to the side that commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A line (or other packet) that no [`Traffic`] took.
    Line(Bytes),
    /// End of a list.
    Eod,
    /// Another signal.
    Signal(Signal),
    /// The session is over: the peer's TERMINATE, or how the connection broke.
    Gone(String),
}

/// Why a command did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum PeerError {
    /// The session is over.
    #[error("{peer}: {problem}")]
    Gone { peer: String, problem: String },
    /// The daemon answered something else.
    #[error("{peer} answered \"{said}\" to \"{command}\"")]
    Refused { peer: String, command: String, said: String },
}

/// Takes what a daemon says without being asked.
pub(crate) trait Traffic: Send + 'static {
    /// Takes a packet, or gives what the side that commands is to get of it. Ending the session is an error's text.
    fn take(
        &mut self,
        packet: Bytes,
        out: &Outbox,
    ) -> impl Future<Output = Result<Option<Bytes>, String>> + Send;

    /// Takes an EOD that ends something of its own; `false` leaves it to the side that commands.
    fn take_eod(&mut self, _out: &Outbox) -> impl Future<Output = Result<bool, String>> + Send {
        async { Ok(false) }
    }

    /// After how long without a packet [`Traffic::idle`] wants to be called; `None` for never.
    fn idle_after(&self) -> Option<Duration> {
        None
    }

    /// Nothing came for that long.
    fn idle(&mut self, _out: &Outbox) -> impl Future<Output = Result<(), String>> + Send {
        async { Ok(()) }
    }

    /// The session is over; nothing comes any more.
    fn over(&mut self) -> impl Future<Output = ()> + Send {
        async {}
    }
}

/// The sending side of a session, shared by its reader and its commander.
#[derive(Clone)]
pub(crate) struct Outbox(Arc<Mutex<ConnWriter>>);

impl Outbox {
    pub(crate) async fn send(&self, packet: impl AsRef<[u8]>) -> Result<(), NetError> {
        self.0.lock().await.send(packet).await
    }

    pub(crate) async fn signal(&self, signal: Signal) -> Result<(), NetError> {
        self.0.lock().await.signal(signal).await
    }

    /// Several packets in as few writes as possible.
    pub(crate) async fn send_all(
        &self,
        packets: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<(), NetError> {
        let mut writer = self.0.lock().await;
        for packet in packets {
            writer.feed(packet).await?;
        }
        writer.flush().await
    }

    /// Several packets and an EOD in as few writes as possible.
    pub(crate) async fn list(
        &self,
        packets: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<(), NetError> {
        let mut writer = self.0.lock().await;
        for packet in packets {
            writer.feed(packet).await?;
        }
        writer.signal(Signal::Eod).await
    }
}

/// A session with a daemon.
pub(crate) struct Peer {
    name: String,
    out: Outbox,
    answers: mpsc::Receiver<Answer>,
    gone: Option<String>,
    /// Ends with the session or with this value.
    _reader: AbortOnDropHandle<()>,
}

impl Peer {
    /// Starts reading. `name` is how messages call it: `Storage "File1"`.
    pub(crate) fn start(name: String, conn: Conn, traffic: impl Traffic) -> (Self, PeerInfo) {
        let (reader, writer, info) = conn.split();
        let out = Outbox(Arc::new(Mutex::new(writer)));
        let (sender, answers) = mpsc::channel(ANSWERS_MAX);
        let task = tokio::spawn(read(reader, out.clone(), traffic, sender));
        let peer = Self { name, out, answers, gone: None, _reader: AbortOnDropHandle::new(task) };
        (peer, info)
    }

    /// How messages call it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn out(&self) -> &Outbox {
        &self.out
    }

    /// The next answer of any kind. Cancel safe. After [`Answer::Gone`] it stays gone.
    pub(crate) async fn next(&mut self) -> Answer {
        if let Some(problem) = &self.gone {
            return Answer::Gone(problem.clone());
        }
        let answer = self.answers.recv().await;
        let answer = answer.unwrap_or_else(|| Answer::Gone("the connection was closed".to_owned()));
        if let Answer::Gone(problem) = &answer {
            self.gone = Some(problem.clone());
        }
        answer
    }

    /// The next line; EODs before it are of no interest. Cancel safe.
    pub(crate) async fn line(&mut self) -> Result<Bytes, PeerError> {
        loop {
            match self.next().await {
                Answer::Line(line) => return Ok(line),
                Answer::Eod | Answer::Signal(_) => {}
                Answer::Gone(problem) => return Err(self.gone(problem)),
            }
        }
    }

    /// Lines up to the next EOD.
    pub(crate) async fn lines(&mut self) -> Result<Vec<Bytes>, PeerError> {
        let mut lines = Vec::new();
        loop {
            match self.next().await {
                Answer::Line(line) => lines.push(line),
                Answer::Eod => return Ok(lines),
                Answer::Signal(_) => {}
                Answer::Gone(problem) => return Err(self.gone(problem)),
            }
        }
    }

    fn gone(&self, problem: String) -> PeerError {
        PeerError::Gone { peer: self.name.clone(), problem }
    }

    pub(crate) async fn send(&self, packet: impl AsRef<[u8]>) -> Result<(), PeerError> {
        self.out.send(packet).await.map_err(|error| self.gone(chain(&error)))
    }

    pub(crate) async fn signal(&self, signal: Signal) -> Result<(), PeerError> {
        self.out.signal(signal).await.map_err(|error| self.gone(chain(&error)))
    }

    pub(crate) async fn list(
        &self,
        packets: impl IntoIterator<Item = impl AsRef<[u8]>>,
    ) -> Result<(), PeerError> {
        self.out.list(packets).await.map_err(|error| self.gone(chain(&error)))
    }

    /// Sends a command and takes its answer, which must start with `wanted`.
    pub(crate) async fn command(
        &mut self,
        command: impl AsRef<[u8]>,
        wanted: &str,
    ) -> Result<String, PeerError> {
        self.send(command.as_ref()).await?;
        self.answer(command.as_ref(), wanted).await
    }

    /// Takes the answer to a command sent before; it must start with `wanted`.
    pub(crate) async fn answer(&mut self, command: &[u8], wanted: &str) -> Result<String, PeerError> {
        let line = self.line().await?;
        let said = scan::text(&line);
        if said.starts_with(wanted) {
            return Ok(said);
        }
        Err(PeerError::Refused { peer: self.name.clone(), command: first_words(command), said })
    }

    /// Says goodbye. The reader ends with this value.
    pub(crate) async fn terminate(self) {
        // The peer may be gone already.
        let _ = self.out.signal(Signal::Terminate).await;
    }
}

/// The command without its arguments, for messages: they may hold a session key.
fn first_words(command: &[u8]) -> String {
    scan::text(command).split([' ', '=']).next().unwrap_or_default().to_owned()
}

async fn read(mut reader: ConnReader, out: Outbox, mut traffic: impl Traffic, answers: mpsc::Sender<Answer>) {
    let end = loop {
        let received = match traffic.idle_after() {
            None => reader.recv().await,
            Some(limit) => match tokio::time::timeout(limit, reader.recv()).await {
                Ok(received) => received,
                Err(_) => match traffic.idle(&out).await {
                    Ok(()) => continue,
                    Err(problem) => break problem,
                },
            },
        };
        let answer = match received {
            Ok(Packet::Signal(Signal::Eod)) => match traffic.take_eod(&out).await {
                Ok(true) => continue,
                Ok(false) => Answer::Eod,
                Err(problem) => break problem,
            },
            Ok(Packet::Data(data)) => match traffic.take(data, &out).await {
                Ok(None) => continue,
                Ok(Some(line)) => Answer::Line(line),
                Err(problem) => break problem,
            },
            Ok(Packet::Signal(signal)) => match answer_signal(signal, &out).await {
                None => continue,
                Some(Answer::Gone(problem)) => break problem,
                Some(answer) => answer,
            },
            Err(error) => break chain(&error),
        };
        if answers.send(answer).await.is_err() {
            return;
        }
    };
    traffic.over().await;
    let _ = answers.send(Answer::Gone(end)).await;
}

/// Signals that a Director answers while it waits for anything (spec/01 §5.1).
async fn answer_signal(signal: Signal, out: &Outbox) -> Option<Answer> {
    let sent = match signal {
        Signal::Heartbeat | Signal::HbResponse => Ok(()),
        Signal::Poll => out.send("1000 OK\n").await,
        Signal::Btime => out.send(format!("btime {}\n", jiff::Timestamp::now().as_microsecond())).await,
        Signal::Status => out.list(["Status OK\n"]).await,
        Signal::Terminate => return Some(Answer::Gone("the peer ended the session".to_owned())),
        other => return Some(Answer::Signal(other)),
    };
    sent.err().map(|error| Answer::Gone(chain(&error)))
}

/// An error with its sources in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
