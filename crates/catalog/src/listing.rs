//! Tables for people and programs: the console's `list` and `llist`, and free SQL (spec/04 §8.3).
//!
//! Column names are in lower case as PostgreSQL gives them, since that is what scripts expect.

use crate::error::{CatalogError, Result};
use crate::params;
use crate::tx::ReadTx;
use crate::value::{FromValue, OwnedValue, Row, Value};
use types::{FileId, JobId};

/// Rows of one listing; a console that wants more uses `limit=` or pages.
pub const ROWS_MAX: usize = 1_000_000;

/// How a column is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Whole numbers.
    Number,
    /// Everything else.
    Text,
}

/// A result with names and kinds of its columns; `None` is NULL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Columns.
    pub columns: Vec<(String, ColumnKind)>,
    /// Rows, each as long as `columns`.
    pub rows: Vec<Vec<Option<String>>>,
}

/// What `list jobs` is narrowed to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobFilter {
    /// These JobIds; empty = all.
    pub job_ids: Vec<JobId>,
    /// Unique name.
    pub unique_name: Option<String>,
    /// Name of the Job resource.
    pub name: Option<String>,
    /// Name of the client.
    pub client: Option<String>,
    /// Name of the pool.
    pub pool: Option<String>,
    /// Volume that holds a part of it.
    pub volume: Option<String>,
    /// Status letter.
    pub status: Option<char>,
    /// Type letter.
    pub job_type: Option<char>,
    /// Level letter.
    pub level: Option<char>,
    /// With errors only (spec/04 §8.3 `joberrors`).
    pub errors_only: bool,
    /// Started at or after this local time `YYYY-MM-DD HH:MM:SS`.
    pub started_since: Option<String>,
    /// Newest first.
    pub descending: bool,
    /// At most so many rows.
    pub limit: Option<u32>,
}

const JOB_SHORT: &str = "JobId, Job.Name, StartTime, Type, Level, JobFiles, JobBytes, JobStatus";
const JOB_LONG: &str = "JobId, Job, Job.Name, PurgedFiles, Type, Level, Job.ClientId, Client.Name AS ClientName, JobStatus, \
     SchedTime, StartTime, EndTime, RealEndTime, JobTDate, VolSessionId, VolSessionTime, JobFiles, JobBytes, ReadBytes, \
     JobErrors, JobMissingFiles, Job.PoolId, Pool.Name AS PoolName, PriorJobId, Job.FileSetId, FileSet.FileSet, HasBase, \
     HasCache, Job.Comment";

/// Jobs; the long form has all columns.
///
/// # Errors
/// Those of the database.
pub fn jobs(r: &ReadTx<'_>, filter: &JobFilter, long: bool) -> Result<Listing> {
    let conditions = Conditions::of(filter);
    let order = if filter.descending { "DESC" } else { "ASC" };
    let limit = filter.limit.map_or_else(String::new, |limit| format!(" LIMIT {limit}"));
    let sql = format!(
        "SELECT {} FROM Job LEFT JOIN Client ON Client.ClientId = Job.ClientId LEFT JOIN Pool ON Pool.PoolId = Job.PoolId \
         LEFT JOIN FileSet ON FileSet.FileSetId = Job.FileSetId WHERE 1 = 1{} ORDER BY StartTime {order}, JobId {order}{limit}",
        if long { JOB_LONG } else { JOB_SHORT },
        conditions.sql,
    );
    let values: Vec<Value<'_>> = conditions.values.iter().map(OwnedValue::as_value).collect();
    query(r, &sql, &values)
}

/// Conditions put together with their parameters.
#[derive(Default)]
struct Conditions {
    sql: String,
    values: Vec<OwnedValue>,
}

impl Conditions {
    fn of(filter: &JobFilter) -> Self {
        let mut all = Self::default();
        if !filter.job_ids.is_empty() {
            let ids = filter.job_ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
            all.sql.push_str(&format!(" AND JobId IN ({ids})"));
        }
        all.text("Job.Job = ", filter.unique_name.as_deref());
        all.text("Job.Name = ", filter.name.as_deref());
        all.text("Client.Name = ", filter.client.as_deref());
        all.text("Pool.Name = ", filter.pool.as_deref());
        all.text("JobStatus = ", filter.status.map(String::from).as_deref());
        all.text("Type = ", filter.job_type.map(String::from).as_deref());
        all.text("Level = ", filter.level.map(String::from).as_deref());
        all.text("StartTime >= ", filter.started_since.as_deref());
        if let Some(volume) = &filter.volume {
            all.values.push(OwnedValue::Text(volume.clone().into_bytes()));
            all.sql.push_str(&format!(
                " AND EXISTS (SELECT 1 FROM JobMedia JOIN Media ON Media.MediaId = JobMedia.MediaId \
                 WHERE JobMedia.JobId = Job.JobId AND Media.VolumeName = ?{})",
                all.values.len()
            ));
        }
        if filter.errors_only {
            all.sql.push_str(" AND (JobErrors > 0 OR JobStatus IN ('A', 'E', 'e', 'f'))");
        }
        all
    }

