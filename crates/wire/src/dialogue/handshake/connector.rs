//! The side that says Hello.

use super::{
    FAILURE_DELAY, HandshakeError, Input, Local, Machine, Output, PeerInfo, TlsStart, common_holdfast, round,
    send, unexpected,
};
use crate::cram::Challenge;
use crate::frame::Packet;
use crate::hello::{Greeting, Hello, HelloLine};
use crate::msg::fd_sd::{FdCaps, SdCaps};
use crate::scan::Fields;
use crate::tls::{TlsKind, TlsNeeds, choose_early, choose_late};

/// Handshake of the side that says Hello (and, for "SD calls client", of the FD).
#[derive(Debug)]
pub struct Connector {
    local: Local,
    hello: HelloLine,
    tls: TlsKind,
    own: Challenge,
    remote_ssl: u32,
    greeting: Option<Greeting>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// `sdcaps:`, `starttls` or the challenge may come.
    Opening,
    EarlyTls,
    /// Inside early TLS only the challenge may come.
    Challenge,
    Verdict,
    Answer,
    LateTls,
    Greeting,
    /// A calling client waits for the Director's `OK`.
    CallAccepted,
    Over,
}

type Step = Result<Vec<Output>, HandshakeError>;

impl Connector {
    /// A handshake that opens with `hello`.
    #[must_use]
    pub fn new(hello: Hello, local: Local) -> Self {
        let own = Challenge::new(&local.name, local.seed, local.tls.certificates.number());
        let additions = local.additions && may_carry_marker(&hello);
        let hello = HelloLine::new(hello, local.tls, additions);
        Self { local, hello, tls: TlsKind::Clear, own, remote_ssl: 0, greeting: None, state: State::Opening }
    }

    fn opening(&mut self, packet: &Packet) -> Step {
        let Some(line) = packet.data() else {
            return Err(unexpected("waiting for the peer's challenge", packet));
        };
        // An SD without caps sends none even to a client that announced them (spec/01 §8 note 7): go by what comes.
        if SdCaps::parse(line).is_ok() {
            let is_storage = matches!(self.hello.hello, Hello::StorageToStorage { .. });
            return Ok(vec![Output::Send(FdCaps::none(!is_storage).format().into())]);
        }
        if line.starts_with(b"starttls ") {
            let remote = Fields::new(line).get::<u32>("tlspsk").map(TlsNeeds::from_number);
            let remote = remote.map_err(|_| unexpected("reading starttls", packet))?;
            self.tls = choose_early(self.local.tls, remote)?;
            if self.tls == TlsKind::Clear {
                return Err(unexpected("no TLS had been offered", packet));
            }
            self.state = State::EarlyTls;
            return Ok(vec![Output::StartTls(TlsStart { server: false, kind: self.tls })]);
        }
        self.challenge(packet)
    }

    fn challenge(&mut self, packet: &Packet) -> Step {
        let (challenge, answer) = round::answer(&self.local.secret, packet)?;
        self.remote_ssl = challenge.ssl.unwrap_or(0);
        if self.tls == TlsKind::Clear {
            // Decided now, so that a password is not even answered where TLS is required and impossible.
            choose_late(self.local.tls, self.remote_ssl)?;
        }
        self.state = State::Verdict;
        Ok(vec![answer])
    }

    fn verdict(&mut self, packet: &Packet) -> Step {
        round::verdict(packet)?;
        self.state = State::Answer;
        Ok(vec![Output::Send(self.own.format().into())])
    }

    fn answer(&mut self, packet: &Packet) -> Step {
        let ok = round::judge(&self.own, &self.local.secret, packet)?;
        self.state = State::Greeting;
        if self.tls == TlsKind::Clear {
            self.tls = choose_late(self.local.tls, self.remote_ssl)?;
            if self.tls != TlsKind::Clear {
                self.state = State::LateTls;
                return Ok(vec![ok, Output::StartTls(TlsStart { server: false, kind: self.tls })]);
            }
        }
        Ok(vec![ok])
    }

