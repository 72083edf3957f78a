//! What a command says by its exit code.

use std::process::ExitCode;

/// How a command ended. An error of the program itself, as an unreadable configuration, is 1 as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It is as it should be, or was done and confirmed.
    Good,
    /// It is not, or was not done.
    Bad,
    /// It is far from it: nobody is active, or too many are.
    Critical,
    /// The command was given wrongly.
    Usage,
    /// What is the case cannot be told.
    Unknown,
}

impl Exit {
    /// The code.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Bad => 1,
            // Monitors take 2 for critical, shells for wrong usage.
            Self::Critical | Self::Usage => 2,
            Self::Unknown => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
