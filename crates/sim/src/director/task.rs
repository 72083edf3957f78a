//! One job's task: started or adopted, its daemons called, its journal followed, its end written. The catalog's side of the journal
//! is the Director's own (`director::catreq`), what a list of jobs says (`director::jobs::held`) and the end transaction
//! (`director::jobs::Ending`) too; told anew is the order of the steps between them (`director::jobs::{life, adopt, session}`).

use std::collections::VecDeque;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use catalog::ReadTx;
use catalog::attempt::AttemptRow;
use catalog::job::JobStart;
use director::catreq::{CatReqError, CatalogSession, JobContext, Verdict};
use director::jobs::{FdEnd, SdEnd};
use storage::job::JobSpec;
use storage::ledger::{DirectorKey, Registration};
use types::{Attempt, ClientId, FileSetId, JobId, JobLevel, JobStatus, JobType, Timestamp, VolSession};
use wire::verdict::Standing;
use wire::version::SdVersion;

use super::wall;
use super::work::{job_name, pool_name, storage_name};
use crate::DIRECTOR;
use crate::bug::Bug;
use crate::message::{ConnId, Line, Message, Order, Pid};
use crate::plan::{FAULTS_END, Millis};
use crate::world::{Input, World};

/// How long the daemons of a job are asked before it is given up (`SD Connect Timeout`, `FD Connect Timeout`).
pub(super) const ASK_FOR: Millis = 60_000;
pub(super) const ASK_EVERY: Millis = 2_000;
/// How often a catalog that is away is tried.
pub(super) const CATALOG_EVERY: Millis = 700;
/// How long one daemon may take to notice that the other is gone.
pub(super) const AFTER_LOSS: Millis = 30_000;

/// What the task waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// To begin.
    Queued,
    /// The Storage Daemon's answers, one after the other.
    Registering,
    Starting,
    /// The same of a Storage Daemon that was lost and is asked again (`director::jobs::rejoin`).
    Rejoining,
    Reattaching,
    /// The same of an adoption.
    Asking,
    Listing,
    Closing,
    Attaching,
    /// Records, and the end of both daemons.
    Following,
    /// The end transaction.
    Ending,
}

/// How the part of a daemon stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part<E> {
    Open,
    Ended(E),
    Lost,
}

pub(crate) struct Task {
    pub(super) job: JobId,
    pub(super) client: usize,
    pub(super) storage: usize,
    pub(super) attempt: Attempt,
    pub(super) session: VolSession,
    pub(super) start: Timestamp,
    pub(super) stage: Stage,
    pub(super) sd_conn: Option<ConnId>,
    pub(super) fd_conn: Option<ConnId>,
    pub(super) records: Option<CatalogSession>,
    /// Packets that wait for the catalog.
    pub(super) waiting: VecDeque<Vec<u8>>,
    pub(super) sd: Part<SdEnd>,
    pub(super) fd: Part<FdEnd>,
    pub(super) is_adopted: bool,
    pub(super) since: Millis,
    pub(super) give_up_at: Option<Millis>,
    /// How long a Storage Daemon that was lost has to come back.
    pub(super) rejoin_until: Option<Millis>,
}

pub(crate) fn unique_name(client: usize, number: i64) -> String {
    format!("{}.{number:04}", job_name(client))
}

/// The value of a future of the daemons that has nothing to wait for here.
pub(super) fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the catalog of a world makes its transactions at once"),
    }
}

impl Task {
    pub(crate) fn new(job: JobId, client: usize, storage: usize) -> Self {
        Self {
            job,
            client,
            storage,
            attempt: Attempt(0),
            session: VolSession::default(),
            start: Timestamp(0),
            stage: Stage::Queued,
            sd_conn: None,
            fd_conn: None,
            records: None,
            waiting: VecDeque::new(),
            sd: Part::Open,
            fd: Part::Open,
            is_adopted: false,
            since: 0,
            give_up_at: None,
            rejoin_until: None,
        }
    }

    pub(crate) fn adopt(&mut self, attempt: &AttemptRow, now: Millis) {
        self.attempt = attempt.attempt;
        self.session = attempt.session;
        self.start = attempt.granted_at;
        self.is_adopted = true;
        self.since = now;
        // Without a Storage none had taken the job on.
        self.stage = if attempt.storage.is_empty() { Stage::Closing } else { Stage::Asking };
    }
}

impl World {
    pub(super) fn task(&mut self, at: usize, job: JobId) -> Option<&mut Task> {
        self.acting(at)?.tasks.get_mut(&job)
    }

    pub(super) fn task_of(&self, at: usize, conn: ConnId) -> Option<JobId> {
        let active = self.directors[at].active.as_ref()?;
        let is_its = |task: &Task| task.sd_conn == Some(conn) || task.fd_conn == Some(conn);
        active.tasks.values().find(|task| is_its(task)).map(|task| task.job)
    }

