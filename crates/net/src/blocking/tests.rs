use std::net::{TcpListener, TcpStream};
use std::thread;

use wire::cram::Secret;
use wire::dialogue::handshake::HandshakeError;
use wire::frame::{Packet, PacketRef, Signal};
use wire::hello::{Hello, HelloLine, Listener};
use wire::tls::{TlsKind, TlsNeeds};
use wire::version::{FdVersion, SdVersion};

use super::*;
use crate::tls::{Certificates, Tls};

const JOB: &str = "Acc.2026-11-23_15.05.25_07";

fn session(name: &str, tls: Tls) -> Session {
    Session::new(name, Secret::from_session_key("AGEM-PJND-HFMH-ANIN-BBNI-HLDP-FHCL-HLMP"), tls)
}

fn hello() -> Hello {
    Hello::ClientToStorage { job: JOB.into(), version: FdVersion::CURRENT }
}

fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (client, listener.accept().unwrap().0)
}

/// The acceptor's listener takes the Hello off the socket first.
fn take_hello(stream: &TcpStream) -> HelloLine {
    use std::io::Read;
    let mut stream = stream;
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut line = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut line).unwrap();
    HelloLine::parse(&line, Listener::Storage).unwrap()
}

#[expect(clippy::needless_pass_by_value, reason = "reads better at the calls")]
fn join(client: Session, server: Session) -> (Result<Conn, NetError>, Result<Conn, NetError>) {
    let (a, b) = sockets();
    let caller = thread::spawn(move || open(a, hello(), &client));
    let hello = take_hello(&b);
    let accepted = accept(b, hello, &server);
    (caller.join().unwrap(), accepted)
}

fn exchange(client: Conn, server: Conn) {
    let (mut client_reader, mut client_writer, ..) = client.split();
    let (mut server_reader, mut server_writer, ..) = server.split();
    let payload = |n: usize| vec![(n % 251) as u8; [0, 1, 5000, 65_536, 1_000_000][n % 5]];
    // All four halves at once, far more than the socket buffers hold.
    thread::scope(|scope| {
        for writer in [&mut client_writer, &mut server_writer] {
            scope.spawn(move || {
                for n in 0..200 {
                    writer.data(&payload(n)).unwrap();
                    writer.signal(Signal::Eod).unwrap();
                }
                writer.flush().unwrap();
            });
        }
        for reader in [&mut client_reader, &mut server_reader] {
            scope.spawn(move || {
                for n in 0..200 {
                    assert_eq!(reader.recv_ref().unwrap(), PacketRef::Data(&payload(n)), "packet {n}");
                    assert_eq!(reader.recv().unwrap(), Packet::Signal(Signal::Eod));
                }
            });
        }
    });
    drop((client_reader, client_writer));
    assert!(matches!(server_reader.recv_ref(), Err(NetError::Closed { .. } | NetError::Io { .. })));
}

#[test]
fn both_directions_at_once_in_clear() {
    let (client, server) = join(session("a1-fd", Tls::clear()), session("a1-sd", Tls::psk()));
    let (client, server) = (client.unwrap(), server.unwrap());
    assert_eq!((client.peer().tls, client.peer().holdfast), (TlsKind::Clear, wire::version::HOLDFAST));
    exchange(client, server);
}

#[test]
fn both_directions_at_once_under_psk() {
    let (client, server) = join(session("a1-fd", Tls::psk()), session("a1-sd", Tls::psk()));
    let (client, server) = (client.unwrap(), server.unwrap());
    assert_eq!((client.peer().tls, server.peer().tls), (TlsKind::Psk, TlsKind::Psk));
    exchange(client, server);
}

#[test]
fn an_sd_that_calls_is_the_server_of_tls() {
    let (a, b) = sockets();
    let sd = thread::spawn(move || call_client(a, JOB, SdVersion::CURRENT, &session("a1-sd", Tls::psk())));
    // The FD's listener takes the SD's line, then the FD says its own Hello.
    let mut first = PacketReader::new(b.try_clone().unwrap(), None, "sd".into());
    let Packet::Data(line) = first.recv().unwrap() else { panic!() };
    let line = HelloLine::parse(&line, Listener::Client).unwrap();
    assert_eq!(line.hello, Hello::StorageCalls { job: JOB.into(), version: SdVersion::CURRENT });
    drop(first);
    let fd = open(b, hello(), &session("a1-fd", Tls::psk())).unwrap();
    let sd = sd.join().unwrap().unwrap();
    assert_eq!(fd.peer().tls, TlsKind::Psk);
    exchange(fd, sd);
}

#[test]
fn a_wrong_key_fails_in_tls_and_in_clear() {
    let other = |tls| Session::new("a1-fd", Secret::from_password("other"), tls);
    let (client, server) = join(other(Tls::psk()), session("a1-sd", Tls::psk()));
    assert!(client.unwrap_err().is_authentication() && server.unwrap_err().is_authentication());
    let (client, server) = join(other(Tls::clear()), session("a1-sd", Tls::clear()));
    assert!(matches!(server.unwrap_err(), NetError::Handshake { source: HandshakeError::WrongPassword, .. }));
    assert!(client.unwrap_err().is_authentication());
}

