//! The Lease engine: drives the [`Machine`] of the lease protocol over the catalog's leadership row (DESIGN §4).
//!
//! One task owns the machine and the database session of the lease, and performs one effect after the other. That a step in the
//! database is slow does no harm: each is bounded by a third of the lease, and the [`EpochGuard`] looks at the clock itself.

use crate::clock::now;
use crate::fence::{self, Fencer};
use crate::guard::{EpochGuard, Lost};
use crate::protocol::{
    Basis, Change, Effect, Event, Fence, Hindrance, Hold, Machine, Moment, Name, Power, Refused, Row, Sight,
    Stamp, Tenure, Terms, Why, apply,
};
use catalog::CatalogError;
use catalog::lease::{LeaseRow, LeaseSession, LeaseSight, LeaseTenure, Replication};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::task::AbortOnDropHandle;
use types::{ActivationId, Epoch, Timestamp};

/// Orders that wait for the engine's task.
const ORDERS_MAX: usize = 8;

/// What others see of the lease.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LeaseView {
    /// Instance that holds the role, as last read; none when it was given back or never taken.
    pub holder: Option<String>,
    /// Why this instance does not take over by itself, in words for the operator.
    pub hindrance: Option<String>,
}

/// An activation by the lease.
#[derive(Debug)]
pub struct LeaseHold {
    guard: EpochGuard,
    orders: mpsc::Sender<Order>,
    /// The catalog may have gone back in time: it is to be reconciled before anything is decided on it.
    pub reconcile: bool,
    /// Whoever was active before cannot act any more on anything, also not on what checks no epoch: it gave the role back, its
    /// machine is off, or there was nobody.
    pub is_alone: bool,
}

/// An instance that wants to become active by the lease. Dropping it ends the engine; the lease then runs out.
#[derive(Debug)]
pub struct LeaseCandidate {
    orders: mpsc::Sender<Order>,
    activated: tokio::sync::Mutex<mpsc::Receiver<LeaseHold>>,
    view: watch::Receiver<LeaseView>,
    _engine: AbortOnDropHandle<()>,
}

/// An event from outside, and who waits until it was dealt with.
#[derive(Debug)]
struct Order {
    event: Event,
    done: oneshot::Sender<()>,
}

impl LeaseCandidate {
    /// Starts the engine. `session` is of the catalog that the Director uses, `fencers` are those of the other instances.
    #[must_use]
    pub fn start(
        session: LeaseSession,
        terms: Terms,
        fencers: HashMap<Name, Fencer>,
        director: &str,
    ) -> Self {
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        let (activations, activated) = mpsc::channel(1);
        let (view, viewed) = watch::channel(LeaseView::default());
        let engine = Engine {
            machine: Machine::new(Arc::new(terms.clone())),
            session: Some(session),
            director: director.to_owned(),
            terms,
            fencers,
            guard: None,
            ended: None,
            held_back: None,
            hindrance: None,
            is_alone: false,
            away: false,
            waiting: Vec::new(),
            orders: orders.clone(),
            ordered,
            activations,
            view,
        };
        let task = AbortOnDropHandle::new(tokio::spawn(engine.run()));
        Self { orders, activated: tokio::sync::Mutex::new(activated), view: viewed, _engine: task }
    }

    /// Who is active and what stands against this instance, as last read.
    #[must_use]
    pub fn view(&self) -> watch::Receiver<LeaseView> {
        self.view.clone()
    }

    /// Waits until this instance is active; for ever when the engine has ended. Cancel safe.
    pub async fn take(&self) -> LeaseHold {
        let mut activated = self.activated.lock().await;
        loop {
            match activated.recv().await {
                // One that ended before it was looked at is of no use.
                Some(hold) if hold.guard.check().is_err() => {}
                Some(hold) => return hold,
                None => std::future::pending().await,
            }
        }
    }

    /// Keeps this instance from becoming active (its configuration is not that of the last one), or lets it.
    pub async fn hold_back(&self, held: bool) {
        order(&self.orders, Event::Hindered(held.then_some(Hindrance::ConfigurationDiffers))).await;
    }

    /// A Storage Daemon knows this epoch of the Director: a takeover raises above it, and knows that the catalog has gone back if
    /// that names a lower one.
    pub async fn heard(&self, seen: Epoch) {
        order(&self.orders, Event::EpochSeen(seen)).await;
    }

    /// A cluster manager's order to be active ([`Self::take`] then returns soon, again after a lease that ran out), or not to be:
    /// then this returns when nothing that the activation began is on its way any more, within a lease. From the first order on
    /// the role is taken by order only.
    pub async fn order(&self, active: bool) {
        order(&self.orders, Event::Ordered(active)).await;
    }

