//! Reading and checking a daemon's configuration.

use std::io::IsTerminal;
use std::path::Path;

use anyhow::{Result, anyhow};
use conf::{Config, Diagnostics};

/// Reads the file; everything wrong with it is the error, warnings go to the standard error.
pub(crate) fn load<C: Config>(path: &Path) -> Result<C> {
    match conf::load::<C>(&path.to_string_lossy(), &mut sys::SystemLoader) {
        Ok(loaded) => {
            if !loaded.warnings.list.is_empty() {
                crate::logging::say(&render(&loaded.warnings));
            }
            Ok(loaded.config)
        }
        Err(findings) => {
            Err(anyhow!("the configuration {} is refused\n{}", path.display(), render(&findings)))
        }
    }
}

fn render(findings: &Diagnostics) -> String {
    findings.render(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
}
