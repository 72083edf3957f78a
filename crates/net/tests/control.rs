//! Sessions on tokio: every kind of protection, hand-over to the blocking side, a session that starts anew on its socket.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use net::{Incoming, Listener, NetError, Session, Target, Tls};
use wire::cram::Secret;
use wire::dialogue::handshake::{HandshakeError, refuse_unknown};
use wire::frame::{Packet, Signal};
use wire::hello::{Hello, HelloLine, Listener as At};
use wire::tls::{TlsKind, TlsNeeds};
use wire::version::{DirVersion, FdVersion};

const HERE: &str = "127.0.0.1";

fn session(name: &str, tls: Tls) -> Session {
    Session::new(name, Secret::from_password("fdpw"), tls)
}

fn hello() -> Hello {
    Hello::DirectorToClient { name: "t-dir".to_owned(), version: DirVersion::CURRENT }
}

fn listener() -> Listener {
    Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()
}

async fn serve(mut incoming: Incoming, tls: Tls) -> Result<net::Conn, NetError> {
    let line = HelloLine::parse(&incoming.first_packet().await?, At::Client).unwrap();
    net::accept(incoming, line, &session("t-fd", tls)).await
}

async fn join(client: Tls, server: Tls) -> (Result<net::Conn, NetError>, Result<net::Conn, NetError>) {
    let listener = listener();
    let stream = net::connect(&Target::new(HERE, listener.address().port())).await.unwrap();
    let incoming = listener.accept().await.unwrap();
    let mine = session("t-dir", client);
    tokio::join!(net::open(stream, hello(), &mine), serve(incoming, server))
}

#[tokio::test]
async fn packets_flow_both_ways_in_clear_and_under_psk() {
    for (tls, kind) in [(Tls::clear(), TlsKind::Clear), (Tls::psk(), TlsKind::Psk)] {
        let (client, server) = join(tls, Tls::psk()).await;
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        assert_eq!((client.peer().tls, client.peer().holdfast), (kind, wire::version::HOLDFAST));
        let long = vec![b'x'; 1_000_000];
        client.queue(b"status");
        client.queue_signal(Signal::Eod);
        client.flush().await.unwrap();
        assert_eq!(server.recv().await.unwrap(), Packet::Data("status".into()));
        assert_eq!(server.recv().await.unwrap(), Packet::Signal(Signal::Eod));
        let (mut reader, mut writer, _) = server.split();
        let sending = async {
            writer.send(&long).await.unwrap();
            writer.terminate().await;
        };
        let (packet, ()) = tokio::join!(client.recv(), sending);
        assert_eq!(packet.unwrap().data().unwrap(), &long);
        assert_eq!(client.recv().await.unwrap(), Packet::Signal(Signal::Terminate));
        let nothing = reader.recv_within(Duration::from_millis(20)).await;
        assert!(matches!(nothing, Err(NetError::Timeout { .. })));
        drop(client);
        assert!(matches!(reader.recv().await, Err(NetError::Closed { .. } | NetError::Io { .. })));
    }
}

#[tokio::test]
async fn a_peer_without_tls_is_refused_where_it_is_required() {
    let required =
        Tls::new(TlsNeeds::from_directives(false, true, true), &net::Certificates::default()).unwrap();
    let (client, server) = join(Tls::clear(), required).await;
    assert!(client.is_err());
    assert!(matches!(server, Err(NetError::Handshake { source: HandshakeError::Tls(_), .. })));
}

#[tokio::test]
async fn an_unknown_caller_waits_and_is_told() {
    let listener = listener();
    let stream = net::connect(&Target::new(HERE, listener.address().port())).await.unwrap();
    let mut incoming = listener.accept().await.unwrap();
    let started = Instant::now();
    let mine = session("t-dir", Tls::psk());
    let refusing = async {
        let line = HelloLine::parse(&incoming.first_packet().await.unwrap(), At::Client).unwrap();
        net::refuse(incoming, refuse_unknown(At::Client, &line)).await;
    };
    let (opened, ()) = tokio::join!(net::open(stream, hello(), &mine), refusing);
    let text = format!("{:?}", opened.unwrap_err());
    assert!(text.contains("unknown Director t-dir"), "{text}");
    assert!(started.elapsed() >= Duration::from_secs(5));
}

