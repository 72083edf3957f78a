//! Which history of the database a server holds: an old primary that comes back writable is not to be taken for the catalog.
//!
//! A promotion begins another timeline of the same system. Of two servers that can both be written, the one of the lower timeline
//! was left behind: what was committed since is not there. Within one process the catalog never goes back to it. Who has not seen the
//! higher timeline yet compares all servers before it goes on after a broken connection, or hears of it from a Storage Daemon.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

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
    /// Some daemon has been told of this timeline.
    heard: u32,
    /// How often a connection broke: a server may have been promoted.
    doubts: u64,
    /// How many of these were there before the servers were compared.
    settled: u64,
    /// Refused last; the log is told once.
    refused: Option<History>,
}

impl Newest {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the servers are to be compared before one is used.
    pub(super) fn is_doubtful(&self) -> bool {
        let known = self.known();
        known.doubts != known.settled || known.newest.is_none()
    }

    /// To be remembered before the servers are [compared](Self::compared): what breaks meanwhile is not settled by it.
    pub(super) fn doubts(&self) -> u64 {
        self.known().doubts
    }

    /// A server that was used is not there any more.
    pub(super) fn doubt(&self) {
        self.known().doubts += 1;
    }

    /// A connection to a server of this history broke. One to a server that was left behind says nothing of the one that is used: it would only
    /// have all servers asked again, and the dead one of them does not answer.
    pub(super) fn broke(&self, history: History) {
        let mut known = self.known();
        if known.newest.is_none_or(|newest| newest.timeline <= history.timeline) {
            known.doubts += 1;
        }
    }

    /// A server of a lower timeline was left behind.
    pub(super) fn heard(&self, timeline: u32) {
        let mut known = self.known();
        known.heard = known.heard.max(timeline);
    }

    /// Whether a server of this history may still be used.
    pub(super) fn allows(&self, history: History) -> bool {
        self.known().refusal(history).is_none()
    }

    /// Whether a server of this history may be used; then it is the newest. The text says why not.
    pub(super) fn admit(&self, server: &str, history: History) -> Result<(), String> {
        let mut known = self.known();
        if let Some(problem) = known.refusal(history) {
            if known.refused.replace(history) != Some(history) {
                tracing::error!(server, problem, "a catalog server is not used");
            }
            return Err(problem);
        }
        known.newest = Some(history);
        Ok(())
    }

    /// The servers were compared, and this is the newest of them. There were so many `doubts` before.
    pub(super) fn compared(&self, server: &str, history: History, doubts: u64) -> Result<(), String> {
        self.admit(server, history)?;
        let mut known = self.known();
        known.settled = known.settled.max(doubts);
        Ok(())
    }
}

/// Sees a connection break when it does, not when it is used the next time: servers that were compared since need not be compared again.
/// It has one for its user and one for the task that drives it.
#[derive(Debug, Default)]
pub(super) struct Watch {
    of: OnceLock<(Arc<Newest>, History)>,
    is_broken: AtomicBool,
}

impl Watch {
    /// From here on; before, the one who opens it knows that it failed.
    pub(super) fn begin(&self, newest: Arc<Newest>, history: History) {
        // There is one history for each connection.
        let _ = self.of.set((newest, history));
    }

    /// It broke, or was given up; said as often as anybody notices.
    pub(super) fn broke(&self) {
        if let Some((newest, history)) = self.of.get()
            && !self.is_broken.swap(true, Ordering::SeqCst)
        {
            newest.broke(*history);
        }
    }

    /// Whether its server may still be used.
    pub(super) fn is_allowed(&self) -> bool {
        self.of.get().is_none_or(|(newest, history)| newest.allows(*history))
    }
}

impl Known {
    fn refusal(&self, history: History) -> Option<String> {
        let heard = History { timeline: self.heard, ..history };
        judge(history, self.newest.unwrap_or(history)).and_then(|()| judge(history, heard)).err()
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
        assert!(newest.is_doubtful());
        assert_eq!(newest.admit("host", of(7, 1)), Ok(()));
        assert_eq!(newest.admit("host", of(7, 1)), Ok(()));
        assert_eq!(newest.admit("host", of(7, 3)), Ok(()));
        let refused = newest.admit("host", of(7, 2)).unwrap_err();
        assert!(refused.contains("timeline 2") && refused.contains("timeline 3 has been used"), "{refused}");
        let refused = newest.admit("host", of(8, 9)).unwrap_err();
        assert!(refused.contains("another database system (8, not 7)"), "{refused}");
        assert_eq!(newest.admit("host", of(7, 3)), Ok(()));
    }

    #[test]
    fn the_end_of_a_connection_to_a_server_left_behind_is_no_news() {
        let newest = Newest::default();
        assert_eq!(newest.compared("host", of(7, 2), newest.doubts()), Ok(()));
        newest.broke(of(7, 1));
        assert!(!newest.is_doubtful());
        newest.broke(of(7, 2));
        assert!(newest.is_doubtful());
        newest.broke(of(7, 1));
        assert!(newest.is_doubtful());
    }

    #[test]
    fn a_connection_that_broke_is_news_once_and_when_it_broke() {
        let newest = Arc::new(Newest::default());
        let watches: Vec<Watch> = (0..3).map(|_| Watch::default()).collect();
        for watch in &watches {
            watch.broke();
            watch.begin(Arc::clone(&newest), of(7, 1));
        }
        assert_eq!(newest.compared("host", of(7, 1), newest.doubts()), Ok(()));
        watches[0].broke();
        watches[1].broke();
        assert!(newest.is_doubtful());
        let doubts = newest.doubts();
        // What breaks while the servers are compared may have broken behind the answer of one of them.
        watches[2].broke();
        assert_eq!(newest.compared("host", of(7, 1), doubts), Ok(()));
        assert!(newest.is_doubtful());
        assert_eq!(newest.compared("host", of(7, 1), newest.doubts()), Ok(()));
        assert_eq!(newest.compared("host", of(7, 1), doubts), Ok(()));
        // Whoever finds it broken later on says nothing new.
        watches.iter().for_each(Watch::broke);
        assert!(!newest.is_doubtful());
    }

    #[test]
    fn what_was_only_heard_of_counts_as_well() {
        let newest = Newest::default();
        assert_eq!(newest.compared("host", of(7, 1), newest.doubts()), Ok(()));
        assert!(!newest.is_doubtful());
        newest.doubt();
        assert!(newest.is_doubtful() && newest.allows(of(7, 1)));
        newest.heard(2);
        newest.heard(1);
        assert!(!newest.allows(of(7, 1)) && newest.allows(of(7, 2)));
        assert!(newest.compared("host", of(7, 1), newest.doubts()).is_err() && newest.is_doubtful());
        assert_eq!(newest.compared("host", of(7, 2), newest.doubts()), Ok(()));
    }
}
