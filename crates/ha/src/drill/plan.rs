//! What a scenario does to which node, and what takes it back: pure, the topology and the roles in, orders out.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use conf::topology::{Director, Domain, Engine, FenceAction};
use conf::{DirectorConfig, TopologyConfig};

use super::scenario::Scenario;
use super::storages::{self, Spot};
use crate::plan::moved;

/// How long a fault lasts that the service is to live through.
pub(super) const HOLD: Duration = Duration::from_secs(20);
/// After so long a node takes a cut link back by itself, whatever has become of the drill.
const DEAD_MAN: Duration = Duration::from_secs(90);
/// Table of the rules that cut a link.
const TABLE: &str = "holdfast_drill";
/// How long fencing may take, in seconds.
const FENCING_S: u32 = 120;
/// Unit of a Director that no cluster manager starts.
const UNIT: &str = "holdfast-director.service";

/// The site as a drill finds it.
#[derive(Debug, Clone)]
pub(super) struct Ground<'a> {
    pub(super) topology: &'a TopologyConfig,
    pub(super) config: &'a DirectorConfig,
    /// Name of the active instance, and of its node.
    pub(super) active: String,
    /// Names of those that stand by.
    pub(super) standbys: Vec<String>,
    /// Job resource of the canary.
    pub(super) canary: &'a str,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// A line of shell, on the first of these nodes on which it succeeds.
    Shell { nodes: Vec<String>, line: String },
    /// The same, on one node, where a failure leaves nothing behind: the node does it by itself as well, or its restart did.
    Backed { node: String, line: String },
    /// A line of shell on the node of the Storage Daemon that writes the canary.
    Writer { spots: Vec<Spot>, line: String },
    /// A command to the active Director.
    Console(String),
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell { nodes, line } => write!(f, "on {}: {line}", nodes.join(", else ")),
            Self::Backed { node, line } => write!(f, "on {node}, or by itself: {line}"),
            Self::Writer { spots, line } => {
                let spots = spots.iter().map(|Spot { storage, node }| format!("{node} (Storage {storage})"));
                let spots = spots.collect::<Vec<_>>().join(" or ");
                write!(f, "on that of {spots} which writes the canary: {line}")
            }
            Self::Console(command) => write!(f, "to the active Director: {command}"),
        }
    }
}

/// A scenario with its orders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) scenario: Scenario,
    /// The node that it strikes.
    pub(super) node: String,
    pub(super) fault: Order,
    /// What takes it back, each tried whatever became of the others.
    pub(super) undo: Vec<Order>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: strikes {}", self.scenario, self.node)?;
        write!(f, "  fault  {}", self.fault)?;
        if self.undo.is_empty() {
            write!(f, "\n  undo   nothing is left behind")?;
        }
        for undo in &self.undo {
            write!(f, "\n  undo   {undo}")?;
        }
        Ok(())
    }
}

impl Plan {
    /// The plan for a scenario.
    ///
    /// # Errors
    /// What it needs and the site lacks, in one line with the remedy.
    pub(super) fn new(scenario: Scenario, ground: &Ground<'_>) -> Result<Self, String> {
        let (director, domain) = ground.director()?;
        let Some(heir) = ground.standbys.first() else {
            return Err("no instance stands by, so nobody could take over: start one".to_owned());
        };
        let engine = ground.topology.topology.engine;
        let (fault, undo) = match (scenario, engine) {
            (Scenario::Switchover, Engine::Pacemaker) => ground.moved(domain, heir),
            (Scenario::Switchover, _) => (Order::Console("cluster switchover".to_owned()), Vec::new()),
            (Scenario::KillDirector, _) => ground.killed(director),
            (Scenario::StopNode, Engine::Pacemaker) => ground.fenced()?,
            (Scenario::StopNode, _) => ground.switched_off(director)?,
            (Scenario::CutLink, _) => ground.cut(director, domain)?,
            (Scenario::StorageLoss, _) => {
                storages::taken_away(ground.topology, ground.config, ground.canary)?
            }
        };
        let node = match &fault {
            Order::Writer { spots, .. } => {
                spots.iter().map(|spot| spot.node.as_str()).collect::<Vec<_>>().join(" or ")
            }
            Order::Shell { .. } | Order::Backed { .. } | Order::Console(_) => ground.active.clone(),
        };
        Ok(Self { scenario, node, fault, undo })
    }
}

