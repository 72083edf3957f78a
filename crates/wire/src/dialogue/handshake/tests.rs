use types::Timestamp;

use super::*;
use crate::tls::TlsKind;
use crate::version::{ConsoleVersion, DirVersion, FdVersion, HOLDFAST, SdVersion};

const JOB: &str = "Acc.2026-11-23_15.05.25_07";

fn local(name: &str, tls: u32) -> Local {
    Local {
        name: name.to_owned(),
        secret: Secret::from_password("shared"),
        tls: TlsNeeds::from_number(tls),
        additions: true,
        seed: Seed { random: 42, time: Timestamp(1_795_446_327) },
    }
}

fn stock(name: &str, tls: u32) -> Local {
    Local { additions: false, ..local(name, tls) }
}

/// What a handshake came to on one side.
#[derive(Debug, PartialEq)]
enum End {
    Done(Box<PeerInfo>),
    Fail(HandshakeError),
    Open,
}

/// Both machines joined by a wire; the transcript has the packets as text.
fn run(mut c: impl Machine, mut s: impl Machine) -> (End, End, Vec<String>) {
    let mut ends = [End::Open, End::Open];
    let mut log = Vec::new();
    let mut queues: [std::collections::VecDeque<Input>; 2] = Default::default();
    let mut outputs: [Vec<Output>; 2] = [c.start(), s.start()];
    for _ in 0..100 {
        for side in 0..2 {
            for output in std::mem::take(&mut outputs[side]) {
                let mark = ["C", "S"][side];
                match output {
                    Output::Send(bytes) => {
                        log.push(format!("{mark}: {}", crate::scan::shorten(&bytes)));
                        queues[1 - side].push_back(Input::Packet(Packet::Data(bytes)));
                    }
                    Output::Signal(signal) => log.push(format!("{mark}: {signal:?}")),
                    Output::StartTls(start) => {
                        log.push(format!(
                            "{mark}: {} {:?}",
                            if start.server { "serves" } else { "starts" },
                            start.kind
                        ));
                        queues[side].push_back(Input::TlsUp);
                    }
                    Output::Pause(delay) => log.push(format!("{mark}: waits {delay:?}")),
                    Output::Done(peer) => ends[side] = End::Done(peer),
                    Output::Fail(error) => ends[side] = End::Fail(error),
                }
            }
        }
        for (side, queue) in queues.iter_mut().enumerate() {
            if ends[side] == End::Open
                && let Some(input) = queue.pop_front()
            {
                let machine: &mut dyn Machine = if side == 0 { &mut c } else { &mut s };
                outputs[side].extend(machine.step(input));
            }
        }
    }
    let [client, server] = ends;
    (client, server, log)
}

fn join(hello: Hello, at: Listener, c: Local, s: Local) -> (End, End, Vec<String>) {
    let mut connector = Connector::new(hello, c);
    let [Output::Send(line)] = &connector.start()[..] else { panic!("a connector starts with its Hello") };
    let line = line.clone();
    let mut log = vec![format!("C: {}", crate::scan::shorten(&line))];
    let line = HelloLine::parse(&line, at).unwrap();
    let (a, b, rest) = run(Started(connector), Acceptor::new(line, s));
    log.extend(rest);
    (a, b, log)
}

/// A connector whose Hello has been delivered already.
struct Started(Connector);

impl Machine for Started {
    fn start(&mut self) -> Vec<Output> {
        Vec::new()
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        self.0.step(input)
    }
}

fn done(end: &End) -> &PeerInfo {
    match end {
        End::Done(peer) => peer,
        other => panic!("not open: {other:?}"),
    }
}

fn director_to_storage(number: u32) -> Hello {
    Hello::DirectorToStorage { name: "a1-dir".into(), version: DirVersion(number) }
}

