//! Corosync, Pacemaker, and what was fenced.

use super::{Configuration, Scene, output, without};
use crate::check::finding::{Finding, Verdict};
use crate::check::judge::{self, Tested};
use crate::check::machine::{Machine, Ran};
use crate::check::source::fencing::{self, Event};
use crate::check::source::{crm_mon, quorum as votes, rings};
use crate::fence::record;

const CONFIGURE: &str = "where Pacemaker moves the services: render and install its configuration";

/// Whether Corosync is meant to run here, or why not. The file that Debian's package brings has one node, at 127.0.0.1.
fn configured(machine: &Machine<'_>) -> Result<(), &'static str> {
    let Some(text) = machine.word("etc/corosync/corosync.conf") else {
        return Err("Corosync is not configured (/etc/corosync/corosync.conf)");
    };
    let nodes = text.lines().filter(|line| line.trim_start().starts_with("ring0_addr")).count();
    if nodes == 1 {
        Err("Corosync's configuration names no other node (/etc/corosync/corosync.conf)")
    } else {
        Ok(())
    }
}

pub(super) fn quorum(scene: &Scene<'_>) -> Vec<Finding> {
    let machine = &scene.machine;
    if let Err(why) = configured(machine) {
        return vec![Finding::absent("quorum", why, CONFIGURE)];
    }
    // Without quorum it ends with a failure and says all the same.
    let ran = machine.run("corosync-quorumtool", &["-s"]);
    let said = match &ran {
        Ran::Ended { output, .. } => Some(votes::parse(output)).filter(|quorum| quorum.is_quorate.is_some()),
        Ran::Missing | Ran::Failed(_) => None,
    };
    let mut found = match said {
        Some(quorum) => vec![judge::quorum(&quorum)],
        None if matches!(ran, Ran::Ended { .. }) => {
            let why = ran.trouble("corosync-quorumtool");
            let remedy = "start Corosync: systemctl start corosync pacemaker";
            return vec![Finding::new(
                Verdict::Critical,
                "quorum",
                "",
                format!("Corosync does not run: {why}"),
                remedy,
            )];
        }
        None => vec![without("quorum", "corosync-quorumtool", "corosync", &ran)],
    };
    let ran = machine.run("corosync-cfgtool", &["-s"]);
    match output(&ran).map(rings::parse) {
        Some(links) if !links.is_empty() => found.extend(judge::rings(&links)),
        _ => found.push(without("quorum.links", "corosync-cfgtool", "corosync", &ran)),
    }
    found
}

pub(super) fn pacemaker(scene: &Scene<'_>) -> Vec<Finding> {
    let machine = &scene.machine;
    let mut tests = own_tests(scene);
    let mut targets = scene.expected.fenced.clone();
    targets.extend(instances(scene));
    if let Err(why) = configured(machine) {
        let mut found = vec![Finding::absent("cluster", why, CONFIGURE)];
        found.extend(fencing_of(scene, &tests, &targets));
        return found;
    }
    let ran = machine.run("crm_mon", &["-1", "--output-as=xml"]);
    let cluster = match &ran {
        Ran::Ended { code: 0, output, .. } => crm_mon::parse(output),
        Ran::Ended { output, .. } => Err(crm_mon::failure(output).unwrap_or_else(|| ran.trouble("crm_mon"))),
        Ran::Missing | Ran::Failed(_) => Err(ran.trouble("crm_mon")),
    };
    let mut found = Vec::new();
    match cluster {
        Ok(cluster) => {
            found.extend(judge::nodes(&cluster));
            found.extend(judge::resources(&cluster));
            found.push(judge::devices(&cluster));
            tests.extend(cluster.fenced.iter().map(by_pacemaker));
            for node in &cluster.nodes {
                if !targets.contains(&node.name) {
                    targets.push(node.name.clone());
                }
            }
        }
        Err(_) if ran == Ran::Missing => found.push(without("cluster", "crm_mon", "pacemaker", &ran)),
        Err(why) => {
            let remedy = "start Pacemaker: systemctl start pacemaker";
            found.push(Finding::new(
                Verdict::Critical,
                "cluster",
                "",
                format!("Pacemaker does not answer: {why}"),
                remedy,
            ));
        }
    }
    let history = machine.run("stonith_admin", &["--history", "*"]);
    tests.extend(output(&history).map(fencing::parse_history).unwrap_or_default().iter().map(by_pacemaker));
    found.extend(fencing_of(scene, &tests, &targets));
    found
}

fn by_pacemaker(event: &Event) -> Tested {
    Tested {
        target: event.target.clone(),
        how: format!("{} by Pacemaker", event.action),
        succeeded: event.succeeded,
        at: event.at,
    }
}

fn fencing_of(scene: &Scene<'_>, tests: &[Tested], targets: &[String]) -> Vec<Finding> {
    if tests.is_empty() && targets.is_empty() {
        let remedy = "add a Fence Device to each Instance, or to each Node of the topology";
        return vec![Finding::absent("stonith", "nothing here can switch another machine off", remedy)];
    }
    judge::tested(tests, targets, scene.now, scene.fence_test_days)
}

/// Instances that have a Fence Device.
fn instances(scene: &Scene<'_>) -> Vec<String> {
    let Configuration::Read(config) = &scene.configuration else { return Vec::new() };
    let fenced = config.instances.iter().filter(|instance| instance.fence_device.is_some());
    fenced.map(|instance| instance.name.clone()).collect()
}

/// What `holdfast ha fence` recorded here.
fn own_tests(scene: &Scene<'_>) -> Vec<Tested> {
    let Configuration::Read(config) = &scene.configuration else { return Vec::new() };
    // One that cannot be read has no test in it: each instance is then told as never seen to work.
    let record = record::load(&record::path(config)).unwrap_or_default();
    let tested = record.instances.into_iter().map(|(target, test)| Tested {
        target,
        how: if test.switched_off { "holdfast ha fence" } else { "holdfast ha fence --test" }.to_owned(),
        succeeded: test.worked,
        at: test.at,
    });
    tested.collect()
}