    pub(super) fn call(&mut self, at: usize, to: Pid) -> ConnId {
        let conn = self.connect(Pid::Director(at), to);
        if let Some(active) = &mut self.directors[at].active {
            active.conns.insert(conn);
        }
        conn
    }

    pub(super) fn unique(&self, at: usize, job: JobId) -> Option<String> {
        let catalog = self.directors[at].active.as_ref()?.catalog.clone();
        let plan = catalog.read_blocking(move |r: &ReadTx<'_>| catalog::plan::load(r, job)).ok()??;
        plan.body.split(' ').nth(2).map(str::to_owned)
    }

    pub(super) fn standing(&self, at: usize) -> Option<Standing> {
        let guard = &self.directors[at].active.as_ref()?.guard;
        Some(Standing { epoch: guard.epoch(), activation: guard.activation() })
    }

    /// A job's task goes on by itself.
    pub(crate) fn task_due(&mut self, at: usize, job: JobId) {
        let Some(task) = self.task(at, job) else { return };
        match task.stage {
            Stage::Queued => self.begin_attempt(at, job),
            Stage::Asking => self.call_storage(at, job, Stage::Asking),
            Stage::Closing if task.sd_conn.is_none() => self.start_anew(at, job),
            Stage::Following | Stage::Ending => {
                self.take_waiting(at, job);
                self.look_for_end(at, job);
            }
            Stage::Rejoining if task.sd_conn.is_none() => self.call_storage(at, job, Stage::Rejoining),
            Stage::Registering
            | Stage::Starting
            | Stage::Listing
            | Stage::Closing
            | Stage::Attaching
            | Stage::Rejoining
            | Stage::Reattaching => {}
        }
    }

    /// Grants the attempt.
    fn begin_attempt(&mut self, at: usize, job: JobId) {
        let now = wall(self.now);
        let Some((client, storage)) = self.task(at, job).map(|task| (task.client, task.storage)) else {
            return;
        };
        let pool = pool_name(storage);
        let granted = self.write(at, move |tx| {
            let attempt = catalog::attempt::grant(tx, job, now)?;
            let pool_id = catalog::pool::get_by_name(tx, &pool)?.map(|row| row.id).unwrap_or_default();
            let start = JobStart {
                level: JobLevel::Full,
                client_id: ClientId(u32::try_from(client).unwrap_or(0) + 1),
                fileset_id: FileSetId(0),
                pool_id,
                start_time: now,
                status: JobStatus::Running,
            };
            catalog::job::start(tx, job, &start)?;
            Ok(attempt)
        });
        let Some(attempt) = granted else {
            return self.later(1_000, Pid::Director(at), Input::Task(job));
        };
        crate::invariants::i08::granted(self, job, attempt);
        if let Some(task) = self.task(at, job) {
            task.attempt = attempt;
            task.start = now;
        }
        self.call_storage(at, job, Stage::Registering);
    }

    pub(super) fn call_storage(&mut self, at: usize, job: JobId, stage: Stage) {
        let Some(storage) = self.task(at, job).map(|task| task.storage) else { return };
        let Some(registration) = self.registration(at) else { return };
        let conn = self.call(at, Pid::Storage(storage));
        let Some(task) = self.task(at, job) else { return };
        task.sd_conn = Some(conn);
        task.stage = stage;
        self.say(Pid::Director(at), conn, Message::Register(Box::new(registration)));
    }

    pub(super) fn registration(&mut self, at: usize) -> Option<Registration> {
        let key = DirectorKey { name: DIRECTOR.to_owned(), catalog: Some(self.catalog_id()) };
        let guard = &self.acting(at)?.guard;
        let (epoch, activation) = (guard.epoch(), guard.activation());
        Some(Registration { key, epoch, activation, instance: guard.instance().to_owned() })
    }

    /// Whether the catalog is away: then what was said is dealt with later, as a job's task waits for its transaction.
    pub(super) fn waits_for_catalog(&mut self, at: usize, conn: ConnId, message: &Message) -> bool {
        let is_away = !self.directors[at].access.is_reachable();
        if is_away {
            let again = Input::Message(conn, message.clone());
            self.later(CATALOG_EVERY, Pid::Director(at), again);
        }
        is_away
    }

    pub(crate) fn director_hears(&mut self, at: usize, conn: ConnId, message: Message) {
        if let Message::Stale(epoch) = message {
            return self.lead(at, lead::protocol::Event::EpochSeen(epoch));
        }
        let Some(job) = self.task_of(at, conn) else { return self.look_hears(at, conn, message) };
        let Some(stage) = self.task(at, job).map(|task| task.stage) else { return };
        match (stage, message) {
            // These are followed by a transaction.
            (
                Stage::Registering | Stage::Starting | Stage::Listing | Stage::Closing | Stage::Rejoining,
                message @ (Message::Registered(_)
                | Message::JobStarted(_)
                | Message::Jobs(_)
                | Message::Closed
                | Message::NotKnown),
            ) if self.waits_for_catalog(at, conn, &message) => {}
            (Stage::Registering, Message::Registered(_)) => self.start_on_storage(at, job, conn),
            (Stage::Starting, Message::JobStarted(session)) => self.started(at, job, conn, session),
            (Stage::Asking, Message::Registered(_)) => {
                self.set_stage(at, job, Stage::Listing);
                self.say(Pid::Director(at), conn, Message::ListJobs);
            }
            (Stage::Listing, Message::Jobs(lines)) => self.listed(at, job, conn, &lines),
            (Stage::Closing, Message::Closed | Message::NotKnown) => {
                self.leave(at, job);
                self.start_anew(at, job);
            }
            (Stage::Attaching, Message::Attached) => self.attached(at, job),
            (Stage::Rejoining, Message::Registered(_)) => self.attach(at, job, conn, Stage::Reattaching),
            (Stage::Reattaching, Message::Attached) => {
                // It may have been lost with the connection.
                if self.bug != Some(Bug::RunNotSaidAgain) {
                    self.say(Pid::Director(at), conn, Message::Run);
                }
                self.set_stage(at, job, Stage::Following);
                self.look_for_end(at, job);
            }
            (Stage::Attaching | Stage::Reattaching, Message::NotKnown) => self.storage_lost(at, job),
            // Records may come before the answer.
            (_, Message::Packet(Line(packet))) => {
                if let Some(task) = self.task(at, job) {
                    task.waiting.push_back(packet);
                }
                self.take_waiting(at, job);
                self.look_for_end(at, job);
            }
            (_, Message::ClientEnd(Line(line))) => {
                if let (Some(end), Some(task)) = (FdEnd::parse(&line), self.task(at, job)) {
                    task.fd = Part::Ended(end);
                }
                self.look_for_end(at, job);
            }
            (_, Message::KnowsJob(false)) => {
                if let Some(task) = self.task(at, job) {
                    task.fd = Part::Lost;
                }
                self.look_for_end(at, job);
            }
            _ => {}
        }
    }

    pub(super) fn set_stage(&mut self, at: usize, job: JobId, stage: Stage) {
        if let Some(task) = self.task(at, job) {
            task.stage = stage;
        }
    }

    fn start_on_storage(&mut self, at: usize, job: JobId, conn: ConnId) {
        let Some(unique) = self.unique(at, job) else {
            // Without the catalog there is no plan; a connection that is lost brings the job to its end.
            return self.hang_up(Pid::Director(at), conn);
        };
        let Some(task) = self.task(at, job) else { return };
        task.stage = Stage::Starting;
        let spec = JobSpec {
            id: job,
            job: unique,
            job_name: job_name(task.client),
            client: format!("fd{}", task.client),
            job_type: JobType::Backup.code(),
            level: JobLevel::Full.code(),
            file_set: "all".to_owned(),
            file_set_md5: String::new(),
            no_attributes: false,
            spool_attributes: false,
            prefer_mounted: true,
            is_sd_client: false,
            rerun: None,
            attempt: task.attempt,
            bandwidth_bytes_per_s: 0,
        };
        self.say(Pid::Director(at), conn, Message::StartJob(Box::new(spec)));
    }

    /// The session is noted, then both daemons are told to go.
    fn started(&mut self, at: usize, job: JobId, conn: ConnId, session: VolSession) {
        let Some((attempt, storage, client)) = self.task(at, job).map(|t| (t.attempt, t.storage, t.client))
        else {
            return;
        };
        let name = storage_name(storage);
        let noted = self.write(at, move |tx| {
            catalog::attempt::set_session(tx, job, attempt, &name, session)?;
            catalog::job::set_session(tx, job, session)
        });
        let unique = self.unique(at, job);
        let (Some(()), Some(unique), Some(standing)) = (noted, unique, self.standing(at)) else {
            return self.hang_up_and_lose(at, job, conn);
        };
        if !self.open_records(at, job) {
            return self.hang_up_and_lose(at, job, conn);
        }
        let fd = self.call(at, Pid::Client(client));
        if let Some(task) = self.task(at, job) {
            task.session = session;
            task.stage = Stage::Following;
            task.fd_conn = Some(fd);
        }
        self.say(Pid::Director(at), conn, Message::Run);
        let order = Order { job, unique, attempt, storage, standing };
        self.say(Pid::Director(at), fd, Message::Backup(Box::new(order)));
        self.take_waiting(at, job);
    }

    pub(super) fn hang_up_and_lose(&mut self, at: usize, job: JobId, conn: ConnId) {
        self.hang_up(Pid::Director(at), conn);
        self.storage_lost(at, job);
    }

    pub(super) fn open_records(&mut self, at: usize, job: JobId) -> bool {
        let bug = self.bug;
        let Some(active) = self.acting(at) else { return false };
        let service = active.service.clone();
        let catalog = active.catalog.clone();
        let Some(task) = active.tasks.get_mut(&job) else { return false };
        let mut storage = storage_name(task.storage);
        let name = storage.clone();
        let row = catalog.read_blocking(move |r| catalog::storage::get_by_name(r, &name)).ok().flatten();
        if bug == Some(Bug::RecordsTakenTwice) && task.is_adopted {
            storage.push('\'');
        }
        let context = JobContext {
            job_id: job,
            unique_name: String::new(),
            name: job_name(task.client),
            job_type: JobType::Backup,
            level: JobLevel::Full,
            attempt: task.attempt,
            client: format!("fd{}", task.client),
            pool: pool_name(task.storage),
            storage,
            storage_id: row.map(|row| row.id).unwrap_or_default(),
            sd_version: SdVersion::CURRENT,
            holdfast: true,
            start_time: task.start,
            prune_volumes: false,
            catalog_files: true,
        };
        task.records = ready(service.open(context)).ok();
        task.records.is_some()
    }

    // Data.

    /// Hands what came to the catalog's side.
    pub(super) fn take_waiting(&mut self, at: usize, job: JobId) {
        if !self.directors[at].access.is_reachable() {
            return self.later(CATALOG_EVERY, Pid::Director(at), Input::Task(job));
        }
        while let Some(packet) =
            self.task(at, job).filter(|t| t.records.is_some()).and_then(|t| t.waiting.pop_front())
        {
            if !self.take_packet(at, job, &packet) {
                return;
            }
        }
    }

    /// Whether the session goes on.
    fn take_packet(&mut self, at: usize, job: JobId, packet: &[u8]) -> bool {
        let Some(task) = self.task(at, job) else { return false };
        let (conn, attempt) = (task.sd_conn, task.attempt);
        let Some(mut records) = task.records.take() else { return false };
        let (replies, end) = match ready(records.handle(packet)) {
            Ok(handled) => {
                let end = match handled.verdict {
                    Verdict::Pass(payload) => SdEnd::parse(payload),
                    Verdict::Taken | Verdict::Repeated => None,
                };
                (handled.replies, end)
            }
            Err(error) => {
                self.note(|| format!("instance {at}: job {job}: {error}"));
                if let (CatReqError::Closed { .. }, Some(conn)) = (&error, conn) {
                    let closed = format!("Closed {attempt}\n").into_bytes();
                    self.say(Pid::Director(at), conn, Message::Packet(Line(closed)));
                }
                self.leave(at, job);
                self.storage_lost(at, job);
                return false;
            }
        };
        let is_over = end.is_some();
        if let Some(task) = self.task(at, job) {
            task.records = Some(records);
            if let Some(end) = end {
                task.sd = Part::Ended(end);
            }
        }
        for reply in replies {
            // The Storage Daemon acts on the answer to this request, not on the one that named the Volume.
            if is_permission(packet, &reply) {
                self.spring_trap(at, conn);
            }
            self.reply(at, conn, reply);
        }
        !is_over
    }

    pub(super) fn reply(&mut self, at: usize, conn: Option<ConnId>, reply: Vec<u8>) {
        let Some(conn) = conn else { return };
        self.say(Pid::Director(at), conn, Message::Packet(Line(reply)));
    }

    /// The fault that waits for this moment.
    fn spring_trap(&mut self, at: usize, conn: Option<ConnId>) {
        let Some(conn) = conn.filter(|_| self.now < FAULTS_END) else { return };
        let Some(span) = self.traps.permit.take() else { return };
        let Some((_, end)) = self.net.side(conn, Pid::Director(at)) else { return };
        self.note(|| format!("instance {at} stands still with a permission in its hand"));
        for other in (0..self.plan.instances).filter(|other| *other != at) {
            self.cut(Pid::Director(other), end.pid, crate::plan::Cut::Both, span + 2_000);
        }
        self.freeze(Pid::Director(at), span);
    }
}

/// Whether the answer to a request lets a Volume be overwritten.
fn is_permission(request: &[u8], reply: &[u8]) -> bool {
    let text = String::from_utf8_lossy(reply);
    let is_asked = request.windows(12).any(|word| word == b" GetVolInfo ");
    is_asked && text.starts_with("Ans ") && text.contains(" VolStatus=Recycle ") && text.contains(" HfNonce=")
}
