//! What an active instance does: due runs become jobs, jobs that its predecessor left are taken up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use catalog::client::NewClient;
use catalog::job::NewJob;
use catalog::ledger::{self, DueRun, Outcome};
use catalog::plan::PlanRow;
use catalog::pool::{PoolRow, VolumeLimits};
use catalog::{Backend, Catalog, WriteTx};
use director::catreq::{CatalogService, VolumeRules};
use lead::EpochGuard;
use types::{CatalogId, Epoch, JobId, JobLevel, JobType, PoolId, Timestamp};

use super::task::{Task, unique_name};
use super::{EPOCH_START, wall};
use crate::DIRECTOR;
use crate::database::Server;
use crate::message::{ConnId, Pid};
use crate::oracle::Ordered;
use crate::plan::{DUE_END, FAULTS_END, Plan};
use crate::world::{Input, World};

/// An activation at work.
pub(crate) struct Active {
    pub(crate) guard: EpochGuard,
    pub(crate) catalog: Catalog,
    pub(crate) service: CatalogService,
    pub(crate) is_ready: bool,
    /// The Pools were let grow.
    has_room: bool,
    pub(crate) tasks: BTreeMap<JobId, Task>,
    pub(crate) conns: BTreeSet<ConnId>,
    /// Storage Daemons that are asked what they hold of jobs that are over.
    pub(super) looks: BTreeMap<ConnId, usize>,
    pub(crate) wall: Arc<AtomicU64>,
}

pub(crate) const SCHEDULE: &str = "often";

pub(crate) fn storage_name(at: usize) -> String {
    format!("sd{at}")
}

pub(crate) fn pool_name(at: usize) -> String {
    format!("pool{at}")
}

pub(crate) fn job_name(client: usize) -> String {
    format!("backup{client}")
}

impl World {
    pub(crate) fn catalog_id(&self) -> CatalogId {
        CatalogId(7)
    }

    /// The activation begins.
    pub(crate) fn serve(&mut self, at: usize, epoch: Epoch) {
        let instance = &mut self.directors[at];
        let Some(guard) = instance.guard.clone().filter(|g| g.epoch() == epoch && g.check().is_ok()) else {
            return;
        };
        if instance.active.as_ref().is_some_and(|active| active.guard.epoch() == epoch && active.is_ready) {
            return;
        }
        let server: Arc<dyn Backend> = Arc::new(Server(Arc::clone(&instance.access)));
        let Ok(catalog) = Catalog::open_inline(&server, DIRECTOR) else {
            return self.later(500, Pid::Director(at), Input::Serve(epoch));
        };
        let seconds = Arc::new(AtomicU64::new(self.now / 1000));
        let clock = Arc::clone(&seconds);
        let now = Arc::new(move || {
            Timestamp(EPOCH_START + i64::try_from(clock.load(Ordering::Relaxed)).unwrap_or(0))
        });
        let service = CatalogService::on_clock(catalog.clone(), guard.clone(), VolumeRules::default(), now);
        instance.active = Some(Active {
            guard,
            catalog,
            service,
            is_ready: false,
            has_room: false,
            tasks: BTreeMap::new(),
            conns: BTreeSet::new(),
            looks: BTreeMap::new(),
            wall: seconds,
        });
        self.take_up(at, epoch);
    }

    pub(crate) fn stop_serving(&mut self, at: usize) {
        let Some(active) = self.directors[at].active.take() else { return };
        for conn in active.conns {
            self.hang_up(Pid::Director(at), conn);
        }
    }

    /// The activation, if it may still act.
    pub(crate) fn acting(&mut self, at: usize) -> Option<&mut Active> {
        let now = self.now;
        let active = self.directors[at].active.as_mut()?;
        active.wall.store(now / 1000, Ordering::Relaxed);
        active.guard.check().is_ok().then_some(active)
    }

    /// A write transaction of the activation; none when it cannot be made.
    pub(crate) fn write<T: Send + 'static>(
        &mut self,
        at: usize,
        work: impl Fn(&WriteTx<'_>) -> catalog::Result<T> + Send + 'static,
    ) -> Option<T> {
        let active = self.acting(at)?;
        let (catalog, epoch) = (active.catalog.clone(), active.guard.epoch());
        match catalog.write_blocking(epoch, work) {
            Ok(value) => Some(value),
            Err(error) => {
                self.note(|| format!("instance {at}: catalog: {error}"));
                None
            }
        }
    }

    /// Configuration into the catalog, then the jobs that are there.
    fn take_up(&mut self, at: usize, epoch: Epoch) {
        let plan = self.plan.clone();
        let read = self.write(at, move |tx| {
            ensure_resources(tx, &plan)?;
            let mut left = Vec::new();
            for row in catalog::job::list_unfinished(tx)? {
                let plan = catalog::plan::load(tx, row.id)?;
                left.push((row.id, row.name, plan, catalog::attempt::open_of(tx, row.id)?));
            }
            Ok(left)
        });
        let Some(left) = read else {
            return self.later(500, Pid::Director(at), Input::Serve(epoch));
        };
        for (job, _, plan, attempt) in left {
            let Some((client, storage)) = plan.and_then(|plan| parse_plan(&plan.body)) else { continue };
            let mut task = Task::new(job, client, storage);
            if let Some(attempt) = attempt {
                self.oracle.counts.adopted += 1;
                task.adopt(&attempt, self.now);
            }
            if let Some(active) = &mut self.directors[at].active {
                active.tasks.insert(job, task);
            }
            self.later(1, Pid::Director(at), Input::Task(job));
        }
        if let Some(active) = &mut self.directors[at].active {
            active.is_ready = true;
        }
        for storage in 0..self.plan.storages {
            self.later(1, Pid::Director(at), Input::Look(storage));
        }
        self.tick(at, epoch);
    }

