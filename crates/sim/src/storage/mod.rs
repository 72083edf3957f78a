//! A Storage Daemon. Epochs, nonces, permits, Volume states, journals and their recovery, blocks, checkpoints, the search for Volumes
//! and what a stream may send are the daemon's own, over a virtual disk; told anew are the dialogue with Directors
//! (`storage::daemon::director`) and, in [`session`] and [`mount`], who waits for what.

mod mount;
mod session;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use storage::daemon::list_line;
use storage::device::Mounted;
use storage::disk::Disk;
use storage::job::{Job, JobPhase, JobSpec, JournalOutbox, JournalWord, NonceGiver, Outbox, StopFlag};
use storage::journal::{Journal, recover_on};
use storage::ledger::{
    DirectorKey, DirectorRegistry, Nonces, RegisterError, Registration, next_session_time_on,
};
use types::{ActivationId, Attempt, Nonce, Seq, VolSession};

use crate::bug::Bug;
use crate::director::own;
use crate::disk::VirtualDisk;
use crate::message::{ConnId, Line, Message, Pid};
use crate::plan::{Millis, Plan};
use crate::world::{Input, World};

pub(crate) use session::Session;

const HOME: &str = "/v/.holdfast";
/// `Director Reconnect Time`.
const RECONNECT: Duration = Duration::from_secs(1_800);

const RECONNECT_MS: Millis = 1_800_000;
/// `Client Connect Wait`.
const CLIENT_WAIT_MS: Millis = 60_000;

/// A job's name and attempt.
pub(crate) type JobKey = (String, Attempt);

#[derive(Debug)]
pub(crate) struct StorageDaemon {
    disk: Arc<VirtualDisk>,
    clock: Arc<AtomicU64>,
    rate: i64,
    registry: DirectorRegistry,
    nonces: Arc<NonceBook>,
    session_time: u32,
    next_session: u32,
    conns: BTreeMap<ConnId, Registration>,
    sessions: BTreeMap<JobKey, Session>,
    drives: Vec<Drive>,
}

#[derive(Debug, Default)]
struct Drive {
    mounted: Option<Arc<Mounted>>,
    /// How many Volumes were put into it.
    generation: u64,
}

/// The nonces given (`storage::daemon::Daemon` keeps the same).
#[derive(Debug, Default)]
struct NonceBook {
    clock: Arc<AtomicU64>,
    drawn: AtomicU64,
    given: Mutex<BTreeMap<(DirectorKey, ActivationId), Nonces>>,
}

impl NonceBook {
    fn given(&self) -> MutexGuard<'_, BTreeMap<(DirectorKey, ActivationId), Nonces>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The daemon's monotonic clock.
    fn now(&self) -> Instant {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        *ORIGIN.get_or_init(Instant::now) + Duration::from_millis(self.clock.load(Ordering::Relaxed))
    }

    fn draw(&self, held: &Registration) -> Nonce {
        let nonce = Nonce(u128::from(self.drawn.fetch_add(1, Ordering::Relaxed)) + 1);
        let mut given = self.given();
        given.retain(|(key, activation), _| *key != held.key || *activation == held.activation);
        given.entry((held.key.clone(), held.activation)).or_default().give(nonce, self.now());
        nonce
    }

    fn is_fresh(&self, owner: &DirectorKey, nonce: Nonce, lease_ms: u64) -> bool {
        self.given()
            .iter()
            .any(|((key, _), nonces)| key == owner && nonces.is_fresh(nonce, lease_ms, self.now()))
    }
}

#[derive(Debug)]
struct Giver {
    book: Arc<NonceBook>,
    registration: Registration,
}

impl NonceGiver for Giver {
    fn draw(&self) -> Nonce {
        self.book.draw(&self.registration)
    }
}

impl StorageDaemon {
    /// Before its first start.
    pub(crate) fn empty(plan: &Plan, at: usize, is_lying: bool) -> anyhow::Result<Self> {
        let disk = Arc::new(VirtualDisk::new(is_lying));
        let clock = Arc::new(AtomicU64::new(0));
        Ok(Self {
            registry: DirectorRegistry::load_on(Arc::clone(&disk) as Arc<dyn Disk>, directors())?,
            disk,
            nonces: Arc::new(NonceBook { clock: Arc::clone(&clock), ..NonceBook::default() }),
            clock,
            rate: plan.clocks[plan.instances + at],
            session_time: 0,
            next_session: 0,
            conns: BTreeMap::new(),
            sessions: BTreeMap::new(),
            drives: (0..plan.drives).map(|_| Drive::default()).collect(),
        })
    }

