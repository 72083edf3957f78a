//! `status` and `.status`, laid out as Bacula does (spec/03 §2.6).

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use types::{JobLevel, JobStatus, JobType};

use super::Daemon;
use super::reserving::is_served;
use crate::device::{Blocked, Device};
use crate::job::{EndedJob, Job, JobPhase, Line};
use crate::text::{short_time, unix_now, with_commas, with_suffix, with_unit};

/// Answers `status`.
pub(crate) fn full_status(daemon: &Daemon, line: &Line) {
    let mut out = String::new();
    header(daemon, &mut out);
    running(daemon, &mut out);
    waiting(daemon, &mut out);
    out.push('\n');
    terminated(daemon, &mut out);
    devices(daemon, &mut out);
    volumes(daemon, &mut out);
    spooling(&mut out);
    send(line, &out);
}

/// Answers `.status <what> api=<n> …`; EOD is sent by the caller.
pub(crate) fn dot_status(daemon: &Daemon, line: &Line, text: &str) {
    let mut words = text.split_whitespace().skip(1);
    let Some(what) = words.next() else {
        return send(line, &format!("3900 No arg in .status command: {text}\n"));
    };
    let is_api =
        text.split_whitespace().any(|w| w.strip_prefix("api=").is_some_and(|n| n != "0" && n != "1"));
    let mut out = String::new();
    match what {
        "current" => current(daemon, &mut out),
        "last" => last(daemon, &mut out),
        "header" if is_api => api_header(daemon, &mut out),
        "header" => header(daemon, &mut out),
        "running" if is_api => api_running(daemon, &mut out),
        "running" => running(daemon, &mut out),
        "waitreservation" => waiting(daemon, &mut out),
        "devices" if is_api => api_devices(daemon, &mut out),
        "devices" => devices(daemon, &mut out),
        "volumes" => volumes(daemon, &mut out),
        "spooling" => spooling(&mut out),
        "terminated" if is_api => api_terminated(daemon, &mut out),
        "terminated" => terminated(daemon, &mut out),
        "resources" => {
            let _ = writeln!(out, "ndevices={} nautochgr={}", daemon.devices.len(), daemon.changers.len());
        }
        "cloud" | "statistics" | "shstore" => out.push_str("====\n"),
        _ => {
            let _ = writeln!(out, "3900 Unknown arg in .status command: {text}");
        }
    }
    send(line, &out);
}

/// Sends text as Bacula sends it: each line with its line feed and a NUL.
fn send(line: &Line, text: &str) {
    let sent = line.with(|writer| {
        for row in text.split_inclusive('\n') {
            writer.data(&[row.as_bytes(), b"\0"].concat())?;
        }
        writer.flush()
    });
    if let Err(error) = sent {
        tracing::debug!(%error, "the asker of a status has gone");
    }
}

fn version_line(daemon: &Daemon) -> String {
    format!(
        "{} Version: {} ({}) {} {} {}",
        daemon.name(),
        wire::version::BACULA_LEVEL,
        wire::version::BACULA_LEVEL_DATE,
        platform(),
        wire::version::PRODUCT,
        wire::version::PRODUCT_VERSION
    )
}

fn platform() -> String {
    format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS)
}

fn live(daemon: &Daemon) -> Vec<Arc<Job>> {
    daemon.jobs.all().into_iter().filter(|j| j.state().phase != JobPhase::Ended).collect()
}

fn header(daemon: &Daemon, out: &mut String) {
    let _ = writeln!(out, "\n{}", version_line(daemon));
    let _ = writeln!(
        out,
        "Daemon started {}. Jobs: run={}, running={}.",
        short_time(daemon.started_unix),
        daemon.jobs.run_count(),
        live(daemon).len()
    );
    let heap = resident_bytes();
    let _ = writeln!(
        out,
        " Heap: heap={} smbytes={} max_bytes={} bufs=0 max_bufs=0",
        with_commas(heap),
        with_commas(heap),
        with_commas(heap)
    );
    out.push_str(" Sizes: boffset_t=8 size_t=8 int32_t=4 int64_t=8 mode=0,0 newbsr=0\n");
    let _ = writeln!(out, " Res: ndevices={} nautochgr={}\n", daemon.devices.len(), daemon.changers.len());
}

/// Resident memory of the process.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split_whitespace().nth(1).and_then(|p| p.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

fn running(daemon: &Daemon, out: &mut String) {
    out.push_str("Running Jobs:\n");
    let jobs = live(daemon);
    for job in &jobs {
        running_job(daemon, job, out);
    }
    if jobs.is_empty() {
        out.push_str("No Jobs running.\n");
    }
    out.push_str("====\n");
}