    /// Becomes active at once, whatever stands against it.
    pub async fn force(&self) {
        order(&self.orders, Event::Force).await;
    }
}

impl LeaseHold {
    /// The right to act.
    #[must_use]
    pub fn guard(&self) -> &EpochGuard {
        &self.guard
    }

    /// Gives the role back, to `heir` when named; with `demote`, this instance does not take it again before it is promoted.
    /// Returns when that is in the catalog, or cannot be.
    pub async fn give_back(&self, heir: Option<&str>, demote: bool) {
        order(&self.orders, Event::GiveBack { heir: heir.map(Name::from), demote }).await;
    }

    /// A daemon knows a higher epoch: this activation ends, and the instance becomes active again above it.
    pub async fn outrun(&self, seen: Epoch) {
        order(&self.orders, Event::EpochSeen(seen)).await;
    }
}

async fn permit_spent(of: Option<&EpochGuard>) {
    match of {
        Some(guard) => guard.permit_spent().await,
        None => std::future::pending().await,
    }
}

async fn order(orders: &mpsc::Sender<Order>, event: Event) {
    let (done, is_done) = oneshot::channel();
    if orders.send(Order { event, done }).await.is_ok() {
        // The engine has ended when nobody answers.
        let _ = is_done.await;
    }
}

struct Engine {
    machine: Machine,
    /// Away while a step in the database runs.
    session: Option<LeaseSession>,
    director: String,
    terms: Terms,
    fencers: HashMap<Name, Fencer>,
    guard: Option<EpochGuard>,
    /// Of the activation that ended last.
    ended: Option<EpochGuard>,
    /// By an operator or for its configuration, whatever the catalog says.
    held_back: Option<Hindrance>,
    hindrance: Option<Hindrance>,
    /// As [`LeaseHold::is_alone`], of the last activation.
    is_alone: bool,
    /// The catalog did not answer last time; it is said once.
    away: bool,
    /// Who waits until nothing is on its way.
    waiting: Vec<oneshot::Sender<()>>,
    orders: mpsc::Sender<Order>,
    ordered: mpsc::Receiver<Order>,
    activations: mpsc::Sender<LeaseHold>,
    view: watch::Sender<LeaseView>,
}

impl Engine {
    async fn run(mut self) {
        loop {
            let quiet_at = self.quiet_at().filter(|_| self.machine.awaits_drain());
            let wake_at = self.machine.wake_at();
            let wait = quiet_at.map_or(wake_at, |at| at.min(wake_at)).since(now());
            let order = tokio::select! {
                biased;
                order = self.ordered.recv() => order,
                // Perhaps the last that was waited for.
                () = permit_spent(self.ended.as_ref()), if quiet_at.is_some() => continue,
                () = tokio::time::sleep(wait) => {
                    let is_quiet = quiet_at.is_some_and(|at| at <= now());
                    self.deal_with(if is_quiet { Event::Drained } else { Event::Wake }).await;
                    self.tell_drained();
                    continue;
                }
            };
            let Some(Order { event, done }) = order else { return };
            match &event {
                Event::GiveBack { demote: true, .. } => self.held_back = Some(Hindrance::Demoted),
                Event::Hindered(hindrance) => self.held_back = *hindrance,
                _ => {}
            }
            let is_waiting = matches!(event, Event::Ordered(false));
            self.deal_with(event).await;
            if is_waiting {
                self.waiting.push(done);
            } else {
                let _ = done.send(());
            }
            self.tell_drained();
        }
    }

    fn tell_drained(&mut self) {
        if !self.machine.awaits_drain() {
            for done in self.waiting.drain(..) {
                let _ = done.send(());
            }
        }
    }

