//! A backup: SD and FD are called at the same time, then the FD gets its orders (spec/01 §5.8).

use super::job::{Admitted, Job};
use super::level::Ground;
use super::life::{Outcome, Reached};
use super::machine::Step;
use super::session::{Fail, FdSession, SdSession, open_client, open_storage, open_storage_soon};
use super::{accurate, fileset, group, rejoin, scripts};
use crate::handle::Director;
use policy::plan::{JobPlan, StoragePlan};
use std::sync::Arc;
use std::time::Duration;
use types::{Attempt, FileIndex, JobLevel, JobStatus};

/// How long a reservation under way may take when the client has failed.
const GIVE_UP: Duration = Duration::from_secs(2);

/// Runs a backup to the end of its data. What was reached is in `reached` whatever happens.
pub(crate) async fn run(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
    ground: &Ground,
    reached: &mut Reached,
) -> Result<(), Fail> {
    let plan = job.plan();
    if plan.level == JobLevel::VirtualFull {
        return Err(Fail::fatal("a Virtual Full backup is not supported yet; run a Full backup"));
    }
    match plan.rerun {
        Some(_) => {
            job.messages.info(&format!("Restart Incomplete Backup JobId {}, Job={}", job.id, job.unique));
        }
        None => job.messages.info(&format!("Start Backup JobId {}, Job={}", job.id, job.unique)),
    }
    job.step(&Step::Connect);
    let expanding =
        async { fileset::expand(plan.fileset.clone()).await.map_err(|e| Fail::fatal(e.to_string())) };
    let preparing = async { tokio::try_join!(open_client(director, job, attempt), expanding) };
    let device;
    let (client, fileset) = {
        let reserving = reserve(director, job, attempt, &plan);
        tokio::pin!(reserving, preparing);
        tokio::select! {
            reserved = &mut reserving => {
                let (sd, name) = reserved?;
                reached.sd = Some(sd);
                device = name;
                preparing.await?
            }
            prepared = &mut preparing => {
                // With a client that has failed, what is being reserved must be had to be given up; one that waits for a drive is
                // known to the Storage Daemon and canceled there.
                let limit = if prepared.is_ok() { Duration::MAX } else { GIVE_UP };
                if let Ok(reserved) = tokio::time::timeout(limit, &mut reserving).await {
                    let (sd, name) = reserved?;
                    reached.sd = Some(sd);
                    device = name;
                    prepared?
                } else {
                    return prepared.map(drop);
                }
            }
        }
    };
    let Some(sd) = reached.sd.as_mut() else { return Err(Fail::fatal("no Storage was reserved")) };
    let fd = reached.fd.insert(client);
    job.step(&Step::Prepare);
    fd.begin(job, attempt, Some(sd)).await?;
    note_session(director, job, attempt, sd, fd).await?;
    job.messages.info(&format!("Using Device \"{device}\" to write."));
    send_level(fd, &plan).await?;
    let packets = fileset::packets(&fileset, sd.storage.allow_compression);
    fd.peer.send(fileset::command(&fileset)).await?;
    fd.peer.list(packets).await?;
    fd.peer.answer(b"fileset", "2000 OK include").await?;
    if plan.bandwidth_bytes_per_s > 0 && fd.version.has_bandwidth() {
        let line = format!("setbandwidth={} Job={}\n", plan.bandwidth_bytes_per_s, job.unique);
        fd.peer.command(line, "2000 OK Bandwidth").await?;
    }
    let joined = join_daemons(&plan, sd, fd).await;
    reached.unreached_by_client = matches!(joined, Err(Join::Client(_)));
    joined.map_err(Join::into_fail)?;
    scripts::send_to_client(director, job, attempt, fd).await?;
    if accurate::wanted(&plan) {
        accurate::send(director, job, fd, ground.client).await?;
    }
    let last = last_file(director, job, &plan).await?;
    fd.peer.command(format!("backup FileIndex={last}\n"), "2000 OK backup").await?;
    job.step(&Step::Run);
    reached.data = true;
    reached.ends = rejoin::wait(director, job, attempt, reached).await;
    Ok(())
}

