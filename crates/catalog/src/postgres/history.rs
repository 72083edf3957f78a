//! Which history of the database a server holds: an old primary that comes back writable is not to be taken for the catalog.
//!
//! A promotion begins another timeline of the same system. Of two servers that can both be written, the one of the lower timeline
//! was left behind: what was committed since is not there. Within one process the catalog never goes back to it.

use std::sync::{Mutex, PoisonError};

/// What identifies the history of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct History {
    /// PostgreSQL's system identifier.
    pub(super) system: u64,
    /// Its timeline.
    pub(super) timeline: u32,
}

/// The newest history that was used.
#[derive(Debug, Default)]
pub(super) struct Newest(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    newest: Option<History>,
    /// Refused last; the log is told once.
    refused: Option<History>,
}

impl Newest {
    /// Whether nothing has been used yet.
    pub(super) fn is_unknown(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).newest.is_none()
    }

    /// Whether a server of this history may be used; then it is the newest. The text says why not.
    pub(super) fn admit(&self, server: &str, history: History) -> Result<(), String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(problem) = known.newest.and_then(|used| judge(history, used).err()) {
            if known.refused.replace(history) != Some(history) {
                tracing::error!(server, problem, "a catalog server is not used");
            }
            return Err(problem);
        }
        *known = Known { newest: Some(history), refused: None };
        Ok(())
    }
}

/// Why a server is not used beside or after one of the history `other`.
pub(super) fn judge(history: History, other: History) -> Result<(), String> {
    let (History { system, timeline }, used) = (history, other.timeline);
    if system != other.system {
        return Err(format!(
            "it can be written, but is another database system ({system}, not {}); leave only one of them in DB Address, and \
             restart the Director",
            other.system
        ));
    }
    if timeline < used {
        return Err(format!(
            "it can be written, but is of timeline {timeline}, and timeline {used} has been used: an old primary that came back. \
             Stop it and make it a replica again (pg_rewind). If it is to be the catalog all the same, leave it alone in DB \
             Address and restart the Director"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(system: u64, timeline: u32) -> History {
        History { system, timeline }
    }

    #[test]
    fn timelines_only_grow_and_the_system_stays() {
        let newest = Newest::default();
        assert!(newest.is_unknown());
        assert_eq!(newest.admit("host", of(7, 1)), Ok(()));
        assert_eq!(newest.admit("host", of(7, 1)), Ok(()));
        assert_eq!(newest.admit("host", of(7, 3)), Ok(()));
        let refused = newest.admit("host", of(7, 2)).unwrap_err();
        assert!(refused.contains("timeline 2") && refused.contains("timeline 3 has been used"), "{refused}");
        let refused = newest.admit("host", of(8, 9)).unwrap_err();
        assert!(refused.contains("another database system (8, not 7)"), "{refused}");
        assert_eq!(newest.admit("host", of(7, 3)), Ok(()));
    }
}
