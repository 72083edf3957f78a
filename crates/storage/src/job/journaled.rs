//! The way to our Director: a journal, streamed to whoever is active (docs/extensions.md §4, §5).

mod stream;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use types::{JobId, JobStatus};
use wire::version::Generation;

use super::line::Line;
use super::message::{self, JobMediaSpan, Kind};
use super::outbox::OutboxError;
use super::state::StopFlag;
use crate::journal::{Journal, JournalError};
use crate::lock::{lock, wait};

pub use stream::{Batch, Stream, StreamEnd};

/// How often waiting threads look around.
const LOOK_EVERY: Duration = Duration::from_millis(500);

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
}

impl Inner {
    fn take_answer(&mut self, seq: u64) -> Option<Vec<u8>> {
        let answer = self.answers.get(&seq)?.clone()?;
        self.answers.remove(&seq);
        Some(answer)
    }
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
