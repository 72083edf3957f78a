//! Connections: connect, listen, handshake, TLS and TLS-PSK, framing. Bounded, with deadlines; it knows nothing of what
//! the messages mean (that is `wire`).
//!
//! Control connections run on tokio: [`Listener`], [`connect`], [`open`], [`accept`] and [`Conn`]. The data path between FD
//! and SD runs on threads: [`blocking`] does the same over a blocking socket, with large buffers. A connection that was
//! accepted on tokio and whose Hello was read there is handed over by [`Incoming::into_std`].
//!
//! ```no_run
//! # async fn example(tls: net::Tls) -> Result<(), net::NetError> {
//! use wire::hello::Hello;
//! use wire::version::DirVersion;
//! let target = net::Target::new("fd.example.org", 9102);
//! let stream = net::connect(&target).await?;
//! let hello = Hello::DirectorToClient { name: "dc1-dir".into(), version: DirVersion::CURRENT };
//! let session = net::Session::new("dc1-dir", wire::cram::Secret::from_password("secret"), tls);
//! let mut conn = net::open(stream, hello, &session).await?;
//! conn.send(b"status").await?;
//! # Ok(()) }
//! ```

mod accept;
pub mod blocking;
mod conn;
mod connect;
pub mod daemon;
mod drive;
mod error;
mod session;
mod stream;
mod tls;

pub use accept::{Incoming, Listener, accept, refuse};
pub use conn::{Conn, ConnReader, ConnWriter};
pub use connect::{Target, connect, open};
pub use error::NetError;
pub use session::Session;
pub use stream::Stream;
pub use tls::{Certificates, Tls, TlsError};
