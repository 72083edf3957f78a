//! A journal that is being written, and its readers.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::codec::{self, Decoded, Header, JournalError, Record, RecordKind};
use crate::disk::{Disk, DiskFile, SystemDisk};

/// A record's place is remembered for every this many records; a reader scans from there.
const INDEX_EVERY: u64 = 1024;
/// Written to the file when this much is collected, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;
/// Room that is kept for what must be said when the disk is full: messages and the end of the job, in bytes.
const LAST_WORDS_BYTES: u64 = 128 * 1024;
/// Room is taken from the file system in steps of this many bytes.
const ROOM_STEP_BYTES: u64 = 1 << 20;
/// Read from the file at once, in bytes.
const READ_BYTES: usize = 64 * 1024;

/// The journal of one job, open for appending. One owner; readers have their own descriptor.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    buffer: Vec<u8>,
    /// Offset of the next record, the buffer included.
    end: u64,
    next_seq: u64,
    index: Arc<std::sync::RwLock<Vec<u64>>>,
    /// Bytes since the last checkpoint.
    unsynced_bytes: u64,
    /// Number of the last record that may be streamed.
    streamable: u64,
    /// Whether a data record stands behind the last checkpoint.
    has_waiting_data: bool,
    durable: u64,
    /// Up to here the file system has given room.
    room_until: u64,
}

impl Journal {
    /// Creates the journal of a job; the header is durable when this returns.
    ///
    /// # Errors
    /// [`JournalError::Io`], also when the job already has one.
    pub fn create(path: &Path, header: &Header) -> Result<Self, JournalError> {
        Self::create_on(&SystemDisk, path, header)
    }

    /// [`Self::create`] on another disk.
    ///
    /// # Errors
    /// As there.
    pub fn create_on(disk: &dyn Disk, path: &Path, header: &Header) -> Result<Self, JournalError> {
        let file = disk.create(path).map_err(io_at(path))?;
        let mut bytes = Vec::new();
        codec::encode(0, header.format().as_bytes(), &mut bytes);
        file.write_all_at(&bytes, 0).map_err(io_at(path))?;
        file.sync_data().map_err(io_at(path))?;
        let mut journal = Self::at(path, file, bytes.len() as u64, 1, Vec::new());
        journal.take_room(LAST_WORDS_BYTES)?;
        Ok(journal)
    }

    /// Goes on with a journal that has been cut back: `end` is its length, `next_seq` the next number.
    pub(crate) fn at(path: &Path, file: Arc<dyn DiskFile>, end: u64, next_seq: u64, index: Vec<u64>) -> Self {
        Self {
            path: path.to_owned(),
            file,
            buffer: Vec::with_capacity(BUFFER_BYTES),
            end,
            next_seq,
            index: Arc::new(std::sync::RwLock::new(index)),
            unsynced_bytes: 0,
            streamable: next_seq - 1,
            has_waiting_data: false,
            durable: next_seq - 1,
            room_until: end,
        }
    }

    /// Takes room ahead, so that a full disk is noticed while there is room left for saying so.
    fn take_room(&mut self, bytes: u64) -> Result<(), JournalError> {
        let wanted = self.end + bytes + LAST_WORDS_BYTES;
        if wanted <= self.room_until {
            return Ok(());
        }
        let step = (wanted - self.room_until).max(ROOM_STEP_BYTES);
        match self.file.take_room(self.room_until, step).map_err(io_at(&self.path))? {
            true => self.room_until += step,
            // A file system that cannot do this gives room when it is written to.
            false => self.room_until = u64::MAX,
        }
        Ok(())
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of the last record, 0 where there is none.
    #[must_use]
    pub const fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }

    /// Number of the last record that may be streamed now.
    #[must_use]
    pub const fn streamable(&self) -> u64 {
        self.streamable
    }

    /// Number of the last record known to be on stable storage.
    #[must_use]
    pub const fn durable(&self) -> u64 {
        self.durable
    }

