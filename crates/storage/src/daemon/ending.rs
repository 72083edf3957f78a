//! Running a job and ending it.

use std::sync::Arc;
use std::time::SystemTime;

use types::JobStatus;
use wire::Signal;

use super::Daemon;
use crate::job::message::Kind;
use crate::job::{EndedJob, Job, JobEnd, JobPhase, Outbox, StopRequest};
use crate::session::{chain, end_line, load_state, run_backup, run_copy_source, run_restore, say_started};

/// Runs a job on its own thread: waits for the client, moves the data, ends.
pub(crate) fn run_job(daemon: &Arc<Daemon>, job: &Arc<Job>) {
    let end = run_to_end(daemon, job);
    end_job(daemon, job, &end);
}

fn run_to_end(daemon: &Arc<Daemon>, job: &Arc<Job>) -> JobEnd {
    let (append, read) = {
        let state = job.state();
        (state.append_device, state.read_device)
    };
    let fatal = |text: String| {
        job.outbox.message(Kind::Fatal, &text);
        JobEnd { status: JobStatus::FatalError, message: text }
    };
    let is_restore = append.is_none();
    let Some(place) = append.or(read) else {
        return fatal("The job has no device: \"use storage\" was not answered with OK.".to_owned());
    };
    if append.is_some() && read.is_some() {
        return fatal("A Virtual Full backup is not served yet.".to_owned());
    }
    job.set_status(JobPhase::Waiting, JobStatus::WaitFd);
    let Some(conn) = job.wait_client(daemon.config().storage.client_connect_wait) else {
        return no_client(job);
    };
    say_started(job);
    let device = &daemon.devices[place];
    let run = || {
        if is_restore && job.spec.is_copy_source() {
            run_copy_source(daemon, job, device, conn)
        } else if is_restore {
            run_restore(daemon, job, device, conn)
        } else {
            run_backup(daemon, job, device, conn)
        }
    };
    // A bug in a job ends that job, and is reported as one.
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_or_else(|_| {
        fatal("The Storage Daemon met a bug in this job; please report it with the log.".to_owned())
    })
}

fn no_client(job: &Job) -> JobEnd {
    let status = match job.stop.get() {
        StopRequest::Cancel => JobStatus::Canceled,
        StopRequest::Stop => JobStatus::Incomplete,
        StopRequest::None => JobStatus::FatalError,
    };
    let message = if job.spec.is_copy_source() || job.spec.is_sd_client {
        "There is no connection with the other Storage Daemon of the copy.".to_owned()
    } else {
        format!("The client \"{}\" did not connect.", job.spec.client)
    };
    if status == JobStatus::FatalError {
        job.outbox.message(Kind::Fatal, &message);
    }
    JobEnd { status, message }
}

/// The end of a job: its devices are free, the Director is told, the journal is kept.
pub(crate) fn end_job(daemon: &Arc<Daemon>, job: &Arc<Job>, end: &JobEnd) {
    daemon.release_devices(job.session);
    let line = end_line(job, end);
    match &job.outbox {
        Outbox::Direct(direct) => {
            if matches!(end.status, JobStatus::Terminated | JobStatus::Warnings | JobStatus::Incomplete)
                && let Err(error) = direct.despool()
            {
                tracing::error!(job = %job.spec.id, %error, "the attributes could not be sent");
            }
            job.set_status(JobPhase::Ended, end.status);
            // A stock Director that is gone learns nothing any more.
            let _ = direct.line().send(line.as_bytes());
            let _ = direct.line().signal(Signal::Eod);
            let _ = direct.line().signal(Signal::Terminate);
            daemon.jobs.remove(job);
        }
        Outbox::Journaled(journal) => {
            job.set_status(JobPhase::Ended, end.status);
            sys::failpoint::reach("storage-end-unrecorded");
            if let Err(error) = journal.end(line.as_bytes()) {
                tracing::error!(job = %job.spec.id, %error, "the end of the job could not be recorded");
            }
            shelve(daemon, job);
        }
    }
    note_ended(daemon, job, end);
    tracing::info!(job = %job.spec.id, name = job.spec.job, status = %end.status, "job ended");
}

fn note_ended(daemon: &Daemon, job: &Job, end: &JobEnd) {
    use std::sync::atomic::Ordering::Relaxed;
    daemon.jobs.note_ended(EndedJob {
        id: job.spec.id,
        job: job.spec.job.clone(),
        job_type: job.spec.job_type,
        level: job.spec.level,
        status: end.status.code(),
        files: job.files.load(Relaxed),
        bytes: job.bytes.load(Relaxed),
        errors: job.errors.load(Relaxed),
        started: job.started_unix,
        ended: crate::text::unix_now(),
    });
}

/// Keeps, or drops, the journal of an ended job, by what the catalog has confirmed.
pub(crate) fn shelve(daemon: &Daemon, job: &Arc<Job>) {
    let Outbox::Journaled(journal) = &job.outbox else { return };
    let (is_acknowledged, is_replicated) = journal.settled();
    let path = journal.path();
    let mut shelf = crate::lock::lock(&daemon.shelf);
    if is_replicated || journal.is_closed() {
        if !is_replicated {
            disown(daemon, &journal.unacknowledged_spans());
        }
        if let Err(error) = shelf.remove(&path) {
            tracing::warn!(path = %path.display(), %error, "a journal that is no longer needed could not be removed");
        }
        daemon.jobs.remove(job);
        return;
    }
    let bytes = std::fs::metadata(&path).map_or(0, |m| m.len());
    shelf.put(path, bytes, SystemTime::now(), is_acknowledged);
}

/// Marks what a closed attempt has written, and no catalog knows, as unowned (docs/extensions.md §5).
fn disown(daemon: &Daemon, spans: &[crate::job::JobMediaSpan]) {
    for span in spans {
        let (from, to) = (span.start.0, span.end.0 + 1);
        let is_it = |m: &Arc<crate::device::Mounted>| {
            m.volume == span.media.volume && m.label.labelled == span.media.label_time
        };
        if let Some(mounted) = daemon.devices.iter().filter_map(|d| d.mounted()).find(is_it) {
            mounted.add_unowned(from, to);
            if let Err(error) = mounted.checkpoint() {
                tracing::warn!(error = chain(&error), "an unowned range could not be recorded");
            }
            continue;
        }
        let path = daemon.home.volume_state(&span.media.volume);
        let marked = load_state(daemon, &span.media.volume, Some(span.media.label_time)).and_then(|state| {
            let Some(mut state) = state else { return Ok(()) };
            state.seq += 1;
            state.add_unowned(from, to);
            state.save(&path)
        });
        if let Err(error) = marked {
            tracing::warn!(error = chain(&error), "an unowned range could not be recorded");
        }
    }
}