    pub(crate) fn set_clock(&self, now: Millis) {
        self.clock.store(own(now, self.rate), Ordering::Relaxed);
    }

    pub(crate) fn disk(&self) -> Arc<VirtualDisk> {
        Arc::clone(&self.disk)
    }

    pub(crate) fn sessions(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.sessions.values().map(|session| &session.job)
    }

    fn journals(key: &DirectorKey) -> PathBuf {
        Path::new(HOME).join(key.file_name())
    }
}

fn directors() -> PathBuf {
    Path::new(HOME).join("directors")
}

/// Where a Volume is.
pub(crate) fn volume_path(volume: &str) -> PathBuf {
    Path::new("/v").join(volume)
}

pub(crate) fn state_path(volume: &str) -> PathBuf {
    Path::new(HOME).join("volumes").join(volume)
}

impl World {
    /// What the daemon has on disk is all that it knows.
    pub(crate) fn storage_starts(&mut self, at: usize) {
        let daemon = &mut self.storages[at];
        let disk = Arc::clone(&daemon.disk) as Arc<dyn Disk>;
        let start = 1_700_000_000 + u32::try_from(self.now / 1000).unwrap_or(0);
        let registry = DirectorRegistry::load_on(Arc::clone(&disk), directors());
        let time = next_session_time_on(&*disk, &Path::new(HOME).join("session-time"), start);
        let (Ok(registry), Ok(time)) = (registry, time) else {
            return self.violate("I3", format!("Storage Daemon {at} cannot read what it had written"));
        };
        daemon.registry = registry;
        (daemon.session_time, daemon.next_session) = (time, 0);
        daemon.nonces = Arc::new(NonceBook {
            clock: Arc::clone(&daemon.clock),
            // Random in truth: never given before.
            drawn: AtomicU64::new(self.now << 20),
            given: Mutex::default(),
        });
        daemon.conns.clear();
        daemon.sessions.clear();
        daemon.drives.iter_mut().for_each(|drive| drive.mounted = None);
        self.take_up_journals(at);
    }

    fn take_up_journals(&mut self, at: usize) {
        let daemon = &mut self.storages[at];
        let key = DirectorKey { name: crate::DIRECTOR.to_owned(), catalog: Some(types::CatalogId(7)) };
        let listed = daemon.disk.list(&StorageDaemon::journals(&key)).unwrap_or_default();
        let mut damaged = Vec::new();
        for path in listed {
            match recover_on(&*daemon.disk, &path) {
                Ok(recovered) => {
                    let job = storage::daemon::found("sd", RECONNECT, &key, recovered);
                    let session = Session::found(&job);
                    daemon.sessions.insert((job.spec.job.clone(), job.spec.attempt), session);
                }
                // Before its header was synced nobody was told of it.
                Err(error) => damaged.push(error.to_string()),
            }
        }
        for error in damaged {
            self.note(|| format!("Storage Daemon {at}: {error}"));
        }
    }

    pub(crate) fn storage_input(&mut self, at: usize, input: Input) {
        match input {
            Input::Message(conn, message) => self.storage_hears(at, conn, message),
            Input::Gone(conn) => self.storage_lost_conn(at, conn),
            Input::Checkpoint(job, attempt) => self.checkpoint_due(at, &(job, attempt)),
            Input::Retry(job, attempt) => self.mount_again(at, &(job, attempt)),
            Input::Forsaken(job, attempt) => self.forsaken(at, &(job, attempt)),
            Input::NoClient(job, attempt) => self.no_client(at, &(job, attempt)),
            _ => {}
        }
    }

    fn storage_lost_conn(&mut self, at: usize, conn: ConnId) {
        let now = self.now;
        let daemon = &mut self.storages[at];
        daemon.conns.remove(&conn);
        let (mut without_client, mut forsaken) = (Vec::new(), Vec::new());
        for (key, session) in &mut daemon.sessions {
            if session.line == Some(conn) {
                (session.line, session.stream) = (None, None);
                session.alone_since = now;
                forsaken.push(key.clone());
            }
            if session.client == Some(conn) {
                without_client.push(key.clone());
            }
        }
        for key in without_client {
            self.client_gone(at, &key);
        }
        for (job, attempt) in forsaken {
            self.later(RECONNECT_MS, Pid::Storage(at), Input::Forsaken(job, attempt));
        }
    }