#[test]
fn silence_is_bounded_and_the_call_may_be_repeated() {
    let (client, server) = join(session("a1-fd", Tls::psk()), session("a1-sd", Tls::psk()));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    server.reader.set_timeout(Some(Duration::from_millis(30))).unwrap();
    assert!(matches!(server.reader.recv_ref(), Err(NetError::Timeout { .. })));
    client.writer.send(b"late").unwrap();
    server.reader.set_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(server.reader.recv_ref().unwrap(), PacketRef::Data(b"late"));
}

#[test]
fn closing_from_another_thread_wakes_a_reader() {
    let (client, server) = join(session("a1-fd", Tls::psk()), session("a1-sd", Tls::psk()));
    let (client, mut server) = (client.unwrap(), server.unwrap());
    let closer = server.closer().unwrap();
    let waiting = thread::spawn(move || server.reader.recv().is_err());
    closer.close();
    assert!(waiting.join().unwrap());
    drop(client);
}

fn certificates(dir: &std::path::Path, name: &str) -> Certificates {
    Certificates {
        ca_file: Some(dir.join("ca.pem")),
        certificate: Some(dir.join(format!("{name}.pem"))),
        key: Some(dir.join(format!("{name}.key"))),
        verify_peer: true,
        ..Certificates::default()
    }
}

/// A CA and two certificates: `fd` for a host elsewhere, `sd` for localhost.
fn authority() -> tempfile::TempDir {
    use openssl::asn1::Asn1Time;
    use openssl::hash::MessageDigest;
    use openssl::pkey::PKey;
    use openssl::rsa::Rsa;
    use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
    use openssl::x509::{X509, X509NameBuilder};
    let dir = tempfile::tempdir().unwrap();
    let ca_key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let subject = |name: &str| {
        let mut builder = X509NameBuilder::new().unwrap();
        builder.append_entry_by_text("CN", name).unwrap();
        builder.build()
    };
    for (file, name, dns) in [("ca", "ca", None), ("fd", "a1-fd", None), ("sd", "a1-sd", Some("localhost"))] {
        let key =
            if file == "ca" { ca_key.clone() } else { PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap() };
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        builder.set_subject_name(&subject(name)).unwrap();
        builder.set_issuer_name(&subject("ca")).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
        builder.set_pubkey(&key).unwrap();
        if file == "ca" {
            builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
        }
        if let Some(dns) = dns {
            let names =
                SubjectAlternativeName::new().dns(dns).build(&builder.x509v3_context(None, None)).unwrap();
            builder.append_extension(names).unwrap();
        }
        builder.sign(&ca_key, MessageDigest::sha256()).unwrap();
        std::fs::write(dir.path().join(format!("{file}.pem")), builder.build().to_pem().unwrap()).unwrap();
        std::fs::write(dir.path().join(format!("{file}.key")), key.private_key_to_pem_pkcs8().unwrap())
            .unwrap();
    }
    dir
}

#[test]
fn certificates_are_checked_by_authority_name_and_list() {
    let dir = authority();
    let needs = TlsNeeds::from_directives(true, true, true);
    let tls = |name, allowed: &[&str]| {
        let allowed_cn = allowed.iter().map(ToString::to_string).collect();
        Tls::new(needs, &Certificates { allowed_cn, ..certificates(dir.path(), name) }).unwrap()
    };
    let good =
        join(session("fd", tls("fd", &[])).for_host("127.0.0.1"), session("sd", tls("sd", &["A1-FD"])));
    let (client, server) = (good.0.unwrap(), good.1.unwrap());
    assert_eq!(server.peer().tls, TlsKind::Certificates);
    exchange(client, server);
    let wrong_host =
        join(session("fd", tls("fd", &[])).for_host("sd.example.org"), session("sd", tls("sd", &[])));
    let text = format!("{:?}", wrong_host.0.unwrap_err());
    assert!(text.contains("a1-sd, localhost"), "{text}");
    let not_allowed = join(session("fd", tls("fd", &["a1-sd"])), session("sd", tls("sd", &["other"])));
    assert!(not_allowed.1.unwrap_err().to_string().starts_with("start TLS"));
}

#[test]
fn missing_files_are_configuration_errors() {
    let needs = TlsNeeds::from_directives(true, false, true);
    let error =
        Tls::new(needs, &Certificates { ca_file: Some("/nonexistent/ca".into()), ..Certificates::default() });
    assert!(error.unwrap_err().to_string().contains("/nonexistent/ca"));
    let error = Tls::new(needs, &Certificates::default()).unwrap_err();
    assert!(error.to_string().contains("TLS CA Certificate File"));
}
