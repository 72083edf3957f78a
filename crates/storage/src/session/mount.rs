//! Mounting a Volume for appending (spec/03 §4.5).

use std::sync::Arc;
use std::time::{Duration, Instant};

use types::{JobStatus, VolTime, VolumeName};
use volume::{BlockFormat, DiskVolume, LabelKind, RawFile, ReadLabelError, VolumeLabel, read_label};

use super::label::{LabelMaker, write_label};
use super::tail::end_of_whole_blocks;
use crate::daemon::Daemon;
use crate::device::{Blocked, Device, Mounted, VolumeError, VolumeFile, VolumeInfo, VolumeReply};
use crate::job::message::Kind;
use crate::job::{Job, JobPhase, OutboxError};
use crate::ledger::{StateFileError, VolumeState};
use crate::text::{unix_now, with_commas};

/// Volumes that are tried before the operator is asked.
const TRIES_MAX: u32 = 5;
/// Longest wait for an operator: Bacula's nine waits of one hour, doubled up to a day.
const OPERATOR_WAIT_MAX: Duration = Duration::from_secs((1 + 2 + 4 + 8 + 16 + 4 * 24) * 3600);

/// Why no Volume could be mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The Director cannot be asked.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The Volume failed.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// Its state file cannot be used.
    #[error(transparent)]
    State(#[from] StateFileError),
    /// Nobody came.
    #[error("Max time exceeded waiting to mount a Volume on device {0}")]
    Waited(String),
    /// The job is to stop.
    #[error("the job was canceled while waiting for a Volume on device {0}")]
    Stopped(String),
}

/// What mounting needs to know.
#[derive(Debug, Clone)]
pub(crate) struct Mounting<'a> {
    pub(crate) daemon: &'a Arc<Daemon>,
    pub(crate) job: &'a Arc<Job>,
    pub(crate) device: &'a Arc<Device>,
    /// 0 for the job's first Volume, 2 for its second …
    pub(crate) ordinal: i32,
}

/// A Volume of the device that was mounted, and whether this job wrote its label (then its data blocks start with number 1).
#[derive(Debug)]
pub(crate) struct MountedNow {
    pub(crate) mounted: Arc<Mounted>,
    pub(crate) is_labelled_now: bool,
}

enum Attempt {
    Mounted(Box<MountedNow>),
    /// Another Volume must be found; the reason was reported.
    Next,
    /// The Director has none.
    Nothing,
    /// Other jobs write a Volume that this one may not have.
    Busy,
}

