//! The Director's configuration file, as the commands need it.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, ensure};
use clap::Args;
use conf::DirectorConfig;
use conf::director::{FenceDevice, Instance};

/// Where it is.
#[derive(Debug, Clone, Args)]
pub(crate) struct File {
    /// Configuration file of the Director
    #[arg(short = 'c', long = "config", value_name = "FILE", default_value = "/etc/bacula/bacula-dir.conf")]
    pub(crate) path: PathBuf,
}

/// Reads it. Warnings are left to `holdfast director -t`: here they would hide the answer.
pub(crate) fn load(path: &Path) -> Result<DirectorConfig> {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    match conf::load::<DirectorConfig>(&path.to_string_lossy(), &mut sys::SystemLoader) {
        Ok(loaded) => Ok(loaded.config),
        Err(findings) => {
            Err(anyhow!("the configuration {} is refused\n{}", path.display(), findings.render(colour)))
        }
    }
}

/// The instance of a name.
pub(crate) fn instance<'a>(config: &'a DirectorConfig, name: &str) -> Result<&'a Instance> {
    ensure!(
        !config.instances.is_empty(),
        "the configuration has no Instance resources: this Director stands alone"
    );
    config.instance(name).with_context(|| {
        let known: Vec<&str> = config.instances.iter().map(|instance| instance.name.as_str()).collect();
        format!("there is no instance \"{name}\"; there are: {}", known.join(", "))
    })
}

/// The Fence Device of an instance.
pub(crate) fn fence_device<'a>(config: &'a DirectorConfig, instance: &Instance) -> Result<&'a FenceDevice> {
    let name = instance.fence_device.as_ref().with_context(|| {
        format!(
            "instance \"{}\" has no Fence Device; add `Fence Device = …` to its Instance resource",
            instance.name
        )
    })?;
    config.fence_device(name).with_context(|| format!("there is no Fence Device \"{name}\""))
}
