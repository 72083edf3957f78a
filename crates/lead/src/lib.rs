//! Leadership: who may act for a Director, and under which epoch (DESIGN §2.5, §4).
//!
//! Here is the engine of a single host: an advisory lock on a file beside the catalog, then an epoch raised in the catalog. A
//! Director that stands alone takes the lock or is told who holds it ([`HostLock::take`]); an instance of a cluster waits for it
//! ([`HostCandidate`]). What a half-dead process could still do is stopped by the epoch, which the catalog and every Holdfast
//! daemon check.
//!
//! [`protocol`] is the lease protocol as pure functions, explored by the model in `tests/model`.
//!
//! Absent on purpose: anything about jobs and topology. The engine that runs the protocol over PostgreSQL and the fence agents
//! are to come.

mod guard;
mod host;
mod lock;
pub mod protocol;

pub use guard::{EpochGuard, Lost};
pub use host::HostCandidate;
pub use lock::{Holder, HostLock, LockError};

use catalog::leader::Activation;
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
    lock: Arc<HostLock>,
    beats: AbortOnDropHandle<()>,
}

/// How often the holder of a lock shows that it moves. A candidate's lease time must be several times this.
const BEAT_EVERY: Duration = Duration::from_millis(500);

/// Becomes active for the catalog's Director as the holder of its lock: raises the epoch above the catalog's and all that were
/// `seen`.
///
/// # Errors
/// [`LeadError::Catalog`].
pub async fn activate(
    catalog: &Catalog,
    lock: HostLock,
    instance: &str,
    seen: Vec<Epoch>,
    now: Timestamp,
) -> Result<Leadership, LeadError> {
    let activation = ActivationId(uuid::Uuid::new_v4().as_u128());
    let wish = Activation { holder: instance.to_owned(), activation, seen, timeline: 0, now };
    let row = catalog.raise_epoch(wish).await?;
    tracing::info!(director = catalog.director(), epoch = %row.epoch, instance, "active");
    let guard = EpochGuard::new(catalog.director(), instance, row.epoch, activation, None);
    let lock = Arc::new(lock);
    Ok(Leadership {
        epoch: row.epoch,
        activation,
        catalog: catalog.id(),
        instance: instance.to_owned(),
        guard,
        beats: AbortOnDropHandle::new(tokio::spawn(beats(Arc::clone(&lock)))),
        lock,
    })
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
    /// Raises the epoch above `seen` (a Storage Daemon knew a higher one), keeping the lock.
    ///
    /// # Errors
    /// [`LeadError::Catalog`].
    pub async fn raise(self, catalog: &Catalog, seen: Epoch, now: Timestamp) -> Result<Self, LeadError> {
        let activation = ActivationId(uuid::Uuid::new_v4().as_u128());
        let wish =
            Activation { holder: self.instance.clone(), activation, seen: vec![seen], timeline: 0, now };
        let row = catalog.raise_epoch(wish).await?;
        tracing::warn!(epoch = %row.epoch, %seen, "epoch raised above one that a Storage Daemon knew");
        self.guard.end(Lost::Superseded(row.epoch));
        let guard = EpochGuard::new(catalog.director(), &self.instance, row.epoch, activation, None);
        Ok(Self { epoch: row.epoch, activation, guard, ..self })
    }

    /// The right to act, for everything that writes or commands. It ends when the epoch is raised again.
    #[must_use]
    pub fn guard(&self) -> &EpochGuard {
        &self.guard
    }

    /// Ends the right to act and gives the lock back, to `heir` when one is named.
    pub async fn release(self, heir: Option<&str>) {
        self.guard.end(Lost::Released);
        self.beats.abort();
        // It has a share of the lock; that it was aborted is no news.
        let _ = self.beats.await;
        if let Some(heir) = heir {
            self.lock.leave_to(heir);
        }
    }
}
