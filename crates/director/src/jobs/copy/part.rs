//! The turn from one part of a copy to the next, where the original lies on several Storages.
//!
//! The written job is then as one that was cut off behind the last file of the part: Incomplete, and no copy. Whoever goes on does so from
//! the catalog, be it this control job, a Director that takes over, or another Copy Job.

use super::super::end_tx::{last_file, stored_files, sums};
use super::super::ending::{let_go, take_session};
use super::super::job::Job;
use super::super::life::Reached;
use super::super::machine::Step;
use super::super::outcome::Wish;
use super::super::session::{Ends, Fail};
use super::super::traffic;
use super::written::incomplete;
use crate::handle::Director;
use crate::peer::chain;
use crate::text;
use catalog::WriteTx;
use catalog::attempt::{self, AttemptState, Totals};
use std::sync::Arc;
use types::{Attempt, FileIndex, JobId, JobStatus, Timestamp};

/// What the writing side has said of a part.
#[derive(Debug, Clone, Copy)]
struct Part {
    written: JobId,
    attempt: Attempt,
    /// The last file of it.
    end: FileIndex,
    bytes: u64,
    errors: u32,
}

impl Part {
    /// Closes the attempt of the written job, unless some of the part is missing. Gives the last file that is there.
    fn close(&self, tx: &WriteTx<'_>, now: Timestamp) -> catalog::Result<FileIndex> {
        let last = last_file(tx, self.written)?;
        let Some(row) = catalog::job::get(tx, self.written)? else { return Ok(FileIndex(0)) };
        if last < self.end {
            return Ok(last);
        }
        catalog::jobmedia::clip(tx, self.written, last)?;
        let (files, earlier) = (stored_files(tx, self.written)?, sums(tx, self.written, self.attempt)?);
        let totals = Totals {
            files: files.saturating_sub(earlier.files),
            bytes: self.bytes,
            read_bytes: 0,
            errors: u64::from(self.errors),
        };
        attempt::finish(tx, self.written, self.attempt, AttemptState::Ended, totals, now)?;
        catalog::job::end(tx, self.written, &incomplete(&row, files, earlier.bytes + self.bytes, now))?;
        sys::failpoint::reach("director-part-uncommitted");
        Ok(last)
    }
}

/// Ends a part after which another one follows, when both daemons have ended it well. Whether there is one.
///
/// # Errors
/// When the part is not whole, or cannot be noted: then the written job is left to the ending.
pub(super) async fn turn(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
    reached: &mut Reached,
) -> Result<bool, Fail> {
    let Some(end) = job.plan().control().and_then(|control| control.part_end).map(FileIndex) else {
        return Ok(false);
    };
    let reader_is_good = match &reached.ends.sd {
        Some(end) => end.status.is_success(),
        // Where nobody can say how the reading side ended, what was written decides.
        None => reached.sd.is_none(),
    };
    let Some(writing) = reached.copy.as_mut() else { return Ok(false) };
    let said = writing.reached.ends.sd.clone();
    let Some(said) = said.filter(|end| reader_is_good && end.status.is_success()) else { return Ok(false) };
    if job.wish() != Wish::GoOn || writing.job.wish() != Wish::GoOn {
        return Ok(false);
    }
    let part = Part {
        written: writing.job.id,
        attempt: writing.attempt,
        end,
        bytes: said.bytes,
        errors: said.errors,
    };
    let Some(writer) = writing.reached.sd.as_mut() else { return Ok(false) };
    let Some(mut session) = take_session(writer).await else { return Ok(false) };
    let closed = session.finish(move |tx| part.close(tx, text::now())).await;
    let (last, handled) = closed.map_err(|error| Fail::fatal(chain(&error)))?;
    if last < end {
        return Err(Fail::fatal(format!(
            "the copy ends with file {last}, what was read of it with file {end}"
        )));
    }
    let _ = traffic::reply(&writing.job, handled, writer.peer.out()).await;
    sys::failpoint::reach("director-part-committed");
    if let Some(writer) = writing.reached.sd.take() {
        writer.peer.terminate().await;
    }
    writing.job.step(&Step::Finish);
    writing.job.step(&Step::End(JobStatus::Incomplete));
    director.registry().remove(&writing.job);
    reached.copy = None;
    let_go(director, job, attempt, reached.sd.take()).await;
    reached.ends = Ends::default();
    job.messages.info(&format!("The copy JobId {} goes on with what lies on another Storage.", part.written));
    Ok(true)
}
