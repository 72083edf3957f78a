//! The Storage Daemon's file (spec/04 §2.13 to §2.16).

mod cloud;
mod daemon;
mod device;

pub use cloud::{Cloud, CloudDriver, CloudProtocol, TransferPriority, TruncateCache, Upload, UriStyle};
pub use daemon::{Director, Storage, VolumeFormat};
pub use device::{Autochanger, Device, DeviceType};

use crate::director::Statistics;
use crate::messages::Messages;
use crate::table::{Daemon, Resource, ResourceTable};
use crate::{Config, Parsed};

/// A Storage Daemon's configuration; resources stand in the order written.
#[derive(Debug, Clone, PartialEq)]
pub struct StorageConfig {
    /// The daemon.
    pub storage: Storage,
    /// Directors that may use it.
    pub directors: Vec<Director>,
    /// Devices.
    pub devices: Vec<Device>,
    /// Autochangers.
    pub autochangers: Vec<Autochanger>,
    /// Clouds.
    pub clouds: Vec<Cloud>,
    /// Messages.
    pub messages: Vec<Messages>,
    /// Statistics.
    pub statistics: Vec<Statistics>,
}

impl StorageConfig {
    /// The Director of a name.
    #[must_use]
    pub fn director(&self, name: &str) -> Option<&Director> {
        self.directors.iter().find(|d| d.name == name)
    }

    /// The Device of a name.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<&Device> {
        self.devices.iter().find(|d| d.name == name)
    }

    /// The Autochanger of a name.
    #[must_use]
    pub fn autochanger(&self, name: &str) -> Option<&Autochanger> {
        self.autochangers.iter().find(|a| a.name == name)
    }

    /// Messages of the daemon: those that the Storage resource names, else the first of the file.
    #[must_use]
    pub fn daemon_messages(&self) -> Option<&Messages> {
        match &self.storage.messages {
            Some(name) => self.messages.iter().find(|m| m.name == *name),
            None => self.messages.first(),
        }
    }
}

impl Config for StorageConfig {
    const DAEMON: Daemon = Daemon::Storage;
    const RESOURCES: &'static [&'static ResourceTable] = &[
        Storage::TABLE,
        Director::TABLE,
        Device::TABLE,
        Autochanger::TABLE,
        Cloud::TABLE,
        Messages::TABLE,
        Statistics::TABLE,
    ];

    fn build(parsed: &Parsed) -> Option<Self> {
        Some(Self {
            storage: parsed.first()?,
            directors: parsed.all(),
            devices: parsed.all(),
            autochangers: parsed.all(),
            clouds: parsed.all(),
            messages: parsed.all(),
            statistics: parsed.all(),
        })
    }
}
