//! The one catalog: from the Catalog resource to an open database, and the file that locks it on this host.

use crate::service::RunError;
use catalog::Catalog;
use catalog::postgres::{PostgresSettings, Tls, TlsMode};
use conf::DirectorConfig;
use conf::director::Driver;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The lock of a host's instances, beside the SQLite file; at the same place for a server's database.
pub(crate) fn lock_file(config: &DirectorConfig) -> Result<PathBuf, RunError> {
    Ok(file(config)?.with_extension("db.lock"))
}

/// Whether the catalog is in a server's database, which instances of several hosts share.
pub(crate) fn is_on_a_server(config: &DirectorConfig) -> Result<bool, RunError> {
    Ok(resource(config)?.driver() == Driver::Postgres)
}

/// Where the catalog's server is and how to get in, for who only reads there; none for an embedded catalog.
///
/// # Errors
/// [`RunError::Config`].
pub fn catalog_server(config: &DirectorConfig, instance: &str) -> Result<Option<PostgresSettings>, RunError> {
    let resource = resource(config)?;
    match resource.driver() {
        Driver::Sqlite => Ok(None),
        Driver::Postgres => settings(resource, config, instance).map(Some),
    }
}

/// Opens the catalog for this instance.
pub(crate) async fn open(config: &DirectorConfig, instance: &str) -> Result<Catalog, RunError> {
    let (resource, path) = (resource(config)?, file(config)?);
    let director = config.director.name.clone();
    let opened = match resource.driver() {
        Driver::Sqlite => tokio::task::spawn_blocking(move || Catalog::open_sqlite(&path, &director)).await,
        Driver::Postgres => {
            let settings = settings(resource, config, instance)?;
            tokio::task::spawn_blocking(move || Catalog::open_postgres(settings)).await
        }
    };
    Ok(opened.map_err(|error| RunError::Config(format!("open the catalog: {error}")))??)
}

fn resource(config: &DirectorConfig) -> Result<&conf::director::Catalog, RunError> {
    match config.catalogs.as_slice() {
        [resource] => Ok(resource),
        _ => Err(RunError::Config(
            "exactly one Catalog resource is supported: put all Clients into one".to_owned(),
        )),
    }
}

fn file(config: &DirectorConfig) -> Result<PathBuf, RunError> {
    let working = Path::new(&config.director.working_directory);
    if !working.is_dir() {
        return Err(RunError::Config(format!(
            "the Working Directory {} does not exist; create it, owned by the user of the Director",
            working.display()
        )));
    }
    Ok(working.join(format!("{}.db", resource(config)?.db_name)))
}

/// The file of an embedded catalog; none on a server.
pub(crate) fn embedded_file(config: &DirectorConfig) -> Option<PathBuf> {
    (resource(config).ok()?.driver() == Driver::Sqlite).then(|| file(config).ok())?
}

/// Returns when the file of an embedded catalog is no longer the one that was there: what is written then is lost with the old
/// one. Cancel safe.
pub(crate) async fn replaced(file: Option<PathBuf>) -> PathBuf {
    let Some(file) = file else { return std::future::pending().await };
    let identity = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    let before = identity(&file).ok();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        // One that is gone for good is noticed by whoever uses it; one that is being replaced comes back.
        if let Ok(now) = identity(&file)
            && before.is_some_and(|before| before != now)
        {
            return file;
        }
    }
}

/// How often it is looked whether the file of an embedded catalog was replaced: the kernel's own notices do not reach over every
/// file system.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(1);

/// Where the database is and how to get in.
fn settings(
    resource: &conf::director::Catalog,
    config: &DirectorConfig,
    instance: &str,
) -> Result<PostgresSettings, RunError> {
    let wrong = |what: String| RunError::Config(format!("Catalog \"{}\": {what}", resource.name));
    let mode = resource.db_ssl_mode.as_deref().unwrap_or_default();
    let mode = TlsMode::parse(mode).ok_or_else(|| wrong(format!("there is no DB SSL Mode {mode}")))?;
    let port = u16::try_from(resource.db_port)
        .map_err(|_| wrong(format!("DB Port {} is no port", resource.db_port)))?;
    let path = |text: &Option<String>| text.as_ref().filter(|path| !path.is_empty()).map(PathBuf::from);
    Ok(PostgresSettings {
        address: resource.db_address.clone().unwrap_or_default(),
        port,
        user: resource.db_user.clone().unwrap_or_default(),
        password: resource.db_password.clone().unwrap_or_default(),
        database: resource.db_name.clone(),
        tls: Tls {
            mode,
            ca: path(&resource.db_ssl_ca),
            cert: path(&resource.db_ssl_cert),
            key: path(&resource.db_ssl_key),
        },
        director: config.director.name.clone(),
        instance: instance.to_owned(),
        lease: config.cluster.as_ref().map(|cluster| cluster.lease_time),
    })
}
