//! The three daemons as this program runs them.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use conf::{ClientConfig, Config, DirectorConfig, StorageConfig};
use net::daemon::{DaemonContext, Load};

/// Options beyond those that all daemons have.
#[derive(Debug, Default)]
pub(crate) struct Extra {
    /// A job to be run at once (Director).
    pub(crate) run_job: Option<String>,
    /// Which instance of the Cluster this is (Director).
    pub(crate) instance: Option<String>,
}

/// A daemon.
pub(crate) trait Role {
    /// Its configuration.
    type Config: Config + Send + 'static;
    /// Bacula's name of the program: of the PID file, of the configuration file.
    const PROGRAM: &'static str;

    /// Its resource's name.
    fn name(config: &Self::Config) -> &str;
    /// Directory of the PID file.
    fn pid_directory(config: &Self::Config) -> &str;
    /// Directory of the log, when in the background.
    fn working_directory(config: &Self::Config) -> &str;
    /// Port, in the name of the PID file; of the instance named at the start, where there are several.
    fn port(config: &Self::Config, instance: Option<&str>) -> u16;
    /// Called before the configuration is read.
    fn prepare(_path: &Path) -> Result<()> {
        Ok(())
    }
    /// What can only be checked on this machine, beyond the configuration's text.
    fn check(config: &Self::Config) -> Result<()>;
    /// Serves until it is told to stop.
    fn run(
        config: Self::Config,
        path: PathBuf,
        context: DaemonContext,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Runs a job at once, for `-r`: called when the daemon is ready.
    fn run_job(_config: &Self::Config, _instance: Option<&str>, _job: &str) -> Option<RunJob> {
        None
    }
}

/// A job to be started through the Director's own port.
#[derive(Debug, Clone)]
pub(crate) struct RunJob {
    pub(crate) port: u16,
    pub(crate) password: String,
    pub(crate) command: String,
}

fn check_directory(what: &str, path: &str) -> Result<()> {
    let metadata =
        std::fs::metadata(path).with_context(|| format!("the {what} {path} cannot be used; create it"))?;
    anyhow::ensure!(metadata.is_dir(), "the {what} {path} is not a directory");
    Ok(())
}

pub(crate) struct Director;

impl Role for Director {
    type Config = DirectorConfig;
    const PROGRAM: &'static str = "bacula-dir";

    fn name(config: &DirectorConfig) -> &str {
        &config.director.name
    }

    fn pid_directory(config: &DirectorConfig) -> &str {
        &config.director.pid_directory
    }

    fn working_directory(config: &DirectorConfig) -> &str {
        &config.director.working_directory
    }

    fn port(config: &DirectorConfig, instance: Option<&str>) -> u16 {
        director::port(config, instance)
    }

    fn check(config: &DirectorConfig) -> Result<()> {
        check_directory("Working Directory", &config.director.working_directory)
    }

    fn prepare(path: &Path) -> Result<()> {
        director::ConfigFiles::new(path).complete().map_err(anyhow::Error::msg)
    }

    async fn run(_config: DirectorConfig, path: PathBuf, context: DaemonContext) -> Result<()> {
        director::run(director::ConfigFiles::new(path), context).await?;
        Ok(())
    }

    fn run_job(config: &DirectorConfig, instance: Option<&str>, job: &str) -> Option<RunJob> {
        let command = format!("run job=\"{job}\" yes");
        let port = director::port(config, instance);
        Some(RunJob { port, password: config.director.password.clone(), command })
    }
}

/// Reads the configuration in a file anew, at a reload.
fn again<C: Config + 'static>(path: PathBuf) -> Load<C> {
    Arc::new(move || match conf::load::<C>(&path.to_string_lossy(), &mut sys::SystemLoader) {
        Ok(loaded) => Ok(loaded.config),
        Err(findings) => Err(findings.to_string()),
    })
}

pub(crate) struct Storage;

impl Role for Storage {
    type Config = StorageConfig;
    const PROGRAM: &'static str = "bacula-sd";

    fn name(config: &StorageConfig) -> &str {
        &config.storage.name
    }

    fn pid_directory(config: &StorageConfig) -> &str {
        &config.storage.pid_directory
    }

    fn working_directory(config: &StorageConfig) -> &str {
        &config.storage.working_directory
    }

    fn port(config: &StorageConfig, _instance: Option<&str>) -> u16 {
        config.storage.sd_port
    }

    fn check(config: &StorageConfig) -> Result<()> {
        check_directory("Working Directory", &config.storage.working_directory)
    }

    async fn run(config: StorageConfig, path: PathBuf, context: DaemonContext) -> Result<()> {
        Ok(storage::run(config, again(path), context).await?)
    }
}

pub(crate) struct Client;

impl Role for Client {
    type Config = ClientConfig;
    const PROGRAM: &'static str = "bacula-fd";

    fn name(config: &ClientConfig) -> &str {
        &config.daemon.name
    }

    fn pid_directory(config: &ClientConfig) -> &str {
        &config.daemon.pid_directory
    }

    fn working_directory(config: &ClientConfig) -> &str {
        &config.daemon.working_directory
    }

    fn port(config: &ClientConfig, _instance: Option<&str>) -> u16 {
        config.daemon.fd_port
    }

    fn check(config: &ClientConfig) -> Result<()> {
        check_directory("Working Directory", &config.daemon.working_directory)
    }

    async fn run(config: ClientConfig, path: PathBuf, context: DaemonContext) -> Result<()> {
        Ok(client::run(config, again(path), context).await?)
    }
}
