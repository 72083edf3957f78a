//! Partitions of File: ranges of JobIds, made ahead as JobIds are drawn, dropped when no job of the range has files any more.
//!
//! Readers see one table. A catalog that Bacula made has a File table without partitions and is used as it is.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::highwater::{self, Sequence};
use crate::params;
use crate::port::Dialect;
use crate::tx::WriteTx;
use types::JobId;

/// Jobs of one partition. A site with a thousand jobs a night has ten nights in one.
pub(crate) const JOBS: u32 = 10_000;

/// Makes sure that `job` and the jobs of the next range have a partition to go to. The next one is there ahead for other
/// programs, which make none.
pub(crate) fn ensure(tx: &WriteTx<'_>, job: JobId) -> Result<()> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(());
    }
    let first = first_of(job);
    let mut wanted = vec![first];
    // A range that has begun has had its own.
    let next = first.saturating_add(JOBS);
    if next > highwater::highest(tx, Sequence::JobId)? {
        wanted.push(next);
    }
    for from in wanted {
        if is_missing(tx, from)? && i32::try_from(from).is_ok() {
            create(tx, from)?;
        }
    }
    Ok(())
}

/// Drops the partitions of ranges that are over and of which no job has files but those in `purged`, whose files go with them:
/// much less work than deleting rows. Returns the first JobId of each range.
///
/// Every reader and writer of File must be gone for a moment. That is waited for a second, since others wait behind it meanwhile.
///
/// # Errors
/// [`crate::CatalogError::Busy`] when File is in use for longer; those of the database.
pub fn drop_unused(tx: &WriteTx<'_>, purged: &BTreeSet<JobId>) -> Result<Vec<u32>> {
    if tx.dialect() == Dialect::Sqlite {
        return Ok(Vec::new());
    }
    if unused(tx, purged)?.is_empty() {
        return Ok(Vec::new());
    }
    tx.execute("SET LOCAL lock_timeout = '1s'", &[])?;
    tx.execute("LOCK TABLE File IN ACCESS EXCLUSIVE MODE", &[])?;
    // Whoever was waited for may have written to them.
    let unused = unused(tx, purged)?;
    for from in &unused {
        tracing::info!(from, to = from + JOBS, "drop a partition of File");
        tx.execute(&format!("DROP TABLE {}", name(*from)), &[])?;
        let sql = "UPDATE Job SET PurgedFiles = 1 WHERE JobId >= ?1 AND JobId < ?2 AND PurgedFiles = 0";
        tx.execute(sql, params![*from, from + JOBS])?;
    }
    Ok(unused)
}

/// The ranges that are over and of which no job has files, but for some of `purged`.
fn unused(tx: &WriteTx<'_>, purged: &BTreeSet<JobId>) -> Result<Vec<u32>> {
    let newest = first_of(JobId(highwater::highest(tx, Sequence::JobId)?));
    let mut unused = Vec::new();
    for from in ranges(tx)?.into_iter().filter(|from| *from < newest) {
        if is_unused(tx, from, purged)? {
            unused.push(from);
        }
    }
    Ok(unused)
}

const fn first_of(job: JobId) -> u32 {
    job.0 / JOBS * JOBS
}

/// The ranges that have a partition as [`create`] makes it.
fn ranges(tx: &WriteTx<'_>) -> Result<Vec<u32>> {
    let partitions = tx.all(
        "SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid \
         WHERE i.inhparent = to_regclass('file')",
        &[],
        |row| Ok((row.at::<String>(0)?, row.at::<String>(1)?)),
    )?;
    let ours = partitions.into_iter().filter_map(|(table, bounds)| {
        let from: u32 = table.strip_prefix("file_j")?.parse().ok()?;
        (bounds == format!("FOR VALUES FROM ({from}) TO ({})", from.checked_add(JOBS)?)).then_some(from)
    });
    Ok(ours.collect())
}

/// Whether no job of the range has files, but for some of `purged`. One whose files were purged has some again when it was taken up again.
fn is_unused(tx: &WriteTx<'_>, from: u32, purged: &BTreeSet<JobId>) -> Result<bool> {
    // One more than may be there.
    let enough = purged.range(JobId(from)..JobId(from + JOBS)).count() + 1;
    let with_files = tx.all(
        "SELECT JobId FROM Job WHERE JobId >= ?1 AND JobId < ?2 \
         AND (PurgedFiles = 0 OR EXISTS (SELECT 1 FROM File WHERE File.JobId = Job.JobId)) LIMIT ?3",
        params![from, from + JOBS, i64::try_from(enough).unwrap_or(i64::MAX)],
        |row| row.at::<JobId>(0),
    )?;
    Ok(with_files.iter().all(|job| purged.contains(job)))
}

fn name(from: u32) -> String {
    format!("file_j{from}")
}

/// False too where File has no partitions.
fn is_missing(tx: &WriteTx<'_>, from: u32) -> Result<bool> {
    let missing: Option<i64> = tx.scalar(
        "SELECT 1 FROM pg_class WHERE oid = to_regclass('file') AND relkind = 'p' AND to_regclass(?1) IS NULL",
        params![&name(from)],
    )?;
    Ok(missing.is_some())
}

/// Two Directors may come here at once; the one that waited finds it done.
fn create(tx: &WriteTx<'_>, from: u32) -> Result<()> {
    tx.lock_schema()?;
    let to = match i32::try_from(from.saturating_add(JOBS)) {
        Ok(to) => to.to_string(),
        Err(_) => "MAXVALUE".to_owned(),
    };
    tracing::info!(from, to, "make a partition of File");
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS {} PARTITION OF File FOR VALUES FROM ({from}) TO ({to})",
        name(from)
    );
    tx.execute(&sql, &[]).map(drop)
}
