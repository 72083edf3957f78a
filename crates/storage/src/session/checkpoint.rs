//! Checkpoints of an append session: Volume data synced, then the journal, while the stream goes on (docs/extensions.md §4).

use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use types::{FileIndex, VolAddr};
use volume::Addressing;

use super::mount::MountError;
use crate::device::Mounted;
use crate::job::message::{JobMediaSpan, MediaRef, checkpoint_record};
use crate::job::{Job, Outbox};
use crate::lock::{lock, wait};

/// Journal bytes after which a checkpoint is due.
const JOURNAL_BYTES: u64 = 32 << 20;
/// Attributes that are held back while a checkpoint is being made; more stop the stream until it is done.
const HELD_BYTES_MAX: usize = 4 << 20;

/// When checkpoints are due.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Checkpoint Interval.
    pub interval: Duration,
    /// Checkpoint Bytes.
    pub bytes: u64,
    /// Maximum File Size: a JobMedia row each time, so that a restore can seek near.
    pub span_bytes: u64,
}

/// What an append session has put on Volumes so far.
#[derive(Debug, Default)]
struct Progress {
    mounted: Option<Arc<Mounted>>,
    open: Option<JobMediaSpan>,
    /// Bytes of the session before the open span.
    open_since: u64,
    closed: Vec<JobMediaSpan>,
    /// Every file up to this one is on Volumes in full.
    whole_files: FileIndex,
    bytes: u64,
    bytes_at_checkpoint: u64,
    last_checkpoint: Option<Instant>,
    is_checkpointing: bool,
    is_over: bool,
    failed: Option<String>,
}

/// The progress of a session, shared by the thread that receives and the one that makes checkpoints.
#[derive(Debug)]
pub struct Checkpoints {
    job: Arc<Job>,
    policy: Policy,
    progress: Mutex<Progress>,
    changed: Condvar,
    /// Held while a checkpoint is made.
    making: Mutex<()>,
}

impl Checkpoints {
    /// Of a session that begins.
    #[must_use]
    pub fn new(job: Arc<Job>, policy: Policy) -> Self {
        let progress = Progress { last_checkpoint: Some(Instant::now()), ..Progress::default() };
        Self { job, policy, progress: Mutex::new(progress), changed: Condvar::new(), making: Mutex::new(()) }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        lock(&self.progress)
    }

    /// The session goes on with another Volume; the open span is closed.
    pub fn set_volume(&self, mounted: Option<Arc<Mounted>>) {
        let mut p = self.progress();
        close_span(&mut p);
        p.mounted = mounted;
    }

    /// Blocks of the session are on the Volume: these bytes, with data of these files.
    pub fn note_written(
        &self,
        mounted: &Mounted,
        start: VolAddr,
        last: VolAddr,
        files: Option<(FileIndex, FileIndex)>,
        bytes: u64,
    ) {
        let mut p = self.progress();
        let before = std::mem::replace(&mut p.bytes, bytes);
        let too_long = p.open.as_ref().is_some_and(|s| match mounted.addressing() {
            Addressing::Bytes => last.0 - s.start.0 >= self.policy.span_bytes,
            Addressing::Blocks => before - p.open_since >= self.policy.span_bytes,
        });
        if too_long && self.policy.span_bytes > 0 {
            close_span(&mut p);
        }
        if p.open.is_none() {
            p.open_since = before;
        }
        match (&mut p.open, files) {
            (Some(span), files) => {
                span.end = last;
                if let Some((first, last)) = files {
                    if span.last.0 == 0 {
                        span.first = first;
                    }
                    span.last = last;
                }
            }
            (none, files) => {
                let (first, to) = files.unwrap_or_default();
                *none = Some(JobMediaSpan {
                    media: MediaRef {
                        media_id: mounted.info().media_id,
                        volume: mounted.volume.clone(),
                        label_time: mounted.label.labelled,
                    },
                    first,
                    last: to,
                    start,
                    end: last,
                });
            }
        }
        if p.bytes - p.bytes_at_checkpoint >= self.policy.bytes {
            self.changed.notify_all();
        }
    }

