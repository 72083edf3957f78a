//! What the server or the way to it says, sorted by what the caller can do about it.

use crate::error::{CatalogError, act_of};
use std::error::Error;
use tokio_postgres::error::SqlState;

/// An error of the driver as one text, the server's own words first.
pub(super) fn words(error: &tokio_postgres::Error) -> String {
    let Some(db) = error.as_db_error() else { return chain(error) };
    let mut text = db.message().to_owned();
    for more in [db.detail(), db.hint()].into_iter().flatten() {
        text.push_str(" (");
        text.push_str(more);
        text.push(')');
    }
    text
}

/// An error with its sources.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}

/// Whether the connection is over, or its server no longer the one that may be written.
pub(super) fn ends_connection(error: &tokio_postgres::Error) -> bool {
    let Some(db) = error.as_db_error() else {
        // Errors of our own making (a parameter that cannot be encoded) leave the connection as it is.
        return error.is_closed() || error.source().is_some_and(<dyn Error>::is::<std::io::Error>);
    };
    let code = db.code();
    matches!(db.severity(), "FATAL" | "PANIC")
        || code.code().starts_with("08")
        || *code == SqlState::ADMIN_SHUTDOWN
        || *code == SqlState::CRASH_SHUTDOWN
        || *code == SqlState::CANNOT_CONNECT_NOW
        || *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
}

/// Whether the server has become a replica under us.
pub(super) fn is_read_only(error: &tokio_postgres::Error) -> bool {
    error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
}

/// The error of a statement on a connection that goes on.
pub(super) fn failed(sql: &str, error: &tokio_postgres::Error) -> CatalogError {
    let act = act_of(sql);
    let detail = words(error);
    let Some(code) = error.code() else {
        return CatalogError::Database { act, source: detail.into() };
    };
    match *code {
        SqlState::DISK_FULL => CatalogError::DiskFull { act },
        SqlState::LOCK_NOT_AVAILABLE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::T_R_SERIALIZATION_FAILURE => CatalogError::Busy { act },
        SqlState::CHARACTER_NOT_IN_REPERTOIRE => CatalogError::Database {
            act,
            source: format!(
                "{detail}; the database's encoding must be SQL_ASCII, since names of files are bytes: \
                 dump it, create it anew with ENCODING 'SQL_ASCII', and load the dump"
            )
            .into(),
        },
        ref other if other.code().starts_with("23") => CatalogError::Conflict { act, detail },
        _ => CatalogError::Database { act, source: detail.into() },
    }
}
