//! Bringing a slot into a drive: what is in the way is put back first (spec/03 §4.6).

use std::sync::Arc;

use super::{Changer, ChangerCall, ChangerError, Operation};
use crate::device::Device;

/// What the program is told where the name of a Volume is not known.
const UNKNOWN: &str = "*Unknown*";

/// Why a drive does not have the slot that was wanted.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The changer.
    #[error(transparent)]
    Changer(#[from] ChangerError),
    /// The catalog does not say where it is.
    #[error("it has no slot in the changer; put it in and run \"update slots\"")]
    NoSlot,
    /// It is elsewhere.
    #[error("slot {slot} is in drive {drive}, which is in use; it can be had when the jobs there are done")]
    Busy {
        /// The slot.
        slot: u32,
        /// The drive that has it.
        drive: String,
    },
}

/// What is to be brought.
#[derive(Debug, Clone, Copy)]
pub struct Medium<'a> {
    /// Its slot, from 1.
    pub slot: u32,
    /// The Volume on it; empty where that is not known.
    pub volume: &'a str,
}

/// A changer that moves media for a job or a console. The caller has the right to mount on the drive, and nobody uses it.
pub struct Load<'a> {
    changer: &'a Changer,
    devices: &'a [Arc<Device>],
    /// Place of the drive.
    place: usize,
    job: &'a str,
    client: &'a str,
    /// Told each step, in Bacula's words.
    say: &'a dyn Fn(&str),
}

impl<'a> Load<'a> {
    /// For a drive at a place in the daemon's list; `None` where its media are not moved by a program.
    #[must_use]
    pub fn of(
        changers: &'a [Changer],
        devices: &'a [Arc<Device>],
        place: usize,
        (job, client): (&'a str, &'a str),
        say: &'a dyn Fn(&str),
    ) -> Option<Self> {
        let device = devices.get(place).filter(|d| d.is_fed)?;
        let changer = changers.get(device.changer?)?;
        Some(Self { changer, devices, place, job, client, say })
    }

    /// Brings a medium into the drive.
    ///
    /// # Errors
    /// [`LoadError`]; the drive may be empty then.
    pub fn load(&self, medium: Medium<'_>) -> Result<(), LoadError> {
        let _moving = self.changer.lock_moving();
        let here = self.loaded(self.place)?;
        if here == medium.slot {
            return Ok(());
        }
        if here != 0 {
            self.put_back(self.place, here)?;
        }
        for &other in self.changer.drives.iter().filter(|place| **place != self.place) {
            self.take_from(other, medium.slot)?;
        }
        let (slot, index) = (medium.slot, self.devices[self.place].config.drive_index);
        let volume = if medium.volume.is_empty() { UNKNOWN } else { medium.volume };
        let what = format!("\"load Volume {volume}, Slot {slot}, Drive {index}\"");
        (self.say)(&format!("3304 Issuing autochanger {what} command."));
        self.run(self.place, Operation::Load, slot, volume)?;
        (self.say)(&format!("3305 Autochanger {what}, status is OK."));
        self.devices[self.place].state().loaded_slot = slot;
        Ok(())
    }

    /// Puts the medium in the drive back; gives its slot, 0 where there is none.
    ///
    /// # Errors
    /// [`LoadError::Changer`].
    pub fn unload(&self) -> Result<u32, LoadError> {
        let _moving = self.changer.lock_moving();
        let here = self.loaded(self.place)?;
        if here != 0 {
            self.put_back(self.place, here)?;
        }
        Ok(here)
    }

    /// The slot that is in the drive; 0 for none.
    ///
    /// # Errors
    /// [`LoadError::Changer`].
    pub fn slot(&self) -> Result<u32, LoadError> {
        let _moving = self.changer.lock_moving();
        self.loaded(self.place)
    }

    fn loaded(&self, place: usize) -> Result<u32, LoadError> {
        let device = &self.devices[place];
        let index = device.config.drive_index;
        (self.say)(&format!("3301 Issuing autochanger \"loaded? drive {index}\" command."));
        let call = device.changer_call(self.changer, 0, "", (self.job, self.client));
        let slot = call.number(Operation::Loaded)?;
        let found = if slot == 0 { ": nothing loaded".to_owned() } else { format!(" is Slot {slot}") };
        (self.say)(&format!("3302 Autochanger \"loaded? drive {index}\", result{found}."));
        device.state().loaded_slot = slot;
        Ok(slot)
    }

    /// Takes a slot out of another drive, if it is there. Who puts a Volume into that drive at this moment, or uses it, keeps it.
    fn take_from(&self, place: usize, slot: u32) -> Result<(), LoadError> {
        let other = &self.devices[place];
        let right = other.try_lock_mounting();
        // A drive that is in use has its own slot, which is no other's: the claims on Volumes see to that, so it is asked only for
        // the sake of a slot that two names were given.
        if self.loaded(place)? != slot {
            return Ok(());
        }
        if right.is_none() || other.is_at_work() {
            return Err(LoadError::Busy { slot, drive: other.print_name() });
        }
        self.put_back(place, slot)
    }

    fn put_back(&self, place: usize, slot: u32) -> Result<(), LoadError> {
        let device = &self.devices[place];
        let index = device.config.drive_index;
        let volume = device.let_go().map_or_else(|| UNKNOWN.to_owned(), |volume| volume.to_string());
        let what = format!("\"unload Volume {volume}, Slot {slot}, Drive {index}\"");
        (self.say)(&format!("3307 Issuing autochanger {what} command."));
        self.run(place, Operation::Unload, slot, &volume)?;
        device.state().loaded_slot = 0;
        Ok(())
    }

    fn run(&self, place: usize, operation: Operation, slot: u32, volume: &str) -> Result<(), ChangerError> {
        let call: ChangerCall =
            self.devices[place].changer_call(self.changer, slot, volume, (self.job, self.client));
        call.run(operation).map(drop)
    }
}
