//! Whether data may be overwritten (docs/extensions.md §3).

use std::io;
use std::path::Path;

use types::{VolTime, VolumeName};
use volume::VolumeLabel;
use wire::verdict::{Unlike, VolumeVersion};

use super::Daemon;
use crate::device::Permit;
use crate::disk::{Disk, SystemDisk};
use crate::ledger::{DirectorKey, Owner, StateFileError, VolumeState};

/// Why nothing was overwritten.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Volume \"{volume}\" is not as the Director believes: {what}. Nothing was changed.")]
pub struct PermitError {
    /// Volume.
    pub volume: String,
    /// What differs.
    pub what: String,
}

/// What is on the medium.
#[derive(Debug, Clone, Copy)]
pub struct OnMedium<'a> {
    /// State kept beside the Volume.
    pub state: Option<&'a VolumeState>,
    /// Its label, where readable.
    pub label: Option<&'a VolumeLabel>,
}

/// The state to check a permit against: that of the label on the medium. Where a crash came between a new label and its state, and
/// there is nothing but the label, it is the one from before.
///
/// # Errors
/// The file is damaged or cannot be read.
pub(crate) fn state_to_check(
    daemon: &Daemon,
    volume: &VolumeName,
    path: &Path,
    label: Option<&VolumeLabel>,
) -> Result<Option<VolumeState>, StateFileError> {
    state_on(&SystemDisk, &daemon.home.volume_state(volume), path, label)
}

/// [`state_to_check`] on any disk: of the state file and the Volume's file.
///
/// # Errors
/// As there.
pub(crate) fn state_on(
    disk: &dyn Disk,
    state_path: &Path,
    path: &Path,
    label: Option<&VolumeLabel>,
) -> Result<Option<VolumeState>, StateFileError> {
    let kept = VolumeState::load_on(disk, state_path)?;
    let is_of_label = |state: &VolumeState| label.is_none_or(|label| label.labelled == state.label_time);
    Ok(kept.filter(|state| is_of_label(state) || holds_only_its_label(disk, path)))
}

/// Whether the first block of a Volume, which has its label, is its only one. Its header says in bytes 4 to 8 how long it is.
pub(crate) fn holds_only_its_label(disk: &dyn Disk, path: &Path) -> bool {
    let read = || -> io::Result<(usize, u64, u64)> {
        let file = disk.open(path)?;
        let mut head = [0; 8];
        let got = file.read_at(&mut head, 0)?;
        let block = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        Ok((got, u64::from(block), file.len()?))
    };
    read().is_ok_and(|(got, block, size)| got == 8 && block == size)
}

/// Checks a permit against the Volume.
///
/// # Errors
/// [`PermitError`] with what differs.
pub(crate) fn check_permit(
    daemon: &Daemon,
    owner: &DirectorKey,
    volume: &str,
    permit: Option<Permit>,
    medium: OnMedium<'_>,
) -> Result<(), PermitError> {
    if sys::failpoint::is_on("bug-permit-not-checked") {
        return Ok(());
    }
    judge(owner, volume, permit, medium, |permit| daemon.is_fresh(owner, permit.nonce, permit.lease_ms))
}

/// [`check_permit`] without the daemon: `is_fresh` says whether the permit's nonce was given to this Director, and its lease
/// cannot have run out.
///
/// # Errors
/// [`PermitError`] with what differs.
pub fn judge(
    owner: &DirectorKey,
    volume: &str,
    permit: Option<Permit>,
    medium: OnMedium<'_>,
    is_fresh: impl FnOnce(Permit) -> bool,
) -> Result<(), PermitError> {
    let fail = |what: String| Err(PermitError { volume: volume.to_owned(), what });
    // A stock Director gets a stock daemon; one that ever had an epoch is not let in without (§2).
    if owner.catalog.is_none() {
        return match medium.state {
            Some(state) if state.owner.catalog.is_some() => {
                fail(format!("it belongs to Director \"{}\" with another catalog", state.owner.director))
            }
            Some(_) | None => Ok(()),
        };
    }
    let Some(permit) = permit else {
        return fail("the command does not say what it was planned on".to_owned());
    };
    if !is_fresh(permit) {
        return fail("the Director's lease may have run out since it decided".to_owned());
    }
    let different = match medium.state {
        Some(state) => difference(owner, permit, state),
        None => label_difference(permit, medium.label),
    };
    different.map_or(Ok(()), fail)
}

/// Whether a Director's jobs may be written behind what is on a Volume: one of its own, or of its name when it had no catalog that
/// we know yet.
pub(crate) fn may_append(owner: &DirectorKey, state: &VolumeState) -> bool {
    state.owner == Owner::default()
        || (state.owner.director == owner.name
            && (state.owner.catalog.is_none() || state.owner.catalog == owner.catalog))
}

/// What differs from the state kept beside the Volume.
fn difference(owner: &DirectorKey, permit: Permit, state: &VolumeState) -> Option<String> {
    let is_owner = state.owner.director == owner.name
        && (state.owner.catalog == owner.catalog || state.owner.catalog.is_none());
    if !is_owner {
        return Some(format!("it belongs to Director \"{}\"", state.owner.director));
    }
    let planned = VolumeVersion { label_time: permit.label_time, writes: permit.writes };
    let kept = VolumeVersion { label_time: state.label_time, writes: state.writes };
    // Relabelled for a Director that died before it had that in its catalog, and nothing was written since: what was to be lost
    // is lost, and there is nothing else on it.
    let is_bare = state.writes == permit.writes && state.blocks == 0 && state.jobs == 0;
    planned.unlike(kept).filter(|_| !is_bare).map(|unlike| match unlike {
        Unlike::Label => format!("it was labelled at {}, not at {}", kept.label_time, planned.label_time),
        Unlike::Writes => format!("it has had {} writes, not {}", kept.writes, planned.writes),
    })
}

/// Where no state is kept (Bacula wrote the Volume), the label decides.
fn label_difference(permit: Permit, label: Option<&VolumeLabel>) -> Option<String> {
    let on_medium = label.map_or(VolTime(0), |l| l.labelled);
    let is_right = permit.label_time == VolTime(0) || on_medium == permit.label_time;
    (!is_right).then(|| format!("its label is of {on_medium}, not of {}", permit.label_time))
}

/// The owner of a Volume that a Director writes.
pub(crate) fn owner_of(key: &DirectorKey) -> Owner {
    Owner { director: key.name.clone(), catalog: key.catalog }
}