impl Mounting<'_> {
    /// Mounts a Volume, or joins the jobs that write one already. `left` is the Volume that the job has just left, full.
    ///
    /// The right to mount is held for one try at a time, never while waiting for an operator or for other jobs.
    pub(crate) fn mount(&self, left: Option<u64>) -> Result<MountedNow, MountError> {
        let mut wanted = self.reserved_volume(left);
        let mut tries = 0;
        let asked = Instant::now();
        loop {
            self.check_stop()?;
            let events = self.device.state().events;
            let tried = {
                let _right = self.device.lock_mounting();
                self.try_once(left, &mut wanted)?
            };
            match tried {
                Attempt::Mounted(now) => return Ok(*now),
                Attempt::Busy => self.device.wait_changed(Duration::from_secs(1)),
                Attempt::Next if tries + 1 < TRIES_MAX => tries += 1,
                Attempt::Next | Attempt::Nothing => {
                    tries = 0;
                    self.ask_operator(asked, events)?;
                }
            }
        }
    }

    fn try_once(&self, left: Option<u64>, wanted: &mut Option<VolumeName>) -> Result<Attempt, MountError> {
        if let Some(joined) = self.join(left)? {
            return Ok(joined);
        }
        let name = match wanted.take() {
            Some(name) => Some(name),
            None => self.find_volume()?,
        };
        let Some(name) = name else { return Ok(Attempt::Nothing) };
        let tried = self.try_volume(&name)?;
        if let Attempt::Mounted(now) = &tried {
            self.note_mounted(&now.mounted);
        }
        Ok(tried)
    }

    fn check_stop(&self) -> Result<(), MountError> {
        if self.job.stop.get() == crate::job::StopRequest::None {
            return Ok(());
        }
        Err(MountError::Stopped(self.device.print_name()))
    }

    /// Joins the other jobs of the device on its Volume; `None` where there are none.
    fn join(&self, left: Option<u64>) -> Result<Option<Attempt>, MountError> {
        let mounted = {
            let state = self.device.state();
            let is_shared = state.appenders.iter().any(|r| r.is_writing && r.job != self.job.spec.id);
            state.mounted.clone().filter(|m| is_shared && !m.is_closed() && Some(m.generation) != left)
        };
        let Some(mounted) = mounted else { return Ok(None) };
        match self.volume_info(&mounted.volume, true)? {
            VolumeReply::Found(_) => {
                mounted.update_info(|i| i.jobs += 1);
                self.report_volume(&mounted, false)?;
                self.note_writing(&mounted);
                Ok(Some(Attempt::Mounted(Box::new(MountedNow { mounted, is_labelled_now: false }))))
            }
            VolumeReply::Refused(reason) => {
                tracing::info!(job = %self.job.spec.id, reason, "waits until the Volume in the drive is free");
                Ok(Some(Attempt::Busy))
            }
        }
    }

    fn reserved_volume(&self, left: Option<u64>) -> Option<VolumeName> {
        let mut state = self.device.state();
        if left.is_some() {
            return None;
        }
        let own = state.appenders.iter_mut().find(|r| r.job == self.job.spec.id);
        own.and_then(|r| r.volume.take())
    }

    /// Asks the Director for a Volume that no other device uses (spec/03 §3.2).
    fn find_volume(&self) -> Result<Option<VolumeName>, MountError> {
        crate::daemon::find_volume(self.daemon, self.job, self.device).map_err(MountError::from)
    }

    fn volume_info(&self, volume: &VolumeName, is_write: bool) -> Result<VolumeReply, OutboxError> {
        let request = format!(
            "CatReq JobId={} GetVolInfo VolName={volume} write={}",
            self.job.spec.id,
            u32::from(is_write)
        );
        self.job.outbox.request(&request).map(|answer| VolumeReply::parse(&answer))
    }

    fn try_volume(&self, name: &VolumeName) -> Result<Attempt, MountError> {
        let info = match self.volume_info(name, true)? {
            VolumeReply::Found(info) => *info,
            VolumeReply::Refused(reason) => {
                tracing::info!(job = %self.job.spec.id, volume = %name, reason, "the Director refuses the Volume");
                return Ok(Attempt::Next);
            }
        };
        if !name.is_file_name() {
            return self.put_in_error(name, info, "its name can be no file");
        }
        let path = self.device.volume_path(name);
        match VolumeFile::open_append(&path) {
            Ok(file) => self.mount_file(name, info, file),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => self.mount_missing(name, info),
            Err(e) => self.put_in_error(name, info, &format!("{} cannot be opened: {e}", path.display())),
        }
    }

    /// The Volume has no file yet: it is labelled if that is allowed.
    fn mount_missing(&self, name: &VolumeName, info: VolumeInfo) -> Result<Attempt, MountError> {
        let path = self.device.volume_path(name);
        if info.bytes == 0 || info.status == "Recycle" {
            if self.device.config.label_media {
                return self.label_volume(name, info, None);
            }
            self.job.outbox.message(
                Kind::Warning,
                &format!(
                    "Volume \"{name}\" does not exist as {} and device {} may not label it (Label Media = no).",
                    path.display(),
                    self.device.print_name()
                ),
            );
            return Ok(Attempt::Next);
        }
        self.put_in_error(name, info, &format!("{} does not exist", path.display()))
    }

    fn mount_file(
        &self,
        name: &VolumeName,
        info: VolumeInfo,
        file: VolumeFile,
    ) -> Result<Attempt, MountError> {
        let label = read_label(&mut DiskVolume::new(file.clone()), self.device.verify());
        let is_recycling = info.status == "Recycle";
        match label {
            Ok((header, label)) if label.volume == name.as_str() => {
                if header.is_volume_encrypted() {
                    return self.put_in_error(
                        name,
                        info,
                        "it is encrypted by Bacula, which cannot be appended to",
                    );
                }
                if is_recycling {
                    return self.recycle(name, info, &file, Some(&label));
                }
                let state = load_state(self.daemon, name, Some(label.labelled))?;
                if let Some(state) =
                    state.filter(|state| !crate::daemon::guard::may_append(&self.job.owner, state))
                {
                    // Directors that name their Volumes alike. It is not ours to write, nor to take out of use.
                    let whose = &state.owner.director;
                    return self.put_in_error(name, info, &format!("it belongs to Director \"{whose}\""));
                }
                let size = file.len().map_err(|e| self.io_error(name, e))?;
                if label.kind == LabelKind::Pre && size == u64::from(header.len) {
                    return self.label_volume(name, info, Some(&label));
                }
                self.append_to(name, info, file, label, size)
            }
            Ok((_, label)) => {
                let text = format!(
                    "Director wanted Volume \"{name}\".\n    Current Volume \"{}\" not acceptable because:\n    \
                     the file {} holds the label of another Volume.",
                    label.volume,
                    self.device.volume_path(name).display()
                );
                self.job.outbox.message(Kind::Warning, &text);
                self.put_in_error(name, info, "another Volume is under its name")
            }
            Err(ReadLabelError::Empty)
                if (info.bytes == 0 || is_recycling) && self.device.config.label_media =>
            {
                self.label_volume(name, info, None)
            }
            Err(_) if is_recycling && self.device.config.label_media => self.recycle(name, info, &file, None),
            Err(error) => {
                let why = format!("its label cannot be read: {}", chain(&error));
                self.put_in_error(name, info, &why)
            }
        }
    }

    /// Overwrites a Volume whose data are no longer wanted.
    fn recycle(
        &self,
        name: &VolumeName,
        info: VolumeInfo,
        file: &VolumeFile,
        label: Option<&VolumeLabel>,
    ) -> Result<Attempt, MountError> {
        if self.daemon.is_being_read(name) {
            let text = format!("Volume \"{name}\" is being read, so it is not recycled now.");
            self.job.outbox.message(Kind::Warning, &text);
            return Ok(Attempt::Next);
        }
        let path = self.device.volume_path(name);
        let state = crate::daemon::guard::state_to_check(self.daemon, name, &path, label)?;
        let medium = crate::daemon::guard::OnMedium { state: state.as_ref(), label };
        let checked = crate::daemon::guard::check_permit(
            self.daemon,
            &self.job.owner,
            name.as_str(),
            info.permit,
            medium,
        );
        if let Err(refusal) = checked {
            self.job.outbox.message(Kind::Warning, &format!("3985 {refusal}"));
            return Ok(Attempt::Next);
        }
        let size = file.len().map_err(|e| self.io_error(name, e))?;
        tracing::info!(volume = %name, size, "recycling the Volume");
        self.label_volume(name, VolumeInfo { bytes: 0, blocks: 0, jobs: 0, files: 0, ..info }, None)
    }

    /// Writes the label of a Volume in use. `before` is the label of one that has been labelled, but holds no data.
    fn label_volume(
        &self,
        name: &VolumeName,
        mut info: VolumeInfo,
        before: Option<&VolumeLabel>,
    ) -> Result<Attempt, MountError> {
        let device = self.device;
        let path = device.volume_path(name);
        let is_recycled = info.status == "Recycle";
        let pool = self.job.state().pool.clone();
        let maker = LabelMaker::new(self.daemon.name());
        let label = match before {
            Some(before) => VolumeLabel {
                kind: LabelKind::Volume,
                written: VolTime(crate::text::unix_now_us()),
                ..before.clone()
            },
            None => maker.label(LabelKind::Volume, name, &pool, &device.config.media_type, None),
        };
        let format = device.format(self.daemon.block_version);
        let written = write_label(&path, format, self.job.session, self.ordinal, &label);
        let (file, size) = written.map_err(|e| self.io_error(name, e))?;
        info.bytes = size;
        info.writes += 1;
        info.blocks = 0;
        "Append".clone_into(&mut info.status);
        let old = load_state(self.daemon, name, None)?;
        let state = VolumeState {
            seq: old.map_or(0, |s| s.seq),
            label_time: label.labelled,
            owner: crate::daemon::guard::owner_of(&self.job.owner),
            bytes: size,
            writes: info.writes,
            status: info.status.clone(),
            synced_end: size,
            ..VolumeState::default()
        };
        let mounted = self.mounted(name, label, file, info, state);
        let on = format!("on File device {}", device.print_name());
        let text = match (is_recycled, before) {
            (true, _) => format!("Recycled volume \"{name}\" {on}, all previous data lost."),
            (false, Some(_)) => format!("Wrote label to prelabeled Volume \"{name}\" {on}"),
            (false, None) => format!("Labeled new Volume \"{name}\" {on}."),
        };
        self.job.outbox.message(Kind::Info, &text);
        self.finish_mount(mounted, true)
    }

    /// Goes to the end of a Volume in use, after checking where it is.
    fn append_to(
        &self,
        name: &VolumeName,
        mut info: VolumeInfo,
        mut file: VolumeFile,
        label: VolumeLabel,
        size: u64,
    ) -> Result<Attempt, MountError> {
        let state = load_state(self.daemon, name, Some(label.labelled))?;
        let known = state.as_ref().map_or(info.bytes, |s| s.synced_end.max(info.bytes));
        if size < known {
            let why = format!(
                "it is shorter than what was written: size={} known={}. Data of earlier jobs are missing",
                with_commas(size),
                with_commas(known)
            );
            return self.put_in_error(name, info, &why);
        }
        self.job
            .outbox
            .message(Kind::Info, &format!("Volume \"{name}\" previously written, moving to end of data."));
        let mut state = state.unwrap_or_default();
        let is_ours = state.seq > 0;
        let mut end = size;
        if is_ours && size > state.synced_end {
            end = self.take_tail(name, &mut file, &mut state, size)?;
        }
        if end != info.bytes {
            self.job.outbox.message(
                Kind::Warning,
                &format!(
                    "For Volume \"{name}\":\nThe sizes do not match! Metadata Volume={} Catalog={}\nCorrecting Catalog",
                    with_commas(end),
                    with_commas(info.bytes)
                ),
            );
            info.bytes = end;
            info.files = (end >> 32) as u32;
        }
        if is_ours {
            info.blocks = info.blocks.max(state.blocks);
            info.writes = info.writes.max(state.writes);
        }
        state.label_time = label.labelled;
        state.owner = crate::daemon::guard::owner_of(&self.job.owner);
        state.bytes = end;
        let mounted = self.mounted(name, label, file, info, state);
        self.job.outbox.message(
            Kind::Info,
            &format!("Ready to append to end of Volume \"{name}\" size={}", with_commas(end)),
        );
        self.finish_mount(mounted, false)
    }

    /// What is behind the last synced byte belongs to no acknowledged record: whole blocks stay as an unowned range, a torn one goes
    /// (docs/decisions/003-volume-tails.md).
    fn take_tail(
        &self,
        name: &VolumeName,
        file: &mut VolumeFile,
        state: &mut VolumeState,
        size: u64,
    ) -> Result<u64, MountError> {
        let end = end_of_whole_blocks(file, state.synced_end).map_err(|e| self.io_error(name, e))?;
        if end < size {
            file.truncate(end).map_err(|e| self.io_error(name, e))?;
        }
        if end > state.synced_end {
            state.add_unowned(state.synced_end, end);
        }
        tracing::warn!(volume = %name, from = state.synced_end, end, torn = size - end, "an unowned tail on the Volume");
        Ok(end)
    }

    fn mounted(
        &self,
        name: &VolumeName,
        label: VolumeLabel,
        file: VolumeFile,
        mut info: VolumeInfo,
        mut state: VolumeState,
    ) -> Arc<Mounted> {
        state.pool.clone_from(&label.pool);
        state.media_type.clone_from(&label.media_type);
        info.mounts += 1;
        info.jobs += 1;
        info.vol_type = crate::device::VOL_TYPE_FILE;
        if info.first_written == 0 {
            info.first_written = unix_now();
        }
        let generation = {
            let mut device = self.device.state();
            device.next_generation += 1;
            device.next_generation
        };
        let path = self.device.volume_path(name);
        let state_path = self.daemon.home.volume_state(name);
        let size_max = self.device.config.maximum_volume_size;
        Arc::new(Mounted::new(name.clone(), label, path, file, info, state, state_path, size_max, generation))
    }

    fn finish_mount(&self, mounted: Arc<Mounted>, is_labelled_now: bool) -> Result<Attempt, MountError> {
        self.report_volume(&mounted, is_labelled_now)?;
        Ok(Attempt::Mounted(Box::new(MountedNow { mounted, is_labelled_now })))
    }

    fn report_volume(&self, mounted: &Arc<Mounted>, is_relabel: bool) -> Result<(), MountError> {
        report_volume(self.job, mounted, is_relabel)
    }

    fn note_mounted(&self, mounted: &Arc<Mounted>) {
        self.device.state().mounted = Some(Arc::clone(mounted));
        self.note_writing(mounted);
    }

    fn note_writing(&self, mounted: &Arc<Mounted>) {
        let mut state = self.device.state();
        state.blocked = None;
        if let Some(own) = state.appenders.iter_mut().find(|r| r.job == self.job.spec.id) {
            own.is_writing = true;
            own.volume = Some(mounted.volume.clone());
        }
        drop(state);
        mounted.volume.as_str().clone_into(&mut self.job.state().volume);
        self.device.notify();
    }

    /// Takes a Volume out of use and tells why.
    fn put_in_error(
        &self,
        name: &VolumeName,
        mut info: VolumeInfo,
        why: &str,
    ) -> Result<Attempt, MountError> {
        self.job.outbox.message(
            Kind::Error,
            &format!("Volume \"{name}\" on device {} cannot be written: {why}.", self.device.print_name()),
        );
        self.job.outbox.message(Kind::Info, &format!("Marking Volume \"{name}\" in Error in Catalog."));
        "Error".clone_into(&mut info.status);
        let request = info.update_request(self.job.spec.id, unix_now(), false);
        self.job.outbox.request(&request)?;
        Ok(Attempt::Next)
    }

    fn io_error(&self, name: &VolumeName, source: std::io::Error) -> MountError {
        let path = self.device.volume_path(name).display().to_string();
        let volume = name.clone();
        let error = volume::DeviceError { action: "mount", at: 0, source };
        MountError::Volume(if error.is_full() {
            VolumeError::NoSpace { volume, path }
        } else {
            VolumeError::Write { volume, path, source: error.source }
        })
    }

    /// Asks the operator for a Volume and waits until something happens.
    fn ask_operator(&self, since: Instant, events: u64) -> Result<(), MountError> {
        let (pool, media_type) = {
            let state = self.job.state();
            (state.pool.clone(), self.device.config.media_type.clone())
        };
        let text = format!(
            "Job {} is waiting. Cannot find any appendable volumes.\nPlease use the \"label\" command to create a new Volume for:\n    \
             Storage:      {}\n    Pool:         {pool}\n    Media type:   {media_type}\n",
            self.job.spec.job,
            self.device.print_name()
        );
        self.job.outbox.message(Kind::Mount, &text);
        self.device.state().blocked = Some(Blocked::NeedsVolume { pool, media_type });
        self.job.set_status(JobPhase::Waiting, JobStatus::WaitMedia);
        let until = Instant::now() + self.device.config.volume_poll_interval.max(Duration::from_secs(1));
        while Instant::now() < until && self.device.state().events == events {
            self.check_stop()?;
            if since.elapsed() > OPERATOR_WAIT_MAX {
                return Err(MountError::Waited(self.device.print_name()));
            }
            self.device.wait_changed(Duration::from_millis(500));
        }
        self.job.set_status(JobPhase::Running, JobStatus::Running);
        Ok(())
    }
}

