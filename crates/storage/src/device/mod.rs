//! Devices: their state, the Volume in them, choosing one.

mod carrier;
mod changer;
mod file;
mod kind;
pub mod reserve;
mod state;
mod tape;
mod volume_error;
mod volume_info;
mod writer;

pub use carrier::{Carrier, Tape, is_behind_label, open_tape};
pub use changer::{Changer, ChangerCall, ChangerError, Load, LoadError, Medium, Operation};
pub use file::VolumeFile;
pub use kind::{DeviceKind, VOL_TYPE_FILE};
pub use state::{Blocked, Device, DeviceState, Reservation};
pub use tape::LinuxTape;
pub use volume_error::VolumeError;
pub use volume_info::{Permit, VolumeInfo, VolumeReply};
pub use writer::{FullReason, Mounted, Snapshot, Written};
