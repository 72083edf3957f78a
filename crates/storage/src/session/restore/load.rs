//! A Volume in a changer comes into the drive of the job that reads it.

use std::path::Path;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use types::JobStatus;
use volume::{BsrVolume, VolumeReader};

use super::open::{Source, open};
use super::{RestoreError, Session};
use crate::device::{Blocked, Device, LoadError, Medium};
use crate::job::message::Kind;
use crate::job::{JobPhase, StopRequest};
use crate::session::chain;
use crate::session::mount::OPERATOR_WAIT_MAX;

impl Session<'_> {
    /// Has a Volume in its drive and opens it; the error is why it cannot be read. A tape that no changer can bring is waited for.
    pub(super) fn bring(
        &self,
        volume: &BsrVolume,
        slot: u32,
        device: &Device,
        path: &Path,
    ) -> Result<Result<VolumeReader<Source>, String>, RestoreError> {
        let since = Instant::now();
        loop {
            let events = device.state().events;
            let is_kept_out = device.state().blocked == Some(Blocked::Unmounted);
            let opened = match self.load(&volume.name, slot)? {
                Ok(_) if is_kept_out && device.kind.is_tape() => Err("the drive is unmounted".to_owned()),
                Ok(_right) => open(device, path, &volume.name),
                Err(error) => Err(chain(&error)),
            };
            match opened {
                Err(why)
                    if device.kind.is_tape() && !device.is_fed && since.elapsed() < OPERATOR_WAIT_MAX =>
                {
                    self.ask_for_mount(volume, device, &why, events)?;
                }
                opened => return Ok(opened),
            }
        }
    }

    /// Asks the operator to put a Volume into the drive, and waits until something happens.
    fn ask_for_mount(
        &self,
        volume: &BsrVolume,
        device: &Device,
        why: &str,
        events: u64,
    ) -> Result<(), RestoreError> {
        let text = format!(
            "Please mount read Volume \"{}\" for:\n    Job:          {}\n    Storage:      {}\n    Media type:   {}\n({why})\n",
            volume.name,
            self.job.spec.job,
            device.print_name(),
            device.config.media_type
        );
        self.job.outbox.message(Kind::Mount, &text);
        {
            let mut state = device.state();
            state.reading = None;
            if state.blocked != Some(Blocked::Unmounted) {
                state.blocked = Some(Blocked::NeedsMount { volume: volume.name.clone() });
            }
        }
        self.job.set_status(JobPhase::Waiting, JobStatus::WaitMount);
        let until = Instant::now() + device.config.volume_poll_interval.max(Duration::from_secs(1));
        while Instant::now() < until && device.state().events == events {
            if self.job.stop.get() != StopRequest::None {
                return Err(RestoreError::Stopped);
            }
            device.wait_changed(Duration::from_millis(500));
        }
        self.job.set_status(JobPhase::Running, JobStatus::Running);
        Ok(())
    }

    /// Has the changer bring a Volume. Another drive that writes it is waited for, as long as a change of media may take; the right to mount
    /// is not held meanwhile.
    pub(super) fn load(
        &self,
        volume: &str,
        slot: u32,
    ) -> Result<Result<MutexGuard<'_, ()>, LoadError>, RestoreError> {
        let until = Instant::now() + self.device.config.maximum_changer_wait;
        loop {
            if self.job.stop.get() != StopRequest::None {
                return Err(RestoreError::Stopped);
            }
            match self.load_once(volume, slot) {
                Err(LoadError::Busy { .. }) if Instant::now() < until => {
                    self.daemon.wait_devices(Duration::from_secs(1));
                }
                result => return Ok(result),
            }
        }
    }

    fn load_once(&self, volume: &str, slot: u32) -> Result<MutexGuard<'_, ()>, LoadError> {
        let right = self.device.lock_mounting();
        if self.device.kind.is_tape() {
            self.device.let_go();
        }
        let say = |text: &str| self.job.outbox.message(Kind::Info, text);
        let spec = &self.job.spec;
        let Some(loader) = self.daemon.loader(self.device, (&spec.job, &spec.client), &say) else {
            return Ok(right);
        };
        match slot {
            // It may be in the drive: its label tells.
            0 if loader.slot()? != 0 => Ok(right),
            0 => Err(LoadError::NoSlot),
            slot => loader.load(Medium { slot, volume }).map(|()| right),
        }
    }
}