fn running_job(daemon: &Daemon, job: &Job, out: &mut String) {
    let (level, kind) = (level_name(job.spec.level), type_name(job.spec.job_type));
    let state = job.state();
    if state.status == JobStatus::WaitFd || state.phase == JobPhase::Reserved {
        let _ = writeln!(out, "{level} {kind} Job {} waiting for Client connection.", job.spec.job);
    }
    let place = state.append_device.or(state.read_device);
    let Some(device) = place.and_then(|p| daemon.devices.get(p)) else { return };
    let verb = if state.append_device.is_some() { "Writing" } else { "Reading" };
    let (files, bytes) = (job.files.load(Ordering::Relaxed), job.bytes.load(Ordering::Relaxed));
    let rate = with_commas(bytes / job.started.elapsed().as_secs().max(1));
    let _ = writeln!(
        out,
        "{verb}: {level} {kind} job {} JobId={} Volume=\"{}\"\n    pool=\"{}\" device={}\n    \
         spooling=0 despooling=0 despool_wait=0\n    Files={} Bytes={} AveBytes/sec={rate} LastBytes/sec={rate}",
        job.spec.job_name,
        job.spec.id,
        state.volume,
        state.pool,
        device.print_name(),
        with_commas(u64::from(files)),
        with_commas(bytes),
    );
}

fn waiting(daemon: &Daemon, out: &mut String) {
    out.push_str("\nJobs waiting to reserve a drive:\n");
    for job in live(daemon) {
        for reason in &job.state().reserve_reasons {
            let _ = writeln!(out, "   {reason}");
        }
    }
    out.push_str("====\n");
}

fn terminated(daemon: &Daemon, out: &mut String) {
    out.push_str("Terminated Jobs:\n");
    let ended = daemon.jobs.ended();
    if !ended.is_empty() {
        out.push_str(" JobId  Level    Files      Bytes   Status   Finished        Name \n");
        out.push_str("===================================================================\n");
    }
    for job in &ended {
        let _ = writeln!(
            out,
            " {:5}  {:<6} {:>8} {:>10}  {:<7}  {} {}",
            job.id.get(),
            level_letters(job),
            with_commas(u64::from(job.files)),
            with_suffix(job.bytes),
            status_word(job.status),
            short_time(job.ended),
            job.job.split('.').next().unwrap_or("")
        );
    }
    out.push_str("====\n");
}

fn level_letters(job: &EndedJob) -> String {
    let is_backup = job.job_type == u32::from(b'B');
    let name = if is_backup { level_name(job.level) } else { type_name(job.job_type) };
    name.chars().take(4).collect()
}

fn status_word(code: u32) -> &'static str {
    match JobStatus::from_code(code) {
        Some(JobStatus::Terminated | JobStatus::Warnings) => "OK",
        Some(JobStatus::Canceled) => "Cancel",
        Some(JobStatus::Incomplete) => "Incompl",
        Some(JobStatus::Differences) => "Diffs",
        _ => "Error",
    }
}

fn level_name(code: u32) -> &'static str {
    JobLevel::from_code(code).map_or("", JobLevel::as_str)
}

fn type_name(code: u32) -> &'static str {
    JobType::from_code(code).map_or("", JobType::as_str)
}

fn devices(daemon: &Daemon, out: &mut String) {
    out.push_str("\nDevice status:\n");
    for changer in &daemon.changers {
        let _ = writeln!(out, "Autochanger \"{}\" with devices:", changer.name);
        for drive in &changer.drives {
            let _ = writeln!(out, "   {}", daemon.devices[*drive].print_name());
        }
    }
    for device in &daemon.devices {
        device_status(device, out);
    }
    out.push_str("====\n");
}