#[test]
fn holdfast_daemons_use_psk_and_their_additions_on_every_pair() {
    let name = || "a1-dir".to_owned();
    let pairs = [
        (director_to_storage(10_002), Listener::Storage),
        (Hello::DirectorToClient { name: name(), version: DirVersion(10_002) }, Listener::Client),
        (Hello::ClientToStorage { job: JOB.into(), version: FdVersion(15) }, Listener::Storage),
        (
            Hello::StorageToStorage {
                job: JOB.into(),
                fd_version: FdVersion(15),
                version: SdVersion(30_008),
            },
            Listener::Storage,
        ),
    ];
    for (hello, at) in pairs {
        let (client, server, log) = join(hello, at, local("c", 100), local("s", 100));
        for end in [&client, &server] {
            assert_eq!((done(end).tls, done(end).holdfast), (TlsKind::Psk, HOLDFAST), "{log:#?}");
        }
        assert_eq!(done(&client).greeting, done(&server).greeting);
    }
}

#[test]
fn a_console_session_in_clear() {
    let hello = Hello::Console { name: "mon con".into(), version: ConsoleVersion(100) };
    let (client, server, log) = join(hello, Listener::Director, local("bconsole", 0), local("a1-dir", 100));
    assert_eq!(done(&client).tls, TlsKind::Clear);
    assert_eq!(done(&server).holdfast, 0);
    assert_eq!(
        log,
        [
            "C: Hello mon\\x01con calling 100 tlspsk=0",
            "S: auth cram-md5 <42.1795446327@a1-dir> ssl=0",
            "C: 9h+EHGe8a//Vd++P6x+PPA",
            "S: 1000 OK auth",
            "C: auth cram-md5 <42.1795446327@bconsole> ssl=0",
            log[5].as_str(),
            "C: 1000 OK auth",
            "S: 1000 OK: 10002 a1-dir Holdfast Version: 15.0.3 (25 March 2025)",
        ]
        .map(|line| if line.starts_with("C: 9h+") { log[2].clone() } else { line.to_owned() })
    );
}

#[test]
fn a_calling_client_waits_for_the_directors_ok() {
    let hello = Hello::ClientCalls { name: "a1-fd".into(), version: 1 };
    let (client, server, log) = join(hello, Listener::Director, local("a1-fd", 100), local("a1-dir", 100));
    assert_eq!(done(&client).tls, TlsKind::Psk);
    assert_eq!(done(&server).tls, TlsKind::Psk);
    assert_eq!(log.last().unwrap(), "S: OK");
}

#[test]
fn caps_are_exchanged_only_where_both_ends_know_them() {
    let hello = |n| Hello::ClientToStorage { job: JOB.into(), version: FdVersion(n) };
    let (.., log) = join(hello(15), Listener::Storage, local("a1-fd", 0), local("a1-sd", 0));
    assert_eq!(
        log[1],
        "S: sdcaps: dedup=0 hash=1 dedup_block=65536 min_dedup_block=1024 max_dedup_block=66556"
    );
    assert_eq!(log[2], "C: fdcaps: dedup=0 rehydration=0 proxy=0");
    let (client, _, log) = join(hello(214), Listener::Storage, local("a1-fd", 0), local("a1-sd", 0));
    assert!(log[1].starts_with("S: auth cram-md5 "));
    let version = SdVersion(306);
    assert_eq!(done(&client).greeting, Greeting::Storage { version, holdfast: HOLDFAST });
}

#[test]
fn a_stock_9_6_peer_sees_nothing_new() {
    let mut line =
        HelloLine::parse(b"Hello SD: Bacula Director a1-dir calling 103\n", Listener::Storage).unwrap();
    assert_eq!((line.tls, line.holdfast), (None, 0));
    line.tls = None;
    let connector = Connector::new(director_to_storage(103), stock("a1-dir", 0));
    let (_, server, log) = run(Started(connector), Acceptor::new(line, local("a1-sd", 100)));
    assert_eq!((done(&server).tls, done(&server).holdfast), (TlsKind::Clear, 0));
    assert_eq!(log.last().unwrap(), "S: 3000 OK Hello 306");
}

