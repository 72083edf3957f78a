//! The catalog's threads: each owns a connection, and replaces it when it breaks.
//!
//! While the server is away, work waits here as long as its caller has patience. Work that was begun is run again only when
//! its transaction is known to be undone; when the connection broke during the commit, the server is asked what became of it.

use crate::error::{CatalogError, Result};
use crate::port::{Backend, Connection, TxMode};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, TryLockError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, error::TryRecvError};

/// Pauses between attempts to connect: the first and the longest. There are only a few threads, so they need no jitter.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// Times that work is run when its connection breaks each time: then the work itself may be what breaks it.
const RUNS_MAX: u32 = 8;

/// What a thread tells its work.
pub(crate) enum Call<'a> {
    /// A transaction is open.
    On(&'a dyn Connection),
    /// The transaction of the last run, whose commit had no answer, is there.
    Committed,
    /// It cannot be done.
    Fail(CatalogError),
}

/// What became of it.
pub(crate) enum Ran {
    /// The caller has the result.
    Done,
    /// The connection broke; nothing was done.
    Undone(CatalogError),
    /// The connection broke during the commit.
    Unknown(CatalogError),
}

/// Work waiting for a connection.
pub(crate) struct Work {
    /// When the caller's patience is over.
    pub(crate) until: Instant,
    /// The work; it answers the caller itself.
    pub(crate) run: Box<dyn FnMut(Call<'_>) -> Ran + Send>,
}

/// A connection, or the want of one.
pub(crate) struct Slot {
    backend: Arc<dyn Backend>,
    mode: TxMode,
    is_long: bool,
    connection: Option<Box<dyn Connection>>,
    pause: Duration,
}

impl Slot {
    pub(crate) fn new(backend: Arc<dyn Backend>, mode: TxMode, is_long: bool) -> Self {
        Self { backend, mode, is_long, connection: None, pause: PAUSES.0 }
    }

    /// A connection with an open transaction. One that broke while it was idle is replaced at once.
    fn begun(&mut self) -> Result<&dyn Connection> {
        let usable = self.connection.take().filter(|connection| connection.is_usable());
        let reused = usable.filter(|connection| match connection.begin(self.mode) {
            Ok(()) => true,
            Err(error) => {
                tracing::debug!(%error, "an idle catalog connection broke");
                false
            }
        });
        let connection = match reused {
            Some(connection) => connection,
            None => {
                let fresh = self.connect()?;
                fresh.begin(self.mode)?;
                fresh
            }
        };
        if self.pause > PAUSES.0 {
            tracing::info!(database = self.backend.describe(), "the catalog is back");
            self.pause = PAUSES.0;
        }
        Ok(&**self.connection.insert(connection))
    }

    /// Runs the work once; whatever stands against it is its result.
    pub(crate) fn run_once(&mut self, mut work: Work) {
        let error = match self.begun() {
            Ok(connection) => match (work.run)(Call::On(connection)) {
                Ran::Done => return,
                Ran::Undone(error) | Ran::Unknown(error) => error,
            },
            Err(error) => error,
        };
        drop((work.run)(Call::Fail(error)));
    }

    /// [`Self::begun`], for work that waits on its own.
    pub(crate) fn begun_until(&mut self, until: Instant) -> Result<&dyn Connection> {
        loop {
            match self.begun() {
                Err(error) if error.is_away() && Instant::now() < until => self.rest(&error),
                Err(error) => return Err(error),
                Ok(_) => break,
            }
        }
        self.connection.as_deref().ok_or(CatalogError::Closed)
    }

    fn connect(&self) -> Result<Box<dyn Connection>> {
        if self.is_long { self.backend.connect_long() } else { self.backend.connect(self.mode) }
    }

    /// Pauses before the next attempt.
    fn rest(&mut self, error: &CatalogError) {
        if self.pause == PAUSES.0 {
            tracing::warn!(%error, "the catalog is away; what needs it waits");
        }
        // No event: nobody tells when a server comes back.
        thread::sleep(self.pause);
        self.pause = (self.pause * 2).min(PAUSES.1);
    }