    /// Looks for due runs; each is settled in the transaction that creates its job.
    pub(crate) fn tick(&mut self, at: usize, epoch: Epoch) {
        let is_its = self.acting(at).is_some_and(|active| active.guard.epoch() == epoch && active.is_ready);
        if !is_its {
            return;
        }
        if self.now > FAULTS_END {
            self.make_room(at);
        }
        for client in 0..self.plan.clients {
            self.look_for_due(at, client);
        }
        self.later(1_000, Pid::Director(at), Input::Tick(epoch));
    }

    /// Jobs that wait may have filled each other's Volumes: an operator lets the Pools grow.
    fn make_room(&mut self, at: usize) {
        if self.directors[at].active.as_ref().is_none_or(|active| active.has_room) {
            return;
        }
        let pools = self.plan.storages;
        let made = self.write(at, move |tx| {
            for pool in (0..pools).map(pool_name) {
                if let Some(row) = catalog::pool::get_by_name(tx, &pool)? {
                    catalog::pool::update(tx, &PoolRow { max_vols: 0, ..row })?;
                }
            }
            Ok(())
        });
        if let Some(active) = &mut self.directors[at].active {
            active.has_room = made.is_some();
        }
    }

    fn look_for_due(&mut self, at: usize, client: usize) {
        let period = i64::try_from(self.plan.period / 1000).unwrap_or(1);
        let now = wall(self.now.min(DUE_END));
        let storage = client % self.plan.storages;
        let created = wall(self.now);
        let made = self.write(at, move |tx| {
            let (job, schedule) = (job_name(client), SCHEDULE.to_owned());
            // A new pair starts at the beginning of the world here, so that a run is missed by nobody's absence.
            let from = ledger::watermark(tx, &job, &schedule)?.unwrap_or(Timestamp(EPOCH_START));
            let mut jobs = Vec::new();
            let first = (from.0 - EPOCH_START).div_euclid(period) + 1;
            for number in first..=(now.0 - EPOCH_START).div_euclid(period) {
                let due_at = Timestamp(EPOCH_START + number * period);
                let unique = unique_name(client, number);
                let due = DueRun { job: job.clone(), schedule: schedule.clone(), run_line: 0, due_at };
                if ledger::is_settled(tx, &due)? {
                    continue;
                }
                let id = catalog::job::create(tx, &new_job(&unique, client, due_at, created))?;
                ledger::settle(tx, &due, Outcome::Started(id))?;
                let body = format!("{client} {storage} {unique}");
                catalog::plan::store(tx, &PlanRow { job_id: id, format: 1, body })?;
                jobs.push((id, due_at.0));
            }
            ledger::set_watermark(tx, &job, &schedule, now)?;
            Ok(jobs)
        });
        for (job, due_at) in made.unwrap_or_default() {
            self.ordered(job, client, storage, due_at);
            if let Some(active) = &mut self.directors[at].active {
                active.tasks.insert(job, Task::new(job, client, storage));
            }
            let pause = self.draw(0, 500);
            self.later(pause, Pid::Director(at), Input::Task(job));
        }
    }

    /// The observer notes a job.
    fn ordered(&mut self, job: JobId, client: usize, storage: usize, due_at: i64) {
        self.oracle.counts.jobs += 1;
        if let Some(other) = self.oracle.due.insert((client, due_at), job) {
            self.violate("I5", format!("the run of {due_at} became job {other} and job {job}"));
        }
        let is_disturbed = self.now < self.oracle.disturbed_until;
        let ordered = Ordered { client, storage, created: self.now, is_disturbed };
        if self.oracle.ordered.insert(job, ordered).is_some() {
            self.violate("I8", format!("JobId {job} was given twice"));
        }
    }
}

fn new_job(unique: &str, client: usize, due_at: Timestamp, created: Timestamp) -> NewJob {
    NewJob {
        unique_name: unique.to_owned(),
        name: job_name(client),
        job_type: JobType::Backup,
        level: JobLevel::Full,
        client_id: types::ClientId(u32::try_from(client).unwrap_or(0) + 1),
        sched_time: due_at,
        created,
        prior_job_id: JobId(0),
        comment: String::new(),
    }
}

fn parse_plan(body: &str) -> Option<(usize, usize)> {
    let mut words = body.split(' ');
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

fn ensure_resources(tx: &WriteTx<'_>, plan: &Plan) -> catalog::Result<()> {
    for at in 0..plan.clients {
        let client = NewClient {
            name: format!("fd{at}"),
            uname: String::new(),
            auto_prune: false,
            file_retention: 0,
            job_retention: 0,
        };
        catalog::client::ensure(tx, &client)?;
    }
    for at in 0..plan.storages {
        catalog::storage::ensure(tx, &storage_name(at), false)?;
        catalog::pool::ensure(tx, &pool(plan, at))?;
    }
    Ok(())
}

fn pool(plan: &Plan, at: usize) -> PoolRow {
    PoolRow {
        id: PoolId(0),
        name: pool_name(at),
        num_vols: 0,
        max_vols: plan.volumes_max,
        use_once: false,
        use_catalog: true,
        accept_any_volume: false,
        limits: VolumeLimits {
            vol_retention: plan.retention_s,
            max_vol_bytes: plan.volume_bytes,
            recycle: true,
            ..VolumeLimits::default()
        },
        max_pool_bytes: 0,
        auto_prune: true,
        pool_type: "Backup".to_owned(),
        label_type: 0,
        label_format: format!("v{at}-"),
        enabled: true,
        scratch_pool_id: PoolId(0),
        recycle_pool_id: PoolId(0),
        next_pool_id: PoolId(0),
        migration_high_bytes: 0,
        migration_low_bytes: 0,
        migration_time: 0,
    }
}
