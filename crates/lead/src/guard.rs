//! The right to act.

use crate::clock::now;
use crate::protocol::Moment;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use types::{ActivationId, Epoch};

/// What `lease_ms` says where leadership is a lock on the local host and has no time (docs/extensions.md §3).
const NO_LIMIT_MS: u64 = u64::MAX;

/// Why the right to act has ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The catalog or an SD knows a higher epoch.
    #[error("another instance is active in epoch {0}")]
    Superseded(Epoch),
    /// The lease ran out before it could be renewed.
    #[error("the lease ran out")]
    Expired,
    /// It was given back: the Director stops, or a switchover was asked for.
    #[error("the role was given back")]
    Released,
    /// Another instance is about to fence this one.
    #[error("instance {0} is about to fence this one")]
    Claimed(String),
    /// The catalog does not know this activation any more.
    #[error("the catalog has gone back in time: it does not know this activation")]
    CatalogWentBack,
    /// To be active again at once, in a higher epoch.
    #[error("a higher epoch is needed")]
    Renewing,
}

/// One activation of a Director instance. Clones are the same activation.
#[derive(Debug, Clone)]
pub struct EpochGuard {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    epoch: Epoch,
    activation: ActivationId,
    director: String,
    instance: String,
    state: watch::Sender<State>,
    /// When lease time was last given to a command.
    last_permit: Mutex<Option<Moment>>,
}

#[derive(Debug, Clone)]
struct State {
    lost: Option<Lost>,
    /// None for a lock without time.
    until: Option<Moment>,
}

impl EpochGuard {
    /// For an engine that has raised the epoch. `until` is the end of the lease on `CLOCK_BOOTTIME`, none for a lock.
    #[must_use]
    pub fn new(
        director: &str,
        instance: &str,
        epoch: Epoch,
        activation: ActivationId,
        until: Option<Moment>,
    ) -> Self {
        let (state, _) = watch::channel(State { lost: None, until });
        let (director, instance) = (director.to_owned(), instance.to_owned());
        let last_permit = Mutex::default();
        Self { shared: Arc::new(Shared { epoch, activation, director, instance, state, last_permit }) }
    }

    /// The epoch of this activation.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.shared.epoch
    }

    /// Drawn at random for this activation.
    #[must_use]
    pub fn activation(&self) -> ActivationId {
        self.shared.activation
    }

    /// Name of the Director resource.
    #[must_use]
    pub fn director(&self) -> &str {
        &self.shared.director
    }

    /// Name of the instance.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.shared.instance
    }

    /// Whether the instance may act now.
    ///
    /// # Errors
    /// [`Lost`] says why it may not.
    pub fn check(&self) -> Result<(), Lost> {
        let state = self.shared.state.borrow();
        match (&state.lost, state.until) {
            (Some(lost), _) => Err(lost.clone()),
            (None, Some(until)) if until <= now() => Err(Lost::Expired),
            (None, _) => Ok(()),
        }
    }

    /// Whether leadership is a lock of the host: whoever held it before has ended, or it could not have been taken.
    #[must_use]
    pub fn is_lock(&self) -> bool {
        self.shared.state.borrow().until.is_none()
    }

    /// Milliseconds of lease that are left, as destructive commands carry them; `u64::MAX` for a lock without time, 0 when
    /// the right to act has ended.
    #[must_use]
    pub fn lease_ms(&self) -> u64 {
        let now = now();
        // Noted first: whoever ends the right then sees that a command may be on its way.
        *self.permit() = Some(now);
        let state = self.shared.state.borrow();
        match (&state.lost, state.until) {
            (Some(_), _) => 0,
            (None, None) => NO_LIMIT_MS,
            (None, Some(until)) => millis(until.since(now)),
        }
    }

    /// When lease time was last asked for by [`Self::lease_ms`].
    pub(crate) fn last_permit(&self) -> Option<Moment> {
        *self.permit()
    }

    fn permit(&self) -> MutexGuard<'_, Option<Moment>> {
        self.shared.last_permit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine has renewed the lease.
    pub(crate) fn extend(&self, until: Moment) {
        self.shared.state.send_modify(|state| state.until = Some(until));
    }

    /// The right has ended; the first reason stays.
    pub fn end(&self, why: Lost) {
        self.shared.state.send_modify(|state| {
            state.lost.get_or_insert(why);
        });
    }

    /// Waits until the right has ended. Cancel safe.
    pub async fn lost(&self) -> Lost {
        let mut state = self.shared.state.subscribe();
        loop {
            let (lost, until) = {
                let now = state.borrow_and_update();
                (now.lost.clone(), now.until)
            };
            if let Some(lost) = lost {
                return lost;
            }
            let expired = async {
                match until {
                    Some(until) => tokio::time::sleep(until.since(now())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // The sender lives in `self`, so a change is the only way this can end.
                _ = state.changed() => {}
                // The timer may be a little early by this clock.
                () = expired => if let Err(lost) = self.check() { return lost; },
            }
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(NO_LIMIT_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(until: Option<Moment>) -> EpochGuard {
        EpochGuard::new("lab-dir", "a", Epoch(3), ActivationId(9), until)
    }

    #[tokio::test]
    async fn a_lock_without_time_holds_until_it_is_ended_and_the_first_reason_stays() {
        let held = guard(None);
        assert_eq!(held.check(), Ok(()));
        assert!(held.is_lock() && !guard(Some(now())).is_lock());
        assert_eq!(held.lease_ms(), u64::MAX);
        held.end(Lost::Superseded(Epoch(4)));
        held.end(Lost::Released);
        assert_eq!(held.check(), Err(Lost::Superseded(Epoch(4))));
        assert_eq!(held.lease_ms(), 0);
        assert_eq!(held.lost().await, Lost::Superseded(Epoch(4)));
    }

    #[tokio::test]
    async fn a_lease_ends_by_the_monotonic_clock_unless_extended() {
        let held = guard(Some(now().after(Duration::from_millis(20))));
        held.extend(now().after(Duration::from_secs(60)));
        assert!(held.lease_ms() > 50_000);
        held.extend(now().after(Duration::from_millis(5)));
        assert_eq!(held.lost().await, Lost::Expired);
        assert_eq!(held.check(), Err(Lost::Expired));
    }
}
