//! The daemon: start, serve, reload, stop.

use crate::error::DirectorError;
use crate::handle::{Director, Load, TerminatedJob};
use crate::listen;
use crate::peer::chain;
use crate::text;
use crate::{jobs, scheduler};
use catalog::Catalog;
use conf::DirectorConfig;
use net::daemon::DaemonContext;
use std::path::{Path, PathBuf};
use types::JobId;

/// Why the Director did not start, or stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration does not fit this machine or this version.
    #[error("{0}")]
    Config(String),
    /// The catalog cannot be used.
    #[error("open the catalog")]
    Catalog(#[from] catalog::CatalogError),
    /// Another Director is active.
    #[error("start Director \"{director}\"")]
    Lead {
        /// Name of the Director resource.
        director: String,
        /// Why.
        #[source]
        source: lead::LeadError,
    },
    /// The port cannot be opened, or the catalog does not take the resources.
    #[error(transparent)]
    Director(#[from] DirectorError),
    /// A port cannot be opened.
    #[error("open the console port")]
    Listen(#[from] net::NetError),
    /// The right to act has ended.
    #[error("this Director is no longer active: {0}")]
    Lost(lead::Lost),
}

/// Runs the Director until it is told to stop. Jobs that run then go on, and are adopted by the next start.
///
/// `load` reads the configuration anew at a reload.
///
/// # Errors
/// [`RunError`] says what keeps it from running and what to do.
pub async fn run(config: DirectorConfig, load: Load, mut context: DaemonContext) -> Result<(), RunError> {
    let listeners = listen::bind(&config.director).await?;
    let director = start(config, load, &context).await?;
    director.spawn(listen::serve(director.clone(), listeners));
    context.set_ready();
    context.set_status("active");
    let lost = director.guard();
    let ended = loop {
        tokio::select! {
            () = context.stop.cancelled() => break Ok(()),
            why = lost.lost(), if !superseded(&director, &lost) => break Err(RunError::Lost(why)),
            changed = context.reload.changed() => {
                if changed.is_err() {
                    context.stop.cancelled().await;
                    break Ok(());
                }
                if let Err(error) = director.reload().await {
                    tracing::error!("{error}; the old configuration stays");
                    director.messages().daemon(conf::messages::MessageType::Error, &error.to_string());
                }
            }
        }
    };
    tracing::info!(jobs = director.jobs().len(), "stopping; running jobs are left to be adopted");
    director.end_tasks().await;
    ended
}

/// Whether a later activation of this very process has taken the place of this guard.
fn superseded(director: &Director, guard: &lead::EpochGuard) -> bool {
    director.epoch() != guard.epoch()
}

/// Starts everything but the console port: for [`run`], and for programs that hold the Director themselves.
///
/// # Errors
/// As [`run`].
pub async fn start(
    config: DirectorConfig,
    load: Load,
    context: &DaemonContext,
) -> Result<Director, RunError> {
    let name = config.director.name.clone();
    let (catalog, lock) = open_catalog(&config).await?;
    let leadership =
        lead::activate(&catalog, &lock, &instance(context.instance.as_deref()), Vec::new(), text::now())
            .await
            .map_err(|source| RunError::Lead { director: name, source })?;
    let director = Director::new(config.clone(), load, catalog, leadership, context.stop.clone());
    director.sync_resources(config).await?;
    recall(&director).await?;
    director.spawn(write_log(director.clone()));
    jobs::adopt::take_up(&director).await?;
    director.spawn(scheduler::run(director.clone()));
    Ok(director)
}

/// The one catalog, and the file that locks it.
async fn open_catalog(config: &DirectorConfig) -> Result<(Catalog, PathBuf), RunError> {
    let working = Path::new(&config.director.working_directory);
    if !working.is_dir() {
        return Err(RunError::Config(format!(
            "the Working Directory {} does not exist; create it, owned by the user of the Director",
            working.display()
        )));
    }
    let [resource] = config.catalogs.as_slice() else {
        return Err(RunError::Config(
            "exactly one Catalog resource is supported: put all Clients into one".to_owned(),
        ));
    };
    let driver = resource.db_driver.as_deref().unwrap_or("sqlite3").to_ascii_lowercase();
    if driver.contains("postgres") || driver.contains("mysql") {
        return Err(RunError::Config(format!(
            "Catalog \"{}\": DB Driver {driver} is not supported yet; take SQLite3",
            resource.name
        )));
    }
    let path = working.join(format!("{}.db", resource.db_name));
    let lock = working.join(format!("{}.db.lock", resource.db_name));
    let director = config.director.name.clone();
    let opened = tokio::task::spawn_blocking(move || Catalog::open_sqlite(&path, &director)).await;
    let catalog = opened.map_err(|error| RunError::Config(format!("open the catalog: {error}")))??;
    Ok((catalog, lock))
}

/// Name of this instance: as said at the start, else the host's.
fn instance(said: Option<&str>) -> String {
    if let Some(name) = said {
        return name.to_owned();
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match host.trim() {
        "" => "localhost".to_owned(),
        host => host.to_owned(),
    }
}

/// Puts the last jobs of earlier lives into `status director`.
async fn recall(director: &Director) -> Result<(), DirectorError> {
    let ended = director.catalog().read(|r| catalog::job::list_ended(r, 10)).await;
    let ended = ended.map_err(|error| DirectorError::Catalog(chain(&error)))?;
    for row in ended.into_iter().rev() {
        director.note_terminated(TerminatedJob {
            job_id: row.id,
            job: row.unique_name,
            name: row.name,
            job_type: row.job_type,
            level: row.level,
            status: row.status,
            files: row.files,
            bytes: row.bytes,
            errors: u32::try_from(row.errors).unwrap_or(u32::MAX),
            finished: row.real_end_time.or(row.end_time).unwrap_or_default(),
        });
    }
    Ok(())
}

/// Writes rows of the Log table in batches.
async fn write_log(director: Director) {
    loop {
        let (rows, entered) = director.messages().next_log_batch().await;
        let written = director.catalog().write(director.epoch(), move |tx| {
            rows.iter()
                .filter(|row| row.job != JobId(0))
                .try_for_each(|row| catalog::log::append(tx, row.job, row.time, &row.text))
        });
        if let Err(error) = written.await {
            tracing::error!(error = %chain(&error), "rows of the catalog's Log were not written");
        }
        director.messages().log_done(entered);
    }
}
