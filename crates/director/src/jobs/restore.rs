//! A restore: a session with each Storage of the bootstrap in turn, one with the FD (spec/01 §5.9).

use super::job::Job;
use super::life::Reached;
use super::machine::Step;
use super::session::{Ends, Fail, FdSession, Flow, SdSession, open_client, open_storage};
use super::{detour, scripts};
use crate::handle::Director;
use policy::plan::{JobPlan, RestorePlan, StoragePlan};
use std::collections::VecDeque;
use std::sync::Arc;
use types::{Attempt, JobStatus, Replace, bash_spaces};

/// Runs a restore to its end.
pub(crate) async fn run(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
    reached: &mut Reached,
) -> Result<(), Fail> {
    job.messages.info(&format!("Start Restore Job {}", job.unique));
    detour::around_storages(director, job).await?;
    let plan = job.plan();
    let Some(restore) = &plan.restore else {
        return Err(Fail::fatal("the plan of this job has nothing to restore"));
    };
    if !restore.job_ids.is_empty() {
        let ids: Vec<String> = restore.job_ids.iter().map(ToString::to_string).collect();
        job.messages.info(&format!("Restoring files from JobId(s) {}", ids.join(",")));
    }
    let parts = parts(director, &plan, restore)?;
    job.step(&Step::Connect);
    let mut parts = VecDeque::from(parts);
    let Some((storage, text)) = parts.pop_front() else {
        return Err(Fail::fatal("the bootstrap selects nothing"));
    };
    let (sd, fd) = tokio::try_join!(
        open_reader(director, job, attempt, &plan, &storage),
        open_client(director, job, attempt)
    )?;
    let fd = reached.fd.insert(fd);
    reached.sd = Some(sd);
    job.step(&Step::Prepare);
    fd.begin(job, attempt, reached.sd.as_ref()).await?;
    if let Some(sd) = &reached.sd {
        super::backup::note_session(director, job, attempt, sd, fd).await?;
    }
    let (mut first, mut replace) = (true, restore.replace);
    let mut next = Some(text);
    while let Some(text) = next.take() {
        let Some(sd) = &mut reached.sd else { break };
        hand_over(&plan, sd, fd, &text).await?;
        if std::mem::take(&mut first) {
            before_data(director, job, attempt, fd).await?;
        }
        if matches!(job.state(), super::machine::JobState::Preparing) {
            job.step(&Step::Run);
            reached.data = true;
        }
        order(fd, restore, replace).await?;
        let mut flow = Flow {
            job,
            sd: Some(&mut sd.peer),
            fd: Some(&mut fd.peer),
            until_storage_end: fd.version.has_several_storages(),
            limit: None,
        };
        reached.ends = flow.wait().await;
        let found = find_lost(director, job, fd, &reached.ends, replace).await?;
        let is_found = !found.is_empty();
        if is_found {
            // What a damaged Volume has left of a file is in the way of the file itself.
            replace = if replace == Replace::Never { replace } else { Replace::Always };
            found.into_iter().rev().for_each(|part| parts.push_front(part));
        }
        if !(is_found || good(&reached.ends)) {
            break;
        }
        let Some((storage, text)) = parts.pop_front() else { break };
        if let Some(end) = &reached.ends.sd {
            reached.sd_files += end.files;
            reached.sd_bytes += end.bytes;
        }
        super::ending::let_go(director, job, attempt, reached.sd.take()).await;
        reached.sd = Some(open_reader(director, job, attempt, &plan, &storage).await?);
        next = Some(text);
    }
    finish_client(job, reached).await
}

/// Parts with what the session's Volumes did not give and copies have; what they have not is named. Only an FD that waits for a
/// further Storage can be given more.
async fn find_lost(
    director: &Director,
    job: &Arc<Job>,
    fd: &FdSession,
    ends: &Ends,
    replace: Replace,
) -> Result<Vec<(StoragePlan, String)>, Fail> {
    let lost = job.take_lost();
    if lost.is_empty() {
        return Ok(Vec::new());
    }
    let is_open = fd.version.has_several_storages() && ends.fd.is_none() && ends.sd.is_some();
    let (found, rest) = if is_open && ends.refused.is_none() && job.wish() == super::Wish::GoOn {
        detour::for_lost(director, job, lost).await?
    } else {
        (Vec::new(), lost)
    };
    if !found.is_empty() && replace == Replace::Never {
        job.messages.warning("Files that exist are not replaced: those that were restored in part stay so.");
    }
    if !rest.is_empty() {
        super::lost::report(director, job, rest).await;
        // What was found all the same is restored, but the job is not a good one.
        job.note_unfound();
    }
    Ok(found)
}

