//! `docs/examples/patroni.conf` as it is rendered, brought up by its runbook; then drills, of which the last takes the node that has the primary
//! and the active instance.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use holdfast_tests::runbook::{self, Step};
use holdfast_tests::{bulk_tree, expect_good, our_site, plain_tree, scratch};
use serde_json::Value;
use testkit::cluster::{Cluster, HEALED};
use testkit::compare::Compare;
use testkit::site::{Names, Role, Site, holdfast, hosts};
use testkit::wait;

use crate::history;

const TOPOLOGY: &str = include_str!("../../docs/examples/patroni.conf");
/// The catalogs' nodes, with their addresses and those that they replicate at, and the third member of etcd.
const NODES: &[(&str, &[&str])] = &[
    ("a", &["10.1.0.11/24", "10.10.0.1/30"]),
    ("b", &["10.2.0.11/24", "10.10.0.2/30"]),
    ("etcd3", &["10.3.0.8/24"]),
];
/// Where consoles find the instances.
const INSTANCES: &[(&str, &str)] = &[("a", "10.1.0.11"), ("b", "10.2.0.11")];
const DIR_PORT: u16 = 9101;
/// Password of the catalog's role.
const PASSWORD: &str = "of-the-role";
const FILES: usize = 20;
/// Data of the canary: at a megabyte a second it is in flight when a drill strikes.
const CANARY_FILES: usize = 6;
const CANARY_FILE_BYTES: usize = 1 << 20;
/// Director, machine, machine with the primary.
const SCENARIOS: &[&str] = &["switchover", "kill-director", "stop-node"];

/// What the packages bring.
const PREPARE: &str = r#"
id bacula >/dev/null 2>&1 || useradd --system --user-group --home-dir /var/lib/bacula --create-home bacula
printf '#!/bin/sh\n' >/usr/bin/apt-get
install -d -o bacula -g bacula /etc/bacula
"#;

/// Whoever has the key comes in as root. `/root` is that of this machine.
const SSHD: &str = "\
AuthorizedKeysFile /etc/ssh/authorized_keys
PermitRootLogin prohibit-password
UsePAM no
";

/// What a machine does by itself at each start, before its services: its addresses, and what systemd-tmpfiles makes.
const BOOT: &str = r#"#!/bin/sh -e
install -d -o postgres -g postgres -m 2775 /run/postgresql
"#;

/// The example, with what is of this place alone: passwords, a power switch, the name that the daemons know, and a shorter wait.
fn topology() -> String {
    let passwords = "Replication Password = of-replication; Superuser Password = of-superuser";
    let text = TOPOLOGY
        .replace("three-dir", Names::DIRECTOR)
        .replace("Patroni TTL = 20 seconds", &format!("Patroni TTL = 8 seconds; {passwords}"));
    let lines = text.lines().map(|line| {
        let board = line.strip_prefix("Fence Device { Name = board-").and_then(|rest| rest.split(';').next());
        board.map_or_else(
            || format!("{line}\n"),
            |node| {
                format!("Fence Device {{ Name = board-{node}; Agent = fence_switch; Option = \"socket=/run/switch\", \"plug={node}\" }}\n")
            },
        )
    });
    lines.collect()
}

/// What the canary saves.
fn canary(tree: &Path) -> PathBuf {
    tree.with_file_name("canary")
}

/// The nodes, with what was rendered for them.
struct Stack {
    site: Site,
    cluster: Cluster,
    rendered: tempfile::TempDir,
    runbook: String,
    began: Instant,
}

impl Stack {
    fn start(tree: &Path) -> Result<Self> {
        let began = Instant::now();
        let site = our_site()
            .network()
            .hosts(&["etcd3"])
            .instances(&["a", "b"])
            .managed()
            .embedded()
            .storage_daemon_if_ours("Checkpoint Interval = 1 second")
            .start()?;
        let rendered = scratch()?;
        let file = rendered.path().join("holdfast-ha.conf");
        fs::write(&file, topology())?;
        let mut render = Command::new(holdfast()?);
        let made = render.args(["ha", "render"]).arg(&file).arg("--output").arg(rendered.path().join("all"));
        let made = made.output()?;
        ensure!(made.status.success(), "ha render: {}", String::from_utf8_lossy(&made.stderr));
        let runbook = fs::read_to_string(rendered.path().join("all/RUNBOOK.md"))?;
        let cluster = Cluster::bare(&site, &["a", "b", "etcd3"])?;
        let stack = Self { site, cluster, rendered, runbook, began };
        stack.prepare(&stack.director(tree)?)?;
        Ok(stack)
    }

