//! File and Path rows (spec/05 §2.2, §6): ingest in bounded batches, and streaming reads.

use crate::error::{CatalogError, Result};
use crate::journal::{self, JournalKey};
use crate::params;
use crate::port::{Column, Dialect, Holds};
use crate::tx::{ReadTx, WriteTx};
use crate::value::{Row, Value};
use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap, HashSet};
use types::{FileId, FileIndex, JobId, PathId, Seq, Timestamp, VolSession};

/// Paths whose keys an ingest remembers. Files of a directory arrive together; 4096 paths of 100 bytes are half a MiB.
const PATH_CACHE_MAX: usize = 4096;

/// Files of one transaction. At about 300 bytes each a batch is a few MiB at most, and the sync at its end is paid once.
pub const BATCH_FILES_MAX: usize = 5000;

/// One file as it goes into the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Position in the job; 0 or negative for an entry deleted since the previous job.
    pub file_index: FileIndex,
    /// Directory with its trailing `/`, raw bytes; a directory entry's own path.
    pub path: Vec<u8>,
    /// Base name, raw bytes; empty for a directory.
    pub name: Vec<u8>,
    /// Encoded stat (spec/05 §4.1).
    pub lstat: String,
    /// Digest in base-64 without padding, or `0` (spec/05 §4.2).
    pub digest: String,
    /// Sequence of a plugin delta.
    pub delta_seq: u32,
}

/// A stored file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// Key.
    pub id: FileId,
    /// Job.
    pub job_id: JobId,
    /// Position in the job.
    pub file_index: FileIndex,
    /// Directory with its trailing `/`.
    pub path: Vec<u8>,
    /// Base name; empty for a directory.
    pub name: Vec<u8>,
    /// Encoded stat.
    pub lstat: String,
    /// Digest, or `0`.
    pub digest: String,
    /// Sequence of a plugin delta.
    pub delta_seq: u32,
}

impl FileRow {
    /// Columns in the order of [`COLUMNS`]: results are long, names would cost.
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.at(0)?,
            job_id: row.at(1)?,
            file_index: row.at(2)?,
            path: row.at(3)?,
            name: row.at(4)?,
            lstat: row.at(5)?,
            digest: row.at(6)?,
            delta_seq: row.at(7)?,
        })
    }
}

const FILE_COLUMNS: &[Column] = &[
    Column { name: "FileIndex", holds: Holds::Int },
    Column { name: "JobId", holds: Holds::Int },
    Column { name: "PathId", holds: Holds::Int },
    Column { name: "Filename", holds: Holds::Text },
    Column { name: "DeltaSeq", holds: Holds::Small },
    Column { name: "MarkId", holds: Holds::Int },
    Column { name: "LStat", holds: Holds::Text },
    Column { name: "MD5", holds: Holds::Text },
];

/// Where the paths of a batch are put to be looked up at once; each writing session of PostgreSQL has its own.
pub(crate) const PATHS_TABLE: &str =
    "CREATE TEMPORARY TABLE hf_paths (Path TEXT NOT NULL) ON COMMIT DELETE ROWS";

/// Below, looking paths up one by one costs less.
const PATHS_AT_ONCE_MIN: usize = 4;

const COLUMNS: &str =
    "File.FileId, File.JobId, File.FileIndex, Path.Path, File.Filename, File.LStat, File.MD5, File.DeltaSeq";

/// Inserts batches for one job, remembering the keys of recent paths between them.
///
/// Lives as long as the job's connection to its SD; a transaction that fails makes it forget.
#[derive(Debug)]
pub struct Ingest {
    job: JobId,
    /// Whether a file may be there already: a second attempt sends files of the first again, the later counts (I3).
    replaces: bool,
    paths: HashMap<Vec<u8>, PathId>,
}

impl Ingest {
    /// For a job's first attempt, or (`replaces`) a later one.
    #[must_use]
    pub fn new(job: JobId, replaces: bool) -> Self {
        Self { job, replaces, paths: HashMap::new() }
    }

