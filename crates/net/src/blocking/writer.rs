//! Sending: small packets are collected, large ones go out from where they are.

use std::io::{self, IoSlice, Write};
use std::net::TcpStream;

use wire::frame::{HEADER_BYTES, PAYLOAD_BYTES_MAX, Signal};

use super::tls::TlsSession;
use crate::error::NetError;

/// Collected bytes after which they are written.
const COALESCE_BYTES: usize = 128 << 10;
/// A payload from this size on is not copied into the collection, but written from where it is.
const DIRECT_BYTES: usize = 32 << 10;

/// Sending half of a blocking session. What was collected is sent by [`PacketWriter::flush`], or when there is enough.
#[derive(Debug)]
pub struct PacketWriter {
    socket: TcpStream,
    tls: Option<TlsSession>,
    buffer: Vec<u8>,
    ciphertext: Vec<u8>,
    peer: String,
    payload_bytes: u64,
}

impl PacketWriter {
    pub(super) fn new(socket: TcpStream, tls: Option<TlsSession>, peer: String) -> Self {
        let buffer = Vec::with_capacity(COALESCE_BYTES + DIRECT_BYTES);
        Self { socket, tls, buffer, ciphertext: Vec::new(), peer, payload_bytes: 0 }
    }

    /// Sends a packet, now or together with later ones. Text over the limit of a packet goes in several.
    ///
    /// # Errors
    /// [`NetError::Io`].
    pub fn data(&mut self, payload: &[u8]) -> Result<(), NetError> {
        self.payload_bytes += payload.len() as u64;
        if payload.is_empty() {
            return self.put(&0u32.to_be_bytes());
        }
        for piece in payload.chunks(PAYLOAD_BYTES_MAX) {
            let header = (piece.len() as u32).to_be_bytes();
            if piece.len() >= DIRECT_BYTES {
                self.write(&[&header, piece])?;
            } else {
                self.buffer.reserve(HEADER_BYTES + piece.len());
                self.buffer.extend_from_slice(&header);
                self.put(piece)?;
            }
        }
        Ok(())
    }

    /// Sends a signal, now or together with later packets.
    ///
    /// # Errors
    /// [`NetError::Io`].
    pub fn signal(&mut self, signal: Signal) -> Result<(), NetError> {
        self.put(&signal.number().to_be_bytes())
    }

    /// Sends packets that are framed already, behind what was collected, from where they are. `payload_bytes` counts
    /// their payload for [`PacketWriter::payload_bytes`].
    ///
    /// # Errors
    /// [`NetError::Io`].
    pub fn raw(&mut self, framed: &[u8], payload_bytes: u64) -> Result<(), NetError> {
        self.payload_bytes += payload_bytes;
        self.write(&[framed])
    }

    /// Writes what was collected.
    ///
    /// # Errors
    /// [`NetError::Io`].
    pub fn flush(&mut self) -> Result<(), NetError> {
        self.write(&[])
    }

    /// A packet and a flush: for commands that are answered.
    ///
    /// # Errors
    /// [`NetError::Io`].
    pub fn send(&mut self, payload: impl AsRef<[u8]>) -> Result<(), NetError> {
        self.data(payload.as_ref())?;
        self.flush()
    }

    /// Payload bytes sent so far (CommBytes of spec/01 §5.8).
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= COALESCE_BYTES { self.flush() } else { Ok(()) }
    }

    /// Writes the collection and then `more`.
    fn write(&mut self, more: &[&[u8]]) -> Result<(), NetError> {
        let mut pieces: Vec<&[u8]> = Vec::with_capacity(1 + more.len());
        pieces.push(&self.buffer);
        pieces.extend_from_slice(more);
        let result = match &self.tls {
            None => write_all(&self.socket, &pieces),
            Some(tls) => {
                tls.encrypt(&pieces, std::mem::take(&mut self.ciphertext)).and_then(|mut ciphertext| {
                    let result = write_all(&self.socket, &[&ciphertext]);
                    ciphertext.clear();
                    self.ciphertext = ciphertext;
                    result
                })
            }
        };
        self.buffer.clear();
        result.map_err(|source| NetError::Io { peer: self.peer.clone(), source })
    }
}

/// The end of TLS is told, so that the peer does not take the close for a cut. Without waiting: it may be gone.
impl Drop for PacketWriter {
    fn drop(&mut self) {
        if let Some(tls) = &self.tls {
            let farewell = tls.close_notify();
            let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
            let _ = rustix::net::send(&self.socket, &farewell, flags);
        }
    }
}

fn write_all(mut socket: &TcpStream, pieces: &[&[u8]]) -> io::Result<()> {
    let mut slices: Vec<IoSlice<'_>> =
        pieces.iter().filter(|p| !p.is_empty()).map(|p| IoSlice::new(p)).collect();
    let mut slices = slices.as_mut_slice();
    while !slices.is_empty() {
        match socket.write_vectored(slices) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut slices, count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