/// Whether the session that has ended allows the next one.
fn good(ends: &Ends) -> bool {
    let sd = ends.sd.as_ref().is_some_and(|end| end.status.is_success());
    sd && ends.fd.is_none() && ends.refused.is_none()
}

/// Tells an FD that waits for a further Storage that there is none, and takes its end.
async fn finish_client(job: &Job, reached: &mut Reached) -> Result<(), Fail> {
    let Some(fd) = reached.fd.as_mut().filter(|_| reached.ends.fd.is_none()) else { return Ok(()) };
    // An FD that is gone is noticed by the wait.
    let _ = fd.peer.send("endrestore").await;
    let mut flow = Flow { job, sd: None, fd: Some(&mut fd.peer), until_storage_end: false, limit: None };
    let ends = flow.wait().await;
    reached.ends.fd = ends.fd;
    reached.ends.refused = reached.ends.refused.take().or(ends.refused);
    Ok(())
}

/// The bootstrap by Storage, in its order; pieces without a Storage go to the job's own.
fn parts(
    director: &Director,
    plan: &JobPlan,
    restore: &RestorePlan,
) -> Result<Vec<(StoragePlan, String)>, Fail> {
    let config = director.config();
    let Some(own) = plan.read_storages.first() else {
        return Err(Fail::fatal("no Storage to restore from"));
    };
    let mut parts = Vec::new();
    for (name, text) in policy::plan::bootstrap_by_storage(&restore.bootstrap) {
        let named = name.as_ref().and_then(|name| plan.read_storages.iter().find(|s| s.name == *name));
        let configured = || name.as_ref().and_then(|name| config.storage(name));
        let storage = match named {
            Some(storage) => storage.clone(),
            None => configured().map_or_else(|| own.clone(), |s| policy::plan::storage_plan(s, "Bootstrap")),
        };
        parts.push((storage, text));
    }
    Ok(parts)
}

async fn open_reader(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
    plan: &JobPlan,
    storage: &StoragePlan,
) -> Result<SdSession, Fail> {
    let mut sd = open_storage(director, job, attempt, storage).await?;
    match sd.reserve(&plan.pool, false, true).await? {
        Ok(device) => {
            job.messages.info(&format!("Using Device \"{device}\" to read."));
            Ok(sd)
        }
        Err(said) => Err(Fail::fatal(format!("Storage daemon didn't accept Device: {said}"))),
    }
}

/// Bootstrap to the SD, its address and key to the FD.
async fn hand_over(
    plan: &JobPlan,
    sd: &mut SdSession,
    fd: &mut FdSession,
    bootstrap: &str,
) -> Result<(), Fail> {
    sd.bootstrap(bootstrap).await?;
    let calls = plan.client.sd_calls_client && fd.version.has_sd_calls_client();
    if calls {
        let line =
            format!("client address={} port={} ssl={}\n", plan.client.address, plan.client.port, fd.ssl);
        sd.peer.command(line, "3000 OK client command").await?;
    }
    sd.peer.send("run").await?;
    let port = if calls { 0 } else { sd.storage.port };
    let key =
        if fd.version.has_several_storages() { format!(" Authorization={}", sd.key) } else { String::new() };
    let line = format!("storage address={} port={port} ssl={}{key}\n", sd.address_for(plan), sd.ssl);
    fd.peer.command(line, "2000 OK storage").await?;
    Ok(())
}

/// What comes once, before the first session's data: scripts and plugins.
async fn before_data(
    director: &Director,
    job: &Job,
    attempt: Attempt,
    fd: &mut FdSession,
) -> Result<(), Fail> {
    scripts::send_to_client(director, job, attempt, fd).await?;
    if fd.version.has_plugin_features() {
        fd.peer.send("PluginFeatures\n").await?;
        fd.peer.lines().await?;
    }
    Ok(())
}

async fn order(fd: &mut FdSession, restore: &RestorePlan, replace: Replace) -> Result<(), Fail> {
    let files = if fd.version.has_restore_files() {
        format!("files={} ", restore.files_expected)
    } else {
        String::new()
    };
    let place = match &restore.regex_where {
        Some(regex) => format!("regexwhere={}", bash_spaces(regex)),
        None => format!("where={}", bash_spaces(&restore.where_)),
    };
    let line = format!(
        "restore {files}replace={} prelinks={} {place}\n",
        replace.letter(),
        u8::from(restore.prefix_links)
    );
    let said = fd.peer.command(line, "2000 OK restore").await;
    said.map(drop).map_err(|error| Fail { status: JobStatus::FatalError, text: error.to_string() })
}
