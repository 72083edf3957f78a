//! Which of a Storage and its cold spare serves, by the newest word of each Director: remembered durably before it is answered
//! (docs/extensions.md §11).
//!
//! The records lie beside the Volumes and move with them. They are read whenever they are needed, which is seldom; so they may be
//! removed (`forget-director`) while the daemon runs.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use types::StorageEpoch;
use wire::msg::holdfast::StoragePlace;

use super::DirectorKey;
use crate::disk::{Disk, SystemDisk};

/// What a Director is told of a Storage that it must not use here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "Storage \"{role}\" is served by \"{serving}\" in storage epoch {epoch}; nothing is read or written here for \"{here}\"."
)]
pub struct NotServing {
    /// The main Storage of the pair.
    pub role: String,
    /// The one of the pair that serves.
    pub serving: String,
    /// The newest storage epoch known.
    pub epoch: StorageEpoch,
    /// The Storage that was addressed.
    pub here: String,
}

/// The newest places known, one file for each Director, catalog and pair.
#[derive(Debug)]
pub struct StoragePlaces {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    turn: Mutex<()>,
}

impl StoragePlaces {
    /// With the records of a directory.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { disk: Arc::new(SystemDisk), directory, turn: Mutex::default() }
    }

    /// Takes a Director's word, durably, unless a newer one is known. Gives the newest, and why the addressed Storage is not to be
    /// used; none when it serves.
    ///
    /// # Errors
    /// What the system says; a record that cannot be understood is an error: forgetting a storage epoch is not safe.
    pub fn learn(
        &self,
        key: &DirectorKey,
        said: &StoragePlace,
    ) -> io::Result<(StorageEpoch, Option<NotServing>)> {
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = self.load(key, &said.role)?;
        let newest = match known {
            Some(known) if known.epoch > said.epoch => known,
            // Two words of one epoch would be two Directors'; the first one stays.
            Some(known) if known.epoch == said.epoch => known,
            Some(_) | None => {
                self.disk.write_durably(&self.path(key, &said.role), &said.format())?;
                said.clone()
            }
        };
        let serves =
            newest.epoch == said.epoch && newest.serving == said.serving && said.here == said.serving;
        let refused = (!serves).then(|| NotServing {
            role: newest.role.clone(),
            serving: newest.serving.clone(),
            epoch: newest.epoch,
            here: said.here.clone(),
        });
        Ok((newest.epoch, refused))
    }

    /// Whether the main Storage of a pair is addressed while its spare serves; for Directors that say nothing of pairs.
    ///
    /// # Errors
    /// As [`Self::learn`].
    pub fn refuses(&self, key: &DirectorKey, storage: &str) -> io::Result<Option<NotServing>> {
        let known = self.load(key, storage)?.filter(|known| known.serving != storage);
        Ok(known.map(|known| NotServing {
            role: known.role,
            serving: known.serving,
            epoch: known.epoch,
            here: storage.to_owned(),
        }))
    }

    fn load(&self, key: &DirectorKey, role: &str) -> io::Result<Option<StoragePlace>> {
        let path = self.path(key, role);
        let bytes = match self.disk.read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        StoragePlace::parse(&bytes).map(Some).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} is no record of a Storage", path.display()),
            )
        })
    }

    fn path(&self, key: &DirectorKey, role: &str) -> PathBuf {
        let role = DirectorKey { name: role.to_owned(), catalog: None }.file_name();
        self.directory.join(format!("{}.{role}.place", key.file_name()))
    }

    /// Forgets what the Directors of a name have said.
    ///
    /// # Errors
    /// What the system says.
    pub fn forget(&self, director: &str) -> io::Result<()> {
        let name = DirectorKey { name: director.to_owned(), catalog: None }.file_name();
        let prefix = name.strip_suffix("stock").unwrap_or(&name);
        for path in self.disk.list(&self.directory)? {
            let is_of_director =
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
            if is_of_director && path.extension().is_some_and(|extension| extension == "place") {
                std::fs::remove_file(&path)?;
            }
        }
        sys::fsync_dir(&self.directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::CatalogId;

    fn key() -> DirectorKey {
        DirectorKey { name: "dc1-dir".into(), catalog: Some(CatalogId(7)) }
    }

    fn word(epoch: u64, serving: &str, here: &str) -> StoragePlace {
        StoragePlace {
            role: "sd 1".into(),
            epoch: StorageEpoch(epoch),
            serving: serving.into(),
            here: here.into(),
        }
    }

    #[test]
    fn the_newest_epoch_is_kept_over_a_restart_and_an_older_word_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let places = StoragePlaces::new(dir.path().to_owned());
        assert_eq!(places.learn(&key(), &word(1, "sd 1", "sd 1")).unwrap(), (StorageEpoch(1), None));
        let (_, refused) = places.learn(&key(), &word(2, "spare", "sd 1")).unwrap();
        assert_eq!(refused.unwrap().serving, "spare");

        let again = StoragePlaces::new(dir.path().to_owned());
        let (epoch, refused) = again.learn(&key(), &word(1, "sd 1", "sd 1")).unwrap();
        assert_eq!(epoch, StorageEpoch(2));
        let text = refused.unwrap().to_string();
        assert!(text.starts_with("Storage \"sd 1\" is served by \"spare\" in storage epoch 2;"), "{text}");
        assert!(again.refuses(&key(), "sd 1").unwrap().is_some());
        assert!(again.refuses(&key(), "sd 2").unwrap().is_none());
        let other = DirectorKey { catalog: Some(CatalogId(8)), ..key() };
        assert!(again.refuses(&other, "sd 1").unwrap().is_none());

        // The disk with its records is at the spare's host now.
        assert_eq!(again.learn(&key(), &word(2, "spare", "spare")).unwrap().1, None);
        assert_eq!(again.learn(&key(), &word(3, "sd 1", "sd 1")).unwrap(), (StorageEpoch(3), None));
        assert!(again.learn(&key(), &word(3, "spare", "spare")).unwrap().1.is_some(), "one epoch, two words");
        assert!(again.refuses(&key(), "sd 1").unwrap().is_none());
    }

    #[test]
    fn a_damaged_record_is_an_error_until_it_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let places = StoragePlaces::new(dir.path().to_owned());
        places.learn(&key(), &word(2, "spare", "sd 1")).unwrap();
        std::fs::write(places.path(&key(), "sd 1"), "garbage").unwrap();
        assert!(places.learn(&key(), &word(3, "spare", "spare")).is_err());
        assert!(places.refuses(&key(), "sd 1").is_err());
        let other = DirectorKey { name: "dc1-dir-2".into(), ..key() };
        places.learn(&other, &word(2, "spare", "sd 1")).unwrap();
        places.forget("dc1-dir").unwrap();
        assert!(places.refuses(&key(), "sd 1").unwrap().is_none());
        assert!(places.refuses(&other, "sd 1").unwrap().is_some(), "of another Director");
    }
}
