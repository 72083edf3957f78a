//! Two Directors of different names on one Storage Daemon, whose jobs and Volumes are named alike.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use holdfast_tests::{compare_restored, expect_good, our_site, plain_tree, scratch};
use testkit::compare::Compare;
use testkit::site::{Maker, Role, Site, program};
use testkit::wait;

/// Its console port.
const PORT: &str = "21131";

/// The second Director: the configuration of the site's with another name, port, catalog and place for restores.
struct Other {
    child: Child,
    console: PathBuf,
    restored: PathBuf,
}

impl Other {
    fn start(site: &mut Site) -> Result<Self> {
        let known = "\nDirector { Name = other-dir; Password = \"PASSWORD\" }\n";
        for (role, file, password) in [
            (Role::Storage, "bacula-sd.conf", "storage-password"),
            (Role::Client, "bacula-fd.conf", "client-password"),
        ] {
            let file = fs::OpenOptions::new().append(true).open(site.config_file(file));
            file?.write_all(known.replace("PASSWORD", password).as_bytes())?;
            site.restart(role)?;
        }
        let (dir, restored) = (site.dir().display().to_string(), site.dir().join("other-restored"));
        fs::create_dir_all(site.dir().join("other"))?;
        fs::create_dir_all(&restored)?;
        let changes = [
            ("kit-dir".to_owned(), "other-dir".to_owned()),
            ("21101".to_owned(), PORT.to_owned()),
            (format!("{dir}/director"), format!("{dir}/other")),
            (format!("{dir}/restored"), restored.display().to_string()),
            (format!("{dir}/log/jobs.log"), format!("{dir}/log/other.log")),
        ];
        let mut files = Vec::new();
        for name in ["bacula-dir.conf", "bconsole.conf"] {
            let text = fs::read_to_string(site.config_file(name))?;
            let text = changes.iter().fold(text, |text, (from, to)| text.replace(from, to));
            let path = site.config_file(&format!("other-{name}"));
            fs::write(&path, text)?;
            files.push(path);
        }
        let director = program(Maker::Holdfast, "bacula-dir")?;
        let log = fs::File::create(site.dir().join("log/other-director.log"))?;
        let child = Command::new(&director.path)
            .args(&director.arguments)
            .arg("-f")
            .arg("-c")
            .arg(&files[0])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let other = Self { child, console: files[1].clone(), restored };
        wait::until("the second Director", wait::START, || {
            Ok(other.say(&["version"]).is_ok_and(|said| said.contains("1000 OK")).then_some(()))
        })?;
        Ok(other)
    }

    fn say(&self, commands: &[&str]) -> Result<String> {
        let console = program(Maker::Holdfast, "bconsole")?;
        let mut child = Command::new(&console.path)
            .args(&console.arguments)
            .arg("-c")
            .arg(&self.console)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let script = commands.iter().map(|line| format!("{line}\n")).collect::<String>() + "quit\n";
        // One that could not connect has closed it.
        let _ = child.stdin.take().context("an input")?.write_all(script.as_bytes());
        Ok(String::from_utf8_lossy(&child.wait_with_output()?.stdout).into_owned())
    }

    /// Queues a job, waits for its end and gives what `llist` says of it.
    fn job(&self, command: &str) -> Result<String> {
        let said = self.say(&[command])?;
        let (_, rest) = said.split_once("Job queued. JobId=").with_context(|| format!("no job:\n{said}"))?;
        let id: String = rest.chars().take_while(char::is_ascii_digit).collect();
        self.say(&[&format!("wait jobid={id}"), &format!("llist jobid={id}")])
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_good(said: &str) -> bool {
    said.lines().any(|line| line.trim() == "jobstatus: T")
}

#[test]
fn neither_touches_what_is_the_others() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, 20, 30_000)?;
    // Each has a catalog of its own.
    let mut site = our_site().embedded().tree(&tree).start()?;
    let other = Other::start(&mut site)?;
    let full = site.backup("Full")?;
    expect_good(&full)?;
    let mine = fs::read(site.volume_file("Vol-0001"))?;

    // It numbers its Volumes from 1, too, and its first job is JobId 1.
    let said = other.job("run job=Backup level=Full yes")?;
    let log = fs::read_to_string(site.dir().join("log/other.log")).unwrap_or_default();
    ensure!(is_good(&said) && said.contains("jobid: 1") && said.contains("joberrors: 0"), "{said}\n{log}");
    ensure!(log.contains("it belongs to Director \"kit-dir\""), "{log}");
    let volumes = other.say(&["list volumes"])?;
    ensure!(volumes.contains("Vol-0002"), "{volumes}");
    let others = fs::read(site.volume_file("Vol-0002"))?;

    let relabel = "relabel storage=File1 oldvolume=Vol-0001 volume=Mine pool=File";
    let said =
        other.say(&["purge volume=Vol-0001 yes", "update volume=Vol-0001 volstatus=Purged", relabel])?;
    ensure!(said.contains("3985 ") && said.contains("Director \"kit-dir\""), "{said}");
    let label = "label storage=File1 pool=File volume=Vol-0001";
    let said = other.say(&["delete volume=Vol-0001 yes", label])?;
    ensure!(!said.contains("3000 OK label"), "{said}");
    ensure!(fs::read(site.volume_file("Vol-0001"))? == mine, "the first Director's Volume was changed");

    // Nor the other way round: the next Volume of the first is not the second's.
    site.console(&["update volume=Vol-0001 volstatus=Used"])?;
    expect_good(&site.backup("Full")?)?;
    ensure!(site.job_log().contains("it belongs to Director \"other-dir\""), "{}", site.job_log());
    ensure!(fs::read(site.volume_file("Vol-0002"))? == others, "the second Director's Volume was changed");

    expect_good(&site.restore_jobs(&[full.id], &site.restored())?)?;
    compare_restored(&site, &tree)?.expect_equal()?;
    let to = other.restored.display();
    let said = other.job(&format!("restore jobid=1 client=kit-fd where={to} all done yes"))?;
    ensure!(is_good(&said), "{said}");
    Compare::new(&tree, other.restored.join(tree.strip_prefix("/")?)).run()?.expect_equal()?;
    site.finish()
}
