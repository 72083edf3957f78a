//! Batches: entries on their way from the walker to workers and emitter.

use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use attrs::FileType;
use crossbeam_channel::{Sender, bounded};
use sys::{DirFd, FileStat};

use super::select::Take;
use super::{CHUNKS_AHEAD, Ordered, Work};
use crate::fileset::OptionId;
use crate::walk::Entry;

/// Entries of one batch.
const ITEMS_MAX: usize = 64;
/// Content of one batch: with its metadata it fits into one chunk, so that a worker never waits in the middle of small files.
const CONTENT_BYTES_MAX: u64 = 160 * 1024;

/// What is to be done with an entry beyond its attribute record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Read its content.
    Content,
    /// A device or FIFO with content of unknown length.
    Stream,
    /// Attributes, ACL and extended attributes only.
    Attributes,
    /// Perhaps a further link to a file that is on its way: the emitter decides.
    MaybeLink,
    /// Only the metadata has changed; the content's digest is the catalog's.
    Update,
}

/// One entry.
#[derive(Debug)]
pub struct Item {
    /// Path in [`Batch::bytes`]; directories have their trailing slash.
    pub path: Range<u32>,
    /// Name as it is stored: the path, or what `strippath` leaves of it.
    pub stored: Range<u32>,
    /// Last component, or `.` for a directory, to be reached from `dir`.
    pub name: Range<u32>,
    /// Target of a symlink, or the old digest of an update.
    pub link: Range<u32>,
    /// Directory to reach it from.
    pub dir: Arc<DirFd>,
    /// Status before reading.
    pub stat: FileStat,
    /// What the attribute record says.
    pub file_type: FileType,
    /// What to do.
    pub action: Action,
    /// Options in force.
    pub options: OptionId,
}

/// Some entries in order.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// The entries.
    pub items: Vec<Item>,
    content_bytes: u64,
}

impl Batch {
    /// The bytes of a range of an item.
    #[must_use]
    pub fn text(&self, range: &Range<u32>) -> &[u8] {
        &self.bytes[range.start as usize..range.end as usize]
    }

    /// Appends bytes and gives their range.
    fn push(&mut self, parts: &[&[u8]]) -> Range<u32> {
        let start = self.bytes.len() as u32;
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        start..self.bytes.len() as u32
    }

    fn is_full(&self) -> bool {
        self.items.len() >= ITEMS_MAX || self.content_bytes >= CONTENT_BYTES_MAX
    }

    fn add_content(&mut self, bytes: u64) {
        self.content_bytes = self.content_bytes.saturating_add(bytes);
    }

    /// Whether an entry with so much content would make a batch too large that already has some.
    fn would_overflow(&self, bytes: u64) -> bool {
        !self.items.is_empty() && self.content_bytes.saturating_add(bytes) > CONTENT_BYTES_MAX
    }
}

/// Gathers entries and sends batches to the workers and, in the same order, to the emitter.
pub(super) struct Batcher {
    work: Sender<Work>,
    order: Sender<Ordered>,
    batch: Batch,
}

impl Batcher {
    pub(super) fn new(work: Sender<Work>, order: Sender<Ordered>) -> Self {
        Self { work, order, batch: Batch::default() }
    }

    /// Sends what has gathered; `false` when nobody takes it any more.
    pub(super) fn send(&mut self) -> bool {
        let batch = std::mem::take(&mut self.batch);
        if batch.items.is_empty() {
            return true;
        }
        let batch = Arc::new(batch);
        let (chunks_in, chunks_out) = bounded(CHUNKS_AHEAD);
        // First the order: a worker that is fast must find its reader there.
        self.order.send((Arc::clone(&batch), chunks_out)).is_ok()
            && self.work.send((batch, chunks_in)).is_ok()
    }
}

impl Take for Batcher {
    fn take(
        &mut self,
        entry: &Entry<'_>,
        stored: &[u8],
        file_type: FileType,
        action: Action,
        link: &[u8],
    ) -> ControlFlow<()> {
        let content = match action {
            Action::Content => entry.stat.size,
            Action::Stream => u64::MAX,
            Action::Attributes | Action::MaybeLink | Action::Update => 0,
        };
        if self.batch.would_overflow(content) && !self.send() {
            return ControlFlow::Break(());
        }
        let slash: &[u8] = if file_type.is_directory() && entry.path != b"/" { b"/" } else { b"" };
        let batch = &mut self.batch;
        let path = batch.push(&[entry.path, slash]);
        let stored = if stored == batch.text(&path) { path.clone() } else { batch.push(&[stored]) };
        let name = if entry.path.ends_with(entry.name) && entry.name != b"." {
            let end = path.start + entry.path.len() as u32;
            end - entry.name.len() as u32..end
        } else {
            batch.push(&[entry.name])
        };
        let link = batch.push(&[link]);
        batch.items.push(Item {
            path,
            stored,
            name,
            link,
            dir: entry.dir.clone(),
            stat: *entry.stat,
            file_type,
            action,
            options: entry.options,
        });
        batch.add_content(content);
        if self.batch.is_full() && !self.send() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
