//! A Volume mounted for appending: blocks of all jobs of the device go to its end, one run at a time.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use types::{VolAddr, VolumeName};
use volume::{Addressing, BuiltBlock, RawFile, VolumeLabel};

use super::carrier::{Carrier, Tape};
use super::file::VolumeFile;
use super::volume_error::VolumeError;
use super::volume_info::VolumeInfo;
use crate::disk::{Disk, SystemDisk};
use crate::ledger::VolumeState;
use crate::lock::lock;

/// Why a Volume takes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FullReason {
    /// Maximum Volume Bytes of the catalog, Maximum Volume Size of the device, or the end of the tape.
    Limit,
    /// It has been marked full (or in error) before.
    Closed,
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// How many of the blocks are on the Volume.
    pub blocks: usize,
    /// What they take there.
    pub bytes: u64,
    /// Where the first of them begins.
    pub start: VolAddr,
    /// Their last byte; on a tape, their last block.
    pub last: VolAddr,
    /// Set when the Volume takes no more.
    pub full: Option<FullReason>,
}

/// A Volume that is mounted for appending. Shared by the jobs of its device.
#[derive(Debug)]
pub struct Mounted {
    /// Name.
    pub volume: VolumeName,
    /// The label on it.
    pub label: VolumeLabel,
    /// Its file, or its drive.
    pub path: PathBuf,
    /// Counts the Volumes of the device: jobs see by it that the Volume has changed.
    pub generation: u64,
    /// Maximum Volume Size of the device, 0 for none, in bytes.
    pub size_max: u64,
    /// Where its state is kept.
    state_path: PathBuf,
    disk: Arc<dyn Disk>,
    carrier: Carrier,
    /// Bytes between the marks of a tape; 0 for no more marks than are needed.
    file_bytes_max: u64,
    inner: Mutex<Inner>,
    /// Held while a checkpoint is made; the newest one that is on stable storage.
    saved: Mutex<Option<Snapshot>>,
}

#[derive(Debug)]
struct Inner {
    /// Where the next block goes.
    end: u64,
    info: VolumeInfo,
    state: VolumeState,
    is_closed: bool,
    /// A tape is at its end: nothing more fits.
    is_at_end: bool,
    /// Bytes of the blocks behind the last mark of a tape.
    unmarked: u64,
    /// The catalog has not confirmed yet that it knows of the label.
    is_label_new: bool,
    /// Something has changed since the last snapshot.
    is_changed: bool,
}

/// What a Volume was at one moment: what a sync covers.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// State, with `synced_end` as it will be once the sync is done.
    pub state: VolumeState,
    /// The catalog's view.
    pub info: VolumeInfo,
}

impl Mounted {
    /// A Volume whose label and end have been checked.
    #[must_use]
    #[allow(clippy::too_many_arguments, reason = "each is a fact found by a different step of mounting")]
    pub fn new(
        volume: VolumeName,
        label: VolumeLabel,
        path: PathBuf,
        carrier: Carrier,
        info: VolumeInfo,
        state: VolumeState,
        state_path: PathBuf,
        size_max: u64,
        generation: u64,
    ) -> Self {
        let end = match &carrier {
            Carrier::File(_) => state.bytes,
            Carrier::Tape(_) => state.synced_end,
        };
        let inner = Inner {
            end,
            info,
            state,
            is_closed: false,
            is_at_end: false,
            unmarked: 0,
            is_label_new: false,
            is_changed: true,
        };
        Self {
            volume,
            label,
            path,
            generation,
            size_max,
            state_path,
            disk: Arc::new(SystemDisk),
            carrier,
            file_bytes_max: 0,
            inner: Mutex::new(inner),
            saved: Mutex::new(None),
        }
    }

    /// With its state on another disk.
    #[must_use]
    pub fn on_disk(self, disk: Arc<dyn Disk>) -> Self {
        Self { disk, ..self }
    }

    /// With a mark on a tape after so many bytes (`Maximum File Size`), for a restore to find its way.
    #[must_use]
    pub fn with_marks_every(self, bytes: u64) -> Self {
        Self { file_bytes_max: bytes, ..self }
    }

    /// What addresses on it count.
    #[must_use]
    pub fn addressing(&self) -> Addressing {
        match &self.carrier {
            Carrier::File(_) => Addressing::Bytes,
            Carrier::Tape(_) => Addressing::Blocks,
        }
    }

