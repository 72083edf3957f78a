//! The side that was called and has recognised the caller.

use std::time::Duration;

use super::{
    FAILURE_DELAY, HandshakeError, Input, Local, Machine, Output, PeerInfo, TlsStart, common_holdfast, round,
    send, unexpected,
};
use crate::cram::Challenge;
use crate::frame::{Packet, Signal};
use crate::hello::{Greeting, Hello, HelloLine, Listener};
use crate::msg::fd_sd::{FdCaps, SdCaps};
use crate::tls::{TlsKind, choose_early, choose_late};
use crate::version::{FdVersion, SdVersion};

/// Handshake of the side that has read a Hello and knows the caller (and of an SD that calls a client).
#[derive(Debug)]
pub struct Acceptor {
    local: Local,
    hello: Option<HelloLine>,
    calls: Option<HelloLine>,
    tls: TlsKind,
    own: Challenge,
    remote_ssl: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// An SD that calls waits for the client's Hello.
    Hello,
    Caps,
    EarlyTls,
    Answer,
    Challenge,
    Verdict,
    LateTls,
    Over,
}

type Step = Result<Vec<Output>, HandshakeError>;

impl Acceptor {
    /// A handshake with a caller that was recognised by its Hello; `local` holds the secret shared with it.
    #[must_use]
    pub fn new(hello: HelloLine, local: Local) -> Self {
        let own = Challenge::new(&local.name, local.seed, local.tls.certificates.number());
        Self {
            local,
            hello: Some(hello),
            calls: None,
            tls: TlsKind::Clear,
            own,
            remote_ssl: 0,
            state: State::Answer,
        }
    }

    /// An SD that opens the connection to a client for a job and then takes the acceptor's part (spec/01 §2.6).
    #[must_use]
    pub fn calling_client(job: String, version: SdVersion, local: Local) -> Self {
        let calls = HelloLine { hello: Hello::StorageCalls { job, version }, tls: None, holdfast: 0 };
        let own = Challenge::new(&local.name, local.seed, local.tls.certificates.number());
        Self {
            local,
            hello: None,
            calls: Some(calls),
            tls: TlsKind::Clear,
            own,
            remote_ssl: 0,
            state: State::Hello,
        }
    }

    fn line(&self) -> &HelloLine {
        self.hello.as_ref().or(self.calls.as_ref()).expect("one of both is there from the start")
    }

    fn wants_caps(&self) -> bool {
        match self.line().hello {
            Hello::ClientToStorage { version, .. } => version.has_caps(),
            Hello::StorageToStorage { fd_version, .. } => fd_version.has_caps(),
            Hello::Console { .. }
            | Hello::ClientCalls { .. }
            | Hello::DirectorToStorage { .. }
            | Hello::DirectorToClient { .. }
            | Hello::StorageCalls { .. }
            | Hello::Ping => false,
        }
    }

    /// After the Hello: caps, then early TLS or the challenge.
    fn open(&mut self) -> Step {
        if self.wants_caps() {
            self.state = State::Caps;
            return Ok(vec![Output::Send(SdCaps::none().format().into())]);
        }
        self.protect()
    }

    fn protect(&mut self) -> Step {
        // A peer without `tlspsk=` (9.6) can only do late TLS.
        if let Some(remote) = self.line().tls {
            self.tls = choose_early(self.local.tls, remote)?;
        } else if self.local.tls.is_required() && self.local.tls.certificates == crate::tls::Need::No {
            return Err(crate::tls::TlsMismatch::RemoteLacks.into());
        }
        if self.tls == TlsKind::Clear {
            return Ok(self.challenge());
        }
        self.state = State::EarlyTls;
        let line = format!("starttls tlspsk={}\n", self.local.tls.number());
        Ok(vec![send(line.as_bytes()), Output::StartTls(TlsStart { server: true, kind: self.tls })])
    }

    fn challenge(&mut self) -> Vec<Output> {
        self.state = State::Answer;
        vec![Output::Send(self.own.format().into())]
    }

    fn hello(&mut self, packet: &Packet) -> Step {
        let line = packet.data().ok_or_else(|| unexpected("waiting for the client's Hello", packet))?;
        let hello = HelloLine::parse(line, Listener::Storage).ok();
        let Some(Hello::StorageCalls { job: called, .. }) = self.calls.as_ref().map(|line| &line.hello)
        else {
            return Err(unexpected("waiting for the client's Hello", packet));
        };
        match hello {
            Some(HelloLine { hello: Hello::ClientToStorage { ref job, .. }, .. }) if job == called => {
                self.hello = hello;
                self.open()
            }
            _ => Err(unexpected("waiting for the client's Hello", packet)),
        }
    }

    fn caps(&mut self, packet: &Packet) -> Step {
        let line = packet.data().ok_or_else(|| unexpected("waiting for fdcaps", packet))?;
        FdCaps::parse(line).map_err(|_| unexpected("waiting for fdcaps", packet))?;
        self.protect()
    }

    fn answer(&mut self, packet: &Packet) -> Step {
        let ok = round::judge(&self.own, &self.local.secret, packet)?;
        self.state = State::Challenge;
        Ok(vec![ok])
    }

