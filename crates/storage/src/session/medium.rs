//! A Volume is put into a drive to be appended to: what is on it is looked at; then it is labelled, overwritten by a permit, or gone to
//! the end of (spec/03 §4.5). Over any [`Disk`]; asks nobody, waits for nobody.

mod tape;
#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use types::{VolAddr, VolSession, VolTime, VolumeName};
use volume::{
    BlockFormat, BlockHeader, LabelKind, RawFile, ReadLabelError, Verify, VolumeLabel, label_block,
};

use super::chain;
use super::label::{LabelMaker, overwrite};
use super::tail::end_of_whole_blocks;
use crate::daemon::guard::{may_append, owner_of, state_on};
use crate::daemon::{OnMedium, PermitError};
use crate::device::{Carrier, DeviceKind, Mounted, Permit, Tape, VolumeError, VolumeFile, VolumeInfo};
use crate::disk::Disk;
use crate::job::message::Kind;
use crate::ledger::{DirectorKey, StateFileError, VolumeState};
use crate::text::with_commas;

/// Why a Volume is taken out of use.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// Directories have other ideas of names.
    #[error("its name can be no file")]
    Name,
    /// What the system says.
    #[error("{path} cannot be opened: {source}")]
    Open {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// The catalog knows data on it.
    #[error("{0} does not exist")]
    Missing(String),
    /// A Volume of Bacula.
    #[error("it is encrypted by Bacula, which cannot be appended to")]
    Encrypted,
    /// Directors that name their Volumes alike. It is not ours to write, nor to take out of use.
    #[error("it belongs to Director \"{0}\"")]
    Foreign(String),
    /// Its file has another label.
    #[error("another Volume is under its name")]
    Another,
    /// Its file has none.
    #[error("its label cannot be read: {0}")]
    Label(String),
    /// A tape that cannot be written.
    #[error("it is write-protected")]
    Protected,
    /// A tape of which nobody knows where to write.
    #[error("the end of its data cannot be found: {0}")]
    End(String),
    /// A tape has lost data that were on it.
    #[error(
        "it has fewer files than were written: Volume={files} Catalog={known}. Data of earlier jobs are missing, or another medium has \
         its label"
    )]
    FewerFiles {
        /// Files that are there.
        files: u32,
        /// Files that are known.
        known: u32,
    },
    /// Data that were on stable storage are gone.
    #[error(
        "it is shorter than what was written: size={} known={}. Data of earlier jobs are missing",
        with_commas(*size),
        with_commas(*known)
    )]
    Short {
        /// Bytes that are there.
        size: u64,
        /// Bytes that are known.
        known: u64,
    },
}

