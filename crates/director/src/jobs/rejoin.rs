//! A Storage Daemon that is lost in the middle of a backup is asked again whether it holds the job.
//!
//! Where only the connection broke, the job goes on. Where the daemon was started anew, it has ended the job at its last
//! checkpoint; the rest of its journal is taken, so that all that was acknowledged is in the catalog.

use super::adopt;
use super::ending::take_session;
use super::job::Job;
use super::life::Reached;
use super::session::{Ends, Flow, SdSession, attach_storage};
use crate::handle::Director;
use crate::peer::Tries;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use types::{Attempt, Seq};

/// How long a lost Storage Daemon has to come back.
const COMES_BACK: Duration = Duration::from_secs(15);
/// The same where another Storage takes the job on.
const COMES_BACK_AT_ONCE: Duration = Duration::from_secs(3);
/// How long a client of such a job may take to notice that its Storage Daemon is gone, before it is told.
const NOTICES: Duration = Duration::from_secs(3);
/// How often a Storage Daemon is looked for while its connection stands, where another one can take the job on.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long it may take to answer then.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);
/// Looks without an answer after which it is lost.
const LOOKS_IN_VAIN: u32 = 2;
/// How often it is asked meanwhile.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Waits until the daemons of a backup have ended, across losses of a Holdfast Storage Daemon.
pub(crate) async fn wait(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
    reached: &mut Reached,
) -> Ends {
    let mut ends = Ends::default();
    loop {
        let fd = reached.fd.as_mut().filter(|_| ends.fd.is_none()).map(|fd| &mut fd.peer);
        let Some(sd) = &mut reached.sd else { return ends };
        let has_others = job.plan().write_storages.len() > 1;
        let may_rejoin = sd.holdfast;
        let mut flow = Flow { job, sd: Some(&mut sd.peer), fd, until_storage_end: false, limit: None };
        let (more, lost) = if has_others {
            flow.wait_or_missed(missed(director, &sd.storage.name)).await
        } else if may_rejoin {
            flow.wait_or_loss().await
        } else {
            (flow.wait().await, None)
        };
        ends.fd = ends.fd.or(more.fd);
        ends.sd = ends.sd.take().or(more.sd);
        ends.refused = ends.refused.take().or(more.refused);
        let Some(problem) = lost else { return ends };
        reached.sd_lost = Some(problem.clone());
        let limit = if has_others { COMES_BACK_AT_ONCE } else { COMES_BACK };
        let again = if may_rejoin { rejoin(director, job, attempt, sd, &problem, limit).await } else { None };
        match again {
            Some(again) => *sd = again,
            None => {
                // The session that is gone stays: the end of the job is written without its last records.
                let fd = reached.fd.as_mut().filter(|_| ends.fd.is_none()).map(|fd| &mut fd.peer);
                let wait = if has_others { NOTICES } else { super::session::AFTER_LOSS };
                let limit = Some(Instant::now() + wait);
                let more = Flow { job, sd: None, fd, until_storage_end: false, limit }.wait().await;
                ends.fd = ends.fd.or(more.fd);
                return ends;
            }
        }
    }
}

/// Ends when a Storage Daemon does not answer any more, though its connection stands: a host that is gone without a word is noticed
/// by TCP only after minutes, a process that stands still never.
async fn missed(director: &Director, name: &str) -> String {
    let mut silent = 0;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(storage) = director.config().storage(name).cloned() else { continue };
        match tokio::time::timeout(ANSWERS_WITHIN, director.connect_storage(&storage, Tries::Once)).await {
            Ok(Ok(conn)) => {
                conn.terminate().await;
                silent = 0;
            }
            Ok(Err(_)) | Err(_) => silent += 1,
        }
        if silent == LOOKS_IN_VAIN {
            return format!("Storage daemon {name} has not answered for a while");
        }
    }
}

/// Attaches to the job once more; `None` when the daemon does not come back in time or does not hold the job.
async fn rejoin(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
    lost: &mut SdSession,
    problem: &str,
    limit: Duration,
) -> Option<SdSession> {
    job.messages.warning(&format!("{problem}; it is asked whether it still holds the job."));
    // Nothing of the old session may come into the catalog after the new one has looked where to begin.
    let old = take_session(lost).await;
    drop(old);
    let limit = Instant::now() + limit;
    let asking = async {
        loop {
            match adopt::reach(director, job, &lost.storage).await {
                Ok(conn) if !conn.holdfast => return None,
                Ok(conn) => {
                    let (storage, session) = (&lost.storage, lost.session);
                    let is_replayed = director.reconciliation().is_replayed(job.id);
                    let settled = Seq(if is_replayed { u64::MAX } else { 0 });
                    match attach_storage(director, job, attempt, storage, conn, session, settled).await {
                        Ok(None) => return None,
                        // Whether it was run shows nowhere: where `run` was lost with the connection, nobody else would say it.
                        Ok(Some(attached)) => match attached.peer.send("run").await {
                            Ok(()) => return Some(attached),
                            Err(error) => {
                                tracing::warn!(job = %job.id, %error, "run the job that was attached again");
                            }
                        },
                        Err(fail) => tracing::warn!(job = %job.id, error = fail.text, "attach again"),
                    }
                }
                Err(error) => {
                    tracing::debug!(job = %job.id, %error, "the lost Storage daemon does not answer");
                }
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    };
    tokio::select! {
        attached = tokio::time::timeout_at(limit, asking) => attached.ok().flatten(),
        _ = job.wished() => None,
    }
}
