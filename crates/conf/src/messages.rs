//! The `Messages` resource: who is told what (spec/04 §9.1).

use crate::table::{Kind, resource};

/// Kinds of messages that destinations choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum MessageType {
    /// `abort`
    Abort = 0,
    /// `debug`
    Debug,
    /// `fatal`
    Fatal,
    /// `error`
    Error,
    /// `warning`
    Warning,
    /// `info`
    Info,
    /// `saved`
    Saved,
    /// `notsaved`
    NotSaved,
    /// `skipped`
    Skipped,
    /// `mount`
    Mount,
    /// `errorterm`
    ErrorTerm,
    /// `terminate`
    Terminate,
    /// `restored`
    Restored,
    /// `security`
    Security,
    /// `alert`
    Alert,
    /// `volmgmt`
    VolMgmt,
    /// `verified`
    Verified,
    /// `events`
    Events,
}

impl MessageType {
    /// All types with their words.
    pub const ALL: &'static [(&'static str, MessageType)] = &[
        ("info", Self::Info),
        ("warning", Self::Warning),
        ("error", Self::Error),
        ("fatal", Self::Fatal),
        ("terminate", Self::Terminate),
        ("notsaved", Self::NotSaved),
        ("skipped", Self::Skipped),
        ("mount", Self::Mount),
        ("restored", Self::Restored),
        ("security", Self::Security),
        ("alert", Self::Alert),
        ("volmgmt", Self::VolMgmt),
        ("errorterm", Self::ErrorTerm),
        ("abort", Self::Abort),
        ("verified", Self::Verified),
        ("debug", Self::Debug),
        ("saved", Self::Saved),
        ("events", Self::Events),
    ];

    /// The type of a word, in any case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(w, _)| w.eq_ignore_ascii_case(word)).map(|(_, t)| *t)
    }
}

/// A set of message types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageTypes(u32);

impl MessageTypes {
    /// What `all` means: everything but debug, saved and events.
    pub const ALL: Self = {
        let excluded = (1 << MessageType::Debug as u32)
            | (1 << MessageType::Saved as u32)
            | (1 << MessageType::Events as u32);
        Self(((1 << 18) - 1) & !excluded)
    };

    /// Adds a type.
    pub const fn insert(&mut self, kind: MessageType) {
        self.0 |= 1 << kind as u32;
    }

    /// Takes a type out.
    pub const fn remove(&mut self, kind: MessageType) {
        self.0 &= !(1 << kind as u32);
    }

    /// Adds all types of another set.
    pub const fn extend(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether the type is in the set.
    #[must_use]
    pub const fn contains(self, kind: MessageType) -> bool {
        self.0 & (1 << kind as u32) != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DestinationKind {
    /// One mail at job end.
    Mail,
    /// One mail at job end if it failed.
    MailOnError,
    /// One mail at job end if it succeeded.
    MailOnSuccess,
    /// One mail per message.
    Operator,
    /// Truncated file.
    File,
    /// Appended file.
    Append,
    /// Kept for consoles.
    Console,
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// The system's log.
    Syslog,
    /// Sent to the Director (from its peers).
    Director,
    /// The catalog's Log table.
    Catalog,
}

impl DestinationKind {
    /// Whether addresses stand between the word and the types: `mail = root = all` against `console = all`.
    #[must_use]
    pub const fn takes_addresses(self) -> bool {
        match self {
            Self::Mail
            | Self::MailOnError
            | Self::MailOnSuccess
            | Self::Operator
            | Self::File
            | Self::Append
            | Self::Director => true,
            Self::Console | Self::Stdout | Self::Stderr | Self::Syslog | Self::Catalog => false,
        }
    }
}

/// One destination line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Where to.
    pub kind: DestinationKind,
    /// Recipients, a path, or a Director's name.
    pub addresses: Vec<String>,
    /// The mail or operator command that stood *before* this line; a later one does not count (spec/04 §9.1).
    pub command: Option<String>,
    /// What is sent there.
    pub types: MessageTypes,
    /// Names of `events.<name>` filters; `!` before a name excludes it.
    pub events: Vec<String>,
}

resource! {
    /// Says which messages of a job or a daemon go where.
    Messages = Messages "Messages" {
        /// Program that sends mails for the destinations after it; the text is on its standard input. %-codes are replaced.
        "Mail Command" => mail_command: Option<String> = Kind::Command,
            example("\"/usr/sbin/bsmtp -h localhost -f %r -s \\\"Bacula: %t %e of %c %l\\\" %r\"");
        /// Program that sends operator messages for the destinations after it.
        "Operator Command" => operator_command: Option<String> = Kind::Command;
        /// One mail at the end of a job with all its collected messages.
        "Mail" => destinations: Vec<Destination> = Kind::Destination(DestinationKind::Mail), example("root@localhost = all, !skipped");
    }
    also {
        /// As Mail, only when the job failed.
        "Mail On Error" = Kind::Destination(DestinationKind::MailOnError), example("root@localhost = all");
        /// As Mail, only when the job succeeded.
        "Mail On Success" = Kind::Destination(DestinationKind::MailOnSuccess), example("root@localhost = all");
        /// One mail per message, at once.
        "Operator" = Kind::Destination(DestinationKind::Operator), example("root@localhost = mount");
        /// A file, truncated when opened.
        "File" = Kind::Destination(DestinationKind::File), example("/var/log/bacula/last.log = all");
        /// A file, appended to.
        "Append" = Kind::Destination(DestinationKind::Append), example("/var/log/bacula/bacula.log = all, !skipped");
        /// Kept until a console asks for them.
        "Console" = Kind::Destination(DestinationKind::Console), example("all, !skipped, !saved");
        /// Standard output of the daemon.
        "Stdout" = Kind::Destination(DestinationKind::Stdout), example("all");
        /// Standard error of the daemon.
        "Stderr" = Kind::Destination(DestinationKind::Stderr), example("all");
        /// The system's log, facility daemon.
        "Syslog" = Kind::Destination(DestinationKind::Syslog), example("all");
        /// The Director of this name; it passes them on by the job's own Messages.
        "Director" = Kind::Destination(DestinationKind::Director), example("dc1-dir = all, !skipped, !restored");
        /// The catalog's Log table.
        "Catalog" = Kind::Destination(DestinationKind::Catalog), example("all");
    }
}
