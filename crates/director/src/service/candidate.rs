//! How an instance becomes active: by the lock of its host, or by the lease in the catalog's server.

use super::activate::same_as_last;
use super::{AGAIN_AFTER, RunError};
use crate::cluster::Seat;
use crate::cluster::fencing::{self, Fencing};
use crate::peer::chain;
use crate::{database, reconcile};
use catalog::Catalog;
use conf::DirectorConfig;
use conf::director::Cluster;
use lead::fence::Fencer;
use lead::protocol::{Name, Terms};
use lead::{Claim, Holder, HostCandidate, LeaseCandidate, LeaseView, LockError};
use net::daemon::DaemonContext;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// How this instance becomes active.
pub(super) enum Candidate {
    /// By the lock of its host: the catalog is a local file.
    Host(HostCandidate),
    /// By the lease in the catalog's server.
    Lease { catalog: Catalog, lease: Arc<LeaseCandidate> },
}

impl Candidate {
    /// `None` when the daemon stops before the catalog can be reached.
    pub(super) async fn new(
        seat: &Seat,
        cluster: &Cluster,
        context: &DaemonContext,
    ) -> Result<Option<Self>, RunError> {
        let config = seat.config();
        if !database::is_on_a_server(&config)? {
            let lock = database::lock_file(&config)?;
            return Ok(Some(Self::Host(HostCandidate::new(&lock, seat.instance(), cluster.lease_time))));
        }
        let lease_time = cluster.lease_time;
        let Some(catalog) = reach_catalog(&config, seat.instance(), context).await? else { return Ok(None) };
        let fencing = fencing(&config, &catalog, seat.instance()).await;
        tracing::info!(fence = ?fencing.fence, why = fencing.why, "whether the former active instance is switched off at a takeover");
        seat.set_fencing(&fencing);
        let terms = Terms {
            me: seat.instance().into(),
            peers: seat
                .peers()
                .iter()
                .map(|peer| peer.name.as_str().into())
                .filter(|name: &Arc<str>| **name != *seat.instance())
                .collect(),
            lease: lease_time,
            drift: cluster.drift_bound(),
            fence: fencing.fence,
        };
        let session = catalog.lease_session(lease_time / 3);
        // Before it could take over with another configuration than the last.
        if let Err(RunError::OtherConfiguration(other)) = same_as_last(&catalog, &seat.configuration()).await
        {
            seat.expect_configuration(&other.last_whole, &other.instance);
        }
        let lease = LeaseCandidate::start(session, terms, fencers(&config), &config.director.name);
        if seat.held_back().borrow().is_held() {
            lease.hold_back(true).await;
        }
        Ok(Some(Self::Lease { catalog, lease: Arc::new(lease) }))
    }

    /// The catalog, where it is open before this instance is active.
    pub(super) fn catalog(&self) -> Option<Catalog> {
        match self {
            Self::Host(_) => None,
            Self::Lease { catalog, .. } => Some(catalog.clone()),
        }
    }

    /// Hears of epochs while it stands by, where the lock of the host does not say all.
    pub(super) fn scout(&self, seat: &Seat) -> Option<AbortOnDropHandle<()>> {
        let Self::Lease { catalog, lease } = self else { return None };
        let scout = reconcile::scout(seat.clone(), catalog.id(), Arc::clone(lease));
        Some(AbortOnDropHandle::new(tokio::spawn(scout)))
    }

    pub(super) async fn take(&self) -> Result<Claim, LockError> {
        match self {
            Self::Host(candidate) => candidate.take().await.map(Claim::Lock),
            Self::Lease { lease, .. } => Ok(Claim::Lease(lease.take().await)),
        }
    }

    /// Who is active, whenever that changes, and what stands against this instance.
    pub(super) fn watch(&self) -> Watch {
        match self {
            Self::Host(candidate) => Watch::Host(candidate.seen()),
            Self::Lease { lease, .. } => Watch::Lease(lease.view()),
        }
    }

