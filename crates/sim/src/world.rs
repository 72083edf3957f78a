//! The world: virtual time, one queue of events, processes that crash and stand still, links that are cut.

use std::collections::{BTreeMap, VecDeque};

use lead::protocol::{Change, Event as LeadEvent};
use rand::RngExt;
use rand::rngs::StdRng;
use types::{Attempt, Epoch, JobId};

use crate::bug::Bug;
use crate::client::ClientDaemon;
use crate::database::Database;
use crate::director::{Instance, LeaseCall};
use crate::message::{ConnId, Message, Pid};
use crate::net::{DEAD_AFTER, End, Net};
use crate::oracle::{Oracle, Violation};
use crate::plan::{Cut, FAULTS_END, Fault, HEALED_BY, Millis, Plan};
use crate::storage::StorageDaemon;

/// What reaches a process.
#[derive(Debug, Clone)]
pub(crate) enum Input {
    Message(ConnId, Message),
    /// A connection has ended.
    Gone(ConnId),
    /// A thread sends what it has decided, or hangs up behind it.
    Send(ConnId, Message),
    HangUp(ConnId),
    /// The lease's machine is due, or a catalog transaction of it has an answer.
    Wake,
    Lease(LeadEvent),
    /// The activation begins its work.
    Serve(Epoch),
    /// Due runs are looked for.
    Tick(Epoch),
    /// A job's task goes on.
    Task(JobId),
    /// A Storage Daemon is asked what it holds of jobs that are over.
    Look(usize),
    /// A Storage Daemon's session: a checkpoint is due, a Volume is looked for again.
    Checkpoint(String, Attempt),
    Retry(String, Attempt),
    /// No Director has come back to a session for so long.
    Forsaken(String, Attempt),
    /// The client of a session should be there by now.
    NoClient(String, Attempt),
    /// A File Daemon has read a file.
    Go(JobId, Attempt),
}

#[derive(Debug, Clone)]
pub(crate) enum Event {
    Input(Pid, u32, Input),
    /// The next message of a side arrives.
    Deliver(ConnId, usize),
    /// A side learns that the connection has ended.
    Ended(ConnId, usize),
    Fault(Fault),
    Start(Pid),
    Thaw(Pid),
    Mend(Pid, Pid),
    CatalogBack,
    /// A step of an instance's lease in the catalog.
    Catalog(usize, u32, LeaseCall),
}

#[derive(Debug, Default)]
pub(crate) struct Process {
    pub(crate) is_up: bool,
    /// Counts its starts.
    pub(crate) life: u32,
    pub(crate) frozen_until: Millis,
    pub(crate) backlog: VecDeque<Input>,
}

/// Faults that wait for a moment.
#[derive(Debug, Default)]
pub(crate) struct Traps {
    /// A Director that permits to overwrite next stands still before it sends, for so long.
    pub(crate) permit: Option<Millis>,
    /// The same for any command to a Storage Daemon.
    pub(crate) command: Option<Millis>,
    /// The next answer to a renewal is late by the first; then the link is cut for the second.
    pub(crate) answer: Option<(Millis, Millis)>,
}

/// A world.
#[derive(Debug)]
pub struct World {
    pub(crate) plan: Plan,
    pub(crate) bug: Option<Bug>,
    pub(crate) now: Millis,
    pub(crate) rng: StdRng,
    queue: BTreeMap<(Millis, u64), Event>,
    serial: u64,
    pub(crate) net: Net,
    pub(crate) processes: BTreeMap<Pid, Process>,
    pub(crate) directors: Vec<Instance>,
    pub(crate) storages: Vec<StorageDaemon>,
    pub(crate) clients: Vec<ClientDaemon>,
    pub(crate) oracle: Oracle,
    pub(crate) violations: Vec<Violation>,
    pub(crate) catalog_away: u32,
    pub(crate) traps: Traps,
    trace: Option<Vec<String>>,
    /// Of all events, so that two runs can be compared.
    pub(crate) digest: u64,
    // Last: the world's transactions end with it.
    pub(crate) database: Database,
}