    fn storage_hears(&mut self, at: usize, conn: ConnId, message: Message) {
        match message {
            Message::Register(offered) => self.register(at, conn, *offered),
            Message::Open { unique, attempt } => self.client_opens(at, conn, &(unique, attempt)),
            Message::File { index, data } => self.file_comes(at, conn, index, &data),
            Message::End => self.files_end(at, conn),
            other => {
                if self.is_current(at, conn) {
                    self.command(at, conn, other);
                }
            }
        }
    }

    fn register(&mut self, at: usize, conn: ConnId, offered: Registration) {
        let me = Pid::Storage(at);
        let is_checked = self.bug != Some(Bug::EpochNotChecked);
        if let Err(RegisterError::Stale { newest, .. }) = self.storages[at].registry.register(&offered)
            && is_checked
        {
            self.oracle.counts.refused_stale += 1;
            self.say(me, conn, Message::Stale(newest.epoch));
            return self.part(me, conn);
        }
        crate::invariants::i01::obeyed(self, at, offered.epoch, "a registration");
        let nonce = self.storages[at].nonces.draw(&offered);
        self.storages[at].conns.insert(conn, offered);
        self.say(me, conn, Message::Registered(nonce));
    }

    /// Each command is checked against the highest epoch known at that moment.
    fn is_current(&mut self, at: usize, conn: ConnId) -> bool {
        let Some(held) = self.storages[at].conns.get(&conn).cloned() else { return false };
        if self.bug != Some(Bug::EpochNotChecked)
            && let Err(RegisterError::Stale { newest, .. }) = self.storages[at].registry.check_current(&held)
        {
            self.oracle.counts.refused_stale += 1;
            self.say(Pid::Storage(at), conn, Message::Stale(newest.epoch));
            self.part(Pid::Storage(at), conn);
            self.storage_lost_conn(at, conn);
            return false;
        }
        crate::invariants::i01::obeyed(self, at, held.epoch, "a command");
        true
    }

    fn command(&mut self, at: usize, conn: ConnId, message: Message) {
        let me = Pid::Storage(at);
        match message {
            Message::StartJob(spec) => self.start_job(at, conn, *spec),
            Message::Run => {
                let daemon = &mut self.storages[at];
                let found = daemon.sessions.iter_mut().find(|(_, session)| session.line == Some(conn));
                let Some((key, session)) = found.map(|(key, session)| (key.clone(), session)) else { return };
                if std::mem::replace(&mut session.is_run, true) {
                    return;
                }
                session.job.state().phase = JobPhase::Waiting;
                self.later(CLIENT_WAIT_MS, me, Input::NoClient(key.0.clone(), key.1));
                self.begin_session(at, &key);
            }
            Message::ListJobs => {
                let lines = self.storages[at].sessions().filter_map(|job| list_line(job)).collect();
                self.say(me, conn, Message::Jobs(lines));
            }
            Message::Attach { unique, attempt, from } => {
                let key = (unique, attempt);
                if !self.storages[at].sessions.contains_key(&key) {
                    return self.say(me, conn, Message::NotKnown);
                }
                if let Some(session) = self.storages[at].sessions.get(&key) {
                    journal_of(&session.job).confirm_to(from.0 - 1);
                }
                self.say(me, conn, Message::Attached);
                self.stream_to(at, &key, conn, from);
            }
            Message::Close { unique, attempt } => {
                let key = (unique, attempt);
                let answer = if self.storages[at].sessions.contains_key(&key) {
                    Message::Closed
                } else {
                    Message::NotKnown
                };
                self.close_session(at, &key);
                self.say(me, conn, answer);
            }
            Message::Packet(Line(packet)) => self.packet(at, conn, &packet),
            _ => {}
        }
    }

