//! What the catalog knows of the jobs and Volumes that a Storage Daemon holds: in a few statements, since an activation waits
//! for it, and each statement is a way to the server and back.

use crate::error::Result;
use crate::tx::ReadTx;
use crate::value::Value;
use crate::volume_state::VolumeState;
use std::collections::BTreeMap;
use types::{Attempt, JobId, Seq};

/// Ids or names in one statement.
const CHUNK: usize = 200;

/// A job with the positions of its attempts' journals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KnownJob {
    /// Unique name.
    pub name: String,
    /// The last record of each attempt's journal whose effect is in the catalog; 0 for none.
    pub attempts: BTreeMap<Attempt, Seq>,
}

/// Those of the jobs that the catalog has.
///
/// # Errors
/// Those of the database.
pub fn jobs(r: &ReadTx<'_>, ids: &[JobId]) -> Result<BTreeMap<JobId, KnownJob>> {
    let mut known = BTreeMap::<JobId, KnownJob>::new();
    for chunk in ids.chunks(CHUNK) {
        let ids = id_list(chunk);
        r.for_each(&format!("SELECT JobId, Job FROM Job WHERE JobId IN ({ids})"), &[], |row| {
            known.entry(row.get("JobId")?).or_default().name = row.get("Job")?;
            Ok(())
        })?;
        let sql = format!(
            "SELECT A.JobId, A.Attempt, COALESCE(J.Seq, 0) AS Seq FROM hf_attempt A LEFT JOIN hf_journal J \
             ON J.JobId = A.JobId AND J.Attempt = A.Attempt AND J.Storage = A.Storage WHERE A.JobId IN ({ids})"
        );
        r.for_each(&sql, &[], |row| {
            if let Some(job) = known.get_mut(&row.get("JobId")?) {
                job.attempts.insert(row.get("Attempt")?, row.get("Seq")?);
            }
            Ok(())
        })?;
    }
    Ok(known)
}

/// The states of those of the Volumes that the catalog has; all zero where no Holdfast SD has reported one.
///
/// # Errors
/// Those of the database.
pub fn volumes(r: &ReadTx<'_>, names: &[&str]) -> Result<BTreeMap<String, VolumeState>> {
    let mut known = BTreeMap::new();
    for chunk in names.chunks(CHUNK) {
        let marks: Vec<String> = (1..=chunk.len()).map(|at| format!("?{at}")).collect();
        let sql = format!(
            "SELECT Media.VolumeName, COALESCE(V.LabelDate, 0) AS LabelDate, COALESCE(V.StateSeq, 0) AS StateSeq, \
             COALESCE(V.WriteCounter, 0) AS WriteCounter FROM Media LEFT JOIN hf_volume V ON V.MediaId = Media.MediaId \
             WHERE Media.VolumeName IN ({})",
            marks.join(", ")
        );
        let params: Vec<Value<'_>> = chunk.iter().map(|name| Value::from(*name)).collect();
        r.for_each(&sql, &params, |row| {
            let state = VolumeState {
                label_date: row.get("LabelDate")?,
                state_seq: row.get("StateSeq")?,
                write_counter: row.get("WriteCounter")?,
            };
            known.insert(row.get("VolumeName")?, state);
            Ok(())
        })?;
    }
    Ok(known)
}

/// `1,2,3`, for `IN (…)`.
pub(crate) fn id_list(jobs: &[JobId]) -> String {
    jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
