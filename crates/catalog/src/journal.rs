//! Positions in Storage Daemons' journals, and the answers given to their requests (DESIGN §2.3).

use crate::error::Result;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use types::{Attempt, JobId, Seq};

/// One journal: of one attempt of a job on one Storage.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JournalKey {
    /// Job.
    pub job_id: JobId,
    /// Attempt.
    pub attempt: Attempt,
    /// Name of the Storage resource.
    pub storage: String,
}

/// Where a record stands in the journal's row of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// It was handled before: it has had its effect.
    Repeated,
    /// It is the next one.
    Next,
    /// One is missing before it.
    Gap,
}

/// Where record `seq` stands behind the last one that was handled.
#[must_use]
pub fn place(handled: Seq, seq: Seq) -> Place {
    if seq <= handled {
        Place::Repeated
    } else if seq.0 == handled.0 + 1 {
        Place::Next
    } else {
        Place::Gap
    }
}

/// The last record of a journal whose effect is in the catalog; 0 for none.
///
/// # Errors
/// Those of the database.
pub fn position(r: &ReadTx<'_>, key: &JournalKey) -> Result<Seq> {
    let seq = r.scalar(
        "SELECT Seq FROM hf_journal WHERE JobId = ?1 AND Attempt = ?2 AND Storage = ?3",
        params![key.job_id, key.attempt, &key.storage],
    )?;
    Ok(seq.unwrap_or_default())
}

/// Moves the position forward, in the transaction that holds the records' effects. Never backward.
///
/// # Errors
/// Those of the database.
pub fn advance(tx: &WriteTx<'_>, key: &JournalKey, to: Seq) -> Result<()> {
    tx.execute(
        "INSERT INTO hf_journal (JobId, Attempt, Storage, Seq) VALUES (?1, ?2, ?3, ?4) \
         ON CONFLICT (JobId, Attempt, Storage) DO UPDATE SET Seq = excluded.Seq WHERE excluded.Seq > hf_journal.Seq",
        params![key.job_id, key.attempt, &key.storage, to],
    )
    .map(drop)
}

/// The stored answer to a request, if it was answered.
///
/// # Errors
/// Those of the database.
pub fn answer(r: &ReadTx<'_>, key: &JournalKey, request: Seq) -> Result<Option<String>> {
    r.scalar(
        "SELECT Reply FROM hf_request WHERE JobId = ?1 AND Attempt = ?2 AND Storage = ?3 AND Seq = ?4",
        params![key.job_id, key.attempt, &key.storage, request],
    )
}

/// The answers that were stored last, at most `limit` of them, the oldest first.
///
/// # Errors
/// Those of the database.
pub fn last_answers(r: &ReadTx<'_>, key: &JournalKey, limit: u32) -> Result<Vec<(Seq, String)>> {
    let mut answers = r.all(
        "SELECT Seq, Reply FROM hf_request WHERE JobId = ?1 AND Attempt = ?2 AND Storage = ?3 ORDER BY Seq DESC LIMIT ?4",
        params![key.job_id, key.attempt, &key.storage, limit],
        |row| Ok((row.get("Seq")?, row.get("Reply")?)),
    )?;
    answers.reverse();
    Ok(answers)
}

/// Stores the answer to a request, in the transaction that decided it.
///
/// # Errors
/// [`crate::CatalogError::Conflict`] when it was answered before; those of the database.
pub fn store_answer(tx: &WriteTx<'_>, key: &JournalKey, request: Seq, reply: &str) -> Result<()> {
    tx.execute(
        "INSERT INTO hf_request (JobId, Attempt, Storage, Seq, Reply) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![key.job_id, key.attempt, &key.storage, request, reply],
    )
    .map(drop)
}

/// Whether an unfinished attempt of another job than `except` was given a Volume, as its stored answers tell: it may have data
/// there of which no row tells yet, since journals reach the catalog one by one.
///
/// # Errors
/// Those of the database.
pub fn is_in_hand(r: &ReadTx<'_>, volume: &str, except: JobId) -> Result<bool> {
    let answer = format!("1000 OK VolName={} ", types::bash_spaces(volume));
    let length = i64::try_from(answer.chars().count()).unwrap_or(i64::MAX);
    let found: Option<i64> = r.scalar(
        "SELECT 1 FROM hf_request JOIN hf_attempt ON hf_attempt.JobId = hf_request.JobId AND hf_attempt.Attempt = hf_request.Attempt \
         WHERE hf_attempt.State = 'open' AND hf_attempt.JobId <> ?1 AND substr(hf_request.Reply, 1, ?2) = ?3 LIMIT 1",
        params![except, length, &answer],
    )?;
    Ok(found.is_some())
}

/// Forgets the answers of one journal, in the transaction that ends its attempt: an SD that has sent its end line has had
/// them all.
///
/// # Errors
/// Those of the database.
pub fn forget_answers(tx: &WriteTx<'_>, key: &JournalKey) -> Result<()> {
    tx.execute(
        "DELETE FROM hf_request WHERE JobId = ?1 AND Attempt = ?2 AND Storage = ?3",
        params![key.job_id, key.attempt, &key.storage],
    )
    .map(drop)
}

/// Forgets position and answers of one journal that is over, all of it being in the catalog: the same Storage may then begin another
/// one for the same attempt, as in a restore that comes back to it.
///
/// # Errors
/// Those of the database.
pub fn forget_one(tx: &WriteTx<'_>, key: &JournalKey) -> Result<()> {
    forget_answers(tx, key)?;
    tx.execute(
        "DELETE FROM hf_journal WHERE JobId = ?1 AND Attempt = ?2 AND Storage = ?3",
        params![key.job_id, key.attempt, &key.storage],
    )
    .map(drop)
}

/// Forgets the positions and answers of a job, once its journals are gone from every Storage.
///
/// # Errors
/// Those of the database.
pub fn forget(tx: &WriteTx<'_>, job: JobId) -> Result<()> {
    tx.execute("DELETE FROM hf_request WHERE JobId = ?1", params![job])?;
    tx.execute("DELETE FROM hf_journal WHERE JobId = ?1", params![job]).map(drop)
}