    /// Sees who is active without becoming so, for as long as that can be seen.
    pub(super) async fn look_on(&self) -> LockError {
        match self {
            Self::Host(candidate) => candidate.watch().await,
            // The engine looks in any case.
            Self::Lease { .. } => std::future::pending().await,
        }
    }

    /// Keeps this instance from becoming active, or lets it.
    pub(super) async fn hold_back(&self, held: bool) {
        match self {
            // It does not ask for the lock meanwhile.
            Self::Host(_) => {}
            Self::Lease { lease, .. } => lease.hold_back(held).await,
        }
    }

    /// An operator's word that this instance is to be active at once.
    pub(super) async fn force(&self) {
        match self {
            // Whoever holds the lock of the host is alive: that is asked for a switchover instead.
            Self::Host(_) => {}
            Self::Lease { lease, .. } => lease.force().await,
        }
    }
}

pub(super) enum Watch {
    Host(watch::Receiver<Option<Holder>>),
    Lease(watch::Receiver<LeaseView>),
}

impl Watch {
    /// The next change. Cancel safe.
    pub(super) async fn next(&mut self) -> LeaseView {
        let changed = match self {
            Self::Host(seen) => seen.changed().await.is_ok(),
            Self::Lease(view) => view.changed().await.is_ok(),
        };
        if !changed {
            std::future::pending::<()>().await;
        }
        match self {
            Self::Host(seen) => {
                let holder = seen.borrow_and_update().clone().filter(|holder| holder.process.is_some());
                LeaseView { holder: holder.map(|holder| holder.instance), hindrance: None }
            }
            Self::Lease(view) => view.borrow_and_update().clone(),
        }
    }
}

/// Whether the former active instance is switched off at a takeover. What is not known of the Storage Daemons is asked now.
async fn fencing(config: &DirectorConfig, catalog: &Catalog, instance: &str) -> Fencing {
    let name = config.director.name.clone();
    let known = catalog.read(move |r| catalog::operator::list(r, &name)).await;
    let mut checks = fencing::known(&known.unwrap_or_default());
    if config.storages.iter().any(|storage| !checks.contains_key(&storage.name)) {
        checks.extend(reconcile::checking(config, instance, catalog.id()).await);
    }
    fencing::choose(config, &checks)
}

/// How each instance is switched off; one whose agent is missing here cannot be.
fn fencers(config: &DirectorConfig) -> HashMap<Name, Fencer> {
    let mut fencers = HashMap::new();
    for instance in &config.instances {
        let device = instance.fence_device.as_deref().and_then(|name| config.fence_device(name));
        match device.map(Fencer::new) {
            Some(Ok(fencer)) => drop(fencers.insert(instance.name.as_str().into(), fencer)),
            Some(Err(error)) => {
                tracing::error!(instance = instance.name, error = %chain(&error), "this instance cannot be fenced");
            }
            None => {}
        }
    }
    fencers
}

/// Opens a server's catalog, trying again while it is away.
pub(super) async fn reach_catalog(
    config: &DirectorConfig,
    instance: &str,
    context: &DaemonContext,
) -> Result<Option<Catalog>, RunError> {
    let mut said = String::new();
    loop {
        match database::open(config, instance).await {
            Ok(catalog) => return Ok(Some(catalog)),
            Err(RunError::Catalog(error)) if error.is_away() => {
                let text = chain(&error);
                // It goes on for as long as the server is away; what is new is said.
                if text != said {
                    tracing::warn!(error = text, "the catalog cannot be reached; it is tried until it can");
                    context.set_ready();
                    context.set_status("waiting for the catalog");
                    said = text;
                }
            }
            Err(error) => return Err(error),
        }
        tokio::select! {
            () = context.stop.cancelled() => return Ok(None),
            () = tokio::time::sleep(AGAIN_AFTER) => {}
        }
    }
}
