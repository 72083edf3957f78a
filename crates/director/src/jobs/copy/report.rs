//! The report of a copy or migration, and where it gets its figures.

use super::super::end_tx::Written;
use super::super::job::Job;
use super::super::life::Course;
use super::super::reporting::volume_names;
use super::words;
use crate::handle::Director;
use crate::report::CopyReport;
use catalog::job::JobRow;
use catalog::media::MediaRow;
use conf::messages::MessageType;
use types::{JobId, JobStatus};

/// Writes the report into the control job's messages. The figures come from the catalog, so that a Director that finds the end there
/// reports the same.
pub(crate) async fn report(director: &Director, job: &Job, course: &Course, written: &Written) {
    let plan = job.plan();
    let (target, copy) = (plan.target_job.map(JobId), plan.control().and_then(|control| control.written));
    let read = director.catalog().read(move |r| {
        let row = |id: Option<JobId>| id.map_or(Ok(None), |id| catalog::job::get(r, id));
        let copy = row(copy.map(JobId))?;
        let volumes = match &copy {
            Some(copy) => catalog::media::list_of_job(r, copy.id)?,
            None => Vec::new(),
        };
        Ok((row(target)?, copy, volumes))
    });
    let (original, copy, volumes): (Option<JobRow>, Option<JobRow>, Vec<MediaRow>) =
        read.await.unwrap_or_else(|error| {
            job.messages.warning(&format!("Catalog: {error}; the report has not all figures"));
            Default::default()
        });
    let writing = course.reached.copy.as_ref();
    let original = original.or_else(|| writing.map(|writing| writing.original.clone()));
    let read_storage = course.reached.sd.as_ref().map(|sd| &sd.storage).or(plan.read_storages.first());
    let write_storage = writing
        .and_then(|w| w.job.plan().write_storages.first().cloned())
        .or(plan.write_storages.first().cloned());
    let ends = [&course.reached.ends].into_iter().chain(writing.map(|writing| &writing.reached.ends));
    let errors = ends.filter_map(|ends| ends.sd.as_ref()).map(|end| end.errors).sum();
    let sd_status = writing.and_then(|writing| writing.reached.ends.sd.as_ref()).map(|end| end.status);
    let report = CopyReport {
        product: director.product(),
        what: words(&plan).doing,
        original: original.as_ref().map(|row| (row.id, row.unique_name.clone())),
        new: copy.as_ref().map(|row| row.id),
        job_id: job.id,
        job: job.unique.clone(),
        level: plan.level,
        client: plan.client.name.clone(),
        fileset: (plan.fileset.name.clone(), course.ground.fileset_created),
        read_pool: (plan.pool.name.clone(), plan.pool.source.clone()),
        read_storage: read_storage.map(|s| (s.name.clone(), s.source.clone())),
        write_pool: plan.next_pool.as_ref().map(|pool| (pool.name.clone(), pool.source.clone())),
        write_storage: write_storage.map(|s| (s.name.clone(), s.source.clone())),
        catalog: plan.catalog.clone(),
        start: course.start,
        end: written.end,
        priority: plan.priority,
        files: copy.as_ref().map_or(0, |row| row.files),
        bytes: copy.as_ref().map_or(0, |row| row.bytes),
        volumes: volume_names(&volumes),
        session: copy.as_ref().map(|row| row.session).unwrap_or_default(),
        last_volume_bytes: volumes.last().map_or(0, |volume| volume.vol_bytes),
        errors,
        sd_status: sd_status.or(copy.as_ref().map(|row| row.status)),
        status: written.status,
    };
    let kind = match written.status {
        JobStatus::ErrorTerminated | JobStatus::Error | JobStatus::FatalError => MessageType::Error,
        _ => MessageType::Info,
    };
    job.messages.report(kind, &report.text());
}
