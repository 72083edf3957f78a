//! Runs a handshake machine over a blocking socket.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wire::dialogue::handshake::{Input, Machine, Output, PeerInfo, STEP_TIMEOUT, TOTAL_TIMEOUT};
use wire::frame::{HEADER_BYTES, Header, Packet, expand};

use super::reader::PacketReader;
use super::tls::{TlsReader, TlsSession};
use super::writer::PacketWriter;
use super::{Closer, Conn};
use crate::drive::{FAILURES_WAITING_MAX, encode};
use crate::error::NetError;
use crate::session::Session;

static FAILURES_WAITING: AtomicUsize = AtomicUsize::new(0);

struct Io<'a> {
    socket: &'a TcpStream,
    reader: Option<TlsReader>,
    tls: Option<TlsSession>,
    peer: String,
    deadline: Instant,
}

pub(super) fn drive(
    socket: TcpStream,
    machine: &mut dyn Machine,
    session: &Session,
) -> Result<Conn, NetError> {
    let lost = |source| NetError::Io { peer: "a peer".to_owned(), source };
    let address = socket.peer_addr().map_err(lost)?;
    let peer = address.to_string();
    let failed = |source| NetError::Io { peer: peer.clone(), source };
    let deadline = Instant::now() + TOTAL_TIMEOUT;
    let mut io = Io { socket: &socket, reader: None, tls: None, peer: peer.clone(), deadline };
    let info = converse(&mut io, machine, session)?;
    let (tls_reader, tls) = (io.reader, io.tls);
    socket.set_read_timeout(None).map_err(failed)?;
    let reader = PacketReader::new(socket.try_clone().map_err(failed)?, tls_reader, peer.clone());
    let writer = PacketWriter::new(socket.try_clone().map_err(failed)?, tls, peer.clone());
    Ok(Conn { reader, writer, peer: *info, closer: Closer { socket, address } })
}

fn converse(
    io: &mut Io<'_>,
    machine: &mut dyn Machine,
    session: &Session,
) -> Result<Box<PeerInfo>, NetError> {
    let mut outputs = machine.start();
    loop {
        let mut tls_up = false;
        for output in outputs {
            match output {
                Output::Send(bytes) => io.write(&encode(&bytes))?,
                Output::Signal(signal) => io.write(&signal.number().to_be_bytes())?,
                Output::Pause(delay) => pause(delay),
                Output::StartTls(start) => {
                    let started = TlsSession::start(io.socket, start.server, start.kind, session);
                    let tls = started.map_err(|source| NetError::Tls { peer: io.peer.clone(), source })?;
                    io.reader = Some(TlsReader::new(tls.clone()));
                    io.tls = Some(tls);
                    tls_up = true;
                }
                Output::Done(peer) => return Ok(peer),
                Output::Fail(source) => return Err(NetError::Handshake { peer: io.peer.clone(), source }),
            }
        }
        let input = if tls_up { Input::TlsUp } else { Input::Packet(io.packet()?) };
        outputs = machine.step(input);
    }
}

/// Keeps a failed peer waiting, unless too many are waiting already.
fn pause(delay: Duration) {
    if FAILURES_WAITING.fetch_add(1, Ordering::Relaxed) < FAILURES_WAITING_MAX {
        // No event: the delay is the penalty.
        std::thread::sleep(delay);
    }
    FAILURES_WAITING.fetch_sub(1, Ordering::Relaxed);
}

impl Io<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        let write = |mut socket: &TcpStream| match &self.tls {
            None => socket.write_all(bytes),
            Some(tls) => socket.write_all(&tls.encrypt(&[bytes], Vec::new())?),
        };
        write(self.socket).map_err(|source| NetError::Io { peer: self.peer.clone(), source })
    }

    /// One packet, without reading a byte beyond it.
    fn packet(&mut self) -> Result<Packet, NetError> {
        let limit = STEP_TIMEOUT.min(self.deadline.saturating_duration_since(Instant::now()));
        if limit.is_zero() {
            return Err(NetError::Timeout { peer: self.peer.clone(), waited: TOTAL_TIMEOUT });
        }
        self.socket
            .set_read_timeout(Some(limit))
            .map_err(|source| NetError::Io { peer: self.peer.clone(), source })?;
        let mut head = Vec::with_capacity(2 * HEADER_BYTES);
        loop {
            let mut word = [0; HEADER_BYTES];
            self.read_exact(&mut word, limit)?;
            head.extend_from_slice(&word);
            let frame = |source| NetError::Frame { peer: self.peer.clone(), source };
            let header = Header::parse(&head).map_err(frame)?;
            header.map_or(Ok(()), |header| header.check_handshake()).map_err(frame)?;
            match header {
                None => {}
                Some(Header::Signal(signal)) => return Ok(Packet::Signal(signal)),
                Some(Header::Data { payload, lz4_from, .. }) => {
                    let mut data = vec![0; payload];
                    self.read_exact(&mut data, limit)?;
                    let frame = |source| NetError::Frame { peer: self.peer.clone(), source };
                    return Ok(Packet::Data(match lz4_from {
                        None => data.into(),
                        Some(offset) => expand(&data, offset).map_err(frame)?.into(),
                    }));
                }
            }
        }
    }

    fn read_exact(&mut self, mut buf: &mut [u8], limit: Duration) -> Result<(), NetError> {
        while !buf.is_empty() {
            let mut socket = self.socket;
            let read = match &mut self.reader {
                None => socket.read(buf),
                Some(tls) => tls.read(socket, buf),
            };
            match read {
                Ok(0) => return Err(NetError::Closed { peer: self.peer.clone() }),
                Ok(count) => buf = &mut buf[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    return Err(NetError::Timeout { peer: self.peer.clone(), waited: limit });
                }
                Err(source) => return Err(NetError::Io { peer: self.peer.clone(), source }),
            }
        }
        Ok(())
    }
}
