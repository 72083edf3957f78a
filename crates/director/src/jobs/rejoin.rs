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
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use types::{Attempt, Seq};

/// How long a lost Storage Daemon has to come back.
const COMES_BACK: Duration = Duration::from_secs(15);
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
        let may_rejoin = sd.holdfast;
        let mut flow = Flow { job, sd: Some(&mut sd.peer), fd, until_storage_end: false, limit: None };
        let (more, lost) = if may_rejoin { flow.wait_or_loss().await } else { (flow.wait().await, None) };
        ends.fd = ends.fd.or(more.fd);
        ends.sd = ends.sd.take().or(more.sd);
        ends.refused = ends.refused.take().or(more.refused);
        let Some(problem) = lost else { return ends };
        match rejoin(director, job, attempt, sd, &problem).await {
            Some(again) => *sd = again,
            None => {
                job.messages.fatal(&problem);
                // The session that is gone stays: the end of the job is written without its last records.
                let fd = reached.fd.as_mut().filter(|_| ends.fd.is_none()).map(|fd| &mut fd.peer);
                let limit = Some(Instant::now() + super::session::AFTER_LOSS);
                let more = Flow { job, sd: None, fd, until_storage_end: false, limit }.wait().await;
                ends.fd = ends.fd.or(more.fd);
                return ends;
            }
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
) -> Option<SdSession> {
    job.messages.warning(&format!("{problem}; it is asked whether it still holds the job."));
    // Nothing of the old session may come into the catalog after the new one has looked where to begin.
    let old = take_session(lost).await;
    drop(old);
    let limit = Instant::now() + COMES_BACK;
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
