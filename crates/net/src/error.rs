//! What can go wrong on a connection.

use std::io;
use std::time::Duration;

use wire::dialogue::handshake::HandshakeError;
use wire::frame::FrameError;

use crate::tls::TlsError;

/// Why a connection could not be made or goes no further. Each names the peer.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Nobody answered in the time allowed.
    #[error("connect to {peer} for {waited:?}")]
    Connect {
        /// Host and port.
        peer: String,
        /// How long it was tried.
        waited: Duration,
        /// The last failure.
        #[source]
        source: io::Error,
    },
    /// A port cannot be listened on.
    #[error("listen on {address}")]
    Listen {
        /// Address and port.
        address: String,
        /// The failure.
        #[source]
        source: io::Error,
    },
    /// The session was not opened.
    #[error("open session with {peer}")]
    Handshake {
        /// Address of the peer.
        peer: String,
        /// The reason.
        #[source]
        source: HandshakeError,
    },
    /// The TLS handshake failed; with TLS-PSK most often because the passwords differ.
    #[error("start TLS with {peer}")]
    Tls {
        /// Address of the peer.
        peer: String,
        /// The reason.
        #[source]
        source: TlsError,
    },
    /// Reading or writing failed.
    #[error("connection with {peer}")]
    Io {
        /// Address of the peer.
        peer: String,
        /// The failure.
        #[source]
        source: io::Error,
    },
    /// What came is no packet.
    #[error("data from {peer}")]
    Frame {
        /// Address of the peer.
        peer: String,
        /// The failure.
        #[source]
        source: FrameError,
    },
    /// The peer closed the connection.
    #[error("{peer} closed the connection")]
    Closed {
        /// Address of the peer.
        peer: String,
    },
    /// The peer said nothing for too long.
    #[error("no answer from {peer} for {waited:?}")]
    Timeout {
        /// Address of the peer.
        peer: String,
        /// How long was waited.
        waited: Duration,
    },
}

impl NetError {
    /// Whether the peers' secrets differ: worth another text than a network failure.
    #[must_use]
    pub fn is_authentication(&self) -> bool {
        match self {
            Self::Handshake { source, .. } => {
                matches!(source, HandshakeError::WrongPassword | HandshakeError::Refused { .. })
            }
            Self::Tls { .. } => true,
            _ => false,
        }
    }
}
