//! Files that a restore did not get from its Volumes, by name.
//!
//! A Storage Daemon of ours knows a file that it cannot find by its FileIndex in a session (`… FileIndex 33-35 of session
//! 1:1795496370 …`, docs/extensions.md §8); its name is in the catalog.

use super::job::Job;
use crate::handle::Director;
use crate::peer::chain;
use std::ops::RangeInclusive;
use types::{FileIndex, VolSession};
use wire::scan;

/// Ranges remembered for one job; damage beyond is in the Storage Daemon's messages all the same.
pub(crate) const RANGES_MAX: usize = 4096;
/// Files named in the job's messages; more are counted.
const NAMES_MAX: u32 = 1000;

/// Files of one session that are damaged or missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(super) session: VolSession,
    pub(super) indexes: RangeInclusive<i32>,
}

impl Lost {
    /// Out of a Storage Daemon's message; `None` when it tells of no lost file.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("FileIndex ")?;
        let (indexes, rest) = rest.split_once(" of session ")?;
        let (first, last) = indexes.split_once('-').unwrap_or((indexes, indexes));
        let numbers: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == ':').collect();
        let (id, time) = numbers.split_once(':')?;
        let session = VolSession { id: id.parse().ok()?, time: time.parse().ok()? };
        Some(Self { session, indexes: first.parse().ok()?..=last.parse().ok()? })
    }
}

/// Says the names of what was lost in this job and not found elsewhere.
pub(crate) async fn report(director: &Director, job: &Job, lost: Vec<Lost>) {
    if lost.is_empty() {
        return;
    }
    let read = director.catalog().read(move |r| {
        let mut names = Vec::new();
        for Lost { session, indexes } in &lost {
            let left = (NAMES_MAX + 1).saturating_sub(names.len() as u32);
            let (first, last) = (FileIndex(*indexes.start()), FileIndex(*indexes.end()));
            names.extend(catalog::file::names_in_session(r, *session, first, last, left)?);
        }
        Ok(names)
    });
    match read.await {
        Ok(names) => {
            for name in names.iter().take(NAMES_MAX as usize) {
                job.messages.error(&format!(
                    "Not restored in full, for it is damaged or missing: {}",
                    scan::text(name)
                ));
            }
            if names.len() > NAMES_MAX as usize {
                job.messages.error(&format!(
                    "Files not restored in full are {NAMES_MAX} and more; the others are not named."
                ));
            }
        }
        Err(error) => job.messages.error(&format!("names of the files that were lost: {}", chain(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storage_daemons_words_tell_what_was_lost() {
        let session = VolSession { id: 1, time: 1_795_496_370 };
        let text = "Not found on Volume \"V\" and not restored: FileIndex 33-35 of session 1:1795496370.";
        assert_eq!(Lost::parse(text), Some(Lost { session, indexes: 33..=35 }));
        let text = "File (FileIndex 36 of session 1:1795496370) is damaged on the Volume and is not restored in full.";
        assert_eq!(Lost::parse(text), Some(Lost { session, indexes: 36..=36 }));
        assert_eq!(Lost::parse("FileIndex 1 of session 1"), None);
        assert_eq!(Lost::parse("End of Volume"), None);
    }
}
