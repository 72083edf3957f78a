//! Who calls: Directors and clients.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use net::{Incoming, Session, Tls};
use wire::cram::Secret;
use wire::hello::{Hello, HelloLine};

use super::Daemon;
use crate::job::JobPhase;
use crate::session::chain;

/// Reads a caller's first packet and gives it its own thread; `place` is held as long as the session lasts.
pub(crate) async fn receive(
    daemon: Arc<Daemon>,
    mut incoming: Incoming,
    place: tokio::sync::OwnedSemaphorePermit,
) {
    let address = incoming.address();
    let first = match incoming.first_packet().await {
        Ok(first) => first,
        Err(error) => {
            tracing::info!(%address, error = chain(&error), "a caller said nothing");
            return;
        }
    };
    let hello = match HelloLine::parse(&first, wire::hello::Listener::Storage) {
        Ok(hello) => hello,
        Err(error) => {
            tracing::warn!(%address, %error, "a caller's first packet is no Hello");
            net::refuse(incoming, wire::dialogue::handshake::refuse_hello(&error)).await;
            return;
        }
    };
    let Some(caller) = recognise(&daemon, &hello) else {
        tracing::warn!(%address, hello = ?hello.hello, "an unknown caller is refused");
        let outputs = wire::dialogue::handshake::refuse_unknown(wire::hello::Listener::Storage, &hello);
        net::refuse(incoming, outputs).await;
        return;
    };
    let stream = match incoming.into_std() {
        Ok(stream) => stream,
        Err(error) => {
            tracing::warn!(%address, error = chain(&error), "a caller is gone already");
            return;
        }
    };
    let serve = move || {
        serve(&daemon, caller, stream, hello);
        drop(place);
    };
    if let Err(error) = std::thread::Builder::new().name("session".to_owned()).spawn(serve) {
        tracing::error!(%address, %error, "no thread for a session: the limit of threads or memory is reached");
    }
}

enum Caller {
    Director(Box<conf::storage::Director>),
    Client { job: Arc<crate::job::Job> },
}

fn recognise(daemon: &Daemon, hello: &HelloLine) -> Option<Caller> {
    match &hello.hello {
        Hello::DirectorToStorage { name, .. } => {
            let config = daemon.config();
            let director = config.directors.iter().find(|d| d.name.eq_ignore_ascii_case(name))?;
            Some(Caller::Director(Box::new(director.clone())))
        }
        Hello::ClientToStorage { job, .. } | Hello::StorageToStorage { job, .. } => {
            let job = daemon.jobs.by_name(job)?;
            let is_open = job.state().phase != JobPhase::Ended && !job.has_client.load(Ordering::Acquire);
            is_open.then_some(Caller::Client { job })
        }
        Hello::Console { .. }
        | Hello::ClientCalls { .. }
        | Hello::DirectorToClient { .. }
        | Hello::StorageCalls { .. }
        | Hello::Ping => None,
    }
}

fn serve(daemon: &Arc<Daemon>, caller: Caller, stream: TcpStream, hello: HelloLine) {
    match caller {
        Caller::Director(director) => serve_director(daemon, &director, stream, hello),
        Caller::Client { job } => serve_client(daemon, &job, stream, hello),
    }
}

fn serve_director(
    daemon: &Arc<Daemon>,
    director: &conf::storage::Director,
    stream: TcpStream,
    hello: HelloLine,
) {
    let tls = match tls_of(&director.tls) {
        Ok(tls) => tls,
        Err(error) => {
            tracing::error!(director = director.name, error = chain(&error), "TLS settings cannot be used");
            return;
        }
    };
    // The configuration keeps the hash, which is the secret.
    let secret = Secret::from_session_key(&director.password);
    let session = Session::new(daemon.name(), secret, tls);
    match net::blocking::accept(stream, hello, &session) {
        Ok(conn) => super::director::serve(daemon, director, conn),
        Err(error) => {
            tracing::warn!(
                director = director.name,
                error = chain(&error),
                "a Director could not open a session"
            );
        }
    }
}

fn serve_client(daemon: &Arc<Daemon>, job: &Arc<crate::job::Job>, stream: TcpStream, hello: HelloLine) {
    let tls = match tls_of(&daemon.config().storage.tls) {
        Ok(tls) => tls,
        Err(error) => {
            tracing::error!(error = chain(&error), "TLS settings of the Storage resource cannot be used");
            return;
        }
    };
    let session = Session::new(daemon.name(), Secret::from_session_key(&job.key), tls);
    match net::blocking::accept(stream, hello, &session) {
        Ok(conn) if !job.has_client.swap(true, Ordering::AcqRel) => job.give_client(conn),
        Ok(conn) => {
            tracing::warn!(job = %job.spec.id, address = %conn.address(), "a second client for one job is refused");
        }
        Err(error) => {
            tracing::warn!(job = %job.spec.id, error = chain(&error), "a client could not open a session");
        }
    }
}

/// TLS as the directives of a resource say.
pub(crate) fn tls_of(tls: &conf::tls::Tls) -> Result<Tls, net::TlsError> {
    use wire::tls::TlsNeeds;
    let needs = TlsNeeds::from_directives(tls.enable, tls.require, tls.psk_enable);
    let path = |p: &Option<String>| p.as_ref().map(std::path::PathBuf::from);
    let certificates = net::Certificates {
        ca_file: path(&tls.ca_certificate_file),
        ca_dir: path(&tls.ca_certificate_dir),
        certificate: path(&tls.certificate),
        key: path(&tls.key),
        dh_file: path(&tls.dh_file),
        verify_peer: tls.verify_peer,
        allowed_cn: tls.allowed_cn.clone(),
    };
    Tls::new(needs, &certificates)
}