    fn text(&mut self, condition: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.values.push(OwnedValue::Text(value.as_bytes().to_vec()));
            self.sql.push_str(&format!(" AND {condition}?{}", self.values.len()));
        }
    }
}

/// Jobs, files and bytes by job name; sums are text, as PostgreSQL's `numeric`.
///
/// # Errors
/// Those of the database.
pub fn job_totals(r: &ReadTx<'_>) -> Result<(Listing, Listing)> {
    let by_name = query(
        r,
        "SELECT count(*) AS Jobs, SUM(JobFiles) AS Files, CAST(SUM(JobBytes) AS TEXT) AS Bytes, Name AS Job \
         FROM Job GROUP BY Name ORDER BY Name",
        &[],
    )?;
    let total = query(
        r,
        "SELECT count(*) AS Jobs, COALESCE(SUM(JobFiles), 0) AS Files, CAST(COALESCE(SUM(JobBytes), 0) AS TEXT) AS Bytes FROM Job",
        &[],
    )?;
    Ok((by_name, total))
}

/// Pieces of jobs on Volumes; of all jobs when none is given.
///
/// # Errors
/// Those of the database.
pub fn jobmedia(r: &ReadTx<'_>, job: Option<JobId>, long: bool) -> Result<Listing> {
    let columns = if long {
        "JobMediaId, JobId, Media.MediaId, VolumeName, FirstIndex, LastIndex, StartFile, JobMedia.EndFile, StartBlock, \
         JobMedia.EndBlock"
    } else {
        "JobId, VolumeName, FirstIndex, LastIndex"
    };
    let sql = format!(
        "SELECT {columns} FROM JobMedia JOIN Media ON Media.MediaId = JobMedia.MediaId WHERE (?1 = 0 OR JobId = ?1) \
         ORDER BY JobMediaId"
    );
    query(r, &sql, params![job.unwrap_or_default()])
}

/// Log of a job.
///
/// # Errors
/// Those of the database.
pub fn job_log(r: &ReadTx<'_>, job: JobId, long: bool) -> Result<Listing> {
    let columns = if long { "Time, LogText" } else { "LogText" };
    query(r, &format!("SELECT {columns} FROM Log WHERE JobId = ?1 ORDER BY LogId"), params![job])
}

/// Copies, of these jobs or of all.
///
/// # Errors
/// Those of the database.
pub fn copies(r: &ReadTx<'_>, of: &[JobId], limit: Option<u32>) -> Result<Listing> {
    let narrowed = match of {
        [] => String::new(),
        ids => format!(
            " AND Job.PriorJobId IN ({})",
            ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        ),
    };
    let limit = limit.map_or_else(String::new, |limit| format!(" LIMIT {limit}"));
    let sql = format!(
        "SELECT DISTINCT Job.PriorJobId AS JobId, Job.Job, Job.JobId AS CopyJobId, Media.MediaType \
         FROM Job JOIN JobMedia ON JobMedia.JobId = Job.JobId JOIN Media ON Media.MediaId = JobMedia.MediaId \
         WHERE Job.Type = 'C' AND Job.JobStatus IN ('T', 'W'){narrowed} ORDER BY Job.PriorJobId DESC{limit}"
    );
    query(r, &sql, &[])
}

/// The chain that a restore uses: one row for each job and Volume, in the order of `chain`.
///
/// # Errors
/// Those of the database.
pub fn chain(r: &ReadTx<'_>, chain: &[JobId]) -> Result<Listing> {
    let mut listing = Listing::default();
    for job in chain {
        let part = query(
            r,
            "SELECT Job.JobId, Level, JobFiles, JobBytes, StartTime, VolumeName FROM Job \
             LEFT JOIN (SELECT JobId, MediaId, MIN(VolIndex) AS First FROM JobMedia GROUP BY JobId, MediaId) Used \
               ON Used.JobId = Job.JobId \
             LEFT JOIN Media ON Media.MediaId = Used.MediaId WHERE Job.JobId = ?1 ORDER BY Used.First",
            params![*job],
        )?;
        listing.columns = part.columns;
        listing.rows.extend(part.rows);
    }
    Ok(listing)
}

/// The last backups (menu item 1 of `restore`): all columns as text.
///
/// # Errors
/// Those of the database.
pub fn last_backups(r: &ReadTx<'_>, limit: u32) -> Result<Listing> {
    let listing = query(
        r,
        "SELECT Job.JobId, Client.Name AS Client, StartTime, Level AS JobLevel, JobFiles, JobBytes FROM Client, Job \
         WHERE Client.ClientId = Job.ClientId AND JobStatus IN ('T', 'W') AND Type = 'B' \
         ORDER BY StartTime DESC, JobId DESC LIMIT ?1",
        params![limit],
    )?;
    Ok(as_text(listing))
}