impl World {
    /// The world of a seed, at its beginning.
    ///
    /// # Errors
    /// Those of the catalog.
    pub fn new(seed: u64, bug: Option<Bug>, is_traced: bool) -> anyhow::Result<Self> {
        let (plan, rng) = Plan::of_seed(seed);
        let database = Database::begin()?;
        let mut world = Self {
            bug,
            now: 0,
            rng,
            queue: BTreeMap::new(),
            serial: 0,
            net: Net::default(),
            processes: BTreeMap::new(),
            directors: Vec::new(),
            storages: Vec::new(),
            clients: Vec::new(),
            oracle: Oracle::default(),
            violations: Vec::new(),
            catalog_away: 0,
            traps: Traps::default(),
            trace: is_traced.then(Vec::new),
            digest: 0,
            database,
            plan,
        };
        world.populate()?;
        Ok(world)
    }

    fn populate(&mut self) -> anyhow::Result<()> {
        for at in 0..self.plan.instances {
            let instance = Instance::new(&self.plan, at);
            self.directors.push(instance);
        }
        for at in 0..self.plan.storages {
            let disk = StorageDaemon::empty(&self.plan, at, self.bug == Some(Bug::AnsweredBeforeDurable))?;
            self.storages.push(disk);
        }
        self.clients.resize_with(self.plan.clients, ClientDaemon::default);
        let directors = (0..self.plan.instances).map(Pid::Director);
        let storages = (0..self.plan.storages).map(Pid::Storage);
        let clients = (0..self.plan.clients).map(Pid::Client);
        for pid in directors.chain(storages).chain(clients) {
            self.processes.insert(pid, Process::default());
            let at = self.draw(0, 2_000);
            self.push(at, Event::Start(pid));
        }
        for (at, fault) in self.plan.faults.clone() {
            self.push(at, Event::Fault(fault));
        }
        Ok(())
    }

    /// Runs to the end, or to the first broken invariant.
    pub fn run(&mut self) {
        while let Some(((at, _), event)) = self.queue.pop_first() {
            if at > HEALED_BY {
                break;
            }
            self.now = at;
            self.oracle.counts.events += 1;
            self.note(|| format!("{event:?}"));
            self.happen(event);
            crate::invariants::after_event(self);
            if !self.violations.is_empty() || (at > FAULTS_END && self.is_quiet()) {
                break;
            }
        }
        if self.violations.is_empty() {
            crate::invariants::after_healing(self);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Input(pid, life, input) => self.input(pid, life, input),
            Event::Deliver(conn, side) => self.deliver(conn, side),
            Event::Ended(conn, side) => {
                let Some(end) = self.net.conns.get(&conn).map(|conn| conn.ends[side]) else { return };
                self.input(end.pid, end.life, Input::Gone(conn));
            }
            Event::Fault(fault) => self.fail(fault),
            Event::Start(pid) => self.start(pid),
            Event::Thaw(pid) => self.thaw(pid),
            Event::Mend(a, b) => {
                self.net.mend(a, b);
                self.look_at_catalog();
            }
            Event::CatalogBack => {
                self.catalog_away = self.catalog_away.saturating_sub(1);
                self.look_at_catalog();
            }
            Event::Catalog(at, life, call) => self.catalog_call(at, life, call),
        }
    }

    pub(crate) fn push(&mut self, at: Millis, event: Event) {
        self.serial += 1;
        self.queue.insert((at, self.serial), event);
    }

    /// A number between two.
    pub(crate) fn draw(&mut self, low: Millis, high: Millis) -> Millis {
        self.rng.random_range(low..=high.max(low))
    }

