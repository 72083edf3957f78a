//! Autochangers: the program that moves media, and which drive has which slot (spec/03 §4.6).
//!
//! A changer without a program is *virtual*: its drives are directories, and every Volume is always in reach. With a program each drive
//! holds one Volume at a time, whose slot is loaded before it is used. One program runs at a time; where it is, is always asked of
//! the program, never remembered: an operator may have moved media by hand.

mod command;
mod moves;

pub use command::{ChangerCall, ChangerError, Operation};
pub use moves::{Load, LoadError, Medium};

use std::sync::{Mutex, MutexGuard};

use crate::lock::lock;

/// A changer resource and its drives.
#[derive(Debug, Default)]
pub struct Changer {
    /// Resource name.
    pub name: String,
    /// Its drives as places in the daemon's list of devices.
    pub drives: Vec<usize>,
    /// Changer Command; empty for a changer of disk Volumes.
    pub command: String,
    /// Changer Device.
    pub device: String,
    /// Held while media are moved.
    moving: Mutex<()>,
}

impl Changer {
    /// A changer of these drives.
    #[must_use]
    pub fn new(config: &conf::storage::Autochanger, drives: Vec<usize>) -> Self {
        Self {
            name: config.name.clone(),
            drives,
            command: config.changer_command.clone(),
            device: config.changer_device.clone(),
            moving: Mutex::default(),
        }
    }

    /// Whether it moves nothing.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        is_no_program(&self.command)
    }

    /// The right to move media.
    pub(crate) fn lock_moving(&self) -> MutexGuard<'_, ()> {
        lock(&self.moving)
    }
}

/// Whether a Changer Command says that nothing is to be run.
pub(crate) fn is_no_program(command: &str) -> bool {
    command.trim().is_empty() || command == "/dev/null"
}
