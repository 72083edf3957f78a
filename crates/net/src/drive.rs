//! Runs a handshake machine over a socket.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use wire::dialogue::handshake::{Input, Machine, Output, PeerInfo, STEP_TIMEOUT, TOTAL_TIMEOUT};
use wire::frame::{FrameEncoder, Header, Packet, expand};

use crate::conn::Conn;
use crate::error::NetError;
use crate::session::Session;
use crate::stream::Stream;
use crate::tls::{self, TlsError};

/// Failed peers that are kept waiting at one time; further ones are closed at once, so that a flood of wrong passwords
/// holds neither memory nor descriptors.
pub(crate) const FAILURES_WAITING_MAX: usize = 64;
static FAILURES_WAITING: Semaphore = Semaphore::const_new(FAILURES_WAITING_MAX);

/// The socket during the handshake; nothing is read ahead.
pub(crate) struct Io {
    stream: Option<Stream>,
    peer: String,
}

impl Io {
    pub(crate) fn new(stream: TcpStream, peer: String) -> Self {
        Self { stream: Some(Stream::Plain(stream)), peer }
    }

    fn stream(&mut self) -> Result<&mut Stream, NetError> {
        self.stream.as_mut().ok_or_else(|| NetError::Closed { peer: self.peer.clone() })
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        let peer = self.peer.clone();
        let stream = self.stream()?;
        let result = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        result.await.map_err(|source| NetError::Io { peer, source })
    }

    async fn start_tls(
        &mut self,
        server: bool,
        kind: wire::tls::TlsKind,
        session: &Session,
    ) -> Result<(), NetError> {
        let failed = |source| NetError::Tls { peer: self.peer.clone(), source };
        let Some(Stream::Plain(stream)) = self.stream.take() else {
            return Err(failed(TlsError::Twice));
        };
        let stream = tls::start(stream, server, kind, session).await.map_err(failed)?;
        self.stream = Some(Stream::Tls(Box::new(stream)));
        Ok(())
    }
}

/// What an output led to.
pub(crate) enum Acted {
    Sent,
    TlsUp,
    Done(Box<PeerInfo>),
}

/// Opens a session; the whole takes at most [`TOTAL_TIMEOUT`].
pub(crate) async fn drive(
    stream: TcpStream,
    machine: &mut (dyn Machine + Send),
    session: &Session,
) -> Result<Conn, NetError> {
    let address = stream.peer_addr().map_err(|source| NetError::Io { peer: "a peer".to_owned(), source })?;
    let mut io = Io::new(stream, address.to_string());
    let peer = tokio::time::timeout(TOTAL_TIMEOUT, converse(&mut io, machine, session))
        .await
        .map_err(|_| NetError::Timeout { peer: address.to_string(), waited: TOTAL_TIMEOUT })??;
    let stream = io.stream.ok_or_else(|| NetError::Closed { peer: address.to_string() })?;
    Ok(Conn::new(stream, *peer, address))
}

async fn converse(
    io: &mut Io,
    machine: &mut (dyn Machine + Send),
    session: &Session,
) -> Result<Box<PeerInfo>, NetError> {
    let mut outputs = machine.start();
    loop {
        let mut tls_up = false;
        for output in outputs {
            match act(io, output, Some(session)).await? {
                Acted::Sent => {}
                Acted::TlsUp => tls_up = true,
                Acted::Done(peer) => return Ok(peer),
            }
        }
        let input = if tls_up {
            Input::TlsUp
        } else {
            let peer = io.peer.clone();
            let packet = tokio::time::timeout(STEP_TIMEOUT, read_packet(io.stream()?, &peer)).await;
            Input::Packet(packet.map_err(|_| NetError::Timeout { peer, waited: STEP_TIMEOUT })??)
        };
        outputs = machine.step(input);
    }
}

/// Does one output.
pub(crate) async fn act(io: &mut Io, output: Output, session: Option<&Session>) -> Result<Acted, NetError> {
    match output {
        Output::Send(bytes) => io.write(&encode(&bytes)).await?,
        Output::Signal(signal) => io.write(&signal.number().to_be_bytes()).await?,
        Output::Pause(delay) => pause(delay).await,
        Output::StartTls(start) => {
            let session = session.ok_or_else(|| NetError::Closed { peer: io.peer.clone() })?;
            io.start_tls(start.server, start.kind, session).await?;
            return Ok(Acted::TlsUp);
        }
        Output::Done(peer) => return Ok(Acted::Done(peer)),
        Output::Fail(source) => return Err(NetError::Handshake { peer: io.peer.clone(), source }),
    }
    Ok(Acted::Sent)
}

async fn pause(delay: Duration) {
    if let Ok(_permit) = FAILURES_WAITING.try_acquire() {
        tokio::time::sleep(delay).await;
    }
}

pub(crate) fn encode(payload: &[u8]) -> Bytes {
    let mut encoder = FrameEncoder::default();
    encoder.data(payload);
    encoder.take()
}

/// One packet, without reading a byte beyond it.
pub(crate) async fn read_packet(
    stream: &mut (impl AsyncRead + Unpin),
    peer: &str,
) -> Result<Packet, NetError> {
    let mut head = Vec::with_capacity(2 * wire::frame::HEADER_BYTES);
    loop {
        let mut word = [0; wire::frame::HEADER_BYTES];
        read_exact(stream, &mut word, peer).await?;
        head.extend_from_slice(&word);
        let frame = |source| NetError::Frame { peer: peer.to_owned(), source };
        let header = Header::parse(&head).map_err(frame)?;
        header.map_or(Ok(()), |header| header.check_handshake()).map_err(frame)?;
        match header {
            None => {}
            Some(Header::Signal(signal)) => return Ok(Packet::Signal(signal)),
            Some(Header::Data { payload, lz4_from, .. }) => {
                let mut data = vec![0; payload];
                read_exact(stream, &mut data, peer).await?;
                let data = match lz4_from {
                    None => data,
                    Some(offset) => expand(&data, offset).map_err(frame)?,
                };
                return Ok(Packet::Data(data.into()));
            }
        }
    }
}

async fn read_exact(
    stream: &mut (impl AsyncRead + Unpin),
    buf: &mut [u8],
    peer: &str,
) -> Result<(), NetError> {
    match stream.read_exact(buf).await {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err(NetError::Closed { peer: peer.to_owned() })
        }
        Err(source) => Err(NetError::Io { peer: peer.to_owned(), source }),
    }
}
