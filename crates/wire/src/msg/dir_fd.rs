//! Director → FD: commands and their answers (spec/01 §5).

mod command;
mod reply;

pub use command::{
    Command, EstimateCommand, FdJob, Level, LevelWord, RestoreCommand, RestoreObject, RestoreTarget,
    RunScript, SetBandwidth, StorageAddress, TestNetwork, VerifyLevel, run_when,
};
pub use reply::{EndJob, FromClient, JobReply, SinceClock, parse_estimate};
