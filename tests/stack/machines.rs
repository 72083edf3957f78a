//! The three machines, and how they are brought up.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use holdfast_tests::runbook::{self, Step};
use testkit::site::holdfast;
use testkit::vm::{AGENT, Cable, Hub, Image, Parts, PowerSwitch, Vm};

const TOPOLOGY: &str = include_str!("topology.conf");
/// Files of the tree, and bytes of each.
pub(crate) const FILES: usize = 60;
const FILE_BYTES: usize = 600_000;

/// What the packages bring, and the configuration of the daemons.
const PREPARE: &str = r#"
set -e
cd /run/payload/kit
id bacula >/dev/null 2>&1 || useradd --system --user-group --home-dir /var/lib/bacula --create-home bacula
install -m 0755 holdfast /usr/bin/holdfast
install -m 0755 fence_plug systemctl /usr/sbin/
printf '#!/bin/sh\n' >/usr/sbin/apt-get
chmod 755 /usr/sbin/apt-get
install -d -o bacula -g bacula /etc/bacula /var/lib/bacula /run/bacula
install -o root -g bacula -m 0640 bacula-dir.conf /etc/bacula/bacula-dir.conf
install -o root -g tape -m 0640 bacula-sd.conf /etc/bacula/bacula-sd.conf
install -d -o postgres -g postgres -m 2775 /run/postgresql # by systemd-tmpfiles elsewhere
touch /etc/bacula/query.sql
"#;

/// The witness has a client and a Storage Daemon besides.
const OFFICE: &str = r#"
set -e
cd /run/payload/kit
install -d /srv/tree /srv/office /var/lib/office /run/office
for n in $(seq FILES); do head -c FILE_BYTES /dev/urandom >/srv/tree/file$n; done
for role in storage client; do
    setsid holdfast $role -f -c /run/payload/kit/office-$role.conf >/run/office-$role.out 2>&1 </dev/null &
done
"#;

/// When each part of the stack was there, by Pacemaker's log of the node.
pub(crate) const COURSE: &str = "grep -hoE '[0-9:]{8}[.][0-9]+ .*Result of (promote|start) operation for [a-z0-9-]+ on [ab]: ok' \
    /var/log/pacemaker/pacemaker.log | sed -E 's/ .*Result of//' | tail -n 9";

const DIRECTOR: &str = r#"
@/etc/bacula/stack-dir-instances.conf
Director { Name = stack-dir; DIRport = 9101; QueryFile = "/etc/bacula/query.sql"; WorkingDirectory = "/var/lib/bacula"
  PidDirectory = "/run/bacula"; Maximum Concurrent Jobs = 4; Password = "c"; Messages = M }
Catalog { Name = main; DB Driver = PostgreSQL; DB Address = "/var/run/postgresql"; DB Port = 5432; DB Name = bacula; DB User = bacula; DB Password = "" }
Client { Name = office-fd; Address = 10.1.0.8; FDPort = 9102; Catalog = main; Password = "f"; AutoPrune = no }
Storage { Name = Office; Address = 10.1.0.8; SDPort = 9103; Password = "s"; Device = Disk; Media Type = Office; Maximum Concurrent Jobs = 4 }
Storage { Name = Moved; Address = 10.1.0.101; SDPort = 9103; Password = "s"; Device = Disk; Media Type = Moved; Maximum Concurrent Jobs = 4 }
Pool { Name = Office; Pool Type = Backup; Storage = Office; Label Format = "Office-"; AutoPrune = no; Volume Retention = 1 year }
Pool { Name = Moved; Pool Type = Backup; Storage = Moved; Label Format = "Moved-"; AutoPrune = no; Volume Retention = 1 year }
Messages { Name = M; console = all, !skipped, !saved; catalog = all, !skipped; append = "/var/lib/bacula/jobs.log" = all, !skipped }
FileSet { Name = Tree; Include { Options { Signature = MD5 }; File = "/srv/tree" } }
FileSet { Name = Small; Include { File = "/etc/hostname" } }
JobDefs { Name = D; Type = Backup; Level = Full; Client = office-fd; FileSet = Tree; Messages = M; Maximum Bandwidth = 400 kb/s }
Job { Name = Small; JobDefs = D; FileSet = Small; Storage = Office; Pool = Office }
Job { Name = ToOffice; JobDefs = D; Storage = Office; Pool = Office }
Job { Name = ToMoved; JobDefs = D; Storage = Moved; Pool = Moved }
Job { Name = Restore; Type = Restore; Client = office-fd; FileSet = Tree; Storage = Office; Pool = Office; Messages = M; Where = "/srv/restored" }
"#;

const OFFICE_CLIENT: &str = r#"
Director { Name = stack-dir; Password = "f" }
FileDaemon { Name = office-fd; FDPort = 9102; FDAddress = 10.1.0.8; WorkingDirectory = "/var/lib/office"; Pid Directory = "/run/office" }
Messages { Name = M; director = stack-dir = all, !skipped, !restored }
"#;

