//! An open session on tokio.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::dialogue::handshake::PeerInfo;
use wire::frame::{FrameDecoder, FrameEncoder, Packet, Signal};

use crate::error::NetError;
use crate::stream::{ReadIo, Stream, WriteIo, reunite};

/// Buffer of a control connection: lines, not data.
const CONTROL_BUFFER_BYTES: usize = 32 << 10;
/// A writer with more than this collected writes before it takes more.
const COALESCE_BYTES: usize = 64 << 10;

/// An open session: packets in both directions.
#[derive(Debug)]
pub struct Conn {
    reader: ConnReader,
    writer: ConnWriter,
    peer: PeerInfo,
    address: SocketAddr,
}

/// Receiving half.
#[derive(Debug)]
pub struct ConnReader {
    io: ReadIo,
    decoder: FrameDecoder,
    peer: String,
    peer_has_ended: bool,
}

/// Sending half.
#[derive(Debug)]
pub struct ConnWriter {
    io: WriteIo,
    encoder: FrameEncoder,
    peer: String,
}

impl Conn {
    pub(crate) fn new(stream: Stream, peer: PeerInfo, address: SocketAddr) -> Self {
        let (read, write) = stream.split();
        let name = address.to_string();
        let decoder = FrameDecoder::with_capacity(CONTROL_BUFFER_BYTES);
        Self {
            reader: ConnReader { io: read, decoder, peer: name.clone(), peer_has_ended: false },
            writer: ConnWriter { io: write, encoder: FrameEncoder::default(), peer: name },
            peer,
            address,
        }
    }

    /// What the handshake found out about the peer.
    #[must_use]
    pub fn peer(&self) -> &PeerInfo {
        &self.peer
    }

    /// The peer's address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next packet. Cancel safe.
    ///
    /// # Errors
    /// [`NetError::Closed`] when the peer has closed between packets, others for broken connections.
    pub async fn recv(&mut self) -> Result<Packet, NetError> {
        self.reader.recv().await
    }

    /// The next packet, or an error after `limit`. Cancel safe.
    ///
    /// # Errors
    /// As [`Conn::recv`], and [`NetError::Timeout`].
    pub async fn recv_within(&mut self, limit: Duration) -> Result<Packet, NetError> {
        self.reader.recv_within(limit).await
    }

    /// Sends one packet now.
    ///
    /// # Errors
    /// [`NetError::Io`].
    pub async fn send(&mut self, payload: impl AsRef<[u8]>) -> Result<(), NetError> {
        self.writer.send(payload).await
    }

    /// Sends a signal now.
    ///
    /// # Errors
    /// [`NetError::Io`].
    pub async fn signal(&mut self, signal: Signal) -> Result<(), NetError> {
        self.writer.signal(signal).await
    }

    /// Collects a packet to be sent with the next flush.
    pub fn queue(&mut self, payload: impl AsRef<[u8]>) {
        self.writer.queue(payload);
    }

    /// Collects a signal to be sent with the next flush.
    pub fn queue_signal(&mut self, signal: Signal) {
        self.writer.queue_signal(signal);
    }

    /// Sends what was collected.
    ///
    /// # Errors
    /// [`NetError::Io`].
    pub async fn flush(&mut self) -> Result<(), NetError> {
        self.writer.flush().await
    }

    /// The halves, for two tasks.
    #[must_use]
    pub fn split(self) -> (ConnReader, ConnWriter, PeerInfo) {
        (self.reader, self.writer, self.peer)
    }

    /// Both halves borrowed, for `select!`.
    pub fn halves(&mut self) -> (&mut ConnReader, &mut ConnWriter) {
        (&mut self.reader, &mut self.writer)
    }

    /// Ends the session politely: signal TERMINATE unless the peer has sent its own, then close. Errors are of no interest
    /// any more.
    pub async fn terminate(mut self) {
        if self.reader.peer_has_ended {
            // A peer that has ended TLS takes data after that for an error (Bacula 9.6 puts it into the job's messages).
            self.writer.close().await;
        } else {
            self.writer.terminate().await;
        }
    }