    /// Installs packages and what people write themselves, and gives the hosts their addresses.
    fn prepare(&self, director: &str) -> Result<()> {
        let kit = self.rendered.path();
        fs::write(kit.join("bacula-dir.conf"), director)?;
        fs::write(
            kit.join("holdfast-director.service"),
            include_str!("../../packaging/systemd/holdfast-director.service"),
        )?;
        let install = format!(
            "{PREPARE}install -o root -g bacula -m 0640 {0}/bacula-dir.conf /etc/bacula/bacula-dir.conf\n\
             install -m 0644 {0}/holdfast-director.service /lib/systemd/system/holdfast-director.service\n",
            kit.display()
        );
        fs::write(kit.join("sshd.conf"), SSHD)?;
        let mut keygen = Command::new("ssh-keygen");
        let made = keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(kit.join("key")).status()?;
        ensure!(made.success(), "ssh-keygen: {made}");
        let sshd = format!(
            "install -m 0644 {0}/sshd.conf /etc/ssh/sshd_config\ninstall -m 0644 {0}/key.pub /etc/ssh/authorized_keys\n\
             ssh-keygen -A\nsystemctl enable --now ssh\n",
            kit.display()
        );
        let route = |source: &str| format!("ip route add 10.0.0.0/8 dev eth0 src {source}\n");
        for (node, addresses) in NODES {
            let mut boot = BOOT.to_owned();
            for address in *addresses {
                boot.push_str(&format!("ip address add {address} dev eth0\n"));
            }
            boot.push_str(&route(addresses[0].split('/').next().context("an address")?));
            fs::write(kit.join("boot"), boot)?;
            let boot = format!("install -m 0755 {}/boot /etc/rc.local\n/etc/rc.local\n", kit.display());
            self.sh(node, &format!("{install}{boot}{sshd}"))?;
        }
        let host = self.site.network()?.host(hosts::CONSOLE)?;
        let routed = host.command("sh").arg("-c").arg(route(&host.address.to_string())).status()?;
        ensure!(routed.success(), "route the console's host: {routed}");
        for (name, address) in INSTANCES {
            let text = format!(
                "Director {{ Name = {}; DIRport = {DIR_PORT}; Address = {address}; Password = \"console-password\" }}\n",
                Names::DIRECTOR
            );
            fs::write(self.site.config_file(&format!("bconsole-{name}.conf")), text)?;
        }
        Ok(())
    }

    /// The Director's file around the rendered one, for the daemons of the site.
    fn director(&self, tree: &Path) -> Result<String> {
        let own = self
            .rendered
            .path()
            .join("all/nodes/a/etc/bacula")
            .join(format!("{}-instances.conf", Names::DIRECTOR));
        let rendered = fs::read_to_string(own)?;
        let catalog = rendered.lines().find_map(|line| line.strip_prefix("# Its Catalog resource has: "));
        let catalog = catalog.context("the rendered file does not say how the database is found")?;
        let at = |host: &str| -> Result<Ipv4Addr> { Ok(self.site.network()?.host(host)?.address) };
        let (client, storage) = (at(hosts::CLIENT)?, at(hosts::STORAGE)?);
        let (fd, sd) = (Role::Client.port(), Role::Storage.port());
        Ok(format!(
            r#"@/etc/bacula/{name}-instances.conf
Director {{ Name = {name}; DIRport = {DIR_PORT}; QueryFile = "/dev/null"; WorkingDirectory = "/var/lib/bacula"; PidDirectory = "/run/bacula"
  Password = "console-password"; Messages = M }}
Catalog {{ Name = main; {catalog}; DB Password = "{PASSWORD}" }}
Client {{ Name = kit-fd; Address = {client}; FDPort = {fd}; Catalog = main; Password = "client-password"; AutoPrune = no }}
Storage {{ Name = File1; Address = {storage}; SDPort = {sd}; Password = "storage-password"; Device = FileDev1; Media Type = File1 }}
Pool {{ Name = File; Pool Type = Backup; Label Format = "Vol-"; AutoPrune = no; Volume Retention = 1 year }}
Messages {{ Name = M; console = all, !skipped, !saved; catalog = all, !skipped }}
FileSet {{ Name = Tree; Include {{ Options {{ Signature = MD5 }}; File = "{tree}" }} }}
FileSet {{ Name = Canary; Include {{ File = "{canary}" }} }}
JobDefs {{ Name = Defaults; Client = kit-fd; FileSet = Tree; Storage = File1; Pool = File; Messages = M }}
Job {{ Name = Backup; Type = Backup; Level = Full; JobDefs = Defaults }}
Job {{ Name = Canary; Type = Backup; Level = Full; JobDefs = Defaults; FileSet = Canary; Maximum Bandwidth = 1 mb/s }}
Job {{ Name = RestoreFiles; Type = Restore; JobDefs = Defaults; Where = "/tmp" }}
"#,
            name = Names::DIRECTOR,
            tree = tree.display(),
            canary = canary(tree).display(),
        ))
    }