/// Starts the job on the first Storage that has a device free, in the order of the group; else waits on the first that answered.
pub(crate) async fn reserve(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
    plan: &JobPlan,
) -> Result<(SdSession, String), Fail> {
    let admitted = job.admitted();
    let allowed = |storage: &&StoragePlan| admitted.as_ref().is_none_or(|a| a.write.contains(&storage.name));
    let storages: Vec<&StoragePlan> = plan.write_storages.iter().filter(allowed).collect();
    if let [only] = storages.as_slice() {
        return match try_reserve(director, job, attempt, plan, only, Patience::All).await? {
            Ok(reserved) => Ok(chosen(job, reserved)),
            Err(said) => Err(Fail::fatal(format!("Storage daemon didn't accept Device: {said}"))),
        };
    }
    let (mut problems, mut busy) = (Vec::new(), None);
    for storage in group::in_order(director, job, plan, &storages).await? {
        match try_reserve(director, job, attempt, plan, storage, Patience::None).await {
            Ok(Ok(reserved)) => return Ok(chosen(job, reserved)),
            Ok(Err(said)) => {
                busy.get_or_insert(storage);
                problems.push(said);
            }
            Err(fail) => {
                job.messages.warning(&format!("Storage \"{}\" is passed over: {}", storage.name, fail.text));
                problems.push(fail.text);
            }
        }
    }
    let none = |said: &str| Fail::fatal(format!("Storage daemon didn't accept Device: {said}"));
    let Some(storage) = busy else { return Err(none(&problems.join("; "))) };
    match try_reserve(director, job, attempt, plan, storage, Patience::ForDevice).await? {
        Ok(reserved) => Ok(chosen(job, reserved)),
        Err(said) => Err(none(&said)),
    }
}

/// What is waited for on a Storage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    None,
    ForDevice,
    /// For the daemon to answer, too.
    All,
}

fn chosen(job: &Job, reserved: (SdSession, String)) -> (SdSession, String) {
    // Storages that were not chosen are free for others from here on.
    job.use_storages(Admitted { write: vec![reserved.0.storage.name.clone()], read: Vec::new() });
    reserved
}

async fn try_reserve(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
    plan: &JobPlan,
    storage: &StoragePlan,
    patience: Patience,
) -> Result<Result<(SdSession, String), String>, Fail> {
    let mut sd = match patience {
        Patience::All => open_storage(director, job, attempt, storage).await?,
        Patience::None | Patience::ForDevice => open_storage_soon(director, job, attempt, storage).await?,
    };
    match sd.reserve(&plan.pool, true, patience != Patience::None).await? {
        Ok(device) => Ok(Ok((sd, device))),
        Err(said) => {
            sd.peer.terminate().await;
            Ok(Err(said))
        }
    }
}

/// Notes in the catalog which Storage holds the attempt, its session there, and what the FD said of itself.
pub(crate) async fn note_session(
    director: &Director,
    job: &Job,
    attempt: Attempt,
    sd: &SdSession,
    fd: &FdSession,
) -> Result<(), Fail> {
    let (id, storage, session) = (job.id, sd.storage.name.clone(), sd.session);
    let config = director.config();
    let client = config.client(&job.plan().client.name).map(|client| {
        let mut row = crate::catreq::resources::client_row(client);
        row.uname.clone_from(&fd.uname);
        row
    });
    let written = director.catalog().write(director.epoch(), move |tx| {
        crate::spare::check_serves(tx, &config, &storage)?;
        catalog::attempt::set_session(tx, id, attempt, &storage, session)?;
        catalog::job::set_session(tx, id, session)?;
        client.iter().try_for_each(|client| catalog::client::ensure(tx, client).map(drop))
    });
    Ok(written.await?)
}

