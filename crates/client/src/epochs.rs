//! Which epoch of which Director is in force (docs/extensions.md §2). A client keeps it in memory: it holds no data that a
//! stale Director could destroy, and a running one learns of a new epoch by its first connection.

use std::collections::HashMap;
use std::sync::Mutex;

use types::{CatalogId, Epoch};
use wire::msg::holdfast::{Refusal, Registration};
use wire::verdict::Standing;

/// The registration of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Name of the Director.
    pub director: String,
    /// What it said.
    pub registration: Registration,
}

/// The highest registrations.
#[derive(Debug, Default)]
pub struct Epochs {
    highest: Mutex<HashMap<(String, CatalogId), Registration>>,
}

impl Epochs {
    /// Registers a Director; the answer's epoch is its own.
    ///
    /// # Errors
    /// [`Refusal::Stale`] for a lower epoch, or the same one with another activation.
    pub fn register(&self, director: &str, registration: Registration) -> Result<Registered, Box<Refusal>> {
        let registered = Registered { director: director.to_owned(), registration };
        let key = (director.to_owned(), registered.registration.catalog);
        let mut highest = self.highest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(active) = highest.get(&key)
            && !is_current(&registered.registration, active)
        {
            return Err(Box::new(stale(director, active, registered.registration.epoch)));
        }
        highest.insert(key, registered.registration.clone());
        Ok(registered)
    }

    /// Checks a command of a registered connection against what is known now.
    ///
    /// # Errors
    /// [`Refusal::Stale`] when a newer epoch has come.
    pub fn check(&self, registered: &Registered) -> Result<(), Box<Refusal>> {
        let key = (registered.director.clone(), registered.registration.catalog);
        let highest = self.highest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match highest.get(&key) {
            Some(active) if !is_current(&registered.registration, active) => {
                Err(Box::new(stale(&registered.director, active, registered.registration.epoch)))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Checks a Director that comes without an epoch.
    ///
    /// # Errors
    /// [`Refusal::NoEpoch`] when it once had one.
    pub fn check_without(&self, director: &str) -> Result<(), Box<Refusal>> {
        let highest = self.highest.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if highest.keys().any(|(name, _)| name == director) {
            return Err(Box::new(Refusal::NoEpoch { director: director.to_owned() }));
        }
        Ok(())
    }
}

fn is_current(asked: &Registration, active: &Registration) -> bool {
    let standing = |of: &Registration| Standing { epoch: of.epoch, activation: of.activation };
    !standing(asked).is_stale_beside(standing(active))
}

fn stale(director: &str, active: &Registration, own: Epoch) -> Refusal {
    Refusal::Stale {
        director: director.to_owned(),
        active: active.epoch,
        instance: active.instance.clone(),
        own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::ActivationId;

    fn registration(epoch: u64, activation: u128) -> Registration {
        Registration {
            epoch: Epoch(epoch),
            activation: ActivationId(activation),
            catalog: CatalogId(1),
            instance: "a".into(),
        }
    }

    #[test]
    fn a_lower_epoch_and_another_activation_are_refused() {
        let epochs = Epochs::default();
        assert!(epochs.check_without("d").is_ok());
        let old = epochs.register("d", registration(3, 1)).unwrap();
        assert!(epochs.register("d", registration(2, 1)).is_err());
        assert!(epochs.register("d", registration(3, 2)).is_err());
        assert!(epochs.register("d", registration(3, 1)).is_ok());
        assert!(epochs.check(&old).is_ok());
        epochs.register("d", registration(4, 9)).unwrap();
        assert!(epochs.check(&old).is_err());
        assert!(epochs.check_without("d").is_err());
        assert!(epochs.check_without("other").is_ok());
    }
}
