//! Mounting a Volume for appending (spec/03 §4.5): what [`Search`] says is asked of the Director, what [`Placing`] says is done.

use std::sync::Arc;
use std::time::{Duration, Instant};

use types::{JobStatus, VolTime, VolumeName};
use volume::BlockFormat;

use super::label::LabelMaker;
use super::medium::{MediumError, Placed, Placing, Unfit};
use super::report::report_volume;
use super::search::{DriveSeen, Finding, Search, Step};
use crate::daemon::Daemon;
use crate::daemon::guard::check_permit;
use crate::device::{Blocked, Device, LoadError, Medium, Mounted, VolumeError, VolumeInfo, VolumeReply};
use crate::disk::{Disk, SystemDisk};
use crate::job::message::Kind;
use crate::job::{Job, JobPhase, OutboxError};
use crate::ledger::{StateFileError, VolumeState};
use crate::text::{unix_now, unix_now_us};

/// Longest wait for an operator: Bacula's nine waits of one hour, doubled up to a day.
pub(super) const OPERATOR_WAIT_MAX: Duration = Duration::from_secs((1 + 2 + 4 + 8 + 16 + 4 * 24) * 3600);

/// Why no Volume could be mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The Director cannot be asked.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The Volume failed.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// It could not be put into the drive.
    #[error(transparent)]
    Medium(#[from] MediumError),
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
    Mounted(MountedNow),
    /// Other jobs were faster: what they have done is looked at.
    Again,
    /// Another Volume must be found; the reason was reported.
    Next,
    /// The same; the changer cannot bring this one, which is not asked for again at once.
    OutOfReach(VolumeName),
    /// It is not in the drive, which nobody but an operator can put it into; why was reported.
    NotThere(VolumeName),
    /// The Director has none.
    Nothing,
    /// Other jobs write a Volume that this one may not have.
    Busy,
}

