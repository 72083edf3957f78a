//! The sending side of a Director's connection, shared by whoever has something to say.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use net::NetError;
use net::blocking::{Closer, PacketWriter};
use wire::Signal;

use crate::lock::lock;

/// A Director's connection.
#[derive(Debug)]
pub struct Line {
    writer: Mutex<PacketWriter>,
    closer: Closer,
    is_open: AtomicBool,
}

impl Line {
    /// Over the halves of a connection that do not receive.
    #[must_use]
    pub fn new(writer: PacketWriter, closer: Closer) -> Self {
        Self { writer: Mutex::new(writer), closer, is_open: AtomicBool::new(true) }
    }

    /// Sends one packet.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send(&self, payload: &[u8]) -> Result<(), NetError> {
        self.with(|writer| writer.send(payload))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn signal(&self, signal: Signal) -> Result<(), NetError> {
        self.with(|writer| {
            writer.signal(signal)?;
            writer.flush()
        })
    }

    /// Sends several things without others' between them.
    ///
    /// # Errors
    /// The connection is gone; it is closed then.
    pub fn with<T>(
        &self,
        send: impl FnOnce(&mut PacketWriter) -> Result<T, NetError>,
    ) -> Result<T, NetError> {
        let result = send(&mut lock(&self.writer));
        if result.is_err() {
            self.close();
        }
        result
    }

    /// Whether it is still there, as far as is known.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Closes it; the receiving side sees its end.
    pub fn close(&self) {
        self.is_open.store(false, Ordering::Release);
        self.closer.close();
    }

    /// The receiving side has seen its end.
    pub fn note_closed(&self) {
        self.is_open.store(false, Ordering::Release);
    }
}