/// Reports a Volume's state to the catalog and adopts what it answers.
///
/// Only a state that is on stable storage is reported: a catalog that knows more than a Volume holds after a power cut would take the
/// Volume out of use.
///
/// # Errors
/// The Volume cannot be synced, or the Director cannot be asked.
pub(crate) fn report_volume(job: &Job, mounted: &Mounted, is_relabel: bool) -> Result<(), MountError> {
    let snapshot = mounted.checkpoint()?;
    let mut request = snapshot.info.update_request(job.spec.id, unix_now(), is_relabel);
    if job.outbox.is_journaled() {
        let s = &snapshot.state;
        request.push_str(&format!(" HfVolSeq={} HfLabelTime={} HfWrites={}", s.seq, s.label_time, s.writes));
    }
    let answer = job.outbox.request(&request)?;
    match VolumeReply::parse(&answer) {
        VolumeReply::Found(info) => mounted.update_info(|own| {
            own.bytes_max = info.bytes_max;
            own.jobs_max = info.jobs_max;
            if own.status == "Append" {
                own.status = info.status;
            }
        }),
        VolumeReply::Refused(reason) => {
            job.outbox.message(Kind::Warning, &format!("Error updating Volume info: {reason}"));
        }
    }
    Ok(())
}

/// The state kept beside a Volume, where it is of the Volume with this label time.
///
/// # Errors
/// The file is damaged or cannot be read.
pub(crate) fn load_state(
    daemon: &Daemon,
    volume: &VolumeName,
    label_time: Option<VolTime>,
) -> Result<Option<VolumeState>, StateFileError> {
    let state = VolumeState::load(&daemon.home.volume_state(volume))?;
    Ok(state.filter(|s| label_time.is_none_or(|t| s.label_time == t)))
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut out = error.to_string();
    let mut source = error.source();
    while let Some(e) = source {
        out.push_str(": ");
        out.push_str(&e.to_string());
        source = e.source();
    }
    out
}

/// How blocks of a device are made.
pub(crate) fn format_of(daemon: &Daemon, device: &Device) -> BlockFormat {
    device.format(daemon.block_version)
}
