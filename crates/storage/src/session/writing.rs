//! What an append session puts on Volumes: records become blocks, blocks go to the Volume in use, and the attributes of files that are
//! whole there go into the journal (spec/03 §8). Waits for nobody but the disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use types::{FileIndex, JobStatus, VolAddr, VolTime};
use volume::{BlockBuilder, BlockFormat, SessionEnd, SessionLabel};

use super::checkpoint::Checkpoints;
use super::mount::MountError;
use crate::device::{FullReason, Mounted};
use crate::job::{Job, message};

/// What a session has written, and where it is.
#[derive(Debug)]
pub struct Writing {
    job: Arc<Job>,
    checkpoints: Arc<Checkpoints>,
    /// Once the first Volume is there.
    builder: Option<BlockBuilder>,
    mounted: Option<Arc<Mounted>>,
    /// Volumes used so far.
    volumes: i32,
    /// Start of the session on the Volume in use.
    started_at: Option<VolAddr>,
    /// Attribute messages of files that are not yet on the Volume in full.
    pending: Vec<Vec<u8>>,
    /// Their file numbers.
    pending_index: Vec<FileIndex>,
    /// Newest file.
    index: FileIndex,
    /// Highest file with data in blocks that are on a Volume.
    flushed_index: FileIndex,
    bytes: u64,
}

/// What a flush did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flushed {
    /// Bytes that went to the Volume.
    pub bytes: u64,
    /// Set when the Volume takes no more, and there is more to write.
    pub full: Option<FullReason>,
}

/// A Volume that a session has left.
#[derive(Debug, Clone)]
pub struct Left {
    /// The Volume.
    pub mounted: Arc<Mounted>,
    /// This session was the first to find it full, and is to report it.
    pub is_first: bool,
}

impl Writing {
    /// Nothing yet.
    #[must_use]
    pub fn new(job: Arc<Job>, checkpoints: Arc<Checkpoints>) -> Self {
        Self {
            job,
            checkpoints,
            builder: None,
            mounted: None,
            volumes: 0,
            started_at: None,
            pending: Vec::new(),
            pending_index: Vec::new(),
            index: FileIndex(0),
            flushed_index: FileIndex(0),
            bytes: 0,
        }
    }

