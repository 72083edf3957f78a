//! Being called.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use wire::dialogue::handshake::{Acceptor, Output};
use wire::hello::HelloLine;

use crate::conn::Conn;
use crate::connect::{KEEPALIVE, prepare};
use crate::drive::{Io, act, drive, read_packet};
use crate::error::NetError;
use crate::session::Session;

/// Longest wait for the first packet of a caller.
const FIRST_PACKET_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections that the system keeps waiting for us.
const BACKLOG: u32 = 512;

/// An open port.
#[derive(Debug)]
pub struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    keepalive: Duration,
}

/// A call whose first packet has not been read yet.
#[derive(Debug)]
pub struct Incoming {
    stream: TcpStream,
    address: SocketAddr,
}

impl Listener {
    /// Opens a port; port 0 takes a free one, see [`Listener::address`].
    ///
    /// # Errors
    /// [`NetError::Listen`].
    pub fn bind(address: SocketAddr) -> Result<Self, NetError> {
        Self::open(address, false)
    }

    /// As [`Listener::bind`], at an address that this machine need not have: who calls there is heard when it gets it.
    ///
    /// # Errors
    /// [`NetError::Listen`].
    pub fn bind_floating(address: SocketAddr) -> Result<Self, NetError> {
        Self::open(address, true)
    }

    fn open(address: SocketAddr, is_floating: bool) -> Result<Self, NetError> {
        let open = || {
            let socket = if address.is_ipv4() {
                tokio::net::TcpSocket::new_v4()
            } else {
                tokio::net::TcpSocket::new_v6()
            }?;
            socket.set_reuseaddr(true)?;
            if address.is_ipv6() {
                // An IPv4 port of the same number is a listener of its own.
                socket2::SockRef::from(&socket).set_only_v6(true)?;
            }
            if is_floating && address.is_ipv4() {
                rustix::net::sockopt::set_ip_freebind(&socket, true)?;
            } else if is_floating {
                rustix::net::sockopt::set_ipv6_freebind(&socket, true)?;
            }
            socket.bind(address)?;
            let listener = socket.listen(BACKLOG)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address, keepalive: KEEPALIVE })
        };
        open().map_err(|source| NetError::Listen { address: address.to_string(), source })
    }

    /// Keep-alive of what is accepted (Heartbeat Interval), 5 minutes unless said.
    #[must_use]
    pub fn with_keepalive(self, keepalive: Duration) -> Self {
        Self { keepalive, ..self }
    }

    /// The address in use.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next call. Cancel safe.
    ///
    /// # Errors
    /// [`NetError::Listen`] when the system has no descriptors left and the like; wait a little and go on.
    pub async fn accept(&self) -> Result<Incoming, NetError> {
        let failed = |source| NetError::Listen { address: self.address.to_string(), source };
        let (stream, address) = self.listener.accept().await.map_err(failed)?;
        if let Err(error) = prepare(&stream, self.keepalive) {
            // Of this call alone (its peer may be gone already), so no reason to stop listening.
            tracing::debug!(%address, %error, "the options of an accepted connection could not be set");
        }
        Ok(Incoming { stream, address })
    }
}

impl Incoming {
    /// A stream that was accepted elsewhere (or is used anew, spec/01 §2.8).
    ///
    /// # Errors
    /// [`NetError::Io`] if the peer is gone.
    pub fn from_stream(stream: TcpStream) -> Result<Self, NetError> {
        let address =
            stream.peer_addr().map_err(|source| NetError::Io { peer: "a caller".to_owned(), source })?;
        Ok(Self { stream, address })
    }

    /// Who calls.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The first packet, and not a byte more.
    ///
    /// # Errors
    /// [`NetError::Timeout`] after 60 s, broken connections, and a signal instead of a Hello.
    pub async fn first_packet(&mut self) -> Result<Bytes, NetError> {
        let peer = self.address.to_string();
        let packet = tokio::time::timeout(FIRST_PACKET_TIMEOUT, read_packet(&mut self.stream, &peer)).await;
        let timeout = NetError::Timeout { peer: peer.clone(), waited: FIRST_PACKET_TIMEOUT };
        packet.map_err(|_| timeout)??.data().cloned().ok_or(NetError::Closed { peer })
    }

    /// The socket for the blocking side; its first packet must have been read.
    ///
    /// # Errors
    /// [`NetError::Io`].
    pub fn into_std(self) -> Result<std::net::TcpStream, NetError> {
        let peer = self.address.to_string();
        let take = || {
            let stream = self.stream.into_std()?;
            stream.set_nonblocking(false)?;
            Ok(stream)
        };
        take().map_err(|source| NetError::Io { peer, source })
    }

    /// The socket.
    #[must_use]
    pub fn into_tcp(self) -> TcpStream {
        self.stream
    }
}

/// Opens a session with a caller whose Hello has been read and recognised.
///
/// # Errors
/// [`NetError::Handshake`], [`NetError::Tls`] and broken connections.
pub async fn accept(incoming: Incoming, hello: HelloLine, session: &Session) -> Result<Conn, NetError> {
    drive(incoming.stream, &mut Acceptor::new(hello, session.local()), session).await
}

/// Turns a caller away as [`wire::dialogue::handshake::refuse_hello`] or `refuse_unknown` says.
pub async fn refuse(incoming: Incoming, outputs: Vec<Output>) {
    let peer = incoming.address.to_string();
    let mut io = Io::new(incoming.stream, peer);
    for output in outputs {
        if act(&mut io, output, None).await.is_err() {
            break;
        }
    }
}
