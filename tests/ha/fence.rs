//! `holdfast ha fence` with the real agent `fence_ipmilan` and a simulated management board.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;
use testkit::bmc::{Bmc, PASSWORD};
use testkit::site::{Maker, program};

/// A Director's file that is complete but for its cluster.
const REST: &str = r#"Director { Name = d; Password = p; Query File = q; Working Directory = /tmp; Pid Directory = /tmp }
Catalog { Name = c; DB Name = b }
Messages { Name = m; Console = all }
Client { Name = f; Address = f; Password = p; Catalog = c }
Storage { Name = st; Address = s; Password = p; Device = v; Media Type = t }
Pool { Name = po; Pool Type = Backup }
FileSet { Name = x; Include { File = / } }
Job { Name = j; Type = Backup; Client = f; Storage = st; Pool = po; FileSet = x; Messages = m }
Cluster { Name = kit }
Instance { Name = a; Address = 127.0.0.1; Fence Device = board }
Instance { Name = b; Address = 127.0.0.2 }
"#;

/// A configuration whose instance `a` has a Fence Device.
struct Lab {
    dir: TempDir,
}

/// What a command answered.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    text: String,
}

impl Lab {
    fn new(agent: &str, options: &[String]) -> Result<Self> {
        let dir = holdfast_tests::scratch()?;
        let options: String = options.iter().map(|option| format!("  Option = \"{option}\"\n")).collect();
        let device = format!(
            "Fence Device {{\n  Name = board\n  Agent = {agent}\n  Retries = 0\n  Timeout = 60\n{options}}}\n"
        );
        // What is tried is recorded in the Working Directory.
        let rest = REST.replace("/tmp", &dir.path().display().to_string());
        fs::write(dir.path().join("dir.conf"), format!("{rest}{device}"))?;
        Ok(Self { dir })
    }

    fn run(&self, command: &str, words: &[&str]) -> Result<Said> {
        let holdfast = program(Maker::Holdfast, command)?;
        let output = Command::new(&holdfast.path)
            .args(&holdfast.arguments)
            .args(words)
            .arg("-c")
            .arg(self.dir.path().join("dir.conf"))
            .stdin(Stdio::null())
            .output()
            .context("run holdfast")?;
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        ensure!(!text.contains(PASSWORD), "the password is shown:\n{text}");
        Ok(Said { code: output.status.code(), text })
    }

    /// Runs `holdfast ha fence` and wants this exit code and text.
    fn fence(&self, words: &[&str], code: i32, text: &str) -> Result<()> {
        let words: Vec<&str> = ["fence"].into_iter().chain(words.iter().copied()).collect();
        let said = self.run("ha", &words)?;
        ensure!(said.code == Some(code) && said.text.contains(text), "want {code} and “{text}”: {said:?}");
        Ok(())
    }

    /// Runs `holdfast ha check` for fencing alone and wants this exit code and text. This machine's own cluster is not asked.
    fn check(&self, code: i32, text: &str) -> Result<()> {
        let root = self.dir.path().display().to_string();
        let said = self.run("ha", &["check", "--only", "stonith", "--root", &root])?;
        ensure!(said.code == Some(code) && said.text.contains(text), "want {code} and “{text}”: {said:?}");
        Ok(())
    }
}

#[test]
fn a_machine_is_switched_off_by_its_board() -> Result<()> {
    let board = Bmc::start()?;
    let lab = Lab::new("fence_ipmilan", &board.options())?;
    let mut machine = Command::new("sleep").arg("1000").spawn()?;
    board.powers(machine.id())?;

    lab.fence(&["a", "--test"], 0, "Status:   on\nResult:   it would be switched off; nothing was done")?;
    lab.fence(&["a"], 2, "there is no terminal to ask at")?;
    ensure!(board.is_on()? && board.switched() == 0 && machine.try_wait()?.is_none(), "it was switched");

    lab.fence(&["a", "--yes"], 0, "Result:   off: it was switched off, and its status says so")?;
    ensure!(!board.is_on()?, "it is on");
    ensure!(!machine.wait()?.success(), "what ran there was killed");
    lab.fence(&["a", "--yes"], 0, "Result:   off: it was off before")?;
    lab.fence(&["a", "--test"], 0, "it is off already")?;
    lab.check(0, "OK           stonith.tested a  holdfast ha fence --test at ")?;
    ensure!(board.switched() == 1, "switched {} times", board.switched());
    Ok(())
}

#[test]
fn a_board_that_only_says_so_is_not_believed() -> Result<()> {
    let board = Bmc::start()?;
    board.jam()?;
    let mut options = board.options();
    options.push("power_timeout=1".to_owned());
    let lab = Lab::new("fence_ipmilan", &options)?;
    lab.fence(&["a", "--yes"], 1, "Result:   still on: ")?;
    ensure!(board.is_on()?, "the switch was jammed");
    Ok(())
}

#[test]
fn a_board_that_refuses_or_is_gone_leaves_it_unknown() -> Result<()> {
    let board = Bmc::start()?;
    let wrong: Vec<String> =
        board.options().iter().map(|option| option.replace(PASSWORD, "not-the-password")).collect();
    let lab = Lab::new("fence_ipmilan", &wrong)?;
    let said = lab.run("ha", &["fence", "a", "--yes"])?;
    ensure!(said.code == Some(3) && said.text.contains("Result:   unknown: "), "{said:?}");
    ensure!(!said.text.contains("not-the-password"), "the password is shown: {said:?}");
    ensure!(board.is_on()? && board.switched() == 0, "it was switched with a wrong password");

    let lab = Lab::new("fence_ipmilan", &board.options())?;
    lab.check(1, "WARNING      stonith.tested a  never seen to work")?;
    lab.fence(&["a", "--test"], 0, "Status:   on")?;
    lab.check(0, "Z: worked")?;
    drop(board);
    lab.fence(&["a", "--test"], 3, "Status:   unknown: ")?;
    lab.check(2, "Z: failed")
}

#[test]
fn wrong_options_are_found_before_they_are_needed() -> Result<()> {
    let board = Bmc::start()?;
    let mut options = board.options();
    options.push("powr_wait=1".to_owned());
    let lab = Lab::new("fence_ipmilan", &options)?;
    lab.fence(&["a", "--test"], 1, "the agent has no parameter powr_wait; did you mean power_wait?")
}

#[test]
fn what_is_missing_is_named() -> Result<()> {
    let lab = Lab::new("fence_nosuch", &[])?;
    lab.fence(&["a", "--test"], 1, "the fence agent fence_nosuch is not in /usr/sbin, /sbin")?;
    lab.fence(&["b", "--test"], 1, "instance \"b\" has no Fence Device")?;
    lab.fence(&["c", "--yes"], 1, "there is no instance \"c\"; there are: a, b")?;
    lab.fence(&["a", "--test", "--yes"], 2, "cannot be used with")
}

#[test]
fn a_director_that_is_no_instance_of_its_cluster_is_refused() -> Result<()> {
    let lab = Lab::new("fence_ipmilan", &[])?;
    let said = lab.run("director", &["-f", "-P", "--instance", "c"])?;
    let text = "this process is instance \"c\", which the Cluster does not have; start it with --instance and one of: a, b";
    ensure!(said.code == Some(1) && said.text.contains(text), "{said:?}");
    Ok(())
}
