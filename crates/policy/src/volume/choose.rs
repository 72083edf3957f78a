//! The choice of a Volume for writing (spec/04 §5.2).

use super::{PoolFacts, VolumeFacts, Want};
use std::cmp::Reverse;
use types::{MediaId, VolStatus};

/// A Volume that can be used as it is, or after recycling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Has room.
    Append(MediaId),
    /// Its state is Recycle already: the SD relabels it.
    Recycle(MediaId),
    /// Purged: becomes Recycle, then the SD relabels it.
    Purged(MediaId),
}

impl Choice {
    /// Which Volume.
    #[must_use]
    pub const fn id(self) -> MediaId {
        match self {
            Self::Append(id) | Self::Recycle(id) | Self::Purged(id) => id,
        }
    }
}

/// Steps 1 to 3: Append, Recycle, Purged; `in_changer` restricts to the changer that was named. The first in order is chosen.
#[must_use]
pub fn choose(want: &Want, volumes: &[VolumeFacts], in_changer: bool) -> Option<Choice> {
    let fits = |v: &&VolumeFacts| v.pool == want.pool && is_usable(want, v, in_changer);
    let append = volumes
        .iter()
        .filter(fits)
        .filter(|v| v.status == VolStatus::Append)
        // Written ones first, the newest of them first: one Volume is filled before the next is begun.
        .min_by_key(|v| (v.last_written.is_none(), Reverse(v.last_written), v.id));
    if let Some(volume) = append {
        return Some(Choice::Append(volume.id));
    }
    let oldest = |status| {
        volumes
            .iter()
            .filter(fits)
            .filter(|v| v.status == status && v.recycle)
            .min_by_key(|v| (v.last_written, v.id))
            .map(|v| v.id)
    };
    oldest(VolStatus::Recycle).map(Choice::Recycle).or_else(|| oldest(VolStatus::Purged).map(Choice::Purged))
}

/// What holds for every step: enabled, right medium, not offered before, in the changer if that is asked.
fn is_usable(want: &Want, volume: &VolumeFacts, in_changer: bool) -> bool {
    let type_fits = want.vol_type == 0 || volume.vol_type == 0 || volume.vol_type == want.vol_type;
    let place_fits = match (&want.changer, in_changer) {
        (Some(group), true) => volume.in_changer && group.contains(&volume.storage),
        (Some(_), false) | (None, _) => true,
    };
    volume.enabled == 1
        && volume.media_type == want.media_type
        && type_fits
        && place_fits
        && !want.exclude.contains(&volume.id)
}

/// Step 4: the Volumes to try to prune, oldest first. Those of this Pool, and those that would come back to it.
#[must_use]
pub fn prune_order<'v>(want: &Want, volumes: &'v [VolumeFacts], in_changer: bool) -> Vec<&'v VolumeFacts> {
    let mut order: Vec<_> = volumes
        .iter()
        .filter(|v| is_usable(want, v, in_changer))
        .filter(|v| matches!(v.status, VolStatus::Full | VolStatus::Used))
        // Purged it must end in this Pool, or nothing is won.
        .filter(|v| v.recycle && ends_in(want, v))
        .collect();
    order.sort_by_key(|v| (v.last_written, v.id));
    order
}

fn ends_in(want: &Want, volume: &VolumeFacts) -> bool {
    match volume.recycle_pool.0 {
        0 => volume.pool == want.pool,
        _ => volume.recycle_pool == want.pool,
    }
}

/// Step 5: a Volume of the Scratch Pool, whose rows are `scratch`; refused when the target Pool is full.
#[must_use]
pub fn take_from_scratch(
    want: &Want,
    target: &PoolFacts,
    scratch: &[VolumeFacts],
    in_changer: bool,
) -> Option<Choice> {
    if !target.has_room() {
        return None;
    }
    let pool = scratch.first()?.pool;
    choose(&Want { pool, ..want.clone() }, scratch, in_changer)
}

/// Step 8: the oldest Volume that Purge Oldest or Recycle Oldest Volume may take.
#[must_use]
pub fn choose_oldest<'v>(want: &Want, volumes: &'v [VolumeFacts]) -> Option<&'v VolumeFacts> {
    volumes
        .iter()
        .filter(|v| v.pool == want.pool && is_usable(want, v, want.changer.is_some()))
        .filter(|v| match v.status {
            VolStatus::Full | VolStatus::Append | VolStatus::Used => true,
            VolStatus::Recycle | VolStatus::Purged => v.recycle,
            VolStatus::Archive
            | VolStatus::ReadOnly
            | VolStatus::Disabled
            | VolStatus::Error
            | VolStatus::Busy
            | VolStatus::Cleaning
            | VolStatus::Scratch => false,
        })
        .min_by_key(|v| (v.last_written, v.id))
}

/// What may be done with a Volume that is in the drive or was named (GetVolInfo, spec/03 §3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// Write on.
    Usable,
    /// Becomes Recycle first.
    Recycle,
    /// Usable if pruning leaves nothing on it (Recycle Current Volume).
    Prune,
    /// Not to be written; the reason, for `1998`.
    Refused(&'static str),
}

/// Decides on a Volume that the SD names for writing.
#[must_use]
pub fn check_named(want: &Want, pool: &PoolFacts, volume: &VolumeFacts) -> Named {
    if volume.enabled != 1 {
        return Named::Refused("is not Enabled");
    }
    if volume.pool != want.pool {
        return Named::Refused("not in Pool");
    }
    if volume.media_type != want.media_type {
        return Named::Refused("not correct MediaType");
    }
    match volume.status {
        VolStatus::Append | VolStatus::Recycle => Named::Usable,
        VolStatus::Purged if volume.recycle => Named::Recycle,
        VolStatus::Purged => Named::Refused("volume is purged but Recycle is not set"),
        VolStatus::Full | VolStatus::Used => check_full(want, pool, volume),
        VolStatus::Archive
        | VolStatus::ReadOnly
        | VolStatus::Disabled
        | VolStatus::Error
        | VolStatus::Busy
        | VolStatus::Cleaning
        | VolStatus::Scratch => Named::Refused("but should be Append, Purged or Recycle"),
    }
}

/// Retention is looked at with this much to spare, seconds: clocks differ.
const RETENTION_SLACK: i64 = 60;

fn check_full(want: &Want, pool: &PoolFacts, volume: &VolumeFacts) -> Named {
    if !volume.recycle {
        return Named::Refused("volume has recycling disabled");
    }
    if !pool.recycle_current {
        return Named::Refused(
            "but should be Append, Purged or Recycle (cannot automatically recycle current volume)",
        );
    }
    let retention = i64::try_from(volume.retention).unwrap_or(i64::MAX);
    let expired = volume
        .last_written
        .is_some_and(|last| last.0.saturating_add(retention).saturating_sub(RETENTION_SLACK) < want.now.0);
    if volume.retention > 0 && expired {
        Named::Prune
    } else {
        Named::Refused("but should be Append, Purged or Recycle (retention period not expired)")
    }
}
