//! What the console asks of the Director's core: one narrow interface, so that the dialogues are tested without daemons.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use catalog::Catalog;
use conf::DirectorConfig;
use policy::plan::JobRequest;
use policy::spare::{OnMissing, SparePlan, Standings};
use types::{Epoch, JobId, JobStatus, Timestamp};

use crate::error::DirectorError;
use crate::handle::{Director, TerminatedJob};
use crate::jobs::JobView;
use crate::peer::{ClientConn, StorageConn, Tries};

/// A future of the core.
pub(crate) type CoreFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What can be switched off by an operator; the state is kept in the catalog (DESIGN §2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Switch {
    /// A Job resource is not started by its schedule.
    Job,
    /// Jobs of a client are not started by their schedules.
    Client,
    /// Jobs of a schedule are not started by it.
    Schedule,
}

impl Switch {
    /// The word in the operator table and on the console.
    #[must_use]
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Job => "job",
            Self::Client => "client",
            Self::Schedule => "schedule",
        }
    }
}

/// The Director as the console sees it.
pub(crate) trait Core: Send + Sync {
    /// The configuration in use.
    fn config(&self) -> Arc<DirectorConfig>;
    /// The catalog in use.
    fn catalog(&self) -> Catalog;
    /// The epoch to write under; an error when this instance is not the active one.
    fn epoch(&self) -> Result<Epoch, DirectorError>;
    /// Queued and running jobs by JobId.
    fn jobs(&self) -> Vec<JobView>;
    /// The last jobs that ended, oldest first.
    fn terminated(&self) -> Vec<TerminatedJob>;
    /// When the Director started, and when it last read its configuration.
    fn times(&self) -> (Timestamp, Timestamp);
    /// Jobs started since then.
    fn jobs_run(&self) -> u64;
    /// Creates and queues a job.
    fn submit(&self, request: JobRequest) -> CoreFuture<'_, Result<JobId, DirectorError>>;
    /// Continues an unfinished job under its JobId.
    fn resume(&self, job: JobId) -> CoreFuture<'_, Result<JobId, DirectorError>>;
    /// Cancels a job; the lines that the daemons answered.
    fn cancel(&self, job: JobId) -> CoreFuture<'_, Result<Vec<String>, DirectorError>>;
    /// Stops a job so that it can be resumed.
    fn stop(&self, job: JobId) -> CoreFuture<'_, Result<Vec<String>, DirectorError>>;
    /// Waits for the end of a job; `None` when it does not live.
    fn wait(&self, job: JobId) -> CoreFuture<'_, Option<JobStatus>>;
    /// Waits until no job lives.
    fn wait_all(&self) -> CoreFuture<'_, ()>;
    /// Whether messages wait for the console.
    fn messages_pending(&self) -> bool;
    /// Takes them.
    fn take_messages(&self) -> Vec<String>;
    /// An authenticated connection to a client's File Daemon.
    fn connect_client<'a>(&'a self, client: &'a str) -> CoreFuture<'a, Result<ClientConn, DirectorError>>;
    /// An authenticated connection to a Storage Daemon.
    fn connect_storage<'a>(&'a self, storage: &'a str) -> CoreFuture<'a, Result<StorageConn, DirectorError>>;
    /// As [`Self::connect_storage`], to ask and look: also one that does not serve.
    fn visit_storage<'a>(&'a self, storage: &'a str) -> CoreFuture<'a, Result<StorageConn, DirectorError>> {
        self.connect_storage(storage)
    }
    /// Which of Storages and their cold spares serve.
    fn standings(&self) -> Arc<Standings> {
        Arc::default()
    }
    /// What it takes that a Storage serves in the place of the other of its pair.
    fn plan_storage<'a>(
        &'a self,
        storage: &'a str,
        on_missing: OnMissing,
    ) -> CoreFuture<'a, Result<SparePlan, DirectorError>>;
    /// Carries that out.
    fn activate_storage(&self, planned: SparePlan) -> CoreFuture<'_, Result<Vec<String>, DirectorError>>;
    /// Lease time for a command that lets data be overwritten (docs/extensions.md §3).
    fn permit(&self) -> lead::Permit;
    /// A unique name for the console's connection to a daemon.
    fn console_name(&self) -> String;
    /// Why nothing may be pruned, recycled or overwritten now.
    fn held(&self) -> Option<String> {
        None
    }
    /// A job, client or schedule was switched on or off.
    fn notify_schedule(&self);
    /// Reads the configuration anew and takes it, or with `only_check` does not. Returns what is different, a line each.
    fn reload(&self, only_check: bool) -> CoreFuture<'_, Result<Vec<String>, DirectorError>>;
}