async fn send_level(fd: &mut FdSession, plan: &JobPlan) -> Result<(), Fail> {
    let rerun = if plan.rerun.is_some_and(|rerun| rerun.files > 0) { " rerunning " } else { " " };
    let accurate = if plan.accurate { "accurate_" } else { "" };
    let word = match plan.level {
        JobLevel::Full | JobLevel::None | JobLevel::VirtualFull => "full".to_owned(),
        JobLevel::Base => "base".to_owned(),
        JobLevel::Differential => format!("{accurate}differential"),
        JobLevel::Incremental | JobLevel::Since => format!("{accurate}incremental"),
        JobLevel::VerifyCatalog
        | JobLevel::VerifyInit
        | JobLevel::VerifyVolume
        | JobLevel::VerifyDisk
        | JobLevel::VerifyData => return Err(Fail::fatal("a backup has no level of a verification")),
    };
    fd.peer.send(format!("level = {word}{rerun} mtime_only=0 \n")).await?;
    if let Some(since) = &plan.since {
        let line = format!("level = since_utime {} mtime_only=0 prev_job={}\n", since.time, since.prior_job);
        fd.peer.send(line).await?;
    }
    fd.peer.answer(b"level", "2000 OK level").await?;
    Ok(())
}

/// Why FD and SD do not come together: for one of them, or because the FD says that it cannot reach the SD.
enum Join {
    Daemon(Fail),
    Client(Fail),
}

impl Join {
    fn into_fail(self) -> Fail {
        match self {
            Self::Daemon(fail) | Self::Client(fail) => fail,
        }
    }
}

/// Brings FD and SD together, whoever of them calls.
async fn join_daemons(plan: &JobPlan, sd: &mut SdSession, fd: &mut FdSession) -> Result<(), Join> {
    let of_daemon = |error: crate::peer::PeerError| Join::Daemon(error.into());
    let port = if plan.client.sd_calls_client && fd.version.has_sd_calls_client() {
        let line =
            format!("client address={} port={} ssl={}\n", plan.client.address, plan.client.port, fd.ssl);
        sd.peer.command(line, "3000 OK client command").await.map_err(of_daemon)?;
        0
    } else {
        sd.storage.port
    };
    sd.peer.send("run").await.map_err(|error| Join::Daemon(error.into()))?;
    let line = format!("storage address={} port={port} ssl={}\n", sd.address_for(plan), sd.ssl);
    match fd.peer.command(line, "2000 OK storage").await {
        Ok(_) => Ok(()),
        Err(error @ crate::peer::PeerError::Refused { .. }) => Err(Join::Client(error.into())),
        Err(error) => Err(Join::Daemon(error.into())),
    }
}

/// The last FileIndex that an earlier attempt has stored, else 0; the FD goes on behind it (spec/02 §1.2).
async fn last_file(director: &Director, job: &Job, plan: &JobPlan) -> Result<FileIndex, Fail> {
    let Some(rerun) = plan.rerun.filter(|rerun| rerun.same_job && rerun.files > 0) else {
        return Ok(FileIndex(0));
    };
    let id = job.id;
    let last = director.catalog().read(move |r| super::end_tx::last_file(r, id)).await?;
    job.messages.info(&format!("Found {} files from prior incomplete Job.", rerun.files));
    Ok(last)
}

/// How a backup ended, from what was reached.
pub(crate) fn outcome(plan: &JobPlan, reached: &Reached) -> Outcome {
    let _ = plan;
    Outcome {
        fd: reached.fd.is_some().then(|| reached.ends.fd.map(|end| end.status)),
        sd: reached.sd.is_some().then(|| reached.ends.sd.as_ref().map(|end| end.status)),
        may_be_incomplete: plan.level != JobLevel::Base && reached.data,
        failed: reached.ends.refused.as_ref().map(|_| JobStatus::FatalError),
    }
}
