//! What a job's daemons say without being asked.

use super::job::Job;
use super::lost::Lost;
use super::readback;
use crate::catreq::{CatReqError, CatalogSession, Handled, Verdict};
use crate::handle::Director;
use crate::messages::Message;
use crate::peer::{Outbox, Traffic, chain, parse_jmsg};
use bytes::Bytes;
use catalog::Catalog;
use catalog::journal::{self, JournalKey};
use conf::messages::MessageType;
use lead::EpochGuard;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use types::{Attempt, JobStatus, JobType, Seq, Timestamp};
use wire::scan::{self, Fields};
use wire::version::Generation;

/// How long what an SD sent may wait for the catalog when nothing more comes.
const FLUSH_AFTER: Duration = Duration::from_millis(500);
/// FD journal records between acknowledgements.
const ACK_EVERY: u64 = 64;

/// Hands the catalog session back, with the SD's end line already passed on.
pub(crate) type SessionBack = oneshot::Receiver<CatalogSession>;

/// The SD's side: catalog requests and journal go to the [`CatalogSession`], the rest to the job.
pub(crate) struct StorageTraffic {
    job: Arc<Job>,
    generation: Generation,
    session: Option<CatalogSession>,
    back: Option<oneshot::Sender<CatalogSession>>,
}

impl StorageTraffic {
    pub(crate) fn new(job: Arc<Job>, generation: Generation, session: CatalogSession) -> (Self, SessionBack) {
        let (sender, receiver) = oneshot::channel();
        (Self { job, generation, session: Some(session), back: Some(sender) }, receiver)
    }

    fn give_back(&mut self) {
        if let (Some(session), Some(back)) = (self.session.take(), self.back.take()) {
            // Nobody waits for it when the job has given up.
            let _ = back.send(session);
        }
    }

    /// What the catalog side made of a packet: replies are sent, notes are logged.
    async fn done(&self, handled: Result<Handled<'_>, CatReqError>, out: &Outbox) -> Result<(), String> {
        match handled {
            Ok(handled) => reply(&self.job, handled, out).await,
            Err(error) => Err(refuse(&self.job, &error, out).await),
        }
    }
}

/// Sends what the catalog side answers and logs what it has to say.
pub(crate) async fn reply(job: &Job, handled: Handled<'_>, out: &Outbox) -> Result<(), String> {
    for line in &handled.replies {
        out.send(line).await.map_err(|error| chain(&error))?;
    }
    for note in &handled.notes {
        let kind = if note.warning { MessageType::Warning } else { MessageType::Info };
        job.messages.put(kind, &note.text);
    }
    Ok(())
}

async fn refuse(job: &Job, error: &CatReqError, out: &Outbox) -> String {
    let text = chain(error);
    match error {
        // The SD then drops the journal of the attempt.
        CatReqError::Closed { attempt, .. } => {
            let _ = out.send(format!("Closed {attempt}\n")).await;
        }
        CatReqError::Catalog(_) | CatReqError::Protocol { .. } => job.messages.fatal(&text),
    }
    text
}

impl Traffic for StorageTraffic {
    async fn take(&mut self, packet: Bytes, out: &Outbox) -> Result<Option<Bytes>, String> {
        let Some(session) = &mut self.session else { return Ok(Some(packet)) };
        let mut handled = match session.handle(&packet).await {
            Ok(handled) => handled,
            Err(error) => return Err(refuse(&self.job, &error, out).await),
        };
        let line = match handled.verdict {
            Verdict::Pass(payload) => Some(packet.slice_ref(payload)),
            Verdict::Taken | Verdict::Repeated => None,
        };
        handled.verdict = Verdict::Taken;
        let message = line.as_ref().and_then(|line| parse_jmsg(line, self.generation));
        if let Some(message) = message {
            // A message that comes as a journal record gets into the catalog with the record's position: exactly once.
            let message = Message { time: message.time, kind: message.kind, text: message.text };
            if let (JobType::Restore, Some(lost)) = (self.job.plan().job_type, Lost::parse(&message.text)) {
                self.job.note_lost(lost);
            }
            if let Some((volume, end)) = readback::volume_end(&message.text) {
                self.job.note_volume_end(volume, end);
            }
            if self.job.messages.send_but_catalog(&message) {
                session.log(message.time, message.text);
            }
            reply(&self.job, handled, out).await?;
            return Ok(None);
        }
        reply(&self.job, handled, out).await?;
        let Some(line) = line else { return Ok(None) };
        if line.starts_with(b"3099 ") {
            self.give_back();
            return Ok(Some(line));
        }
        if unasked(&self.job, &line, self.generation) { Ok(None) } else { Ok(Some(line)) }
    }

