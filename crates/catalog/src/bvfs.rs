//! Jobs as a browsable file system (Bvfs): directories, files and versions over a list of jobs.
//!
//! The hierarchy of paths and which job holds something below which path are tables of the schema (`PathHierarchy`,
//! `PathVisibility`) that other programs read too; [`update`] fills them.

use crate::error::{CatalogError, Result};
use crate::file;
use crate::params;
use crate::tx::{ReadTx, WriteTx};
use std::collections::BTreeSet;
use types::{FileId, FileIndex, JobId, PathId};

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Directory's own path, or the path the file lies in.
    pub path_id: PathId,
    /// Row of the newest version; 0 for a directory that is in no job itself.
    pub file_id: FileId,
    /// Job of that row.
    pub job_id: JobId,
    /// Encoded status.
    pub lstat: String,
    /// Name; directories end with a slash; `.` and `..` come first.
    pub name: Vec<u8>,
}

/// A version of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Path.
    pub path_id: PathId,
    /// Row.
    pub file_id: FileId,
    /// Job.
    pub job_id: JobId,
    /// Encoded status.
    pub lstat: String,
    /// Digest.
    pub digest: String,
    /// Volume that holds it.
    pub volume: String,
    /// Whether that is in its changer.
    pub in_changer: bool,
}

/// Status of a directory that no job holds.
const NO_STAT: &str = "A A A A A A A A A A A A A A";

/// Backups whose visibility was not computed yet.
///
/// # Errors
/// Those of the database.
pub fn jobs_without_cache(r: &ReadTx<'_>) -> Result<Vec<JobId>> {
    r.all(
        "SELECT JobId FROM Job WHERE HasCache = 0 AND Type IN ('B', 'C', 'R', 'A') AND JobStatus IN ('T', 'W', 'f', 'A') \
         ORDER BY JobId",
        &[],
        |row| row.at(0),
    )
}

/// Computes hierarchy and visibility of one job.
///
/// # Errors
/// Those of the database.
pub fn update(tx: &WriteTx<'_>, job: JobId) -> Result<()> {
    let done: Option<i64> = tx.scalar("SELECT HasCache FROM Job WHERE JobId = ?1", params![job])?;
    if done != Some(0) {
        return Ok(());
    }
    let paths: Vec<(PathId, Vec<u8>)> = tx.all(
        "SELECT DISTINCT Path.PathId, Path.Path FROM File JOIN Path ON Path.PathId = File.PathId WHERE File.JobId = ?1",
        params![job],
        |row| Ok((row.at(0)?, row.at(1)?)),
    )?;
    let mut visible = BTreeSet::new();
    for (id, path) in paths {
        let (mut id, mut path) = (id, path);
        while visible.insert(id) {
            let Some(parent) = parent(&path) else { break };
            let parent_id = file::ensure_path(tx, parent)?;
            tx.execute(
                "INSERT INTO PathHierarchy (PathId, PPathId) SELECT ?1, ?2 WHERE NOT EXISTS \
                 (SELECT 1 FROM PathHierarchy WHERE PathId = ?1)",
                params![id, parent_id],
            )?;
            (id, path) = (parent_id, parent.to_vec());
        }
    }
    for id in visible {
        tx.execute(
            "INSERT INTO PathVisibility (PathId, JobId) SELECT ?1, ?2 WHERE NOT EXISTS \
             (SELECT 1 FROM PathVisibility WHERE PathId = ?1 AND JobId = ?2)",
            params![id, job],
        )?;
    }
    tx.execute("UPDATE Job SET HasCache = 1 WHERE JobId = ?1", params![job]).map(drop)
}

/// Path of the directory above: `/a/` of `/a/b/`, an empty path above `/`, nothing above that.
fn parent(path: &[u8]) -> Option<&[u8]> {
    if path.is_empty() {
        return None;
    }
    let end = path.len() - usize::from(path.ends_with(b"/"));
    Some(path[..end].iter().rposition(|&b| b == b'/').map_or(&[], |at| &path[..=at]))
}

/// Last part of a path, with its slash.
fn last_part(path: &[u8]) -> &[u8] {
    let above = parent(path).map_or(0, <[u8]>::len);
    &path[above..]
}

/// Forgets hierarchy and visibility.
///
/// # Errors
/// Those of the database.
pub fn clear_cache(tx: &WriteTx<'_>) -> Result<()> {
    for sql in ["DELETE FROM PathHierarchy", "DELETE FROM PathVisibility", "UPDATE Job SET HasCache = 0"] {
        tx.execute(sql, &[])?;
    }
    Ok(())
}

fn list(jobs: &[JobId]) -> String {
    // An empty list must match nothing, and be SQL.
    let ids: Vec<String> = jobs.iter().map(ToString::to_string).collect();
    if ids.is_empty() { "-1".to_owned() } else { ids.join(",") }
}

