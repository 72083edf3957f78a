//! Leadership: who may act for a Director, and under which epoch (DESIGN §2.5, §4).
//!
//! Here is the engine of a single host: an advisory lock on a file beside the catalog, then an epoch raised in the catalog. A
//! Director that stands alone takes the lock or is told who holds it ([`HostLock::take`]); an instance of a cluster waits for it
//! ([`HostCandidate`]). What a half-dead process could still do is stopped by the epoch, which the catalog and every Holdfast
//! daemon check.
//!
//! And the engine of several hosts: a lease in the catalog's leadership row ([`LeaseCandidate`]), by the rules of [`protocol`].
//! Under a cluster manager (`Engine = Pacemaker`) the same lease is taken and given back by [`order`] only.
//! [`fence`] switches off the machine of an instance that must not act any more.
//!
//! Absent on purpose: anything about jobs and topology.

mod clock;
pub mod fence;
mod guard;
mod host;
mod lease;
mod lock;
pub mod order;
pub mod protocol;

pub use guard::{Clock, EpochGuard, Lost, Permit};
pub use host::HostCandidate;
pub use lease::{LeaseCandidate, LeaseHold, LeaseView, lost, row_of, sight_of};
pub use lock::{Holder, HostLock, LockError};

use catalog::leader::{Activation, LeaderRow};
use catalog::{Catalog, CatalogError};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::AbortOnDropHandle;
use types::{ActivationId, CatalogId, Epoch, Timestamp};

