//! `cancel` and `stop`: the wish is noted, and the job's daemons are told on connections of their own (spec/01 §5.15).

use super::Wish;
use super::job::Job;
use super::machine::JobState;
use crate::error::DirectorError;
use crate::handle::Director;
use crate::peer::{ClientLink, StorageLink, Tries};
use std::time::Duration;
use tokio::time::timeout;
use types::JobId;

/// How long a daemon may take to be told.
const TELL_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) async fn cancel(director: &Director, id: JobId, wish: Wish) -> Result<Vec<String>, DirectorError> {
    let job = director.registry().get(id).ok_or(DirectorError::NoSuchJob(id))?;
    tracing::info!(job = %id, ?wish, "asked to end");
    let queued = matches!(job.state(), JobState::Created | JobState::Queued(_));
    let verb = match wish {
        Wish::Stop => "stop",
        Wish::Cancel | Wish::GoOn => "cancel",
    };
    let mut lines = if queued { Vec::new() } else { tell(director, &job, verb).await };
    job.set_wish(wish);
    if lines.is_empty() {
        let word = if wish == Wish::Stop { "stopped" } else { "canceled" };
        lines.push(format!("JobId {id}, Job {} marked to be {word}.", job.unique));
    }
    Ok(lines)
}

/// Tells the daemons of a job that has failed that it is over.
pub(crate) async fn tell_all(director: &Director, job: &Job) {
    // What they answer is of no interest: the job is over either way.
    let _ = tell(director, job, "cancel").await;
}

/// As [`tell_all`], but for the Storage Daemons, of which one may be lost.
pub(crate) async fn tell_client_of(director: &Director, job: &Job) {
    if let Some(client) = job.held().client {
        let _ = tell_client(director, &client, "cancel", &job.unique).await;
    }
}

async fn tell(director: &Director, job: &Job, verb: &str) -> Vec<String> {
    let held = job.held();
    let mut lines = Vec::new();
    // The FD first: it then ends its session with the SD by itself.
    if let Some(client) = &held.client {
        lines.extend(tell_client(director, client, verb, &job.unique).await);
    }
    for storage in &held.storages {
        lines.extend(tell_storage(director, storage, verb, &job.unique).await);
    }
    lines
}

async fn tell_client(director: &Director, link: &ClientLink, verb: &str, job: &str) -> Vec<String> {
    let told = timeout(TELL_TIMEOUT, async {
        let mut conn = director.links().open_client(link, Tries::Console).await?;
        conn.console_job(&director.console_name()).await?;
        let lines = conn.command(format!("{verb} Job={job}\n")).await;
        conn.terminate().await;
        lines
    });
    shown(told.await, &format!("Client {}", link.name))
}

async fn tell_storage(director: &Director, link: &StorageLink, verb: &str, job: &str) -> Vec<String> {
    let told = timeout(TELL_TIMEOUT, async {
        let mut conn = director.links().open_storage(link, Tries::Console).await?;
        let lines = conn.command(format!("{verb} Job={job}\n")).await;
        conn.terminate().await;
        lines
    });
    shown(told.await, &format!("Storage {}", link.name))
}

fn shown(
    told: Result<Result<Vec<String>, DirectorError>, tokio::time::error::Elapsed>,
    peer: &str,
) -> Vec<String> {
    match told {
        Ok(Ok(lines)) => lines,
        Ok(Err(error)) => vec![format!("{peer} could not be told: {error}")],
        Err(_) => vec![format!("{peer} does not answer")],
    }
}
