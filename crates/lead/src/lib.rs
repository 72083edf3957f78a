//! Leadership: who may act for a Director, and under which epoch (DESIGN §2.5, §4).
//!
//! Here is the engine of a single host: an advisory lock on a file beside the catalog, held for the life of the process, then
//! an epoch raised in the catalog. A second Director on one catalog is refused and told who holds it. The lock ends with its
//! process, however that ends; so what a frozen or half-dead process could still do is stopped by the epoch, which the catalog
//! and every Holdfast daemon check.
//!
//! Absent on purpose: anything about jobs and topology. The Lease engine over PostgreSQL and fencing are to come.

mod guard;
mod lock;

pub use guard::{EpochGuard, Lost};
pub use lock::{HostLock, LockError};

use catalog::leader::Activation;
use catalog::{Catalog, CatalogError};
use std::path::Path;
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
    lock: HostLock,
}

/// For how long, in milliseconds, a command is good that carries this leadership: a lock has no time (docs/extensions.md §3).
pub const LEASE_MS_OF_A_LOCK: u64 = u64::MAX;

/// Becomes active for the catalog's Director: takes the lock at `lock_path`, then raises the epoch above the catalog's and all
/// that were `seen`.
///
/// # Errors
/// [`LeadError::Lock`] names the holder; [`LeadError::Catalog`].
pub async fn activate(
    catalog: &Catalog,
    lock_path: &Path,
    instance: &str,
    seen: Vec<Epoch>,
    now: Timestamp,
) -> Result<Leadership, LeadError> {
    let lock = HostLock::take(lock_path, instance)?;
    let activation = ActivationId(uuid::Uuid::new_v4().as_u128());
    let wish = Activation { holder: instance.to_owned(), activation, seen, timeline: 0, now };
    let row = catalog.raise_epoch(wish).await?;
    tracing::info!(director = catalog.director(), epoch = %row.epoch, instance, "active");
    let guard = EpochGuard::new(catalog.director(), instance, row.epoch, activation, None);
    Ok(Leadership {
        epoch: row.epoch,
        activation,
        catalog: catalog.id(),
        instance: instance.to_owned(),
        guard,
        lock,
    })
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

    /// Where the lock is.
    #[must_use]
    pub fn lock_path(&self) -> &Path {
        self.lock.path()
    }
}
