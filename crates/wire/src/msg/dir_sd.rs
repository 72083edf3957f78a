//! Director → SD: commands and their answers (spec/03 §2).

mod command;
mod reply;

pub use command::{
    Command, HostPort, LabelCommand, MountCommand, RelabelCommand, SdJob, StorageAddress, UseStorage,
    VolumePlan,
};
pub use reply::{JobReply, LabelReply, UseDeviceReply};
