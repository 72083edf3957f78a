//! A device as the jobs share it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use types::{VolSession, VolumeName};
use volume::{BlockFormat, BlockVersion, TapeFormat, TapeMedium, Verify};

use super::carrier::{Tape, open_tape};
use super::changer::{Changer, ChangerCall, is_no_program};
use super::kind::DeviceKind;
use super::writer::Mounted;
use crate::lock::{lock, wait};

/// How often a drive that another program has is tried.
const OPEN_AGAIN: Duration = Duration::from_secs(1);

/// Why a device serves nobody at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blocked {
    /// The operator has unmounted it.
    Unmounted,
    /// A job waits for the operator to create a Volume.
    NeedsVolume {
        /// Pool that is wanted.
        pool: String,
        /// Media Type that is wanted.
        media_type: String,
    },
    /// A job waits for the operator to mount a Volume.
    NeedsMount {
        /// The Volume.
        volume: String,
    },
    /// A label is being written.
    Labelling,
}

/// A job's claim to append on a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// Session of the job: JobIds are each Director's own.
    pub session: VolSession,
    /// Its pool.
    pub pool: String,
    /// Its type.
    pub pool_type: String,
    /// Volume that was found for it.
    pub volume: Option<VolumeName>,
    /// Whether the job writes already.
    pub is_writing: bool,
}

/// What changes in the life of a device.
#[derive(Debug, Default)]
pub struct DeviceState {
    /// Not disabled by the operator.
    pub is_enabled: bool,
    /// Blocked.
    pub blocked: Option<Blocked>,
    /// Jobs that append or are going to.
    pub appenders: Vec<Reservation>,
    /// Sessions of the jobs that read.
    pub readers: Vec<VolSession>,
    /// The Volume that is mounted for appending.
    pub mounted: Option<Arc<Mounted>>,
    /// Volume that is being read, for `status`.
    pub reading: Option<String>,
    /// Slot that its changer was last seen to have put into it; 0 for none.
    pub loaded_slot: u32,
    /// Number of the next mount.
    pub next_generation: u64,
    /// Bytes written since the start.
    pub written_bytes: u64,
    /// Bytes read since the start.
    pub read_bytes: u64,
    /// Counts whatever an operator may wait for: label, mount, release.
    pub events: u64,
}

/// A device: a directory of Volumes, or a drive.
#[derive(Debug)]
pub struct Device {
    /// Its resource.
    pub config: conf::storage::Device,
    /// Changer that it is a drive of, as a place in the daemon's list.
    pub changer: Option<usize>,
    /// What it is.
    pub kind: DeviceKind,
    /// Whether a changer's program puts its Volumes into it.
    pub is_fed: bool,
    /// Whether it holds one Volume at a time, which then is its Archive Device: fed by a changer, or a tape drive.
    pub is_drive: bool,
    state: Mutex<DeviceState>,
    changed: Condvar,
    /// Held by the job that mounts; the others wait for it.
    mounting: Mutex<()>,
}

impl Device {
    /// A device, closed.
    #[must_use]
    pub fn new(config: conf::storage::Device, changer: Option<usize>) -> Self {
        let state = DeviceState { is_enabled: config.enabled, ..DeviceState::default() };
        let kind = DeviceKind::of(&config, false);
        Self {
            config,
            changer,
            kind,
            is_fed: false,
            is_drive: kind.is_tape(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            mounting: Mutex::new(()),
        }
    }

    /// A drive of a changer, whose program is its own or the changer's.
    #[must_use]
    pub fn of_changer(self, changer: &Changer) -> Self {
        let is_fed = !is_no_program(self.config.changer_command.as_deref().unwrap_or(&changer.command));
        let kind = DeviceKind::of(&self.config, is_fed);
        Self { kind, is_fed, is_drive: is_fed || kind.is_tape(), ..self }
    }

    /// A call of its changer's program for it; of the job and client, if there are any.
    #[must_use]
    pub fn changer_call(
        &self,
        changer: &Changer,
        slot: u32,
        volume: &str,
        (job, client): (&str, &str),
    ) -> ChangerCall {
        let c = &self.config;
        ChangerCall {
            command: c.changer_command.clone().unwrap_or_else(|| changer.command.clone()),
            changer_device: c.changer_device.clone().unwrap_or_else(|| changer.device.clone()),
            archive_device: c.archive_device.clone(),
            control_device: c.control_device.clone().unwrap_or_default(),
            drive: c.drive_index,
            slot,
            volume: volume.to_owned(),
            job: job.to_owned(),
            client: client.to_owned(),
            wait: c.maximum_changer_wait,
        }
    }

    /// Name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// `"Name" (path)`, as messages show it.
    #[must_use]
    pub fn print_name(&self) -> String {
        format!("\"{}\" ({})", self.config.name, self.config.archive_device)
    }

    /// Directory of its Volumes; of a drive, the one that its link is in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        let path = Path::new(&self.config.archive_device);
        if self.is_drive { path.parent().unwrap_or(path) } else { path }
    }

