//! The daemons as programs: checking a file, names of old, background, reload.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use holdfast_tests::{expect_good, our_site, ours, plain_tree, scratch};
use testkit::site::{Role, Site, program};
use testkit::wait;

fn site_with_tree(dir: &std::path::Path) -> Result<Site> {
    let tree = dir.join("tree");
    plain_tree(&tree, 5, 5000)?;
    our_site().tree(&tree).start()
}

#[test]
fn checking_a_configuration_tells_all_that_is_wrong_with_it() -> Result<()> {
    if ours().is_bacula() {
        return Ok(()); // it stops at the first mistake
    }
    let dir = scratch()?;
    let site = site_with_tree(dir.path())?;
    let director = program(ours(), "bacula-dir")?;
    let check = |file: &std::path::Path| -> Result<std::process::Output> {
        Ok(Command::new(&director.path).args(&director.arguments).args(["-t", "-c"]).arg(file).output()?)
    };
    let good = site.config_file("bacula-dir.conf");
    let output = check(&good)?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = fs::read_to_string(&good)?;
    let bad = dir.path().join("bad.conf");
    fs::write(
        &bad,
        text.replace("Maximum Volumes", "Maximun Volumes")
            .replace("FileSet = Tree\n  Storage", "FileSet = Treee\n  Storage"),
    )?;
    let output = check(&bad)?;
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    ensure!(!output.status.success(), "a wrong file passed: {said}");
    for word in ["bad.conf", "Maximun", "Maximum Volumes", "Treee"] {
        ensure!(said.contains(word), "“{word}” is not in:\n{said}");
    }
    site.finish()
}

#[test]
fn a_program_named_as_bacula_names_it_takes_that_role() -> Result<()> {
    if ours().is_bacula() {
        return Ok(());
    }
    let dir = scratch()?;
    let site = site_with_tree(dir.path())?;
    let holdfast = program(ours(), "bacula-fd")?.path;
    for (name, config) in [
        ("bacula-dir", "bacula-dir.conf"),
        ("bacula-sd", "bacula-sd.conf"),
        ("bacula-fd", "bacula-fd.conf"),
        ("bconsole", "bconsole.conf"),
    ] {
        let link = dir.path().join(name);
        symlink(&holdfast, &link)?;
        let output = Command::new(&link).args(["-t", "-c"]).arg(site.config_file(config)).output()?;
        ensure!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
    site.finish()
}

#[test]
fn a_daemon_goes_into_the_background_and_stops_when_told() -> Result<()> {
    let dir = scratch()?;
    let mut site = site_with_tree(dir.path())?;
    site.kill(Role::Client)?;
    fs::remove_dir_all(site.dir().join("run"))?;
    fs::create_dir(site.dir().join("run"))?;
    let client = program(ours(), "bacula-fd")?;
    let config = site.config_file("bacula-fd.conf");
    let status = Command::new(&client.path).args(&client.arguments).arg("-c").arg(&config).status()?;
    ensure!(status.success(), "the program in the foreground ended with {status}");
    let run = site.dir().join("run");
    let pid = wait::until("a PID file", wait::START, || {
        let file = fs::read_dir(&run)?.filter_map(Result::ok).find(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.starts_with("bacula-fd") && name.ends_with(".pid")
        });
        let text = file.map(|file| fs::read_to_string(file.path())).transpose()?.unwrap_or_default();
        Ok(text.trim().parse::<i32>().ok())
    })?;
    expect_good(&site.backup("Full")?)?;
    let pid = rustix::process::Pid::from_raw(pid).context("PID")?;
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    wait::until("the end of the daemon", wait::START, || {
        Ok(rustix::process::test_kill_process(pid).is_err().then_some(()))
    })?;
    site.finish()
}

#[test]
fn a_reload_brings_new_jobs_and_a_wrong_file_changes_nothing() -> Result<()> {
    let dir = scratch()?;
    let mut site = site_with_tree(dir.path())?;
    let config = site.config_file("bacula-dir.conf");
    let text = fs::read_to_string(&config)?;
    fs::write(&config, text.clone() + "Job { Name = Later; JobDefs = Defaults }\n")?;
    site.reload(Role::Director)?;
    wait::until("the new job", wait::START, || {
        Ok(site.console(&[".jobs"])?.contains("Later").then_some(()))
    })?;
    if ours().is_bacula() {
        return site.finish(); // a wrong file leaves its Director deaf to consoles
    }
    fs::write(&config, text + "Job { Name = Never; JobDefs = NoSuchDefaults }\n")?;
    site.console(&["reload"])?;
    let answer = site.console(&[".jobs"])?;
    ensure!(answer.contains("Later") && !answer.contains("Never\n"), "{answer}");
    let id = site.run("run job=Later level=Full yes")?;
    expect_good(&site.wait_job(id, wait::JOB)?)?;
    site.finish()
}

#[test]
fn client_and_storage_daemon_take_new_passwords_at_a_reload() -> Result<()> {
    if ours().is_bacula() {
        return Ok(()); // its client and Storage Daemon do not reload
    }
    let dir = scratch()?;
    let mut site = site_with_tree(dir.path())?;
    for (role, name) in [(Role::Client, "client"), (Role::Storage, "storage")] {
        let (old, new) = (format!("{name}-password"), format!("{name}-new"));
        let file = site.config_file(if role == Role::Client { "bacula-fd.conf" } else { "bacula-sd.conf" });
        let text = fs::read_to_string(&file)?;
        fs::write(&file, text.replace(&old, &new))?;
        site.reload(role)?;
        let refused = wait::until("the old password to be refused", wait::START, || {
            let said =
                site.console(&[if role == Role::Client { "status client" } else { "status storage=File1" }])?;
            Ok((!said.contains("Daemon started")).then_some(said))
        })?;
        ensure!(!refused.contains(&new), "a password is shown: {refused}");
        // What cannot change is refused as a whole.
        fs::write(
            &file,
            text.replace(&old, "never").replace("/run\"", "/run\"\n  Heartbeat Interval = soon"),
        )?;
        site.reload(role)?;
        wait::until("the refusal in the log", wait::START, || {
            Ok(site.log(role)?.contains("the old configuration stays").then_some(()))
        })?;
        let director = site.config_file("bacula-dir.conf");
        let text = fs::read_to_string(&director)?;
        fs::write(&director, text.replace(&old, &new))?;
        site.console(&["reload"])?;
    }
    expect_good(&site.backup("Full")?)?;
    site.finish()
}