/// Why a Director did not become active.
#[derive(Debug, thiserror::Error)]
pub enum LeadError {
    /// Another process is active, or the lock cannot be taken.
    #[error("become active")]
    Lock(#[from] LockError),
    /// The catalog did not take the epoch.
    #[error("raise the epoch in the catalog")]
    Catalog(#[from] CatalogError),
}

/// Leadership that is held. Dropping it gives the lock back; the epoch stays.
#[derive(Debug)]
pub struct Leadership {
    /// The epoch of this activation.
    pub epoch: Epoch,
    /// Drawn at random for it.
    pub activation: ActivationId,
    /// The catalog it holds for.
    pub catalog: CatalogId,
    /// This instance.
    pub instance: String,
    guard: EpochGuard,
    means: Means,
}

/// What keeps others from acting meanwhile.
#[derive(Debug)]
enum Means {
    Lock { lock: Arc<HostLock>, beats: AbortOnDropHandle<()> },
    Lease(LeaseHold),
}

/// What an instance has that may become active.
#[derive(Debug)]
pub enum Claim {
    /// The lock of a host; the epoch has yet to be raised.
    Lock(HostLock),
    /// The lease of the catalog, in its epoch.
    Lease(LeaseHold),
}

/// How often the holder of a lock shows that it moves. A candidate's lease time must be several times this.
const BEAT_EVERY: Duration = Duration::from_millis(500);

impl Claim {
    /// Nothing came of it: others may have it.
    pub async fn give_back(self) {
        match self {
            Self::Lock(lock) => drop(lock),
            Self::Lease(hold) => hold.give_back(None, false).await,
        }
    }
}

/// Becomes active for the catalog's Director: as the holder of its lock by raising the epoch above the catalog's, as that of the
/// lease in the epoch of the lease.
///
/// # Errors
/// [`LeadError::Catalog`].
pub async fn activate(
    catalog: &Catalog,
    claim: Claim,
    instance: &str,
    now: Timestamp,
) -> Result<Leadership, LeadError> {
    let lock = match claim {
        Claim::Lock(lock) => lock,
        Claim::Lease(hold) => {
            return Ok(Leadership {
                epoch: hold.guard().epoch(),
                activation: hold.guard().activation(),
                catalog: catalog.id(),
                instance: instance.to_owned(),
                guard: hold.guard().clone(),
                means: Means::Lease(hold),
            });
        }
    };
    let activation = ActivationId(uuid::Uuid::new_v4().as_u128());
    let wish = Activation { holder: instance.to_owned(), activation, seen: Vec::new(), timeline: 0, now };
    let row = match known_bug_epoch_not_raised(catalog).await? {
        Some(row) => row,
        None => catalog.raise_epoch(wish).await?,
    };
    tracing::info!(director = catalog.director(), epoch = %row.epoch, instance, "active");
    let guard = EpochGuard::new(catalog.director(), instance, row.epoch, activation, None);
    let lock = Arc::new(lock);
    Ok(Leadership {
        epoch: row.epoch,
        activation,
        catalog: catalog.id(),
        instance: instance.to_owned(),
        guard,
        means: Means::Lock { beats: AbortOnDropHandle::new(tokio::spawn(beats(Arc::clone(&lock)))), lock },
    })
}

/// A known bug that tests put back: the former activation's row, whose epoch is then taken over as it is.
async fn known_bug_epoch_not_raised(catalog: &Catalog) -> Result<Option<LeaderRow>, CatalogError> {
    if !sys::failpoint::is_on("bug-epoch-not-raised") {
        return Ok(None);
    }
    let director = catalog.director().to_owned();
    catalog.read(move |r| catalog::leader::get(r, &director)).await
}

/// Shows for as long as the lock is held that this process moves.
async fn beats(lock: Arc<HostLock>) {
    let mut ticks = tokio::time::interval(BEAT_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = lock.beat() {
            // The lock is held all the same; a candidate will take this process for frozen if it goes on.
            tracing::error!(lock = %lock.path().display(), %error, "write the beat of the active instance");
        }
    }
}

impl Leadership {
    /// Raises the epoch above `seen` (a Storage Daemon knew a higher one). With a lock that is done at once; the lease ends this
    /// activation and makes another: then `None`.
    ///
    /// # Errors
    /// [`LeadError::Catalog`].
    pub async fn raise(
        self,
        catalog: &Catalog,
        seen: Epoch,
        now: Timestamp,
    ) -> Result<Option<Self>, LeadError> {
        if let Means::Lease(hold) = &self.means {
            hold.outrun(seen).await;
            return Ok(None);
        }
        let activation = ActivationId(uuid::Uuid::new_v4().as_u128());
        let wish =
            Activation { holder: self.instance.clone(), activation, seen: vec![seen], timeline: 0, now };
        let row = catalog.raise_epoch(wish).await?;
        tracing::warn!(epoch = %row.epoch, %seen, "epoch raised above one that a Storage Daemon knew");
        self.guard.end(Lost::Superseded(row.epoch));
        let guard = EpochGuard::new(catalog.director(), &self.instance, row.epoch, activation, None);
        Ok(Some(Self { epoch: row.epoch, activation, guard, ..self }))
    }

    /// Why the catalog may have gone back in time, where the engine thinks so.
    #[must_use]
    pub fn doubt(&self) -> Option<&'static str> {
        match &self.means {
            Means::Lease(hold) if hold.reconcile => Some("its epochs are not those of the last activation"),
            Means::Lease(_) | Means::Lock { .. } => None,
        }
    }

    /// Whether whoever was active before cannot act any more, also not on what checks no epoch (a stock Storage Daemon): its lock
    /// was given back by the kernel, or as [`LeaseHold::is_alone`] says.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        match &self.means {
            Means::Lock { .. } => true,
            Means::Lease(hold) => hold.is_alone,
        }
    }

    /// The right to act, for everything that writes or commands. It ends when the epoch is raised again.
    #[must_use]
    pub fn guard(&self) -> &EpochGuard {
        &self.guard
    }

    /// Lets go of a role that was lost: there is nothing to give back, but the lock of the host is free when this returns.
    pub async fn forgo(self) {
        if let Means::Lock { lock, beats } = self.means {
            beats.abort();
            // It has a share of the lock; that it was aborted is no news.
            let _ = beats.await;
            drop(lock);
        }
    }

    /// Ends the right to act and gives the role back, to `heir` when one is named. With `demote`, the Lease engine does not take
    /// it again before [`LeaseCandidate::promote`].
    pub async fn release(self, heir: Option<&str>, demote: bool) {
        self.guard.end(Lost::Released);
        match self.means {
            Means::Lock { lock, beats } => {
                beats.abort();
                // It has a share of the lock; that it was aborted is no news.
                let _ = beats.await;
                if let Some(heir) = heir {
                    lock.leave_to(heir);
                }
            }
            Means::Lease(hold) => hold.give_back(heir, demote).await,
        }
    }
}
