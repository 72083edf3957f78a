//! One connection of a job to its Storage Daemon, as far as the catalog is concerned.

use super::attributes;
use super::batch::{Batch, NamedPiece, RECORDS_MAX};
use super::find::Offered;
use super::request::{self, Collected, Request};
use super::volumes::{self, Decision};
use super::{CatReqError, JobContext, Shared};
use catalog::WriteTx;
use catalog::attempt;
use catalog::file::Ingest;
use catalog::journal::{self, JournalKey, Place};
use lead::Permit;
use std::cell::{Cell, RefCell};
use std::sync::Arc;
use types::{Seq, Timestamp, VolSession};
use wire::scan::shorten;

/// Requests of one job that an SD may have open at once: its threads that write and make checkpoints wait for each.
const OPEN_REQUESTS_MAX: u32 = 8;

/// A message for the job's log, from the choice of a Volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Whether the operator should look.
    pub warning: bool,
    /// Text without line end.
    pub text: String,
}

/// What became of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict<'p> {
    /// Dealt with.
    Taken,
    /// Not the catalog's business: the message itself (of a journal record, its payload). The caller deals with it.
    Pass(&'p [u8]),
    /// A journal record whose effect is in the catalog already: nothing is to be done.
    Repeated,
}

/// The result of [`CatalogSession::handle`].
#[derive(Debug)]
pub struct Handled<'p> {
    /// Packets to send to the SD, in order: answers, `Ans`, `Ack`.
    pub replies: Vec<Vec<u8>>,
    /// Messages for the job.
    pub notes: Vec<Note>,
    /// What the packet was.
    pub verdict: Verdict<'p>,
}

impl<'p> Handled<'p> {
    fn new(verdict: Verdict<'p>) -> Self {
        Self { replies: Vec::new(), notes: Vec::new(), verdict }
    }
}

/// Serves one connection. Not cancel safe: a packet that was begun must be awaited, or the session be dropped and the
/// connection attached anew.
pub struct CatalogSession {
    shared: Arc<Shared>,
    context: Arc<JobContext>,
    /// Of a Holdfast SD.
    journal: Option<JournalKey>,
    /// Last record that was handled; those up to it are repetitions.
    seen: Seq,
    /// Last record that was acknowledged.
    acked: Seq,
    batch: Batch,
    ingest: Option<Ingest>,
    /// Files may be in the catalog already: the later version counts.
    replaces: bool,
    /// Requests up to this record were answered by an earlier life of the catalog, or wait for no answer any more.
    settled: Seq,
    /// A stock SD sends some requests as several packets.
    collecting: Option<Collected>,
    offered: Offered,
    session: Option<VolSession>,
    /// For the Volume that the last answer let be overwritten.
    permit: Option<(String, Permit)>,
}

impl CatalogSession {
    pub(super) async fn open(shared: Arc<Shared>, context: JobContext) -> Result<Self, CatReqError> {
        let journal = context.holdfast.then(|| JournalKey {
            job_id: context.job_id,
            attempt: context.attempt,
            storage: context.storage.clone(),
        });
        let (job, attempt) = (context.job_id, context.attempt);
        let key = journal.clone();
        let position = shared
            .catalog
            .read(move |r| {
                if attempt::get(r, job, attempt)?.is_some_and(|row| attempt::is_given_up(row.state)) {
                    return Ok(None);
                }
                key.as_ref().map_or(Ok(Seq(0)), |key| journal::position(r, key)).map(Some)
            })
            .await?
            .ok_or(CatReqError::Closed { job, attempt })?;
        Ok(Self {
            shared,
            replaces: attempt.0 > 1,
            context: Arc::new(context),
            journal,
            seen: position,
            acked: position,
            batch: Batch::default(),
            settled: Seq(0),
            ingest: None,
            collecting: None,
            offered: Offered::default(),
            session: None,
            permit: None,
        })
    }

    /// Attributes will come that may be in the catalog already: a Volume is read back.
    pub fn expect_repeats(&mut self) {
        self.replaces = true;
    }

    /// Which Volume to take is not decided once more for requests up to this record: they were answered, or nobody waits for
    /// the answer. What became of the Volume is in the records behind them.
    pub fn expect_settled(&mut self, to: Seq) {
        self.settled = to;
    }

