//! The way to our Director: a journal, streamed to whoever is active (docs/extensions.md §4, §5).

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use types::{JobId, JobStatus};
use wire::Signal;
use wire::version::Generation;

use super::line::Line;
use super::message::{self, JobMediaSpan, Kind};
use super::outbox::OutboxError;
use super::state::StopFlag;
use crate::journal::{Journal, JournalError, JournalReader, Record};
use crate::lock::{lock, wait};

/// Records streamed ahead of the last `Ack`. The Director commits after 8192 of them: each commit costs it a sync.
const AHEAD_RECORDS_MAX: u64 = 32_768;
/// Bytes streamed ahead of the last `Ack`.
const AHEAD_BYTES_MAX: u64 = 4 << 20;
/// Records read from the journal before the line is flushed.
const BATCH_RECORDS_MAX: usize = 256;
/// How often waiting threads look around.
const LOOK_EVERY: Duration = Duration::from_millis(500);

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

/// The way to our Director.
#[derive(Debug)]
pub struct JournalOutbox {
    job: JobId,
    daemon: String,
    stop: Arc<StopFlag>,
    reconnect: Duration,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inner {
    journal: Journal,
    line: Option<Arc<Line>>,
    /// When the last connection went away.
    alone_since: Instant,
    acked: u64,
    is_replicated: bool,
    is_ended: bool,
    is_closed: bool,
    /// Requests that wait, with their answers once they are there.
    answers: HashMap<u64, Option<Vec<u8>>>,
    /// Draws the nonce of a request.
    nonces: Option<NonceSource>,
}

/// Draws a nonce and remembers it for the Director's registration.
pub type NonceSource = Arc<dyn NonceGiver>;

/// Something that draws nonces.
pub trait NonceGiver: Send + Sync + std::fmt::Debug {
    /// A fresh nonce.
    fn draw(&self) -> types::Nonce;
}

impl JournalOutbox {
    /// Over a journal; `reconnect` bounds how long a request waits for a Director.
    #[must_use]
    pub fn new(job: JobId, daemon: &str, journal: Journal, stop: Arc<StopFlag>, reconnect: Duration) -> Self {
        let inner = Inner {
            journal,
            line: None,
            alone_since: Instant::now(),
            acked: 0,
            is_replicated: false,
            is_ended: false,
            is_closed: false,
            answers: HashMap::new(),
            nonces: None,
        };
        Self {
            job,
            daemon: daemon.to_owned(),
            stop,
            reconnect,
            inner: Mutex::new(inner),
            changed: Condvar::new(),
        }
    }

    /// Marks a journal that was found complete.
    pub fn note_ended(&self) {
        self.inner().is_ended = true;
        self.changed.notify_all();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Number of the last record.
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.inner().journal.last_seq()
    }

    /// Number of the last record that the catalog has.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.inner().acked
    }

    /// Whether every record of an ended job is in the catalog, and whether twice.
    #[must_use]
    pub fn settled(&self) -> (bool, bool) {
        let inner = self.inner();
        let all = inner.is_ended && inner.acked >= inner.journal.last_seq();
        (all, all && inner.is_replicated)
    }

    /// Spans of Volumes in records that no catalog has acknowledged.
    #[must_use]
    pub fn unacknowledged_spans(&self) -> Vec<JobMediaSpan> {
        let inner = self.inner();
        let Ok(mut reader) = inner.journal.reader(inner.acked + 1) else { return Vec::new() };
        let mut spans = Vec::new();
        while let Ok(Some(record)) = reader.next() {
            let text = String::from_utf8_lossy(&record.payload);
            if text.starts_with("CatReq ") && text.contains(" CreateJobMedia") {
                spans.extend(text.lines().skip(1).filter_map(JobMediaSpan::parse_journal_row));
            }
        }
        spans
    }

    /// Whether no Director has been there for the time that one may take to come back.
    #[must_use]
    pub fn is_forsaken(&self) -> bool {
        let inner = self.inner();
        inner.line.is_none() && inner.alone_since.elapsed() > self.reconnect
    }

