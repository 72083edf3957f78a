//! TLS over memory: ciphertext is handed in and out, so that the socket is never used under the lock.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openssl::ssl::{ErrorCode, SslStream};
use wire::tls::TlsKind;

use crate::session::Session;
use crate::tls::TlsError;

/// Ciphertext read from the socket at a time.
const CIPHERTEXT_BYTES: usize = 256 << 10;

/// What OpenSSL takes for its connection.
#[derive(Debug, Default)]
struct Pipe {
    input: Vec<u8>,
    taken: usize,
    output: Vec<u8>,
}

impl Read for Pipe {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = &self.input[self.taken..];
        if rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = rest.len().min(buf.len());
        buf[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The TLS session that both halves share.
#[derive(Debug, Clone)]
pub(super) struct TlsSession {
    ssl: Arc<Mutex<SslStream<Pipe>>>,
}

impl TlsSession {
    /// Makes the TLS handshake on a socket at the start of TLS.
    pub(super) fn start(
        mut socket: &TcpStream,
        server: bool,
        kind: TlsKind,
        session: &Session,
    ) -> Result<Self, TlsError> {
        let ssl = session.tls.ssl(server, kind, &session.secret)?;
        let mut stream = SslStream::new(ssl, Pipe::default())?;
        let mut input = vec![0; 16 << 10];
        loop {
            let result = if server { stream.accept() } else { stream.connect() };
            let output = std::mem::take(&mut stream.get_mut().output);
            socket.write_all(&output)?;
            match result {
                Ok(()) => break,
                Err(error) if error.code() == ErrorCode::WANT_READ => {}
                Err(error) => return Err(error.into()),
            }
            let count = socket.read(&mut input)?;
            if count == 0 {
                return Err(
                    io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection").into()
                );
            }
            feed(stream.get_mut(), &input[..count]);
        }
        session.tls.check_peer(stream.ssl(), server, kind, session.host.as_deref())?;
        Ok(Self { ssl: Arc::new(Mutex::new(stream)) })
    }

    fn lock(&self) -> MutexGuard<'_, SslStream<Pipe>> {
        // A panic of the other half leaves OpenSSL's state as it is between calls: still consistent.
        self.ssl.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Encrypts `pieces` and gives back what is to be written to the socket.
    pub(super) fn encrypt(&self, pieces: &[&[u8]], spare: Vec<u8>) -> io::Result<Vec<u8>> {
        let mut stream = self.lock();
        stream.get_mut().output.reserve(pieces.iter().map(|piece| piece.len()).sum::<usize>());
        for mut piece in pieces.iter().copied() {
            while !piece.is_empty() {
                let count = stream.ssl_write(piece).map_err(into_io)?;
                piece = &piece[count..];
            }
        }
        Ok(std::mem::replace(&mut stream.get_mut().output, spare))
    }

    /// The record that ends TLS; empty if there is none to be sent.
    pub(super) fn close_notify(&self) -> Vec<u8> {
        let mut stream = self.lock();
        // Fails where TLS has broken already: then there is nothing to say.
        let _ = stream.shutdown();
        std::mem::take(&mut stream.get_mut().output)
    }

    fn decrypt(&self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let mut stream = self.lock();
        let mut filled = 0;
        // A record holds at most 16 KiB: go on until the buffer is full or the ciphertext used up.
        while filled < buf.len() {
            match stream.ssl_read(&mut buf[filled..]) {
                Ok(count) => filled += count,
                Err(error) if error.code() == ErrorCode::WANT_READ => break,
                Err(error) if filled > 0 && error.code() == ErrorCode::ZERO_RETURN => break,
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => return Ok(Some(0)),
                Err(error) => return Err(into_io(error)),
            }
        }
        Ok((filled > 0).then_some(filled))
    }
}

/// The receiving side of a TLS session with its buffer of ciphertext.
#[derive(Debug)]
pub(super) struct TlsReader {
    session: TlsSession,
    ciphertext: Vec<u8>,
}

impl TlsReader {
    pub(super) fn new(session: TlsSession) -> Self {
        Self { session, ciphertext: vec![0; CIPHERTEXT_BYTES] }
    }

    /// Reads plain text; 0 at the end.
    pub(super) fn read(&mut self, mut socket: &TcpStream, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(count) = self.session.decrypt(buf)? {
                return Ok(count);
            }
            let count = socket.read(&mut self.ciphertext)?;
            if count == 0 {
                // Bacula closes without a closing record; the protocol's own signals tell a cut from an end.
                return Ok(0);
            }
            feed(self.session.lock().get_mut(), &self.ciphertext[..count]);
        }
    }
}

fn feed(pipe: &mut Pipe, bytes: &[u8]) {
    if pipe.taken == pipe.input.len() {
        pipe.input.clear();
        pipe.taken = 0;
    } else if pipe.taken > CIPHERTEXT_BYTES {
        pipe.input.drain(..pipe.taken);
        pipe.taken = 0;
    }
    pipe.input.extend_from_slice(bytes);
}

fn into_io(error: openssl::ssl::Error) -> io::Error {
    error.into_io_error().unwrap_or_else(io::Error::other)
}
