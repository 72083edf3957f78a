//! The report of a job that has ended, into its messages.

use super::end_tx::Written;
use super::ending::session_of;
use super::job::Job;
use super::life::Course;
use crate::handle::Director;
use crate::report::{AdminReport, BackupReport, Compression, RestoreReport};
use catalog::media::MediaRow;
use conf::messages::MessageType;
use policy::plan::JobPlan;
use types::{JobStatus, JobType};

/// Names of Volumes in their order, each once.
pub(crate) fn volume_names(volumes: &[MediaRow]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for volume in volumes {
        if !names.contains(&volume.volume_name) {
            names.push(volume.volume_name.clone());
        }
    }
    names
}

/// The word of `%e`.
pub(crate) fn exit_word(plan: &JobPlan, status: JobStatus, errors: u32) -> &'static str {
    match status {
        JobStatus::Terminated if errors == 0 || plan.job_type == JobType::Admin => "OK",
        JobStatus::Terminated | JobStatus::Warnings => "OK -- with warnings",
        JobStatus::Canceled => "Canceled",
        JobStatus::Incomplete => "Incomplete",
        JobStatus::Differences => "Verify Differences",
        _ => "Error",
    }
}

/// Writes the report into the job's messages.
pub(crate) fn report(director: &Director, job: &Job, plan: &JobPlan, course: &Course, written: &Written) {
    let text = match plan.job_type {
        JobType::Restore => restore(director, job, plan, course, written),
        JobType::Backup => backup(director, job, plan, course, written),
        JobType::Admin
        | JobType::Verify
        | JobType::Copy
        | JobType::Migrate
        | JobType::JobCopy
        | JobType::MigratedJob
        | JobType::Console
        | JobType::System
        | JobType::Archive
        | JobType::Scan => AdminReport {
            product: director.product(),
            job_id: job.id,
            job: job.unique.clone(),
            sched: plan.sched_time,
            start: course.start,
            end: written.end,
            status: written.status,
        }
        .text(),
    };
    let kind = match written.status {
        JobStatus::ErrorTerminated | JobStatus::Error | JobStatus::FatalError => MessageType::Error,
        _ => MessageType::Info,
    };
    job.messages.report(kind, &text);
}

fn backup(director: &Director, job: &Job, plan: &JobPlan, course: &Course, written: &Written) -> String {
    let reached = &course.reached;
    let (fd, sd) = (reached.ends.fd, reached.ends.sd.as_ref());
    let storage = reached.sd.as_ref().map(|sd| &sd.storage).or(plan.first_storage());
    BackupReport {
        product: director.product(),
        job_id: job.id,
        job: job.unique.clone(),
        level: plan.level,
        upgraded_from: (plan.level != plan.level_asked).then_some(plan.level_asked),
        since: plan.since.as_ref().map(|since| since.time),
        client: plan.client.name.clone(),
        uname: reached
            .fd
            .as_ref()
            .map(|fd| fd.uname.clone())
            .filter(|u| !u.is_empty())
            .unwrap_or_else(|| written.uname.clone()),
        fileset: plan.fileset.name.clone(),
        fileset_created: course.ground.fileset_created,
        pool: (plan.pool.name.clone(), plan.pool.source.clone()),
        catalog: (plan.catalog.clone(), "Client resource".to_owned()),
        storage: storage.map(|s| (s.name.clone(), s.source.clone())),
        sched: plan.sched_time,
        start: course.start,
        end: written.end,
        priority: plan.priority,
        fd_files: written.files,
        sd_files: sd.map_or(0, |end| end.files),
        fd_bytes: written.bytes,
        sd_bytes: sd.map_or(0, |end| end.bytes),
        software: fd.map(|end| Compression { plain: end.read_bytes, packed: end.bytes }).unwrap_or_default(),
        comm: fd
            .map(|end| Compression { plain: end.comm_bytes, packed: end.comm_packed })
            .unwrap_or_default(),
        vss: fd.is_some_and(|end| end.vss),
        encrypted: fd.is_some_and(|end| end.encrypted),
        accurate: plan.accurate,
        volumes: volume_names(&written.volumes),
        session: session_of(course),
        last_volume_bytes: written.volumes.last().map_or(0, |volume| volume.vol_bytes),
        fd_errors: fd.map_or(0, |end| end.errors).max(job.messages.errors()),
        sd_errors: sd.map_or(0, |end| end.errors),
        fd_status: end_of(fd.map(|end| end.status), reached.fd.is_some(), written.status),
        sd_status: end_of(sd.map(|end| end.status), reached.sd.is_some(), written.status),
        status: written.status,
    }
    .text()
}

/// A daemon that did not say how it ended counts as canceled with a canceled job, and as failed otherwise.
fn end_of(said: Option<JobStatus>, took_part: bool, status: JobStatus) -> Option<JobStatus> {
    said.or(took_part.then_some(match status {
        JobStatus::Canceled => JobStatus::Canceled,
        _ => JobStatus::ErrorTerminated,
    }))
}

fn restore(director: &Director, job: &Job, plan: &JobPlan, course: &Course, written: &Written) -> String {
    let ends = &course.reached.ends;
    let (where_, regex_where, replace, expected) = match &plan.restore {
        Some(restore) => (
            restore.where_.clone(),
            restore.regex_where.clone(),
            restore.replace,
            u64::from(restore.files_expected),
        ),
        None => (String::new(), None, types::Replace::Always, 0),
    };
    RestoreReport {
        product: director.product(),
        job_id: job.id,
        job: job.unique.clone(),
        client: plan.client.name.clone(),
        where_,
        regex_where,
        replace,
        start: course.start,
        end: written.end,
        expected,
        files: written.files,
        bytes: written.bytes,
        fd_errors: ends.fd.map_or(0, |end| end.errors).max(job.messages.errors()),
        fd_status: end_of(ends.fd.map(|end| end.status), course.reached.fd.is_some(), written.status),
        sd_status: end_of(
            ends.sd.as_ref().map(|end| end.status),
            course.reached.sd.is_some(),
            written.status,
        ),
        status: written.status,
    }
    .text()
}
