//! A Director instance. Its lease is `lead::protocol`'s machine over the catalog's own lease transactions, its right to act an
//! `EpochGuard`; what the engine does around them (`lead::lease`) is told here anew, without threads.

mod adopt;
mod ending;
mod loss;
mod over;
mod task;
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use catalog::lease::{LeaseSession, LeaseSight};
use lead::protocol::{
    Change, Effect, Event, Fence, Hold, Machine, Moment, Name, Refused, Sight, Terms, apply,
};
use lead::{EpochGuard, lost, row_of, sight_of};
use types::{ActivationId, Timestamp};

use crate::DIRECTOR;
use crate::bug::Bug;
use crate::database::{Access, Server};
use crate::message::Pid;
use crate::plan::{Millis, Plan};
use crate::world::{Input, World};

pub(crate) use work::{Active, pool_name};

/// `Lease Time`.
const LEASE: Duration = Duration::from_secs(3);
/// `Drift Bound`.
const DRIFT: Duration = Duration::from_secs(1);
/// The catalog's wall clock when a world begins.
const EPOCH_START: i64 = 1_800_000_000;

/// A step of the lease in the catalog.
#[derive(Debug, Clone)]
pub(crate) enum LeaseCall {
    Look,
    Change { sent: Moment, change: Change },
}

pub(crate) struct Instance {
    name: Name,
    terms: Arc<Terms>,
    machine: Machine,
    clock: Arc<AtomicU64>,
    /// Thousandths by which its clock goes faster.
    rate: i64,
    pub(crate) access: Arc<Access>,
    lease: LeaseSession,
    pub(crate) guard: Option<EpochGuard>,
    /// The guard of an activation that is over and may have something on its way.
    ended: Option<EpochGuard>,
    pub(crate) active: Option<Active>,
    next_wake: Option<Millis>,
    drawn: u128,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("name", &self.name).finish_non_exhaustive()
    }
}

pub(crate) fn wall(now: Millis) -> Timestamp {
    Timestamp(EPOCH_START + i64::try_from(now / 1000).unwrap_or(0))
}

impl Instance {
    pub(crate) fn new(plan: &Plan, at: usize) -> Self {
        let names = || (0..plan.instances).map(|at| Name::from(["a", "b", "c"][at]));
        let me = Name::from(["a", "b", "c"][at]);
        let terms = Arc::new(Terms {
            peers: names().filter(|other| *other != me).collect(),
            me: me.clone(),
            lease: LEASE,
            drift: DRIFT,
            fence: Fence::None,
        });
        let access = Arc::new(Access::new());
        Self {
            name: me,
            machine: Machine::new(Arc::clone(&terms)),
            terms,
            clock: Arc::default(),
            rate: plan.clocks[at],
            lease: LeaseSession::new(Arc::new(Server(Arc::clone(&access))), DIRECTOR, LEASE / 3),
            access,
            guard: None,
            ended: None,
            active: None,
            next_wake: None,
            drawn: 0,
        }
    }

    pub(crate) fn set_clock(&self, now: Millis) {
        self.clock.store(own(now, self.rate), Ordering::Relaxed);
    }

    fn moment(&self) -> Moment {
        Moment(Duration::from_millis(self.clock.load(Ordering::Relaxed)))
    }

    /// Whether its guard lets it act.
    pub(crate) fn may_act(&self) -> Option<Hold> {
        let guard = self.guard.as_ref()?;
        guard.check().ok()?;
        Some(Hold { epoch: guard.epoch(), activation: guard.activation() })
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.active.as_ref().is_some_and(|active| active.is_ready) && self.may_act().is_some()
    }

    pub(crate) fn crash(&mut self) {
        self.guard = None;
        self.ended = None;
        self.active = None;
        self.next_wake = None;
    }

    fn quiet_at(&self) -> Moment {
        let last = self.ended.as_ref().and_then(EpochGuard::last_permit);
        last.map_or(Moment::default(), |at| at.after(LEASE))
    }
}

/// A clock's reading at a time of the world.
pub(crate) fn own(now: Millis, rate: i64) -> u64 {
    now * u64::try_from(1000 + rate).unwrap_or(1000) / 1000
}

/// When a clock reads so, at the earliest.
fn world_time(reading: u64, rate: i64) -> Millis {
    let per = u64::try_from(1000 + rate).unwrap_or(1000);
    (reading * 1000).div_ceil(per)
}

impl World {
    pub(crate) fn director_starts(&mut self, at: usize) {
        let instance = &mut self.directors[at];
        instance.machine = Machine::new(Arc::clone(&instance.terms));
        self.lead(at, Event::Wake);
    }

    pub(crate) fn director_input(&mut self, at: usize, input: Input) {
        match input {
            Input::Wake => {
                let now = self.now;
                let instance = &mut self.directors[at];
                // Another one is on its way.
                if instance.next_wake.is_some_and(|next| next > now) {
                    return;
                }
                instance.next_wake = None;
                let is_drained = instance.machine.awaits_drain() && instance.quiet_at() <= instance.moment();
                self.lead(at, if is_drained { Event::Drained } else { Event::Wake });
            }
            Input::Lease(event) => {
                let now = self.directors[at].moment();
                let event = match event {
                    Event::Answer { sight, result, .. } if self.is_buggy_renewal(at) => {
                        Event::Answer { sent: now, sight, result }
                    }
                    other => other,
                };
                self.lead(at, event);
            }
            Input::Serve(epoch) => self.serve(at, epoch),
            Input::Tick(epoch) => self.tick(at, epoch),
            Input::Task(job) => self.task_due(at, job),
            Input::Look(storage) => self.look(at, storage),
            Input::Message(conn, message) => self.director_hears(at, conn, message),
            Input::Gone(conn) => self.director_lost(at, conn),
            _ => {}
        }
    }