/// The console calls the floating address.
const CONSOLE: &str =
    r#"Director { Name = stack-dir; DIRport = 9101; Address = 10.1.0.100; Password = "c" }"#;

fn storage(name: &str, address: &str, working: &str, pid: &str, archive: &str, media_type: &str) -> String {
    format!(
        r#"
Storage {{ Name = {name}; SDPort = 9103; SDAddress = {address}; WorkingDirectory = "{working}"; Pid Directory = "{pid}"
  Checkpoint Interval = 1 second; Maximum Concurrent Jobs = 4 }}
Director {{ Name = stack-dir; Password = "s" }}
Device {{ Name = Disk; Device Type = File; Media Type = {media_type}; Archive Device = "{archive}"; Label Media = yes; Random Access = yes
  Automatic Mount = yes; Removable Media = no; Always Open = no; Maximum Concurrent Jobs = 4 }}
Messages {{ Name = M; director = stack-dir = all }}
"#
    )
}

/// All of it, running.
pub(crate) struct Stack {
    a: Vm,
    b: Vm,
    office: Vm,
    runbook: String,
    pub(crate) switch: PowerSwitch,
    _hub: Hub,
    began: Instant,
}

impl Stack {
    /// Brings it up by the runbook; returns when the Director answers at its address and both disks are the same.
    pub(crate) fn start() -> Result<Self> {
        let began = Instant::now();
        let image = Image::make()?;
        let dir = holdfast_tests::scratch()?;
        let payload = payload(dir.path())?;
        let (hub, switch) = (Hub::start()?, PowerSwitch::default());
        let (one, other) = Cable::pair()?;
        let machine = |name, cards, memory_mb, disks_mb| {
            Vm::new(&image, &switch, Parts { name, cards, disks_mb, memory_mb, payload: &payload })
        };
        let disks: &[u64] = &[192, 192];
        let a = machine("a", vec![(hub.cable()?, "10.1.0.11/24"), (one, "10.10.0.1/30")], 1024, disks)?;
        let b = machine("b", vec![(hub.cable()?, "10.1.0.12/24"), (other, "10.10.0.2/30")], 1024, disks)?;
        let office = machine("office", vec![(hub.cable()?, "10.1.0.8/24")], 512, &[])?;
        let runbook = fs::read_to_string(payload.join("RUNBOOK.md"))?;
        let mut stack = Self { a, b, office, runbook, switch, _hub: hub, began };
        for name in ["office", "a", "b"] {
            stack.machine(name).switch_on()?;
            stack.machine(name).run(PREPARE)?;
        }
        let office =
            OFFICE.replace("FILES", &FILES.to_string()).replace("FILE_BYTES", &FILE_BYTES.to_string());
        stack.office.run(&office)?;
        stack.say("three machines are on");
        let sections = [
            "Files",
            "The witness",
            "Replicated Device catalog",
            "Catalog main",
            "Replicated Device volumes",
            "Start",
        ];
        for heading in sections {
            stack.follow(heading, None)?;
            stack.say(heading);
        }
        stack.is_up("a")?;
        for step in stack.steps("Start")?.into_iter().filter(is_check) {
            stack.machine(&step.on).run(&format!("set -e; {}", step.script))?;
        }
        Ok(stack)
    }

    fn steps(&self, heading: &str) -> Result<Vec<Step>> {
        runbook::steps(&self.runbook, heading)
    }

    pub(crate) fn machine(&mut self, name: &str) -> &mut Vm {
        match name {
            "a" => &mut self.a,
            "b" => &mut self.b,
            _ => &mut self.office,
        }
    }

    fn say(&self, what: &str) {
        println!("[{:5.1} s] {what}", self.began.elapsed().as_secs_f64());
    }

    /// Does what the runbook says under a heading, on all machines or one.
    fn follow(&mut self, heading: &str, only: Option<&str>) -> Result<()> {
        for step in self.steps(heading)? {
            if !is_check(&step) && only.is_none_or(|only| step.on == only) {
                let done = self.machine(&step.on).run(&format!("set -e; cd /run/payload; {}", step.script));
                done.with_context(|| self.logs())?;
            }
        }
        Ok(())
    }

    /// Waits until a command at the console prints what is wanted.
    pub(crate) fn console_until(&mut self, command: &str, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let done = self.office.run_until(&console(&[command]), |said| wanted(said));
        done.map(drop).with_context(|| self.logs())
    }

    pub(crate) fn console(&mut self, commands: &[&str]) -> Result<String> {
        self.office.run(&console(commands))
    }

    pub(crate) fn status(&mut self, job: u32) -> Result<char> {
        let said = self.console(&[&format!("llist jobid={job}")])?;
        status_in(&said).with_context(|| format!("no status of job {job}: {said}"))
    }

    /// Asks the catalog at the node that has it.
    pub(crate) fn sql(&mut self, node: &str, query: &str) -> Result<Vec<Vec<String>>> {
        let script =
            format!("runuser -u postgres -- psql -h /var/run/postgresql -At -d bacula <<'X'\n{query}\nX\n");
        let said = self.machine(node).run(&script)?;
        Ok(said.lines().map(|line| line.split('|').map(str::to_owned).collect()).collect())
    }

