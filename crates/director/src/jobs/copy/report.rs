//! The report of a copy or migration, and where it gets its figures.

use super::super::end_tx::Written;
use super::super::job::Job;
use super::super::life::Course;
use super::super::reporting::volume_names;
use super::words;
use crate::handle::Director;
use crate::messages::Codes;
use crate::report::CopyReport;
use catalog::job::JobRow;
use catalog::media::MediaRow;
use conf::messages::MessageType;
use types::{JobId, JobStatus};

/// What a copy is and has written, by the catalog: a Director that finds the end there has the same figures.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    original: Option<JobRow>,
    read_volumes: Vec<MediaRow>,
    copy: Option<JobRow>,
    volumes: Vec<MediaRow>,
}

impl Figures {
    fn files(&self) -> u64 {
        self.copy.as_ref().map_or(0, |row| row.files)
    }

    fn bytes(&self) -> u64 {
        self.copy.as_ref().map_or(0, |row| row.bytes)
    }

    /// What the scripts and mails of the control job say: what was written, and the Volumes that were read (as Bacula 9.6.7 does).
    pub(crate) fn put_into(&self, codes: &mut Codes) {
        codes.files = self.files();
        codes.bytes = self.bytes();
        codes.volumes = volume_names(&self.read_volumes).join("|");
    }
}

/// Reads them.
pub(crate) async fn figures(director: &Director, job: &Job) -> Figures {
    let plan = job.plan();
    let (target, copy) = (plan.target_job.map(JobId), plan.control().and_then(|control| control.written));
    let read = director.catalog().read(move |r| {
        let row = |id: Option<JobId>| id.map_or(Ok(None), |id| catalog::job::get(r, id));
        let volumes = |row: &Option<JobRow>| {
            row.as_ref().map_or(Ok(Vec::new()), |row| catalog::media::list_of_job(r, row.id))
        };
        let (original, copy) = (row(target)?, row(copy.map(JobId))?);
        // Before there is a written job, nothing is read.
        let read_volumes = if copy.is_some() { volumes(&original)? } else { Vec::new() };
        Ok(Figures { read_volumes, volumes: volumes(&copy)?, original, copy })
    });
    read.await.unwrap_or_else(|error| {
        job.messages.warning(&format!("Catalog: {error}; the report has not all figures"));
        Figures::default()
    })
}

/// Writes the report into the control job's messages.
pub(crate) async fn report(director: &Director, job: &Job, course: &Course, written: &Written) {
    let plan = job.plan();
    let figures = figures(director, job).await;
    let writing = course.reached.copy.as_ref();
    let copy = figures.copy.as_ref();
    let original = figures.original.clone().or_else(|| writing.map(|writing| writing.original.clone()));
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
        new: copy.map(|row| row.id),
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
        files: figures.files(),
        bytes: figures.bytes(),
        volumes: volume_names(&figures.volumes),
        session: copy.map(|row| row.session).unwrap_or_default(),
        last_volume_bytes: figures.volumes.last().map_or(0, |volume| volume.vol_bytes),
        errors,
        sd_status: sd_status.or(copy.map(|row| row.status)),
        status: written.status,
    };
    let kind = match written.status {
        JobStatus::ErrorTerminated | JobStatus::Error | JobStatus::FatalError => MessageType::Error,
        _ => MessageType::Info,
    };
    job.messages.report(kind, &report.text());
}
