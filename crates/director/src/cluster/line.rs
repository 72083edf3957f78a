//! Commands to another instance, over a console connection of its own.

use super::leg;
use super::seat::Seat;
use conf::director::Instance;
use net::{ConnReader, ConnWriter};
use std::time::Duration;
use wire::frame::{Packet, Signal};

/// Longest answer taken, in bytes.
const ANSWER_MAX: usize = 64 * 1024;

/// A connection to another instance, as the default console. Dropping it ends the session there.
pub(super) struct Line {
    reader: ConnReader,
    writer: ConnWriter,
}

impl Line {
    /// Connects.
    ///
    /// # Errors
    /// Why it cannot be had, in one line.
    pub(super) async fn open(seat: &Seat, peer: &Instance) -> Result<Self, String> {
        let (reader, writer) = leg::open(seat, peer, None).await?;
        Ok(Self { reader, writer })
    }

    /// Gives a command and waits for the whole of its answer, for at most `limit`.
    ///
    /// # Errors
    /// In one line; the connection is of no use then.
    pub(super) async fn ask(&mut self, command: &str, limit: Duration) -> Result<Vec<u8>, String> {
        let asked = tokio::time::timeout(limit, self.answer(command)).await;
        asked.unwrap_or_else(|_| Err(format!("no answer within {} s", limit.as_secs())))
    }

    async fn answer(&mut self, command: &str) -> Result<Vec<u8>, String> {
        self.writer.send(format!("{command}\n")).await.map_err(|error| error.to_string())?;
        let mut said = Vec::new();
        loop {
            match self.reader.recv().await.map_err(|error| error.to_string())? {
                Packet::Data(data) if said.len() + data.len() <= ANSWER_MAX => said.extend_from_slice(&data),
                Packet::Data(_) => return Err("its answer is too long".to_owned()),
                Packet::Signal(Signal::Eod | Signal::Terminate) => return Ok(said),
                Packet::Signal(_) => {}
            }
        }
    }

    /// Returns when the other end is gone. Cancel safe.
    pub(super) async fn ended(&mut self) {
        while let Ok(packet) = self.reader.recv().await {
            if packet == Packet::Signal(Signal::Terminate) {
                return;
            }
        }
    }

    /// Takes leave.
    pub(super) async fn close(mut self) {
        self.writer.terminate().await;
    }
}
