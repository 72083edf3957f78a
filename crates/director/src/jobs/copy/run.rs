//! The course of a control job: both Storage Daemons are called, the writing one calls the reading one, both end.

use super::super::backup;
use super::super::cancel;
use super::super::job::Job;
use super::super::life::{Reached, canceled};
use super::super::machine::{JobState, Step};
use super::super::outcome::Wish;
use super::super::rejoin;
use super::super::session::{AFTER_LOSS, Ends, Fail, SdSession, open_storage};
use super::part;
use super::source::{self, Original, Part};
use super::words;
use super::written::{self, Writing};
use crate::handle::Director;
use std::sync::Arc;
use tokio::time::Instant;
use types::{Attempt, FileIndex, JobId};

/// Runs a copy or migration to the end of its data. What was reached is in `reached` whatever happens.
///
/// An original that lies on several Storages is read from one after the other: the written job ends behind each part and goes on
/// with the next one, in the same way as one that was cut off.
pub(crate) async fn run(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
    reached: &mut Reached,
) -> Result<(), Fail> {
    let plan = job.plan();
    let words = words(&plan);
    let Some(target) = plan.target_job else { return Ok(()) };
    super::check_place(&plan)?;
    job.messages.info(&format!("Start {} JobId {}, Job={}", words.doing, job.id, job.unique));
    let original = source::find(director, JobId(target)).await?;
    if original.is_scattered() && !plan.next_pool.as_ref().is_some_and(|pool| pool.catalog_files) {
        return Err(Fail::fatal(format!(
            "JobId {target} lies on several Storages, and can be copied only into a Pool that keeps file records (Catalog Files)"
        )));
    }
    if let Some(earlier) = plan.control().unwrap_or_default().written {
        // Of an attempt that did not get as far as its data.
        written::give_up(director, JobId(earlier)).await?;
    }
    loop {
        tokio::select! {
            set_up = Box::pin(set_up(director, job, attempt, &original, reached)) => set_up?,
            wish = job.wished() => return Err(canceled(wish)),
        }
        advance(job, &Step::Run);
        reached.data = true;
        Box::pin(follow(director, job, attempt, reached)).await;
        if !part::turn(director, job, attempt, reached).await? {
            return Ok(());
        }
    }
}

/// A control job goes through its states with the first part.
fn advance(job: &Job, step: &Step) {
    if job.state() != JobState::Running {
        job.step(step);
    }
}

/// Brings the two daemons together for what is to be read next.
async fn set_up(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
    original: &Original,
    reached: &mut Reached,
) -> Result<(), Fail> {
    advance(job, &Step::Connect);
    let plan = job.plan();
    let earlier = written::stored_earlier(director, &plan, &original.row).await?;
    let mut part = next_part(original, earlier)?;
    let storage = source::storage_of(&director.config(), &plan, original.row.id, &part)?;
    let reader = open_storage(director, job, attempt, &storage).await?;
    let keeps_numbers = reader.holdfast;
    let reader = reached.sd.insert(reader);
    if !keeps_numbers && original.is_scattered() {
        return Err(needs_ours(original, &storage.name));
    }
    if !keeps_numbers && earlier > FileIndex(0) {
        part = next_part(original, FileIndex(0))?;
    }
    let writing = written::prepare(director, job, original, (&storage, part.end), keeps_numbers).await?;
    let writing = reached.copy.insert(writing);
    let stored = written::stored(director, writing).await?;
    if keeps_numbers && stored != earlier {
        return Err(Fail::fatal(format!(
            "the unfinished copy of JobId {} was changed meanwhile",
            original.row.id
        )));
    }
    open(director, job, attempt, &part, reader, writing).await?;
    let writes_ours = writing.reached.sd.as_ref().is_none_or(|writer| writer.holdfast);
    if !writes_ours && part.end.is_some() {
        let name = writing.reached.sd.as_ref().map(|writer| writer.storage.name.clone());
        return Err(needs_ours(original, &name.unwrap_or_default()));
    }
    start(job, reached).await
}

fn needs_ours(original: &Original, storage: &str) -> Fail {
    Fail::fatal(format!(
        "JobId {} lies on several Storages: such a job is copied between Storage Daemons of Holdfast only, and that of \"{storage}\" is none",
        original.row.id
    ))
}

/// What is read when the files up to `stored` are there.
fn next_part(original: &Original, stored: FileIndex) -> Result<Part, Fail> {
    // With all files there and the end missing, the last one comes once more.
    let last = original.last_file();
    let after = if stored >= last { FileIndex(last.0 - 1) } else { stored };
    let part = original.part(after);
    part.ok_or_else(|| Fail::fatal(format!("JobId {} has no files that could be read", original.row.id)))
}

