//! Attempts: each start of a job, granted by the catalog (DESIGN §2.4).

use crate::error::{CatalogError, Result};
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use crate::value::Row;
use types::{Attempt, Epoch, JobId, Timestamp, VolSession};

/// Where an attempt is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptState {
    /// May run; at most one per job.
    Open,
    /// Given up: its late journal is answered `closed`.
    Closed,
    /// Over, its end is in the catalog.
    Ended,
}

impl AttemptState {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Ended => "ended",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Open, Self::Closed, Self::Ended].into_iter().find(|s| s.as_str() == text)
    }
}

/// What one attempt has done, to be summed in the Job row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Files written.
    pub files: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// Errors.
    pub errors: u64,
}

/// One start of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRow {
    /// Job.
    pub job_id: JobId,
    /// Number, from 1.
    pub attempt: Attempt,
    /// Where it is.
    pub state: AttemptState,
    /// The epoch that granted it.
    pub epoch: Epoch,
    /// Name of the Storage resource that holds it; empty before one is chosen.
    pub storage: String,
    /// Session on that Storage.
    pub session: VolSession,
    /// When it was granted.
    pub granted_at: Timestamp,
    /// Its sums, once ended or closed.
    pub totals: Totals,
}

impl AttemptRow {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        let state: String = row.get("State")?;
        let state = AttemptState::parse(&state).ok_or_else(|| CatalogError::BadValue {
            column: "hf_attempt.State".to_owned(),
            problem: format!("holds {state:?}"),
        })?;
        Ok(Self {
            job_id: row.get("JobId")?,
            attempt: row.get("Attempt")?,
            state,
            epoch: row.get("Epoch")?,
            storage: row.get("Storage")?,
            session: VolSession { id: row.get("VolSessionId")?, time: row.get("VolSessionTime")? },
            granted_at: row.get("GrantedAt")?,
            totals: Totals {
                files: row.get("JobFiles")?,
                bytes: row.get("JobBytes")?,
                read_bytes: row.get("ReadBytes")?,
                errors: row.get("JobErrors")?,
            },
        })
    }
}

/// The number of the next attempt after the earlier ones of its job.
///
/// # Errors
/// The attempt that is still open: it must end, or be closed, before.
pub fn next_after(
    earlier: impl IntoIterator<Item = (Attempt, AttemptState)>,
) -> std::result::Result<Attempt, Attempt> {
    let mut last = Attempt(0);
    for (attempt, state) in earlier {
        match state {
            AttemptState::Open => return Err(attempt),
            AttemptState::Closed | AttemptState::Ended => last = last.max(attempt),
        }
    }
    Ok(Attempt(last.0 + 1))
}

/// Whether what a journal of the attempt still says is answered `Closed`, and dropped.
#[must_use]
pub fn is_given_up(state: AttemptState) -> bool {
    state == AttemptState::Closed
}

/// Grants the next attempt of a job.
///
/// # Errors
/// [`CatalogError::Refused`] while an earlier one is open; those of the database.
pub fn grant(tx: &WriteTx<'_>, job: JobId, now: Timestamp) -> Result<Attempt> {
    let earlier = list(tx, job)?;
    let attempt = next_after(earlier.iter().map(|row| (row.attempt, row.state))).map_err(|open| {
        CatalogError::Refused(format!(
            "attempt {open} of JobId {job} is still open; it must end or be closed before another starts"
        ))
    })?;
    create(tx, job, attempt, now)
}

/// Makes an attempt whatever the earlier ones are; [`grant`] looks at them.
///
/// # Errors
/// Those of the database.
pub fn create(tx: &WriteTx<'_>, job: JobId, attempt: Attempt, now: Timestamp) -> Result<Attempt> {
    // Where an old job is taken up again, that of its range may have been dropped.
    crate::partition::ensure(tx, job)?;
    tx.execute(
        "INSERT INTO hf_attempt (JobId, Attempt, State, Epoch, GrantedAt) VALUES (?1, ?2, 'open', ?3, ?4)",
        params![job, attempt, tx.epoch(), now],
    )?;
    Ok(attempt)
}

/// Grants an attempt anew that a Storage Daemon holds and the catalog has lost.
///
/// # Errors
/// [`CatalogError::Refused`] while another one is open; [`CatalogError::Conflict`] when it is there; those of the database.
pub fn grant_again(
    tx: &WriteTx<'_>,
    job: JobId,
    attempt: Attempt,
    storage: &str,
    session: VolSession,
    now: Timestamp,
) -> Result<()> {
    if let Some(open) = open_of(tx, job)? {
        let open = open.attempt;
        return Err(CatalogError::Refused(format!("attempt {open} of JobId {job} is open")));
    }
    create(tx, job, attempt, now)?;
    set_session(tx, job, attempt, storage, session)
}

/// Notes which Storage holds the attempt, and its session there.
///
/// # Errors
/// Those of the database.
pub fn set_session(
    tx: &WriteTx<'_>,
    job: JobId,
    attempt: Attempt,
    storage: &str,
    session: VolSession,
) -> Result<()> {
    tx.execute(
        "UPDATE hf_attempt SET Storage = ?3, VolSessionId = ?4, VolSessionTime = ?5 WHERE JobId = ?1 AND Attempt = ?2",
        params![job, attempt, storage, session.id, session.time],
    )
    .map(drop)
}

/// Ends or closes an attempt with its sums. One that is no longer open stays as it is.
///
/// # Errors
/// Those of the database.
pub fn finish(
    tx: &WriteTx<'_>,
    job: JobId,
    attempt: Attempt,
    state: AttemptState,
    totals: Totals,
    now: Timestamp,
) -> Result<()> {
    tx.execute(
        "UPDATE hf_attempt SET State = ?3, EndedAt = ?4, JobFiles = ?5, JobBytes = ?6, ReadBytes = ?7, JobErrors = ?8 \
         WHERE JobId = ?1 AND Attempt = ?2 AND State = 'open'",
        params![job, attempt, state.as_str(), now, totals.files, totals.bytes, totals.read_bytes, totals.errors],
    )
    .map(drop)
}

/// The open attempt of a job.
///
/// # Errors
/// Those of the database.
pub fn open_of(r: &ReadTx<'_>, job: JobId) -> Result<Option<AttemptRow>> {
    r.one("SELECT * FROM hf_attempt WHERE JobId = ?1 AND State = 'open'", params![job], AttemptRow::from_row)
}

/// One attempt.
///
/// # Errors
/// Those of the database.
pub fn get(r: &ReadTx<'_>, job: JobId, attempt: Attempt) -> Result<Option<AttemptRow>> {
    r.one(
        "SELECT * FROM hf_attempt WHERE JobId = ?1 AND Attempt = ?2",
        params![job, attempt],
        AttemptRow::from_row,
    )
}

/// All attempts of a job in order.
///
/// # Errors
/// Those of the database.
pub fn list(r: &ReadTx<'_>, job: JobId) -> Result<Vec<AttemptRow>> {
    r.all("SELECT * FROM hf_attempt WHERE JobId = ?1 ORDER BY Attempt", params![job], AttemptRow::from_row)
}

/// All open attempts: what a Director that becomes active must adopt or close.
///
/// # Errors
/// Those of the database.
pub fn list_open(r: &ReadTx<'_>) -> Result<Vec<AttemptRow>> {
    r.all("SELECT * FROM hf_attempt WHERE State = 'open' ORDER BY JobId, Attempt", &[], AttemptRow::from_row)
}