impl Mounting<'_> {
    /// Mounts a Volume, or joins the jobs that write one already. `left` is the Volume that the job has just left, full.
    ///
    /// The right to mount is held only while the Volume is put into the drive: never while a Director, an operator or other jobs
    /// are waited for. So a job whose Director is away keeps no other from the drive.
    pub(crate) fn mount(&self, left: Option<u64>) -> Result<MountedNow, MountError> {
        let mut search = Search::new(self.finding(), left, self.reserved_volume(left));
        if left.is_some() && self.device.kind.is_tape() {
            self.note_waiting();
        }
        let asked = Instant::now();
        let mut out_of_reach = Vec::new();
        loop {
            self.check_stop()?;
            if self.is_kept_out() {
                self.device.wait_changed(Duration::from_secs(1));
                continue;
            }
            let events = self.device.state().events;
            search.want(self.in_drive());
            match self.try_once(&mut search, &out_of_reach)? {
                Attempt::Mounted(now) => {
                    report_volume(self.job, &now.mounted)?;
                    return Ok(now);
                }
                Attempt::Again => {}
                Attempt::Busy => self.device.wait_changed(Duration::from_secs(1)),
                Attempt::OutOfReach(volume) => out_of_reach.push(volume),
                Attempt::Next if search.may_try() => {}
                Attempt::NotThere(volume) => {
                    search.rested();
                    self.ask_for_mount(&volume, asked, events)?;
                }
                Attempt::Next | Attempt::Nothing => {
                    search.rested();
                    out_of_reach.clear();
                    self.ask_for_volume(asked, events)?;
                }
            }
        }
    }

    fn try_once(&self, search: &mut Search, out_of_reach: &[VolumeName]) -> Result<Attempt, MountError> {
        let mut step = search.begin(self.seen());
        loop {
            step = match step {
                Step::Ask(line) => {
                    let reply = VolumeReply::parse(&self.job.outbox.request(&line)?);
                    if let VolumeReply::Refused(reason) = &reply {
                        tracing::info!(job = %self.job.spec.id, line, reason, "the Director refuses");
                    }
                    search.answered(reply, |volume| !out_of_reach.contains(volume) && self.may_take(volume))
                }
                Step::Join(generation) => return Ok(self.join(generation)),
                Step::Mount(volume, info) => return self.put_in(search, &volume, *info),
                Step::Busy => return Ok(Attempt::Busy),
                Step::Next => {
                    self.give_back();
                    return Ok(Attempt::Next);
                }
                Step::Nothing => return Ok(Attempt::Nothing),
            }
        }
    }

    /// The tape is full: until there is another one, the drive may be used by an operator.
    fn note_waiting(&self) {
        let mut state = self.device.state();
        if let Some(own) = state.appenders.iter_mut().find(|r| r.session == self.job.session) {
            own.is_writing = false;
        }
    }

    /// Whether an operator has the drive, to change the tape.
    fn is_kept_out(&self) -> bool {
        self.device.kind.is_tape() && self.device.state().blocked == Some(Blocked::Unmounted)
    }

    fn check_stop(&self) -> Result<(), MountError> {
        if self.job.stop.get() == crate::job::StopRequest::None {
            return Ok(());
        }
        Err(MountError::Stopped(self.device.print_name()))
    }

    fn seen(&self) -> DriveSeen {
        let state = self.device.state();
        let is_shared = state.appenders.iter().any(|r| r.is_writing && r.session != self.job.session);
        let shared = state.mounted.as_ref().filter(|m| is_shared && !m.is_closed());
        DriveSeen { shared: shared.map(|m| (m.volume.clone(), m.generation)), mounts: state.next_generation }
    }

    fn finding(&self) -> Finding {
        crate::daemon::finding(self.daemon, self.job, self.device)
    }

    fn reserved_volume(&self, left: Option<u64>) -> Option<VolumeName> {
        let state = self.device.state();
        let own = state.appenders.iter().find(|r| r.session == self.job.session);
        own.and_then(|r| r.volume.clone()).filter(|_| left.is_none())
    }

    fn may_take(&self, volume: &VolumeName) -> bool {
        crate::daemon::may_take(self.daemon, self.job, self.device, volume)
    }

    /// Gives a claim back: the job does not get the Volume.
    fn give_back(&self) {
        let mut state = self.device.state();
        if let Some(own) = state.appenders.iter_mut().find(|r| r.session == self.job.session) {
            own.volume = None;
        }
    }

    /// Joins the other jobs of the device on its Volume.
    fn join(&self, generation: u64) -> Attempt {
        let _right = self.device.lock_mounting();
        let mounted = self.device.mounted().filter(|m| m.generation == generation && !m.is_closed());
        let Some(mounted) = mounted else { return Attempt::Again };
        if !mounted.join() {
            return Attempt::Busy;
        }
        self.note_writing(&mounted);
        Attempt::Mounted(MountedNow { mounted, is_labelled_now: false })
    }

    /// Puts a Volume into the drive, if that is still what the search has seen.
    fn put_in(
        &self,
        search: &Search,
        volume: &VolumeName,
        mut info: VolumeInfo,
    ) -> Result<Attempt, MountError> {
        let unfit = {
            let _right = self.device.lock_mounting();
            if !search.is_still_so(&self.seen()) {
                return Ok(Attempt::Again);
            }
            // It may have been forgotten for the job, and be another device's by now.
            if !self.may_take(volume) {
                return Ok(Attempt::Next);
            }
            if let Some(now) = self.go_on_with(volume, &info) {
                return Ok(Attempt::Mounted(now));
            }
            if self.device.kind.is_tape() {
                self.device.let_go();
            }
            if let Err(error) = self.load(volume, &info) {
                self.give_back();
                let text = format!("Volume \"{volume}\" cannot be loaded: {}.", chain(&error));
                self.job.outbox.message(Kind::Warning, &text);
                return Ok(Attempt::OutOfReach(volume.clone()));
            }
            match self.place(volume, info.clone())? {
                Placed::Mounted(mounted) => return Ok(Attempt::Mounted(self.note_mounted(*mounted))),
                Placed::Refused(_) => None,
                Placed::Unfit(why) => Some(why),
            }
        };
        self.give_back();
        match unfit {
            Some(why) if self.device.is_fed && is_about_another_medium(&why) => {
                self.put_out_of_changer(volume, &mut info, &why)?;
            }
            Some(why) if self.device.is_drive && is_about_another_medium(&why) => {
                let device = self.device.print_name();
                self.job
                    .outbox
                    .message(Kind::Info, &format!("Volume \"{volume}\" is not in device {device}: {why}."));
                return Ok(Attempt::NotThere(volume.clone()));
            }
            Some(why) => self.put_in_error(volume, &mut info, &why)?,
            None => {}
        }
        Ok(Attempt::Next)
    }

    /// The Volume that somebody has put into a tape drive without a changer.
    fn in_drive(&self) -> Option<VolumeName> {
        if !self.device.kind.is_tape() || self.device.is_fed {
            return None;
        }
        let _right = self.device.try_lock_mounting()?;
        if let Some(mounted) = self.device.mounted() {
            return mounted.is_open_tape().then(|| mounted.volume.clone());
        }
        let tape = self.device.open_tape().ok()?;
        let (_, label) = tape.read_label(self.device.verify()).ok()?;
        VolumeName::new(label.volume).ok()
    }

    /// A tape that stands where the last job has left it is gone on with: to find its end anew takes minutes.
    fn go_on_with(&self, volume: &VolumeName, info: &VolumeInfo) -> Option<MountedNow> {
        let mounted = self.device.mounted().filter(|m| m.volume == *volume && m.is_open_tape())?;
        let is_ours = mounted.owner() == crate::daemon::guard::owner_of(&self.job.owner);
        if !is_ours || info.status == "Recycle" || info.files != mounted.end().file() || !mounted.stands() {
            return None;
        }
        mounted.update_info(|own| own.status.clone_from(&info.status));
        if !mounted.join() {
            return None;
        }
        self.note_writing(&mounted);
        Some(MountedNow { mounted, is_labelled_now: false })
    }

    /// Has the changer bring the Volume into the drive.
    fn load(&self, volume: &VolumeName, info: &VolumeInfo) -> Result<(), LoadError> {
        let say = |text: &str| self.job.outbox.message(Kind::Info, text);
        let spec = &self.job.spec;
        let Some(loader) = self.daemon.loader(self.device, (&spec.job, &spec.client), &say) else {
            return Ok(());
        };
        let slot = u32::try_from(info.slot).unwrap_or(0);
        if slot == 0 || !info.in_changer {
            return Err(LoadError::NoSlot);
        }
        loader.load(Medium { slot, volume: volume.as_str() })
    }

    fn place(&self, volume: &VolumeName, info: VolumeInfo) -> Result<Placed, MediumError> {
        let (daemon, config) = (self.daemon, &self.device.config);
        let (owner, name) = (&self.job.owner, volume.as_str());
        let pool = self.job.state().pool.clone();
        let disk: Arc<dyn Disk> = Arc::new(SystemDisk);
        let open = || self.device.open_tape();
        let mut placing = Placing {
            disk: &disk,
            volume,
            path: self.device.volume_path(volume),
            kind: self.device.kind,
            tape: if self.device.kind.is_tape() { Some(&open) } else { None },
            file_bytes_max: config.maximum_file_size,
            state_path: daemon.home.volume_state(volume),
            is_being_read: daemon.is_being_read(volume),
            drive: self.device.print_name(),
            format: format_of(daemon, self.device),
            verify: self.device.verify(),
            may_label: config.label_media,
            size_max: config.maximum_volume_size,
            media_type: &config.media_type,
            owner,
            session: self.job.session,
            pool: &pool,
            ordinal: self.ordinal,
            maker: &LabelMaker::new(daemon.name()),
            now: VolTime(unix_now_us()),
            permit: &|permit, medium| check_permit(daemon, owner, name, permit, medium),
            says: Vec::new(),
        };
        let placed = placing.place(info);
        for (kind, text) in &placing.says {
            self.job.outbox.message(*kind, text);
        }
        placed
    }

    fn note_mounted(&self, mut mounted: Mounted) -> MountedNow {
        let mounted = {
            let mut state = self.device.state();
            state.next_generation += 1;
            mounted.generation = state.next_generation;
            let mounted = Arc::new(mounted);
            state.mounted = Some(Arc::clone(&mounted));
            mounted
        };
        self.note_writing(&mounted);
        let is_labelled_now = mounted.has_new_label();
        MountedNow { mounted, is_labelled_now }
    }

    fn note_writing(&self, mounted: &Arc<Mounted>) {
        let mut state = self.device.state();
        state.blocked = None;
        if let Some(own) = state.appenders.iter_mut().find(|r| r.session == self.job.session) {
            own.is_writing = true;
            own.volume = Some(mounted.volume.clone());
        }
        drop(state);
        mounted.volume.as_str().clone_into(&mut self.job.state().volume);
        self.device.notify();
    }

    /// Takes a Volume out of use and tells why.
    fn put_in_error(&self, name: &VolumeName, info: &mut VolumeInfo, why: &Unfit) -> Result<(), MountError> {
        // Directors that name their Volumes alike: no fault of the job, which takes another one.
        let kind = if matches!(why, Unfit::Foreign(_)) { Kind::Info } else { Kind::Error };
        self.job.outbox.message(
            kind,
            &format!("Volume \"{name}\" on device {} cannot be written: {why}.", self.device.print_name()),
        );
        let status = if matches!(why, Unfit::Protected) { "Read-Only" } else { "Error" };
        self.job.outbox.message(Kind::Info, &format!("Marking Volume \"{name}\" in {status} in Catalog."));
        status.clone_into(&mut info.status);
        let request = info.update_request(self.job.spec.id, unix_now(), false);
        self.job.outbox.request(&request)?;
        Ok(())
    }

    /// Another medium is in the Volume's slot: the catalog is told, and it is not tried again until `update slots` finds it.
    fn put_out_of_changer(
        &self,
        name: &VolumeName,
        info: &mut VolumeInfo,
        why: &Unfit,
    ) -> Result<(), MountError> {
        let text = format!(
            "Autochanger Volume \"{name}\" not found in slot {}: {why}.\n    Setting InChanger to zero in catalog.",
            info.slot
        );
        self.job.outbox.message(Kind::Warning, &text);
        info.in_changer = false;
        let request = info.update_request(self.job.spec.id, unix_now(), false);
        self.job.outbox.request(&request)?;
        Ok(())
    }

    /// Asks the operator to put a Volume into the drive.
    fn ask_for_mount(&self, volume: &VolumeName, since: Instant, events: u64) -> Result<(), MountError> {
        let (pool, media_type) = (self.job.state().pool.clone(), &self.device.config.media_type);
        let text = format!(
            "Please mount append Volume \"{volume}\" or label a new one for:\n    Job:          {}\n    Storage:      {}\n    \
             Pool:         {pool}\n    Media type:   {media_type}\n",
            self.job.spec.job,
            self.device.print_name()
        );
        self.ask_operator(&text, Blocked::NeedsMount { volume: volume.to_string() }, since, events)
    }

    /// Asks the operator for a new Volume.
    fn ask_for_volume(&self, since: Instant, events: u64) -> Result<(), MountError> {
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
        self.ask_operator(&text, Blocked::NeedsVolume { pool, media_type }, since, events)
    }

    /// Asks the operator and waits until something happens.
    fn ask_operator(&self, text: &str, why: Blocked, since: Instant, events: u64) -> Result<(), MountError> {
        self.job.outbox.message(Kind::Mount, text);
        {
            let _right = self.device.lock_mounting();
            if self.device.kind.is_tape() && !self.device.is_at_work() {
                self.device.let_go();
            }
            let mut state = self.device.state();
            if state.blocked != Some(Blocked::Unmounted) {
                state.blocked = Some(why);
            }
        }
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

/// Whether what is wrong is with what is in the slot, not with the Volume.
fn is_about_another_medium(why: &Unfit) -> bool {
    match why {
        Unfit::Open { .. } | Unfit::Missing(_) | Unfit::Another | Unfit::Label(_) => true,
        Unfit::Name
        | Unfit::Encrypted
        | Unfit::Foreign(_)
        | Unfit::Protected
        | Unfit::End(_)
        | Unfit::FewerFiles { .. }
        | Unfit::Short { .. } => false,
    }
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