/// Directories below `path`, `.` and `..` first.
///
/// # Errors
/// Those of the database.
pub fn directories(
    r: &ReadTx<'_>,
    jobs: &[JobId],
    path: PathId,
    limit: u32,
    offset: u32,
) -> Result<Vec<Entry>> {
    let mut entries = vec![own_entry(r, jobs, path, b".".to_vec())?];
    let above: Option<PathId> =
        r.scalar("SELECT PPathId FROM PathHierarchy WHERE PathId = ?1", params![path])?;
    if let Some(above) = above {
        entries.push(own_entry(r, jobs, above, b"..".to_vec())?);
    }
    let sql = format!(
        "SELECT Path.PathId, Path.Path FROM PathHierarchy JOIN Path ON Path.PathId = PathHierarchy.PathId \
         WHERE PathHierarchy.PPathId = ?1 AND EXISTS (SELECT 1 FROM PathVisibility \
         WHERE PathVisibility.PathId = Path.PathId AND PathVisibility.JobId IN ({})) ORDER BY Path.Path LIMIT ?2 OFFSET ?3",
        list(jobs)
    );
    let below: Vec<(PathId, Vec<u8>)> =
        r.all(&sql, params![path, limit, offset], |row| Ok((row.at(0)?, row.at(1)?)))?;
    for (id, path) in below {
        entries.push(own_entry(r, jobs, id, last_part(&path).to_vec())?);
    }
    Ok(entries)
}

/// A directory with its own newest row, if a job holds one.
fn own_entry(r: &ReadTx<'_>, jobs: &[JobId], path: PathId, name: Vec<u8>) -> Result<Entry> {
    let sql = format!(
        "SELECT File.FileId, File.JobId, File.LStat FROM File JOIN Job ON Job.JobId = File.JobId WHERE File.PathId = ?1 \
         AND File.Filename = '' AND File.FileIndex > 0 AND File.JobId IN ({}) ORDER BY Job.JobTDate DESC, Job.JobId DESC LIMIT 1",
        list(jobs)
    );
    let found = r.one(&sql, params![path], |row| Ok((row.at(0)?, row.at(1)?, row.at(2)?)))?;
    let (file_id, job_id, lstat) = found.unwrap_or((FileId(0), JobId(0), NO_STAT.to_owned()));
    Ok(Entry { path_id: path, file_id, job_id, lstat, name })
}

/// Files in `path`, the newest version of each; those that are gone are left out.
///
/// # Errors
/// Those of the database.
pub fn files(r: &ReadTx<'_>, jobs: &[JobId], path: PathId, limit: u32, offset: u32) -> Result<Vec<Entry>> {
    let sql = format!(
        "SELECT FileId, JobId, LStat, Filename FROM (SELECT File.FileId, File.JobId, File.LStat, File.Filename, File.FileIndex, \
         ROW_NUMBER() OVER (PARTITION BY File.Filename ORDER BY Job.JobTDate DESC, Job.JobId DESC, File.FileId DESC) AS Newest \
         FROM File JOIN Job ON Job.JobId = File.JobId WHERE File.PathId = ?1 AND File.Filename <> '' AND File.JobId IN ({})) F \
         WHERE Newest = 1 AND FileIndex > 0 ORDER BY Filename LIMIT ?2 OFFSET ?3",
        list(jobs)
    );
    r.all(&sql, params![path, limit, offset], |row| {
        Ok(Entry {
            path_id: path,
            file_id: row.at(0)?,
            job_id: row.at(1)?,
            lstat: row.at(2)?,
            name: row.at(3)?,
        })
    })
}

/// All versions of the file that the row `of` is one of, of a client.
///
/// # Errors
/// Those of the database.
pub fn versions(r: &ReadTx<'_>, client: &str, path: PathId, of: FileId) -> Result<Vec<Version>> {
    r.all(
        "SELECT File.PathId, File.FileId, File.JobId, File.LStat, File.MD5, Media.VolumeName, Media.InChanger FROM File \
         JOIN Job ON Job.JobId = File.JobId JOIN Client ON Client.ClientId = Job.ClientId \
         JOIN JobMedia ON JobMedia.JobId = Job.JobId AND File.FileIndex BETWEEN JobMedia.FirstIndex AND JobMedia.LastIndex \
         JOIN Media ON Media.MediaId = JobMedia.MediaId \
         WHERE Client.Name = ?1 AND File.PathId = ?2 AND File.Filename = (SELECT Filename FROM File WHERE FileId = ?3) \
         AND Job.Type IN ('B', 'C') ORDER BY File.FileId",
        params![client, path, of],
        |row| {
            Ok(Version {
                path_id: row.at(0)?,
                file_id: row.at(1)?,
                job_id: row.at(2)?,
                lstat: row.at(3)?,
                digest: row.at(4)?,
                volume: row.at(5)?,
                in_changer: row.at(6)?,
            })
        },
    )
}

