//! Adoption of a job whose Storage Daemon is a stock one (DESIGN §4): it tells its Director everything once, and of a job
//! whose Director has gone away it says `f` in the end, whatever is on the Volume.
//!
//! The data path does not need the Director, so the job goes to its natural end on SD and FD. Then the FD says how it ended,
//! and a backup's attributes and digests are read back from the Volume as the job's client would read them ([`read`]). It has
//! ended well only when FileIndex 1 to JobFiles is complete. A restore needs nothing back: the FD's word is enough, and one
//! that ended otherwise is started again.
//!
//! A stock SD checks no epoch. So the old active Director must have ended for sure: its lock was taken over, it gave the role
//! back, or it was fenced.

mod read;

use super::adopt::reach;
use super::asked::{client_end, end_of, lists_running};
use super::job::Job;
use super::life::{Course, Outcome};
use super::outcome::{FdEnd, SdEnd, Wish};
use super::session::Fail;
use crate::error::DirectorError;
use crate::handle::Director;
use catalog::attempt::AttemptRow;
use catalog::jobmedia::{self, JobMediaRow, Piece};
use catalog::{WriteTx, media};
use policy::plan::StoragePlan;
use read::Seen;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use types::{FileIndex, JobId, JobStatus, JobType, MediaId, Timestamp, VolAddr};

/// How often a stock SD is asked whether a job has ended there: it has no event for that.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What became of a job that an earlier Director had left.
pub(crate) enum Found {
    /// It has ended; the course says how.
    Ended,
    /// It is over without a result, and may be done once more. Why.
    Again(String),
    /// Nobody can say how it ended. Why.
    Lost(String),
}

/// Where a backup that was read back is; written with its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ReadBack {
    /// What no row of the job says yet.
    piece: Option<Piece>,
    media_id: MediaId,
    /// Where the Volume ends.
    end: VolAddr,
}

impl ReadBack {
    /// Brings Volume and pieces up to date inside the end transaction.
    pub(crate) fn write(
        self,
        tx: &WriteTx<'_>,
        job: JobId,
        good: bool,
        now: Timestamp,
    ) -> catalog::Result<()> {
        if let Some(piece) = self.piece.filter(|_| good) {
            jobmedia::create(tx, job, &[piece])?;
        }
        let Some(mut row) = media::get(tx, self.media_id)? else { return Ok(()) };
        // Other jobs may have written since; the SD's own word comes with the next one.
        if self.end.0 > row.vol_bytes {
            row.vol_bytes = self.end.0;
            row.vol_files = self.end.file();
            row.last_written = Some(now);
            media::update(tx, &row)?;
        }
        Ok(())
    }
}

/// Follows a job on a stock SD to its end, and finds out how it ended.
pub(crate) async fn follow(
    director: &Director,
    job: &Arc<Job>,
    course: &mut Course,
    attempt: &AttemptRow,
    storage: &StoragePlan,
) -> Result<Found, Fail> {
    let name = &storage.name;
    if job.plan().job_type == JobType::Restore {
        let why = format!("Storage daemon {name} is no Holdfast daemon and tells nothing of it");
        let found = restore_end(director, job, course, &why).await;
        let gone = await_storage(director, job, storage).await;
        return Ok(gone.map_or_else(Found::Lost, |_| found));
    }
    if let Some(why) = refusal(director.is_alone(), name) {
        return Ok(Found::Lost(why));
    }
    job.messages.info(&format!(
        "Director took over the running JobId {}, Job={}. Storage daemon {name} is no Holdfast daemon: the session is read \
         back from its Volume when it has ended.",
        job.id, job.unique
    ));
    let fd = match client_end(director, job, course).await {
        Ok(fd) => fd,
        Err(why) => return Ok(Found::Lost(format!("How the job ended is not known: {why}"))),
    };
    course.reached.ends.fd = Some(fd);
    let sd = match await_storage(director, job, storage).await {
        Ok(sd) => sd,
        Err(why) => return Ok(Found::Lost(why)),
    };
    course.outcome = Outcome { fd: Some(Some(fd.status)), sd: None, ..Outcome::default() };
    if fd.status != JobStatus::Terminated {
        if fd.files == 0 && job.wish() == Wish::GoOn {
            return Ok(Found::Again("nothing of it had been stored".to_owned()));
        }
        job.messages.fatal(&format!("The client ended its part of the job with status {}.", fd.status));
        return Ok(Found::Ended);
    }
    read_back(director, job, course, attempt, storage, fd, sd).await.map(|()| Found::Ended)
}

/// Whether another instance might still act on a stock SD; the text is for the job's log.
fn refusal(is_alone: bool, storage: &str) -> Option<String> {
    (!is_alone).then(|| {
        format!(
            "Storage daemon {storage} is no Holdfast daemon and would obey the former active Director, which may still be \
             alive: what became of the job is not guessed. Set Fence = required in the Cluster resource, or put a Holdfast \
             Storage daemon there."
        )
    })
}

/// How a restore ended on its FD, which is all that counts when its SD cannot tell.
pub(crate) async fn restore_end(
    director: &Director,
    job: &Arc<Job>,
    course: &mut Course,
    why: &str,
) -> Found {
    match client_end(director, job, course).await {
        Ok(end) if end.status == JobStatus::Terminated || job.wish() != Wish::GoOn => {
            course.reached.ends.fd = Some(end);
            course.outcome = Outcome { fd: Some(Some(end.status)), ..Outcome::default() };
            Found::Ended
        }
        Ok(end) => Found::Again(format!("{why}; the client ended with status {}", end.status)),
        Err(_) if job.wish() != Wish::GoOn => Found::Lost(why.to_owned()),
        Err(problem) => Found::Again(format!("{why}; {problem}")),
    }
}