    /// Deals with an event and with all that comes of it.
    async fn deal_with(&mut self, event: Event) {
        if let Event::EpochSeen(seen) = event {
            // It may be the server that was left behind. One that cannot be looked at is not used either.
            let _ = self.step(move |session| session.heard(seen)).await;
        }
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let fresh = ActivationId(uuid::Uuid::new_v4().as_u128());
            for effect in self.machine.on(event, now(), fresh) {
                if let Some(next) = self.perform(effect).await {
                    events.push_back(next);
                }
            }
        }
    }

    async fn perform(&mut self, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Read => self.read().await,
            Effect::Ask { sent, change } => self.ask(sent, change).await,
            Effect::EndSessions { holder, epoch } => {
                let of = holder.to_string();
                match self.step(move |session| session.end_sessions(&of, epoch)).await {
                    Ok(ended) => {
                        tracing::info!(instance = %holder, %epoch, ended, "ended the database sessions of the former holder");
                    }
                    // The change behind it waits for them then, within its limit.
                    Err(error) => {
                        tracing::warn!(instance = %holder, %error, "end the database sessions of the former holder");
                    }
                }
                None
            }
            Effect::AskPower { target } => {
                self.fence(target, false);
                None
            }
            Effect::PowerOff { target } => {
                self.fence(target, true);
                None
            }
            Effect::FencingFailed { target } => {
                tracing::error!(instance = %target, "fencing failed; the role stays where it is");
                None
            }
            Effect::Activate { hold, until, basis, reconcile } => {
                tracing::info!(director = self.director, epoch = %hold.epoch, ?basis, reconcile, "the lease is held");
                self.is_alone = match basis {
                    Basis::First | Basis::Released | Basis::Fenced | Basis::Ordered => true,
                    Basis::Expired => self.terms.fence == Fence::Required,
                    Basis::Renewed => self.is_alone,
                    Basis::Forced => false,
                };
                self.activate(hold, until, reconcile)
            }
            Effect::Extend { until } => {
                if let Some(guard) = &self.guard {
                    guard.extend(until);
                }
                None
            }
            Effect::Quiesce(why) => self.quiesce(&why),
            Effect::StepDown(why) => {
                if let Some(guard) = self.guard.take() {
                    tracing::info!(epoch = %guard.epoch(), ?why, "the activation is over");
                    guard.end(lost(&why));
                    self.ended = Some(guard);
                }
                None
            }
        }
    }

    fn activate(&mut self, hold: Hold, until: Moment, reconcile: bool) -> Option<Event> {
        let guard = EpochGuard::new(&self.director, &self.terms.me, hold.epoch, hold.activation, Some(until));
        self.guard = Some(guard.clone());
        // Whoever was seen active before is not any more, and must not be taken for the next one when this activation ends.
        self.view.send_modify(|shown| shown.holder = Some(self.terms.me.to_string()));
        let hold = LeaseHold { guard, orders: self.orders.clone(), reconcile, is_alone: self.is_alone };
        // The one before may still lie there when this daemon was too slow for it: then others are to have the role.
        let sent = self.activations.try_send(hold);
        sent.err().map(|_| {
            tracing::warn!("the activation before was not taken up yet; this one is given back");
            Event::GiveBack { heir: None, demote: false }
        })
    }

    /// When nothing that the last activation began can be on its way any more: a command that lets data be overwritten and was not
    /// answered is good for the lease time that it carries, at most a lease from when that was asked for.
    fn quiet_at(&self) -> Option<Moment> {
        let ended = self.ended.as_ref()?;
        Some(ended.last_permit().map_or(Moment::default(), |at| at.after(self.terms.lease)))
    }

    /// Runs the fence agent of an instance beside the engine, which goes on keeping its claim.
    fn fence(&self, target: Name, is_off_ordered: bool) {
        let (orders, fencer) = (self.orders.clone(), self.fencers.get(&target).cloned());
        tokio::spawn(async move {
            let said = power_of(&target, fencer, is_off_ordered).await;
            order(&orders, Event::Power { target, said }).await;
        });
    }

    /// Nothing new is begun.
    fn quiesce(&mut self, why: &Why) -> Option<Event> {
        let guard = self.guard.clone()?;
        guard.end(lost(why));
        self.ended = Some(guard);
        self.quiet_at().filter(|at| *at <= now()).map(|_| Event::Drained)
    }

    async fn read(&mut self) -> Option<Event> {
        let read = self.step(|session| Ok((session.look()?, session.server()?.replication))).await;
        let (seen, replication) = self.heard(read)?;
        self.stand_against(&replication);
        let sight = sight_of(&seen);
        self.show(&sight, &replication);
        Some(Event::Saw(sight))
    }

    async fn ask(&mut self, sent: Moment, change: Change) -> Option<Event> {
        let at = Timestamp(jiff::Timestamp::now().as_second());
        let key = change.changes_key();
        let asked = self
            .step(move |session| {
                session.change(key, at, |seen| apply(&sight_of(seen), &change).ok().map(|row| row_of(&row)))
            })
            .await;
        let (seen, made) = self.heard(asked)?;
        Some(Event::Answer { sent, sight: sight_of(&seen), result: if made { Ok(()) } else { Err(Refused) } })
    }

    /// What a step gave; that the catalog is away is said once.
    fn heard<T>(&mut self, result: Result<T, CatalogError>) -> Option<T> {
        match result {
            Ok(value) => {
                if std::mem::take(&mut self.away) {
                    tracing::info!("the catalog answers the lease again");
                }
                Some(value)
            }
            Err(error) => {
                if !std::mem::replace(&mut self.away, true) {
                    tracing::warn!(%error, "the catalog does not answer the lease");
                }
                None
            }
        }
    }

    /// Where a promoted replica may lack commits, no instance takes over by itself (DESIGN §2.6).
    fn stand_against(&mut self, replication: &Replication) {
        let hindrance = match replication {
            _ if self.held_back.is_some() => self.held_back,
            Replication::Asynchronous(_) => Some(Hindrance::NotSynchronous),
            Replication::None | Replication::Synchronous(_) => None,
        };
        if hindrance != self.hindrance {
            self.hindrance = hindrance;
            // It has no effects of its own: what follows from it comes with the next event.
            let effects = self.machine.on(Event::Hindered(hindrance), now(), ActivationId(0));
            debug_assert!(effects.is_empty(), "a hindrance is only noted");
        }
    }

    fn show(&self, sight: &Sight, replication: &Replication) {
        let holder = sight.row.as_ref().filter(|row| !matches!(row.tenure, Tenure::Released { .. }));
        // What the instance itself was told, its own report has.
        let hindrance = match (self.hindrance, replication) {
            (Some(Hindrance::NotSynchronous), Replication::Asynchronous(why)) => Some(format!(
                "no automatic takeover: replicas exist and commits do not wait for them ({why})"
            )),
            (_, _) => None,
        };
        let view = LeaseView { holder: holder.map(|row| row.holder.to_string()), hindrance };
        self.view.send_if_modified(|shown| {
            let changed = *shown != view;
            *shown = view;
            changed
        });
    }

    /// A step in the database, on a thread that may wait.
    async fn step<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut LeaseSession) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, CatalogError> {
        let mut session = self.session.take().ok_or(CatalogError::Closed)?;
        let ran = tokio::task::spawn_blocking(move || {
            let result = work(&mut session);
            (session, result)
        });
        let (session, result) = ran.await.map_err(|_| CatalogError::Closed)?;
        self.session = Some(session);
        result
    }
}

