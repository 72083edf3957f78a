//! What all sessions of the daemon share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use conf::StorageConfig;
use conf::storage::VolumeFormat;
use types::{ActivationId, Nonce, VolSession, VolumeName};
use volume::BlockVersion;

use crate::device::{Changer, Device, Load};
use crate::job::{JobTable, NonceGiver};
use crate::journal::{Shelf, ShelfLimits};
use crate::ledger::{
    DirectorKey, DirectorRegistry, Home, JobMarks, Nonces, Registration, StoragePlaces, next_session_time,
};
use crate::lock::{lock, wait};

/// What all sessions share.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    config: RwLock<Arc<StorageConfig>>,
    /// Durable files.
    pub home: Home,
    /// Epochs of Directors.
    pub registry: DirectorRegistry,
    /// Highest JobIds of Directors.
    pub job_marks: JobMarks,
    /// Which of a Storage and its cold spare serves.
    pub places: StoragePlaces,
    /// Devices, in the order of the configuration.
    pub devices: Vec<Arc<Device>>,
    /// Changers.
    pub changers: Vec<Changer>,
    /// Jobs.
    pub jobs: JobTable,
    /// Finished journals.
    pub shelf: Mutex<Shelf>,
    /// Format of the blocks that are written.
    pub block_version: BlockVersion,
    /// Unix seconds.
    pub started_unix: u64,
    /// Set when the daemon stops.
    pub is_stopping: AtomicBool,
    /// Level of `setdebug`.
    pub debug_level: AtomicU32,
    nonces: Mutex<HashMap<(DirectorKey, ActivationId), Nonces>>,
    session_time: u32,
    next_session_id: AtomicU32,
    devices_changed: (Mutex<u64>, Condvar),
    claims: Mutex<()>,
    /// Draws numbers for temporary files.
    pub(crate) next_temp: AtomicU64,
}

impl Daemon {
    /// Prepares a daemon: opens its durable files and draws its session time.
    ///
    /// # Errors
    /// A durable file cannot be read or written.
    pub fn new(config: StorageConfig) -> std::io::Result<Self> {
        let home = Home::open(&home_directory(&config))?;
        let registry = DirectorRegistry::load(home.directors())?;
        let job_marks = JobMarks::new(home.directors());
        let places = StoragePlaces::new(home.directors());
        let started_unix = crate::text::unix_now();
        let session_time = next_session_time(&home, u32::try_from(started_unix).unwrap_or(u32::MAX))?;
        let (devices, changers) = build_devices(&config);
        Ok(Self {
            block_version: block_version(&config),
            name: config.storage.name.clone(),
            config: RwLock::new(Arc::new(config)),
            home,
            registry,
            job_marks,
            places,
            devices,
            changers,
            jobs: JobTable::default(),
            shelf: Mutex::default(),
            started_unix,
            is_stopping: AtomicBool::new(false),
            debug_level: AtomicU32::new(0),
            nonces: Mutex::default(),
            session_time,
            next_session_id: AtomicU32::new(1),
            devices_changed: (Mutex::new(0), Condvar::new()),
            claims: Mutex::new(()),
            next_temp: AtomicU64::new(1),
        })
    }

    /// Resource name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its configuration as it is now.
    #[must_use]
    pub fn config(&self) -> Arc<StorageConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes another configuration for the sessions from now on: all of it or nothing.
    ///
    /// # Errors
    /// What cannot change while the daemon runs.
    pub fn reload(&self, new: StorageConfig) -> Result<(), String> {
        let old = self.config();
        let fixed = [
            ("the name", new.storage.name == old.storage.name),
            ("the addresses to listen at", new.storage.listen() == old.storage.listen()),
            ("the Working Directory", new.storage.working_directory == old.storage.working_directory),
            ("the Journal Directory", new.storage.journal_directory == old.storage.journal_directory),
            ("the Volume Format", new.storage.volume_format == old.storage.volume_format),
            ("Devices", new.devices == old.devices),
            ("Autochangers", new.autochangers == old.autochangers),
        ];
        let changed: Vec<&str> = fixed.iter().filter(|(_, same)| !same).map(|(what, _)| *what).collect();
        if !changed.is_empty() {
            return Err(format!("{} cannot change while the daemon runs; restart it", changed.join(", ")));
        }
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        Ok(())
    }