    fn say(&self, what: &str) {
        println!("[{:4.1} s] {what}", self.began.elapsed().as_secs_f64());
    }

    /// Runs a script on a node as a person would in the folder of the rendered files, who types the role's password when asked for one.
    fn sh(&self, node: &str, script: &str) -> Result<String> {
        let file = self.rendered.path().join("step");
        fs::write(&file, script)?;
        let folder = self.rendered.path().join("all");
        // Without a terminal of its own, `psql` asks its standard input.
        let line = format!(
            "cd {} && printf '%s\\n' {PASSWORD} {PASSWORD} | setsid -w bash -e {}",
            folder.display(),
            file.display()
        );
        self.cluster.run(node, &line).with_context(|| self.logs())
    }

    fn steps(&self, heading: &str) -> Result<Vec<Step>> {
        runbook::steps(&self.runbook, heading)
    }

    fn follow<'a>(&self, steps: impl IntoIterator<Item = &'a Step>) -> Result<()> {
        steps.into_iter().try_for_each(|step| self.sh(&step.on, &step.script).map(drop))
    }

    /// Waits until a step that only looks is content.
    fn looks_well(&self, step: &Step) -> Result<()> {
        let done = wait::until(&step.script, HEALED, || Ok(self.sh(&step.on, &step.script).ok().map(drop)));
        done.with_context(|| self.logs())
    }

    /// Brings up etcd, the catalog and the Director as the runbook says; returns the node of primary and active instance.
    fn bring_up(&self) -> Result<String> {
        let steps = self.steps("Bring-up of etcd")?;
        let (health, members) = steps.split_last().context("a step")?;
        self.follow(members)?;
        self.looks_well(health)?;
        self.say("etcd has a majority");

        let steps = self.steps("Bring-up of Catalog main")?;
        let look = steps.iter().position(|step| step.script.starts_with("patronictl"));
        let (servers, database) = steps.split_at(look.context("a look at the members")?);
        self.follow(servers)?;
        let primary = self.primary(servers.last().map_or("a", |step| &step.on), "Sync Standby")?;
        self.say(&format!("{primary} is the primary and has a synchronous replica"));
        for step in database {
            // "On the leader", which need not be the one that was started first.
            self.sh(&primary, &step.script)?;
        }
        self.nobody_is_trusted(&primary)?;

        let steps = self.steps(&format!("Bring-up of Director {}", Names::DIRECTOR))?;
        let (status, starts) = steps.split_last().context("a step")?;
        let (here, there): (Vec<_>, Vec<_>) = starts.iter().partition(|step| step.on == primary);
        self.follow(here)?;
        self.is_active(&primary)?;
        self.follow(there)?;
        self.looks_well(status)?;
        self.say("one instance is active, the other stands by");
        Ok(primary)
    }

    /// The server asks everybody who he is.
    fn nobody_is_trusted(&self, node: &str) -> Result<()> {
        let rules = "SELECT count(*), count(*) FILTER (WHERE auth_method = 'trust') FROM pg_hba_file_rules";
        let said =
            self.sh(node, &format!("runuser -u postgres -- psql -h /run/postgresql -At -c \"{rules}\""))?;
        ensure!(
            said.trim().ends_with("|0") && !said.starts_with("0|"),
            "rules, and those that trust: {said}"
        );
        Ok(())
    }

    /// Waits until a node sees a leader, and a member in this role beside it; returns the leader.
    fn primary(&self, asked: &str, role: &str) -> Result<String> {
        let list = "patronictl -c /etc/patroni/config.yml list three-main -f json";
        let found = wait::until("Patroni's members", HEALED, || {
            let Ok(said) = self.cluster.run(asked, list) else { return Ok(None) };
            let members: Vec<Value> = serde_json::from_str(&said)?;
            // Of a replica later versions say more than that it runs.
            let is_up = |one: &Value| one["State"] == "running" || one["State"] == "streaming";
            let with = |role: &str| {
                members.iter().find(|one| one["Role"] == role && is_up(one) && one["TL"].is_u64())
            };
            let leader = with("Leader").filter(|_| with(role).is_some());
            Ok(leader.and_then(|leader| leader["Member"].as_str()).map(str::to_owned))
        });
        found.with_context(|| self.logs())
    }

    /// Waits until an instance says that it is active.
    fn is_active(&self, name: &str) -> Result<()> {
        let found = wait::until(&format!("instance {name} to be active"), HEALED, || {
            let report = self.site.cluster_report(name).unwrap_or_default();
            let is_active = |one: &Value| one["instance"] == name && one["role"] == "active";
            Ok(report["instances"].as_array().is_some_and(|all| all.iter().any(is_active)).then_some(()))
        });
        found.with_context(|| self.logs())
    }

    /// Drills from the console's host, which has the Director's file, the rendered one and the topology; gives the report.
    fn drill(&self, scenarios: &[&str]) -> Result<Value> {
        let own = |name: &str| self.rendered.path().join(name);
        let include = own("all/nodes/a/etc/bacula").display().to_string();
        let config =
            fs::read_to_string(own("bacula-dir.conf"))?.replace("@/etc/bacula", &format!("@{include}"));
        fs::write(own("drill-dir.conf"), config)?;
        let shell = format!(
            "Engine = Patroni; Remote Shell = \"ssh -o BatchMode=yes -o ConnectTimeout=10 -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
             -o LogLevel=ERROR -i {} root@%a\"",
            own("key").display()
        );
        fs::write(own("drill-ha.conf"), topology().replace("Engine = Patroni", &shell))?;
        let mut command = self.site.network()?.host(hosts::CONSOLE)?.command("timeout");
        command.args(["--foreground", "300"]).arg(std::path::absolute(holdfast()?)?).args(["ha", "drill"]);
        command.args(scenarios).args(["--canary", "Canary", "--limit", "120", "--yes"]);
        for (option, name) in [
            ("-c", "drill-dir.conf"),
            ("--topology", "drill-ha.conf"),
            ("--report", "drill"),
            ("--history", "drills.jsonl"),
        ] {
            command.arg(option).arg(own(name));
        }
        let drilled = command.stdin(Stdio::null()).status().context("start holdfast ha drill")?;
        ensure!(drilled.success(), "holdfast ha drill: {drilled}\n{}", self.logs());
        Ok(serde_json::from_slice(&fs::read(own("drill.json"))?)?)
    }

    fn logs(&self) -> String {
        let of = |node: &str| {
            let script = "tail -n 40 /var/log/units/*.log";
            let said = self.cluster.run(node, script).unwrap_or_else(|error| format!("{error:#}"));
            format!("== {node}\n{said}\n")
        };
        self.cluster.names().iter().map(|node| of(node)).collect()
    }
}