fn device_status(device: &Device, out: &mut String) {
    let state = device.state();
    if !is_served(device) {
        let _ = writeln!(
            out,
            "\nDevice {} could not be opened: it is no directory of Volumes, no drive of a changer and no tape drive.\n==",
            device.print_name()
        );
        return;
    }
    match &state.mounted {
        Some(mounted) => {
            let info = mounted.info();
            let per_block = info.bytes.checked_div(info.blocks).unwrap_or(0);
            let _ = writeln!(
                out,
                "\nDevice {} is {} mounted with:\n    Volume:      {}\n    Pool:        {}\n    Media type:  {}\n    \
                 Total Bytes={} Blocks={} Bytes/block={}\n    Positioned at File={} Block={}",
                device.kind.as_str(),
                device.print_name(),
                mounted.volume,
                mounted.label.pool,
                device.config.media_type,
                with_commas(info.bytes),
                with_commas(info.blocks),
                with_commas(per_block),
                mounted.end().file(),
                with_commas(u64::from(mounted.end().block()))
            );
        }
        None => {
            let _ = writeln!(out, "\nDevice {}: {} is not open.", device.kind.as_str(), device.print_name());
        }
    }
    let index = device.config.drive_index;
    match (device.changer.is_some(), state.loaded_slot) {
        (true, 0) if state.mounted.is_none() => {
            let _ = writeln!(out, "   Drive {index} is not loaded.");
        }
        (true, slot) if slot > 0 => {
            let _ = writeln!(out, "   Slot {slot} is loaded in drive {index}.");
        }
        (true | false, _) => {}
    }
    if !state.is_enabled {
        out.push_str("   Device is disabled. User command.\n");
    }
    match &state.blocked {
        None | Some(Blocked::Labelling) => {}
        Some(Blocked::Unmounted) => out.push_str("   Device is BLOCKED. User unmounted.\n"),
        Some(Blocked::NeedsVolume { pool, media_type }) => {
            let _ = writeln!(
                out,
                "   Device is BLOCKED waiting to create a volume for:\n       Pool:        {pool}\n       Media type:  {media_type}"
            );
        }
        Some(Blocked::NeedsMount { volume }) => {
            let _ = writeln!(out, "   Device is BLOCKED waiting for mount of volume \"{volume}\",");
        }
    }
    if device.kind.is_tape() {
        out.push_str("==\n");
    } else {
        let _ = writeln!(out, "   Available Space={}\n==", with_unit(free_bytes(device).0));
    }
}

/// Free and total bytes of a device's file system; zeros where they are not known.
fn free_bytes(device: &Device) -> (u64, u64) {
    super::space::bytes(device).unwrap_or_default()
}

fn volumes(daemon: &Daemon, out: &mut String) {
    out.push_str("\nUsed Volume status:\n");
    for device in &daemon.devices {
        let state = device.state();
        let writing = state.appenders.iter().filter(|r| r.is_writing).count();
        let reserved = state.appenders.len() - writing;
        let of_reservation = state.appenders.iter().find_map(|r| r.volume.clone());
        let volume = state.mounted.as_ref().map(|m| m.volume.clone()).or(of_reservation);
        if let Some(volume) = volume {
            let in_use = u32::from(!state.appenders.is_empty());
            let _ = writeln!(
                out,
                "Reserved volume: {volume} on {} device {}\n    Reader={} writers={writing} reserves={reserved} \
                 volinuse={in_use} worm=0",
                device.kind.as_str(),
                device.print_name(),
                state.readers.len()
            );
        }
    }
    out.push_str("====\n\n");
}

fn spooling(out: &mut String) {
    out.push_str("====\n\n");
}

fn current(daemon: &Daemon, out: &mut String) {
    out.push_str("3000 OK .status\n");
    for job in live(daemon) {
        let status = job.state().status;
        let errors = job.errors.load(Ordering::Relaxed);
        let _ = writeln!(out, "JobId={} JobStatus={} JobErrors={errors}", job.spec.id, status.code());
    }
}

fn last(daemon: &Daemon, out: &mut String) {
    out.push_str("3000 OK .status\n");
    if let Some(job) = daemon.jobs.ended().last() {
        let _ = writeln!(out, "JobId={} JobStatus={} JobErrors={}", job.id, job.status, job.errors);
    }
}

fn api_header(daemon: &Daemon, out: &mut String) {
    let uname = rustix::system::uname();
    let _ = write!(
        out,
        "name={}\nversion={} ({})\nuname={} {}\nstarted_epoch={}\nstarted={}\npid={}\njobs_run={}\njobs_running={}\nndevices={}\n\
         nautochgr={}\nplugins=\ndrivers=\n",
        daemon.name(),
        wire::version::BACULA_LEVEL,
        wire::version::BACULA_LEVEL_DATE,
        platform(),
        uname.nodename().to_string_lossy(),
        daemon.started_unix,
        short_time(daemon.started_unix),
        std::process::id(),
        daemon.jobs.run_count(),
        live(daemon).len(),
        daemon.devices.len(),
        daemon.changers.len(),
    );
}