/// Why no Volume could be put into the drive.
#[derive(Debug, thiserror::Error)]
pub enum MediumError {
    /// The Volume failed.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// Its state file cannot be used.
    #[error(transparent)]
    State(#[from] StateFileError),
}

/// What came of it.
#[derive(Debug)]
pub enum Placed {
    /// It is in the drive; its generation is to be given.
    Mounted(Box<Mounted>),
    /// It stays as it is, and another one must be found; with the refusal where the permit was the reason.
    Refused(Option<PermitError>),
    /// It cannot be used any more.
    Unfit(Unfit),
}

/// Judges whether a Volume may be overwritten ([`crate::daemon::judge`]).
pub type PermitCheck<'a> = &'a dyn Fn(Option<Permit>, OnMedium<'_>) -> Result<(), PermitError>;

/// Opens the tape in a drive.
pub type OpenTape<'a> = &'a dyn Fn() -> io::Result<Tape>;

/// A Volume, a drive, and the job that wants the one in the other.
pub struct Placing<'a> {
    /// Where all files are.
    pub disk: &'a Arc<dyn Disk>,
    /// The Volume.
    pub volume: &'a VolumeName,
    /// Its file, or the drive.
    pub path: PathBuf,
    /// What the drive is.
    pub kind: DeviceKind,
    /// Opens the tape in the drive; none where the Volume is a file.
    pub tape: Option<OpenTape<'a>>,
    /// `Maximum File Size` in bytes; 0 for none.
    pub file_bytes_max: u64,
    /// The file of its state.
    pub state_path: PathBuf,
    /// Whether a job reads it.
    pub is_being_read: bool,
    /// The drive, as messages name it.
    pub drive: String,
    /// Blocks of the drive.
    pub format: BlockFormat,
    /// Whether checksums of labels are looked at.
    pub verify: Verify,
    /// `Label Media`.
    pub may_label: bool,
    /// `Maximum Volume Size` in bytes; 0 for none.
    pub size_max: u64,
    /// `Media Type`.
    pub media_type: &'a str,
    /// Whose job it is.
    pub owner: &'a DirectorKey,
    /// Its session.
    pub session: VolSession,
    /// Its pool.
    pub pool: &'a str,
    /// 0 for the job's first Volume, 2 for its second …
    pub ordinal: i32,
    /// Makes labels.
    pub maker: &'a LabelMaker,
    /// The time.
    pub now: VolTime,
    /// Asked before data are overwritten.
    pub permit: PermitCheck<'a>,
    /// Messages for the job, in order.
    pub says: Vec<(Kind, String)>,
}

impl Placing<'_> {
    /// Puts the Volume into the drive; `info` is what the catalog says of it.
    ///
    /// # Errors
    /// [`MediumError`]: the drive or the state beside the Volume has failed.
    pub fn place(&mut self, info: VolumeInfo) -> Result<Placed, MediumError> {
        if !self.volume.is_file_name() {
            return Ok(Placed::Unfit(Unfit::Name));
        }
        if let Some(open) = self.tape {
            return match open() {
                Ok(tape) => self.present(info, Carrier::Tape(tape)),
                Err(source) => Ok(Placed::Unfit(self.not_opened(source))),
            };
        }
        match self.disk.open(&self.path) {
            Ok(file) => self.present(info, Carrier::File(VolumeFile::over(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.missing(info),
            Err(source) => Ok(Placed::Unfit(self.not_opened(source))),
        }
    }

    fn not_opened(&self, source: io::Error) -> Unfit {
        Unfit::Open { path: self.path.display().to_string(), source }
    }

    fn say(&mut self, kind: Kind, text: String) {
        self.says.push((kind, text));
    }

    /// The Volume has no file yet: it is labelled if that is allowed.
    fn missing(&mut self, info: VolumeInfo) -> Result<Placed, MediumError> {
        let path = self.path.display().to_string();
        if info.bytes != 0 && info.status != "Recycle" {
            return Ok(Placed::Unfit(Unfit::Missing(path)));
        }
        if self.may_label {
            return self.label(info, None, None);
        }
        let text = format!(
            "Volume \"{}\" does not exist as {path} and device {} may not label it (Label Media = no).",
            self.volume, self.drive
        );
        self.say(Kind::Warning, text);
        Ok(Placed::Refused(None))
    }

    fn present(&mut self, info: VolumeInfo, carrier: Carrier) -> Result<Placed, MediumError> {
        let is_recycling = info.status == "Recycle";
        match carrier.read_label(self.verify) {
            Ok((header, label)) if label.volume == self.volume.as_str() => {
                if carrier.is_protected() {
                    return Ok(Placed::Unfit(Unfit::Protected));
                }
                if header.is_volume_encrypted() {
                    return Ok(Placed::Unfit(Unfit::Encrypted));
                }
                if is_recycling {
                    return self.recycle(info, carrier, Some(&label));
                }
                let state = self.load_state(Some(label.labelled))?;
                if let Some(state) = state.filter(|state| !may_append(self.owner, state)) {
                    return Ok(Placed::Unfit(Unfit::Foreign(state.owner.director)));
                }
                if self.is_new(&carrier, &header, &label)? {
                    return self.label(info, Some(&label), Some(carrier));
                }
                match carrier {
                    Carrier::File(file) => self.append_to(info, file, label),
                    Carrier::Tape(tape) => self.append_to_tape(info, tape, label),
                }
            }
            Ok((_, label)) => {
                let text = format!(
                    "Director wanted Volume \"{}\".\n    Current Volume \"{}\" not acceptable because:\n    \
                     {} holds the label of another Volume.",
                    self.volume,
                    label.volume,
                    self.path.display()
                );
                self.say(Kind::Warning, text);
                Ok(Placed::Unfit(Unfit::Another))
            }
            Err(ReadLabelError::Empty) if (info.bytes == 0 || is_recycling) && self.may_label => {
                self.label(info, None, Some(carrier))
            }
            Err(_) if is_recycling && self.may_label => self.recycle(info, carrier, None),
            Err(error) => Ok(Placed::Unfit(Unfit::Label(chain(&error)))),
        }
    }

    /// Whether it was labelled, and not written to yet.
    fn is_new(
        &self,
        carrier: &Carrier,
        header: &BlockHeader,
        label: &VolumeLabel,
    ) -> Result<bool, VolumeError> {
        if label.kind != LabelKind::Pre {
            return Ok(false);
        }
        carrier.holds_only_its_label(header).map_err(|error| self.io_error(error))
    }

    fn load_state(&self, label_time: Option<VolTime>) -> Result<Option<VolumeState>, StateFileError> {
        let state = VolumeState::load_on(&**self.disk, &self.state_path)?;
        Ok(state.filter(|state| label_time.is_none_or(|time| state.label_time == time)))
    }

    /// Overwrites a Volume whose data are no longer wanted.
    fn recycle(
        &mut self,
        info: VolumeInfo,
        carrier: Carrier,
        label: Option<&VolumeLabel>,
    ) -> Result<Placed, MediumError> {
        if self.is_being_read {
            let text = format!("Volume \"{}\" is being read, so it is not recycled now.", self.volume);
            self.say(Kind::Warning, text);
            return Ok(Placed::Refused(None));
        }
        let state = state_on(&**self.disk, &self.state_path, &self.path, label)?;
        if let Err(refusal) = (self.permit)(info.permit, OnMedium { state: state.as_ref(), label }) {
            self.say(Kind::Warning, format!("3985 {refusal}"));
            return Ok(Placed::Refused(Some(refusal)));
        }
        tracing::info!(volume = %self.volume, bytes = info.bytes, "recycling the Volume");
        self.label(VolumeInfo { bytes: 0, blocks: 0, jobs: 0, files: 0, ..info }, None, Some(carrier))
    }

    /// Writes the label of a Volume in use. `before` is the label of one that has been labelled, but holds no data; `carrier` is what is there.
    fn label(
        &mut self,
        mut info: VolumeInfo,
        before: Option<&VolumeLabel>,
        carrier: Option<Carrier>,
    ) -> Result<Placed, MediumError> {
        let is_recycled = info.status == "Recycle";
        let label = match before {
            Some(before) => VolumeLabel { kind: LabelKind::Volume, written: self.now, ..before.clone() },
            None => {
                self.maker.label(LabelKind::Volume, self.volume, self.pool, self.media_type, None, self.now)
            }
        };
        let (carrier, size, end) = match carrier {
            Some(Carrier::Tape(tape)) => {
                let block = label_block(self.format, self.session, self.ordinal, &label);
                let size = tape.overwrite(&block).map_err(|e| self.io_error(e.source))?;
                (Carrier::Tape(tape), size, VolAddr::from_file_block(1, 0).0)
            }
            Some(Carrier::File(_)) | None => {
                let file = self.labelled_file(&label).map_err(|e| self.io_error(e))?;
                let size = file.len().map_err(|e| self.io_error(e))?;
                (Carrier::File(file), size, size)
            }
        };
        info.bytes = size;
        info.files = VolAddr(end).file();
        info.writes += 1;
        info.blocks = 0;
        "Append".clone_into(&mut info.status);
        let old = self.load_state(None)?;
        let state = VolumeState {
            seq: old.map_or(0, |state| state.seq),
            label_time: label.labelled,
            owner: owner_of(self.owner),
            bytes: size,
            writes: info.writes,
            status: info.status.clone(),
            synced_end: end,
            ..VolumeState::default()
        };
        let mounted = self.mounted(label, carrier, info, state).with_new_label();
        let (name, on) = (self.volume, format!("on {} device {}", self.kind.as_str(), self.drive));
        let text = match (is_recycled, before) {
            (true, _) => format!("Recycled volume \"{name}\" {on}, all previous data lost."),
            (false, Some(_)) => format!("Wrote label to prelabeled Volume \"{name}\" {on}"),
            (false, None) => format!("Labeled new Volume \"{name}\" {on}."),
        };
        self.say(Kind::Info, text);
        Ok(Placed::Mounted(Box::new(mounted)))
    }

    /// Makes a label all that is in the Volume's file.
    fn labelled_file(&self, label: &VolumeLabel) -> io::Result<VolumeFile> {
        let opened = match self.disk.create(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.disk.open(&self.path),
            other => other,
        };
        let file = VolumeFile::over(opened?);
        overwrite(file.clone(), self.format, self.session, self.ordinal, label)?;
        Ok(file)
    }

    /// Goes to the end of a Volume in use, after checking where it is.
    fn append_to(
        &mut self,
        mut info: VolumeInfo,
        mut file: VolumeFile,
        label: VolumeLabel,
    ) -> Result<Placed, MediumError> {
        let size = file.len().map_err(|e| self.io_error(e))?;
        let state = self.load_state(Some(label.labelled))?;
        let known = state.as_ref().map_or(info.bytes, |state| state.synced_end.max(info.bytes));
        if size < known {
            return Ok(Placed::Unfit(Unfit::Short { size, known }));
        }
        let name = self.volume;
        self.say(Kind::Info, format!("Volume \"{name}\" previously written, moving to end of data."));
        let mut state = state.unwrap_or_default();
        let is_ours = state.seq > 0;
        let mut end = size;
        if is_ours && size > state.synced_end {
            end = self.take_tail(&mut file, &mut state, size)?;
        }
        if end != info.bytes {
            let text = format!(
                "For Volume \"{name}\":\nThe sizes do not match! Metadata Volume={} Catalog={}\nCorrecting Catalog",
                with_commas(end),
                with_commas(info.bytes)
            );
            self.say(Kind::Warning, text);
            info.bytes = end;
            info.files = (end >> 32) as u32;
        }
        if is_ours {
            info.blocks = info.blocks.max(state.blocks);
            info.writes = info.writes.max(state.writes);
        }
        state.label_time = label.labelled;
        state.owner = owner_of(self.owner);
        state.bytes = end;
        let mounted = self.mounted(label, Carrier::File(file), info, state);
        self.say(
            Kind::Info,
            format!("Ready to append to end of Volume \"{name}\" size={}", with_commas(end)),
        );
        Ok(Placed::Mounted(Box::new(mounted)))
    }

    /// What is behind the last synced byte belongs to no acknowledged record: whole blocks stay as an unowned range, a torn one goes
    /// (docs/decisions/003-volume-tails.md).
    fn take_tail(
        &self,
        file: &mut VolumeFile,
        state: &mut VolumeState,
        size: u64,
    ) -> Result<u64, MediumError> {
        let end = end_of_whole_blocks(file, state.synced_end).map_err(|e| self.io_error(e))?;
        if end < size {
            file.truncate(end).map_err(|e| self.io_error(e))?;
        }
        if end > state.synced_end {
            state.add_unowned(state.synced_end, end);
        }
        tracing::warn!(volume = %self.volume, from = state.synced_end, end, torn = size - end, "an unowned tail on the Volume");
        Ok(end)
    }

    fn mounted(
        &self,
        label: VolumeLabel,
        carrier: Carrier,
        mut info: VolumeInfo,
        mut state: VolumeState,
    ) -> Mounted {
        state.pool.clone_from(&label.pool);
        state.media_type.clone_from(&label.media_type);
        info.mounts += 1;
        info.jobs += 1;
        info.vol_type = self.kind.vol_type();
        if info.first_written == 0 {
            info.first_written = self.now.0 / 1_000_000;
        }
        let (path, state_path) = (self.path.clone(), self.state_path.clone());
        let mounted = Mounted::new(
            self.volume.clone(),
            label,
            path,
            carrier,
            info,
            state,
            state_path,
            self.size_max,
            0,
        );
        mounted.on_disk(Arc::clone(self.disk)).with_marks_every(self.file_bytes_max)
    }

    fn io_error(&self, source: io::Error) -> VolumeError {
        let (path, volume) = (self.path.display().to_string(), self.volume.clone());
        let error = volume::DeviceError { action: "mount", at: 0, source };
        if error.is_full() {
            VolumeError::NoSpace { volume, path }
        } else {
            VolumeError::Write { volume, path, source: error.source }
        }
    }
}
