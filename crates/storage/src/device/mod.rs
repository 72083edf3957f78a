//! Devices: their state, the Volume in them, choosing one.

mod changer;
mod file;
pub mod reserve;
mod state;
mod volume_info;
mod writer;

pub use changer::{Changer, ChangerCall, ChangerError, Load, LoadError, Medium, Operation};
pub use file::VolumeFile;
pub use state::{Blocked, Device, DeviceState, Reservation};
pub use volume_info::{Permit, VOL_TYPE_FILE, VolumeInfo, VolumeReply};
pub use writer::{FullReason, Mounted, Snapshot, VolumeError, Written};
