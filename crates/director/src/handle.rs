//! The shared handle of a running Director.

use crate::catreq::{CatalogService, VolumeRules};
use crate::configuration::{ConfigFiles, Configuration, LastActive, short};
use crate::error::DirectorError;
use crate::jobs::names::Names;
use crate::jobs::{JobView, Registry};
use crate::messages::MessageCenter;
use crate::peer::{ClientConn, Identity, Links, StorageConn, Tries, chain};
use crate::reconcile::Reconciliation;
use crate::report::Product;
use crate::text;
use catalog::Catalog;
use catalog::ledger::DueRun;
use conf::DirectorConfig;
use conf::director::{Client, Storage};
use lead::{EpochGuard, Leadership, Lost};
use policy::plan::JobRequest;
use policy::spare::Standings;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use types::{Epoch, JobId, JobLevel, JobStatus, JobType, Timestamp};

/// Jobs shown by `status director` after their end.
const TERMINATED_MAX: usize = 10;

/// A running Director. Cheap to clone; all clones are one Director.
#[derive(Clone)]
pub struct Director {
    inner: Arc<Inner>,
}

struct Inner {
    configuration: watch::Sender<Arc<Configuration>>,
    files: ConfigFiles,
    reloading: tokio::sync::Mutex<()>,
    catalog: Catalog,
    leadership: Mutex<Option<Leadership>>,
    active: RwLock<Active>,
    standings: RwLock<Arc<Standings>>,
    registry: Registry,
    reconciliation: Arc<Reconciliation>,
    messages: MessageCenter,
    names: Names,
    started: Timestamp,
    reloaded: AtomicI64,
    terminated: Mutex<Vec<TerminatedJob>>,
    tasks: Mutex<JoinSet<()>>,
    stop: CancellationToken,
    schedule_changed: Notify,
}

/// What depends on the activation and on the configuration.
#[derive(Clone)]
struct Active {
    guard: EpochGuard,
    links: Arc<Links>,
}

