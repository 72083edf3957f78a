//! Autochangers of File devices: every Volume is always "loaded" (spec/03 §4.6).

/// A changer resource and its drives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changer {
    /// Resource name.
    pub name: String,
    /// Its drives as places in the daemon's list of devices.
    pub drives: Vec<usize>,
    /// Changer Command; empty for a changer of disk Volumes.
    pub command: String,
}

impl Changer {
    /// Whether it moves nothing.
    #[must_use]
    pub fn is_virtual(&self) -> bool {
        self.command.is_empty() || self.command == "/dev/null"
    }
}
