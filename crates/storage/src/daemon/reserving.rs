//! `use storage`: taking a device for a job (spec/03 §2.4, §4.4).

use std::sync::Arc;
use std::time::Duration;

use types::{JobStatus, VolumeName};

use super::Daemon;
use crate::device::reserve::{Candidate, DriveView, Request, decide};
use crate::device::{Device, DeviceKind, Reservation, VolumeReply};
use crate::job::{Job, JobPhase, Outbox, OutboxError, StopRequest};
use crate::session::{Finding, Found};

/// One `use storage` group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct StorageGroup {
    pub(crate) media_type: String,
    pub(crate) pool: String,
    pub(crate) pool_type: String,
    pub(crate) is_append: bool,
    pub(crate) wait: bool,
    pub(crate) devices: Vec<String>,
}

/// Why no device was taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReserveError {
    #[error("3924 Device \"{0}\" not in SD Device resources or no matching Media Type or is disabled.")]
    NoSuchDevice(String),
    #[error("3926 Could not get dcr for device: {0}")]
    Busy(String),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error("3939 Could not get dcr: the job was canceled")]
    Stopped,
}

/// Takes a device; gives its place in the daemon's list. `heartbeat` is sent while waiting.
pub(crate) fn reserve(
    daemon: &Arc<Daemon>,
    job: &Arc<Job>,
    groups: &[StorageGroup],
    heartbeat: impl Fn(),
) -> Result<usize, ReserveError> {
    let names = || groups.iter().flat_map(|g| g.devices.clone()).collect::<Vec<_>>().join(", ");
    let wait = groups.iter().any(|g| g.wait);
    loop {
        let mut reasons = Vec::new();
        let mut is_possible = false;
        for group in groups {
            let request = request_of(job, group);
            let decision = decide(&views(daemon), &request);
            is_possible |= decision.is_possible;
            reasons.extend(decision.reasons);
            for candidate in decision.candidates {
                if take(daemon, job, group, &request, candidate)? {
                    note_taken(job, group, candidate.drive);
                    return Ok(candidate.drive);
                }
            }
        }
        if !is_possible {
            return Err(ReserveError::NoSuchDevice(names()));
        }
        if !wait {
            return Err(ReserveError::Busy(names()));
        }
        wait_for_drive(daemon, job, reasons, &heartbeat)?;
    }
}

fn wait_for_drive(
    daemon: &Daemon,
    job: &Job,
    reasons: Vec<String>,
    heartbeat: &impl Fn(),
) -> Result<(), ReserveError> {
    job.state().reserve_reasons = reasons;
    job.set_status(JobPhase::Waiting, JobStatus::WaitDevice);
    heartbeat();
    daemon.wait_devices(Duration::from_secs(1));
    {
        let mut state = job.state();
        state.reserve_reasons.clear();
        state.phase = JobPhase::Reserved;
    }
    if let Outbox::Direct(direct) = &job.outbox
        && !direct.line().is_open()
    {
        return Err(OutboxError::Lost.into());
    }
    if job.stop.get() != StopRequest::None || daemon.is_stopping() {
        Err(ReserveError::Stopped)
    } else {
        Ok(())
    }
}

fn request_of(job: &Job, group: &StorageGroup) -> Request {
    Request {
        media_type: group.media_type.clone(),
        names: group.devices.clone(),
        is_append: group.is_append,
        pool: group.pool.clone(),
        pool_type: group.pool_type.clone(),
        prefer_mounted: job.spec.prefer_mounted,
    }
}

fn note_taken(job: &Job, group: &StorageGroup, place: usize) {
    let mut state = job.state();
    state.pool.clone_from(&group.pool);
    state.pool_type.clone_from(&group.pool_type);
    state.media_type.clone_from(&group.media_type);
    if group.is_append {
        state.append_device = Some(place);
    } else {
        state.read_device = Some(place);
    }
}

/// The devices as the decision sees them.
pub(crate) fn views(daemon: &Daemon) -> Vec<DriveView> {
    daemon.devices.iter().map(|d| view(daemon, d)).collect()
}

fn view(daemon: &Daemon, device: &Device) -> DriveView {
    let state = device.state();
    let pool = state.appenders.first().map(|r| (r.pool.clone(), r.pool_type.clone()));
    let mounted = state.mounted.as_ref().filter(|m| !m.is_closed());
    let reserved = state.appenders.iter().find_map(|r| r.volume.as_ref()).map(ToString::to_string);
    let volume_jobs_left =
        mounted.map(|m| m.info()).filter(|i| i.jobs_max > 0 && i.status != "Recycle").map(|i| {
            let waiting = state.appenders.iter().filter(|r| !r.is_writing).count() as u32;
            i.jobs_max.saturating_sub(i.jobs + waiting)
        });
    DriveView {
        name: device.name().to_owned(),
        print_name: device.print_name(),
        media_type: device.config.media_type.clone(),
        changer: device.changer.map(|c| daemon.changers[c].name.clone()),
        is_enabled: state.is_enabled && is_served(device),
        is_auto_select: device.config.auto_select,
        is_read_only: device.config.read_only,
        jobs_max: device.config.maximum_concurrent_jobs,
        appenders: state.appenders.len() as u32,
        readers: state.readers.len() as u32,
        is_drive: device.is_drive,
        pool,
        volume: reserved.or_else(|| mounted.map(|m| m.volume.to_string())),
        volume_jobs_left,
        blocked: state.blocked.clone(),
        usage_bytes: state.written_bytes,
    }
}

