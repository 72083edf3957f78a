//! Messages of a job and their numbers on the wire, which differ between versions (spec/01 §5.1).

/// Kind of a message.
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
    /// A file was saved.
    Saved,
    /// A file was not saved; counts as an error.
    NotSaved,
    /// A file was left out on purpose.
    Skipped,
    /// A file was restored.
    Restored,
    /// Concerns security.
    Security,
}

impl MessageKind {
    /// The number for a Director with 9.6's table, or that of 13 and later.
    #[must_use]
    pub const fn number(self, modern: bool) -> u32 {
        let old = match self {
            Self::Fatal => 3,
            Self::Error => 4,
            Self::Warning => 5,
            Self::Info => 6,
            Self::Saved => 7,
            Self::NotSaved => 8,
            Self::Skipped => 9,
            Self::Restored => 13,
            Self::Security => 14,
        };
        if modern { old + 1 } else { old }
    }

    /// What stands before the text.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Fatal => "Fatal error: ",
            Self::Error => "Error: ",
            Self::Warning => "Warning: ",
            Self::Security => "Security Alert: ",
            Self::Info | Self::Saved | Self::NotSaved | Self::Skipped | Self::Restored => "",
        }
    }

    /// Whether the job's error count goes up.
    #[must_use]
    pub const fn is_error(self) -> bool {
        matches!(self, Self::Error | Self::NotSaved)
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
