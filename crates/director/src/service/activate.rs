//! What an instance does when it has become the active one.

use super::{OtherConfiguration, RunError};
use crate::configuration::{ConfigFiles, Configuration, LastActive, short};
use crate::error::DirectorError;
use crate::handle::{Director, TerminatedJob};
use crate::peer::chain;
use crate::{database, jobs, reconcile, scheduler, text};
use catalog::Catalog;
use lead::Claim;
use net::daemon::DaemonContext;
use std::sync::Arc;
use types::JobId;

/// What an activation starts from.
pub(crate) struct Start {
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) files: ConfigFiles,
    /// Where it is open already.
    pub(crate) catalog: Option<Catalog>,
    /// Not after an instance that had another configuration.
    pub(crate) only_same: bool,
}

/// Becomes the Director. A claim that comes to nothing is given back.
pub(crate) async fn activate(
    start: Start,
    claim: Claim,
    instance: &str,
    context: &DaemonContext,
) -> Result<Director, RunError> {
    let Start { configuration, files, catalog, only_same } = start;
    let name = configuration.config.director.name.clone();
    let catalog = match prepare(&configuration, catalog, only_same, instance).await {
        Ok(catalog) => catalog,
        Err(error) => {
            claim.give_back().await;
            return Err(error);
        }
    };
    let leadership = lead::activate(&catalog, claim, instance, text::now())
        .await
        .map_err(|source| RunError::Lead { director: name, source })?;
    let director =
        Director::new(Arc::clone(&configuration), files, catalog, leadership, context.stop.clone());
    match take_over(&director, &configuration).await {
        Ok(()) => Ok(director),
        Err(error) => {
            director.give_up(None, false).await;
            Err(error.into())
        }
    }
}

/// Whether this configuration is the one that was active last. The first is.
pub(super) async fn same_as_last(catalog: &catalog::Catalog, own: &Configuration) -> Result<(), RunError> {
    let director = own.config.director.name.clone();
    let last = catalog.read(move |r| LastActive::get(r, &director)).await?;
    match last {
        Some(last) if last.hash != own.hash => Err(RunError::OtherConfiguration(OtherConfiguration {
            own: short(&own.hash).to_owned(),
            last: short(&last.hash).to_owned(),
            last_whole: last.hash,
            instance: last.instance,
        })),
        Some(_) | None => Ok(()),
    }
}

/// The catalog, and whether this configuration may follow the one before.
async fn prepare(
    configuration: &Configuration,
    catalog: Option<Catalog>,
    only_same: bool,
    instance: &str,
) -> Result<Catalog, RunError> {
    let catalog = match catalog {
        Some(catalog) => catalog,
        None => database::open(&configuration.config, instance).await?,
    };
    if only_same {
        same_as_last(&catalog, configuration).await?;
    }
    Ok(catalog)
}

/// What an active instance does first.
async fn take_over(director: &Director, configuration: &Arc<Configuration>) -> Result<(), DirectorError> {
    sys::failpoint::reach("director-activated");
    // Consoles wait for all this: what can follow later does.
    let goes_on = director.goes_on_as_before().await?;
    if !goes_on {
        director.sync_resources(configuration).await?;
    }
    director.load_standings().await?;
    recall(director).await?;
    director.spawn(write_log(director.clone()));
    reconcile::begin(director, director.doubt()).await?;
    jobs::adopt::take_up(director).await?;
    director.spawn(reconcile::run(director.clone()));
    jobs::leftover::look_everywhere(director);
    director.spawn(scheduler::run(director.clone()));
    if goes_on {
        let of = director.clone();
        director.spawn(async move { of.mend_resources().await });
    }
    Ok(())
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