    /// Whether the catalog has closed the attempt.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.inner().is_closed
    }

    /// The journal's file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.inner().journal.path().to_owned()
    }

    /// Bytes of the journal that wait for a checkpoint.
    #[must_use]
    pub fn unsynced_bytes(&self) -> u64 {
        self.inner().journal.unsynced_bytes()
    }

    /// Makes a connection the job's; an older one is ended.
    pub fn attach(&self, line: &Arc<Line>, nonces: NonceSource) {
        let mut inner = self.inner();
        if let Some(old) = inner.line.replace(Arc::clone(line))
            && !Arc::ptr_eq(&old, line)
        {
            old.close();
        }
        inner.nonces = Some(nonces);
        drop(inner);
        self.changed.notify_all();
    }

    /// Requests carry nonces of this source from now on: the part of [`Self::attach`] that needs no connection.
    pub fn draw_nonces_from(&self, nonces: NonceSource) {
        self.inner().nonces = Some(nonces);
    }

    /// A connection has gone.
    pub fn detach(&self, line: &Arc<Line>) {
        let mut inner = self.inner();
        if inner.line.as_ref().is_some_and(|l| Arc::ptr_eq(l, line)) {
            inner.line = None;
            inner.alone_since = Instant::now();
        }
        drop(inner);
        self.changed.notify_all();
    }

    /// `Ack <seq>`.
    pub fn acknowledge(&self, seq: u64, is_replicated: bool) {
        let mut inner = self.inner();
        inner.acked = inner.acked.max(seq.min(inner.journal.last_seq()));
        inner.is_replicated |= is_replicated && seq >= inner.journal.last_seq();
        drop(inner);
        self.changed.notify_all();
    }

    /// The catalog that is there now has the records up to this one, whatever was confirmed before.
    pub fn confirm_to(&self, seq: u64) {
        let mut inner = self.inner();
        let seq = seq.min(inner.journal.last_seq());
        inner.is_replicated &= seq >= inner.acked;
        inner.acked = seq;
        drop(inner);
        self.changed.notify_all();
    }

    /// `Ans <seq> <reply>`.
    pub fn answer(&self, seq: u64, reply: &[u8]) {
        let mut inner = self.inner();
        if let Some(slot) = inner.answers.get_mut(&seq) {
            slot.get_or_insert_with(|| reply.to_vec());
        }
        drop(inner);
        self.acknowledge(seq, false);
    }

    /// `Closed <attempt>`: nothing of this attempt is wanted any more.
    pub fn close_attempt(&self) {
        self.inner().is_closed = true;
        self.stop.cancel();
        self.changed.notify_all();
    }

    pub(crate) fn message(&self, kind: Kind, text: &str) {
        let payload = message::job_message(self.job, &self.daemon, kind, Generation::New, text);
        if let Err(error) = self.append(&payload) {
            tracing::error!(job = %self.job, %error, text, "a message could not be recorded");
        }
    }

    pub(crate) fn status(&self, status: JobStatus) {
        let line = self.inner().line.clone();
        if let Some(line) = line {
            let _ = line.send(format!("Status JobId={} JobStatus={}\n", self.job, status.code()).as_bytes());
        }
    }

    /// Appends a record.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn append(&self, payload: &[u8]) -> Result<u64, OutboxError> {
        let seq = self.inner().journal.append(payload)?;
        self.changed.notify_all();
        Ok(seq)
    }

    pub(crate) fn append_all(&self, payloads: &[Vec<u8>]) -> Result<(), OutboxError> {
        let mut inner = self.inner();
        for payload in payloads {
            inner.journal.append(payload)?;
        }
        Ok(())
    }

    pub(crate) fn job_media(&self, spans: &[JobMediaSpan]) -> Result<(), OutboxError> {
        self.append(&message::job_media_record(self.job, spans)).map(drop)
    }

    /// Appends the last record: `3099 …`.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn end(&self, payload: &[u8]) -> Result<(), OutboxError> {
        let mut inner = self.inner();
        inner.journal.append(payload)?;
        inner.journal.give_back_room();
        inner.is_ended = true;
        drop(inner);
        self.sync()?;
        self.changed.notify_all();
        Ok(())
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// The journal cannot be written or synced.
    pub fn sync(&self) -> Result<(), OutboxError> {
        let (file, seq, path) = {
            let mut inner = self.inner();
            let (file, seq) = inner.journal.prepare_sync()?;
            (file, seq, inner.journal.path().display().to_string())
        };
        file.sync_data().map_err(|source| JournalError::Io { path, source })?;
        self.inner().journal.note_durable(seq);
        Ok(())
    }

    /// Appends a checkpoint record and makes it durable; what it covers can be streamed then.
    ///
    /// # Errors
    /// The journal cannot be written or synced.
    pub fn checkpoint(&self, payload: &[u8]) -> Result<(), OutboxError> {
        self.append(payload)?;
        self.sync()?;
        self.changed.notify_all();
        Ok(())
    }

    pub(crate) fn request(&self, line: &str) -> Result<Vec<u8>, OutboxError> {
        let seq = self.ask(line)?;
        let mut inner = self.inner();
        loop {
            if let Some(answer) = inner.take_answer(seq) {
                return Ok(answer);
            }
            let failed = if inner.is_closed {
                Some(OutboxError::Closed)
            } else if self.stop.is_canceled() {
                Some(OutboxError::Canceled)
            } else if inner.line.is_none() && inner.alone_since.elapsed() > self.reconnect {
                Some(OutboxError::NoDirector(self.reconnect.as_secs()))
            } else {
                None
            };
            if let Some(failed) = failed {
                inner.answers.remove(&seq);
                return Err(failed);
            }
            inner = wait(&self.changed, inner, LOOK_EVERY);
        }
    }

    /// Appends a request, with a fresh nonce where it is one about a choice of Volumes, and gives its number.
    ///
    /// # Errors
    /// The journal cannot be written.
    pub fn ask(&self, line: &str) -> Result<u64, OutboxError> {
        let mut inner = self.inner();
        let is_volume_choice = line.contains(" FindMedia=") || line.contains(" GetVolInfo ");
        let nonce = inner.nonces.clone().filter(|_| is_volume_choice).map(|n| n.draw());
        let payload = match nonce {
            Some(nonce) => format!("{line} nonce={nonce}\n"),
            None => format!("{line}\n"),
        };
        let seq = inner.journal.append(payload.as_bytes())?;
        inner.answers.insert(seq, None);
        self.changed.notify_all();
        Ok(seq)
    }

    /// The answer to a request, once it is there; it is given once.
    #[must_use]
    pub fn take_answer(&self, seq: u64) -> Option<Vec<u8>> {
        self.inner().take_answer(seq)
    }

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
    fn take_answer(&mut self, seq: u64) -> Option<Vec<u8>> {
        let answer = self.answers.get(&seq)?.clone()?;
        self.answers.remove(&seq);
        Some(answer)
    }

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Header;

    #[test]
    fn a_request_that_a_director_decided_and_did_not_answer_is_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::create(&dir.path().join("j"), &Header::default()).unwrap();
        let stop = Arc::new(StopFlag::default());
        let outbox = JournalOutbox::new(JobId(1), "sd", journal, stop, Duration::from_secs(1));
        outbox.append(b"3010 Job J.1 start\n").unwrap();
        let asked = outbox.ask("CatReq JobId=1 UpdateMedia VolName=V").unwrap();
        outbox.append(b"Jmsg later\n").unwrap();
        // The Director that comes finds the request's record in the catalog, the answer with it.
        outbox.acknowledge(asked, false);
        let numbers = |from| {
            let mut stream = outbox.begin_stream(from).unwrap();
            match outbox.next_batch(&mut stream).unwrap() {
                Batch::Records(records) => records.iter().map(|record| record.seq).collect(),
                Batch::Nothing | Batch::Finished => Vec::new(),
            }
        };
        assert_eq!(numbers(asked + 1), [asked, asked + 1]);
        outbox.answer(asked, b"1000 OK");
        assert_eq!(numbers(asked + 1), [asked + 1]);
    }
}
