//! The catalog's handle: bounded queues in front of threads that own connections.

use crate::error::{CatalogError, Result};
use crate::port::{Backend, Connection, TxMode};
use crate::tx::{ReadTx, WriteTx};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;
use tokio::sync::{Semaphore, mpsc, oneshot};
use types::{CatalogId, Epoch};

/// Work waiting for a connection; a caller beyond it waits, which is what holds back the senders of attributes.
const QUEUE_MAX: usize = 64;

/// Connections that only read. Restores and console lists must not wait behind each other; more would only use memory.
const READERS: usize = 3;

/// Long reads at once, each on a connection of its own; a further one waits. Accurate lists and restore trees are as slow as
/// their receiver, and the short reads of everybody else must not wait behind them.
const LONG_READS_MAX: usize = 16;

type Work = Box<dyn FnOnce(&dyn Connection) + Send>;

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
}

struct Shared {
    writer: mpsc::Sender<Work>,
    readers: mpsc::Sender<Work>,
    backend: Arc<dyn Backend>,
    long_reads: Arc<Semaphore>,
    director: Arc<str>,
    id: CatalogId,
    name: String,
}

impl Catalog {
    /// Takes a database into use for the Director `director`: creates or steps the schema, then starts the threads.
    ///
    /// # Errors
    /// [`CatalogError::Open`], [`CatalogError::Generation`] and those of the database.
    pub fn open(backend: Arc<dyn Backend>, director: &str) -> Result<Self> {
        let name = backend.describe();
        let writing = backend.connect(TxMode::Write)?;
        crate::schema::prepare(&*writing, &name)?;
        let id = crate::identity::load(&ReadTx::new(&*writing))?;
        let (writer, work) = mpsc::channel(QUEUE_MAX);
        serve("catalog-write", writing, Arc::new(Mutex::new(work)))?;
        let (readers, work) = mpsc::channel(QUEUE_MAX);
        let work = Arc::new(Mutex::new(work));
        for _ in 0..READERS {
            serve("catalog-read", backend.connect(TxMode::Read)?, Arc::clone(&work))?;
        }
        let long_reads = Arc::new(Semaphore::new(LONG_READS_MAX));
        let shared = Shared { writer, readers, backend, long_reads, director: director.into(), id, name };
        Ok(Self { shared: Arc::new(shared) })
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

    /// Reads in one consistent transaction. Cancel safe: an abandoned read is finished and its result dropped.
    ///
    /// # Errors
    /// Those of `work`; [`CatalogError::Closed`].
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, result) = oneshot::channel();
        let work = reading(work, reply);
        self.shared.readers.send(work).await.map_err(|_| CatalogError::Closed)?;
        result.await.map_err(|_| CatalogError::Closed)?
    }

    /// [`Catalog::read`] for results that are handed on row by row to something slow (a File Daemon, a console): it has a
    /// connection and a thread of its own, and `work` may block. At most 16 run at once, further ones wait. Cancel safe.
    ///
    /// # Errors
    /// Those of `work`; [`CatalogError::Open`] and those of connecting.
    pub async fn read_long<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit =
            Arc::clone(&self.shared.long_reads).acquire_owned().await.map_err(|_| CatalogError::Closed)?;
        let (reply, result) = oneshot::channel();
        let work = reading(work, reply);
        let backend = Arc::clone(&self.shared.backend);
        let connection = tokio::task::spawn_blocking(move || backend.connect(TxMode::Read));
        let connection = connection.await.map_err(|_| CatalogError::Closed)??;
        let body = move || {
            work(&*connection);
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
    /// Those of `work`; [`CatalogError::Closed`].
    pub fn read_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, result) = oneshot::channel();
        self.shared.readers.blocking_send(reading(work, reply)).map_err(|_| CatalogError::Closed)?;
        result.blocking_recv().map_err(|_| CatalogError::Closed)?
    }

    /// Writes in one transaction under `epoch`. When this returns `Ok`, the change is durable; when it returns an error,
    /// nothing of it is there. An abandoned future does not tell whether the change was made.
    ///
    /// # Errors
    /// [`CatalogError::EpochOver`] when another instance was activated; those of `work`; [`CatalogError::Closed`].
    pub async fn write<T: Send + 'static>(
        &self,
        epoch: Epoch,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, result) = oneshot::channel();
        let work = self.writing(epoch, work, reply);
        self.shared.writer.send(work).await.map_err(|_| CatalogError::Closed)?;
        result.await.map_err(|_| CatalogError::Closed)?
    }

    /// [`Catalog::write`] for threads outside the runtime. Panics inside an asynchronous task.
    ///
    /// # Errors
    /// As [`Catalog::write`].
    pub fn write_blocking<T: Send + 'static>(
        &self,
        epoch: Epoch,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, result) = oneshot::channel();
        self.shared
            .writer
            .blocking_send(self.writing(epoch, work, reply))
            .map_err(|_| CatalogError::Closed)?;
        result.blocking_recv().map_err(|_| CatalogError::Closed)?
    }

    /// Takes the leadership row: the one write that comes before an epoch is held. See [`crate::leader`].
    ///
    /// # Errors
    /// Those of `work`; [`CatalogError::Closed`].
    pub(crate) async fn activate<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, result) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            let done = in_transaction(connection, TxMode::Write, || work(connection));
            let _ = reply.send(done);
        });
        self.shared.writer.send(work).await.map_err(|_| CatalogError::Closed)?;
        result.await.map_err(|_| CatalogError::Closed)?
    }

    fn writing<T: Send + 'static>(
        &self,
        epoch: Epoch,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T> + Send + 'static,
        reply: oneshot::Sender<Result<T>>,
    ) -> Work {
        let director = Arc::clone(&self.shared.director);
        Box::new(move |connection| {
            let done = in_transaction(connection, TxMode::Write, || {
                let tx = WriteTx::begun(connection, &director, epoch)?;
                work(&tx)
            });
            let _ = reply.send(done);
        })
    }
}

fn reading<T: Send + 'static>(
    work: impl FnOnce(&ReadTx<'_>) -> Result<T> + Send + 'static,
    reply: oneshot::Sender<Result<T>>,
) -> Work {
    Box::new(move |connection| {
        let done = in_transaction(connection, TxMode::Read, || work(&ReadTx::new(connection)));
        let _ = reply.send(done);
    })
}

/// Commits when `work` succeeds, else leaves nothing behind.
pub(crate) fn in_transaction<T>(
    connection: &dyn Connection,
    mode: TxMode,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    connection.begin(mode)?;
    let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(CatalogError::Refused("a catalog query panicked; this is a bug, please report it".to_owned()))
    });
    match done {
        Ok(value) => {
            connection.commit().inspect_err(|_| connection.rollback())?;
            Ok(value)
        }
        Err(error) => {
            connection.rollback();
            Err(error)
        }
    }
}

/// Starts a thread that owns `connection` and works until every handle is gone.
fn serve(name: &str, connection: Box<dyn Connection>, queue: Arc<Mutex<mpsc::Receiver<Work>>>) -> Result<()> {
    let body = move || {
        loop {
            // The lock is held while waiting: one idle reader waits in the channel, the others for the lock.
            let next = queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner).blocking_recv();
            match next {
                Some(work) => work(&*connection),
                None => break,
            }
        }
    };
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map(drop)
        .map_err(|e| CatalogError::Database { act: format!("start thread {name}"), source: Box::new(e) })
}