/// Jobs of a client that hold a file of this name (menu item 2 of `restore`): all columns as text.
///
/// # Errors
/// Those of the database.
pub fn jobs_with_file(r: &ReadTx<'_>, client: &str, name: &[u8], limit: u32) -> Result<Listing> {
    let listing = query(
        r,
        "SELECT Job.JobId AS JobId, Path.Path || File.Filename AS Name, StartTime, Type AS JobType, JobStatus, JobFiles, \
         JobBytes FROM Client, Job, File, Path WHERE Client.Name = ?1 AND Client.ClientId = Job.ClientId \
         AND Job.JobId = File.JobId AND File.FileIndex > 0 AND Path.PathId = File.PathId AND File.Filename = ?2 \
         ORDER BY StartTime DESC, Job.JobId DESC LIMIT ?3",
        params![client, name, limit],
    )?;
    Ok(as_text(listing))
}

/// One page of a job's files: `(FileId, path and name)`, from above `after`, base files not among them.
///
/// `deleted`: entries that went since the job before (FileIndex ≤ 0); `None`: both.
///
/// # Errors
/// Those of the database.
pub fn files_page(
    r: &ReadTx<'_>,
    job: JobId,
    deleted: Option<bool>,
    after: FileId,
    limit: u32,
) -> Result<Vec<(FileId, Vec<u8>)>> {
    let condition = match deleted {
        None => "",
        Some(true) => " AND FileIndex <= 0",
        Some(false) => " AND FileIndex > 0",
    };
    let sql = format!(
        "SELECT FileId, Path.Path, Filename FROM File JOIN Path ON Path.PathId = File.PathId \
         WHERE JobId = ?1 AND FileId > ?2{condition} ORDER BY FileId LIMIT ?3"
    );
    r.all(&sql, params![job, after, limit], |row| {
        let mut name = row.bytes_at(1).to_vec();
        name.extend_from_slice(row.bytes_at(2));
        Ok((row.at(0)?, name))
    })
}

/// Runs free SQL (`sqlquery`, `.sql`, `query`) in the read transaction: it cannot change anything.
///
/// # Errors
/// Those of the database, its words included.
pub fn free(r: &ReadTx<'_>, sql: &str) -> Result<Listing> {
    query(r, sql, &[])
}

/// Runs a query and keeps all of it.
///
/// # Errors
/// Those of the database; [`CatalogError::Refused`] above [`ROWS_MAX`].
pub fn query(r: &ReadTx<'_>, sql: &str, params: &[Value<'_>]) -> Result<Listing> {
    let mut listing = Listing::default();
    let mut kinds: Vec<Option<ColumnKind>> = Vec::new();
    r.for_each(sql, params, |row| {
        let source = row.source();
        if listing.columns.is_empty() {
            listing.columns =
                (0..source.len()).map(|i| (source.name(i).to_ascii_lowercase(), ColumnKind::Text)).collect();
            kinds = vec![None; source.len()];
        }
        if listing.rows.len() >= ROWS_MAX {
            return Err(CatalogError::Refused(format!(
                "the result has more than {ROWS_MAX} rows; narrow the query"
            )));
        }
        listing.rows.push(cells(row, &listing.columns, &mut kinds)?);
        Ok(())
    })?;
    for (column, kind) in listing.columns.iter_mut().zip(kinds) {
        column.1 = kind.unwrap_or(ColumnKind::Text);
    }
    Ok(listing)
}

fn cells(
    row: &Row<'_>,
    columns: &[(String, ColumnKind)],
    kinds: &mut [Option<ColumnKind>],
) -> Result<Vec<Option<String>>> {
    let mut cells = Vec::with_capacity(columns.len());
    for (i, (name, _)) in columns.iter().enumerate() {
        let value = row.source().value(i);
        if is_time(name) {
            let unset =
                matches!(value, Value::Null | Value::Int(0)) || matches!(value, Value::Text(b"0" | b""));
            kinds[i] = Some(ColumnKind::Text);
            cells.push(if unset { None } else { Some(row.at::<String>(i)?) });
            continue;
        }
        let kind = match value {
            Value::Null => kinds[i],
            Value::Int(_) => Some(kinds[i].unwrap_or(ColumnKind::Number)),
            Value::Real(_) | Value::Text(_) | Value::Blob(_) | Value::Time(_) => Some(ColumnKind::Text),
        };
        kinds[i] = kind;
        cells.push(match value {
            Value::Null => None,
            Value::Blob(bytes) => Some(format!("({} bytes)", bytes.len())),
            _ => Some(String::from_value(value, &crate::Zone::utc()).unwrap_or_default()),
        });
    }
    Ok(cells)
}

/// Names of wall-clock columns: an unset one is 0 in SQLite and shown empty.
fn is_time(name: &str) -> bool {
    matches!(
        name,
        "schedtime"
            | "starttime"
            | "endtime"
            | "realendtime"
            | "realstarttime"
            | "firstwritten"
            | "lastwritten"
            | "labeldate"
            | "initialwrite"
            | "createtime"
            | "createdate"
            | "cleaningdate"
    )
}

fn as_text(mut listing: Listing) -> Listing {
    for column in &mut listing.columns {
        column.1 = ColumnKind::Text;
    }
    listing
}
