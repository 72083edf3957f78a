//! The catalog's handle: bounded queues in front of threads that own connections.

use crate::error::{CatalogError, Result};
use crate::leader::LeaderRow;
use crate::port::{Backend, Connection, TxMode};
use crate::tx::{ReadTx, WriteTx};
use crate::worker::{self, Call, Ran, Slot, Work};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, mpsc, oneshot};
use types::{CatalogId, Epoch};

/// Work waiting for a connection; a caller beyond it waits, which is what holds back the senders of attributes.
const QUEUE_MAX: usize = 64;

/// Connections that only read. Restores and console lists must not wait behind each other; more would only use memory.
const READERS: usize = 3;

/// Long reads at once, each on a connection of its own; a further one waits. Accurate lists and restore trees are as slow as
/// their receiver, and the short reads of everybody else must not wait behind them.
const LONG_READS_MAX: usize = 16;

/// How long a job's work waits for a server that is away, unless [`Catalog::with_patience`] says otherwise: as long as a
/// Storage Daemon holds a running job for a Director.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// A catalog in use by one Director. Clones share its connections.
///
/// ```no_run
/// # async fn example(epoch: types::Epoch) -> catalog::Result<()> {
/// let catalog = catalog::Catalog::open_sqlite("/var/lib/bacula/bacula.db".as_ref(), "dc1-dir")?;
/// let clients = catalog.read(|r| catalog::client::list(r)).await?;
/// catalog.write(epoch, |tx| catalog::storage::ensure(tx, "File1", false)).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Catalog {
    shared: Arc<Shared>,
    patience: Duration,
}

struct Shared {
    writer: Way,
    readers: Way,
    backend: Arc<dyn Backend>,
    long_reads: Arc<Semaphore>,
    director: Arc<str>,
    id: CatalogId,
    name: String,
}

/// How work comes to a connection.
enum Way {
    /// Over a queue, to threads that own connections.
    Queue(mpsc::Sender<Work>),
    /// In the call itself.
    Here(Mutex<Slot>),
}

impl Catalog {
    /// Takes a database into use for the Director `director`: creates or steps the schema, then starts the threads.
    ///
    /// # Errors
    /// [`CatalogError::Open`], [`CatalogError::Generation`] and those of the database.
    pub fn open(backend: Arc<dyn Backend>, director: &str) -> Result<Self> {
        let name = backend.describe();
        let id = prepare(&*backend, &name)?;
        let writer = worker::start("catalog-write", 1, QUEUE_MAX, || {
            Slot::new(Arc::clone(&backend), TxMode::Write, false)
        })?;
        let readers = worker::start("catalog-read", READERS, QUEUE_MAX, || {
            Slot::new(Arc::clone(&backend), TxMode::Read, false)
        })?;
        Ok(Self::over(Way::Queue(writer), Way::Queue(readers), backend, director, id))
    }

    /// [`Catalog::open`] without threads: each transaction is made in the call itself, once, so that a future of [`Catalog::read`] or
    /// [`Catalog::write`] is ready when it is first polled. A server that is away is not waited for. For simulation.
    ///
    /// # Errors
    /// As [`Catalog::open`].
    pub fn open_inline(backend: &Arc<dyn Backend>, director: &str) -> Result<Self> {
        let id = prepare(&**backend, &backend.describe())?;
        let way = |mode| Way::Here(Mutex::new(Slot::new(Arc::clone(backend), mode, false)));
        Ok(Self::over(way(TxMode::Write), way(TxMode::Read), Arc::clone(backend), director, id))
    }

    fn over(writer: Way, readers: Way, backend: Arc<dyn Backend>, director: &str, id: CatalogId) -> Self {
        let long_reads = Arc::new(Semaphore::new(LONG_READS_MAX));
        let name = backend.describe();
        let shared = Shared { writer, readers, backend, long_reads, director: director.into(), id, name };
        Self { shared: Arc::new(shared), patience: PATIENCE }
    }

    /// This catalog for a caller who waits at most `patience` for a server that is away: a person at a console. Jobs wait
    /// 30 minutes.
    #[must_use]
    pub fn with_patience(&self, patience: Duration) -> Self {
        Self { shared: Arc::clone(&self.shared), patience }
    }