impl<'a> Ground<'a> {
    /// The Director in the topology, and its domain.
    fn director(&self) -> Result<(&'a Director, &'a Domain), String> {
        director_in(self.topology, self.config)
    }

    /// Pacemaker's order of the runbook.
    fn moved(&self, domain: &Domain, heir: &str) -> (Order, Vec<Order>) {
        let (resource, role) = moved(self.topology, domain);
        let resource = quoted(&resource);
        let nodes = vec![heir.to_owned(), self.active.clone()];
        let move_it = format!("crm_resource --resource {resource} --move{role} --node {}", quoted(heir));
        let clear = format!("crm_resource --resource {resource} --clear");
        (Order::Shell { nodes: nodes.clone(), line: move_it }, vec![Order::Shell { nodes, line: clear }])
    }

    fn killed(&self, director: &Director) -> (Order, Vec<Order>) {
        let here = vec![self.active.clone()];
        match self.topology.topology.engine {
            Engine::Pacemaker => {
                let port = self.config.instance(&self.active).map(|instance| instance.dir_port);
                let port = port.unwrap_or(director.dir_port);
                let folder = Path::new(&self.config.director.pid_directory);
                let file = quoted(&folder.join(format!("bacula-dir.{port}.pid")).to_string_lossy());
                // It is locked while its process lives: a number that was left in it kills nobody.
                let line = format!(
                    "if flock --nonblock --shared {file} true; then echo nobody holds {file} >&2; exit 1; fi; \
                     kill -KILL \"$(cat {file})\""
                );
                // Pacemaker starts it again by itself; the failure stays on its list.
                let resource = quoted(&format!("director-{}-clone", director.name));
                let cleanup = format!("crm_resource --cleanup --resource {resource}");
                (Order::Shell { nodes: here, line }, vec![Order::Shell { nodes: self.all(), line: cleanup }])
            }
            // Its unit writes no PID file.
            Engine::Patroni | Engine::Lease => {
                let kill = format!("systemctl kill --signal=KILL {UNIT}");
                let mut undo = self.on_again(director, &self.active);
                // It is started with its machine, too.
                undo.push(Order::Backed {
                    node: self.active.clone(),
                    line: format!("systemctl start {UNIT}"),
                });
                (Order::Shell { nodes: here, line: kill }, undo)
            }
        }
    }

    /// Pacemaker orders it from its fence devices.
    fn fenced(&self) -> Result<(Order, Vec<Order>), String> {
        let fenced =
            |name: &String| self.topology.node(name).is_some_and(|node| !node.fence_levels().is_empty());
        if !fenced(&self.active) {
            return Err(format!(
                "nothing can switch node \"{}\" off: give it a Fence Device in the topology",
                self.active
            ));
        }
        let order = |action: &str| Order::Shell {
            nodes: self.standbys.clone(),
            line: format!("stonith_admin --{action} {} --timeout {FENCING_S}", quoted(&self.active)),
        };
        Ok((order("fence"), vec![order("unfence")]))
    }

    /// A standby's machine orders it from the Fence Device of the Instance.
    fn switched_off(&self, director: &Director) -> Result<(Order, Vec<Order>), String> {
        if !self.has_fence_device(&self.active) {
            return Err(format!(
                "nothing can switch node \"{0}\" off: give Instance \"{0}\" a Fence Device (docs/fencing.md)",
                self.active
            ));
        }
        let off = Order::Shell { nodes: self.standbys.clone(), line: fence(director, &self.active, "") };
        Ok((off, self.on_again(director, &self.active)))
    }