    async fn take_eod(&mut self, out: &Outbox) -> Result<bool, String> {
        let Some(session) = &mut self.session else { return Ok(false) };
        let handled = session.handle_eod().await;
        let own = matches!(&handled, Ok(handled) if !matches!(handled.verdict, Verdict::Pass(_)));
        self.done(handled, out).await?;
        Ok(own)
    }

    fn idle_after(&self) -> Option<Duration> {
        self.session.as_ref().filter(|session| session.has_pending()).map(|_| FLUSH_AFTER)
    }

    async fn idle(&mut self, out: &Outbox) -> Result<(), String> {
        let Some(session) = &mut self.session else { return Ok(()) };
        let handled = session.flush().await;
        self.done(handled, out).await
    }

    async fn over(&mut self) {
        self.give_back();
    }
}

/// Where a Holdfast FD's records are counted: each message gets into the catalog's Log with the record's position, exactly once.
pub(crate) struct ClientLedger {
    catalog: Catalog,
    guard: EpochGuard,
    key: JournalKey,
    position: Seq,
}

impl ClientLedger {
    /// The ledger of one attempt's FD, with the position that the catalog holds.
    ///
    /// # Errors
    /// Those of the catalog.
    pub(crate) async fn open(director: &Director, job: &Job, attempt: Attempt) -> catalog::Result<Self> {
        // The name of a Storage resource is never empty: this is the client's journal.
        let key = JournalKey { job_id: job.id, attempt, storage: String::new() };
        let of = key.clone();
        let position = director.catalog().read(move |r| journal::position(r, &of)).await?;
        Ok(Self { catalog: director.catalog().clone(), guard: director.guard(), key, position })
    }

    /// The first record that the catalog lacks.
    pub(crate) fn attach_from(&self) -> Seq {
        Seq(self.position.0 + 1)
    }

    async fn commit(&mut self, messages: Vec<(Timestamp, String)>, to: Seq) -> Result<(), String> {
        let key = self.key.clone();
        let written = self.catalog.write(self.guard.epoch(), move |tx| {
            messages.iter().try_for_each(|(at, text)| catalog::log::append(tx, key.job_id, *at, text))?;
            journal::advance(tx, &key, to)
        });
        written.await.map_err(|error| chain(&error))?;
        self.position = to;
        Ok(())
    }
}

/// The FD's side; a Holdfast FD numbers what it says.
pub(crate) struct ClientTraffic {
    job: Arc<Job>,
    generation: Generation,
    ledger: ClientLedger,
    /// Last record taken; the job acknowledges it at its end.
    last: Arc<AtomicU64>,
    /// Messages of records behind the ledger's position.
    pending: Vec<(Timestamp, String)>,
}

impl ClientTraffic {
    pub(crate) fn new(
        job: Arc<Job>,
        generation: Generation,
        ledger: ClientLedger,
        last: Arc<AtomicU64>,
    ) -> Self {
        last.store(ledger.position.0, Ordering::Relaxed);
        Self { job, generation, ledger, last, pending: Vec::new() }
    }

    fn last(&self) -> Seq {
        Seq(self.last.load(Ordering::Relaxed))
    }

