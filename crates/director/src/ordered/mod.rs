//! An instance under a cluster manager (`Engine = Pacemaker`): a standby until it is ordered to be active (DESIGN §4).
//!
//! The manager's agent gives its orders over a [`control`] socket. An order stands until the next one: while it stands, the instance
//! becomes active as soon as the catalog lets it, also again after a catalog that was away. How it holds the role is the lease engine's
//! business, which raises the epoch, ends the sessions of the former holder and renews; only that it waits for nobody.
//!
//! A standby has nothing to do with the catalog, whose server may be stopped on its machine. Who is active it learns from the
//! other instances ([`lookout`]).

mod control;
mod lookout;

use crate::cluster::{Ask, Seat, replicate};
use crate::database;
use crate::peer::chain;
use crate::service::{AGAIN_AFTER, Ending, RunError, Start, activate, hold};
use catalog::Catalog;
use conf::director::Cluster;
use lead::protocol::{Fence, Terms};
use lead::{Claim, LeaseCandidate, LeaseHold};
use net::daemon::DaemonContext;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

/// How often a catalog that is away is tried while the order stands: its server is often started just before.
const REACH_EVERY: Duration = Duration::from_millis(200);
/// How often the order is given to the lease engine again, should one have been lost.
const ORDER_EVERY: Duration = Duration::from_secs(1);

/// Answers who gave an order.
type Reply = oneshot::Sender<Result<(), String>>;

/// Serves until the daemon stops.
///
/// # Errors
/// [`RunError::Config`] for a catalog that is no server's, [`RunError::Control`] for a socket that cannot be had.
pub(crate) async fn serve(
    seat: &Seat,
    cluster: &Cluster,
    mut asked: mpsc::Receiver<Ask>,
    context: &mut DaemonContext,
) -> Result<(), RunError> {
    let config = seat.config();
    if !database::is_on_a_server(&config)? {
        return Err(RunError::Config(
            "`Engine = Pacemaker` needs the catalog on PostgreSQL (`DB Driver`): an embedded one cannot be shared between machines"
                .to_owned(),
        ));
    }
    let look = Arc::new(Notify::new());
    let control = control::Control::bind(&config, seat.instance())?;
    let _control = AbortOnDropHandle::new(tokio::spawn(control.serve(seat.clone(), Arc::clone(&look))));
    let _lookout = AbortOnDropHandle::new(tokio::spawn(lookout::run(seat.clone(), look)));
    context.set_ready();
    let mut served = Served { seat, asked: &mut asked, context };
    loop {
        served.context.set_status("standby");
        seat.set_ordered(false, None);
        let Some(reply) = served.until_ordered().await else { return Ok(()) };
        seat.set_ordered(true, None);
        tell(reply);
        match served.tenure(cluster).await? {
            Some(reply) => tell(reply),
            None => return Ok(()),
        }
    }
}

fn tell(reply: Reply) {
    // Whoever gave the order may be gone.
    let _ = reply.send(Ok(()));
}

/// What this instance is asked while it waits for something.
struct Served<'a> {
    seat: &'a Seat,
    asked: &'a mut mpsc::Receiver<Ask>,
    context: &'a mut DaemonContext,
}

/// How a wait ended.
enum Waited<T> {
    Done(T),
    /// The opposite was ordered.
    Ordered(Reply),
    Stopped,
}

