//! The File Daemon's file (spec/04 §2.17 to §2.19).

mod daemon;

pub use daemon::{Console, Director, FileDaemon, PkiCipher, PkiDigest, Schedule};

use crate::director::Statistics;
use crate::messages::Messages;
use crate::table::{Daemon, Resource, ResourceTable};
use crate::{Config, Parsed};

/// A File Daemon's configuration; resources stand in the order written.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientConfig {
    /// The daemon.
    pub daemon: FileDaemon,
    /// Directors that may use it.
    pub directors: Vec<Director>,
    /// Consoles to call Directors with.
    pub consoles: Vec<Console>,
    /// When to keep connections to Directors.
    pub schedules: Vec<Schedule>,
    /// Messages.
    pub messages: Vec<Messages>,
    /// Statistics.
    pub statistics: Vec<Statistics>,
}

impl ClientConfig {
    /// The Director of a name.
    #[must_use]
    pub fn director(&self, name: &str) -> Option<&Director> {
        self.directors.iter().find(|d| d.name == name)
    }

    /// Messages of the daemon: those that the FileDaemon resource names, else the first of the file.
    #[must_use]
    pub fn daemon_messages(&self) -> Option<&Messages> {
        match &self.daemon.messages {
            Some(name) => self.messages.iter().find(|m| m.name == *name),
            None => self.messages.first(),
        }
    }
}

impl Config for ClientConfig {
    const DAEMON: Daemon = Daemon::Client;
    const RESOURCES: &'static [&'static ResourceTable] = &[
        FileDaemon::TABLE,
        Director::TABLE,
        Console::TABLE,
        Schedule::TABLE,
        Messages::TABLE,
        Statistics::TABLE,
    ];

    fn build(parsed: &Parsed) -> Option<Self> {
        Some(Self {
            daemon: parsed.first()?,
            directors: parsed.all(),
            consoles: parsed.all(),
            schedules: parsed.all(),
            messages: parsed.all(),
            statistics: parsed.all(),
        })
    }
}