impl Core for Director {
    fn config(&self) -> Arc<DirectorConfig> {
        Director::config(self)
    }

    fn catalog(&self) -> Catalog {
        Director::catalog(self).clone()
    }

    fn epoch(&self) -> Result<Epoch, DirectorError> {
        let guard = self.guard();
        guard.check().map_err(|lost| DirectorError::NotActive(lost.to_string()))?;
        Ok(guard.epoch())
    }

    fn jobs(&self) -> Vec<JobView> {
        Director::jobs(self)
    }

    fn terminated(&self) -> Vec<TerminatedJob> {
        Director::terminated(self)
    }

    fn times(&self) -> (Timestamp, Timestamp) {
        (self.started(), self.reloaded())
    }

    fn jobs_run(&self) -> u64 {
        Director::jobs_run(self).into()
    }

    fn submit(&self, request: JobRequest) -> CoreFuture<'_, Result<JobId, DirectorError>> {
        Box::pin(Director::submit(self, request))
    }

    fn resume(&self, job: JobId) -> CoreFuture<'_, Result<JobId, DirectorError>> {
        Box::pin(async move { Director::resume(self, job).await.map(|()| job) })
    }

    fn cancel(&self, job: JobId) -> CoreFuture<'_, Result<Vec<String>, DirectorError>> {
        Box::pin(Director::cancel(self, job))
    }

    fn stop(&self, job: JobId) -> CoreFuture<'_, Result<Vec<String>, DirectorError>> {
        Box::pin(Director::stop_job(self, job))
    }

    fn wait(&self, job: JobId) -> CoreFuture<'_, Option<JobStatus>> {
        Box::pin(Director::wait(self, job))
    }

    fn wait_all(&self) -> CoreFuture<'_, ()> {
        Box::pin(Director::wait_all(self))
    }

    fn messages_pending(&self) -> bool {
        self.messages().console_pending()
    }

    fn take_messages(&self) -> Vec<String> {
        self.messages().take_console()
    }

    fn connect_client<'a>(&'a self, client: &'a str) -> CoreFuture<'a, Result<ClientConn, DirectorError>> {
        Box::pin(async move {
            let config = Director::config(self);
            let Some(client) = config.client(client) else {
                return Err(DirectorError::Plan(format!("Client \"{client}\" is not in the configuration")));
            };
            Director::connect_client(self, client).await
        })
    }

    fn connect_storage<'a>(&'a self, storage: &'a str) -> CoreFuture<'a, Result<StorageConn, DirectorError>> {
        Box::pin(
            async move { Director::connect_storage(self, &configured(self, storage)?, Tries::Console).await },
        )
    }

    fn visit_storage<'a>(&'a self, storage: &'a str) -> CoreFuture<'a, Result<StorageConn, DirectorError>> {
        Box::pin(
            async move { Director::visit_storage(self, &configured(self, storage)?, Tries::Console).await },
        )
    }

    fn standings(&self) -> Arc<Standings> {
        Director::standings(self)
    }

    fn plan_storage<'a>(
        &'a self,
        storage: &'a str,
        on_missing: OnMissing,
    ) -> CoreFuture<'a, Result<SparePlan, DirectorError>> {
        Box::pin(crate::spare::planned(self, storage, on_missing))
    }

    fn activate_storage(&self, planned: SparePlan) -> CoreFuture<'_, Result<Vec<String>, DirectorError>> {
        Box::pin(crate::spare::carry_out(self, planned))
    }

    fn permit(&self) -> lead::Permit {
        self.guard().permit()
    }

    fn held(&self) -> Option<String> {
        Self::held(self)
    }

    fn console_name(&self) -> String {
        Director::console_name(self)
    }

    fn notify_schedule(&self) {
        Director::notify_schedule(self);
    }

    fn reload(&self, only_check: bool) -> CoreFuture<'_, Result<Vec<String>, DirectorError>> {
        Box::pin(
            async move { if only_check { self.check_reload().await } else { Director::reload(self).await } },
        )
    }
}

fn configured(director: &Director, storage: &str) -> Result<conf::director::Storage, DirectorError> {
    director
        .config()
        .storage(storage)
        .cloned()
        .ok_or_else(|| DirectorError::Plan(format!("Storage \"{storage}\" is not in the configuration")))
}