    /// File of a Volume.
    #[must_use]
    pub fn volume_path(&self, volume: &VolumeName) -> PathBuf {
        if self.is_drive {
            return PathBuf::from(&self.config.archive_device);
        }
        self.directory().join(volume.as_str())
    }

    /// How its blocks are made.
    #[must_use]
    pub fn format(&self, version: BlockVersion) -> BlockFormat {
        let bytes_max = match self.config.maximum_block_size {
            0 => volume::BLOCK_BYTES_DEFAULT,
            n => usize::try_from(n).unwrap_or(volume::BLOCK_BYTES_DEFAULT),
        };
        BlockFormat { version, checksum: self.config.block_checksum, bytes_max }
    }

    /// How its blocks lie on a tape.
    #[must_use]
    pub fn tape_format(&self) -> TapeFormat {
        let bytes = |n: u64| usize::try_from(n).unwrap_or(0);
        TapeFormat {
            bytes_min: bytes(self.config.minimum_block_size),
            bytes_max: bytes(self.config.maximum_block_size),
        }
    }

    /// Opens the tape that is in it. The caller has the right to mount, and nobody has the tape open ([`Self::let_go`]).
    ///
    /// # Errors
    /// What the system says.
    pub fn open_tape(&self) -> io::Result<Tape> {
        self.open_medium().map(Tape::new)
    }

    /// The same, to be read by one alone.
    ///
    /// # Errors
    /// As there.
    pub fn open_medium(&self) -> io::Result<Box<dyn TapeMedium>> {
        let path = Path::new(&self.config.archive_device);
        let until = Instant::now() + self.config.maximum_open_wait;
        loop {
            match open_tape(self.kind, path, self.tape_format()) {
                // Who else has it (a program of the operator's, a changer's) is done soon, or forgets it.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy && Instant::now() < until => {
                    self.wait_changed(OPEN_AGAIN);
                }
                opened => return opened,
            }
        }
    }

    /// Lets go of the Volume that is mounted. A tape is closed, with a mark behind what was written. The caller has the right to mount, and no
    /// job writes.
    pub fn let_go(&self) -> Option<VolumeName> {
        let mounted = self.state().mounted.take()?;
        mounted.let_go();
        Some(mounted.volume.clone())
    }

    /// Whether checksums are verified.
    #[must_use]
    pub fn verify(&self) -> Verify {
        if self.config.block_checksum { Verify::Checksum } else { Verify::Nothing }
    }

    /// Its state, locked.
    pub fn state(&self) -> MutexGuard<'_, DeviceState> {
        lock(&self.state)
    }

    /// Tells those who wait that something has changed.
    pub fn notify(&self) {
        lock(&self.state).events += 1;
        self.changed.notify_all();
    }

    /// Waits until something changes or the time is over.
    pub fn wait_changed(&self, limit: Duration) {
        let guard = lock(&self.state);
        drop(wait(&self.changed, guard, limit));
    }

    /// The right to mount; one job has it at a time.
    pub fn lock_mounting(&self) -> MutexGuard<'_, ()> {
        lock(&self.mounting)
    }

    /// The same where nobody has it.
    pub fn try_lock_mounting(&self) -> Option<MutexGuard<'_, ()>> {
        match self.mounting.try_lock() {
            Ok(right) => Some(right),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Whether a job writes or reads there.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        let state = self.state();
        // A job that reads waits, too, until the tape is put into a drive that no changer feeds.
        let is_reading = state.reading.is_some() || self.is_fed || !self.kind.is_tape();
        state.appenders.iter().any(|r| r.is_writing) || (!state.readers.is_empty() && is_reading)
    }

    /// The Volume mounted for appending.
    #[must_use]
    pub fn mounted(&self) -> Option<Arc<Mounted>> {
        self.state().mounted.clone()
    }

    /// Whether no job has anything to do with it.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let state = self.state();
        state.appenders.is_empty() && state.readers.is_empty()
    }
}