    fn is_buggy_renewal(&self, at: usize) -> bool {
        self.bug == Some(Bug::LeaseFromAnswer)
            && self.directors[at].machine.role() == lead::protocol::RoleKind::Active
    }

    /// The event goes into the machine, its effects into the world.
    pub(crate) fn lead(&mut self, at: usize, event: Event) {
        let instance = &mut self.directors[at];
        instance.drawn += 1;
        let fresh = ActivationId((at as u128 + 1) << 64 | instance.drawn);
        let now = instance.moment();
        let effects = instance.machine.on(event, now, fresh);
        for effect in effects {
            self.note(|| format!("instance {at}: {effect:?}"));
            self.perform(at, effect);
        }
        self.schedule_wake(at);
    }

    fn perform(&mut self, at: usize, effect: Effect) {
        match effect {
            Effect::Read => self.ask_catalog(at, LeaseCall::Look),
            Effect::Ask { sent, change } => self.ask_catalog(at, LeaseCall::Change { sent, change }),
            Effect::Activate { hold, until, .. } => {
                let instance = &mut self.directors[at];
                let clock = Arc::clone(&instance.clock);
                let clock = Arc::new(move || Moment(Duration::from_millis(clock.load(Ordering::Relaxed))));
                let guard = EpochGuard::on_clock(
                    clock,
                    DIRECTOR,
                    &instance.name,
                    hold.epoch,
                    hold.activation,
                    Some(until),
                );
                instance.guard = Some(guard);
                let pause = self.draw(1, 300);
                self.later(pause, Pid::Director(at), Input::Serve(hold.epoch));
            }
            Effect::Extend { until } => {
                if let Some(guard) = &self.directors[at].guard {
                    guard.extend(until);
                }
            }
            Effect::Quiesce(why) => {
                let instance = &mut self.directors[at];
                if let Some(guard) = &instance.guard {
                    guard.end(lost(&why));
                    instance.ended = Some(guard.clone());
                }
                self.stop_serving(at);
            }
            Effect::StepDown(why) => {
                let instance = &mut self.directors[at];
                if let Some(guard) = instance.guard.take() {
                    guard.end(lost(&why));
                    instance.ended = Some(guard);
                }
                self.stop_serving(at);
            }
            // Transactions are one event here: no session holds anything between two.
            Effect::EndSessions { .. } => {}
            // Not with `Fence = none`.
            Effect::AskPower { .. } | Effect::PowerOff { .. } | Effect::FencingFailed { .. } => {}
        }
    }

    fn schedule_wake(&mut self, at: usize) {
        let instance = &self.directors[at];
        let mut due = instance.machine.wake_at();
        if instance.machine.awaits_drain() {
            due = due.min(instance.quiet_at().max(instance.moment()));
        }
        let reading = u64::try_from(due.0.as_millis()).unwrap_or(u64::MAX / 2000);
        let due = world_time(reading, instance.rate).max(self.now + 1);
        if instance.next_wake.is_none_or(|next| due < next || next <= self.now) {
            self.directors[at].next_wake = Some(due);
            self.later(due - self.now, Pid::Director(at), Input::Wake);
        }
    }

    /// A step of the lease arrives in the catalog. None when it has no answer.
    pub(crate) fn lease_step(&mut self, at: usize, call: LeaseCall) -> Option<Event> {
        let timeline = self.database.timeline();
        match call {
            LeaseCall::Look => {
                let seen = self.directors[at].lease.look().ok()?;
                Some(Event::Saw(seen_in(&seen, timeline)))
            }
            LeaseCall::Change { sent, change } => {
                let bug = self.bug;
                let now = wall(self.now);
                let asked = change.clone();
                let decide = move |seen: &LeaseSight| {
                    let mut row = apply(&seen_in(seen, timeline), &asked).ok()?;
                    if let (Some(Bug::EpochNotRaised), Change::Raise { .. }, Some(before)) =
                        (bug, &asked, &seen.row)
                    {
                        row.epoch = before.epoch;
                    }
                    Some(row_of(&row))
                };
                let (seen, is_made) =
                    self.directors[at].lease.change(change.changes_key(), now, decide).ok()?;
                let sight = seen_in(&seen, timeline);
                if let (true, Change::Raise { .. }, Some(row)) = (is_made, &change, &sight.row) {
                    let hold = Hold { epoch: row.epoch, activation: row.activation };
                    crate::invariants::i01::activated(self, at, hold);
                }
                let result = if is_made { Ok(()) } else { Err(Refused) };
                Some(Event::Answer { sent, sight, result })
            }
        }
    }

    /// An operator gives the role away.
    pub(crate) fn switchover(&mut self) {
        self.set_clocks();
        let holder = (0..self.directors.len()).find(|at| self.directors[*at].is_serving());
        let Some(at) = holder else { return };
        let is_up = |other: &usize| *other != at && self.is_up(Pid::Director(*other));
        let Some(heir) = (0..self.directors.len()).find(is_up) else { return };
        let heir = Some(self.directors[heir].name.clone());
        self.lead(at, Event::GiveBack { heir, demote: false });
    }
}

/// What a transaction saw; SQLite has no timelines of its own.
fn seen_in(seen: &LeaseSight, timeline: u32) -> Sight {
    sight_of(&LeaseSight { system: 1, timeline, ..seen.clone() })
}