    fn peer_challenge(&mut self, packet: &Packet) -> Step {
        let (challenge, answer) = round::answer(&self.local.secret, packet)?;
        self.remote_ssl = challenge.ssl.unwrap_or(0);
        if self.tls == TlsKind::Clear {
            choose_late(self.local.tls, self.remote_ssl)?;
        }
        self.state = State::Verdict;
        Ok(vec![answer])
    }

    fn verdict(&mut self, packet: &Packet) -> Step {
        round::verdict(packet)?;
        if self.tls == TlsKind::Clear {
            self.tls = choose_late(self.local.tls, self.remote_ssl)?;
            if self.tls != TlsKind::Clear {
                self.state = State::LateTls;
                return Ok(vec![Output::StartTls(TlsStart { server: true, kind: self.tls })]);
            }
        }
        Ok(self.greet())
    }

    fn greet(&mut self) -> Vec<Output> {
        self.state = State::Over;
        let line = self.line();
        // The marker is given back only to those who sent it: a stock peer sees a stock greeting.
        let holdfast = common_holdfast(self.local.additions, line.holdfast);
        let (hello, is_call) = (line.hello.clone(), matches!(line.hello, Hello::ClientCalls { .. }));
        let greeting = match &hello {
            Hello::Console { .. } | Hello::ClientCalls { .. } => Greeting::of_director(&self.local.name),
            Hello::DirectorToClient { version, .. } => {
                Greeting::Client { version: FdVersion::announce_to(*version), holdfast }
            }
            Hello::DirectorToStorage { version, .. } => {
                Greeting::Storage { version: SdVersion::announce_to(*version), holdfast }
            }
            Hello::ClientToStorage { version, .. } | Hello::StorageToStorage { fd_version: version, .. } => {
                let version = match version.generation() {
                    crate::version::Generation::Old => SdVersion::V9_6,
                    crate::version::Generation::New => SdVersion::CURRENT,
                };
                Greeting::Storage { version, holdfast }
            }
            // An SD that called has got the client's Hello before it greets, and a ping has no handshake.
            Hello::StorageCalls { .. } | Hello::Ping => {
                let got = "no Hello that is greeted".to_owned();
                return vec![Output::Fail(HandshakeError::Unexpected {
                    expecting: "greeting the peer",
                    got,
                })];
            }
        };
        let mut out = vec![Output::Send(greeting.format().into())];
        if is_call {
            out.push(send(b"OK\n"));
        }
        out.push(Output::Done(Box::new(PeerInfo { hello, greeting, tls: self.tls, holdfast })));
        out
    }

    fn fail(&mut self, error: HandshakeError) -> Vec<Output> {
        let was = std::mem::replace(&mut self.state, State::Over);
        let mut out = Vec::new();
        if matches!(
            (was, &error),
            (State::Answer, HandshakeError::WrongPassword)
                | (State::Challenge, HandshakeError::Unexpected { .. })
        ) {
            out.extend([round::refusal(), Output::Pause(FAILURE_DELAY)]);
            out.extend(self.farewell());
        }
        out.push(Output::Fail(error));
        out
    }

    /// What follows `1999 Authorization failed.`, by pair (spec/01 §3.5).
    fn farewell(&self) -> Vec<Output> {
        match &self.line().hello {
            Hello::Console { .. } | Hello::ClientCalls { .. } => {
                vec![send(b"1999 You are not authorized.\n"), Output::Pause(FAILURE_DELAY)]
            }
            Hello::DirectorToClient { .. } => vec![
                send(b"2999 Authentication failed.\n"),
                Output::Signal(Signal::Terminate),
                Output::Pause(FAILURE_DELAY + Duration::from_secs(1)),
            ],
            Hello::DirectorToStorage { .. } => {
                vec![send(b"3999 No go\n"), Output::Signal(Signal::Terminate), Output::Pause(FAILURE_DELAY)]
            }
            Hello::ClientToStorage { .. }
            | Hello::StorageToStorage { .. }
            | Hello::StorageCalls { .. }
            | Hello::Ping => Vec::new(),
        }
    }
}

impl Machine for Acceptor {
    fn start(&mut self) -> Vec<Output> {
        match &self.calls {
            Some(calls) => vec![send(&calls.format())],
            None => self.open().unwrap_or_else(|error| self.fail(error)),
        }
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        let result = match (self.state, input) {
            (State::EarlyTls, Input::TlsUp) => Ok(self.challenge()),
            (State::LateTls, Input::TlsUp) => Ok(self.greet()),
            (State::Hello, Input::Packet(packet)) => self.hello(&packet),
            (State::Caps, Input::Packet(packet)) => self.caps(&packet),
            (State::Answer, Input::Packet(packet)) => self.answer(&packet),
            (State::Challenge, Input::Packet(packet)) => self.peer_challenge(&packet),
            (State::Verdict, Input::Packet(packet)) => self.verdict(&packet),
            (State::EarlyTls | State::LateTls | State::Over, Input::Packet(packet)) => {
                Err(unexpected("starting TLS", &packet))
            }
            (_, Input::TlsUp) => {
                Err(HandshakeError::Unexpected { expecting: "waiting for a packet", got: "TLS".to_owned() })
            }
        };
        result.unwrap_or_else(|error| self.fail(error))
    }
}