    /// A machine that was off is started as the runbook says, and gets what it missed. Its root is new: the files are put in place again.
    pub(crate) fn comes_back(&mut self, name: &str) -> Result<()> {
        let since = Instant::now();
        self.machine(name).switch_on()?;
        self.machine(name).run(PREPARE)?;
        self.follow("Files", Some(name))?;
        self.machine(name).run("install -d /srv/catalog /srv/volumes")?;
        let steps = self.steps("A node of cluster stack is lost")?;
        let start = steps
            .iter()
            .find_map(|step| step.script.lines().find(|line| line.starts_with("systemctl start")));
        let start = start.context("the runbook does not say how a node comes back")?.to_owned();
        self.machine(name).run(&start)?;
        self.is_up(name)?;
        println!("{name} is back and whole after {:.1} s", since.elapsed().as_secs_f64());
        Ok(())
    }

    /// The Director answers at its address, both nodes are in the cluster and both disks are up to date.
    fn is_up(&mut self, asked: &str) -> Result<()> {
        self.console_until("list jobs", |said| said.contains("Automatically selected Catalog"))?;
        self.say("the Director answers");
        let whole = "for disk in catalog volumes; do drbdadm dstate $disk; done; crm_mon -1 | grep -E 'Online|Unpromoted'";
        let is_whole = |said: &str| {
            said.matches("UpToDate/UpToDate").count() == 2
                && said.contains("[ a b ]")
                && said.matches("Unpromoted: [").count() == 3
        };
        let done = self.machine(asked).run_until(whole, is_whole);
        done.with_context(|| self.logs())?;
        self.say("redundancy is whole");
        Ok(())
    }

    /// What the machines have to say of themselves, as far as they are on.
    pub(crate) fn logs(&mut self) -> String {
        let script = "crm_mon -1 -A -f | tail -n 60; cat /proc/drbd; grep -hE 'error|warning' /var/log/pacemaker/pacemaker.log | tail -n 20; \
            tail -n 15 /var/log/postgresql/main.log /var/lib/bacula/*.log /run/*.out; dmesg | tail -n 8";
        let mut text = String::new();
        for name in ["a", "b", "office"] {
            let said = self
                .machine(name)
                .try_run(script)
                .map_or_else(|error| format!("{error:#}"), |(_, said)| said);
            text.push_str(&format!("== {name}\n{said}\n"));
        }
        text
    }
}

/// Whether a step looks whether the cluster is up, which it is after a while.
fn is_check(step: &Step) -> bool {
    step.script.starts_with("crm_mon")
}

/// The status of a job in `llist jobid=…`.
pub(crate) fn status_in(said: &str) -> Option<char> {
    let line = said.lines().rfind(|line| line.trim_start().starts_with("jobstatus:"))?;
    line.rsplit(':').next()?.trim().chars().next()
}

fn console(commands: &[&str]) -> String {
    let words: Vec<String> = commands.iter().chain(&["quit"]).map(|command| format!("'{command}'")).collect();
    format!(
        "printf '%s\\n' {} | timeout 60 holdfast console -n -c /run/payload/kit/bconsole.conf 2>&1",
        words.join(" ")
    )
}

/// What all machines are given: the rendered files, and in `kit` what packages and people would bring.
fn payload(dir: &Path) -> Result<std::path::PathBuf> {
    let (topology, payload) = (dir.join("holdfast-ha.conf"), dir.join("rendered"));
    fs::write(&topology, TOPOLOGY)?;
    let program = holdfast()?;
    let mut render = Command::new(&program);
    let rendered = render.args(["ha", "render"]).arg(&topology).arg("--output").arg(&payload).output()?;
    ensure!(rendered.status.success(), "ha render: {}", String::from_utf8_lossy(&rendered.stderr));
    let kit = payload.join("kit");
    fs::create_dir(&kit)?;
    let stripped = Command::new("strip").arg("-o").arg(kit.join("holdfast")).arg(&program).status()?;
    ensure!(stripped.success(), "strip {}: {stripped}", program.display());
    let moved = storage(
        "moved-sd",
        "10.1.0.101",
        "/srv/volumes/working",
        "/run/bacula-sd",
        "/srv/volumes/volumes",
        "Moved",
    );
    let office = storage("office-sd", "10.1.0.8", "/var/lib/office", "/run/office", "/srv/office", "Office");
    let files = [
        ("fence_plug", AGENT),
        ("systemctl", include_str!("systemctl")),
        ("bacula-dir.conf", DIRECTOR),
        ("bacula-sd.conf", &moved),
        ("office-storage.conf", &office),
        ("office-client.conf", OFFICE_CLIENT),
        ("bconsole.conf", CONSOLE),
    ];
    for (name, text) in files {
        fs::write(kit.join(name), text)?;
    }
    Ok(payload)
}
