//! A Volume in a changer comes into the drive of the job that reads it.

use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use super::{RestoreError, Session};
use crate::device::{LoadError, Medium};
use crate::job::StopRequest;
use crate::job::message::Kind;

impl Session<'_> {
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