#[test]
fn what_is_rendered_for_patroni_fails_over() -> Result<()> {
    let dir = scratch()?;
    let tree = dir.path().join("tree");
    plain_tree(&tree, FILES, 10_000)?;
    bulk_tree(&canary(&tree), CANARY_FILES, CANARY_FILE_BYTES)?;
    let mut stack = Stack::start(&tree)?;
    let first = stack.bring_up()?;
    let (second, _) = INSTANCES.iter().find(|(name, _)| *name != first).context("another node")?;
    stack.site.prefer_instance(&first);
    let before = stack.site.backup("Full")?;
    expect_good(&before)?;
    stack.say("a job has ended T");

    // Away and back, the second time because its machine is switched off: then the primary and the active instance are at the first again.
    let report = stack.drill(SCENARIOS)?;
    for (at, scenario) in SCENARIOS.iter().enumerate() {
        let drill = &report["drills"][at];
        ensure!(drill["scenario"] == *scenario && drill["passed"] == true, "{drill}");
        ensure!(drill["canary"]["status"] == "T" && drill["rto_ms"].is_u64(), "{drill}");
    }
    stack.say("drilled");
    let fenced: Vec<String> = stack.cluster.fenced().into_iter().map(|off| off.node).collect();
    ensure!(fenced.iter().any(|node| node == second) && fenced.contains(&first), "{fenced:?}");
    stack.is_active(second)?;
    ensure!(stack.primary(second, "Sync Standby")? == *second);
    stack.nobody_is_trusted(second)?;
    stack.site.prefer_instance(second);
    let kept = stack.site.job(before.id)?;
    ensure!(kept.columns == before.columns, "{kept:?}\n{before:?}");
    let after = stack.site.backup("Full")?;
    expect_good(&after)?;
    let restored = dir.path().join("restored");
    for job in [before.id, after.id] {
        fs::create_dir(&restored)?;
        expect_good(&stack.site.restore_jobs(&[job], &restored)?)?;
        Compare::new(&tree, restored.join(tree.strip_prefix("/")?)).run()?.expect_equal()?;
        fs::remove_dir_all(&restored)?;
    }
    let tenures = history::one_at_a_time(&stack.site, &stack.cluster)?;
    let nodes: Vec<&str> = tenures.iter().map(|tenure| tenure.node.as_str()).collect();
    ensure!(nodes == [first.as_str(), second, &first, second], "{tenures:?}");
    // The timeline of the promoted server is in the epoch.
    ensure!(tenures[3].epoch >> 32 > tenures[2].epoch >> 32, "{tenures:?}");
    stack.site.finish()
}
