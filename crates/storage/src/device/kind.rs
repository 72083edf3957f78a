//! What a device is (spec/03 §4.1).

use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use conf::storage::DeviceType;

/// VolType of a File device (spec/03 §4.1).
pub const VOL_TYPE_FILE: u32 = 1;

/// A kind of device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceKind {
    /// A directory of Volumes; with a changer's program, a link to the file that is loaded.
    File,
    /// A tape drive, by its device that does not rewind.
    Tape,
    /// A tape in a file (spec/03 §1.15).
    VTape,
    /// One that is not served.
    Other,
}

impl DeviceKind {
    /// As the resource says, else as its Archive Device is. A link that a changer has not made yet is to a tape in a file.
    #[must_use]
    pub fn of(config: &conf::storage::Device, is_fed: bool) -> Self {
        match config.device_type {
            Some(DeviceType::File) => Self::File,
            Some(DeviceType::Tape) => Self::Tape,
            Some(DeviceType::Vtape) => Self::VTape,
            Some(
                DeviceType::Fifo
                | DeviceType::Vtl
                | DeviceType::Aligned
                | DeviceType::Null
                | DeviceType::Cloud
                | DeviceType::Dedup,
            ) => Self::Other,
            None => match Path::new(&config.archive_device).metadata().map(|m| m.file_type()) {
                Ok(kind) if kind.is_dir() => Self::File,
                Ok(kind) if kind.is_char_device() && config.archive_device != "/dev/null" => Self::Tape,
                Ok(kind) if kind.is_file() => Self::VTape,
                Ok(_) => Self::Other,
                Err(_) if is_fed => Self::VTape,
                Err(_) => Self::Other,
            },
        }
    }

    /// Whether blocks lie on it as on tape: in records, between marks.
    #[must_use]
    pub const fn is_tape(self) -> bool {
        matches!(self, Self::Tape | Self::VTape)
    }

    /// Its number as VolType in the catalog; 0 for none.
    #[must_use]
    pub const fn vol_type(self) -> u32 {
        match self {
            Self::File => VOL_TYPE_FILE,
            Self::Tape => 2,
            Self::VTape => 5,
            Self::Other => 0,
        }
    }

    /// As messages name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::File | Self::Other => "File",
            Self::Tape => "Tape",
            Self::VTape => "VTape",
        }
    }
}