    /// The session of the next job.
    pub fn next_session(&self) -> VolSession {
        VolSession { id: self.next_session_id.fetch_add(1, Ordering::Relaxed), time: self.session_time }
    }

    /// A job goes on with the session that it had, perhaps on another daemon that was started in the same second: no job here gets
    /// the same.
    pub fn note_session(&self, session: VolSession) {
        if session.time == self.session_time {
            self.next_session_id.fetch_max(session.id.saturating_add(1), Ordering::Relaxed);
        }
    }

    /// VolSessionTime of this life.
    #[must_use]
    pub const fn session_time(&self) -> u32 {
        self.session_time
    }

    /// Bounds on finished journals.
    #[must_use]
    pub fn shelf_limits(&self) -> ShelfLimits {
        ShelfLimits {
            retention: self.config().storage.journal_retention,
            bytes: self.config().storage.maximum_journal_bytes,
        }
    }

    /// A device by its name.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<(usize, &Arc<Device>)> {
        self.devices.iter().enumerate().find(|(_, d)| d.name() == name)
    }

    /// A device by its name, or a drive of a changer.
    #[must_use]
    pub fn device_or_drive(&self, name: &str, drive: i32) -> Option<&Arc<Device>> {
        if let Some((_, device)) = self.device(name) {
            return Some(device);
        }
        let changer = self.changers.iter().find(|c| c.name == name)?;
        let wanted = u32::try_from(drive).ok();
        let by_index = |place: &&usize| wanted.is_some_and(|w| self.devices[**place].config.drive_index == w);
        let place = changer.drives.iter().find(by_index).or_else(|| match wanted {
            Some(_) => None,
            None => changer.drives.first(),
        })?;
        self.devices.get(*place)
    }

    /// What moves media for a device; `None` where no program does. For a job and its client, empty for a console.
    pub fn loader<'a>(
        &'a self,
        device: &Arc<Device>,
        job: (&'a str, &'a str),
        say: &'a dyn Fn(&str),
    ) -> Option<Load<'a>> {
        let place = self.devices.iter().position(|d| Arc::ptr_eq(d, device))?;
        Load::of(&self.changers, &self.devices, place, job, say)
    }

    /// Device on which a Volume is mounted or reserved for appending.
    #[must_use]
    pub fn append_device_of(&self, volume: &VolumeName) -> Option<usize> {
        self.devices.iter().position(|d| {
            let state = d.state();
            let is_used = !state.appenders.is_empty();
            let is_mounted = state.mounted.as_ref().is_some_and(|m| m.volume == *volume && !m.is_closed());
            let is_reserved = state.appenders.iter().any(|r| r.volume.as_ref() == Some(volume));
            (is_used && is_mounted) || is_reserved
        })
    }

    /// The right to say which device a Volume is on: who has it decides for all devices at once.
    pub(crate) fn lock_claims(&self) -> MutexGuard<'_, ()> {
        lock(&self.claims)
    }

    /// Claims a Volume for a job that appends on the device at `place`; false when another device has it, or the job has no claim on
    /// the device. Two devices that wrote one file would overwrite each other's blocks.
    pub(crate) fn claim_volume(&self, session: VolSession, place: usize, volume: &VolumeName) -> bool {
        let _claims = self.lock_claims();
        if self.append_device_of(volume).is_some_and(|user| user != place) {
            return false;
        }
        let mut state = self.devices[place].state();
        let own = state.appenders.iter_mut().find(|r| r.session == session);
        own.map(|own| own.volume = Some(volume.clone())).is_some()
    }

    /// Whether a job reads the Volume now.
    #[must_use]
    pub fn is_being_read(&self, volume: &VolumeName) -> bool {
        let is_reading = |d: &Arc<Device>| {
            let state = d.state();
            !state.readers.is_empty() && state.reading.as_deref() == Some(volume.as_str())
        };
        self.devices.iter().any(is_reading)
    }

    /// Tells those who wait for a drive that one may be free.
    pub fn notify_devices(&self) {
        *lock(&self.devices_changed.0) += 1;
        self.devices_changed.1.notify_all();
    }

    /// Waits until a drive may be free, or the time is over.
    pub fn wait_devices(&self, limit: Duration) {
        let guard = lock(&self.devices_changed.0);
        drop(wait(&self.devices_changed.1, guard, limit));
    }

    /// Ends a job's claims on devices.
    pub fn release_devices(&self, session: VolSession) {
        for device in &self.devices {
            let mut state = device.state();
            state.appenders.retain(|r| r.session != session);
            state.readers.retain(|r| *r != session);
            if state.readers.is_empty() {
                state.reading = None;
            }
            if state.appenders.is_empty() && !matches!(state.blocked, Some(crate::device::Blocked::Unmounted))
            {
                state.blocked = None;
            }
            drop(state);
            device.notify();
        }
        self.notify_devices();
    }

    /// Draws a nonce for a registration.
    pub fn draw_nonce(&self, held: &Registration) -> Nonce {
        let nonce = Nonce(rand::random());
        let mut nonces = lock(&self.nonces);
        // Only the newest activation of a Director is of use.
        nonces.retain(|(key, activation), _| *key != held.key || *activation == held.activation);
        nonces.entry((held.key.clone(), held.activation)).or_default().give(nonce, Instant::now());
        nonce
    }

    /// Whether a nonce was given to this Director and its lease cannot have run out.
    #[must_use]
    pub fn is_fresh(&self, owner: &DirectorKey, nonce: Nonce, lease_ms: u64) -> bool {
        let nonces = lock(&self.nonces);
        nonces.iter().any(|((key, _), n)| key == owner && n.is_fresh(nonce, lease_ms, Instant::now()))
    }

    /// A temporary file in the Working Directory.
    #[must_use]
    pub fn temp_path(&self, kind: &str, job: &str) -> PathBuf {
        let n = self.next_temp.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}.{kind}.{job}.{n}.spool", self.name()).replace('/', "_");
        Path::new(&self.config().storage.working_directory).join(name)
    }

    /// Whether the daemon is to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }
}

