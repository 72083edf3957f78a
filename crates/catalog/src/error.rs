//! What can go wrong between a typed query and the database.

use std::path::PathBuf;
use types::Epoch;

/// Result of a catalog operation. Absence is no error: queries for one row return `Ok(None)`.
pub type Result<T> = std::result::Result<T, CatalogError>;

/// Why a catalog operation did not happen. A failed write transaction has left nothing behind.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// The caller's epoch is not the one in the catalog: another instance was activated. The caller must stop acting.
    #[error("epoch {held} of Director \"{director}\" is over: the catalog is at {}", current.map_or_else(|| "none".to_owned(), |e| e.to_string()))]
    EpochOver {
        /// Name of the Director resource.
        director: String,
        /// The epoch the transaction was asked for.
        held: Epoch,
        /// The catalog's epoch; none when this Director was never activated on it.
        current: Option<Epoch>,
    },
    /// A row with the same unique key exists.
    #[error("{act}: {detail}")]
    Conflict {
        /// What was being done.
        act: String,
        /// The database's words: table and columns.
        detail: String,
    },
    /// The disk under the catalog is full.
    #[error("{act}: the disk that holds the catalog is full; free some space and run the job again")]
    DiskFull {
        /// What was being done.
        act: String,
    },
    /// Another process holds the database for longer than the busy limit.
    #[error("{act}: the catalog is locked by another program (is a dump or `sqlite3` session open?)")]
    Busy {
        /// What was being done.
        act: String,
    },
    /// The database did not do it.
    #[error("{act}")]
    Database {
        /// What was being done: the statement's first words.
        act: String,
        /// The database's words.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A row holds a value that cannot be what the column means.
    #[error("column {column} of a catalog row {problem}")]
    BadValue {
        /// The column.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The catalog file cannot be used.
    #[error("open catalog {}: {problem}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// The schema is of a generation this program does not work on.
    #[error("catalog {database} has schema generation {found}; Holdfast works on 1026. {remedy}")]
    Generation {
        /// Which database.
        database: String,
        /// `Version.VersionId` as found.
        found: i64,
        /// What the operator can do.
        remedy: &'static str,
    },
    /// The catalog's threads have ended: the daemon is stopping.
    #[error("the catalog connection is closed")]
    Closed,
    /// A request that the catalog's rules refuse; the text says which.
    #[error("{0}")]
    Refused(String),
}

impl CatalogError {
    /// Whether the caller has lost its epoch and must stop acting.
    #[must_use]
    pub fn is_epoch_over(&self) -> bool {
        matches!(self, Self::EpochOver { .. })
    }
}