    pub(crate) fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.shared.backend)
    }

    /// This instance has become the active one.
    pub(crate) fn activated(&self, row: &LeaderRow) {
        self.shared.backend.activated(&row.holder, row.epoch);
    }

    /// Identity of the database, drawn when it was created.
    #[must_use]
    pub fn id(&self) -> CatalogId {
        self.shared.id
    }

    /// What the operator calls it: a path, or host and name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The Director it was opened for.
    #[must_use]
    pub fn director(&self) -> &str {
        &self.shared.director
    }

    /// Reads in one consistent transaction. `work` is run again on a new connection when its own broke. Cancel safe: an
    /// abandoned read is finished and its result dropped.
    ///
    /// # Errors
    /// Those of `work`; [`CatalogError::Away`] when the server stays away; [`CatalogError::Closed`].
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&ReadTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(&self.shared.readers, move |connection| work(&ReadTx::new(connection))).await
    }

    /// [`Catalog::read`] for results that are handed on row by row to something slow (a File Daemon, a console): it has a
    /// connection and a thread of its own, `work` may block, and is run once. At most 16 run at once, further ones wait.
    /// Cancel safe.
    ///
    /// # Errors
    /// Those of `work`; [`CatalogError::Away`] and those of connecting.
    pub async fn read_long<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit =
            Arc::clone(&self.shared.long_reads).acquire_owned().await.map_err(|_| CatalogError::Closed)?;
        let (reply, result) = oneshot::channel();
        let mut slot = Slot::new(Arc::clone(&self.shared.backend), TxMode::Read, true);
        let until = Instant::now() + self.patience;
        let body = move || {
            let done = slot
                .begun_until(until)
                .and_then(|connection| complete(connection, || work(&ReadTx::new(connection))));
            let _ = reply.send(done);
            drop(permit);
        };
        thread::Builder::new().name("catalog-long".to_owned()).spawn(body).map_err(|e| {
            CatalogError::Database { act: "start thread catalog-long".to_owned(), source: Box::new(e) }
        })?;
        result.await.map_err(|_| CatalogError::Closed)?
    }

    /// [`Catalog::read`] for threads outside the runtime. Panics inside an asynchronous task.
    ///
    /// # Errors
    /// As [`Catalog::read`].
    pub fn read_blocking<T: Send + 'static>(
        &self,
        work: impl Fn(&ReadTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit_blocking(&self.shared.readers, move |connection| work(&ReadTx::new(connection)))
    }

    /// Writes in one transaction under `epoch`. When this returns `Ok`, the change is durable; when it returns an error,
    /// nothing of it is there, but for [`CatalogError::OutcomeUnknown`]. `work` is run again when the connection broke and
    /// its transaction is known to be undone: it changes nothing but the catalog. An abandoned future does not tell whether
    /// the change was made.
    ///
    /// # Errors
    /// [`CatalogError::EpochOver`] when another instance was activated; those of `work`; [`CatalogError::Away`] when the
    /// server stays away; [`CatalogError::OutcomeUnknown`]; [`CatalogError::Closed`].
    pub async fn write<T: Send + 'static>(
        &self,
        epoch: Epoch,
        work: impl Fn(&WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(&self.shared.writer, self.writing(epoch, work)).await
    }

    /// [`Catalog::write`] for threads outside the runtime. Panics inside an asynchronous task.
    ///
    /// # Errors
    /// As [`Catalog::write`].
    pub fn write_blocking<T: Send + 'static>(
        &self,
        epoch: Epoch,
        work: impl Fn(&WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit_blocking(&self.shared.writer, self.writing(epoch, work))
    }

    /// Takes the leadership row: the one write that comes before an epoch is held. See [`crate::leader`].
    ///
    /// # Errors
    /// Those of `work`; [`CatalogError::Closed`].
    pub(crate) async fn activate<T: Send + 'static>(
        &self,
        work: impl Fn(&dyn Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.submit(&self.shared.writer, work).await
    }

    fn writing<T: Send + 'static>(
        &self,
        epoch: Epoch,
        work: impl Fn(&WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> impl Fn(&dyn Connection) -> Result<T> + Send + 'static {
        let director = Arc::clone(&self.shared.director);
        move |connection| work(&WriteTx::begun(connection, &director, epoch)?)
    }

    async fn submit<T: Send + 'static>(
        &self,
        way: &Way,
        work: impl Fn(&dyn Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (work, result) = self.work(work);
        let queue = match way {
            Way::Queue(queue) => queue,
            Way::Here(slot) => {
                run_here(slot, work);
                return result.await.map_err(|_| CatalogError::Closed)?;
            }
        };
        match tokio::time::timeout(self.patience, queue.send(work)).await {
            Ok(sent) => sent.map_err(|_| CatalogError::Closed)?,
            Err(_) => return Err(self.queue_full()),
        }
        result.await.map_err(|_| CatalogError::Closed)?
    }

    fn submit_blocking<T: Send + 'static>(
        &self,
        way: &Way,
        work: impl Fn(&dyn Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (work, result) = self.work(work);
        match way {
            Way::Queue(queue) => queue.blocking_send(work).map_err(|_| CatalogError::Closed)?,
            Way::Here(slot) => run_here(slot, work),
        }
        result.blocking_recv().map_err(|_| CatalogError::Closed)?
    }

    fn work<T: Send + 'static>(
        &self,
        work: impl Fn(&dyn Connection) -> Result<T> + Send + 'static,
    ) -> (Work, oneshot::Receiver<Result<T>>) {
        let (reply, result) = oneshot::channel();
        let mut reply = Some(reply);
        // The value of a transaction whose commit had no answer.
        let mut unsettled = None;
        let run = move |call: Call<'_>| {
            let done = match call {
                Call::On(connection) => match attempt(connection, || work(connection)) {
                    (_, Err(error)) if error.is_away() => return Ran::Undone(error),
                    (value, Err(error @ CatalogError::OutcomeUnknown { .. })) => {
                        unsettled = value;
                        return Ran::Unknown(error);
                    }
                    (Some(value), Ok(())) => Ok(value),
                    (_, Err(error)) => Err(error),
                    (None, Ok(())) => Err(CatalogError::Closed),
                },
                Call::Committed => unsettled.take().ok_or(CatalogError::Closed),
                Call::Fail(error) => Err(error),
            };
            if let Some(reply) = reply.take() {
                let _ = reply.send(done);
            }
            Ran::Done
        };
        (Work { until: Instant::now() + self.patience, run: Box::new(run) }, result)
    }

    fn queue_full(&self) -> CatalogError {
        CatalogError::Away {
            database: self.shared.name.clone(),
            problem: "more is waiting for it than there is room for".to_owned(),
        }
    }
}

