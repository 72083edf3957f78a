//! `ocf-tester` of the package resource-agents finds nothing to complain about.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use holdfast_tests::our_site;
use testkit::site::{Maker, Role, Site, program};

/// Runs it on one agent with these parameters.
fn tested(site: &Site, agent: &str, parameters: &[(&str, &Path)]) -> Result<()> {
    let provider = site.dir().join("ocf/holdfast");
    std::fs::create_dir_all(&provider)?;
    let link = provider.join(agent);
    symlink(std::path::absolute(program(Maker::Holdfast, "bacula-dir")?.path)?, &link)?;
    let mut command = Command::new("ocf-tester");
    command.args(["-n", &format!("kit-{agent}")]).env("HA_RSCTMP", site.dir().join("run"));
    for (name, value) in parameters {
        command.arg("-o").arg(format!("{name}={}", value.display()));
    }
    let output =
        command.arg(&link).output().context("start ocf-tester; it is in Debian's package resource-agents")?;
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && said.contains("passed all tests"), "{said}");
    ensure!(!said.contains("* rc="), "{said}");
    Ok(())
}

#[test]
fn the_directors_agent_passes() -> Result<()> {
    let site =
        our_site().postgres().instances(&["a", "b"]).managed().cluster("Engine = Pacemaker").start()?;
    let config = site.config_file("bacula-dir.conf");
    tested(&site, "director", &[("config", &config), ("instance", Path::new("a"))])?;
    site.finish()
}

#[test]
fn the_storage_daemons_agent_passes() -> Result<()> {
    let mut site = our_site().start()?;
    site.stop(Role::Storage)?;
    tested(&site, "storage", &[("config", &site.config_file("bacula-sd.conf"))])?;
    site.start_role(Role::Storage)?;
    site.finish()
}