/// Draws nonces for one registration.
#[derive(Debug)]
pub(crate) struct RegistrationNonces {
    pub(crate) daemon: Arc<Daemon>,
    pub(crate) registration: Registration,
}

impl NonceGiver for RegistrationNonces {
    fn draw(&self) -> Nonce {
        self.daemon.draw_nonce(&self.registration)
    }
}

/// Forgets the epochs of a Director that has gone back to Bacula; gives how many catalogs of that name were known.
///
/// # Errors
/// The durable files cannot be read or changed.
pub fn forget_director(config: &StorageConfig, name: &str) -> std::io::Result<usize> {
    let home = Home::open(&home_directory(config))?;
    StoragePlaces::new(home.directors()).forget(name)?;
    DirectorRegistry::load(home.directors())?.forget(name)
}

/// Journal Directory, else the first Archive Device that is a directory, else the Working Directory.
fn home_directory(config: &StorageConfig) -> PathBuf {
    if let Some(directory) = &config.storage.journal_directory {
        return PathBuf::from(directory);
    }
    let of_device = config.devices.iter().map(|d| Path::new(&d.archive_device)).find(|p| p.is_dir());
    of_device.unwrap_or_else(|| Path::new(&config.storage.working_directory)).to_owned()
}

fn block_version(config: &StorageConfig) -> BlockVersion {
    match config.storage.volume_format {
        VolumeFormat::Bb02 => BlockVersion::Bb02,
        VolumeFormat::Bb03 => BlockVersion::Bb03,
    }
}

fn build_devices(config: &StorageConfig) -> (Vec<Arc<Device>>, Vec<Changer>) {
    let place_of = |name: &String| config.devices.iter().position(|d| d.name == *name);
    let changers: Vec<Changer> = config
        .autochangers
        .iter()
        .map(|a| Changer::new(a, a.devices.iter().filter_map(place_of).collect()))
        .collect();
    let devices: Vec<_> = config
        .devices
        .iter()
        .enumerate()
        .map(|(place, device)| {
            let changer = changers.iter().position(|c| c.drives.contains(&place));
            let device = Device::new(device.clone(), changer);
            Arc::new(match changer {
                Some(changer) => device.of_changer(&changers[changer]),
                None => device,
            })
        })
        .collect();
    (devices, changers)
}