    /// Whether the session is on a Volume, or has been.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.builder.is_some()
    }

    /// The Volume in use.
    #[must_use]
    pub fn mounted(&self) -> Option<&Arc<Mounted>> {
        self.mounted.as_ref()
    }

    /// Volumes used so far.
    #[must_use]
    pub fn volumes(&self) -> i32 {
        self.volumes
    }

    /// Newest file.
    #[must_use]
    pub fn index(&self) -> FileIndex {
        self.index
    }

    /// Bytes of all records.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The session begins on its first Volume; data blocks behind a label that was written for it start with number 1.
    pub fn open(&mut self, mounted: Arc<Mounted>, format: BlockFormat, is_labelled_now: bool, now: VolTime) {
        let mut builder = BlockBuilder::new(format, self.job.session, u32::from(is_labelled_now));
        self.use_volume(mounted);
        let label = self.label(None, now);
        builder.push_label(label.index(), self.job.spec.id.0, &label.encode());
        self.builder = Some(builder);
    }

    /// The session goes on with another Volume.
    pub fn use_volume(&mut self, mounted: Arc<Mounted>) {
        self.volumes += 1;
        self.started_at = None;
        self.checkpoints.set_volume(Some(Arc::clone(&mounted)));
        self.mounted = Some(mounted);
    }

    fn label(&self, end: Option<SessionEnd>, now: VolTime) -> SessionLabel {
        let spec = &self.job.spec;
        let state = self.job.state();
        SessionLabel {
            version: volume::label::VERSION,
            job_id: spec.id.0,
            written: now,
            write_time: 0.0,
            pool: state.pool.clone(),
            pool_type: state.pool_type.clone(),
            job_name: spec.job_name.clone(),
            client: spec.client.clone(),
            job: spec.job.clone(),
            file_set: spec.file_set.clone(),
            job_type: spec.job_type,
            job_level: spec.level,
            file_set_md5: spec.file_set_md5.clone(),
            end,
        }
    }

    /// Records of this file follow.
    pub fn begin_file(&mut self, index: FileIndex) {
        self.index = index;
        self.job.files.store(index.0.cast_unsigned(), Ordering::Relaxed);
    }

    /// A record; gives the bytes of blocks that wait to be flushed.
    pub fn record(&mut self, index: FileIndex, stream: i32, data: &[u8]) -> usize {
        let Some(builder) = &mut self.builder else { return 0 };
        builder.push(index, stream, data);
        let finished = builder.finished_bytes();
        self.bytes += data.len() as u64;
        self.job.bytes.store(self.bytes, Ordering::Relaxed);
        if !self.job.spec.no_attributes && is_for_catalog(stream) {
            self.pending.push(message::attributes(self.job.spec.id, self.job.session, index, stream, data));
            self.pending_index.push(index);
        }
        finished
    }

    /// Writes all finished blocks, as far as the Volume takes them. Where it is full, [`Self::leave`] follows, and another Volume.
    ///
    /// # Errors
    /// The Volume or the journal cannot be written.
    pub fn flush(&mut self) -> Result<Flushed, MountError> {
        let mut flushed = Flushed { bytes: 0, full: None };
        while let (None, Some(builder), Some(mounted)) = (flushed.full, &mut self.builder, &self.mounted) {
            let (bytes, blocks) = builder.finished();
            if blocks.is_empty() {
                break;
            }
            let written = mounted.append(bytes, blocks)?;
            sys::failpoint::reach("storage-volume-written");
            if written.blocks > 0 {
                let done = &blocks[..written.blocks];
                let first = done.iter().find_map(|block| block.first);
                let last = done.iter().rev().find_map(|block| block.last);
                let files = first.zip(last);
                self.checkpoints.note_written(mounted, written.start, written.last, files, self.bytes);
                self.started_at.get_or_insert(written.start);
                self.flushed_index = last.unwrap_or(self.flushed_index).max(self.flushed_index);
                flushed.bytes += written.bytes;
                builder.consume(written.blocks);
            }
            flushed.full = written.full;
        }
        self.release_pending(FileIndex(self.flushed_index.0 - 1))?;
        Ok(flushed)
    }

    /// Hands over the attributes of files up to `whole`: all their data are on Volumes.
    fn release_pending(&mut self, whole: FileIndex) -> Result<(), MountError> {
        let whole = whole.max(FileIndex(0));
        let ready = self.pending_index.partition_point(|index| *index <= whole);
        let before = self.pending.len();
        self.checkpoints.release(&mut self.pending, ready, whole)?;
        self.pending_index.drain(..before - self.pending.len());
        Ok(())
    }

    /// Leaves a Volume that is full, with a checkpoint of what is on it. None where there is none to leave.
    ///
    /// # Errors
    /// The checkpoint cannot be made.
    pub fn leave(&mut self, reason: FullReason) -> Result<Option<Left>, MountError> {
        let Some(mounted) = self.mounted.take() else { return Ok(None) };
        let is_first = reason == FullReason::Limit && !mounted.is_closed();
        if is_first {
            mounted.close("Full");
        }
        self.checkpoints.make(true)?;
        Ok(Some(Left { mounted, is_first }))
    }

    /// The last file that is whole when the session ends so.
    fn whole(&self, status: JobStatus) -> FileIndex {
        match status {
            JobStatus::Terminated => self.index,
            _ => FileIndex((self.index.0 - 1).max(0)),
        }
    }

    /// Puts the end of the session behind the last record; a flush follows, then [`Self::settle`].
    pub fn finish(&mut self, status: JobStatus, now: VolTime) {
        // What is in the open block tells where the end label will stand.
        let ahead = self.builder.as_ref().map_or((0, 0), |builder| {
            let (bytes, blocks) = builder.finished();
            (blocks.len(), bytes.len())
        });
        let mounted = self.mounted.as_ref();
        let start = mounted.map(|mounted| mounted.end()).unwrap_or_default();
        let end = mounted.map(|mounted| mounted.end_behind(ahead.0, ahead.1)).unwrap_or_default();
        let end = SessionEnd {
            files: self.whole(status).0.cast_unsigned(),
            bytes: self.bytes,
            start: self.started_at.unwrap_or(start),
            end,
            errors: self.job.errors.load(Ordering::Relaxed),
            status: status.code(),
        };
        let label = self.label(Some(end), now);
        if let Some(builder) = &mut self.builder {
            builder.push_label(label.index(), self.job.spec.id.0, &label.encode());
            builder.finish_block();
        }
    }

    /// All is on Volumes: what is whole goes into the journal, with the last checkpoint.
    ///
    /// # Errors
    /// The checkpoint cannot be made.
    pub fn settle(&mut self, status: JobStatus) -> Result<(), MountError> {
        let files = self.whole(status);
        self.job.files.store(files.0.cast_unsigned(), Ordering::Relaxed);
        // A checkpoint in the making covers none of what is handed over now: it must be over first.
        self.checkpoints.wait_made();
        self.release_pending(files)?;
        self.checkpoints.make(true)
    }

    /// A Volume has failed: what is on Volumes already is still good.
    ///
    /// # Errors
    /// The checkpoint cannot be made.
    pub fn settle_for_less(&mut self) -> Result<(), MountError> {
        let whole = FileIndex((self.flushed_index.0 - 1).max(0));
        self.job.files.store(whole.0.cast_unsigned(), Ordering::Relaxed);
        self.checkpoints.make(true)
    }
}

/// Streams whose records the catalog gets (spec/03 §3.4).
fn is_for_catalog(stream: i32) -> bool {
    matches!(stream & 0x7FF, 1 | 5 | 28 | 34 | 36 | 37 | 3 | 10 | 17 | 18 | 39..=41)
}