    /// With a label that was written just now.
    #[must_use]
    pub fn with_new_label(self) -> Self {
        lock(&self.inner).is_label_new = true;
        self
    }

    /// Whether its label is one that the catalog may not know of. Whichever job reports first tells of it.
    #[must_use]
    pub fn has_new_label(&self) -> bool {
        lock(&self.inner).is_label_new
    }

    /// The catalog knows of the label.
    pub fn note_label_known(&self) {
        lock(&self.inner).is_label_new = false;
    }

    /// One more job writes it; false where it is closed or may have no more jobs. The catalog may be asked whether a job may write while the
    /// one before it is not counted there yet.
    #[must_use]
    pub fn join(&self) -> bool {
        let mut inner = lock(&self.inner);
        let has_room = inner.info.jobs_max == 0 || inner.info.jobs < inner.info.jobs_max;
        if inner.is_closed || !has_room {
            return false;
        }
        inner.info.jobs += 1;
        inner.is_changed = true;
        true
    }

    /// Appends as many of the blocks (back to back in `bytes`) as fit under the Volume's limit.
    ///
    /// # Errors
    /// [`VolumeError::NoSpace`] and [`VolumeError::Write`]: what was written of the run has been cut back.
    pub fn append(&self, bytes: &[u8], blocks: &[BuiltBlock]) -> Result<Written, VolumeError> {
        let mut inner = lock(&self.inner);
        let start = VolAddr(inner.end);
        let nothing = |full| Written { blocks: 0, bytes: 0, start, last: start, full: Some(full) };
        if inner.is_closed {
            return Ok(nothing(FullReason::Closed));
        }
        let file = match &self.carrier {
            Carrier::File(file) => file,
            Carrier::Tape(tape) => return self.append_to_tape(&mut inner, tape, bytes, blocks),
        };
        let count = inner.fitting(blocks, self.size_max, |len| len as u64);
        let full = (count < blocks.len()).then_some(FullReason::Limit);
        if count == 0 {
            return Ok(nothing(FullReason::Limit));
        }
        let len: usize = blocks[..count].iter().map(|b| b.bytes).sum();
        let began = Instant::now();
        let mut file = file.clone();
        if let Err(source) = file.write_all_at(inner.end, &bytes[..len]) {
            self.cut_back(&mut inner, &mut file);
            return Err(self.write_error(&mut inner, source));
        }
        inner.is_changed = true;
        inner.end += len as u64;
        inner.info.bytes = inner.end;
        inner.info.blocks += count as u64;
        inner.info.writes += count as u64;
        inner.info.files = (inner.end >> 32) as u32;
        inner.info.write_time_us += u64::try_from(began.elapsed().as_micros()).unwrap_or(0);
        Ok(Written { blocks: count, bytes: len as u64, start, last: VolAddr(inner.end - 1), full })
    }

    /// The same on a tape, which may end before its limit: what did not fit is not on it.
    fn append_to_tape(
        &self,
        inner: &mut Inner,
        tape: &Tape,
        bytes: &[u8],
        blocks: &[BuiltBlock],
    ) -> Result<Written, VolumeError> {
        let start = VolAddr(inner.end);
        let count =
            if inner.is_at_end { 0 } else { inner.fitting(blocks, self.size_max, |len| tape.padded(len)) };
        let full = (count < blocks.len()).then_some(FullReason::Limit);
        let mut written = Written { blocks: 0, bytes: 0, start, last: start, full };
        let began = Instant::now();
        let mut rest = bytes;
        for block in &blocks[..count] {
            let (one, more) = rest.split_at(block.bytes);
            rest = more;
            match tape.write(one) {
                Ok(at) => inner.note_on_tape(&mut written, at, tape.padded(block.bytes)),
                Err(error) if error.is_full() => {
                    inner.is_at_end = true;
                    written.full = Some(FullReason::Limit);
                    break;
                }
                Err(error) => return Err(self.write_error(inner, error.source)),
            }
            if self.file_bytes_max > 0 && inner.unmarked >= self.file_bytes_max {
                inner.mark(tape).map_err(|source| self.write_error(inner, source))?;
            }
        }
        inner.info.write_time_us += u64::try_from(began.elapsed().as_micros()).unwrap_or(0);
        Ok(written)
    }