/// Good backups of a client: JobId, JobTDate, start time, job name.
///
/// # Errors
/// Those of the database.
pub fn jobs_of_client(r: &ReadTx<'_>, client: &str) -> Result<Vec<(JobId, i64, String, String)>> {
    r.all(
        "SELECT Job.JobId, Job.JobTDate, Job.StartTime, Job.Name FROM Job JOIN Client ON Client.ClientId = Job.ClientId \
         WHERE Client.Name = ?1 AND Job.Type IN ('B', 'C') AND Job.JobStatus IN ('T', 'W') ORDER BY Job.JobTDate",
        params![client],
        |row| Ok((row.at(0)?, row.at(1)?, row.at(2)?, row.at(3)?)),
    )
}

/// What `.bvfs_restore` picks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picked {
    /// These rows.
    pub files: Vec<FileId>,
    /// Everything below these paths, in its newest version.
    pub directories: Vec<PathId>,
    /// Files that hard links stand for: job and FileIndex.
    pub hard_links: Vec<(JobId, FileIndex)>,
    /// Jobs that `directories` are looked for in.
    pub jobs: Vec<JobId>,
}

/// Whether a text is the name of a selection's table: `b2` and digits, nothing else, since it becomes SQL.
#[must_use]
pub fn is_table_name(name: &str) -> bool {
    let digits = name.strip_prefix("b2").unwrap_or_default();
    (1..=24).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

fn check_name(name: &str) -> Result<()> {
    match is_table_name(name) {
        true => Ok(()),
        false => Err(CatalogError::Refused(format!(
            "\"{name}\" is no name of a selection: it must be b2 and digits"
        ))),
    }
}

/// Keeps a selection in a table of its own, so that another session can restore it (`restore file=?b2…`). Returns its rows.
///
/// # Errors
/// [`CatalogError::Refused`] for a name that is none; those of the database.
pub fn keep_selection(tx: &WriteTx<'_>, name: &str, picked: &Picked) -> Result<u64> {
    check_name(name)?;
    tx.execute(&format!("DROP TABLE IF EXISTS {name}"), &[])?;
    tx.execute(&format!("CREATE TABLE {name} (JobId INTEGER, FileIndex INTEGER)"), &[])?;
    let mut rows = 0;
    for file in &picked.files {
        rows += tx.execute(
            &format!(
                "INSERT INTO {name} SELECT JobId, FileIndex FROM File WHERE FileId = ?1 AND FileIndex > 0"
            ),
            params![*file],
        )?;
    }
    let below = format!(
        "INSERT INTO {name} SELECT JobId, FileIndex FROM (SELECT File.JobId, File.FileIndex, ROW_NUMBER() OVER \
         (PARTITION BY File.PathId, File.Filename ORDER BY Job.JobTDate DESC, Job.JobId DESC, File.FileId DESC) AS Newest \
         FROM Path JOIN File ON File.PathId = Path.PathId JOIN Job ON Job.JobId = File.JobId \
         WHERE substr(Path.Path, 1, length(?1)) = ?1 AND File.JobId IN ({})) F WHERE Newest = 1 AND FileIndex > 0",
        list(&picked.jobs)
    );
    for directory in &picked.directories {
        let path: Option<Vec<u8>> =
            tx.scalar("SELECT Path FROM Path WHERE PathId = ?1", params![*directory])?;
        if let Some(path) = path {
            rows += tx.execute(&below, params![&path])?;
        }
    }
    for (job, index) in &picked.hard_links {
        rows += tx.execute(&format!("INSERT INTO {name} VALUES (?1, ?2)"), params![*job, *index])?;
    }
    Ok(rows)
}

/// A kept selection.
///
/// # Errors
/// [`CatalogError::Refused`] for a name that is none; those of the database when there is no such table.
pub fn selection(r: &ReadTx<'_>, name: &str) -> Result<Vec<(JobId, FileIndex)>> {
    check_name(name)?;
    r.all(&format!("SELECT DISTINCT JobId, FileIndex FROM {name} ORDER BY JobId, FileIndex"), &[], |row| {
        Ok((row.at(0)?, row.at(1)?))
    })
}

/// Forgets a kept selection.
///
/// # Errors
/// [`CatalogError::Refused`] for a name that is none; those of the database.
pub fn drop_selection(tx: &WriteTx<'_>, name: &str) -> Result<()> {
    check_name(name)?;
    tx.execute(&format!("DROP TABLE IF EXISTS {name}"), &[]).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_selections_become_sql() {
        assert!(is_table_name("b21234"));
        for name in ["b2", "b2x", "File", "b21; DROP TABLE Job", "", "b2１", "b2111111111111111111111111111"]
        {
            assert!(!is_table_name(name), "{name}");
        }
    }

    #[test]
    fn parents_of_paths() {
        assert_eq!(parent(b"/a/b/"), Some(&b"/a/"[..]));
        assert_eq!(parent(b"/a/"), Some(&b"/"[..]));
        assert_eq!(parent(b"/"), Some(&b""[..]));
        assert_eq!(parent(b""), None);
        assert_eq!(parent(b"C:/x/"), Some(&b"C:/"[..]));
        assert_eq!(last_part(b"/a/b/"), b"b/");
        assert_eq!(last_part(b"/"), b"/");
    }
}