    fn start_job(&mut self, at: usize, conn: ConnId, spec: JobSpec) {
        let daemon = &mut self.storages[at];
        let Some(owner) = daemon.conns.get(&conn).map(|held| held.key.clone()) else { return };
        daemon.next_session += 1;
        let session = VolSession { id: daemon.next_session, time: daemon.session_time };
        let path = StorageDaemon::journals(&owner).join(spec.journal_name());
        let Ok(journal) = Journal::create_on(&*daemon.disk, &path, &spec.journal_header(session)) else {
            // It has one already: a Director that repeats a start gets no second session.
            return self.hang_up(Pid::Storage(at), conn);
        };
        let stop = Arc::new(StopFlag::default());
        let outbox = JournalOutbox::new(spec.id, "sd", journal, Arc::clone(&stop), RECONNECT);
        let key = (spec.job.clone(), spec.attempt);
        let job = Arc::new(Job::new(spec, owner, session, String::new(), Outbox::Journaled(outbox), stop));
        let drive = job.spec.id.0 as usize % self.plan.drives;
        self.storages[at].sessions.insert(key.clone(), Session::new(&job, drive));
        crate::invariants::i08::session_begins(self, at, session);
        self.say(Pid::Storage(at), conn, Message::JobStarted(session));
        self.stream_to(at, &key, conn, Seq(1));
    }

    /// The connection is the job's from here on; an older one is ended.
    fn stream_to(&mut self, at: usize, key: &JobKey, conn: ConnId, from: Seq) {
        let daemon = &mut self.storages[at];
        let (Some(registration), Some(session)) = (daemon.conns.get(&conn), daemon.sessions.get_mut(key))
        else {
            return;
        };
        let giver = Giver { book: Arc::clone(&daemon.nonces), registration: registration.clone() };
        let journal = journal_of(&session.job);
        journal.draw_nonces_from(Arc::new(giver));
        session.stream = journal.begin_stream(from.0).ok();
        let old = session.line.replace(conn).filter(|old| *old != conn);
        if let Some(old) = old {
            self.storages[at].conns.remove(&old);
            self.hang_up(Pid::Storage(at), old);
        }
        self.pump(at, key);
    }

    /// `Ack`, `Ans`, `Closed`.
    fn packet(&mut self, at: usize, conn: ConnId, packet: &[u8]) {
        let daemon = &self.storages[at];
        let found = daemon.sessions.iter().find(|(_, session)| session.line == Some(conn));
        let Some((key, session)) = found.map(|(key, session)| (key.clone(), session)) else { return };
        let journal = journal_of(&session.job);
        match JournalWord::parse(packet) {
            Some(JournalWord::Acked { seq, is_replicated }) => journal.acknowledge(seq, is_replicated),
            Some(JournalWord::Answered { seq, reply }) => journal.answer(seq, reply),
            Some(JournalWord::Closed(attempt)) if attempt == key.1 => return self.close_session(at, &key),
            Some(JournalWord::Closed(_) | JournalWord::Unclear) | None => {}
        }
        self.answered(at, &key);
        self.pump(at, &key);
    }

    fn close_session(&mut self, at: usize, key: &JobKey) {
        let Some(session) = self.storages[at].sessions.remove(key) else { return };
        let journal = journal_of(&session.job);
        journal.close_attempt();
        self.storages[at].disk.remove(&journal.path());
        if let Some(client) = session.client {
            self.say(Pid::Storage(at), client, Message::Failed);
        }
    }

    /// Streams what may be streamed.
    pub(crate) fn pump(&mut self, at: usize, key: &JobKey) {
        let Some(session) = self.storages[at].sessions.get_mut(key) else { return };
        let (Some(line), Some(stream)) = (session.line, session.stream.as_mut()) else { return };
        let job = Arc::clone(&session.job);
        let mut packets = Vec::new();
        while let Ok(storage::job::Batch::Records(records)) = journal_of(&job).next_batch(stream) {
            if records.is_empty() {
                break;
            }
            for record in records {
                let mut packet = format!("Jrn {} ", record.seq).into_bytes();
                packet.extend_from_slice(&record.payload);
                packets.push(packet);
            }
        }
        for packet in packets {
            self.say(Pid::Storage(at), line, Message::Packet(Line(packet)));
        }
    }
}

pub(crate) fn journal_of(job: &Job) -> &JournalOutbox {
    match &job.outbox {
        Outbox::Journaled(journal) => journal,
        Outbox::Direct(_) => unreachable!("every Director of a world has the additions"),
    }
}