    /// Inserts files inside `tx`. With a journal, its position moves in the same transaction.
    ///
    /// On an error the caller drops this value with the transaction: keys of paths it made are void.
    ///
    /// # Errors
    /// Those of the database.
    pub fn insert(
        &mut self,
        tx: &WriteTx<'_>,
        files: &[impl Borrow<NewFile>],
        up_to: Option<(&JournalKey, Seq)>,
    ) -> Result<()> {
        let paths = self.path_ids(tx, files)?;
        let mut rows: Vec<(PathId, &NewFile)> =
            paths.into_iter().zip(files.iter().map(Borrow::borrow)).collect();
        if self.replaces {
            rows = last_of_each(rows);
            for (path, file) in &rows {
                tx.execute(
                    "DELETE FROM File WHERE JobId = ?1 AND PathId = ?2 AND Filename = ?3 AND DeltaSeq = ?4",
                    params![self.job, *path, &file.name, file.delta_seq],
                )?;
            }
        }
        let mut values = Vec::with_capacity(rows.len() * FILE_COLUMNS.len());
        for (path, file) in rows {
            values.extend_from_slice(params![
                file.file_index,
                self.job,
                path,
                &file.name,
                file.delta_seq,
                0,
                &file.lstat,
                &file.digest
            ]);
        }
        if !values.is_empty() {
            tx.load("File", FILE_COLUMNS, &values)?;
        }
        match up_to {
            Some((key, seq)) => journal::advance(tx, key, seq),
            None => Ok(()),
        }
    }

    /// Keys of the files' paths, in their order.
    fn path_ids(&mut self, tx: &WriteTx<'_>, files: &[impl Borrow<NewFile>]) -> Result<Vec<PathId>> {
        let all = || files.iter().map(|file| file.borrow().path.as_slice());
        let mut unknown: BTreeSet<&[u8]> = all().filter(|path| !self.paths.contains_key(*path)).collect();
        if !unknown.is_empty() && self.paths.len() + unknown.len() > PATH_CACHE_MAX {
            self.paths.clear();
            unknown = all().collect();
        }
        let found = match tx.dialect() {
            Dialect::Postgres if unknown.len() >= PATHS_AT_ONCE_MIN => ensure_paths(tx, &unknown)?,
            Dialect::Postgres | Dialect::Sqlite => {
                let each = unknown.iter().map(|path| Ok((path.to_vec(), ensure_path(tx, path)?)));
                each.collect::<Result<Vec<_>>>()?
            }
        };
        self.paths.extend(found);
        let known = all().map(|path| {
            self.paths.get(path).copied().ok_or_else(|| CatalogError::BadValue {
                column: "Path.Path".to_owned(),
                problem: format!("lacks {:?}, which was just stored", String::from_utf8_lossy(path)),
            })
        });
        known.collect()
    }
}

/// Of several versions of a file in one batch the last.
fn last_of_each(mut rows: Vec<(PathId, &NewFile)>) -> Vec<(PathId, &NewFile)> {
    let mut seen = HashSet::with_capacity(rows.len());
    rows.reverse();
    rows.retain(|(path, file)| seen.insert((*path, file.name.as_slice(), file.delta_seq)));
    rows.reverse();
    rows
}

/// Key of a path, whose row is made where there is none.
///
/// # Errors
/// Those of the database.
pub(crate) fn ensure_path(tx: &WriteTx<'_>, path: &[u8]) -> Result<PathId> {
    match find_path(tx, path)? {
        Some(id) => Ok(id),
        None => Ok(PathId(tx.insert("INSERT INTO Path (Path) VALUES (?1)", "PathId", params![path])? as u32)),
    }
}

/// [`ensure_path`] for many, in four statements. A row that is there draws no number: PathIds are 32 bits.
fn ensure_paths(tx: &WriteTx<'_>, paths: &BTreeSet<&[u8]>) -> Result<Vec<(Vec<u8>, PathId)>> {
    let values: Vec<Value<'_>> = paths.iter().map(|path| Value::from(*path)).collect();
    tx.execute("DELETE FROM hf_paths", &[])?;
    tx.load("hf_paths", &[Column { name: "Path", holds: Holds::Text }], &values)?;
    tx.execute(
        "INSERT INTO Path (Path) SELECT L.Path FROM hf_paths L WHERE NOT EXISTS (SELECT 1 FROM Path P WHERE P.Path = L.Path) \
         ON CONFLICT DO NOTHING",
        &[],
    )?;
    tx.all("SELECT L.Path, P.PathId FROM hf_paths L JOIN Path P ON P.Path = L.Path", &[], |row| {
        Ok((row.at(0)?, row.at(1)?))
    })
}

/// Sets the digest of a file whose row is there already: its digest came in a later batch than its attributes.
///
/// # Errors
/// Those of the database.
pub fn set_digest(tx: &WriteTx<'_>, job: JobId, index: FileIndex, digest: &str) -> Result<()> {
    // The newest row of the job is nearly always the one; only a replay has to look through the job.
    let last: Option<FileId> = tx.scalar(
        "SELECT FileId FROM File WHERE FileId = (SELECT MAX(FileId) FROM File) AND JobId = ?1 AND FileIndex = ?2",
        params![job, index],
    )?;
    match last {
        Some(id) => tx.execute("UPDATE File SET MD5 = ?2 WHERE FileId = ?1", params![id, digest]),
        None => tx.execute(
            "UPDATE File SET MD5 = ?3 WHERE JobId = ?1 AND FileIndex = ?2",
            params![job, index, digest],
        ),
    }
    .map(drop)
}