/// Reserves both drives and notes which sessions the job has.
async fn open(
    director: &Director,
    job: &Arc<Job>,
    attempt: Attempt,
    part: &Part,
    reader: &mut SdSession,
    writing: &mut Writing,
) -> Result<(), Fail> {
    let plan = job.plan();
    let written = Arc::clone(&writing.job);
    reader.bootstrap(&part.bootstrap).await?;
    match reader.reserve(&plan.pool, false, true).await? {
        Ok(device) => job.messages.info(&format!("Using Device \"{device}\" to read.")),
        Err(said) => return Err(Fail::fatal(format!("Storage daemon didn't accept Device: {said}"))),
    }
    written.step(&Step::Connect);
    if let Some(admitted) = job.admitted() {
        written.set_admitted(admitted);
    }
    let (writer, device) = backup::reserve(director, &written, writing.attempt, &written.plan()).await?;
    writing.session = writer.session;
    let writer = writing.reached.sd.insert(writer);
    written.messages.info(&format!("Using Device \"{device}\" to write."));
    if writing.rerun.is_some() && !writer.holdfast {
        return Err(Fail::fatal(format!(
            "Storage daemon {} cannot go on with the copy JobId {}; delete that job, and the copy is made anew",
            writer.storage.name, written.id
        )));
    }
    let sessions = [
        (job.id, attempt, reader.storage.name.clone(), reader.session),
        (written.id, writing.attempt, writer.storage.name.clone(), writer.session),
    ];
    let config = director.config();
    let noted = director.catalog().write(director.epoch(), move |tx| {
        for (id, attempt, storage, session) in &sessions {
            crate::spare::check_serves(tx, &config, storage)?;
            catalog::attempt::set_session(tx, *id, *attempt, storage, *session)?;
            catalog::job::set_session(tx, *id, *session)?;
        }
        Ok(())
    });
    Ok(noted.await?)
}

/// Gives the orders. After the last one neither needs a Director.
async fn start(job: &Job, reached: &mut Reached) -> Result<(), Fail> {
    let (Some(reader), Some(writing)) = (&mut reached.sd, &mut reached.copy) else { return Ok(()) };
    let Some(writer) = &mut writing.reached.sd else { return Ok(()) };
    advance(job, &Step::Prepare);
    writing.job.step(&Step::Prepare);
    reader.peer.send("run").await?;
    let line = format!(
        "storage address={} port={} ssl={} Job={} Authentication={}\n",
        reader.storage.address, reader.storage.port, reader.ssl, job.unique, reader.key
    );
    writer.peer.command(line, "2000 OK storage").await.map_err(|error| {
        Fail::fatal(format!(
            "Storage daemon {} could not reach Storage daemon {}: {error}",
            writer.storage.name, reader.storage.name
        ))
    })?;
    sys::failpoint::reach("director-copy-prepared");
    writer.peer.send("run").await?;
    sys::failpoint::reach("director-copy-ordered");
    writing.job.step(&Step::Run);
    writing.reached.data = true;
    Ok(())
}

/// Waits until both have ended. One that is left alone by the other is told to end, too.
pub(super) async fn follow(director: &Director, job: &Arc<Job>, attempt: Attempt, reached: &mut Reached) {
    let Some(mut writing) = reached.copy.take() else { return };
    let (written, its_attempt) = (Arc::clone(&writing.job), writing.attempt);
    // A reading side that is not there has nothing to say; the writing side ends by itself.
    let has_reader = reached.sd.is_some();
    let (read, wrote) = {
        let reading = rejoin::wait(director, job, attempt, reached);
        let taking = rejoin::wait(director, &written, its_attempt, &mut writing.reached);
        tokio::pin!(reading, taking);
        let (mut read, mut wrote): (Option<Ends>, Option<Ends>) = (None, None);
        let mut deadline: Option<Instant> = None;
        let (mut told, mut passed_on) = (false, false);
        while read.is_none() || wrote.is_none() {
            tokio::select! {
                ends = &mut reading, if read.is_none() => {
                    // After a good end the writer may take its time to make everything safe.
                    if has_reader && !is_good(&ends) {
                        deadline = Some(Instant::now() + AFTER_LOSS);
                    }
                    read = Some(ends);
                }
                ends = &mut taking, if wrote.is_none() => {
                    deadline = Some(Instant::now() + AFTER_LOSS);
                    wrote = Some(ends);
                }
                wish = either_wished(job, &written), if !passed_on => {
                    passed_on = true;
                    pass_on(director, [job, &written], wish).await;
                }
                () = until(deadline), if deadline.is_some() => {
                    if told {
                        break;
                    }
                    told = true;
                    deadline = Some(Instant::now() + AFTER_LOSS);
                    let left = if read.is_none() { job } else { &written };
                    cancel::tell_all(director, left).await;
                }
            }
        }
        (read, wrote)
    };
    reached.ends = read.unwrap_or_default();
    writing.reached.ends = wrote.unwrap_or_default();
    reached.copy = Some(writing);
}

fn is_good(ends: &Ends) -> bool {
    ends.sd.as_ref().is_some_and(|end| end.status.is_success())
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn either_wished(job: &Job, written: &Job) -> Wish {
    tokio::select! {
        wish = job.wished() => wish,
        wish = written.wished() => wish,
    }
}

/// Who cancels one of the two means both.
async fn pass_on(director: &Director, jobs: [&Arc<Job>; 2], wish: Wish) {
    for job in jobs {
        if job.wish() == Wish::GoOn {
            // One that has ended meanwhile needs no cancelling.
            let _ = cancel::cancel(director, job.id, wish).await;
        }
    }
}