    fn greeting(&mut self, packet: &Packet) -> Step {
        let line = packet.data().ok_or_else(|| unexpected("waiting for the greeting", packet))?;
        let greeting = Greeting::parse(line).filter(|greeting| self.is_ours(greeting));
        let Some(greeting) = greeting else {
            return Err(HandshakeError::Refused { said: crate::scan::text(line) });
        };
        self.greeting = Some(greeting);
        if matches!(self.hello.hello, Hello::ClientCalls { .. }) {
            self.state = State::CallAccepted;
            return Ok(Vec::new());
        }
        self.done()
    }

    fn call_accepted(&mut self, packet: &Packet) -> Step {
        match packet {
            Packet::Data(line) if line.starts_with(b"OK") => self.done(),
            Packet::Data(line) => Err(HandshakeError::Refused { said: crate::scan::text(line) }),
            Packet::Signal(_) => Err(unexpected("waiting for the Director to accept the call", packet)),
        }
    }

    fn done(&mut self) -> Step {
        self.state = State::Over;
        let greeting = self.greeting.take().expect("done only after a greeting");
        let remote = match greeting {
            Greeting::Client { holdfast, .. } | Greeting::Storage { holdfast, .. } => holdfast,
            Greeting::Director { .. } => 0,
        };
        let holdfast = common_holdfast(self.local.additions, remote);
        let peer = PeerInfo { hello: self.hello.hello.clone(), greeting, tls: self.tls, holdfast };
        Ok(vec![Output::Done(Box::new(peer))])
    }

    fn is_ours(&self, greeting: &Greeting) -> bool {
        match self.hello.hello {
            Hello::Console { .. } | Hello::ClientCalls { .. } => {
                matches!(greeting, Greeting::Director { .. })
            }
            Hello::DirectorToClient { .. } => matches!(greeting, Greeting::Client { .. }),
            Hello::DirectorToStorage { .. }
            | Hello::ClientToStorage { .. }
            | Hello::StorageToStorage { .. } => {
                matches!(greeting, Greeting::Storage { .. })
            }
            Hello::StorageCalls { .. } | Hello::Ping => false,
        }
    }

    fn fail(&mut self, error: HandshakeError) -> Vec<Output> {
        let was = std::mem::replace(&mut self.state, State::Over);
        match (was, &error) {
            (State::Answer, HandshakeError::WrongPassword) => {
                vec![round::refusal(), Output::Pause(FAILURE_DELAY), Output::Fail(error)]
            }
            (State::Opening | State::Challenge, HandshakeError::Unexpected { .. }) => {
                vec![round::refusal(), Output::Fail(error)]
            }
            _ => vec![Output::Fail(error)],
        }
    }
}

/// Whether the pair has additions (docs/extensions.md §1). A Bacula Director takes a Hello of 142 bytes at most: a console
/// with a long name would be refused for the marker.
const fn may_carry_marker(hello: &Hello) -> bool {
    match hello {
        Hello::DirectorToStorage { .. }
        | Hello::DirectorToClient { .. }
        | Hello::ClientToStorage { .. }
        | Hello::StorageToStorage { .. } => true,
        Hello::Console { .. } | Hello::ClientCalls { .. } | Hello::StorageCalls { .. } | Hello::Ping => false,
    }
}

impl Machine for Connector {
    fn start(&mut self) -> Vec<Output> {
        vec![send(&self.hello.format())]
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        let result = match (self.state, input) {
            (State::EarlyTls, Input::TlsUp) => {
                self.state = State::Challenge;
                Ok(Vec::new())
            }
            (State::LateTls, Input::TlsUp) => {
                self.state = State::Greeting;
                Ok(Vec::new())
            }
            (State::Opening, Input::Packet(packet)) => self.opening(&packet),
            (State::Challenge, Input::Packet(packet)) => self.challenge(&packet),
            (State::Verdict, Input::Packet(packet)) => self.verdict(&packet),
            (State::Answer, Input::Packet(packet)) => self.answer(&packet),
            (State::Greeting, Input::Packet(packet)) => self.greeting(&packet),
            (State::CallAccepted, Input::Packet(packet)) => self.call_accepted(&packet),
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
