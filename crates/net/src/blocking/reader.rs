//! Receiving: a large buffer is filled, packets are looked at in place.

use std::io::{self, Read};
use std::net::TcpStream;
use std::time::Duration;

use wire::frame::{Header, Packet, PacketRef, RECEIVE_BUFFER_BYTES, expand};

use super::tls::TlsReader;
use crate::error::NetError;

/// Receiving half of a blocking session.
#[derive(Debug)]
pub struct PacketReader {
    socket: TcpStream,
    tls: Option<TlsReader>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    plain: Vec<u8>,
    peer: String,
    timeout: Option<Duration>,
}

impl PacketReader {
    pub(super) fn new(socket: TcpStream, tls: Option<TlsReader>, peer: String) -> Self {
        let buffer = vec![0; RECEIVE_BUFFER_BYTES];
        Self { socket, tls, buffer, start: 0, end: 0, plain: Vec::new(), peer, timeout: None }
    }

    /// The next packet, in place: valid until the next call.
    ///
    /// # Errors
    /// [`NetError::Closed`] when the peer has closed, [`NetError::Timeout`] after the time of
    /// [`PacketReader::set_timeout`] (the call may be repeated), others for broken connections.
    pub fn recv_ref(&mut self) -> Result<PacketRef<'_>, NetError> {
        let header = loop {
            let waiting = &self.buffer[self.start..self.end];
            let header = Header::parse(waiting)
                .map_err(|source| NetError::Frame { peer: self.peer.clone(), source })?;
            match header {
                Some(header) if waiting.len() >= header.total() => break header,
                Some(header) => self.fill(header.total())?,
                None => self.fill(2 * wire::frame::HEADER_BYTES)?,
            }
        };
        let at = self.start;
        self.start += header.total();
        match header {
            Header::Signal(signal) => Ok(PacketRef::Signal(signal)),
            Header::Data { header, payload, lz4_from } => {
                let data = &self.buffer[at + header..at + header + payload];
                let Some(offset) = lz4_from else {
                    return Ok(PacketRef::Data(data));
                };
                self.plain = expand(data, offset)
                    .map_err(|source| NetError::Frame { peer: self.peer.clone(), source })?;
                Ok(PacketRef::Data(&self.plain))
            }
        }
    }

    /// The next packet, with its own copy of the bytes.
    ///
    /// # Errors
    /// As [`PacketReader::recv_ref`].
    pub fn recv(&mut self) -> Result<Packet, NetError> {
        self.recv_ref().map(PacketRef::to_owned)
    }

    /// Whether a whole packet is waiting in the buffer, so that the next receive does not block.
    #[must_use]
    pub fn has_packet(&self) -> bool {
        let waiting = &self.buffer[self.start..self.end];
        matches!(Header::parse(waiting), Ok(Some(header)) if waiting.len() >= header.total())
    }

    /// Bounds how long a receive waits for bytes; `None` waits for ever.
    ///
    /// # Errors
    /// [`NetError::Io`].
    pub fn set_timeout(&mut self, limit: Option<Duration>) -> Result<(), NetError> {
        self.timeout = limit;
        self.socket.set_read_timeout(limit).map_err(|source| NetError::Io { peer: self.peer.clone(), source })
    }

    /// Reads once; makes room for a packet of `wanted` bytes first.
    fn fill(&mut self, wanted: usize) -> Result<(), NetError> {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
        if self.start + wanted > self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if wanted > self.buffer.len() {
            // At most 1,000,008 bytes: the header was checked.
            self.buffer.resize(wanted.next_power_of_two(), 0);
        }
        let room = &mut self.buffer[self.end..];
        let read = loop {
            let result = match &mut self.tls {
                None => self.socket.read(room),
                Some(tls) => tls.read(&self.socket, room),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        match read {
            Ok(0) => Err(NetError::Closed { peer: self.peer.clone() }),
            Ok(count) => {
                self.end += count;
                Ok(())
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(NetError::Timeout { peer: self.peer.clone(), waited: self.timeout.unwrap_or_default() })
            }
            Err(source) => Err(NetError::Io { peer: self.peer.clone(), source }),
        }
    }
}
