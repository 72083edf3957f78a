//! What can go wrong between a typed query and the database.

use types::Epoch;

/// Result of a catalog operation. Absence is no error: queries for one row return `Ok(None)`.
pub type Result<T> = std::result::Result<T, CatalogError>;

/// Why a catalog operation did not happen. A failed write transaction has left nothing behind, but for
/// [`CatalogError::OutcomeUnknown`].
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
    /// Another program holds what is needed for longer than the busy limit, or the server gave this transaction up for another.
    #[error("{act}: the catalog is locked by another program (is a dump or an SQL session open?)")]
    Busy {
        /// What was being done.
        act: String,
    },
    /// The database's server cannot be reached, or the connection to it broke before the transaction was committed: nothing
    /// of the transaction is there.
    #[error("catalog {database} is away: {problem}")]
    Away {
        /// Host and name.
        database: String,
        /// What was tried, and the last error.
        problem: String,
    },
    /// The connection broke while the transaction was being committed: it may be there or not. The caller looks before it
    /// does anything again.
    #[error(
        "catalog {database}: the connection broke during a commit, whose outcome is not known: {problem}"
    )]
    OutcomeUnknown {
        /// Host and name.
        database: String,
        /// The last error.
        problem: String,
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
    /// The catalog cannot be used.
    #[error("open catalog {database}: {problem}")]
    Open {
        /// The file, or host and name.
        database: String,
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

    /// Whether nothing was done because the server is away or the connection broke: the same may be asked again.
    #[must_use]
    pub fn is_away(&self) -> bool {
        matches!(self, Self::Away { .. })
    }

    /// The same for another caller who waited for the same server.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Away { database, problem } => {
                Self::Away { database: database.clone(), problem: problem.clone() }
            }
            other => Self::Refused(other.to_string()),
        }
    }
}

/// The first words of a statement, enough to find it.
pub(crate) fn act_of(sql: &str) -> String {
    let words: Vec<&str> = sql.split_whitespace().take(6).collect();
    format!("catalog: {}", words.join(" "))
}