    /// Where to attach the journal: the record behind the last one that is in the catalog.
    #[must_use]
    pub fn attach_from(&self) -> Seq {
        Seq(self.acked.0 + 1)
    }

    /// Answers that the catalog holds and the SD may not have got, as `Ans` lines: the records of their requests are before
    /// [`Self::attach_from`], so they are not streamed again. To be sent once it is attached; it takes only what it waits for.
    ///
    /// # Errors
    /// [`CatReqError::Catalog`].
    pub async fn stored_answers(&self) -> Result<Vec<Vec<u8>>, CatReqError> {
        let Some(key) = self.journal.clone() else { return Ok(Vec::new()) };
        let stored =
            self.shared.catalog.read(move |r| journal::last_answers(r, &key, OPEN_REQUESTS_MAX)).await?;
        Ok(stored.iter().map(|(seq, reply)| answer_line(*seq, reply)).collect())
    }

    /// The session on the Volumes, as the attributes name it; none before the first.
    #[must_use]
    pub fn volume_session(&self) -> Option<VolSession> {
        self.session
    }

    /// Whether something was received that is not in the catalog yet: then [`Self::flush`] when the connection is idle.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        !self.batch.is_empty()
    }

    /// Takes a packet of the SD, of either kind.
    ///
    /// # Errors
    /// [`CatReqError`]: the session is over. What was acknowledged is in the catalog.
    pub async fn handle<'p>(&mut self, packet: &'p [u8]) -> Result<Handled<'p>, CatReqError> {
        if self.collecting.is_some() {
            self.collect(packet)?;
            return Ok(Handled::new(Verdict::Taken));
        }
        match request::split_record(packet) {
            Some((seq, payload)) if self.journal.is_some() => self.record(seq, payload).await,
            Some(_) | None => self.message(None, packet).await,
        }
    }

    /// Takes the signal EOD: the end of a request of several packets. Any other EOD is the caller's (`Verdict::Pass`).
    ///
    /// # Errors
    /// As [`Self::handle`].
    pub async fn handle_eod(&mut self) -> Result<Handled<'static>, CatReqError> {
        let Some(collected) = self.collecting.take() else {
            return Ok(Handled::new(Verdict::Pass(&[])));
        };
        let mut handled = Handled::new(Verdict::Taken);
        let reply = collected.reply();
        match collected {
            Collected::JobMedia(pieces) => self.batch.pieces(pieces),
            Collected::FileMedia(positions) => self.batch.positions(positions),
        }
        self.commit(&mut handled).await?;
        handled.replies.push(reply.to_vec());
        Ok(handled)
    }

    /// Stores a message of the job in the catalog (Messages destination `catalog`), with the next batch: a message that came
    /// as a journal record is stored exactly once.
    pub fn log(&mut self, at: Timestamp, text: String) {
        self.batch.log(at, text);
    }

    /// Commits what was received; the replies hold the acknowledgement.
    ///
    /// # Errors
    /// As [`Self::handle`].
    pub async fn flush(&mut self) -> Result<Handled<'static>, CatReqError> {
        let mut handled = Handled::new(Verdict::Taken);
        if self.has_pending() {
            self.commit(&mut handled).await?;
        }
        Ok(handled)
    }

    /// Commits what is left together with `end`: the job's end, its attempt's, whatever belongs to it (DESIGN §2.3). The
    /// replies hold the last acknowledgement.
    ///
    /// # Errors
    /// As [`Self::handle`], and those of `end`; then nothing of it is in the catalog.
    pub async fn finish<T: Send + 'static>(
        &mut self,
        end: impl Fn(&WriteTx<'_>) -> catalog::Result<T> + Send + 'static,
    ) -> Result<(T, Handled<'static>), CatReqError> {
        let mut handled = Handled::new(Verdict::Taken);
        let key = self.journal.clone();
        let work = move |tx: &WriteTx<'_>| {
            if let Some(key) = &key {
                journal::forget_answers(tx, key)?;
            }
            end(tx)
        };
        let result = self.write(work).await?;
        self.acknowledge(&mut handled);
        Ok((result, handled))
    }

    async fn record<'p>(&mut self, seq: Seq, payload: &'p [u8]) -> Result<Handled<'p>, CatReqError> {
        match journal::place(self.seen, seq) {
            Place::Repeated => return self.repeated(seq, payload).await,
            Place::Gap => {
                return Err(self.protocol(format!("journal record {seq} follows {}", self.seen)));
            }
            Place::Next => {}
        }
        let handled = self.message(Some(seq), payload).await?;
        self.seen = seq;
        Ok(handled)
    }

    /// A request that was answered gets its stored answer; everything else has had its effect.
    async fn repeated<'p>(&mut self, seq: Seq, payload: &[u8]) -> Result<Handled<'p>, CatReqError> {
        let mut handled = Handled::new(Verdict::Repeated);
        if let (true, Some(key)) = (request::is_answered(payload), self.journal.clone()) {
            let stored = self.shared.catalog.read(move |r| journal::answer(r, &key, seq)).await?;
            handled.replies.extend(stored.map(|reply| answer_line(seq, &reply)));
        }
        Ok(handled)
    }

    async fn message<'p>(&mut self, seq: Option<Seq>, payload: &'p [u8]) -> Result<Handled<'p>, CatReqError> {
        let parsed =
            request::parse(payload, self.context.job_id).map_err(|problem| self.protocol(problem))?;
        match parsed {
            Request::Attributes(binary) => {
                let update = attributes::decode(binary).map_err(|problem| self.protocol(problem))?;
                self.session = Some(update.session);
                if self.context.catalog_files {
                    self.batch.attribute(update.attribute);
                }
                self.taken(seq).await
            }
            Request::Pieces(pieces) => {
                self.batch.pieces(pieces);
                self.taken(seq).await
            }
            Request::Collect(collected) => {
                self.collecting = Some(collected);
                Ok(Handled::new(Verdict::Taken))
            }
            Request::Volume(volumes::VolumeRequest::Find(_) | volumes::VolumeRequest::Get(_))
                if seq.is_some_and(|seq| seq <= self.settled) =>
            {
                self.taken(seq).await
            }
            Request::Volume(volume) => self.volume_request(seq, volume).await,
            Request::Blast => {
                // The file is on the SD's machine; a Director that reads it there would tie the two together.
                let mut handled = self.taken(seq).await?;
                self.reply(&mut handled, seq, "1990 ERROR BlastAttr\n");
                Ok(handled)
            }
            Request::Checkpoint(open) => {
                self.batch.pieces(open.into_iter().collect());
                self.batch.reached(seq);
                let mut handled = Handled::new(Verdict::Pass(payload));
                self.commit(&mut handled).await?;
                Ok(handled)
            }
            Request::Unknown => {
                let line = shorten(payload);
                let mut handled = self.taken(seq).await?;
                handled.notes.push(Note { warning: true, text: format!("Invalid Catalog request: {line}") });
                self.reply(&mut handled, seq, &format!("1990 Invalid Catalog Request: {line}"));
                Ok(handled)
            }
            Request::NotMine => {
                self.batch.reached(seq);
                Ok(Handled::new(Verdict::Pass(payload)))
            }
        }
    }

    async fn taken<'p>(&mut self, seq: Option<Seq>) -> Result<Handled<'p>, CatReqError> {
        self.batch.reached(seq);
        let mut handled = Handled::new(Verdict::Taken);
        let reached = self.batch.up_to().map_or(0, |seq| seq.0.saturating_sub(self.acked.0));
        if self.batch.is_full() || reached >= RECORDS_MAX as u64 {
            self.commit(&mut handled).await?;
        }
        Ok(handled)
    }

    /// Decides in one transaction: what came before, the decision, its effects, the stored answer.
    async fn volume_request<'p>(
        &mut self,
        seq: Option<Seq>,
        wanted: volumes::VolumeRequest,
    ) -> Result<Handled<'p>, CatReqError> {
        self.batch.reached(seq);
        let (shared, context) = (Arc::clone(&self.shared), Arc::clone(&self.context));
        let key = self.journal.clone();
        let offered = std::mem::take(&mut self.offered);
        if let Some((_, permit)) = self.permit.take_if(|(volume, _)| wanted.spends(volume)) {
            permit.spent();
        }
        let permit = wanted.wants_permit().then(|| shared.guard.permit());
        let lease_ms = permit.as_ref().map(Permit::lease_ms);
        let now = (self.shared.clock)();
        let (decision, offered) = self
            .write(move |tx| {
                let mut offered = offered.clone();
                let server = volumes::Server {
                    tx,
                    shared: &shared,
                    context: &context,
                    now,
                    lease_ms,
                    permitted: RefCell::default(),
                };
                let decision = server.serve(&wanted, &mut offered)?;
                if let (Some(key), Some(seq)) = (&key, seq) {
                    journal::store_answer(tx, key, seq, &decision.reply)?;
                }
                Ok((decision, offered))
            })
            .await?;
        sys::failpoint::reach("director-volume-decided");
        self.offered = offered;
        let Decision { reply, notes, permitted } = decision;
        match (permit, permitted) {
            (Some(permit), Some(volume)) => self.permit = Some((volume, permit)),
            (Some(permit), None) => permit.spent(),
            (None, _) => {}
        }
        let mut handled = Handled { replies: Vec::new(), notes, verdict: Verdict::Taken };
        self.reply(&mut handled, seq, &reply);
        if let Some(seq) = seq {
            // `Ans` implies `Ack`.
            self.acked = seq;
        }
        Ok(handled)
    }

    fn reply(&self, handled: &mut Handled<'_>, seq: Option<Seq>, reply: &str) {
        handled.replies.push(match seq {
            Some(seq) => answer_line(seq, reply),
            None => reply.as_bytes().to_vec(),
        });
    }

    fn collect(&mut self, packet: &[u8]) -> Result<(), CatReqError> {
        let added = match &mut self.collecting {
            Some(collected) => collected.add(packet),
            None => Ok(()),
        };
        added.map_err(|problem| self.protocol(problem))
    }

    async fn commit(&mut self, handled: &mut Handled<'_>) -> Result<(), CatReqError> {
        self.write(|_| Ok(())).await?;
        self.acknowledge(handled);
        Ok(())
    }

    /// Applies the batch and runs `work` in one transaction. On an error the batch is lost with the session: a Holdfast SD
    /// sends it again, with a stock SD the job has failed.
    async fn write<T: Send + 'static>(
        &mut self,
        work: impl Fn(&WriteTx<'_>) -> catalog::Result<T> + Send + 'static,
    ) -> Result<T, CatReqError> {
        let batch = std::mem::take(&mut self.batch);
        let up_to = batch.up_to();
        let job = self.context.job_id;
        let replaces = self.replaces;
        // A transaction that is done again begins without the keys that the first one drew.
        let known = Cell::new(self.ingest.take());
        let key = self.journal.clone();
        let epoch = self.shared.guard.epoch();
        let (result, ingest) = self
            .shared
            .catalog
            .write(epoch, move |tx| {
                let mut ingest = known.take().unwrap_or_else(|| Ingest::new(job, replaces));
                batch.apply(tx, job, &mut ingest, key.as_ref())?;
                let done = work(tx)?;
                sys::failpoint::reach("director-journal-uncommitted");
                Ok((done, ingest))
            })
            .await?;
        sys::failpoint::reach("director-journal-committed");
        self.ingest = Some(ingest);
        self.seen = up_to.map_or(self.seen, |seq| seq.max(self.seen));
        Ok(result)
    }

    fn acknowledge(&mut self, handled: &mut Handled<'_>) {
        if self.journal.is_some() && self.seen > self.acked {
            self.acked = self.seen;
            handled.replies.push(format!("Ack {}\n", self.acked).into_bytes());
        }
    }

    fn protocol(&self, problem: String) -> CatReqError {
        CatReqError::Protocol { storage: self.context.storage.clone(), problem }
    }
}

fn answer_line(seq: Seq, reply: &str) -> Vec<u8> {
    format!("Ans {seq} {reply}").into_bytes()
}

impl NamedPiece {
    pub(super) fn numbered(piece: catalog::jobmedia::Piece) -> Self {
        Self { piece, volume: String::new(), label_time: types::VolTime(0) }
    }
}