/// Notes that a file was taken from a base job: the newest version of it in a job of level Base (spec/05 §2.6).
///
/// # Errors
/// Those of the database.
pub fn insert_base(tx: &WriteTx<'_>, job: JobId, file: &NewFile) -> Result<()> {
    tx.execute(
        "INSERT INTO BaseFiles (BaseJobId, JobId, FileId, FileIndex) \
         SELECT File.JobId, ?1, File.FileId, ?4 FROM File JOIN Job ON Job.JobId = File.JobId \
         WHERE File.PathId = (SELECT PathId FROM Path WHERE Path = ?2) AND File.Filename = ?3 AND File.FileIndex > 0 \
         AND Job.Level = 'B' AND Job.JobStatus IN ('T', 'W') AND File.JobId <> ?1 \
         ORDER BY Job.JobTDate DESC, File.FileId DESC LIMIT 1",
        params![job, &file.path, &file.name, file.file_index],
    )
    .map(drop)
}

/// Key of a path.
///
/// # Errors
/// Those of the database.
pub fn find_path(r: &ReadTx<'_>, path: &[u8]) -> Result<Option<PathId>> {
    r.scalar("SELECT PathId FROM Path WHERE Path = ?1", params![path])
}

/// Number of File rows of a job.
///
/// # Errors
/// Those of the database.
pub fn count(r: &ReadTx<'_>, job: JobId) -> Result<u64> {
    Ok(r.scalar("SELECT count(*) FROM File WHERE JobId = ?1", params![job])?.unwrap_or(0))
}

/// The FileIndexes that a job has rows of, those of objects too, as ranges from first to last in ascending order.
///
/// # Errors
/// Those of the database.
pub fn ranges(r: &ReadTx<'_>, job: JobId) -> Result<Vec<(FileIndex, FileIndex)>> {
    r.all(
        "SELECT MIN(Number), MAX(Number) FROM (SELECT Number, Number - ROW_NUMBER() OVER (ORDER BY Number) AS Run FROM \
         (SELECT FileIndex AS Number FROM File WHERE JobId = ?1 AND FileIndex > 0 \
          UNION SELECT FileIndex FROM RestoreObject WHERE JobId = ?1 AND FileIndex > 0) Numbers) Runs \
         GROUP BY Run ORDER BY 1",
        params![job],
        |row| Ok((row.at(0)?, row.at(1)?)),
    )
}

/// Full names, raw bytes, of the files that these FileIndexes stand for in a session on the Volumes, at most `limit`.
///
/// # Errors
/// Those of the database.
pub fn names_in_session(
    r: &ReadTx<'_>,
    session: VolSession,
    first: FileIndex,
    last: FileIndex,
    limit: u32,
) -> Result<Vec<Vec<u8>>> {
    r.all(
        "SELECT Path.Path, File.Filename FROM Job JOIN File ON File.JobId = Job.JobId JOIN Path ON Path.PathId = File.PathId \
         WHERE Job.VolSessionId = ?1 AND Job.VolSessionTime = ?2 AND Job.Type = 'B' AND File.FileIndex BETWEEN ?3 AND ?4 \
         ORDER BY File.FileIndex LIMIT ?5",
        params![session.id, session.time, first, last, limit],
        |row| {
            let mut name: Vec<u8> = row.at(0)?;
            name.extend(row.at::<Vec<u8>>(1)?);
            Ok(name)
        },
    )
}

/// Each file of a job in the order of FileIndex (`list files`, verify); entries marked deleted are left out.
///
/// # Errors
/// Those of the database and of `each`.
pub fn for_each_of_job(
    r: &ReadTx<'_>,
    job: JobId,
    mut each: impl FnMut(FileRow) -> Result<()>,
) -> Result<()> {
    let sql = format!(
        "SELECT {COLUMNS} FROM File JOIN Path ON Path.PathId = File.PathId WHERE File.JobId = ?1 AND File.FileIndex > 0 \
         ORDER BY File.FileIndex, File.FileId"
    );
    r.for_each(&sql, params![job], |row| each(FileRow::from_row(row)?))
}

/// Jobs up to which a file is looked up in each later job; beyond, sorting all versions once costs less.
const LOOKUP_JOBS_MAX: usize = 12;

