//! Epochs of Directors: remembered durably before they are answered (docs/extensions.md §2).

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use types::{ActivationId, CatalogId, Epoch};
use wire::verdict::Standing;

use crate::disk::{Disk, SystemDisk};

/// A Director as the daemon knows it: everything is keyed by its name and the identity of its catalog.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DirectorKey {
    /// Resource name.
    pub name: String,
    /// Catalog; `None` for a stock Director.
    pub catalog: Option<CatalogId>,
}

impl DirectorKey {
    /// Name of its directory of journals: no separator and no leading dot can be in it.
    #[must_use]
    pub fn file_name(&self) -> String {
        let name: String = self
            .name
            .bytes()
            .map(|b| match b {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(b).to_string(),
                other => format!("%{other:02x}"),
            })
            .collect();
        match self.catalog {
            Some(catalog) => format!("{name}.{catalog}"),
            None => format!("{name}.stock"),
        }
    }
}

/// What a Director says of itself on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Who.
    pub key: DirectorKey,
    /// Its epoch.
    pub epoch: Epoch,
    /// The activation that drew it.
    pub activation: ActivationId,
    /// The instance.
    pub instance: String,
}

impl Registration {
    fn standing(&self) -> Standing {
        Standing { epoch: self.epoch, activation: self.activation }
    }
}

/// Why a Director is refused.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// Another activation is the newest.
    #[error(
        "Stale Director: epoch {} of Director \"{}\" is active on instance \"{}\"; this connection has epoch {refused}.",
        newest.epoch.0, newest.key.name, newest.instance
    )]
    Stale {
        /// The newest activation known.
        newest: Box<Registration>,
        /// The epoch refused.
        refused: u64,
    },
    /// It could not be remembered, so it is not answered.
    #[error("remember the epoch of the Director")]
    Save(#[source] io::Error),
}

/// The newest registration of each Director.
#[derive(Debug)]
pub struct DirectorRegistry {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    newest: Mutex<HashMap<DirectorKey, Registration>>,
}

impl DirectorRegistry {
    /// Loads what is remembered.
    ///
    /// # Errors
    /// What the system says; a file that cannot be understood is an error: forgetting an epoch is not safe.
    pub fn load(directory: PathBuf) -> io::Result<Self> {
        Self::load_on(Arc::new(SystemDisk), directory)
    }

    /// [`Self::load`] from another disk.
    ///
    /// # Errors
    /// As there.
    pub fn load_on(disk: Arc<dyn Disk>, directory: PathBuf) -> io::Result<Self> {
        let mut newest = HashMap::new();
        for path in disk.list(&directory)? {
            if path.extension().is_none_or(|e| e != "epoch") {
                continue;
            }
            let bytes = disk.read(&path)?;
            let text = std::str::from_utf8(&bytes).unwrap_or_default();
            let registration = parse(text).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{} is no epoch record", path.display()))
            })?;
            newest.insert(registration.key.clone(), registration);
        }
        Ok(Self { disk, directory, newest: Mutex::new(newest) })
    }

    /// Takes a registration, durably, unless a newer one is known.
    ///
    /// # Errors
    /// [`RegisterError`].
    pub fn register(&self, offered: &Registration) -> Result<(), RegisterError> {
        let mut newest = lock(&self.newest);
        if let Some(known) = newest.get(&offered.key) {
            check(known, offered)?;
            if known == offered {
                return Ok(());
            }
        }
        self.disk
            .write_durably(&self.path(&offered.key), format(offered).as_bytes())
            .map_err(RegisterError::Save)?;
        newest.insert(offered.key.clone(), offered.clone());
        Ok(())
    }

    /// Whether the registration is still the newest of its Director; asked before each command.
    ///
    /// # Errors
    /// [`RegisterError::Stale`].
    pub fn check_current(&self, held: &Registration) -> Result<(), RegisterError> {
        match lock(&self.newest).get(&held.key) {
            Some(known) => check(known, held),
            None => Ok(()),
        }
    }

    /// Whether a Director of this name ever had an epoch here. One whose records were removed meanwhile (`forget-director`) has none.
    #[must_use]
    pub fn has_epochs(&self, name: &str) -> bool {
        let mut newest = lock(&self.newest);
        newest.retain(|key, _| key.name != name || self.path(key).exists());
        newest.keys().any(|key| key.name == name)
    }

    fn path(&self, key: &DirectorKey) -> PathBuf {
        self.directory.join(format!("{}.epoch", key.file_name()))
    }

    /// Forgets a Director that has gone back to Bacula.
    ///
    /// # Errors
    /// What the system says.
    pub fn forget(&self, name: &str) -> io::Result<usize> {
        let mut newest = lock(&self.newest);
        let keys: Vec<DirectorKey> = newest.keys().filter(|k| k.name == name).cloned().collect();
        for key in &keys {
            std::fs::remove_file(self.path(key))?;
            newest.remove(key);
        }
        sys::fsync_dir(&self.directory)?;
        Ok(keys.len())
    }
}

