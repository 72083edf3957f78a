//! What is said when everything is left running.

use std::path::Path;

use anyhow::Result;
use testkit::site::Site;

/// Leaves the daemons running and says how to look at them and how to end them.
pub(crate) fn leave(site: Site) -> Result<()> {
    let dir = site.dir().to_path_buf();
    let program = std::env::current_exe()?;
    let address = site.address();
    let pids: Vec<String> = site.leave_running()?.iter().map(ToString::to_string).collect();
    println!("Left running on {address}, in {}.", dir.display());
    println!("Connect with:  {} console -c {}", shown(&program), dir.join("etc/bconsole.conf").display());
    println!("End it with:   kill {} && rm -rf {}", pids.join(" "), dir.display());
    Ok(())
}

/// The path as one would type it from here.
fn shown(program: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    program.strip_prefix(here).unwrap_or(program).display().to_string()
}
