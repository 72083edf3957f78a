//! Partitions of File: ranges of JobIds, made ahead as JobIds are drawn.
//!
//! Readers see one table. A catalog that Bacula made has a File table without partitions and is used as it is.

use crate::error::Result;
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
    let first = job.0 / JOBS * JOBS;
    for from in [first, first.saturating_add(JOBS)] {
        if is_missing(tx, from)? && i32::try_from(from).is_ok() {
            create(tx, from)?;
        }
    }
    Ok(())
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
