//! Job plans: what a job is going to do, one value stored with its row (DESIGN §2.4).

use crate::error::Result;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use crate::value::Row;
use types::JobId;

/// A stored plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRow {
    /// Job.
    pub job_id: JobId,
    /// Version of the body's format; the Director's business.
    pub format: u32,
    /// The plan as text (JSON).
    pub body: String,
}

impl PlanRow {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self { job_id: row.get("JobId")?, format: row.get("Format")?, body: row.get("Body")? })
    }
}

/// Stores the plan of a job, replacing an earlier one.
///
/// # Errors
/// Those of the database.
pub fn store(tx: &WriteTx<'_>, plan: &PlanRow) -> Result<()> {
    tx.execute("DELETE FROM hf_plan WHERE JobId = ?1", params![plan.job_id])?;
    tx.execute(
        "INSERT INTO hf_plan (JobId, Format, Body) VALUES (?1, ?2, ?3)",
        params![plan.job_id, plan.format, &plan.body],
    )
    .map(drop)
}

/// The plan of a job.
///
/// # Errors
/// Those of the database.
pub fn load(r: &ReadTx<'_>, job: JobId) -> Result<Option<PlanRow>> {
    r.one("SELECT JobId, Format, Body FROM hf_plan WHERE JobId = ?1", params![job], PlanRow::from_row)
}

/// The plans of all jobs that have no end.
///
/// # Errors
/// Those of the database.
pub fn list_unfinished(r: &ReadTx<'_>) -> Result<Vec<PlanRow>> {
    let sql = format!(
        "SELECT P.JobId, P.Format, P.Body FROM hf_plan P JOIN Job ON Job.JobId = P.JobId WHERE {}",
        crate::job::UNFINISHED
    );
    r.all(&sql, &[], PlanRow::from_row)
}
