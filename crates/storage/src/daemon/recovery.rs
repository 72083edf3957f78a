//! After a crash: journals of unfinished jobs are cut back and offered as ended Incomplete.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use types::{CatalogId, FileIndex, JobStatus};

use super::Daemon;
use super::ending::shelve;
use crate::job::message::{JobMediaSpan, Kind, job_media_record, open_span_of};
use crate::job::{Job, JobEnd, JobPhase, JobSpec, JournalOutbox, Outbox, StopFlag};
use crate::journal::{Header, Recovered, recover};
use crate::ledger::DirectorKey;
use crate::session::{chain, end_line};

/// Takes up every journal that is found. One that cannot be read is reported and left where it is.
pub(crate) fn take_up_journals(daemon: &Arc<Daemon>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(daemon.home.root())? {
        let path = entry?.path();
        let Some(key) = director_of(&path) else { continue };
        for journal in std::fs::read_dir(&path)? {
            let journal = journal?.path();
            if journal.extension().is_none_or(|e| e != "journal") {
                continue;
            }
            match recover(&journal) {
                Ok(recovered) => take_up(daemon, &key, recovered),
                Err(error) => {
                    tracing::error!(
                        error = chain(&error),
                        "a journal cannot be used; it is left where it is"
                    );
                }
            }
        }
    }
    Ok(())
}

/// Whose journals are in a directory: `<name>.<catalog>`.
fn director_of(path: &Path) -> Option<DirectorKey> {
    let name = path.file_name()?.to_str()?;
    let (name, catalog) = name.rsplit_once('.')?;
    if catalog.len() != 32 {
        return None;
    }
    let catalog: CatalogId = catalog.parse().ok()?;
    Some(DirectorKey { name: unescape(name), catalog: Some(catalog) })
}

/// Undoes the escapes of [`DirectorKey::file_name`].
fn unescape(name: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = name.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            let digits: Vec<u8> = bytes.by_ref().take(2).collect();
            let code = std::str::from_utf8(&digits).ok().and_then(|d| u8::from_str_radix(d, 16).ok());
            out.extend(code);
        } else {
            out.push(b);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn take_up(daemon: &Arc<Daemon>, key: &DirectorKey, recovered: Recovered) {
    let reconnect = daemon.config().storage.director_reconnect_time;
    let job = found(daemon.name(), reconnect, key, recovered);
    daemon.jobs.add(Arc::clone(&job));
    shelve(daemon, &job);
}

/// The job of a journal that was found; one that had not ended is ended.
#[must_use]
pub fn found(daemon: &str, reconnect: Duration, key: &DirectorKey, recovered: Recovered) -> Arc<Job> {
    let Recovered { header, journal, checkpoint, end, cut_bytes } = recovered;
    let stop = Arc::new(StopFlag::default());
    let outbox = JournalOutbox::new(header.job_id, daemon, journal, Arc::clone(&stop), reconnect);
    let session = header.session;
    let spec = spec_of(&header);
    let job = Job::new(spec, key.clone(), session, String::new(), Outbox::Journaled(outbox), stop);
    let job = Arc::new(job);
    // What is not known any more is taken for begun: it is never done twice in silence.
    job.is_opened.store(true, Ordering::Relaxed);
    let counts = checkpoint.as_deref().unwrap_or_default();
    set_counts(&job, end.as_deref().unwrap_or(counts));
    let status = match &end {
        Some(line) => number(line, "JobStatus=")
            .and_then(|n| JobStatus::from_code(n as u32))
            .unwrap_or(JobStatus::Error),
        None => JobStatus::Incomplete,
    };
    if end.is_none() {
        tracing::warn!(job = %job.spec.id, cut_bytes, "an unfinished job was found; it ends incomplete");
        end_unfinished(daemon, &job, checkpoint.as_deref());
    }
    {
        let mut state = job.state();
        state.phase = JobPhase::Ended;
        state.status = status;
    }
    if let Outbox::Journaled(journal) = &job.outbox {
        journal.note_ended();
    }
    job
}

/// Writes the records that the crash has kept the job from writing.
fn end_unfinished(daemon: &str, job: &Arc<Job>, checkpoint: Option<&str>) {
    let Outbox::Journaled(journal) = &job.outbox else { return };
    let span: Option<JobMediaSpan> = checkpoint.and_then(open_span_of);
    let files = FileIndex(job.files.load(Ordering::Relaxed).cast_signed());
    let message = format!(
        "Storage Daemon \"{daemon}\" was restarted while the job ran; what was checkpointed is kept."
    );
    let has_files = files.0 > 0;
    let status = if has_files { JobStatus::Incomplete } else { JobStatus::FatalError };
    let end = JobEnd { status, message: message.clone() };
    let result = (|| {
        if let Some(span) = span.filter(|s| s.last.0 > 0) {
            journal.append(&job_media_record(job.spec.id, &[span]))?;
        }
        let errors = job.errors.load(Ordering::Relaxed);
        let bytes = job.bytes.load(Ordering::Relaxed);
        journal.checkpoint(&crate::job::message::checkpoint_record(files, bytes, errors, None))?;
        job.outbox.message(Kind::Error, &message);
        journal.end(end_line(job, &end).as_bytes())
    })();
    if let Err(error) = result {
        tracing::error!(job = %job.spec.id, %error, "the end of an unfinished job could not be recorded");
    }
}

fn set_counts(job: &Job, line: &str) {
    let files = number(line, "JobFiles=").or_else(|| number(line, "files=")).unwrap_or(0);
    job.files.store(u32::try_from(files).unwrap_or(u32::MAX), Ordering::Relaxed);
    job.bytes
        .store(number(line, "JobBytes=").or_else(|| number(line, "bytes=")).unwrap_or(0), Ordering::Relaxed);
    let errors = number(line, "JobErrors=").or_else(|| number(line, "errors=")).unwrap_or(0);
    job.errors.store(u32::try_from(errors).unwrap_or(u32::MAX), Ordering::Relaxed);
}

fn number(line: &str, key: &str) -> Option<u64> {
    line.split_whitespace().find_map(|w| w.strip_prefix(key))?.parse().ok()
}

fn spec_of(header: &Header) -> JobSpec {
    JobSpec {
        id: header.job_id,
        job: header.job.clone(),
        job_name: header.job.split('.').next().unwrap_or("").to_owned(),
        client: String::new(),
        job_type: header.job_type,
        level: header.level,
        file_set: header.file_set.clone(),
        file_set_md5: String::new(),
        no_attributes: false,
        spool_attributes: false,
        prefer_mounted: true,
        is_sd_client: false,
        rerun: None,
        attempt: header.attempt,
        bandwidth_bytes_per_s: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_journals_names_its_director() {
        let key = DirectorKey { name: "a b.c".into(), catalog: Some(CatalogId(0xABCD)) };
        let path = Path::new("/x").join(key.file_name());
        assert_eq!(director_of(&path), Some(key));
        assert_eq!(director_of(Path::new("/x/volumes")), None);
        assert_eq!(director_of(Path::new("/x/d.stock")), None);
    }
}