    /// Whether the transaction with this name is there; none when it cannot be known any more, or not within the time.
    fn outcome(&mut self, transaction: &str, until: Instant) -> Option<bool> {
        loop {
            match self.connect().and_then(|fresh| fresh.outcome(transaction)) {
                // Busy: the session of before is still at it.
                Err(error @ (CatalogError::Away { .. } | CatalogError::Busy { .. }))
                    if Instant::now() < until =>
                {
                    self.rest(&error);
                }
                Err(error) => {
                    tracing::warn!(%error, "ask what became of a catalog transaction");
                    return None;
                }
                Ok(known) => return known,
            }
        }
    }
}

/// Starts `count` threads that share a queue; they end when every sender is gone.
pub(crate) fn start(
    name: &str,
    count: usize,
    queue_max: usize,
    slot: impl Fn() -> Slot,
) -> Result<mpsc::Sender<Work>> {
    let (sender, queue) = mpsc::channel(queue_max);
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..count {
        let mut worker =
            Worker { queue: Arc::clone(&queue), queue_max, waiting: VecDeque::new(), slot: slot() };
        thread::Builder::new().name(name.to_owned()).spawn(move || worker.work_off()).map_err(|e| {
            CatalogError::Database { act: format!("start thread {name}"), source: Box::new(e) }
        })?;
    }
    Ok(sender)
}

struct Worker {
    queue: Arc<Mutex<mpsc::Receiver<Work>>>,
    queue_max: usize,
    /// Work that was taken from the queue, with the number of its runs. More than one piece only while the server is away.
    waiting: VecDeque<(Work, u32)>,
    slot: Slot,
}

impl Worker {
    fn work_off(&mut self) {
        loop {
            if self.waiting.is_empty() {
                // The lock is held while waiting: one idle thread waits in the channel, the others for the lock.
                let next = self.queue.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                match next {
                    Some(work) => self.waiting.push_back((work, 0)),
                    None => return,
                }
            }
            match self.slot.begun() {
                Ok(_) => self.run_next(),
                Err(error) if error.is_away() => {
                    if self.collect() {
                        return;
                    }
                    self.expire(&error);
                    if !self.waiting.is_empty() {
                        self.slot.rest(&error);
                    }
                }
                Err(error) => {
                    if let Some((mut work, _)) = self.waiting.pop_front() {
                        (work.run)(Call::Fail(error));
                    }
                }
            }
        }
    }

    /// Runs the first piece in the transaction that is open.
    fn run_next(&mut self) {
        let Some((mut work, runs)) = self.waiting.pop_front() else { return };
        let Some(connection) = self.slot.connection.as_deref() else { return };
        let ran = (work.run)(Call::On(connection));
        let (error, is_known) = match ran {
            Ran::Done => return,
            Ran::Undone(error) => (error, true),
            Ran::Unknown(error) => (error, false),
        };
        let transaction = connection.transaction();
        let outcome = match transaction {
            _ if is_known => Some(false),
            Some(transaction) => self.slot.outcome(&transaction, work.until),
            None => None,
        };
        match outcome {
            Some(true) => drop((work.run)(Call::Committed)),
            Some(false) if runs + 1 < RUNS_MAX => {
                tracing::info!(%error, "a catalog transaction is done again");
                self.waiting.push_front((work, runs + 1));
            }
            Some(false) | None => drop((work.run)(Call::Fail(error))),
        }
    }

    /// Takes what has come meanwhile, so that it can expire. True when nobody is there any more.
    fn collect(&mut self) -> bool {
        let mut queue = match self.queue.try_lock() {
            Ok(queue) => queue,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another thread waits in the channel, and takes what comes.
            Err(TryLockError::WouldBlock) => return false,
        };
        while self.waiting.len() < self.queue_max {
            match queue.try_recv() {
                Ok(work) => self.waiting.push_back((work, 0)),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return true,
            }
        }
        false
    }

    /// Answers those whose patience is over.
    fn expire(&mut self, error: &CatalogError) {
        let now = Instant::now();
        for (mut work, runs) in std::mem::take(&mut self.waiting) {
            if work.until > now {
                self.waiting.push_back((work, runs));
            } else {
                (work.run)(Call::Fail(error.again()));
            }
        }
    }
}