/// Creates or steps the schema; gives the identity.
fn prepare(backend: &dyn Backend, name: &str) -> Result<CatalogId> {
    let writing = backend.connect(TxMode::Write)?;
    crate::schema::prepare(&*writing, name)?;
    crate::identity::load(&ReadTx::new(&*writing))
}

fn run_here(slot: &Mutex<Slot>, work: Work) {
    slot.lock().unwrap_or_else(PoisonError::into_inner).run_once(work);
}

/// Commits the transaction that is open when `work` succeeds, else leaves nothing behind.
fn complete<T>(connection: &dyn Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    match attempt(connection, work) {
        (Some(value), Ok(())) => Ok(value),
        (_, Err(error)) => Err(error),
        (None, Ok(())) => Err(CatalogError::Closed),
    }
}

/// [`complete`], with the value also when the commit failed.
fn attempt<T>(connection: &dyn Connection, work: impl FnOnce() -> Result<T>) -> (Option<T>, Result<()>) {
    let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(CatalogError::Refused("a catalog query panicked; this is a bug, please report it".to_owned()))
    });
    match done {
        Ok(value) => (Some(value), connection.commit().inspect_err(|_| connection.rollback())),
        Err(error) => {
            connection.rollback();
            (None, Err(error))
        }
    }
}

/// `work` in a transaction of its own.
pub(crate) fn in_transaction<T>(
    connection: &dyn Connection,
    mode: TxMode,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    connection.begin(mode)?;
    complete(connection, work)
}
