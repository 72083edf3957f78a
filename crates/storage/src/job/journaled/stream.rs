//! A journal's stream to a connection: what is durable, in order, not too far ahead of what is acknowledged.

use std::collections::VecDeque;
use std::sync::Arc;

use wire::Signal;

use super::{Inner, JournalOutbox, LOOK_EVERY};
use crate::job::line::Line;
use crate::job::outbox::OutboxError;
use crate::journal::{JournalReader, Record};
use crate::lock::wait;

/// Records streamed ahead of the last `Ack`. The Director commits after 8192 of them: each commit costs it a sync.
const AHEAD_RECORDS_MAX: u64 = 32_768;
/// Bytes streamed ahead of the last `Ack`.
const AHEAD_BYTES_MAX: u64 = 4 << 20;
/// Records read from the journal before the line is flushed.
const BATCH_RECORDS_MAX: usize = 256;

/// How a stream to a Director ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// The last record of an ended job is acknowledged.
    Finished,
    /// The connection is gone, or another one has taken its place.
    Detached,
}

/// A stream of the journal to one connection.
#[derive(Debug)]
pub struct Stream {
    reader: JournalReader,
    /// Records that were sent and not acknowledged, with their bytes.
    ahead: VecDeque<(u64, u64)>,
    ahead_bytes: u64,
}

/// What a stream is to send next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Batch {
    /// These; they are on stable storage.
    Records(Vec<Record>),
    /// Nothing yet.
    Nothing,
    /// Nothing any more: the last record of an ended job is acknowledged.
    Finished,
}

impl JournalOutbox {
    /// Streams the journal from record `from` to a connection that was attached, until the job has ended and all is acknowledged, or
    /// the connection is no longer the job's.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn stream(&self, line: &Arc<Line>, from: u64) -> Result<StreamEnd, OutboxError> {
        let mut stream = self.begin_stream(from)?;
        loop {
            if !self.wait_streamable(line, &mut stream) {
                return Ok(StreamEnd::Detached);
            }
            match self.next_batch(&mut stream)? {
                Batch::Nothing => {}
                Batch::Finished => {
                    // Our Director closes when it has taken the end; EOD and TERMINATE are how a stock SD ends a job.
                    let _ = line.signal(Signal::Eod);
                    let _ = line.signal(Signal::Terminate);
                    return Ok(StreamEnd::Finished);
                }
                Batch::Records(batch) => {
                    if send(line, &batch).is_err() {
                        return Ok(StreamEnd::Detached);
                    }
                }
            }
        }
    }

    /// A stream from record `from` on; from an earlier request if its answer has not come. That one may be in the catalog, decided by
    /// a Director that ended before it could answer: asked again it gets the stored answer.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn begin_stream(&self, from: u64) -> Result<Stream, OutboxError> {
        let inner = self.inner();
        let waiting = inner.answers.iter().filter(|(_, answer)| answer.is_none()).map(|(seq, _)| *seq).min();
        let reader = inner.journal.reader(waiting.map_or(from, |seq| seq.min(from)))?;
        drop(inner);
        Ok(Stream { reader, ahead: VecDeque::new(), ahead_bytes: 0 })
    }

    /// What the stream is to send now. Does not wait, but for the disk: what is sent is on stable storage.
    ///
    /// # Errors
    /// The journal cannot be read or synced.
    pub fn next_batch(&self, stream: &mut Stream) -> Result<Batch, OutboxError> {
        let until = match self.inner().streamable(stream) {
            None => return Ok(Batch::Nothing),
            Some(0) => return Ok(Batch::Finished),
            Some(until) => until,
        };
        if self.inner().journal.durable() < until {
            self.sync()?;
        }
        let mut batch: Vec<Record> = Vec::new();
        while batch.len() < BATCH_RECORDS_MAX
            && stream.ahead_bytes < AHEAD_BYTES_MAX
            && stream.reader.next_seq() <= until
        {
            let Some(record) = stream.reader.next()? else { break };
            stream.ahead_bytes += record.payload.len() as u64;
            stream.ahead.push_back((record.seq, record.payload.len() as u64));
            batch.push(record);
        }
        Ok(Batch::Records(batch))
    }

    /// Waits until the stream has something to send; false when the connection is not the job's any more.
    fn wait_streamable(&self, line: &Arc<Line>, stream: &mut Stream) -> bool {
        let mut inner = self.inner();
        loop {
            let is_current = inner.line.as_ref().is_some_and(|l| Arc::ptr_eq(l, line));
            if !is_current || !line.is_open() || inner.is_closed {
                return false;
            }
            if inner.streamable(stream).is_some() {
                return true;
            }
            inner = wait(&self.changed, inner, LOOK_EVERY);
        }
    }
}

impl Inner {
    /// The last record that the stream may send now; 0 when the job has ended and all is acknowledged.
    fn streamable(&self, stream: &mut Stream) -> Option<u64> {
        while let Some((seq, bytes)) = stream.ahead.front().copied() {
            if seq > self.acked {
                break;
            }
            stream.ahead_bytes -= bytes;
            stream.ahead.pop_front();
        }
        if self.is_ended && self.acked >= self.journal.last_seq() {
            return Some(0);
        }
        let next = stream.reader.next_seq();
        let window = stream.ahead.front().map_or(next, |(seq, _)| *seq) + AHEAD_RECORDS_MAX - 1;
        let until = self.journal.streamable().min(window);
        (until >= next && stream.ahead_bytes < AHEAD_BYTES_MAX).then_some(until)
    }
}

fn send(line: &Line, batch: &[Record]) -> Result<(), net::NetError> {
    line.with(|writer| {
        for record in batch {
            let mut packet = format!("Jrn {} ", record.seq).into_bytes();
            packet.extend_from_slice(&record.payload);
            writer.data(&packet)?;
        }
        writer.flush()
    })
}