/// What is certain of the power of an instance's machine; with an order to switch it off, after that.
async fn power_of(target: &Name, fencer: Option<Fencer>, is_off_ordered: bool) -> Power {
    let Some(fencer) = fencer else {
        tracing::error!(instance = %target, "it must be fenced, and its Instance names no Fence Device that can be used");
        return Power::Failed;
    };
    if is_off_ordered {
        tracing::warn!(instance = %target, device = fencer.device(), "switching it off");
        let fenced = fencer.off().await;
        tracing::warn!(instance = %target, device = fencer.device(), "{fenced}");
        return if fenced.is_off() { Power::Off } else { Power::Failed };
    }
    match fencer.status().await {
        Ok(fence::Power::On) => Power::On,
        Ok(fence::Power::Off) => Power::Off,
        Err(error) => {
            tracing::error!(instance = %target, device = fencer.device(), %error, "ask whether it is on");
            Power::Failed
        }
    }
}

/// What the guard says of an activation that is over.
#[must_use]
pub fn lost(why: &Why) -> Lost {
    match why {
        Why::Expired => Lost::Expired,
        Why::Superseded(epoch) => Lost::Superseded(*epoch),
        Why::Claimed(by) => Lost::Claimed(by.to_string()),
        Why::CatalogWentBack => Lost::CatalogWentBack,
        Why::Released => Lost::Released,
        Why::Renewing => Lost::Renewing,
    }
}

/// What a transaction of the catalog saw, as the protocol's value.
#[must_use]
pub fn sight_of(seen: &LeaseSight) -> Sight {
    let row = seen.row.as_ref().map(|row| Row {
        holder: row.holder.as_str().into(),
        epoch: row.epoch,
        activation: row.activation,
        renewal: row.renewal,
        tenure: match &row.tenure {
            LeaseTenure::Held => Tenure::Held,
            LeaseTenure::Claimed { by, claim } => Tenure::Claimed { by: by.as_str().into(), claim: *claim },
            LeaseTenure::Released { heir } => Tenure::Released { heir: heir.as_deref().map(Name::from) },
        },
    });
    Sight { stamp: Stamp { system: seen.system, timeline: seen.timeline }, row }
}

/// The protocol's row, as the catalog stores it.
#[must_use]
pub fn row_of(row: &Row) -> LeaseRow {
    LeaseRow {
        holder: row.holder.to_string(),
        epoch: row.epoch,
        activation: row.activation,
        renewal: row.renewal,
        tenure: match &row.tenure {
            Tenure::Held => LeaseTenure::Held,
            Tenure::Claimed { by, claim } => LeaseTenure::Claimed { by: by.to_string(), claim: *claim },
            Tenure::Released { heir } => LeaseTenure::Released { heir: heir.as_deref().map(str::to_owned) },
        },
    }
}