    /// An instance that takes over may have had the machine of this one switched off. One that is on is left as it is.
    fn on_again(&self, director: &Director, instance: &str) -> Vec<Order> {
        if !self.has_fence_device(instance) {
            return Vec::new();
        }
        let nodes = self.all().into_iter().filter(|other| other != instance).collect();
        vec![Order::Shell { nodes, line: fence(director, instance, "--on ") }]
    }

    fn has_fence_device(&self, instance: &str) -> bool {
        self.config.instance(instance).is_some_and(|instance| instance.fence_device.is_some())
    }

    /// Packets from and to the neighbours are dropped on the replication link; where there is none, on all networks of heartbeats.
    fn cut(&self, director: &Director, domain: &Domain) -> Result<(Order, Vec<Order>), String> {
        let mut rules = Vec::new();
        for node in domain.nodes.iter().filter(|name| **name != self.active) {
            let Some(node) = self.topology.node(node) else { continue };
            let addresses = match node.replication_address {
                Some(address) => vec![address],
                None => node.heartbeat_addresses(),
            };
            for address in addresses.iter().map(|address| address.ip()) {
                let family = if address.is_ipv4() { "ip" } else { "ip6" };
                rules.push(format!("add rule inet {TABLE} in {family} saddr {address} drop"));
                rules.push(format!("add rule inet {TABLE} out {family} daddr {address} drop"));
            }
        }
        if rules.is_empty() {
            return Err(format!("node \"{}\" has no neighbour to be cut off from", self.active));
        }
        let chain = |name: &str, hook: &str| {
            format!("add chain inet {TABLE} {name} {{ type filter hook {hook} priority -300; }}")
        };
        let mut commands =
            vec![format!("add table inet {TABLE}"), chain("in", "input"), chain("out", "output")];
        commands.extend(rules);
        let heal = format!("nft delete table inet {TABLE}");
        // The timer first: a link that nobody would mend is not cut.
        let line = format!(
            "setsid --fork sh -c 'sleep {}; {heal}' </dev/null >/dev/null 2>&1 && nft '{}'",
            DEAD_MAN.as_secs(),
            commands.join("; ")
        );
        let line_back = format!("if nft list table inet {TABLE} >/dev/null 2>&1; then {heal}; fi");
        let mut undo = vec![Order::Backed { node: self.active.clone(), line: line_back }];
        let topology = &self.topology.topology;
        match topology.engine {
            // Whoever was shot; one that is on is left as it is.
            Engine::Pacemaker if topology.fence_action == FenceAction::Off => {
                undo.extend(domain.nodes.iter().map(|node| Order::Shell {
                    nodes: self.all().into_iter().filter(|other| other != node).collect(),
                    line: format!("stonith_admin --unfence {} --timeout {FENCING_S}", quoted(node)),
                }));
            }
            Engine::Pacemaker => {}
            Engine::Patroni | Engine::Lease => {
                undo.extend(domain.nodes.iter().flat_map(|node| self.on_again(director, node)));
            }
        }
        Ok((Order::Shell { nodes: vec![self.active.clone()], line }, undo))
    }

    /// All instances, those that stand by first: they are there after the fault as well.
    fn all(&self) -> Vec<String> {
        self.standbys.iter().chain([&self.active]).cloned().collect()
    }
}

/// The Director of a configuration in the topology, and its domain: the one whose nodes are its instances.
///
/// # Errors
/// When the topology is another one's.
pub(super) fn director_in<'a>(
    topology: &'a TopologyConfig,
    config: &DirectorConfig,
) -> Result<(&'a Director, &'a Domain), String> {
    let is_node = |domain: &Domain, name: &String| domain.nodes.contains(name);
    let found = topology.directors.iter().find_map(|director| {
        let domain = topology.domain(&director.domain)?;
        let is_its = !config.instances.is_empty()
            && config.instances.iter().all(|instance| is_node(domain, &instance.name));
        is_its.then_some((director, domain))
    });
    found.ok_or_else(|| {
        format!(
            "no Director of the topology has the instances of \"{}\" as the nodes of its Failover Domain: is it the topology of \
             this Director?",
            config.director.name
        )
    })
}