    /// Bytes appended since the last checkpoint.
    #[must_use]
    pub const fn unsynced_bytes(&self) -> u64 {
        self.unsynced_bytes
    }

    /// Whether records wait for a checkpoint before anything behind them can be streamed.
    #[must_use]
    pub const fn has_waiting_data(&self) -> bool {
        self.has_waiting_data
    }

    /// Appends a record and gives its number. A data record waits for a checkpoint; others are in the file when this returns.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn append(&mut self, payload: &[u8]) -> Result<u64, JournalError> {
        let seq = self.next_seq;
        let kind = RecordKind::of(payload);
        if matches!(kind, RecordKind::Data) {
            self.take_room(payload.len() as u64)?;
        }
        if (seq - 1).is_multiple_of(INDEX_EVERY) {
            self.index.write().unwrap_or_else(std::sync::PoisonError::into_inner).push(self.end);
        }
        let before = self.buffer.len();
        codec::encode(seq, payload, &mut self.buffer);
        let added = (self.buffer.len() - before) as u64;
        self.end += added;
        self.unsynced_bytes += added;
        self.next_seq += 1;
        match kind {
            RecordKind::Data => self.has_waiting_data = true,
            RecordKind::Checkpoint => {
                self.has_waiting_data = false;
                self.streamable = seq;
            }
            RecordKind::End | RecordKind::Other => {
                if !self.has_waiting_data {
                    self.streamable = seq;
                }
            }
        }
        if !matches!(kind, RecordKind::Data) || self.buffer.len() >= BUFFER_BYTES {
            self.flush()?;
        }
        Ok(seq)
    }

    /// Hands what is collected to the system and gives the file to be synced and the number that is durable afterwards.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn prepare_sync(&mut self) -> Result<(Arc<dyn DiskFile>, u64), JournalError> {
        self.flush()?;
        self.unsynced_bytes = 0;
        Ok((Arc::clone(&self.file), self.last_seq()))
    }

    /// Gives back the room that was taken ahead: the journal is complete.
    pub fn give_back_room(&mut self) {
        self.room_until = self.end;
        if let Err(error) = self.flush().and_then(|()| self.file.set_len(self.end).map_err(io_at(&self.path)))
        {
            tracing::warn!(path = %self.path.display(), %error, "room taken ahead for a journal could not be given back");
        }
    }

    /// Notes that a sync prepared before has succeeded.
    pub fn note_durable(&mut self, seq: u64) {
        self.durable = self.durable.max(seq);
    }

    /// A reader from record `from` on.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn reader(&self, from: u64) -> Result<JournalReader, JournalError> {
        let slot = (from.max(1) - 1) / INDEX_EVERY;
        let index = self.index.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let at = usize::try_from(slot).ok().and_then(|s| index.get(s)).copied().unwrap_or(self.end);
        let seq = slot * INDEX_EVERY + 1;
        let mut reader = JournalReader::new(&self.path, Arc::clone(&self.file), at, seq);
        drop(index);
        while reader.next_seq < from.max(1) && reader.next_seq < self.next_seq {
            reader.next()?;
        }
        Ok(reader)
    }

    fn flush(&mut self) -> Result<(), JournalError> {
        if !self.buffer.is_empty() {
            let at = self.end - self.buffer.len() as u64;
            self.file.write_all_at(&self.buffer, at).map_err(io_at(&self.path))?;
            self.buffer.clear();
        }
        Ok(())
    }
}

/// Reads records in order.
#[derive(Debug)]
pub struct JournalReader {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    buffer: Vec<u8>,
    /// Place in `buffer` of the next record.
    place: usize,
    /// Offset in the file of the end of `buffer`.
    file_at: u64,
    next_seq: u64,
}