    /// An input for a process, later.
    pub(crate) fn later(&mut self, after: Millis, pid: Pid, input: Input) {
        let life = self.processes.get(&pid).map_or(0, |process| process.life);
        self.push(self.now + after, Event::Input(pid, life, input));
    }

    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let line = format!("{:>7} {}", self.now, text());
            trace.push(line);
        }
        self.digest = self.digest.rotate_left(7) ^ self.now.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ self.serial;
    }

    /// What happened, if it was traced.
    #[must_use]
    pub fn trace(&self) -> &[String] {
        self.trace.as_deref().unwrap_or_default()
    }

    /// A number that two runs of one seed have in common.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// What broke.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// What it came upon.
    #[must_use]
    pub fn counts(&self) -> crate::oracle::Counts {
        self.oracle.counts
    }

    pub(crate) fn violate(&mut self, invariant: &'static str, what: String) {
        self.violations.push(Violation { at: self.now, invariant, what });
    }

    pub(crate) fn is_up(&self, pid: Pid) -> bool {
        self.processes.get(&pid).is_some_and(|process| process.is_up)
    }

    fn input(&mut self, pid: Pid, life: u32, input: Input) {
        let now = self.now;
        let Some(process) = self.processes.get_mut(&pid).filter(|p| p.is_up && p.life == life) else {
            return;
        };
        if process.frozen_until > now {
            process.backlog.push_back(input);
            return;
        }
        self.dispatch(pid, input);
    }

    fn dispatch(&mut self, pid: Pid, input: Input) {
        self.set_clocks();
        match (pid, input) {
            (_, Input::Send(conn, message)) => self.send(pid, conn, message),
            (_, Input::HangUp(conn)) => self.hang_up(pid, conn),
            (Pid::Director(at), input) => self.director_input(at, input),
            (Pid::Storage(at), input) => self.storage_input(at, input),
            (Pid::Client(at), input) => self.client_input(at, input),
            (Pid::Catalog, _) => {}
        }
    }

    pub(crate) fn set_clocks(&mut self) {
        for at in 0..self.directors.len() {
            self.directors[at].set_clock(self.now);
        }
        for at in 0..self.storages.len() {
            self.storages[at].set_clock(self.now);
        }
    }

    // Connections.

    /// Opens a connection. That nobody is there shows when nothing comes back.
    pub(crate) fn connect(&mut self, from: Pid, to: Pid) -> ConnId {
        let end = |pid| End { pid, life: self.processes.get(&pid).map_or(0, |process| process.life) };
        let (from, to) = (end(from), end(to));
        let conn = self.net.open(from, to);
        if !self.is_up(to.pid) {
            // The host answers for the process.
            self.push(self.now + 1_000, Event::Ended(conn, 0));
            if let Some(conn) = self.net.conns.get_mut(&conn) {
                conn.is_open = false;
            }
        }
        conn
    }

    /// Decides to send: it is sent a little later, by a thread that may be stopped in between.
    pub(crate) fn say(&mut self, from: Pid, conn: ConnId, message: Message) {
        let think = self.draw(0, self.plan.think_max);
        let now = self.now;
        let Some((side, _)) = self.net.side(conn, from) else { return };
        let Some(open) = self.net.conns.get_mut(&conn).filter(|conn| conn.is_open) else { return };
        let at = open.said[side].max(now + think);
        open.said[side] = at;
        self.later(at - now, from, Input::Send(conn, message));
        self.spring_at_command(from, conn);
    }

    /// Hangs up behind what is decided and not sent yet.
    pub(crate) fn part(&mut self, from: Pid, conn: ConnId) {
        let Some((side, _)) = self.net.side(conn, from) else { return };
        let Some(at) = self.net.conns.get(&conn).map(|open| open.said[side]) else { return };
        self.later(at.saturating_sub(self.now), from, Input::HangUp(conn));
    }

    /// The fault that waits for a command.
    fn spring_at_command(&mut self, from: Pid, conn: ConnId) {
        let is_command = matches!(
            (from, self.net.side(conn, from)),
            (Pid::Director(_), Some((_, End { pid: Pid::Storage(_), .. })))
        );
        if !is_command || self.now > FAULTS_END {
            return;
        }
        if let Some(span) = self.traps.command.take() {
            self.freeze(from, span);
        }
    }

    fn send(&mut self, from: Pid, id: ConnId, message: Message) {
        let Some((side, _)) = self.net.side(id, from) else { return };
        let delay = self.draw(1, self.plan.delay_max);
        let now = self.now;
        let Some(conn) = self.net.conns.get_mut(&id).filter(|conn| conn.is_open) else { return };
        let at = conn.last[side].max(now + delay);
        conn.last[side] = at;
        conn.way[side].push_back((now, message));
        self.push(at, Event::Deliver(id, side));
    }

    fn deliver(&mut self, id: ConnId, side: usize) {
        let Some(conn) = self.net.conns.get(&id) else { return };
        let (from, to) = (conn.ends[side], conn.ends[1 - side]);
        let Some(sent) = conn.way[side].front().map(|(sent, _)| *sent) else { return };
        if self.net.is_cut(from.pid, to.pid) {
            if self.now > sent + DEAD_AFTER {
                self.break_conn(id);
            } else {
                self.push(self.now + 500, Event::Deliver(id, side));
            }
            return;
        }
        // Nothing is acknowledged over a link that is cut the other way; it arrives all the same.
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        let Some((_, message)) = conn.way[side].pop_front() else { return };
        self.input(to.pid, to.life, Input::Message(id, message));
    }

    /// Both sides learn at last that it is dead; what is on its way is lost.
    fn break_conn(&mut self, id: ConnId) {
        let Some(conn) = self.net.conns.get_mut(&id).filter(|conn| conn.is_open) else { return };
        conn.is_open = false;
        conn.way = Default::default();
        for side in 0..2 {
            let late = self.draw(0, 2_000);
            self.push(self.now + late, Event::Ended(id, side));
        }
    }

    /// One side closes; the other learns of it behind what was sent.
    pub(crate) fn hang_up(&mut self, from: Pid, id: ConnId) {
        self.end_conn(from, id, true);
    }

    pub(crate) fn end_conn(&mut self, from: Pid, id: ConnId, fin: bool) {
        let Some((side, to)) = self.net.side(id, from) else { return };
        let is_cut = self.net.is_cut(from, to.pid);
        let now = self.now;
        let Some(conn) = self.net.conns.get_mut(&id).filter(|conn| conn.is_open) else { return };
        conn.is_open = false;
        let behind = conn.last[side].max(now) + 1;
        let at = if fin && !is_cut { behind } else { now + DEAD_AFTER };
        self.push(at, Event::Ended(id, 1 - side));
    }

    // The lease's transactions.

    pub(crate) fn ask_catalog(&mut self, at: usize, call: LeaseCall) {
        let life = self.processes.get(&Pid::Director(at)).map_or(0, |process| process.life);
        let delay = self.draw(1, self.plan.delay_max);
        self.push(self.now + delay, Event::Catalog(at, life, call));
    }

    fn catalog_call(&mut self, at: usize, life: u32, call: LeaseCall) {
        let me = Pid::Director(at);
        if self.catalog_away > 0 || self.net.is_cut(me, Pid::Catalog) {
            return;
        }
        let is_renewal = matches!(&call, LeaseCall::Change { change: Change::Renew { .. }, .. });
        let Some(event) = self.lease_step(at, call) else { return };
        if self.net.is_cut(Pid::Catalog, me) {
            return;
        }
        let mut delay = self.draw(1, self.plan.delay_max);
        if is_renewal
            && self.now < FAULTS_END
            && let Some((late, span)) = self.traps.answer.take()
        {
            delay += late;
            self.cut(me, Pid::Catalog, Cut::Both, span);
        }
        self.push(self.now + delay, Event::Input(me, life, Input::Lease(event)));
    }

    /// Whether nothing is to come any more: every job is over, and no run is due.
    fn is_quiet(&self) -> bool {
        let has_active = self.directors.iter().any(Instance::is_serving);
        has_active && self.oracle.ordered.len() == self.oracle.ended.len() && self.now > FAULTS_END + 20_000
    }
}