    /// Removes a part of a run from the end of the Volume.
    fn cut_back(&self, inner: &mut Inner, file: &mut VolumeFile) {
        if let Err(error) = file.truncate(inner.end) {
            // What is left there belongs to nobody; the next mount finds and marks it.
            tracing::error!(volume = %self.volume, %error, "could not cut back an unfinished block");
            inner.is_closed = true;
        }
    }

    fn write_error(&self, inner: &mut Inner, source: std::io::Error) -> VolumeError {
        let path = self.path.display().to_string();
        let volume = self.volume.clone();
        let error = volume::DeviceError { action: "write", at: inner.end, source };
        if error.is_full() {
            return VolumeError::NoSpace { volume, path };
        }
        inner.is_closed = true;
        inner.info.errors += 1;
        "Error".clone_into(&mut inner.info.status);
        VolumeError::Write { volume, path, source: error.source }
    }

    /// Where the next block would go.
    #[must_use]
    pub fn end(&self) -> VolAddr {
        VolAddr(lock(&self.inner).end)
    }

    /// Where the next block would go behind so many, which have so many bytes.
    #[must_use]
    pub fn end_behind(&self, blocks: usize, bytes: usize) -> VolAddr {
        let ahead = match self.addressing() {
            Addressing::Bytes => bytes,
            Addressing::Blocks => blocks,
        };
        VolAddr(self.end().0 + ahead as u64)
    }

    /// Lets go of a tape, which gets a mark; nothing more is written to it.
    pub fn let_go(&self) {
        let Carrier::Tape(tape) = &self.carrier else { return };
        if let Err(error) = self.checkpoint() {
            tracing::error!(volume = %self.volume, error = crate::session::chain(&error), "the tape was not left in order");
        }
        lock(&self.inner).is_closed = true;
        tape.close();
    }

    /// Whether it is a tape that is in its drive and open, with room.
    #[must_use]
    pub fn is_open_tape(&self) -> bool {
        let is_open = matches!(&self.carrier, Carrier::Tape(tape) if tape.is_open());
        let inner = lock(&self.inner);
        is_open && !inner.is_closed && !inner.is_at_end
    }

    /// Whether a tape still stands at the end that is known here. One that was taken out, or moved by another program, does not.
    #[must_use]
    pub fn stands(&self) -> bool {
        let Carrier::Tape(tape) = &self.carrier else { return false };
        let inner = lock(&self.inner);
        tape.is_at(VolAddr(inner.end))
    }

    /// Whose it is.
    #[must_use]
    pub fn owner(&self) -> crate::ledger::Owner {
        lock(&self.inner).state.owner.clone()
    }

    /// The catalog's view, with what was written since.
    #[must_use]
    pub fn info(&self) -> VolumeInfo {
        lock(&self.inner).info.clone()
    }

    /// Changes the catalog's view.
    pub fn update_info<T>(&self, change: impl FnOnce(&mut VolumeInfo) -> T) -> T {
        let mut inner = lock(&self.inner);
        inner.is_changed = true;
        change(&mut inner.info)
    }

    /// Notes that a range belongs to no session in a catalog.
    pub fn add_unowned(&self, from: u64, to: u64) {
        let mut inner = lock(&self.inner);
        inner.is_changed = true;
        inner.state.add_unowned(from, to);
    }

    /// Takes no more blocks: it is full or has failed.
    pub fn close(&self, status: &str) {
        let mut inner = lock(&self.inner);
        inner.is_closed = true;
        inner.is_changed = true;
        status.clone_into(&mut inner.info.status);
    }

