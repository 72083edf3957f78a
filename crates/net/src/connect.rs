//! Calling a peer.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::Instant;
use wire::dialogue::handshake::Connector;
use wire::hello::Hello;

use crate::conn::Conn;
use crate::drive::drive;
use crate::error::NetError;
use crate::session::Session;

/// How long one attempt may take: a host that drops packets must not eat the whole deadline.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// Default Heartbeat Interval (spec/01 §1.5).
pub(crate) const KEEPALIVE: Duration = Duration::from_secs(300);

/// Whom to call and how long to try.
#[derive(Debug, Clone)]
pub struct Target {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Own address to call from.
    pub source: Option<IpAddr>,
    /// Time between attempts.
    pub retry_every: Duration,
    /// Time after which the last attempt is over; zero means one attempt.
    pub give_up_after: Duration,
    /// Keep-alive (Heartbeat Interval).
    pub keepalive: Duration,
}

impl Target {
    /// One attempt, keep-alive of 300 s.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            source: None,
            retry_every: Duration::from_secs(10),
            give_up_after: Duration::ZERO,
            keepalive: KEEPALIVE,
        }
    }

    /// Retries every `every` until `limit` has passed.
    #[must_use]
    pub fn retrying(mut self, every: Duration, limit: Duration) -> Self {
        self.retry_every = every;
        self.give_up_after = limit;
        self
    }

    pub(crate) fn name(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Connects, trying again until the target's deadline; each address of the host is tried.
///
/// # Errors
/// [`NetError::Connect`] with the last failure.
pub async fn connect(target: &Target) -> Result<TcpStream, NetError> {
    let started = Instant::now();
    let mut warned = false;
    loop {
        let source = match tokio::time::timeout(ATTEMPT_TIMEOUT, attempt(target)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error,
            Err(_) => io::Error::new(io::ErrorKind::TimedOut, "no answer"),
        };
        if started.elapsed() + target.retry_every > target.give_up_after {
            return Err(NetError::Connect { peer: target.name(), waited: started.elapsed(), source });
        }
        if !warned {
            tracing::warn!(peer = target.name(), error = %source, "could not connect, retrying");
            warned = true;
        }
        tokio::time::sleep(target.retry_every).await;
    }
}

async fn attempt(target: &Target) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host name has no address");
    for address in tokio::net::lookup_host((target.host.as_str(), target.port)).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if let Some(source) = target.source.filter(|source| source.is_ipv4() == address.is_ipv4()) {
            socket.bind((source, 0).into())?;
        }
        match socket.connect(address).await {
            Ok(stream) => {
                prepare(&stream, target.keepalive)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Probes without an answer after which the peer's host counts as gone.
const PROBES: u32 = 6;
/// The longest time between two probes.
const PROBE_EVERY_MAX: Duration = Duration::from_secs(10);

/// Keep-alive and no delay of small packets.
///
/// On a quiet connection a peer whose host is gone without a word is noticed within a minute after `keepalive` has passed (where that
/// is short: within 6 s). While something that was sent is unanswered the system's own bound holds (15 minutes, `tcp_retries2`):
/// `TCP_USER_TIMEOUT` would also end a connection whose peer lives and takes nothing in for long, as a Storage Daemon does that
/// waits for its Director: since Linux 5.11 it counts while the probes of a closed window are answered (seen on 6.18: a reader that
/// stands still loses its connection when the time is over).
pub(crate) fn prepare<S: std::os::fd::AsFd>(stream: &S, keepalive: Duration) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    if keepalive.is_zero() {
        return socket.set_keepalive(true); // at the system's own pace, 2 hours
    }
    let every = (keepalive / 30).clamp(Duration::from_secs(1), PROBE_EVERY_MAX);
    let options = TcpKeepalive::new().with_time(keepalive).with_interval(every).with_retries(PROBES);
    socket.set_tcp_keepalive(&options)
}

/// Opens a session as the side that says Hello (also an FD whose connection an SD opened).
///
/// # Errors
/// [`NetError::Handshake`], [`NetError::Tls`] and broken connections.
pub async fn open(stream: TcpStream, hello: Hello, session: &Session) -> Result<Conn, NetError> {
    drive(stream, &mut Connector::new(hello, session.local()), session).await
}
