//! A connection with or without TLS, and its halves.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio_openssl::SslStream;

/// A socket, in clear or under TLS.
#[derive(Debug)]
pub enum Stream {
    /// In clear.
    Plain(TcpStream),
    /// Under TLS.
    Tls(Box<SslStream<TcpStream>>),
}

impl Stream {
    pub(crate) fn split(self) -> (ReadIo, WriteIo) {
        match self {
            Self::Plain(stream) => {
                let (read, write) = stream.into_split();
                (ReadIo::Plain(read), WriteIo::Plain(write))
            }
            Self::Tls(stream) => {
                let (read, write) = tokio::io::split(*stream);
                (ReadIo::Tls(read), WriteIo::Tls(write))
            }
        }
    }
}

macro_rules! on_each {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Plain($stream) => $call,
            Self::Tls($stream) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_each!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

/// Reading half.
#[derive(Debug)]
pub(crate) enum ReadIo {
    Plain(OwnedReadHalf),
    Tls(ReadHalf<SslStream<TcpStream>>),
}

impl AsyncRead for ReadIo {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

/// Writing half.
#[derive(Debug)]
pub(crate) enum WriteIo {
    Plain(OwnedWriteHalf),
    Tls(WriteHalf<SslStream<TcpStream>>),
}

impl AsyncWrite for WriteIo {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        on_each!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_each!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }
}

/// Puts the halves together again and drops TLS without a closing record: the plain socket, for a session that starts
/// anew on it (spec/01 §2.8).
pub(crate) fn reunite(read: ReadIo, write: WriteIo) -> Option<TcpStream> {
    match (read, write) {
        (ReadIo::Plain(read), WriteIo::Plain(write)) => read.reunite(write).ok(),
        (ReadIo::Tls(read), WriteIo::Tls(write)) if read.is_pair_of(&write) => {
            let stream = read.unsplit(write);
            // SslStream gives its socket away only by reference; a duplicate of the descriptor outlives it.
            let socket = socket2::SockRef::from(stream.get_ref()).try_clone().ok()?;
            TcpStream::from_std(socket.into()).ok()
        }
        _ => None,
    }
}
