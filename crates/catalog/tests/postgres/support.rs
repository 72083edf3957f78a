//! What the tests of the catalog share.

pub(crate) use crate::settings::settings;
use catalog::leader::Activation;
use catalog::postgres::PostgresSettings;
use catalog::{Catalog, Result, job};
use testkit::postgres::Postgres;
use types::{ActivationId, ClientId, Epoch, JobId, JobLevel, JobType, Timestamp};

pub(crate) const T0: Timestamp = Timestamp(1_795_446_447);

/// Opens a catalog from an asynchronous test.
pub(crate) async fn open(settings: PostgresSettings) -> Result<Catalog> {
    tokio::task::spawn_blocking(|| Catalog::open_postgres(settings)).await.unwrap()
}

pub(crate) fn wish(holder: &str, activation: u128) -> Activation {
    Activation {
        holder: holder.to_owned(),
        activation: ActivationId(activation),
        seen: Vec::new(),
        timeline: 0,
        now: T0,
    }
}

/// A server with an empty catalog, and the epoch of its active instance `a`.
pub(crate) async fn active() -> (Postgres, Catalog, Epoch) {
    let server = tokio::task::spawn_blocking(Postgres::start).await.unwrap().unwrap();
    server.create_database("bacula").unwrap();
    let catalog = open(settings(&server, "bacula")).await.unwrap();
    let epoch = catalog.raise_epoch(wish("a", 7)).await.unwrap().epoch;
    (server, catalog, epoch)
}

pub(crate) fn new_job(name: &str) -> job::NewJob {
    job::NewJob {
        unique_name: name.to_owned(),
        name: name.to_owned(),
        job_type: JobType::Backup,
        level: JobLevel::Full,
        client_id: ClientId(1),
        sched_time: T0,
        created: T0,
        prior_job_id: JobId(0),
        comment: String::new(),
    }
}

/// Names of all jobs in the order of their numbers.
pub(crate) async fn jobs(catalog: &Catalog) -> Vec<String> {
    let unfinished = catalog.read(job::list_unfinished).await.unwrap();
    unfinished.into_iter().map(|row| row.name).collect()
}
