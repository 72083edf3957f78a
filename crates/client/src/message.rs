//! Messages of a job.

use wire::msg::common::MessageType;

/// Kind of a message that a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Ends the job.
    Fatal,
    /// Counts as an error of the job.
    Error,
    /// Worth a look.
    Warning,
    /// Normal.
    Info,
    /// A file was not saved; counts as an error.
    NotSaved,
    /// A file was left out on purpose.
    Skipped,
    /// A file was restored.
    Restored,
}

impl MessageKind {
    /// The type on the wire; its number depends on the peer's version.
    #[must_use]
    pub const fn wire(self) -> MessageType {
        match self {
            Self::Fatal => MessageType::Fatal,
            Self::Error => MessageType::Error,
            Self::Warning => MessageType::Warning,
            Self::Info => MessageType::Info,
            Self::NotSaved => MessageType::NotSaved,
            Self::Skipped => MessageType::Skipped,
            Self::Restored => MessageType::Restored,
        }
    }

    /// What stands before the text.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Fatal => "Fatal error: ",
            Self::Error => "Error: ",
            Self::Warning => "Warning: ",
            Self::Info | Self::NotSaved | Self::Skipped | Self::Restored => "",
        }
    }

    /// Whether the job's error count goes up.
    #[must_use]
    pub const fn is_error(self) -> bool {
        matches!(self, Self::Error | Self::NotSaved | Self::Fatal)
    }
}

/// Takes messages of a job. Texts end in a line feed.
pub trait JobLog: Sync {
    /// Takes one message.
    fn message(&self, kind: MessageKind, text: &str);

    /// Whether messages of a kind go anywhere: those of each unchanged file mostly do not, and need not be formatted.
    fn wants(&self, kind: MessageKind) -> bool;
}

/// A path as text for messages.
#[must_use]
pub fn path_text(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}
