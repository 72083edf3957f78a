//! Counters of Label Formats (spec/04 §5.4).

use crate::error::Result;
use crate::params;
use crate::tx::{ReadTx, WriteTx};

/// A row of `Counters`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterRow {
    /// Name of the Counter resource.
    pub name: String,
    /// First value.
    pub min: i64,
    /// Last value; after it comes the first again.
    pub max: i64,
    /// Value now.
    pub current: i64,
    /// Counter that is incremented when this one wraps; empty = none.
    pub wrap: String,
}

/// Creates the row of a Counter resource where there is none; an existing one keeps its value.
///
/// # Errors
/// Those of the database.
pub fn ensure(tx: &WriteTx<'_>, counter: &CounterRow) -> Result<()> {
    tx.execute(
        "INSERT INTO Counters (Counter, MinValue, MaxValue, CurrentValue, WrapCounter) VALUES (?1, ?2, ?3, ?4, ?5) \
         ON CONFLICT (Counter) DO UPDATE SET MinValue = excluded.MinValue, MaxValue = excluded.MaxValue, WrapCounter = excluded.WrapCounter",
        params![&counter.name, counter.min, counter.max, counter.current, &counter.wrap],
    )
    .map(drop)
}

/// All Counters.
///
/// # Errors
/// Those of the database.
pub fn list(r: &ReadTx<'_>) -> Result<Vec<CounterRow>> {
    r.all("SELECT Counter, MinValue, MaxValue, CurrentValue, WrapCounter FROM Counters", &[], |row| {
        Ok(CounterRow {
            name: row.get("Counter")?,
            min: row.get("MinValue")?,
            max: row.get("MaxValue")?,
            current: row.get("CurrentValue")?,
            wrap: row.get("WrapCounter")?,
        })
    })
}

/// Counters that a chain of wraps goes through at most: a ring of them must not go round for ever.
const WRAPS_MAX: usize = 16;

/// Increments a Counter; at its maximum it begins anew and the next one is incremented.
///
/// # Errors
/// Those of the database.
pub fn advance(tx: &WriteTx<'_>, counter: &CounterRow) -> Result<()> {
    let all = list(tx)?;
    let mut name = counter.name.clone();
    for _ in 0..WRAPS_MAX {
        let Some(row) = all.iter().find(|row| row.name == name) else { return Ok(()) };
        let wraps = row.max > 0 && row.current >= row.max;
        let next = if wraps { row.min } else { row.current.saturating_add(1) };
        tx.execute("UPDATE Counters SET CurrentValue = ?2 WHERE Counter = ?1", params![&row.name, next])?;
        if !wraps || row.wrap.is_empty() {
            return Ok(());
        }
        name.clone_from(&row.wrap);
    }
    Ok(())
}
