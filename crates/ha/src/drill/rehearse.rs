//! One scenario, carried out: canary, fault, measure, undo, and the way back to full redundancy.

use std::future::Future;
use std::time::{Duration, Instant};

use conf::TopologyConfig;
use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::directors::{Directors, LOOK_AGAIN};
use super::plan::{HOLD, Order, Plan};
use super::record::{Canary, Drill, JobState, Tenure, lost, seconds};
use super::redundancy;
use super::remote::Remote;
use super::scenario::Expected;
use super::storages::Spot;
use super::watch::Watch;
use crate::output::complain;

/// How long one order may take; fencing has its own limit below it.
const ORDER_LIMIT: Duration = Duration::from_secs(150);

/// How long one may take that the node does by itself as well.
const BACKED_LIMIT: Duration = Duration::from_secs(15);

/// The site, and what is done to it.
pub(super) struct Rehearsal<'a> {
    pub(super) topology: &'a TopologyConfig,
    pub(super) directors: &'a Directors,
    pub(super) canary: &'a str,
    /// How long each of takeover, redundancy and the ends of jobs may take.
    pub(super) limit: Duration,
}

/// How far it is.
struct State {
    drill: Drill,
    /// When the fault was ordered.
    struck: Option<Instant>,
    before: Vec<JobState>,
}

/// What is needed to strike.
struct Ready<'a> {
    canary: u32,
    fault: Order,
    /// The other Storages of the canary's group, where that is what is struck.
    elsewhere: Vec<&'a Spot>,
    watch: Watch,
}

