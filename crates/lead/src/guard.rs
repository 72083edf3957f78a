//! The right to act.

use crate::clock::now;
use crate::protocol::Moment;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
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

/// Reads the clock of leases; `CLOCK_BOOTTIME` for a process, the world's for a simulated one.
pub type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// One activation of a Director instance. Clones are the same activation.
#[derive(Debug, Clone)]
pub struct EpochGuard {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    epoch: Epoch,
    activation: ActivationId,
    director: String,
    instance: String,
    state: watch::Sender<State>,
    permits: Mutex<Permits>,
    /// A permit was spent.
    spent: Notify,
}

/// Lease time that was given to commands which may not have been answered.
#[derive(Debug, Default)]
struct Permits {
    /// When each of those was given that is still waited for.
    open: BTreeMap<u64, Moment>,
    /// When the last one was given of which nobody will hear any more.
    lost: Option<Moment>,
    /// Number of the next.
    next: u64,
}

/// Lease time for one command that lets data be overwritten (docs/extensions.md §3).
///
/// One that is dropped without [`Permit::spent`] counts as on its way for a whole lease.
#[derive(Debug)]
pub struct Permit {
    shared: Arc<Shared>,
    number: u64,
    lease_ms: u64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("epoch", &self.epoch)
            .field("activation", &self.activation)
            .field("director", &self.director)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
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
        Self::on_clock(Arc::new(now), director, instance, epoch, activation, until)
    }

    /// [`Self::new`], for an engine with another clock. Only [`Self::lost`] needs the runtime's timers.
    #[must_use]
    pub fn on_clock(
        clock: Clock,
        director: &str,
        instance: &str,
        epoch: Epoch,
        activation: ActivationId,
        until: Option<Moment>,
    ) -> Self {
        let (state, _) = watch::channel(State { lost: None, until });
        let (director, instance) = (director.to_owned(), instance.to_owned());
        let (permits, spent) = (Mutex::default(), Notify::new());
        Self {
            shared: Arc::new(Shared { clock, epoch, activation, director, instance, state, permits, spent }),
        }
    }

    fn now(&self) -> Moment {
        (self.shared.clock)()
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
            (None, Some(until)) if until <= self.now() => Err(Lost::Expired),
            (None, _) => Ok(()),
        }
    }

    /// Whether leadership is a lock of the host: whoever held it before has ended, or it could not have been taken.
    #[must_use]
    pub fn is_lock(&self) -> bool {
        self.shared.state.borrow().until.is_none()
    }

    /// Milliseconds of lease that are left, to be shown; `u64::MAX` for a lock without time, 0 when the right to act has ended.
    #[must_use]
    pub fn lease_left_ms(&self) -> u64 {
        self.left_ms(self.now())
    }

    /// Lease time for a command that lets data be overwritten: ask for it before the command is sent.
    #[must_use]
    pub fn permit(&self) -> Permit {
        let now = self.now();
        // Noted first: whoever ends the right then sees that a command may be on its way.
        let number = {
            let mut permits = self.shared.permits();
            let number = permits.next;
            permits.next += 1;
            permits.open.insert(number, now);
            number
        };
        Permit { shared: Arc::clone(&self.shared), number, lease_ms: self.left_ms(now) }
    }

    fn left_ms(&self, now: Moment) -> u64 {
        let state = self.shared.state.borrow();
        match (&state.lost, state.until) {
            (Some(_), _) => 0,
            (None, None) => NO_LIMIT_MS,
            (None, Some(until)) => millis(until.since(now)),
        }
    }

    /// When the last of those permits was given that may be on their way.
    #[must_use]
    pub fn last_permit(&self) -> Option<Moment> {
        let permits = self.shared.permits();
        permits.open.values().copied().chain(permits.lost).max()
    }

    /// Waits until a permit was spent; one waiter. Cancel safe.
    pub(crate) async fn permit_spent(&self) {
        self.shared.spent.notified().await;
    }

    /// The engine has renewed the lease.
    pub fn extend(&self, until: Moment) {
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
                    Some(until) => tokio::time::sleep(until.since(self.now())).await,
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

impl Shared {
    fn permits(&self) -> MutexGuard<'_, Permits> {
        self.permits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Milliseconds of lease that were left when it was given, as the command carries them; as [`EpochGuard::lease_left_ms`].
    #[must_use]
    pub const fn lease_ms(&self) -> u64 {
        self.lease_ms
    }

    /// The command was answered, or never sent: whoever had it has dealt with it.
    pub fn spent(self) {
        self.shared.permits().open.remove(&self.number);
        self.shared.spent.notify_one();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut permits = self.shared.permits();
        if let Some(at) = permits.open.remove(&self.number) {
            permits.lost = permits.lost.max(Some(at));
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
        assert_eq!(held.lease_left_ms(), u64::MAX);
        held.end(Lost::Superseded(Epoch(4)));
        held.end(Lost::Released);
        assert_eq!(held.check(), Err(Lost::Superseded(Epoch(4))));
        assert_eq!(held.lease_left_ms(), 0);
        assert_eq!(held.lost().await, Lost::Superseded(Epoch(4)));
    }

    #[test]
    fn only_a_permit_that_was_spent_is_not_waited_for() {
        let held = guard(Some(now().after(Duration::from_secs(60))));
        assert!(held.lease_left_ms() > 50_000 && held.last_permit().is_none(), "to look is no permit");
        let (first, second) = (held.permit(), held.permit());
        assert!(first.lease_ms() > 50_000);
        let at = held.last_permit();
        second.spent();
        assert!(held.last_permit().is_some() && held.last_permit() <= at);
        drop(first);
        assert!(held.last_permit().is_some(), "nobody knows what became of it");
        let third = held.permit();
        third.spent();
        assert!(held.last_permit() <= at, "the lost one is waited for, and no other");
    }

    #[tokio::test]
    async fn a_lease_ends_by_the_monotonic_clock_unless_extended() {
        let held = guard(Some(now().after(Duration::from_millis(20))));
        held.extend(now().after(Duration::from_secs(60)));
        assert!(held.lease_left_ms() > 50_000);
        held.extend(now().after(Duration::from_millis(5)));
        assert_eq!(held.lost().await, Lost::Expired);
        assert_eq!(held.check(), Err(Lost::Expired));
    }
}