#[tokio::test]
async fn an_accepted_connection_is_handed_over_to_threads() {
    let listener = listener();
    let hello = Hello::ClientToStorage { job: "Save.1".to_owned(), version: FdVersion::CURRENT };
    let stream = net::connect(&Target::new(HERE, listener.address().port())).await.unwrap();
    let mut incoming = listener.accept().await.unwrap();
    let serving = async {
        let line = HelloLine::parse(&incoming.first_packet().await.unwrap(), At::Storage).unwrap();
        let socket = incoming.into_std().unwrap();
        tokio::task::spawn_blocking(move || {
            let mut conn = net::blocking::accept(socket, line, &session("t-sd", Tls::psk())).unwrap();
            assert_eq!(conn.reader.recv().unwrap(), Packet::Data("append open session\n".into()));
            conn.writer.send("3000 OK open ticket = 1\n").unwrap();
        })
        .await
        .unwrap();
    };
    let calling = async {
        let mut conn = net::open(stream, hello, &session("t-fd", Tls::psk())).await.unwrap();
        conn.send("append open session\n").await.unwrap();
        conn.recv().await.unwrap()
    };
    let ((), answer) = tokio::join!(serving, calling);
    assert_eq!(answer, Packet::Data("3000 OK open ticket = 1\n".into()));
}

#[tokio::test]
async fn a_session_starts_anew_on_its_socket_without_closing_tls() {
    // A client that called the Director (spec/01 §2.8): ISALIVE is echoed, TLS is dropped, roles are reversed.
    let listener = listener();
    let stream = net::connect(&Target::new(HERE, listener.address().port())).await.unwrap();
    let mut incoming = listener.accept().await.unwrap();
    let fd = async {
        let calls = Hello::ClientCalls { name: "t-fd".to_owned(), version: 1 };
        let mut conn = net::open(stream, calls, &session("t-fd", Tls::psk())).await.unwrap();
        assert_eq!(conn.recv().await.unwrap(), Packet::Signal(Signal::IsAlive));
        conn.signal(Signal::IsAlive).await.unwrap();
        let again = Incoming::from_stream(conn.into_tcp().unwrap()).unwrap();
        serve(again, Tls::psk()).await.unwrap()
    };
    let director = async {
        let line = HelloLine::parse(&incoming.first_packet().await.unwrap(), At::Director).unwrap();
        let mut conn = net::accept(incoming, line, &session("t-dir", Tls::psk())).await.unwrap();
        conn.signal(Signal::IsAlive).await.unwrap();
        assert_eq!(conn.recv().await.unwrap(), Packet::Signal(Signal::IsAlive));
        net::open(conn.into_tcp().unwrap(), hello(), &session("t-dir", Tls::psk())).await.unwrap()
    };
    let (mut fd, mut director) = tokio::join!(fd, director);
    director.send("status").await.unwrap();
    assert_eq!(fd.recv().await.unwrap(), Packet::Data("status".into()));
    assert_eq!(fd.peer().tls, TlsKind::Psk);
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_given_up_in_time() {
    let port = listener().address().port();
    let target = Target::new(HERE, port).retrying(Duration::from_millis(20), Duration::from_millis(100));
    let started = Instant::now();
    let error = net::connect(&target).await.unwrap_err();
    assert!(error.to_string().contains(&format!("{HERE}:{port}")), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_floating_address_is_listened_at_before_the_machine_has_it() {
    // Of a network for documentation: no machine has it.
    let elsewhere = SocketAddr::from(([192, 0, 2, 1], 0));
    assert!(Listener::bind(elsewhere).unwrap_err().to_string().contains("192.0.2.1:0"));
    let listener = Listener::bind_floating(elsewhere).unwrap();
    assert_eq!(listener.address().ip(), elsewhere.ip());
    Listener::bind_floating("[2001:db8::1]:0".parse().unwrap()).unwrap();
}
