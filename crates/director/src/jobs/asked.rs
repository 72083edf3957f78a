//! What the File Daemon of a job that is taken over holds, and how its part ended (DESIGN §2.3).
//!
//! Ours keeps messages and end line until a Director has taken them. A stock one is asked for its lists of running and
//! terminated jobs.

use super::job::Job;
use super::life::Course;
use super::outcome::{FdEnd, Wish};
use super::session::{FdSession, Flow, attach_client};
use crate::error::DirectorError;
use crate::handle::Director;
use crate::peer::{ClientConn, Tries};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use types::{Attempt, JobId, JobStatus, JobType};

/// How long a stock FD may be busy with a job's After scripts, and any daemon with its end after a cancel.
const END_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a stock FD is asked whether a job has ended there: it has no event for that.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks that must find a job nowhere: between two lists it may have moved from one to the other.
const LOOKS_TO_MISS: u32 = 3;

/// What the FD of a job holds.
pub(super) enum Asked {
    Holds(Box<FdSession>),
    /// A stock FD keeps nothing for a Director; its end is asked for when the SD has ended.
    Stock,
    Lost(String),
}

pub(super) async fn ask_client(director: &Director, job: &Arc<Job>, attempt: Attempt) -> Asked {
    let patience = Instant::now() + director.config().director.fd_connect_timeout;
    let conn = loop {
        match reach_client(director, job).await {
            Ok(conn) => break conn,
            Err(error) if Instant::now() >= patience || job.wish() != Wish::GoOn => {
                return Asked::Lost(format!("the client did not answer: {error}"));
            }
            Err(error) => tracing::warn!(job = %job.id, %error, "the client of the job does not answer yet"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = job.wished() => {}
        }
    };
    if !conn.holdfast {
        conn.terminate().await;
        return Asked::Stock;
    }
    match attach_client(director, job, attempt, conn, String::new()).await {
        Ok(Some(fd)) => Asked::Holds(Box::new(fd)),
        Ok(None) => Asked::Lost("the client does not know the job any more".to_owned()),
        Err(fail) => Asked::Lost(fail.text),
    }
}

/// Makes the client one that can be told to end the job. Whether it answers.
pub(super) async fn hold_client(director: &Director, job: &Job) -> bool {
    match reach_client(director, job).await {
        Ok(conn) => {
            conn.terminate().await;
            true
        }
        Err(error) => {
            tracing::warn!(job = %job.id, %error, "the client of a job that lost its Storage does not answer");
            false
        }
    }
}

async fn reach_client(director: &Director, job: &Job) -> Result<ClientConn, DirectorError> {
    let (config, name) = (director.config(), job.plan().client.name.clone());
    let resource = config
        .client(&name)
        .ok_or_else(|| DirectorError::Plan(format!("Client \"{name}\" is no longer configured")))?;
    let links = director.links();
    let link = links.client(resource)?;
    let conn = links.open_client(&link, Tries::Console).await?;
    job.hold_client(link);
    Ok(conn)
}

/// An FD that waits for a further Storage is told that there is none.
pub(super) async fn finish_restore(job: &Job, course: &mut Course) {
    let reached = &mut course.reached;
    let Some(fd) = reached.fd.as_mut().filter(|_| reached.ends.fd.is_none()) else { return };
    let _ = fd.peer.send("endrestore").await;
    let mut flow = Flow { job, sd: None, fd: Some(&mut fd.peer), until_storage_end: false, limit: None };
    reached.ends.fd = flow.wait().await.fd;
}

/// How a job ended on a stock FD, from its list of terminated jobs; messages that it had for nobody are lost, only their
/// count is known.
pub(super) async fn stock_end(director: &Director, job: &Job) -> Option<FdEnd> {
    let deadline = Instant::now() + END_TIMEOUT;
    loop {
        match stock_status(director, job).await {
            Ok(Some(end)) => {
                tell_lost_messages(job, end);
                return Some(end);
            }
            // It may still run its After scripts.
            Ok(None) if Instant::now() < deadline => {}
            Ok(None) => return None,
            Err(error) => {
                job.messages.error(&format!("The end status of the client could not be asked: {error}"));
                return None;
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn stock_status(director: &Director, job: &Job) -> Result<Option<FdEnd>, DirectorError> {
    let mut conn = reach_client(director, job).await?;
    conn.console_job(&director.console_name()).await?;
    let lines = conn.command(".status terminated api=2 api_opts=").await;
    conn.terminate().await;
    Ok(end_of(&lines?, job.id))
}

/// Waits until the FD's part of a job is over, whose SD cannot tell. The text says why there is no end: the FD does not know the
/// job, or does not answer for `FD Connect Timeout`.
pub(super) async fn client_end(
    director: &Director,
    job: &Arc<Job>,
    course: &mut Course,
) -> Result<FdEnd, String> {
    match ask_client(director, job, course.attempt).await {
        Asked::Holds(fd) => {
            let restore = job.plan().job_type == JobType::Restore;
            let fd = course.reached.fd.insert(*fd);
            let mut flow =
                Flow { job, sd: None, fd: Some(&mut fd.peer), until_storage_end: restore, limit: None };
            course.reached.ends = flow.wait().await;
            finish_restore(job, course).await;
            course.reached.ends.fd.ok_or_else(|| "the client was lost before its end".to_owned())
        }
        Asked::Stock => stock_client_end(director, job).await,
        Asked::Lost(why) => Err(why),
    }
}

async fn stock_client_end(director: &Director, job: &Job) -> Result<FdEnd, String> {
    let patience = director.config().director.fd_connect_timeout;
    let (mut heard, mut missed, mut wished) = (Instant::now(), 0, None);
    loop {
        match stock_lists(director, job).await {
            Ok(Listed::Ended(end)) => {
                tell_lost_messages(job, end);
                return Ok(end);
            }
            Ok(Listed::Running) => (heard, missed) = (Instant::now(), 0),
            Ok(Listed::Nowhere) => {
                missed += 1;
                if missed >= LOOKS_TO_MISS {
                    return Err("the client does not list the job any more".to_owned());
                }
            }
            Err(error) if heard.elapsed() > patience => {
                return Err(format!("the client did not answer: {error}"));
            }
            Err(error) => tracing::warn!(job = %job.id, %error, "the client of the job does not answer yet"),
        }
        if wished.is_some_and(|at: Instant| at.elapsed() > END_TIMEOUT) {
            return Err("the client did not end the job after it was canceled".to_owned());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = job.wished(), if wished.is_none() => wished = Some(Instant::now()),
        }
    }
}

fn tell_lost_messages(job: &Job, end: FdEnd) {
    if end.errors > 0 {
        job.messages.warning(&format!(
            "{} messages of the client were sent while no Director was there, and are lost.",
            end.errors
        ));
    }
}

/// Where a stock FD lists a job.
enum Listed {
    Running,
    Ended(FdEnd),
    Nowhere,
}

async fn stock_lists(director: &Director, job: &Job) -> Result<Listed, DirectorError> {
    let mut conn = reach_client(director, job).await?;
    conn.console_job(&director.console_name()).await?;
    let running = conn.command(".status running api=2 api_opts=").await;
    conn.terminate().await;
    if lists_running(&running?, job.id) {
        return Ok(Listed::Running);
    }
    Ok(stock_status(director, job).await?.map_or(Listed::Nowhere, Listed::Ended))
}

/// Whether `.status running` of a daemon names a job, in either daemon's way of writing.
pub(super) fn lists_running(lines: &[String], id: JobId) -> bool {
    let named = |word: &str| {
        let (key, value) = word.split_once('=')?;
        (key.eq_ignore_ascii_case("jobid") && value.trim().parse() == Ok(id)).then_some(())
    };
    lines.iter().flat_map(|line| line.split_whitespace()).any(|word| named(word).is_some())
}

/// The end of a job in `.status terminated` blocks of `key=value` lines.
pub(super) fn end_of(lines: &[String], id: JobId) -> Option<FdEnd> {
    let text = lines.join("\n");
    let block = text.split("jobid=").skip(1).find(|block| {
        block.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse().ok()) == Some(id)
    })?;
    let value = |key: &str| {
        block.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('=')).map(str::trim)
    };
    let number = |key| value(key).and_then(|v| v.replace(',', "").parse::<u64>().ok()).unwrap_or(0);
    let status = value("status")?.chars().next().and_then(JobStatus::from_letter)?;
    Some(FdEnd {
        status,
        files: number("jobfiles"),
        read_bytes: 0,
        bytes: number("jobbytes"),
        errors: u32::try_from(number("errors")).unwrap_or(u32::MAX),
        vss: false,
        encrypted: false,
        comm_bytes: 0,
        comm_packed: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stock_fds_list_tells_how_a_job_ended() {
        let lines: Vec<String> =
            "jobid=3\nlevel=F\ntype=B\nstatus=T\nstatus_desc=OK\njobbytes=13914\njobfiles=8\njob=A.2026\n\
                                  errors=0\n\njobid=31\nlevel=F\nstatus=E\njobbytes=1\njobfiles=2\nerrors=4\n"
                .lines()
                .map(str::to_owned)
                .collect();
        let end = end_of(&lines, JobId(3)).unwrap();
        assert_eq!((end.status, end.files, end.bytes), (JobStatus::Terminated, 8, 13914));
        assert_eq!(end_of(&lines, JobId(31)).unwrap().errors, 4);
        assert!(end_of(&lines, JobId(1)).is_none());
    }

    #[test]
    fn running_jobs_are_found_in_both_daemons_lists() {
        let lines = ["JobId=18 Job=A.2026", "JobFiles=1"].map(str::to_owned);
        assert!(lists_running(&lines, JobId(18)));
        assert!(!lists_running(&lines, JobId(1)));
        assert!(lists_running(&["jobid=7\nlevel=F".to_owned()], JobId(7)));
    }
}
