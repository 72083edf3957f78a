//! What was received and is not yet in the catalog: bounded, applied in order in one transaction.

use super::attributes::Attribute;
use catalog::file::{self, Ingest, NewFile};
use catalog::jobmedia::{self, FilePosition, Piece};
use catalog::journal::{self, JournalKey};
use catalog::{WriteTx, log, media, volume_state};
use types::{FileIndex, JobId, MediaId, Seq, Timestamp, VolTime};

/// Records of one transaction: its sync costs the same for more, and a Holdfast SD streams 32,768 records or 4 MiB ahead of
/// the acknowledgement (docs/extensions.md §4), so that the next ones arrive while these are committed.
pub(super) const RECORDS_MAX: usize = 8192;

/// Bytes of names and texts in one transaction.
const BYTES_MAX: usize = 2 << 20;

/// A piece whose Volume is named, not numbered, in a Holdfast SD's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedPiece {
    /// The piece; its `media_id` is looked up.
    pub(super) piece: Piece,
    /// Volume; empty where the SD gave the number.
    pub(super) volume: String,
    /// When that Volume was labelled; 0 = not told.
    pub(super) label_time: VolTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    File(NewFile),
    Base(NewFile),
    Digest(FileIndex, String),
    Pieces(Vec<NamedPiece>),
    Positions(Vec<FilePosition>),
    Log(Timestamp, String),
}

/// Entries in the order they came, and how far into the journal they reach.
#[derive(Debug, Default)]
pub(super) struct Batch {
    entries: Vec<Entry>,
    bytes: usize,
    /// Last record that is in here or needs no row.
    up_to: Option<Seq>,
}

impl Batch {
    /// Whether there is nothing to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.up_to.is_none()
    }

    /// Whether it is time to commit.
    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= RECORDS_MAX || self.bytes >= BYTES_MAX
    }

    /// The record `seq` is in here, or has no effect on rows.
    pub(super) fn reached(&mut self, seq: Option<Seq>) {
        self.up_to = seq.or(self.up_to);
    }

    /// How far into the journal this reaches.
    pub(super) fn up_to(&self) -> Option<Seq> {
        self.up_to
    }

    pub(super) fn attribute(&mut self, attribute: Attribute) {
        match attribute {
            Attribute::File(file) => self.push(file_bytes(&file), Entry::File(file)),
            Attribute::Base(file) => self.push(file_bytes(&file), Entry::Base(file)),
            Attribute::Digest { file_index, digest } => self.digest(file_index, digest),
            Attribute::Nothing => {}
        }
    }

    /// A digest follows its file: it is put into the entry that waits for it, which nearly always is the last one.
    fn digest(&mut self, index: FileIndex, digest: String) {
        if let Some(Entry::File(file)) = self.entries.last_mut()
            && file.file_index == index
        {
            file.digest = digest;
            return;
        }
        self.push(digest.len(), Entry::Digest(index, digest));
    }

    pub(super) fn pieces(&mut self, pieces: Vec<NamedPiece>) {
        if pieces.is_empty() {
            return;
        }
        self.push(pieces.len() * size_of::<NamedPiece>(), Entry::Pieces(pieces));
    }

    pub(super) fn positions(&mut self, positions: Vec<FilePosition>) {
        self.push(positions.len() * size_of::<FilePosition>(), Entry::Positions(positions));
    }

    pub(super) fn log(&mut self, at: Timestamp, text: String) {
        self.push(text.len(), Entry::Log(at, text));
    }

    fn push(&mut self, bytes: usize, entry: Entry) {
        self.bytes += bytes;
        self.entries.push(entry);
    }

    /// Writes everything inside `tx`, and the journal position with it.
    pub(super) fn apply(
        &self,
        tx: &WriteTx<'_>,
        job: JobId,
        ingest: &mut Ingest,
        journal: Option<&JournalKey>,
    ) -> catalog::Result<()> {
        // Files that follow one another go in together.
        let mut files: Vec<&NewFile> = Vec::new();
        for entry in &self.entries {
            if let Entry::File(file) = entry {
                files.push(file);
                continue;
            }
            ingest.insert(tx, &std::mem::take(&mut files), None)?;
            match entry {
                Entry::File(_) => {}
                Entry::Base(file) => file::insert_base(tx, job, file)?,
                Entry::Digest(index, digest) => file::set_digest(tx, job, *index, digest)?,
                Entry::Pieces(pieces) => apply_pieces(tx, job, pieces)?,
                Entry::Positions(positions) => jobmedia::create_file_media(tx, job, positions)?,
                Entry::Log(at, text) => log::append(tx, job, *at, text)?,
            }
        }
        ingest.insert(tx, &files, None)?;
        match (journal, self.up_to) {
            (Some(key), Some(seq)) => journal::advance(tx, key, seq),
            (None, _) | (_, None) => Ok(()),
        }
    }
}

fn file_bytes(file: &NewFile) -> usize {
    size_of::<Entry>() + file.path.len() + file.name.len() + file.lstat.len()
}

fn apply_pieces(tx: &WriteTx<'_>, job: JobId, pieces: &[NamedPiece]) -> catalog::Result<()> {
    for named in pieces {
        if named.volume.is_empty() {
            jobmedia::create(tx, job, std::slice::from_ref(&named.piece))?;
            continue;
        }
        match volume_of(tx, named)? {
            Some(media_id) => jobmedia::extend(tx, job, &[Piece { media_id, ..named.piece }])?,
            None => {
                tracing::warn!(%job, volume = named.volume, "a piece of the job is on a Volume that is no longer there");
            }
        }
    }
    Ok(())
}

/// The Volume that a piece was written to. None when it was deleted, or labelled anew since: a journal that comes late must
/// not claim a range of what is on it now.
fn volume_of(tx: &WriteTx<'_>, named: &NamedPiece) -> catalog::Result<Option<MediaId>> {
    let Some(row) = media::get_by_name(tx, &named.volume)? else { return Ok(None) };
    let labelled = volume_state::get(tx, row.id)?.label_date;
    let is_older = named.label_time.0 != 0 && named.label_time.0 < labelled;
    Ok((!is_older).then_some(row.id))
}