impl Rehearsal<'_> {
    /// Why redundancy is not whole.
    ///
    /// # Errors
    /// That reason, in one line.
    pub(super) async fn whole(&self) -> Result<(), String> {
        redundancy::whole(self.directors, &self.remote(), self.topology).await
    }

    const fn remote(&self) -> Remote<'_> {
        Remote::new(self.topology)
    }

    /// Carries a plan out. Whatever happens, what was done is undone; the result says what did not work.
    pub(super) async fn carry_out(&self, plan: &Plan, before: Tenure, forced: bool) -> Drill {
        let drill = Drill {
            scenario: plan.scenario,
            director: self.directors.config.director.name.clone(),
            at: Timestamp::now(),
            node: plan.node.clone(),
            before,
            after: None,
            fault: plan.fault.to_string(),
            undo: plan.undo.iter().map(ToString::to_string).collect(),
            canary: Canary { job: self.canary.to_owned(), ..Canary::default() },
            rto_ms: None,
            redundancy_ms: None,
            records: 0,
            records_lost: Vec::new(),
            jobs_lost: Vec::new(),
            forced,
            trouble: Vec::new(),
            passed: false,
            reasons: Vec::new(),
        };
        let mut state = State { drill, struck: None, before: Vec::new() };
        // Before anything is touched: from here on a signal ends the drill in its order.
        let mut interrupts = match Interrupts::listen() {
            Ok(interrupts) => interrupts,
            Err(error) => {
                state.drill.trouble.push(format!("listen to signals: {error}"));
                state.drill.judge();
                return state.drill;
            }
        };
        match interrupts.or(self.ready(plan, &mut state)).await {
            Some(Ok(ready)) => {
                let ended = self.strike(plan, ready, &mut state, &mut interrupts).await;
                state.drill.trouble.extend(ended.err());
            }
            Some(Err(why)) => state.drill.trouble.push(why),
            None => {}
        }
        if state.struck.is_some() {
            self.take_back(plan, &mut state.drill).await;
        }
        let ended = interrupts.or(self.heal(&mut state)).await;
        state.drill.trouble.extend(ended.and_then(Result::err));
        if interrupts.interrupted {
            state.drill.trouble.push("interrupted".to_owned());
        }
        state.drill.judge();
        state.drill
    }

    /// Starts the canary and waits until it is in flight.
    async fn ready<'a>(&self, plan: &'a Plan, state: &mut State) -> Result<Ready<'a>, String> {
        let canary = self.directors.start(self.canary).await?;
        state.drill.canary.id = Some(canary);
        let running = self.directors.wait_running(canary);
        tokio::time::timeout(self.limit, running).await.map_err(|_| {
            format!("the canary, JobId {canary}, did not run in {} s", self.limit.as_secs())
        })??;
        complain(format_args!("canary  JobId {canary} is in flight"));
        let (fault, elsewhere) = self.resolve(plan, canary, &mut state.drill).await?;
        let watch = Watch::start(&self.directors.config);
        state.before = self.directors.jobs().await?;
        state.drill.records = state.before.len();
        Ok(Ready { canary, fault, elsewhere, watch })
    }

    /// Strikes and measures. An interruption ends the measure; an order on its way is waited for, or it would come after its undo.
    async fn strike(
        &self,
        plan: &Plan,
        ready: Ready<'_>,
        state: &mut State,
        interrupts: &mut Interrupts,
    ) -> Result<(), String> {
        let Ready { canary, fault, elsewhere, mut watch } = ready;
        let struck = Instant::now();
        state.struck = Some(struck);
        complain(format_args!("fault   {fault}"));
        let measure = async {
            match plan.scenario.expected() {
                Expected::Successor => {
                    let served = watch.successor(&state.drill.before).await;
                    served.map(|served| (served.at.saturating_duration_since(struck), served.by))
                }
                Expected::Service => {
                    let seen = watch.service(struck, struck + HOLD).await;
                    seen.map(|(served, longest)| (longest, served.by))
                }
                Expected::Elsewhere => {
                    self.directors.wait_written(&elsewhere, canary).await;
                    Some((struck.elapsed(), state.drill.before.clone()))
                }
            }
        };
        let measure = tokio::time::timeout(self.limit, measure);
        // An order may last longer than what it leads to.
        let (ordered, measured) = {
            let order = self.order(&fault);
            tokio::pin!(order, measure);
            let mut measured = None;
            let ordered = loop {
                tokio::select! {
                    ordered = &mut order => break ordered,
                    found = &mut measure, if measured.is_none() => measured = Some(found),
                    () = interrupts.come(), if !interrupts.interrupted => interrupts.interrupted = true,
                }
            };
            let measured = match (measured, &ordered) {
                (Some(measured), _) => Some(measured),
                // A fault that did not come has no successor.
                (None, Err(_)) => None,
                (None, Ok(())) => interrupts.or(measure).await,
            };
            (ordered, measured)
        };
        if let Some(Ok(Some((took, by)))) = measured {
            state.drill.rto_ms = Some(millis(took));
            complain(format_args!("serves  {by}, RTO {}", seconds(state.drill.rto_ms)));
            state.drill.after = Some(by);
        }
        ordered.map_err(|why| format!("the fault could not be made: {why}"))
    }

    /// The order for this canary, and the other Storages that it may go on with.
    async fn resolve<'a>(
        &self,
        plan: &'a Plan,
        canary: u32,
        drill: &mut Drill,
    ) -> Result<(Order, Vec<&'a Spot>), String> {
        let Order::Writer { spots, line } = &plan.fault else { return Ok((plan.fault.clone(), Vec::new())) };
        let all: Vec<&Spot> = spots.iter().collect();
        let found = tokio::time::timeout(self.limit, self.directors.wait_written(&all, canary)).await;
        let Ok(found) = found else {
            return Err(format!("no Storage of the group has the canary after {} s", self.limit.as_secs()));
        };
        let fault = Order::Shell { nodes: vec![found.node.clone()], line: line.clone() };
        (drill.node, drill.fault) = (found.node.clone(), fault.to_string());
        Ok((fault, spots.iter().filter(|spot| spot.node != found.node).collect()))
    }

    /// Takes the fault back. Not to be interrupted.
    async fn take_back(&self, plan: &Plan, drill: &mut Drill) {
        for order in &plan.undo {
            complain(format_args!("undo    {order}"));
            if let Err(why) = self.order(order).await {
                complain(format_args!("undo    FAILED: {why}"));
                drill.trouble.push(format!("not taken back, do it by hand: {order}: {why}"));
            }
        }
    }

    /// Until redundancy is whole and the jobs have ended, and what the catalog has then.
    async fn heal(&self, state: &mut State) -> Result<(), String> {
        let Some(struck) = state.struck else { return Ok(()) };
        let whole = async {
            while self.whole().await.is_err() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        if tokio::time::timeout(self.limit, whole).await.is_ok() {
            state.drill.redundancy_ms = Some(millis(struck.elapsed()));
            complain(format_args!("whole   after {}", seconds(state.drill.redundancy_ms)));
        } else if let Err(why) = self.whole().await {
            state.drill.trouble.push(format!("redundancy: {why}"));
        }
        let mut jobs: Vec<JobState> = state.before.iter().filter(|job| !job.has_ended()).cloned().collect();
        let canary = state.drill.canary.id;
        if jobs.iter().all(|job| Some(job.id) != canary) {
            state.drill.trouble.push("the canary had ended when the fault came".to_owned());
        }
        // What was last seen of a job that does not end in time counts as lost.
        let _ = tokio::time::timeout(self.limit, self.directors.wait_ended(&mut jobs)).await;
        if let Some(job) = jobs.iter().find(|job| Some(job.id) == canary) {
            state.drill.canary.status = Some(job.status.clone());
            complain(format_args!("canary  JobId {} ended {}", job.id, job.status));
        }
        state.drill.jobs_lost = jobs.into_iter().filter(|job| !job.is_good()).collect();
        let after = self.directors.jobs().await?;
        state.drill.records_lost = lost(&state.before, &after);
        Ok(())
    }

    async fn order(&self, order: &Order) -> Result<(), String> {
        match order {
            Order::Console(command) => {
                let said = self.directors.command(command).await?;
                let done = said.contains("is active after");
                if done { Ok(()) } else { Err(said.trim().to_owned()) }
            }
            // Resolved before it is carried out.
            Order::Writer { .. } => Err("it is not known who writes the canary".to_owned()),
            Order::Backed { node, line } => {
                if let Err(why) = self.remote().run(node, line, BACKED_LIMIT).await {
                    complain(format_args!("left to the node's timer or restart: {why}"));
                }
                Ok(())
            }
            Order::Shell { nodes, line } => {
                self.remote().run_on_one(nodes, line, ORDER_LIMIT).await.map(drop)
            }
        }
    }
}

/// The signals by which a drill is ended.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    interrupted: bool,
}

impl Interrupts {
    fn listen() -> std::io::Result<Self> {
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        Ok(Self { interrupt, terminate, interrupted: false })
    }

    /// Does something, unless it is interrupted: then it is dropped where it stands.
    async fn or<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        if self.interrupted {
            return None;
        }
        tokio::select! {
            done = work => return Some(done),
            () = self.come() => {}
        }
        self.interrupted = true;
        None
    }

    /// Waits for one of the signals.
    async fn come(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