    /// A journal record: one that was taken before is not taken again.
    async fn record(&mut self, packet: &Bytes, out: &Outbox) -> Result<Option<Bytes>, String> {
        let rest = &packet[4..];
        let blank = rest.iter().position(|byte| *byte == b' ').ok_or("a bad journal record")?;
        let seq: Seq = scan::text(&rest[..blank]).parse().map_err(|_| "a bad journal record")?;
        let payload = packet.slice(4 + blank + 1..);
        if self.last().0 >= seq.0 {
            return Ok(None);
        }
        // The end line is acknowledged by the job, once its end is in the catalog; what came before it is committed now.
        if payload.starts_with(b"2800 ") {
            self.settle(out).await?;
            self.last.store(seq.0, Ordering::Relaxed);
            return Ok(Some(payload));
        }
        self.last.store(seq.0, Ordering::Relaxed);
        let message = parse_jmsg(&payload, self.generation);
        let payload = match message {
            Some(message) => {
                let message = Message { time: message.time, kind: message.kind, text: message.text };
                if self.job.messages.send_but_catalog(&message) {
                    self.pending.push((message.time, message.text));
                }
                None
            }
            None => Some(payload),
        };
        if seq.0 - self.ledger.position.0 >= ACK_EVERY {
            self.settle(out).await?;
        }
        Ok(payload)
    }

    /// Commits what was taken and acknowledges it.
    async fn settle(&mut self, out: &Outbox) -> Result<(), String> {
        let to = self.last();
        if to.0 == self.ledger.position.0 {
            return Ok(());
        }
        self.ledger.commit(std::mem::take(&mut self.pending), to).await?;
        out.send(format!("Ack {to}\n")).await.map_err(|error| chain(&error))
    }
}

impl Traffic for ClientTraffic {
    async fn take(&mut self, packet: Bytes, out: &Outbox) -> Result<Option<Bytes>, String> {
        let line = if packet.starts_with(b"Jrn ") { self.record(&packet, out).await? } else { Some(packet) };
        let Some(line) = line else { return Ok(None) };
        if unasked(&self.job, &line, self.generation) { Ok(None) } else { Ok(Some(line)) }
    }

    fn idle_after(&self) -> Option<Duration> {
        (!self.pending.is_empty()).then_some(FLUSH_AFTER)
    }

    async fn idle(&mut self, out: &Outbox) -> Result<(), String> {
        self.settle(out).await
    }

    async fn over(&mut self) {
        let (messages, to) = (std::mem::take(&mut self.pending), self.last());
        if !messages.is_empty()
            && let Err(error) = self.ledger.commit(messages, to).await
        {
            // An FD that is still there says them again to the next Director.
            tracing::warn!(job = %self.job.id, error, "the client's last messages are not in the catalog");
        }
    }
}

/// Messages, status and progress of either daemon; whether the line was one of them.
fn unasked(job: &Job, line: &[u8], generation: Generation) -> bool {
    if line.starts_with(b"Jmsg ") {
        if let Some(message) = parse_jmsg(line, generation) {
            job.messages.send(&Message { time: message.time, kind: message.kind, text: message.text });
        }
        return true;
    }
    let fields = Fields::new(line);
    let number = |key| fields.raw(key).and_then(|raw| scan::text(raw).parse::<u64>().ok()).unwrap_or(0);
    if line.starts_with(b"Status ") {
        let code = u32::try_from(number("JobStatus")).unwrap_or(0);
        if let Some(status) = JobStatus::from_code(code) {
            job.report_status(status);
        }
        return true;
    }
    if line.starts_with(b"Progress ") || line.starts_with(b"Ckpt ") {
        job.progress(number("files"), number("bytes"));
        return true;
    }
    if line.starts_with(b"Events:") {
        tracing::debug!(job = %job.id, event = %scan::text(line), "event of a daemon");
        return true;
    }
    // Snapshot records are not kept; the FD must not wait for the answer.
    line.starts_with(b"CatReq ")
}
