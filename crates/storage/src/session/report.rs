//! What the catalog is told of a Volume.

use types::JobId;

use super::mount::MountError;
use crate::device::{Mounted, Snapshot, VolumeReply};
use crate::job::Job;
use crate::job::message::Kind;
use crate::text::unix_now;

/// Reports a Volume's state to the catalog and adopts what it answers.
///
/// Only a state that is on stable storage is reported: a catalog that knows more than a Volume holds after a power cut would take the
/// Volume out of use.
///
/// # Errors
/// The Volume cannot be synced, or the Director cannot be asked.
pub(crate) fn report_volume(job: &Job, mounted: &Mounted) -> Result<(), MountError> {
    let snapshot = mounted.checkpoint()?;
    let is_relabel = mounted.has_new_label();
    let is_ours = job.outbox.is_journaled();
    let answer =
        job.outbox.request(&report_request(job.spec.id, &snapshot, unix_now(), is_relabel, is_ours))?;
    if let Some(reason) = take_report(mounted, VolumeReply::parse(&answer)) {
        job.outbox.message(Kind::Warning, &format!("Error updating Volume info: {reason}"));
    }
    Ok(())
}

/// The request that reports a state; `is_relabel` where its label may be news, `is_ours` to a Director with our additions.
#[must_use]
pub fn report_request(
    job: JobId,
    snapshot: &Snapshot,
    end_time: u64,
    is_relabel: bool,
    is_ours: bool,
) -> String {
    let mut request = snapshot.info.update_request(job, end_time, is_relabel);
    if is_ours {
        let state = &snapshot.state;
        let ours =
            format!(" HfVolSeq={} HfLabelTime={} HfWrites={}", state.seq, state.label_time, state.writes);
        request.push_str(&ours);
    }
    request
}

/// Adopts the answer to a report; gives the Director's words where it refuses.
pub fn take_report(mounted: &Mounted, reply: VolumeReply) -> Option<String> {
    match reply {
        VolumeReply::Found(info) => {
            mounted.note_label_known();
            mounted.update_info(|own| {
                own.bytes_max = info.bytes_max;
                own.jobs_max = info.jobs_max;
                if own.status == "Append" {
                    own.status = info.status;
                }
            });
            None
        }
        VolumeReply::Refused(reason) => Some(reason),
    }
}