    /// The bare socket without TLS, for a session that starts anew on it (spec/01 §2.8); `None` if bytes of the peer are
    /// waiting in the buffer, which would be lost.
    #[must_use]
    pub fn into_tcp(self) -> Option<TcpStream> {
        if self.reader.decoder.is_mid_packet() {
            return None;
        }
        reunite(self.reader.io, self.writer.io)
    }
}

impl ConnReader {
    /// The next packet. Cancel safe.
    ///
    /// # Errors
    /// As [`Conn::recv`].
    pub async fn recv(&mut self) -> Result<Packet, NetError> {
        loop {
            match self.decoder.next_packet() {
                Ok(Some(packet)) => {
                    self.peer_has_ended |= packet == Packet::Signal(Signal::Terminate);
                    return Ok(packet);
                }
                Ok(None) => {}
                Err(source) => return Err(NetError::Frame { peer: self.peer.clone(), source }),
            }
            let read = self.io.read_buf(self.decoder.buffer()).await;
            match read {
                Ok(0) => return Err(NetError::Closed { peer: self.peer.clone() }),
                Ok(_) => {}
                Err(source) => return Err(NetError::Io { peer: self.peer.clone(), source }),
            }
        }
    }

    /// The next packet, or an error after `limit`. Cancel safe.
    ///
    /// # Errors
    /// As [`Conn::recv`], and [`NetError::Timeout`].
    pub async fn recv_within(&mut self, limit: Duration) -> Result<Packet, NetError> {
        match tokio::time::timeout(limit, self.recv()).await {
            Ok(result) => result,
            Err(_) => Err(NetError::Timeout { peer: self.peer.clone(), waited: limit }),
        }
    }
}

impl ConnWriter {
    /// Sends one packet now, with what was collected before it.
    ///
    /// # Errors
    /// [`NetError::Io`].
    pub async fn send(&mut self, payload: impl AsRef<[u8]>) -> Result<(), NetError> {
        self.queue(payload);
        self.flush().await
    }

    /// Sends a signal now, with what was collected before it.
    ///
    /// # Errors
    /// [`NetError::Io`].
    pub async fn signal(&mut self, signal: Signal) -> Result<(), NetError> {
        self.queue_signal(signal);
        self.flush().await
    }

    /// Collects a packet. Call [`ConnWriter::flush`] in time: nothing here bounds what is collected.
    pub fn queue(&mut self, payload: impl AsRef<[u8]>) {
        self.encoder.data(payload.as_ref());
    }

    /// Collects a signal.
    pub fn queue_signal(&mut self, signal: Signal) {
        self.encoder.signal(signal);
    }

    /// Collects a packet and sends everything once enough has come together.
    ///
    /// # Errors
    /// [`NetError::Io`].
    pub async fn feed(&mut self, payload: impl AsRef<[u8]>) -> Result<(), NetError> {
        self.queue(payload);
        if self.encoder.len() >= COALESCE_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Sends what was collected.
    ///
    /// # Errors
    /// [`NetError::Io`].
    pub async fn flush(&mut self) -> Result<(), NetError> {
        let bytes: Bytes = self.encoder.take();
        if bytes.is_empty() {
            return Ok(());
        }
        let result = async {
            self.io.write_all(&bytes).await?;
            self.io.flush().await
        };
        result.await.map_err(|source| NetError::Io { peer: self.peer.clone(), source })
    }

    /// Ends the session politely: signal TERMINATE, then close for writing.
    pub async fn terminate(&mut self) {
        self.queue_signal(Signal::Terminate);
        self.close().await;
    }

    /// Sends what was collected and closes for writing.
    pub async fn close(&mut self) {
        if self.flush().await.is_ok() {
            // The peer may be gone already; there is nobody left to tell.
            let _ = self.io.shutdown().await;
        }
    }
}