/// The newest version of each file over a chain of jobs: what an accurate backup compares with and a restore tree shows.
///
/// A file whose newest version is marked deleted is left out. Jobs are weighed by their JobTDate; files taken from base
/// jobs are included. Order: JobTDate, then the order of arrival (spec/05 §7). Memory does not grow with the result.
///
/// # Errors
/// Those of the database and of `each`.
pub fn for_each_newest(
    r: &ReadTx<'_>,
    jobs: &[JobId],
    mut each: impl FnMut(FileRow, Timestamp) -> Result<()>,
) -> Result<()> {
    let chain = in_order(r, jobs)?;
    if chain.len() > LOOKUP_JOBS_MAX {
        let sql = sorted_sql(&id_list(&chain));
        return r.for_each(&sql, &[], |row| each(FileRow::from_row(row)?, Timestamp(row.at(8)?)));
    }
    for (at, job) in chain.iter().enumerate() {
        let later = id_list(&chain[at..]);
        r.for_each(&not_replaced_sql(&later), params![job.id], |row| {
            each(FileRow::from_row(row)?, job.tdate)
        })?;
        if job.has_base {
            r.for_each(&base_not_replaced_sql(&later), params![job.id], |row| {
                each(FileRow::from_row(row)?, job.tdate)
            })?;
        }
    }
    Ok(())
}

struct Link {
    id: JobId,
    tdate: Timestamp,
    has_base: bool,
}

fn in_order(r: &ReadTx<'_>, jobs: &[JobId]) -> Result<Vec<Link>> {
    let mut chain = Vec::with_capacity(jobs.len());
    for job in jobs {
        chain.extend(r.one("SELECT JobTDate, HasBase FROM Job WHERE JobId = ?1", params![*job], |row| {
            Ok(Link { id: *job, tdate: row.at(0)?, has_base: row.at(1)? })
        })?);
    }
    chain.sort_by_key(|link| (link.tdate, link.id));
    chain.dedup_by_key(|link| link.id);
    Ok(chain)
}

/// Ids of our own rows as an SQL list; no outside text can enter.
fn id_list(chain: &[Link]) -> String {
    chain.iter().map(|link| link.id.to_string()).collect::<Vec<_>>().join(",")
}

/// Files of job ?1 of which no job in `later` (itself included, for a second version in it) has a newer version. Both sides
/// walk indexes, nothing is sorted.
fn not_replaced_sql(later: &str) -> String {
    format!(
        "SELECT {COLUMNS} FROM File JOIN Path ON Path.PathId = File.PathId WHERE File.JobId = ?1 AND File.FileIndex > 0 \
         AND NOT EXISTS (SELECT 1 FROM File N WHERE N.JobId IN ({later}) AND N.PathId = File.PathId AND N.Filename = File.Filename \
         AND N.DeltaSeq = File.DeltaSeq AND (N.JobId <> ?1 OR N.FileId > File.FileId)) ORDER BY File.FileId"
    )
}

/// The same for files that job ?1 took from a base job: they count as its own in time; JobId and FileIndex are the base
/// job's, where their data is.
fn base_not_replaced_sql(later: &str) -> String {
    format!(
        "SELECT {COLUMNS} FROM BaseFiles JOIN File ON File.FileId = BaseFiles.FileId JOIN Path ON Path.PathId = File.PathId WHERE BaseFiles.JobId = ?1 \
         AND NOT EXISTS (SELECT 1 FROM File N WHERE N.JobId IN ({later}) AND N.PathId = File.PathId AND N.Filename = File.Filename) \
         ORDER BY BaseFiles.BaseId"
    )
}

/// All versions sorted by name, the newest first; JobId breaks the tie of jobs that started in one second. The sort is over
/// narrow rows.
fn sorted_sql(jobs: &str) -> String {
    format!(
        "SELECT {COLUMNS}, F.JobTDate FROM ( \
           SELECT A.FileId, A.FileIndex, A.JobTDate, ROW_NUMBER() OVER (PARTITION BY A.PathId, A.Filename, A.DeltaSeq \
             ORDER BY A.JobTDate DESC, A.JobId DESC, A.FileId DESC) AS Rank FROM ( \
             SELECT File.FileId, File.JobId, File.FileIndex, File.PathId, File.Filename, File.DeltaSeq, Job.JobTDate \
               FROM File JOIN Job ON Job.JobId = File.JobId WHERE File.JobId IN ({jobs}) \
             UNION ALL \
             SELECT File.FileId, BaseFiles.JobId, File.FileIndex, File.PathId, File.Filename, File.DeltaSeq, Job.JobTDate \
               FROM BaseFiles JOIN File ON File.FileId = BaseFiles.FileId JOIN Job ON Job.JobId = BaseFiles.JobId \
               WHERE BaseFiles.JobId IN ({jobs}) \
           ) A \
         ) F JOIN File ON File.FileId = F.FileId JOIN Path ON Path.PathId = File.PathId \
         WHERE F.Rank = 1 AND F.FileIndex > 0 ORDER BY F.JobTDate, F.FileId"
    )
}