/// Waits until a stock SD no longer lists the job as running; what it then says of it, if anything. The text says why the SD
/// cannot be asked.
async fn await_storage(
    director: &Director,
    job: &Job,
    storage: &StoragePlan,
) -> Result<Option<FdEnd>, String> {
    let patience = director.config().director.sd_connect_timeout;
    let mut heard = Instant::now();
    loop {
        match storage_lists(director, job, storage).await {
            Ok((false, end)) => return Ok(end),
            Ok((true, _)) => heard = Instant::now(),
            Err(error) if heard.elapsed() > patience => {
                return Err(format!("the Storage daemon did not answer: {error}"));
            }
            Err(error) => {
                tracing::warn!(job = %job.id, %error, "the Storage daemon of the job does not answer yet");
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether a stock SD lists a job as running, else its line among the terminated ones (of the same form as an FD's).
async fn storage_lists(
    director: &Director,
    job: &Job,
    storage: &StoragePlan,
) -> Result<(bool, Option<FdEnd>), DirectorError> {
    let mut conn = reach(director, job, storage).await?;
    let running = conn.command(".status running api=2 api_opts= \n").await?;
    if lists_running(&running, job.id) {
        conn.terminate().await;
        return Ok((true, None));
    }
    let ended = conn.command(".status terminated api=2 api_opts= \n").await?;
    conn.terminate().await;
    Ok((false, end_of(&ended, job.id)))
}

/// Reads the session and decides whether it is whole.
async fn read_back(
    director: &Director,
    job: &Arc<Job>,
    course: &mut Course,
    attempt: &AttemptRow,
    storage: &StoragePlan,
    fd: FdEnd,
    sd: Option<FdEnd>,
) -> Result<(), Fail> {
    let id = job.id;
    let rows = director.catalog().read(move |r| jobmedia::list_all(r, id)).await?;
    let bootstrap = read::bootstrap(&rows, attempt.session);
    let Some(last) = rows.last().filter(|_| fd.files > 0) else {
        return conclude(job, course, fd, sd, Seen::default());
    };
    let (session, seen) = read::run(director, job, attempt, storage, &bootstrap).await?;
    course.reached.sd = Some(session);
    let Some(end) = job.volume_end(&last.volume_name) else {
        let volume = &last.volume_name;
        return Err(Fail::fatal(format!("the Storage daemon did not say where Volume \"{volume}\" ends")));
    };
    course.read_back =
        Some(ReadBack { piece: piece(&rows, last, fd.files, end), media_id: last.piece.media_id, end });
    conclude(job, course, fd, sd, seen)
}

/// What is on the last Volume and in no row yet.
fn piece(rows: &[JobMediaRow], last: &JobMediaRow, files: u64, end: VolAddr) -> Option<Piece> {
    let real = |row: &&JobMediaRow| row.piece.last_index.0 > 0;
    let known = rows.iter().filter(real).map(|row| row.piece.last_index).max();
    let of_volume = |row: &&JobMediaRow| row.piece.media_id == last.piece.media_id;
    let start = rows
        .iter()
        .filter(of_volume)
        .map(|row| if row.piece.last_index.0 > 0 { VolAddr(row.piece.end.0 + 1) } else { row.piece.start });
    let last_index = FileIndex(i32::try_from(files).unwrap_or(i32::MAX));
    (known < Some(last_index)).then(|| Piece {
        // A file may be on two Volumes.
        first_index: known.unwrap_or(FileIndex(1)),
        last_index,
        start: start.max().unwrap_or_default(),
        end: VolAddr(end.0.saturating_sub(1)),
        media_id: last.piece.media_id,
    })
}

/// The end of the SD's part, from what was seen on the Volume.
fn conclude(job: &Job, course: &mut Course, fd: FdEnd, sd: Option<FdEnd>, seen: Seen) -> Result<(), Fail> {
    match seen.missing(fd.files) {
        None => {
            job.messages
                .info(&format!("The session was read back: {} files, all of them are there.", fd.files));
            let bytes = sd.map_or(fd.bytes, |end| end.bytes);
            course.reached.ends.sd = Some(SdEnd {
                status: JobStatus::Terminated,
                files: fd.files,
                bytes,
                errors: 0,
                message: String::new(),
            });
            course.outcome.sd = Some(Some(JobStatus::Terminated));
            Ok(())
        }
        Some(index) => Err(Fail::fatal(format!(
            "The session on the Volume is not complete: of {} files that the client sent, FileIndex {index} is missing.",
            fd.files
        ))),
    }
}

/// `End of Volume "<v>" at addr=<n> on device …`: where a Volume ends, as an SD says that has read it.
pub(crate) fn volume_end(text: &str) -> Option<(String, VolAddr)> {
    let (_, rest) = text.split_once("End of Volume \"")?;
    let (volume, rest) = rest.split_once("\" at addr=")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((volume.to_owned(), VolAddr(digits.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_predecessor_is_no_ground_to_guess_on() {
        assert_eq!(refusal(true, "File1"), None);
        assert!(refusal(false, "File1").unwrap().contains("Fence = required"));
    }

    #[test]
    fn an_sd_says_where_a_volume_ends() {
        let text =
            "kit-sd JobId 2: End of Volume \"Vol-0001\" at addr=24235347 on device \"FileDev1\" (/v).\n";
        assert_eq!(volume_end(text), Some(("Vol-0001".to_owned(), VolAddr(24_235_347))));
        assert_eq!(volume_end("End of Volume at file 3"), None);
    }
}