fn api_running(daemon: &Daemon, out: &mut String) {
    for job in live(daemon) {
        let state = job.state();
        let device =
            |place: Option<usize>| place.and_then(|p| daemon.devices.get(p)).map_or("", |d| d.name());
        let is_write = state.append_device.is_some();
        let bytes = job.bytes.load(Ordering::Relaxed);
        let rate = bytes / job.started.elapsed().as_secs().max(1);
        let of = |wanted: bool, text: &str| if wanted { text.to_owned() } else { String::new() };
        let _ = write!(
            out,
            "jobid={}\njob={}\nlevel={}\ntype={}\nstatus={}\njobbytes={bytes}\njobfiles={}\nstarttime_epoch={}\nstarttime={}\n\
             errors={}\nnewbsr=0\nread_volume={}\nread_pool={}\nread_device={}\nwrite_volume={}\nwrite_pool={}\nwrite_device={}\n\
             spooling=0\ndespooling=0\ndespool_wait=0\navebytes_sec={rate}\nlastbytes_sec={rate}\n\n",
            job.spec.id,
            job.spec.job,
            letter(job.spec.level),
            letter(job.spec.job_type),
            state.status.letter(),
            job.files.load(Ordering::Relaxed),
            job.started_unix,
            short_time(job.started_unix),
            job.errors.load(Ordering::Relaxed),
            of(!is_write, &state.volume),
            of(!is_write, &state.pool),
            device(state.read_device),
            of(is_write, &state.volume),
            of(is_write, &state.pool),
            device(state.append_device),
        );
    }
}

fn letter(code: u32) -> char {
    char::from_u32(code).unwrap_or(' ')
}

fn api_terminated(daemon: &Daemon, out: &mut String) {
    for job in daemon.jobs.ended() {
        let _ = write!(
            out,
            "jobid={}\nlevel={}\ntype={}\nstatus={}\nstatus_desc={}\njobbytes={}\njobfiles={}\njob={}\nname={}\n\
             starttime_epoch={}\nstarttime={}\nendtime_epoch={}\nendtime={}\nerrors={}\n\n",
            job.id,
            letter(job.level),
            letter(job.job_type),
            letter(job.status),
            status_word(job.status),
            job.bytes,
            job.files,
            job.job,
            job.job.split('.').next().unwrap_or(""),
            job.started,
            short_time(job.started),
            job.ended,
            short_time(job.ended),
            job.errors,
        );
    }
}

fn api_devices(daemon: &Daemon, out: &mut String) {
    for device in &daemon.devices {
        let state = device.state();
        let (free, total) = free_bytes(device);
        let mounted = state.mounted.as_ref();
        let info = mounted.map(|m| m.info()).unwrap_or_default();
        let _ = write!(
            out,
            "name={}\narchive_device={}\ntype={}\nmedia_type={}\nopen={}\nwriters={}\nmaximum_concurrent_jobs={}\n\
             maximum_volume_size={}\nread_only={}\nautoselect={}\nenabled={}\nfree_space={free}\ntotal_space={total}\ndevno=0\n\
             mounted={}\nwaiting=0\nvolume={}\npool={}\nblocked={}\nappend={}\nbytes={}\nblocks={}\nfile=0\nblock=0\n\n",
            device.name(),
            device.config.archive_device,
            device.kind.as_str(),
            device.config.media_type,
            u32::from(mounted.is_some()),
            state.appenders.len(),
            device.config.maximum_concurrent_jobs,
            device.config.maximum_volume_size,
            u32::from(device.config.read_only),
            u32::from(device.config.auto_select),
            u32::from(state.is_enabled),
            u32::from(mounted.is_some()),
            mounted.map(|m| m.volume.to_string()).unwrap_or_default(),
            mounted.map(|m| m.label.pool.clone()).unwrap_or_default(),
            u32::from(state.blocked.is_some()),
            u32::from(!state.appenders.is_empty()),
            info.bytes,
            info.blocks,
        );
    }
}

/// Answers `statistics`.
pub(crate) fn statistics(daemon: &Daemon, line: &Line, text: &str) {
    let _ = text;
    let mut out = String::new();
    let prefix = format!("bacula.storage.{}", daemon.name());
    let mut put = |name: String, value: u64| {
        let _ = writeln!(out, "{prefix}.{name}={value}");
    };
    put("config.devices".into(), daemon.devices.len() as u64);
    put("config.autochangers".into(), daemon.changers.len() as u64);
    put("memory.heap".into(), resident_bytes());
    put("uptime".into(), unix_now().saturating_sub(daemon.started_unix));
    for device in &daemon.devices {
        let (free, total) = free_bytes(device);
        let state = device.state();
        let name = device.name();
        put(format!("device.{name}.readbytes"), state.read_bytes);
        put(format!("device.{name}.writebytes"), state.written_bytes);
        put(format!("device.{name}.freespace"), free);
        put(format!("device.{name}.totalspace"), total);
    }
    send(line, &out);
}
