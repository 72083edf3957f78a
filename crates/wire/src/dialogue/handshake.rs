//! The handshake: Hello, early TLS, two rounds of CRAM-MD5, late TLS, greeting (spec/01 §2–4).
//!
//! A [`Connector`] is the side that says Hello, an [`Acceptor`] the one that has read and recognised it. "SD calls client"
//! turns the roles of TCP around, not these: the SD is [`Acceptor::calling_client`], the FD a [`Connector`] (spec/01 §2.6).
//!
//! Feed each received [`Input`] and do the [`Output`]s in their order. During the handshake at most one packet may be taken
//! from the socket at a time: after `starttls` the next bytes belong to TLS.

use std::time::Duration;

use bytes::Bytes;

use crate::cram::{Secret, Seed};
use crate::frame::{Packet, Signal};
use crate::hello::{Greeting, Hello, HelloLine, Listener};
use crate::tls::{TlsKind, TlsMismatch, TlsNeeds};

mod acceptor;
mod connector;
mod round;
#[cfg(test)]
mod tests;

pub use acceptor::Acceptor;
pub use connector::Connector;

/// Longest wait for the peer's next packet inside the handshake (spec/01 §3.6).
pub const STEP_TIMEOUT: Duration = Duration::from_secs(180);
/// Longest handshake in all (spec/01 §3.6).
pub const TOTAL_TIMEOUT: Duration = Duration::from_secs(600);
/// How long a failed peer is kept waiting (spec/01 §3.5).
pub const FAILURE_DELAY: Duration = Duration::from_secs(5);

/// This end.
#[derive(Debug, Clone)]
pub struct Local {
    /// Own resource name; it goes into the challenge.
    pub name: String,
    /// The secret shared with this peer.
    pub secret: Secret,
    /// What TLS this end wants with this peer.
    pub tls: TlsNeeds,
    /// Whether to offer (connector) or take up (acceptor) Holdfast's additions.
    pub additions: bool,
    /// Random number and time for the challenge.
    pub seed: Seed,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A packet came.
    Packet(Packet),
    /// The TLS handshake asked for has succeeded.
    TlsUp,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send a data packet.
    Send(Bytes),
    /// Send a signal.
    Signal(Signal),
    /// Start TLS on the socket, then feed [`Input::TlsUp`].
    StartTls(TlsStart),
    /// Keep the peer waiting (after a failed authentication), bounded in number.
    Pause(Duration),
    /// The session is open.
    Done(Box<PeerInfo>),
    /// The session is refused; close it. Nothing follows.
    Fail(HandshakeError),
}

/// A TLS handshake to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsStart {
    /// Role in TLS: the acceptor of the session is the server.
    pub server: bool,
    /// PSK with the session's secret, or certificates; never [`TlsKind::Clear`].
    pub kind: TlsKind,
}

/// What is known of the peer when the handshake is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerInfo {
    /// The Hello that opened the session, sent or received.
    pub hello: Hello,
    /// The greeting that ended the handshake, received or sent.
    pub greeting: Greeting,
    /// How the session is protected.
    pub tls: TlsKind,
    /// Holdfast's additions: the lower of both sides' numbers; 0 when off (docs/extensions.md §1).
    pub holdfast: u32,
}

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The peer refused our answer: the passwords differ.
    #[error("authorization failed: the peer refused our password (it said: {said})")]
    Refused {
        /// Its words.
        said: String,
    },
    /// The peer's answer was wrong: the passwords differ.
    #[error("authorization failed: the password given by the peer is wrong")]
    WrongPassword,
    /// No common protection.
    #[error(transparent)]
    Tls(#[from] TlsMismatch),
    /// The caller is not known here.
    #[error("connection from unknown {kind} \"{name}\"")]
    Unknown {
        /// Director, console, job …
        kind: &'static str,
        /// The name it gave.
        name: String,
    },
    /// A packet that has no place in the handshake.
    #[error("unexpected answer while {expecting}: {got}")]
    Unexpected {
        /// What was being waited for.
        expecting: &'static str,
        /// What came.
        got: String,
    },
}

/// A handshake of either side.
pub trait Machine {
    /// The first outputs.
    fn start(&mut self) -> Vec<Output>;
    /// The outputs that an input leads to. After `Done` or `Fail` nothing more may be fed.
    fn step(&mut self, input: Input) -> Vec<Output>;
}

/// What a daemon does with a first packet that is no Hello: nothing is said (spec/01 §3.5).
#[must_use]
pub fn refuse_hello(error: &crate::hello::HelloError) -> Vec<Output> {
    let error = HandshakeError::Unexpected { expecting: "waiting for a Hello", got: error.to_string() };
    vec![Output::Pause(FAILURE_DELAY), Output::Fail(error)]
}

/// What a daemon does with a Hello of somebody it does not know (spec/01 §3.5).
#[must_use]
pub fn refuse_unknown(at: Listener, hello: &HelloLine) -> Vec<Output> {
    let (kind, name) = caller(&hello.hello);
    let error = HandshakeError::Unknown { kind, name: name.to_owned() };
    let mut out = Vec::new();
    match (at, &hello.hello) {
        (Listener::Director, _) => {
            out.extend([Output::Pause(FAILURE_DELAY), send(b"1999 You are not authorized.\n")]);
        }
        (Listener::Client, Hello::DirectorToClient { name, .. }) => out.extend([
            send(format!("2999 Connection from unknown Director {name} rejected.\n").as_bytes()),
            Output::Signal(Signal::Terminate),
            Output::Pause(FAILURE_DELAY + Duration::from_secs(1)),
        ]),
        (Listener::Storage, Hello::DirectorToStorage { name, .. }) => out.extend([
            send(format!("3999 Connection from unknown Director {name} rejected.\n").as_bytes()),
            Output::Signal(Signal::Terminate),
            Output::Pause(FAILURE_DELAY),
        ]),
        (Listener::Client | Listener::Storage, _) => out.push(Output::Pause(FAILURE_DELAY)),
    }
    out.push(Output::Fail(error));
    out
}

fn caller(hello: &Hello) -> (&'static str, &str) {
    match hello {
        Hello::Console { name, .. } => ("console", name),
        Hello::ClientCalls { name, .. } => ("client", name),
        Hello::DirectorToStorage { name, .. } | Hello::DirectorToClient { name, .. } => ("Director", name),
        Hello::ClientToStorage { job, .. }
        | Hello::StorageToStorage { job, .. }
        | Hello::StorageCalls { job, .. } => ("job", job),
        Hello::Ping => ("caller", "Ping"),
    }
}

fn send(text: &[u8]) -> Output {
    Output::Send(Bytes::copy_from_slice(text))
}

fn unexpected(expecting: &'static str, packet: &Packet) -> HandshakeError {
    let got = match packet {
        Packet::Data(data) => crate::scan::shorten(data),
        Packet::Signal(signal) => format!("signal {}", signal.number()),
    };
    HandshakeError::Unexpected { expecting, got }
}

/// Lower number of both sides; 0 if this side does not want the additions.
fn common_holdfast(additions: bool, remote: u32) -> u32 {
    if additions { remote.min(crate::version::HOLDFAST) } else { 0 }
}