impl JournalReader {
    pub(crate) fn new(path: &Path, file: Arc<dyn DiskFile>, at: u64, next_seq: u64) -> Self {
        Self { path: path.to_owned(), file, buffer: Vec::new(), place: 0, file_at: at, next_seq }
    }

    /// Number of the record that comes next.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Offset in the file of the record that comes next.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.file_at - (self.buffer.len() - self.place) as u64
    }

    /// The next record; `None` at the end of what is in the file.
    ///
    /// # Errors
    /// [`JournalError::Damaged`] for anything that is no next record.
    #[allow(
        clippy::should_implement_trait,
        reason = "it fails, and `?` reads better than an iterator of results"
    )]
    pub fn next(&mut self) -> Result<Option<Record>, JournalError> {
        loop {
            match codec::decode(&self.buffer[self.place..]) {
                Decoded::Record { seq, payload, bytes } if seq == self.next_seq => {
                    let record = Record { seq, payload: payload.to_vec() };
                    self.place += bytes;
                    self.next_seq += 1;
                    return Ok(Some(record));
                }
                Decoded::Record { .. } | Decoded::Damaged => return Err(self.damaged()),
                Decoded::Need(bytes) => {
                    if !self.fill(bytes)? {
                        let is_end = self.place == self.buffer.len();
                        return if is_end { Ok(None) } else { Err(self.damaged()) };
                    }
                }
            }
        }
    }

    /// Reads on until `bytes` are there; `false` at the end of the file.
    fn fill(&mut self, bytes: usize) -> Result<bool, JournalError> {
        self.buffer.drain(..self.place);
        self.place = 0;
        while self.buffer.len() < bytes {
            let have = self.buffer.len();
            self.buffer.resize(have + READ_BYTES, 0);
            let n = match self.file.read_at(&mut self.buffer[have..], self.file_at) {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => 0,
                Err(source) => {
                    return Err(JournalError::Io { path: self.path.display().to_string(), source });
                }
            };
            self.buffer.truncate(have + n);
            self.file_at += n as u64;
            if n == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn damaged(&self) -> JournalError {
        JournalError::Damaged { path: self.path.display().to_string(), at: self.offset() }
    }
}

pub(crate) fn io_at(path: &Path) -> impl FnOnce(io::Error) -> JournalError + '_ {
    move |source| JournalError::Io { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(dir: &Path) -> Journal {
        Journal::create(&dir.join("job-1.1.journal"), &Header::default()).unwrap()
    }

    #[test]
    fn data_waits_for_a_checkpoint_and_holds_up_what_follows() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = journal(dir.path());
        assert_eq!(journal.append(b"Jmsg one").unwrap(), 1);
        assert_eq!(journal.streamable(), 1);
        journal.append(b"UpdCat JobId=1 FileAttributes ").unwrap();
        journal.append(b"Jmsg two").unwrap();
        assert_eq!(journal.streamable(), 1);
        assert!(journal.has_waiting_data());
        journal.append(b"Ckpt files=1 bytes=1 errors=0\n").unwrap();
        assert_eq!(journal.streamable(), 4);
        assert_eq!(journal.append(b"3099 Job").unwrap(), 5);
        assert_eq!(journal.streamable(), 5);
    }

    #[test]
    fn a_reader_starts_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = journal(dir.path());
        for n in 1..=3000 {
            journal.append(format!("UpdCat {n}").as_bytes()).unwrap();
        }
        journal.prepare_sync().unwrap();
        for from in [1, 2, 1024, 1025, 1026, 3000] {
            let mut reader = journal.reader(from).unwrap();
            let record = reader.next().unwrap().unwrap();
            assert_eq!((record.seq, record.payload), (from, format!("UpdCat {from}").into_bytes()));
        }
        let mut reader = journal.reader(3001).unwrap();
        assert!(reader.next().unwrap().is_none());
        journal.append(b"Jmsg late").unwrap();
        assert_eq!(reader.next().unwrap().unwrap().seq, 3001);
    }
}