/// Whether the device is of a kind that is served here.
pub(crate) fn is_served(device: &Device) -> bool {
    match device.kind {
        // A directory that was guessed from what is there may be gone.
        DeviceKind::File => device.config.device_type.is_some() || device.directory().is_dir(),
        DeviceKind::Tape | DeviceKind::VTape => true,
        DeviceKind::Other => false,
    }
}

fn take(
    daemon: &Arc<Daemon>,
    job: &Arc<Job>,
    group: &StorageGroup,
    request: &Request,
    candidate: Candidate,
) -> Result<bool, ReserveError> {
    let device = &daemon.devices[candidate.drive];
    if !group.is_append {
        let mut state = device.state();
        let is_free = state.appenders.is_empty() && state.readers.is_empty();
        if device.is_drive && !is_free {
            return Ok(false);
        }
        state.readers.push(job.session);
        return Ok(true);
    }
    let with = if candidate.with_volume {
        match acceptable_volume(daemon, job, candidate.drive)? {
            Some(volume) => Some(volume),
            None => return Ok(false),
        }
    } else {
        None
    };
    if !claim(daemon, job, group, request, candidate.drive) {
        return Ok(false);
    }
    match with {
        None => find_volume(daemon, job, device)?,
        // Another device may have been faster; the job finds one when it mounts.
        Some(volume) => drop(daemon.claim_volume(job.session, candidate.drive, &volume)),
    }
    Ok(true)
}

/// The Volume in a drive, where the Director lets the job have it.
fn acceptable_volume(daemon: &Daemon, job: &Job, place: usize) -> Result<Option<VolumeName>, OutboxError> {
    let name = view(daemon, &daemon.devices[place]).volume;
    let Some(name) = name.and_then(|n| VolumeName::new(n).ok()) else { return Ok(None) };
    let request = format!("CatReq JobId={} GetVolInfo VolName={name} write=1", job.spec.id);
    let answer = job.outbox.request(&request)?;
    let found = matches!(VolumeReply::parse(&answer), VolumeReply::Found(_));
    if !found {
        forget_reserved(&daemon.devices[place], &name);
    }
    Ok(found.then_some(name))
}

/// A Volume that was reserved and is not to be had any more (it is full meanwhile) keeps no job from the drive; who had reserved it
/// asks for another when it mounts.
fn forget_reserved(device: &Device, name: &VolumeName) {
    // Not while one of them puts it into the drive.
    let _right = device.lock_mounting();
    let mut state = device.state();
    for waiting in state.appenders.iter_mut().filter(|r| !r.is_writing && r.volume.as_ref() == Some(name)) {
        waiting.volume = None;
    }
}

/// Claims the drive unless somebody else was faster: the decision is made again under the lock.
fn claim(daemon: &Daemon, job: &Job, group: &StorageGroup, request: &Request, place: usize) -> bool {
    let views = views(daemon);
    if !decide(&views, request).candidates.iter().any(|c| c.drive == place) {
        return false;
    }
    let mut state = daemon.devices[place].state();
    if state.appenders.len() as u32 != views[place].appenders
        || state.readers.len() as u32 != views[place].readers
    {
        return false;
    }
    state.appenders.push(Reservation {
        session: job.session,
        pool: group.pool.clone(),
        pool_type: group.pool_type.clone(),
        volume: None,
        is_writing: false,
    });
    true
}

/// How the Director is asked for Volumes of the job's pool (spec/03 §3.2).
pub(crate) fn finding(daemon: &Daemon, job: &Job, device: &Device) -> Finding {
    let pool = {
        let state = device.state();
        state.appenders.iter().find(|r| r.session == job.session).map(|r| r.pool.clone())
    };
    let pool = pool.unwrap_or_else(|| job.state().pool.clone());
    // As many as other devices may have, and some that are out of order.
    let index_max = u32::try_from(daemon.devices.len() + 30).unwrap_or(u32::MAX);
    let finding = Finding::new(job.spec.id, &pool, &device.config.media_type, index_max);
    let finding = finding.of_type(device.kind.vol_type());
    if device.is_fed { finding.in_changer() } else { finding }
}

/// Claims a Volume for a job, where it is of use to it and no other device has it.
pub(crate) fn may_take(daemon: &Daemon, job: &Job, device: &Arc<Device>, volume: &VolumeName) -> bool {
    let will_be_read =
        job.state().bsr.as_ref().is_some_and(|b| b.volumes().iter().any(|v| v.name == volume.as_str()));
    let place = daemon.devices.iter().position(|d| Arc::ptr_eq(d, device));
    !will_be_read && place.is_some_and(|place| daemon.claim_volume(job.session, place, volume))
}

/// Finds a Volume for a job that has claimed the device; it is the job's then.
fn find_volume(daemon: &Daemon, job: &Job, device: &Arc<Device>) -> Result<(), OutboxError> {
    let mut finding = finding(daemon, job, device);
    loop {
        let reply = VolumeReply::parse(&job.outbox.request(&finding.request())?);
        match finding.answered(reply, |volume| may_take(daemon, job, device, volume)) {
            Found::Another => {}
            Found::Volume(_) | Found::Nothing => return Ok(()),
        }
    }
}
