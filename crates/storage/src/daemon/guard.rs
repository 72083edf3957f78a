//! Whether data may be overwritten (docs/extensions.md §3).

use types::VolTime;
use volume::VolumeLabel;
use wire::verdict::{Unlike, VolumeVersion};

use super::Daemon;
use crate::device::Permit;
use crate::ledger::{DirectorKey, Owner, VolumeState};

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
pub(crate) struct OnMedium<'a> {
    /// State kept beside the Volume.
    pub(crate) state: Option<&'a VolumeState>,
    /// Its label, where readable.
    pub(crate) label: Option<&'a VolumeLabel>,
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
    if !daemon.is_fresh(owner, permit.nonce, permit.lease_ms) {
        return fail("the Director's lease may have run out since it decided".to_owned());
    }
    let different = match medium.state {
        Some(state) => difference(owner, permit, state),
        None => label_difference(permit, medium.label),
    };
    different.map_or(Ok(()), fail)
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
    planned.unlike(kept).map(|unlike| match unlike {
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