    /// Whether it takes no more.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        lock(&self.inner).is_closed
    }

    /// Waits until all that was written before this call is on stable storage, and saves the state that says so.
    /// Appending goes on meanwhile.
    ///
    /// # Errors
    /// [`VolumeError::Sync`], after which the Volume takes no more, and [`VolumeError::State`].
    pub fn checkpoint(&self) -> Result<Snapshot, VolumeError> {
        let mut saved = lock(&self.saved);
        self.mark_tape()?;
        let (snapshot, is_changed) = self.snapshot();
        if let Some(last) = saved.as_ref().filter(|_| !is_changed) {
            return Ok(last.clone());
        }
        let result = self.sync_and_save(&snapshot);
        *saved = result.is_ok().then(|| snapshot.clone());
        result.map(|()| snapshot)
    }

    /// What was written to a tape is on it once a mark is: the drive has emptied its memory then.
    fn mark_tape(&self) -> Result<(), VolumeError> {
        let Carrier::Tape(tape) = &self.carrier else { return Ok(()) };
        let mut inner = lock(&self.inner);
        let marked = if inner.unmarked > 0 { inner.mark(tape) } else { Ok(()) };
        drop(inner);
        marked.map_err(|source| self.sync_error(source))
    }

    fn sync_error(&self, source: std::io::Error) -> VolumeError {
        // Pages may have been dropped: what comes later would stand on missing ground.
        self.close("Error");
        let (volume, path) = (self.volume.clone(), self.path.display().to_string());
        VolumeError::Sync { volume, path, source }
    }

    fn sync_and_save(&self, snapshot: &Snapshot) -> Result<(), VolumeError> {
        if let Carrier::File(file) = &self.carrier {
            file.sync_data().map_err(|source| self.sync_error(source))?;
        }
        snapshot
            .state
            .save_on(&*self.disk, &self.state_path)
            .map_err(|source| VolumeError::State { volume: self.volume.clone(), source })
    }

    /// The state at this moment, and whether it is another one than at the last call.
    fn snapshot(&self) -> (Snapshot, bool) {
        let mut inner = lock(&self.inner);
        let is_changed = std::mem::take(&mut inner.is_changed);
        let info = inner.info.clone();
        let end = inner.end;
        let state = &mut inner.state;
        if is_changed {
            state.seq += 1;
        }
        state.bytes = match &self.carrier {
            Carrier::File(_) => end,
            Carrier::Tape(_) => info.bytes,
        };
        state.synced_end = end;
        state.writes = info.writes;
        state.blocks = info.blocks;
        state.files = info.files;
        state.jobs = info.jobs;
        state.status.clone_from(&info.status);
        (Snapshot { state: inner.state.clone(), info }, is_changed)
    }
}

impl Inner {
    /// How many of the blocks the Volume's limits leave room for (spec/03 §1.12: `bytes + block >= limit` is full).
    fn fitting(&self, blocks: &[BuiltBlock], size_max: u64, size_of: impl Fn(usize) -> u64) -> usize {
        let limit = [self.info.bytes_max, size_max].into_iter().filter(|l| *l > 0).min();
        let Some(limit) = limit else { return blocks.len() };
        let mut size = self.info.bytes;
        blocks
            .iter()
            .take_while(|b| {
                size += size_of(b.bytes);
                size < limit
            })
            .count()
    }

    /// A block is on the tape.
    fn note_on_tape(&mut self, written: &mut Written, at: VolAddr, bytes: u64) {
        if written.blocks == 0 {
            written.start = at;
        }
        written.last = at;
        written.blocks += 1;
        written.bytes += bytes;
        self.end = at.0 + 1;
        self.unmarked += bytes;
        self.info.bytes += bytes;
        self.info.blocks += 1;
        self.info.writes += 1;
        self.is_changed = true;
    }

    /// Writes a mark to the tape.
    fn mark(&mut self, tape: &Tape) -> std::io::Result<()> {
        let at = tape.mark().map_err(|error| error.source)?;
        self.end = at.0;
        self.unmarked = 0;
        self.info.files = at.file();
        self.is_changed = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::VolumeReply;

    fn mounted(jobs: u32, jobs_max: u32) -> Mounted {
        let dir = tempfile::tempdir().unwrap();
        let line = format!(
            "1000 OK VolName=V VolJobs={jobs} VolBytes=0 VolStatus=Append MaxVolJobs={jobs_max} MediaId=1\n"
        );
        let VolumeReply::Found(info) = VolumeReply::parse(line.as_bytes()) else { panic!("{line}") };
        let volume = VolumeName::new("V").unwrap();
        let label = crate::session::LabelMaker { program: "sd".into(), host: "here".into() };
        let label = label.label(volume::LabelKind::Volume, &volume, "P", "File", None, types::VolTime(1));
        let (path, state_path) = (dir.path().join("V"), dir.path().join("V.state"));
        let file = VolumeFile::create(&path).unwrap();
        Mounted::new(
            volume,
            label,
            path,
            Carrier::File(file),
            *info,
            VolumeState::default(),
            state_path,
            0,
            1,
        )
    }

    #[test]
    fn no_more_jobs_join_than_the_volume_may_have() {
        let one = mounted(1, 2);
        assert!(one.join());
        assert!(!one.join());
        assert_eq!(one.info().jobs, 2);
        let closed = mounted(1, 0);
        assert!(closed.join());
        closed.close("Full");
        assert!(!closed.join());
    }
}
