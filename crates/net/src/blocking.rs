//! The same sessions on threads: the data path between FD and SD, and between SDs.
//!
//! One thread may read while another writes, also under TLS: the socket is read and written without any lock held; only
//! the ciphering itself is done under one.

use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use wire::dialogue::handshake::{Acceptor, Connector, PeerInfo};
use wire::hello::{Hello, HelloLine};
use wire::version::SdVersion;

use crate::connect::{Target, prepare};
use crate::error::NetError;
use crate::session::Session;

mod drive;
mod reader;
#[cfg(test)]
mod tests;
mod throttle;
mod tls;
mod writer;

pub use reader::PacketReader;
pub use throttle::Throttle;
pub use writer::PacketWriter;

/// An open session. Take it apart with [`Conn::split`] to read and write from two threads.
#[derive(Debug)]
pub struct Conn {
    /// Receiving half.
    pub reader: PacketReader,
    /// Sending half.
    pub writer: PacketWriter,
    peer: PeerInfo,
    closer: Closer,
}

/// Closes a connection from anywhere: both halves then fail or see its end.
#[derive(Debug)]
pub struct Closer {
    socket: TcpStream,
    address: SocketAddr,
}

impl Closer {
    /// Closes now; blocked reads and writes of other threads return.
    pub fn close(&self) {
        // Fails only if the peer has closed already.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// The peer's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Another handle to the same connection.
    ///
    /// # Errors
    /// [`NetError::Io`] when descriptors run out.
    pub fn try_clone(&self) -> Result<Self, NetError> {
        let failed = |source| NetError::Io { peer: self.address.to_string(), source };
        Ok(Self { socket: self.socket.try_clone().map_err(failed)?, address: self.address })
    }
}

impl Conn {
    /// What the handshake found out about the peer.
    #[must_use]
    pub fn peer(&self) -> &PeerInfo {
        &self.peer
    }

    /// The peer's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.closer.address
    }

    /// The halves, what is known of the peer, and the handle that closes the connection.
    #[must_use]
    pub fn split(self) -> (PacketReader, PacketWriter, PeerInfo, Closer) {
        (self.reader, self.writer, self.peer, self.closer)
    }

    /// A handle that closes the connection from another thread.
    ///
    /// # Errors
    /// [`NetError::Io`] when descriptors run out.
    pub fn closer(&self) -> Result<Closer, NetError> {
        self.closer.try_clone()
    }
}

/// Connects, trying again until the target's deadline; `is_canceled` is asked between attempts.
///
/// # Errors
/// [`NetError::Connect`] with the last failure.
pub fn connect(target: &Target, is_canceled: impl Fn() -> bool) -> Result<TcpStream, NetError> {
    let started = Instant::now();
    let mut warned = false;
    loop {
        let source = match attempt(target) {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        if started.elapsed() + target.retry_every > target.give_up_after || is_canceled() {
            return Err(NetError::Connect { peer: target.name(), waited: started.elapsed(), source });
        }
        if !warned {
            tracing::warn!(peer = target.name(), error = %source, "could not connect, retrying");
            warned = true;
        }
        let next = Instant::now() + target.retry_every;
        while Instant::now() < next && !is_canceled() {
            // No event: the peer does not tell when it listens; short, so that a cancel is seen.
            std::thread::sleep(Duration::from_millis(100).min(target.retry_every));
        }
    }
}

fn attempt(target: &Target) -> std::io::Result<TcpStream> {
    const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the host name has no address");
    for address in (target.host.as_str(), target.port).to_socket_addrs()? {
        match call(target, address, ATTEMPT_TIMEOUT) {
            Ok(stream) => {
                prepare(&stream, target.keepalive)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn call(target: &Target, address: SocketAddr, limit: Duration) -> std::io::Result<TcpStream> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    if let Some(source) = target.source.filter(|source| source.is_ipv4() == address.is_ipv4()) {
        socket.bind(&SocketAddr::from((source, 0)).into())?;
    }
    socket.connect_timeout(&address.into(), limit)?;
    Ok(socket.into())
}

/// Opens a session as the side that says Hello (also an FD whose connection an SD opened).
///
/// # Errors
/// [`NetError::Handshake`], [`NetError::Tls`] and broken connections.
pub fn open(stream: TcpStream, hello: Hello, session: &Session) -> Result<Conn, NetError> {
    drive::drive(stream, &mut Connector::new(hello, session.local()), session)
}

/// Opens a session with a caller whose Hello has been read and recognised.
///
/// # Errors
/// [`NetError::Handshake`], [`NetError::Tls`] and broken connections.
pub fn accept(stream: TcpStream, hello: HelloLine, session: &Session) -> Result<Conn, NetError> {
    drive::drive(stream, &mut Acceptor::new(hello, session.local()), session)
}

/// Opens a session of an SD with a client that it has called for a job (spec/01 §2.6).
///
/// # Errors
/// [`NetError::Handshake`], [`NetError::Tls`] and broken connections.
pub fn call_client(
    stream: TcpStream,
    job: &str,
    version: SdVersion,
    session: &Session,
) -> Result<Conn, NetError> {
    drive::drive(stream, &mut Acceptor::calling_client(job.to_owned(), version, session.local()), session)
}