    /// Hands attributes of files that are on the Volume to the Director's journal; they wait while a checkpoint is made, which does
    /// not cover them.
    ///
    /// # Errors
    /// The journal or the Director fails, or a checkpoint has failed.
    pub fn release(
        &self,
        pending: &mut Vec<Vec<u8>>,
        ready: usize,
        whole_files: FileIndex,
    ) -> Result<(), MountError> {
        let mut p = self.progress();
        while p.is_checkpointing && self.is_journaled() {
            let held: usize = pending[..ready].iter().map(Vec::len).sum();
            if held < HELD_BYTES_MAX {
                return Ok(());
            }
            p = wait(&self.changed, p, Duration::from_secs(1));
        }
        self.job.outbox.attributes(&pending[..ready])?;
        pending.drain(..ready);
        p.whole_files = whole_files;
        drop(p);
        if let Outbox::Journaled(journal) = &self.job.outbox
            && journal.unsynced_bytes() >= JOURNAL_BYTES
        {
            self.changed.notify_all();
        }
        Ok(())
    }

    /// Waits until no checkpoint is being made, and makes the maker leave the next one to the caller.
    pub(crate) fn wait_made(&self) {
        let mut p = self.progress();
        p.is_over = true;
        while p.is_checkpointing {
            p = wait(&self.changed, p, Duration::from_secs(1));
        }
    }

    /// Why the last checkpoint failed, if it did.
    pub(crate) fn failure(&self) -> Option<String> {
        self.progress().failed.clone()
    }

    /// Every file up to this one is on Volumes and handed over.
    pub fn whole_files(&self) -> FileIndex {
        self.progress().whole_files
    }

    fn is_journaled(&self) -> bool {
        self.job.outbox.is_journaled()
    }

    /// Makes a checkpoint now; with `is_closing`, the rows of the spans go before it.
    ///
    /// # Errors
    /// The Volume or the journal cannot be synced.
    pub fn make(&self, is_closing: bool) -> Result<(), MountError> {
        let _making = lock(&self.making);
        let (mounted, spans, record, bytes) = {
            let mut p = self.progress();
            p.is_checkpointing = true;
            if is_closing {
                close_span(&mut p);
            }
            let spans = std::mem::take(&mut p.closed);
            let errors = self.job.errors.load(Ordering::Relaxed);
            let record = checkpoint_record(p.whole_files, p.bytes, errors, p.open.as_ref());
            (p.mounted.clone(), spans, record, p.bytes)
        };
        let result = self.sync(mounted.as_deref(), &spans, &record);
        let mut p = self.progress();
        p.is_checkpointing = false;
        p.last_checkpoint = Some(Instant::now());
        p.bytes_at_checkpoint = bytes;
        if let Err(error) = &result {
            p.failed = Some(super::mount::chain(error));
        }
        drop(p);
        self.changed.notify_all();
        result
    }

    fn sync(
        &self,
        mounted: Option<&Mounted>,
        spans: &[JobMediaSpan],
        record: &[u8],
    ) -> Result<(), MountError> {
        if let Some(mounted) = mounted {
            mounted.checkpoint()?;
            sys::failpoint::reach("storage-volume-synced");
        }
        if !spans.is_empty() {
            self.job.outbox.job_media(spans)?;
        }
        if let Outbox::Journaled(journal) = &self.job.outbox {
            journal.checkpoint(record)?;
        }
        Ok(())
    }

    /// Makes checkpoints as they become due, until the session is over.
    pub(crate) fn run(&self) {
        loop {
            {
                let mut p = self.progress();
                loop {
                    if p.is_over {
                        return;
                    }
                    if p.failed.is_none() && p.mounted.is_some() && self.is_due(&p) {
                        // From here on attributes are held back, so that none slips in that this checkpoint does not cover.
                        p.is_checkpointing = true;
                        break;
                    }
                    p = wait(&self.changed, p, self.policy.interval.min(Duration::from_secs(1)));
                }
            }
            if let Err(error) = self.make(false) {
                tracing::error!(job = %self.job.spec.id, error = super::mount::chain(&error), "checkpoint failed");
            }
        }
    }

    fn is_due(&self, p: &Progress) -> bool {
        let grown = p.bytes - p.bytes_at_checkpoint;
        let is_time = p.last_checkpoint.is_none_or(|at| at.elapsed() >= self.policy.interval);
        let journal = match &self.job.outbox {
            Outbox::Journaled(journal) => journal.unsynced_bytes(),
            Outbox::Direct(_) => 0,
        };
        (is_time && (grown > 0 || journal > 0)) || grown >= self.policy.bytes || journal >= JOURNAL_BYTES
    }

    /// No more checkpoints.
    pub(crate) fn finish(&self) {
        self.progress().is_over = true;
        self.changed.notify_all();
    }
}

fn close_span(p: &mut Progress) {
    // A span without data of files is a session label alone: nothing to be found by it.
    if let Some(span) = p.open.take().filter(|s| s.last.0 > 0) {
        p.closed.push(span);
    }
}
