//! TLS on the way to the server.

use crate::settings::settings;
use crate::support::open;
use catalog::postgres::{PostgresSettings, Tls, TlsMode};
use std::path::Path;
use std::process::Command;
use testkit::postgres::Postgres;

/// Makes a certificate for `localhost` that is its own authority.
fn certificate(dir: &Path, name: &str) {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-keyout", &format!("{name}.key")])
        .args(["-out", &format!("{name}.crt")])
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn the_server_is_checked_as_far_as_the_mode_says() {
    let dir = tempfile::tempdir().unwrap();
    let other = dir.path().join("other.crt");
    certificate(dir.path(), "other");
    let (certificates, server) = (dir.path().to_owned(), tokio::task::spawn_blocking(Postgres::start));
    let mut server = server.await.unwrap().unwrap();
    certificate(&certificates, "server");
    let ca = certificates.join("server.crt");
    server.use_tls(&ca, &certificates.join("server.key")).unwrap();
    let server = tokio::task::spawn_blocking(move || {
        server.kill().unwrap();
        server.resume().unwrap();
        server
    })
    .await
    .unwrap();
    server.create_database("bacula").unwrap();

    let with = |host: &str, mode, ca: Option<&Path>| PostgresSettings {
        address: host.to_owned(),
        tls: Tls { mode, ca: ca.map(Path::to_owned), ..Tls::default() },
        ..settings(&server, "bacula")
    };
    for (host, mode, ca, is_good) in [
        ("127.0.0.1", TlsMode::Disable, None, true),
        ("127.0.0.1", TlsMode::Prefer, None, true),
        ("127.0.0.1", TlsMode::Require, None, true),
        ("127.0.0.1", TlsMode::Require, Some(other.as_path()), false),
        ("127.0.0.1", TlsMode::VerifyCa, Some(ca.as_path()), true),
        ("127.0.0.1", TlsMode::VerifyCa, Some(other.as_path()), false),
        ("127.0.0.1", TlsMode::VerifyFull, Some(ca.as_path()), false),
        ("localhost", TlsMode::VerifyFull, Some(ca.as_path()), true),
    ] {
        let opened = open(with(host, mode, ca)).await;
        assert_eq!(opened.is_ok(), is_good, "{host} {mode:?} {ca:?}: {:?}", opened.err());
        let Ok(catalog) = opened else { continue };
        let used = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        let encrypted = catalog.read(|r| catalog::listing::free(r, used)).await.unwrap();
        let expected = if mode == TlsMode::Disable { "0" } else { "1" };
        assert_eq!(encrypted.rows, [[Some(expected.to_owned())]], "{host} {mode:?}");
    }
}