#[test]
fn certificates_start_late_with_9_6_and_early_with_15() {
    let line = HelloLine::parse(b"Hello Director a1-dir calling 103\n", Listener::Client).unwrap();
    let hello = Hello::DirectorToClient { name: "a1-dir".into(), version: DirVersion(103) };
    let connector = Connector::new(hello.clone(), stock("a1-dir", 2));
    let (client, _, log) = run(Started(connector), Acceptor::new(line, local("a1-fd", 2)));
    assert_eq!(done(&client).tls, TlsKind::Certificates);
    assert_eq!(
        &log[log.len() - 4..],
        ["C: 1000 OK auth", "C: starts Certificates", "S: serves Certificates", "S: 2000 OK Hello 214"]
    );
    let (.., log) = join(hello, Listener::Client, local("a1-dir", 2), local("a1-fd", 101));
    assert_eq!(&log[1..3], ["S: starttls tlspsk=101", "S: serves Certificates"]);
}

#[test]
fn required_tls_that_the_peer_lacks_ends_the_session() {
    let hello = director_to_storage(10_002);
    let (_, server, log) = join(hello.clone(), Listener::Storage, local("a1-dir", 0), local("a1-sd", 200));
    assert_eq!(server, End::Fail(TlsMismatch::RemoteLacks.into()), "{log:#?}");
    let (_, server, _) = join(hello.clone(), Listener::Storage, local("a1-dir", 200), local("a1-sd", 0));
    assert_eq!(server, End::Fail(TlsMismatch::LocalLacks.into()));
    // A server that ignores the need and just challenges gets no answer.
    let mut connector = Connector::new(hello, local("a1-dir", 200));
    let outputs =
        connector.step(Input::Packet(Packet::Data(Bytes::from_static(b"auth cram-md5 <1.2@x> ssl=0\n"))));
    assert_eq!(outputs, [Output::Fail(TlsMismatch::RemoteLacks.into())]);
}

#[test]
fn a_wrong_password_is_told_apart_and_delayed() {
    let other = Local { secret: Secret::from_password("other"), ..local("a1-dir", 0) };
    let (client, server, log) =
        join(director_to_storage(10_002), Listener::Storage, other, local("a1-sd", 0));
    assert_eq!(server, End::Fail(HandshakeError::WrongPassword));
    assert_eq!(client, End::Fail(HandshakeError::Refused { said: "1999 Authorization failed.".into() }));
    assert_eq!(
        &log[3..],
        ["S: 1999 Authorization failed.", "S: waits 5s", "S: 3999 No go", "S: Terminate", "S: waits 5s"]
    );
}

#[test]
fn an_sd_calls_a_client() {
    let acceptor = Acceptor::calling_client(JOB.into(), SdVersion(30_008), local("a1-sd", 100));
    let hello = Hello::ClientToStorage { job: JOB.into(), version: FdVersion(15) };
    let connector = Connector::new(hello, local("a1-fd", 100));
    // The FD's listener takes the SD's first line; then the FD says its own Hello.
    let (client, server, log) = run(connector, SwallowFirst { inner: acceptor, told: false });
    assert_eq!(done(&client).tls, TlsKind::Psk);
    assert_eq!(done(&server).hello, done(&client).hello);
    assert_eq!(log[0], format!("C: Hello Bacula SD: Start Job {JOB} 15 tlspsk=100 holdfast=4"));
}

struct SwallowFirst {
    inner: Acceptor,
    told: bool,
}

impl Machine for SwallowFirst {
    fn start(&mut self) -> Vec<Output> {
        let hello = format!("Hello FD: Bacula Storage calling Start Job {JOB} 30008\n");
        assert_eq!(self.inner.start(), [Output::Send(hello.into())]);
        self.told = true;
        Vec::new()
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        self.inner.step(input)
    }
}

#[test]
fn unknown_callers_are_refused_as_bacula_does() {
    let line = HelloLine::parse(b"Hello mon-con calling 100\n", Listener::Director).unwrap();
    let outputs = refuse_unknown(Listener::Director, &line);
    assert_eq!(outputs[1], send(b"1999 You are not authorized.\n"));
    let line = HelloLine::parse(b"Hello Bacula SD: Start Job x.1 214\n", Listener::Storage).unwrap();
    assert!(matches!(refuse_unknown(Listener::Storage, &line)[..], [Output::Pause(_), Output::Fail(_)]));
}
