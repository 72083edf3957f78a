//! The console program's file (spec/04 §2.20).

use std::time::Duration;

use crate::table::{Daemon, Kind, Resource, ResourceTable, resource};
use crate::{Config, Parsed};

resource! {
    /// A Director to connect to.
    Director = Director "Director" with Tls {
        /// Host.
        "Address" => address: String = Kind::Str, required(), example("dir1.example.org");
        /// Port.
        "Dir Port" => dir_port: u32 = Kind::Uint, default("9101");
        /// Password of the Director's default console; not used when a Console resource serves for the login.
        "Password" => password: String = Kind::Password, required(), example("\"console-secret\"");
        /// File of typed commands.
        "History File" => history_file: Option<String> = Kind::Path;
        /// Commands kept there.
        "History File Size" => history_file_size: i32 = Kind::Int, default("100");
        /// Interval of keep-alives.
        "Heartbeat Interval" => heartbeat_interval: Duration = Kind::Time, default("5 minutes");
    }
}

resource! {
    /// A restricted console to log in as.
    Console = Console "Console" with Tls {
        /// Its password.
        "Password" => password: String = Kind::Password, required(), example("\"operator-secret\"");
        /// File of commands to run at the start.
        "RC File" => rc_file: Option<String> = Kind::Path, example("~/.bconsolerc");
        /// The Director it belongs to.
        "Director" => director: Option<String> = Kind::Str;
        /// File of typed commands.
        "History File" => history_file: Option<String> = Kind::Path;
        /// Commands kept there.
        "History File Size" => history_file_size: i32 = Kind::Int, default("100");
        /// Interval of keep-alives.
        "Heartbeat Interval" => heartbeat_interval: Duration = Kind::Time, default("5 minutes");
        /// Accepted: compressed streams of peers are read whatever it says, none are sent.
        "Comm Compression" => comm_compression: bool = Kind::Bool, default("yes"), ignored();
    }
}

/// A console program's configuration; resources stand in the order written.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsoleConfig {
    /// Directors to connect to.
    pub directors: Vec<Director>,
    /// Consoles to log in as.
    pub consoles: Vec<Console>,
}

impl Config for ConsoleConfig {
    const DAEMON: Daemon = Daemon::Console;
    const RESOURCES: &'static [&'static ResourceTable] = &[Director::TABLE, Console::TABLE];

    fn build(parsed: &Parsed) -> Option<Self> {
        Some(Self { directors: parsed.all(), consoles: parsed.all() })
    }
}
