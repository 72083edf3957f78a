//! What the daemon knows of a Director's jobs and Volumes, for a catalog that may have gone back in time (docs/extensions.md §9).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use types::{JobId, VolumeName};
use wire::msg::holdfast::{InventoryHead, VolumeEntry};

use super::Daemon;
use crate::device::Device;
use crate::job::{Job, Outbox};
use crate::ledger::{DirectorKey, Owner, VolumeState};
use crate::session::chain;

/// The lines of the answer, without its end.
///
/// # Errors
/// The durable files cannot be read: half an inventory would be worse than none.
pub(super) fn lines(daemon: &Daemon, key: &DirectorKey) -> Result<Vec<Vec<u8>>, String> {
    let marked = daemon.job_marks.highest(key).map_err(|error| chain(&error))?;
    let listed = daemon.jobs.all().into_iter().filter(|job| job.owner == *key).map(|job| job.spec.id);
    let highest_job = listed.max().unwrap_or(JobId(0)).max(marked);
    let mut lines = vec![InventoryHead { highest_job }.format()];
    let owner = super::guard::owner_of(key);
    for name in volumes(daemon)? {
        lines.extend(entry(daemon, &owner, &name)?.map(|entry| entry.format()));
    }
    Ok(lines)
}

/// The names of all Volumes that have a state, in order.
fn volumes(daemon: &Daemon) -> Result<Vec<VolumeName>, String> {
    let directory = daemon.home.root().join("volumes");
    let failed = |error: std::io::Error| format!("read {}: {error}", directory.display());
    let mut names = Vec::new();
    for file in std::fs::read_dir(&directory).map_err(failed)? {
        let name = file.map_err(failed)?.file_name();
        // What is no Volume's name is a temporary file.
        names.extend(name.to_str().and_then(|name| VolumeName::new(name).ok()));
    }
    names.sort_unstable();
    Ok(names)
}

/// A Volume of this Director; `None` for another's, and for one whose file was removed.
fn entry(daemon: &Daemon, owner: &Owner, name: &VolumeName) -> Result<Option<VolumeEntry>, String> {
    let path = daemon.home.volume_state(name);
    // Beside the states lie temporary files of such that are being written.
    let Some(state) = VolumeState::load(&path)
        .or_else(|error| if name.as_str().starts_with('.') { Ok(None) } else { Err(chain(&error)) })?
    else {
        return Ok(None);
    };
    // What is in a changer is not looked for: that would move media.
    let is_on = |device: &Arc<Device>| match device.is_drive {
        true => device.config.media_type == state.media_type,
        false => device.volume_path(name).exists(),
    };
    let is_there = || daemon.devices.iter().any(is_on);
    if state.owner != *owner || !is_there() {
        return Ok(None);
    }
    Ok(Some(VolumeEntry {
        volume: name.to_string(),
        label_time: state.label_time,
        seq: state.seq,
        bytes: state.bytes,
        writes: state.writes,
        blocks: state.blocks,
        files: state.files,
        jobs: state.jobs,
        status: state.status,
        pool: state.pool,
        media_type: state.media_type,
    }))
}

/// The line of a job in the answer to `jobs` (docs/extensions.md §5); none for one of a stock Director.
#[must_use]
pub fn list_line(job: &Job) -> Option<String> {
    let Outbox::Journaled(journal) = &job.outbox else { return None };
    let (phase, status) = {
        let state = job.state();
        (state.phase, state.status)
    };
    Some(format!(
        "job JobId={} Job={} attempt={} type={} level={} SDid={} SDtime={} state={} status={} files={} bytes={} last={} \
         acked={} opened={}\n",
        job.spec.id,
        job.spec.job,
        job.spec.attempt,
        job.spec.listed_type(),
        job.spec.level,
        job.session.id,
        job.session.time,
        phase.as_str(),
        status.code(),
        job.files.load(Ordering::Relaxed),
        job.bytes.load(Ordering::Relaxed),
        journal.last_seq(),
        journal.acked(),
        u8::from(job.is_opened.load(Ordering::Relaxed)),
    ))
}
