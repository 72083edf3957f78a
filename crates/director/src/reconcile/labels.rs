//! Labels that were being written when a Director died, or its Storage Daemon did.
//!
//! `label` and `relabel` note in the catalog what they are about to ask for; the row of the new Volume takes the place of the note.
//! A note that is left is settled as soon as the daemon was asked what it holds: a Volume that is there, with nothing on it, gets
//! its row, and the one that it was made of goes; one that is not there was not made.

use super::ask::{Heard, Place};
use crate::error::DirectorError;
use crate::handle::Director;
use crate::peer::chain;
use crate::text;
use catalog::media::{self, MediaRow};
use catalog::operator::{self, Setting};
use catalog::volume_state::{self, VolumeState};
use catalog::{WriteTx, purge};
use types::{Timestamp, VolStatus, bash_spaces, unbash_spaces};

/// Kind of operator's setting that is a note; its name is that of the new Volume.
pub(crate) const KIND: &str = "labelling";

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Note {
    storage: String,
    volume: String,
    /// The Volume whose place it takes.
    old: Option<String>,
}

/// The note of a label that is about to be asked for.
pub(crate) fn note(storage: &str, volume: &str, old: Option<&str>) -> Setting {
    let words = std::iter::once(storage).chain(old).map(bash_spaces);
    Setting { kind: KIND.to_owned(), name: volume.to_owned(), value: words.collect::<Vec<_>>().join(" ") }
}

impl Note {
    fn of(setting: &Setting) -> Option<Self> {
        let mut words = setting.value.split(' ').map(unbash_spaces);
        let storage = words.next().filter(|_| setting.kind == KIND)?;
        Some(Self { storage, volume: setting.name.clone(), old: words.next() })
    }
}

/// Settles the notes of one daemon, which has said what it holds; what was done, for log and operator.
pub(super) async fn settle(
    director: &Director,
    place: &Place,
    heard: &Heard,
) -> Result<Vec<String>, DirectorError> {
    let config = director.config();
    let name = config.director.name.clone();
    let settings = director.catalog().read(move |r| operator::list(r, &name)).await;
    let is_here = |note: &Note| config.storage(&note.storage).is_some_and(|s| Place::of(s) == *place);
    let settings = settings.map_err(|error| failed(&error))?;
    let notes: Vec<Note> = settings.iter().filter_map(Note::of).filter(is_here).collect();
    if notes.is_empty() {
        return Ok(Vec::new());
    }
    let (heard, now) = (heard.clone(), text::now());
    let written = director.catalog().write(director.epoch(), move |tx| {
        let done = notes.iter().map(|note| settle_one(tx, &heard, note, now).transpose());
        done.flatten().collect::<catalog::Result<Vec<String>>>()
    });
    written.await.map_err(|error| failed(&error))
}

fn settle_one(
    tx: &WriteTx<'_>,
    heard: &Heard,
    note: &Note,
    now: Timestamp,
) -> catalog::Result<Option<String>> {
    let name = &note.volume;
    operator::clear(tx, KIND, name)?;
    let made = heard.volumes.get(name).filter(|entry| entry.jobs == 0 && entry.blocks == 0);
    let (Some(entry), None) = (made, media::get_by_name(tx, name)?) else { return Ok(None) };
    let Some(pool) = catalog::pool::get_by_name(tx, &entry.pool)? else { return Ok(None) };
    let mut row = MediaRow::new(name, pool.id, &entry.media_type, pool.limits.clone());
    row.label_type = pool.label_type;
    row.recycle_pool_id = pool.recycle_pool_id;
    row.scratch_pool_id = pool.scratch_pool_id;
    // Whether it is a file or a tape is told by the daemon when it is mounted.
    (row.vol_bytes, row.vol_files, row.label_date) = (entry.bytes, entry.files, Some(now));
    if let Some(storage) = catalog::storage::get_by_name(tx, &note.storage)? {
        row.storage_id = storage.id;
    }
    let id = media::create(tx, &row)?;
    let state =
        VolumeState { label_date: entry.label_time.0, state_seq: entry.seq, write_counter: entry.writes };
    volume_state::advance(tx, id, state)?;
    let mut said = format!("Volume \"{name}\" was labelled when the Director ended, and is recorded now");
    let old = note.old.as_ref().filter(|old| !heard.volumes.contains_key(*old));
    let old = old.map(|old| media::get_by_name(tx, old)).transpose()?.flatten();
    if let Some(old) = old.filter(|old| matches!(old.status, VolStatus::Purged | VolStatus::Recycle)) {
        purge::delete_volume(tx, &old)?;
        said.push_str(&format!(
            "; Volume \"{}\", of which it was made, is deleted from the catalog",
            old.volume_name
        ));
    }
    Ok(Some(said))
}

fn failed(error: &catalog::CatalogError) -> DirectorError {
    DirectorError::Catalog(chain(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_back() {
        let (old, volume) = (Some("Old Volume".to_owned()), "New Volume".to_owned());
        let setting = note("File 1", &volume, old.as_deref());
        assert_eq!(Note::of(&setting), Some(Note { storage: "File 1".to_owned(), volume, old }));
        let setting = note("File1", "V", None);
        assert_eq!(Note::of(&setting).unwrap().old, None);
        let other = Setting { kind: "job".to_owned(), ..setting };
        assert_eq!(Note::of(&other), None);
    }
}
