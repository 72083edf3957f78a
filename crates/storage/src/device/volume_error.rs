//! Why a Volume cannot be written.

use types::VolumeName;

use crate::ledger::StateFileError;

/// Why a Volume cannot be written or synced. Each names the Volume and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// The file system has no room.
    #[error(
        "Write error on Volume \"{volume}\": no space left on the file system of {path}. What was on the Volume before is intact. \
         Free some space there or add a Volume on another device, then run the job again."
    )]
    NoSpace {
        /// Volume.
        volume: VolumeName,
        /// Its file.
        path: String,
    },
    /// The device failed.
    #[error(
        "Write error on Volume \"{volume}\" ({path}): {source}. What was on the Volume before is intact. \
         Check the disk and the system's log; the Volume is marked in Error, and the job can be run again on another."
    )]
    Write {
        /// Volume.
        volume: VolumeName,
        /// Its file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Data that was written may not be on the disk.
    #[error(
        "Sync error on Volume \"{volume}\" ({path}): {source}. Data written since the last checkpoint may be lost. \
         Check the disk and the system's log; the Volume is marked in Error, and the job can be run again on another."
    )]
    Sync {
        /// Volume.
        volume: VolumeName,
        /// Its file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Its state file cannot be written.
    #[error(
        "The state of Volume \"{volume}\" cannot be saved; free some space or check the disk, then run the job again"
    )]
    State {
        /// Volume.
        volume: VolumeName,
        /// Why.
        #[source]
        source: StateFileError,
    },
}