fn check(known: &Registration, offered: &Registration) -> Result<(), RegisterError> {
    if sys::failpoint::is_on("bug-epoch-not-checked") {
        return Ok(());
    }
    if offered.standing().is_stale_beside(known.standing()) {
        return Err(RegisterError::Stale { newest: Box::new(known.clone()), refused: offered.epoch.0 });
    }
    Ok(())
}

fn format(r: &Registration) -> String {
    let catalog = r.key.catalog.unwrap_or_default();
    format!(
        "name={}\ncatalog={catalog}\nepoch={}\nactivation={}\ninstance={}\n",
        r.key.name, r.epoch.0, r.activation, r.instance
    )
}

fn parse(text: &str) -> Option<Registration> {
    let get = |key: &str| text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
    Some(Registration {
        key: DirectorKey { name: get("name")?.to_owned(), catalog: Some(get("catalog")?.parse().ok()?) },
        epoch: Epoch(get("epoch")?.parse().ok()?),
        activation: get("activation")?.parse().ok()?,
        instance: get("instance")?.to_owned(),
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(epoch: u64, activation: u128) -> Registration {
        Registration {
            key: DirectorKey { name: "dc1-dir".into(), catalog: Some(CatalogId(7)) },
            epoch: Epoch(epoch),
            activation: ActivationId(activation),
            instance: "a".into(),
        }
    }

    #[test]
    fn a_lower_epoch_and_another_activation_are_refused_after_a_restart_too() {
        let dir = tempfile::tempdir().unwrap();
        let registry = DirectorRegistry::load(dir.path().to_owned()).unwrap();
        registry.register(&registration(5, 1)).unwrap();
        registry.register(&registration(5, 1)).unwrap();
        let again = DirectorRegistry::load(dir.path().to_owned()).unwrap();
        for registry in [&registry, &again] {
            assert!(matches!(registry.register(&registration(4, 9)), Err(RegisterError::Stale { .. })));
            assert!(matches!(registry.register(&registration(5, 2)), Err(RegisterError::Stale { .. })));
            assert!(registry.has_epochs("dc1-dir"));
            assert!(!registry.has_epochs("other"));
        }
        again.register(&registration(6, 2)).unwrap();
        assert!(again.check_current(&registration(5, 1)).is_err());
        assert!(again.check_current(&registration(6, 2)).is_ok());
        let other_catalog = Registration {
            key: DirectorKey { name: "dc1-dir".into(), catalog: Some(CatalogId(8)) },
            ..registration(1, 1)
        };
        again.register(&other_catalog).unwrap();
        assert_eq!(DirectorRegistry::load(dir.path().to_owned()).unwrap().forget("dc1-dir").unwrap(), 2);
        assert!(!again.has_epochs("dc1-dir"));
        assert!(!DirectorRegistry::load(dir.path().to_owned()).unwrap().has_epochs("dc1-dir"));
    }

    #[test]
    fn the_refusal_names_the_active_instance() {
        let dir = tempfile::tempdir().unwrap();
        let registry = DirectorRegistry::load(dir.path().to_owned()).unwrap();
        registry.register(&registration(7, 1)).unwrap();
        let error = registry.register(&registration(6, 3)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Stale Director: epoch 7 of Director \"dc1-dir\" is active on instance \"a\"; this connection has epoch 6."
        );
    }

    #[test]
    fn names_make_no_paths() {
        let key = DirectorKey { name: "../a b".into(), catalog: None };
        assert_eq!(key.file_name(), "%2e%2e%2fa%20b.stock");
    }
}