impl Served<'_> {
    /// Waits for the order to be active; none when the daemon stops.
    async fn until_ordered(&mut self) -> Option<Reply> {
        match self.meanwhile(false, std::future::pending::<()>()).await {
            Waited::Ordered(reply) => Some(reply),
            Waited::Done(()) | Waited::Stopped => None,
        }
    }

    /// The time of one order: who waits for the end of it, or none when the daemon stops.
    async fn tenure(&mut self, cluster: &Cluster) -> Result<Option<Reply>, RunError> {
        let seat = self.seat;
        self.context.set_status("ordered to be active");
        let catalog = match self.meanwhile(true, reach(seat)).await {
            Waited::Done(catalog) => catalog,
            Waited::Ordered(reply) => return Ok(Some(reply)),
            Waited::Stopped => return Ok(None),
        };
        let lease = candidate(seat, cluster, &catalog);
        loop {
            let claim = match self.meanwhile(true, take(seat, &lease)).await {
                Waited::Done(hold) => Claim::Lease(hold),
                Waited::Ordered(reply) => {
                    lease.order(false).await;
                    return Ok(Some(reply));
                }
                Waited::Stopped => return Ok(None),
            };
            let start = Start {
                configuration: seat.configuration(),
                files: seat.files().clone(),
                catalog: Some(catalog.clone()),
                only_same: !seat.is_forced(),
            };
            let director = match activate(start, claim, seat.instance(), self.context).await {
                Ok(director) => director,
                Err(RunError::OtherConfiguration(other)) => {
                    // It waits for another order, another configuration, or an operator's word.
                    seat.expect_configuration(&other.last_whole, &other.instance);
                    continue;
                }
                Err(error) => {
                    let text = chain(&error);
                    tracing::error!(error = text, "this instance could not become active; it tries again");
                    seat.set_ordered(true, Some(text));
                    match self.meanwhile(true, tokio::time::sleep(AGAIN_AFTER)).await {
                        Waited::Done(()) => continue,
                        Waited::Ordered(reply) => {
                            lease.order(false).await;
                            return Ok(Some(reply));
                        }
                        Waited::Stopped => return Ok(None),
                    }
                }
            };
            seat.set_ordered(true, None);
            seat.become_active(director.clone(), "the cluster manager ordered it");
            self.context.set_status("active");
            director.spawn(replicate::run(seat.clone(), director.clone()));
            match hold(&director, self.asked, self.context).await {
                Ending::Stopped => return Ok(None),
                Ending::Lost(why) => {
                    seat.become_standby(&why.to_string());
                    seat.set_ordered(true, Some(why.to_string()));
                    self.context.set_status("ordered to be active");
                    director.stand_down().await;
                }
                Ending::Asked { reply, .. } => {
                    seat.become_standby("the cluster manager ordered it");
                    director.give_up(None, false).await;
                    lease.order(false).await;
                    return Ok(Some(reply));
                }
            }
        }
    }

    /// Waits for `work`, and serves what is asked meanwhile. `ordered`: the order that stands.
    async fn meanwhile<T>(&mut self, ordered: bool, work: impl Future<Output = T>) -> Waited<T> {
        tokio::pin!(work);
        let stop = self.context.stop.clone();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Waited::Stopped,
                ask = self.asked.recv() => match ask {
                    None => return Waited::Stopped,
                    Some(Ask::Order { active, reply }) if active != ordered => return Waited::Ordered(reply),
                    Some(Ask::Order { reply, .. }) => tell(reply),
                    Some(Ask::Promote { force, reply }) => {
                        if force {
                            self.seat.force_configuration();
                        }
                        tell(reply);
                    }
                    Some(Ask::Demote { reply } | Ask::Switchover { reply, .. }) => {
                        let _ = reply.send(Err("this instance is not active".to_owned()));
                    }
                },
                () = self.context.reload_asked() => {
                    if let Err(error) = self.seat.reload_standby().await {
                        tracing::error!("{error}; the old configuration stays");
                    }
                    self.context.reload_done();
                }
                done = &mut work => return Waited::Done(done),
            }
        }
    }
}

/// Opens the catalog, trying again for as long as it takes. Cancel safe.
async fn reach(seat: &Seat) -> Catalog {
    let mut said = None;
    loop {
        let error = match database::open(&seat.config(), seat.instance()).await {
            Ok(catalog) => return catalog,
            Err(error) => chain(&error),
        };
        if said.as_ref() != Some(&error) {
            tracing::warn!(
                error,
                "ordered to be active, but the catalog cannot be opened; it is tried until it can"
            );
            seat.set_ordered(true, Some(error.clone()));
            said = Some(error);
        }
        tokio::time::sleep(REACH_EVERY).await;
    }
}

/// The engine of the lease, for one order.
fn candidate(seat: &Seat, cluster: &Cluster, catalog: &Catalog) -> LeaseCandidate {
    let terms = Terms {
        me: seat.instance().into(),
        peers: Vec::new(),
        lease: cluster.lease_time,
        drift: cluster.drift_bound(),
        // The cluster manager does.
        fence: Fence::None,
    };
    let session = catalog.lease_session(cluster.lease_time / 3);
    LeaseCandidate::start(session, terms, HashMap::new(), &seat.config().director.name)
}

/// Waits until the lease is held. One whose configuration differs waits for another, or for an operator's word. Cancel safe.
async fn take(seat: &Seat, lease: &LeaseCandidate) -> LeaseHold {
    let mut held_back = seat.held_back();
    loop {
        // The seat lives as long as this does.
        let _ = held_back.wait_for(|held| !held.is_held()).await;
        lease.order(true).await;
        if let Ok(hold) = tokio::time::timeout(ORDER_EVERY, lease.take()).await {
            return hold;
        }
    }
}