/// A job that has ended, for `status director`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminatedJob {
    /// JobId.
    pub job_id: JobId,
    /// Unique name.
    pub job: String,
    /// Name of the Job resource.
    pub name: String,
    /// Type.
    pub job_type: JobType,
    /// Level.
    pub level: JobLevel,
    /// How it ended.
    pub status: JobStatus,
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
    /// Errors, for `OK -- with warnings`.
    pub errors: u32,
    /// When it ended.
    pub finished: Timestamp,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Director {
    pub(crate) fn new(
        configuration: Arc<Configuration>,
        files: ConfigFiles,
        catalog: Catalog,
        leadership: Leadership,
        stop: CancellationToken,
    ) -> Self {
        let config = Arc::clone(&configuration.config);
        let working = PathBuf::from(&config.director.working_directory);
        let messages = MessageCenter::new(&config.director.name, &working);
        let registry = Registry::default();
        let now = text::now();
        let active = Active::new(&config, &leadership, Arc::default());
        let director = Self {
            inner: Arc::new(Inner {
                configuration: watch::Sender::new(configuration),
                files,
                reloading: tokio::sync::Mutex::default(),
                catalog,
                leadership: Mutex::new(Some(leadership)),
                active: RwLock::new(active),
                standings: RwLock::default(),
                registry,
                reconciliation: Arc::default(),
                messages,
                names: Names::default(),
                started: now,
                reloaded: AtomicI64::new(now.0),
                terminated: Mutex::default(),
                tasks: Mutex::default(),
                stop,
                schedule_changed: Notify::new(),
            }),
        };
        director.apply_config();
        director
    }

    /// The configuration as it is now. A running job keeps the plan it was made with.
    #[must_use]
    pub fn config(&self) -> Arc<DirectorConfig> {
        Arc::clone(&self.inner.configuration.borrow().config)
    }

    /// As [`Self::config`], with its hash.
    #[must_use]
    pub fn configuration(&self) -> Arc<Configuration> {
        Arc::clone(&self.inner.configuration.borrow())
    }

    /// Sees every reload.
    pub(crate) fn watch_configuration(&self) -> watch::Receiver<Arc<Configuration>> {
        self.inner.configuration.subscribe()
    }

    /// The catalog.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.inner.catalog
    }

    /// The right to act, for catalog writes and destructive commands.
    #[must_use]
    pub fn guard(&self) -> EpochGuard {
        self.active().guard
    }

    /// The epoch of this activation.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.guard().epoch()
    }

    /// The activation, in the form that is sent to others.
    pub(crate) fn activation(&self) -> String {
        self.guard().activation().to_string()
    }

    fn active(&self) -> Active {
        self.inner.active.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn links(&self) -> Arc<Links> {
        self.active().links
    }

    /// What the Storage Daemons have been asked in this activation.
    pub(crate) fn reconciliation(&self) -> &Reconciliation {
        &self.inner.reconciliation
    }

    /// Why nothing may be pruned, recycled or overwritten now; none when it may.
    #[must_use]
    pub fn held(&self) -> Option<String> {
        self.inner.reconciliation.hold()
    }

    /// The file of an embedded catalog.
    pub(crate) fn catalog_file(&self) -> Option<PathBuf> {
        crate::database::embedded_file(&self.config())
    }

    /// Whether whoever was active before cannot act any more, also not on a stock Storage Daemon.
    pub(crate) fn is_alone(&self) -> bool {
        lock(&self.inner.leadership).as_ref().is_some_and(Leadership::is_alone)
    }

    /// Why the catalog may have gone back in time, where the engine of the lease thinks so.
    pub(crate) fn doubt(&self) -> Option<String> {
        lock(&self.inner.leadership).as_ref()?.doubt().map(str::to_owned)
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    pub(crate) fn names(&self) -> &Names {
        &self.inner.names
    }

    pub(crate) fn stop_token(&self) -> &CancellationToken {
        &self.inner.stop
    }

    /// A unique name for a console session or a console's connection to a daemon: `-Console-.2026-11-23_15.05.22_05`.
    #[must_use]
    pub fn console_name(&self) -> String {
        self.inner.names.draw("-Console-", text::now())
    }

    /// Creates the job in the catalog and queues it. It starts at once when nothing holds it back.
    ///
    /// # Errors
    /// [`DirectorError::Plan`] when the request does not fit the configuration, [`DirectorError::Catalog`].
    pub async fn submit(&self, request: JobRequest) -> Result<JobId, DirectorError> {
        let made = crate::jobs::create::create(self, request, None).await?;
        made.ok_or_else(|| DirectorError::Plan("the due run was settled before".to_owned()))
    }

    /// Creates the job of a due run, unless that run was settled before: then `None`.
    pub(crate) async fn submit_due(
        &self,
        request: JobRequest,
        due: DueRun,
    ) -> Result<Option<JobId>, DirectorError> {
        crate::jobs::create::create(self, request, Some(due)).await
    }

    /// Cancels a queued or running job. Returns the lines that FD and SD answered, as the console shows them
    /// (`2001 Job "…" marked to be canceled.`, `3000 JobId=6 Job="…" marked to be canceled.`).
    ///
    /// # Errors
    /// [`DirectorError::NoSuchJob`].
    pub async fn cancel(&self, job: JobId) -> Result<Vec<String>, DirectorError> {
        crate::jobs::cancel::cancel(self, job, crate::jobs::Wish::Cancel).await
    }

    /// Stops a job so that it ends Incomplete and can be resumed; answers as [`Self::cancel`].
    ///
    /// # Errors
    /// [`DirectorError::NoSuchJob`].
    pub async fn stop_job(&self, job: JobId) -> Result<Vec<String>, DirectorError> {
        crate::jobs::cancel::cancel(self, job, crate::jobs::Wish::Stop).await
    }

    /// Runs a job that ended Incomplete again under the same JobId, going on where it ended.
    ///
    /// # Errors
    /// [`DirectorError::Plan`] when the job has no plan or is not Incomplete; [`DirectorError::Catalog`].
    pub async fn resume(&self, job: JobId) -> Result<(), DirectorError> {
        crate::jobs::create::resume(self, job, None).await
    }

    /// Waits until the job has ended and its report was sent. `None` when no such job is queued or runs.
    pub async fn wait(&self, job: JobId) -> Option<JobStatus> {
        self.inner.registry.wait(job).await
    }

    /// Waits until no job runs or waits for its turn; jobs whose start time lies ahead do not count.
    pub async fn wait_all(&self) {
        self.inner.registry.wait_all().await;
    }

    /// The jobs that are queued or run, by JobId.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobView> {
        self.inner.registry.views()
    }

    /// One queued or running job.
    #[must_use]
    pub fn job(&self, job: JobId) -> Option<JobView> {
        self.inner.registry.get(job).map(|job| job.view())
    }

    /// Jobs taken in since the start of the daemon.
    #[must_use]
    pub fn jobs_run(&self) -> u32 {
        self.inner.registry.started()
    }

    /// The last jobs that ended, oldest first (at most 10; kept over restarts by the catalog).
    #[must_use]
    pub fn terminated(&self) -> Vec<TerminatedJob> {
        lock(&self.inner.terminated).clone()
    }

    pub(crate) fn note_terminated(&self, job: TerminatedJob) {
        let mut list = lock(&self.inner.terminated);
        list.push(job);
        let excess = list.len().saturating_sub(TERMINATED_MAX);
        list.drain(..excess);
    }

    /// Where messages go; console sessions take theirs from it.
    #[must_use]
    pub fn messages(&self) -> &MessageCenter {
        &self.inner.messages
    }

    /// When this Director started.
    #[must_use]
    pub fn started(&self) -> Timestamp {
        self.inner.started
    }

    /// When its configuration was read last.
    #[must_use]
    pub fn reloaded(&self) -> Timestamp {
        Timestamp(self.inner.reloaded.load(Ordering::Relaxed))
    }

    /// Reads the configuration anew: all of it is taken, or none. Returns what is different now, a line each.
    ///
    /// # Errors
    /// [`DirectorError::Reload`] says everything that is wrong, [`DirectorError::Catalog`] that the catalog did not take the
    /// resources; the old configuration stays.
    pub async fn reload(&self) -> Result<Vec<String>, DirectorError> {
        // One after the other, so that the catalog's rows are those of the configuration that is in effect.
        let _turn = self.inner.reloading.lock().await;
        let (new, changes) = self.read_again().await?;
        let new = Arc::new(new);
        self.sync_resources(&new).await?;
        let standings = self.read_standings(&new.config).await?;
        self.inner.configuration.send_replace(Arc::clone(&new));
        self.put_standings(standings);
        self.inner.reloaded.store(text::now().0, Ordering::Relaxed);
        self.apply_config();
        for line in &changes {
            tracing::info!("configuration: {line}");
        }
        tracing::info!(hash = short(&new.hash), "configuration reloaded");
        Ok(changes)
    }

    /// What [`Self::reload`] would change, a line each; nothing is.
    ///
    /// # Errors
    /// As [`Self::reload`], the catalog excepted.
    pub async fn check_reload(&self) -> Result<Vec<String>, DirectorError> {
        self.read_again().await.map(|(_, changes)| changes)
    }

    async fn read_again(&self) -> Result<(Configuration, Vec<String>), DirectorError> {
        let files = self.inner.files.clone();
        let read = tokio::task::spawn_blocking(move || files.read()).await;
        let new = read.unwrap_or_else(|error| Err(error.to_string())).map_err(DirectorError::Reload)?;
        let old = self.configuration();
        old.keeps(&new, self.guard().instance()).map_err(DirectorError::Reload)?;
        let changes = old.difference(&new);
        Ok((new, changes))
    }

    /// Makes the catalog's rows for the resources of a configuration, and stores that it is the active one.
    pub(crate) async fn sync_resources(&self, new: &Arc<Configuration>) -> Result<(), DirectorError> {
        let new = Arc::clone(new);
        let instance = self.guard().instance().to_owned();
        let written = self.catalog().write(self.epoch(), move |tx| {
            crate::catreq::resources::sync(tx, &new.config)?;
            LastActive { hash: new.hash.clone(), instance: instance.clone() }.set(tx, text::now())
        });
        written.await.map_err(|error| DirectorError::Catalog(chain(&error)))
    }

    /// Notes that this instance acts by its configuration, where the one that was active last had the same: then the catalog has
    /// its resources' rows. False where it had another.
    pub(crate) async fn goes_on_as_before(&self) -> Result<bool, DirectorError> {
        let configuration = self.configuration();
        let (director, instance) = (self.config().director.name.clone(), self.guard().instance().to_owned());
        let written = self.catalog().write(self.epoch(), move |tx| {
            let last = LastActive::get(tx, &director)?;
            let is_same = last.is_some_and(|last| last.hash == configuration.hash);
            if is_same {
                let now = LastActive { hash: configuration.hash.clone(), instance: instance.clone() };
                now.set(tx, text::now())?;
            }
            Ok(is_same)
        });
        written.await.map_err(|error| DirectorError::Catalog(chain(&error)))
    }

    /// Makes rows of resources anew that somebody has deleted.
    pub(crate) async fn mend_resources(&self) {
        let _turn = self.inner.reloading.lock().await;
        if let Err(error) = self.sync_resources(&self.configuration()).await {
            tracing::warn!(error = %chain(&error), "the rows of the configuration's resources were not looked through");
        }
    }

    /// Serves the catalog requests of jobs by the rules of the configuration as it is now.
    pub(crate) fn catalog_service(&self) -> CatalogService {
        let reconciliation = Arc::clone(&self.inner.reconciliation);
        let resting = self.standings().iter().map(|standing| standing.resting().to_owned()).collect();
        let rules = VolumeRules::from_config(&self.config()).without(resting);
        CatalogService::new(self.catalog().clone(), self.guard(), rules)
            .held_while(Arc::new(move || reconciliation.hold().is_some()))
    }

    fn apply_config(&self) {
        let config = self.config();
        if let Some(leadership) = &*lock(&self.inner.leadership) {
            *self.inner.active.write().unwrap_or_else(PoisonError::into_inner) =
                Active::new(&config, leadership, self.standings());
        }
        let daemon = config.daemon_messages().map(|m| m.destinations.clone()).unwrap_or_default();
        self.inner.messages.set_daemon(daemon.into());
        self.inner.registry.set_limit(config.director.maximum_concurrent_jobs);
        self.inner.schedule_changed.notify_one();
    }

    /// Ends the right to act, stops all tasks and gives the role back, to `heir` when one is named. What ran is adopted by the
    /// next active instance.
    pub(crate) async fn give_up(&self, heir: Option<&str>, demote: bool) {
        let leadership = lock(&self.inner.leadership).take();
        self.guard().end(Lost::Released);
        self.end_tasks().await;
        if let Some(leadership) = leadership {
            leadership.release(heir, demote).await;
        }
    }

    /// Stops all tasks of a Director that has lost the role: there is nothing that it could give back.
    pub(crate) async fn stand_down(&self) {
        let leadership = lock(&self.inner.leadership).take();
        self.end_tasks().await;
        if let Some(leadership) = leadership {
            leadership.forgo().await;
        }
    }

    /// Raises the epoch above one that a Storage Daemon knew, at start only (DESIGN §2.5).
    pub(crate) async fn raise_epoch(&self, seen: Epoch) -> Result<(), DirectorError> {
        let held = lock(&self.inner.leadership).take();
        let Some(held) = held else {
            return Err(DirectorError::NotActive("the leadership was given up".to_owned()));
        };
        let raised = held.raise(&self.inner.catalog, seen, text::now()).await;
        let raised = raised.map_err(|error| DirectorError::NotActive(chain(&error)))?;
        let Some(raised) = raised else {
            return Err(DirectorError::NotActive(format!(
                "a Storage daemon knows epoch {seen}; this instance becomes active again above it"
            )));
        };
        *lock(&self.inner.leadership) = Some(raised);
        self.apply_config();
        Ok(())
    }

    /// Which of Storages and their cold spares serve.
    pub(crate) fn standings(&self) -> Arc<Standings> {
        Arc::clone(&self.inner.standings.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn read_standings(&self, config: &Arc<DirectorConfig>) -> Result<Standings, DirectorError> {
        let config = Arc::clone(config);
        let read = self.catalog().read(move |r| crate::spare::load(r, &config)).await;
        read.map_err(|error| DirectorError::Catalog(chain(&error)))
    }

    /// Learns from the catalog who serves: before anything else is done in an activation.
    pub(crate) async fn load_standings(&self) -> Result<(), DirectorError> {
        let standings = self.read_standings(&self.config()).await?;
        self.set_standings(standings);
        Ok(())
    }

    fn put_standings(&self, standings: Standings) {
        *self.inner.standings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(standings);
    }

    /// From now on these serve.
    pub(crate) fn set_standings(&self, standings: Standings) {
        self.put_standings(standings);
        self.apply_config();
    }

    /// Returns when the schedules may have changed. Cancel safe.
    pub(crate) async fn schedule_changed(&self) {
        self.inner.schedule_changed.notified().await;
    }

    /// A job or client was enabled or disabled: due runs are looked at anew.
    pub fn notify_schedule(&self) {
        self.inner.schedule_changed.notify_one();
    }

    /// Opens a session with a Storage Daemon.
    ///
    /// # Errors
    /// [`DirectorError::Connect`] when it is not reached by `tries`.
    pub(crate) async fn connect_storage(
        &self,
        storage: &Storage,
        tries: Tries,
    ) -> Result<StorageConn, DirectorError> {
        let links = self.links();
        links.open_storage(&links.storage(storage)?, tries).await
    }

    /// As [`Self::connect_storage`], to ask and look: also one whose cold spare, or whose main Storage, serves.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn visit_storage(
        &self,
        storage: &Storage,
        tries: Tries,
    ) -> Result<StorageConn, DirectorError> {
        let links = self.links();
        links.visit_storage(&links.storage(storage)?, tries).await
    }

    /// Opens a session with a File Daemon for a console command.
    ///
    /// # Errors
    /// [`DirectorError::Connect`] after 15 seconds.
    pub async fn connect_client(&self, client: &Client) -> Result<ClientConn, DirectorError> {
        let links = self.links();
        links.open_client(&links.client(client)?, Tries::Console).await
    }

    /// Runs a console command of a script and returns what it printed.
    pub(crate) async fn console_line(&self, line: &str) -> Vec<String> {
        crate::console::run_line(self, line).await
    }

    /// What reports and `version` say about this program.
    pub(crate) fn product(&self) -> Product {
        Product {
            director: self.config().director.name.clone(),
            version: format!("{} ({})", wire::version::BACULA_LEVEL, wire::version::BACULA_LEVEL_DATE_SHORT),
            build_os: format!(
                "{}-pc-linux-gnu holdfast {}",
                std::env::consts::ARCH,
                wire::version::PRODUCT_VERSION
            ),
        }
    }

    /// Runs a task that ends with the Director; a job's task is left where it is when the Director stops.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = lock(&self.inner.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Ends all tasks; what they had in hand is adopted by the next start.
    pub(crate) async fn end_tasks(&self) {
        let mut tasks = std::mem::take(&mut *lock(&self.inner.tasks));
        tasks.abort_all();
        while tasks.join_next().await.is_some() {}
    }
}

impl Active {
    fn new(config: &DirectorConfig, leadership: &Leadership, standings: Arc<Standings>) -> Self {
        let identity = Identity {
            epoch: leadership.epoch,
            activation: leadership.activation,
            catalog: leadership.catalog,
            instance: leadership.instance.clone(),
        };
        let links = Links::new(&config.director, identity).among(standings);
        Self { guard: leadership.guard().clone(), links: Arc::new(links) }
    }
}