/// Switches the machine of an instance off, or what `option` says.
fn fence(director: &Director, instance: &str, option: &str) -> String {
    format!("holdfast ha fence {} {option}--yes -c {}", quoted(instance), quoted(&director.config_file))
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const DIRECTOR: &str = r#"
Director { Name = backup-dir; Password = x; Messages = m; Pid Directory = /run/bacula; Working Directory = /var/lib/bacula; Query File = /dev/null }
Messages { Name = m; Catalog = all }
Catalog { Name = c; DB Name = bacula; DB Driver = PostgreSQL }
Client { Name = fd; Address = 10.1.0.20; Password = x; Catalog = c }
FileSet { Name = f; Include { Options { Signature = MD5 }; File = /srv } }
Storage { Name = s; Address = 10.1.0.30; Password = x; Device = d; Media Type = File }
Pool { Name = p; Pool Type = Backup }
Job { Name = canary; Type = Backup; Client = fd; FileSet = f; Storage = s; Pool = p; Messages = m }
Cluster { Name = backup; Engine = ENGINE }
Instance { Name = dir-north; Address = 10.1.0.11; Fence Device = board-north }
Instance { Name = dir-south; Address = 10.1.0.12; Dir Port = 9111; Fence Device = board-south }
Fence Device { Name = board-north; Agent = fence_ipmilan; Option = "ip=10.9.1.11" }
Fence Device { Name = board-south; Agent = fence_ipmilan; Option = "ip=10.9.1.12" }
"#;

    fn director(engine: &str) -> DirectorConfig {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), DIRECTOR.replace("ENGINE", engine)).unwrap();
        crate::configuration::load(file.path()).unwrap()
    }

    /// A topology of the examples, changed.
    fn topology(change: impl Fn(String) -> String) -> TopologyConfig {
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/two-nodes.conf");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), change(std::fs::read_to_string(example).unwrap())).unwrap();
        crate::render::load(file.path()).unwrap()
    }

    fn topology_of_lease() -> TopologyConfig {
        topology(|text| text.replace("Name = backup }", "Name = backup; Engine = Lease }"))
    }

    fn plan(scenario: Scenario, topology: &TopologyConfig, engine: &str) -> Result<Plan, String> {
        let config = director(engine);
        let (active, standbys) = ("dir-south".to_owned(), vec!["dir-north".to_owned()]);
        Plan::new(scenario, &Ground { topology, config: &config, active, standbys, canary: "canary" })
    }

    #[track_caller]
    fn check(scenario: Scenario, expected: &Expect) {
        let plan = plan(scenario, &topology(|text| text), "Pacemaker");
        expected.assert_eq(&plan.unwrap_or_else(|why| panic!("{why}")).to_string());
    }

    #[test]
    fn every_fault_has_its_undo() {
        check(
            Scenario::Switchover,
            &expect![[r#"
            switchover: strikes dir-south
              fault  on dir-north, else dir-south: crm_resource --resource group-director --move --node dir-north
              undo   on dir-north, else dir-south: crm_resource --resource group-director --clear"#]],
        );
        check(
            Scenario::KillDirector,
            &expect![[r#"
            kill-director: strikes dir-south
              fault  on dir-south: if flock --nonblock --shared /run/bacula/bacula-dir.9111.pid true; then echo nobody holds /run/bacula/bacula-dir.9111.pid >&2; exit 1; fi; kill -KILL "$(cat /run/bacula/bacula-dir.9111.pid)"
              undo   on dir-north, else dir-south: crm_resource --cleanup --resource director-backup-dir-clone"#]],
        );
        check(
            Scenario::StopNode,
            &expect![[r#"
            stop-node: strikes dir-south
              fault  on dir-north: stonith_admin --fence dir-south --timeout 120
              undo   on dir-north: stonith_admin --unfence dir-south --timeout 120"#]],
        );
        check(
            Scenario::CutLink,
            &expect![[r#"
                cut-link: strikes dir-south
                  fault  on dir-south: setsid --fork sh -c 'sleep 90; nft delete table inet holdfast_drill' </dev/null >/dev/null 2>&1 && nft 'add table inet holdfast_drill; add chain inet holdfast_drill in { type filter hook input priority -300; }; add chain inet holdfast_drill out { type filter hook output priority -300; }; add rule inet holdfast_drill in ip saddr 10.10.0.1 drop; add rule inet holdfast_drill out ip daddr 10.10.0.1 drop'
                  undo   on dir-south, or by itself: if nft list table inet holdfast_drill >/dev/null 2>&1; then nft delete table inet holdfast_drill; fi
                  undo   on dir-south: stonith_admin --unfence dir-north --timeout 120
                  undo   on dir-north: stonith_admin --unfence dir-south --timeout 120"#]],
        );
    }

    #[test]
    fn the_lease_has_orders_of_its_own() {
        let lease = topology_of_lease();
        let of = |scenario| plan(scenario, &lease, "Lease").map(|plan| plan.to_string());
        expect![[r#"
            switchover: strikes dir-south
              fault  to the active Director: cluster switchover
              undo   nothing is left behind"#]]
        .assert_eq(&of(Scenario::Switchover).unwrap());
        expect![[r#"
            kill-director: strikes dir-south
              fault  on dir-south: systemctl kill --signal=KILL holdfast-director.service
              undo   on dir-north: holdfast ha fence dir-south --on --yes -c /etc/bacula/bacula-dir.conf
              undo   on dir-south, or by itself: systemctl start holdfast-director.service"#]]
        .assert_eq(&of(Scenario::KillDirector).unwrap());
        expect![[r#"
            stop-node: strikes dir-south
              fault  on dir-north: holdfast ha fence dir-south --yes -c /etc/bacula/bacula-dir.conf
              undo   on dir-north: holdfast ha fence dir-south --on --yes -c /etc/bacula/bacula-dir.conf"#]]
        .assert_eq(&of(Scenario::StopNode).unwrap());
        let cut = of(Scenario::CutLink).unwrap();
        let undone: Vec<&str> = cut.lines().filter(|line| line.contains("--on")).collect();
        expect![[r#"
            [
                "  undo   on dir-south: holdfast ha fence dir-north --on --yes -c /etc/bacula/bacula-dir.conf",
                "  undo   on dir-north: holdfast ha fence dir-south --on --yes -c /etc/bacula/bacula-dir.conf",
            ]
        "#]]
        .assert_debug_eq(&undone);
        assert!(
            of(Scenario::StorageLoss).unwrap_err().contains("no Storage with a `Node` at 10.1.0.30:9103")
        );
    }

    #[test]
    fn what_could_not_be_lived_through_is_refused() {
        let (as_it_is, config) = (topology(|text| text), director("Pacemaker"));
        let alone = Ground {
            topology: &as_it_is,
            config: &config,
            active: "dir-north".into(),
            standbys: vec![],
            canary: "canary",
        };
        assert!(Plan::new(Scenario::Switchover, &alone).unwrap_err().starts_with("no instance stands by"));
        let mut other = director("Pacemaker");
        other.instances[0].name = "elsewhere".into();
        let other = Ground { config: &other, ..alone.clone() };
        assert!(
            Plan::new(Scenario::Switchover, &other).unwrap_err().contains("the topology of this Director")
        );
        let lease = topology_of_lease();
        let mut bare = director("Lease");
        bare.instances.iter_mut().for_each(|instance| instance.fence_device = None);
        let standbys = vec!["dir-south".into()];
        let ground = Ground { topology: &lease, config: &bare, standbys, ..alone };
        assert!(
            Plan::new(Scenario::StopNode, &ground).unwrap_err().contains("a Fence Device (docs/fencing.md)")
        );
    }

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quoted("a-b.c/d"), "a-b.c/d");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
