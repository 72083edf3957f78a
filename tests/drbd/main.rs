//! DRBD for real: two machines with Debian's kernel, configured by what `holdfast ha render` writes, brought up and repaired by its
//! runbook. There is no Pacemaker here: what DRBD asks of it (to see that the other node is off) a file answers.
#![expect(clippy::print_stdout, reason = "the course of it is for people")]

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use holdfast_tests::runbook;
use testkit::site::holdfast;
use testkit::vm::{Cable, Image, Parts, PowerSwitch, Vm};

/// The replication link is all that the machines have: it stands for the service network as well.
const TOPOLOGY: &str = r#"
Topology { Name = pair }
Data Centre { Name = north }
Data Centre { Name = south }
Data Centre { Name = office }
Quorum { Name = witness; Address = 10.3.0.8/24; Data Centre = office }
Node {
  Name = a; Data Centre = north; Address = 10.1.0.11/24; Replication Address = 10.10.0.1/30; Fence Level 1 = board-a
}
Node {
  Name = b; Data Centre = south; Address = 10.1.0.12/24; Replication Address = 10.10.0.2/30; Fence Level 1 = board-b
}
Fence Device { Name = board-a; Agent = fence_ipmilan; Option = "ip=10.9.1.11", "username=x", "password=x" }
Fence Device { Name = board-b; Agent = fence_ipmilan; Option = "ip=10.9.2.12", "username=x", "password=x" }
Failover Domain {
  Name = director; Node = a, b; Preferred Node = a; Floating Address = 10.1.0.100/24
  Link Round Trip = 2; Link Speed = 1 gb/s
}
Replicated Device {
  Name = catalog; Domain = director; Minor = 0; Port = 7789
  Backing Disk = /dev/vdc; Mount Point = /srv/catalog; File System = ext4
}
Catalog { Name = main; Domain = director; Data Directory = /srv/catalog/data }
Director { Name = pair-dir; Domain = director }
"#;

/// Puts the files in place, and what stands for the cluster manager: it says that the other node is off when a person has said so.
const PREPARE: &str = r#"
set -e
useradd --system --user-group bacula
cd /run/payload
sh install/$(hostname).sh
mkdir -p /usr/lib/drbd
# Some of them are links to others.
rm -f /usr/lib/drbd/*.sh
printf '#!/bin/sh\nwhile [ ! -e /run/peer-is-off ]; do sleep 0.1; done\nexit 7\n' >/usr/lib/drbd/crm-fence-peer.sh
printf '#!/bin/sh\nexit 0\n' >/usr/lib/drbd/crm-unfence-peer.sh
printf '#!/bin/sh\necho told >>/run/split-brain\n' >/usr/lib/drbd/notify-split-brain.sh
chmod 755 /usr/lib/drbd/*.sh
modprobe drbd
drbdadm dump >/dev/null
"#;

/// Counts in a file, and after each number has reached both disks notes that it was acknowledged.
const COUNT: &str = "setsid bash -c 'n=0; while n=$((n + 1)); do echo $n >/srv/catalog/new && sync /srv/catalog/new && \
    mv /srv/catalog/new /srv/catalog/count && sync -f /srv/catalog && echo $n >/run/counted; done' >/dev/null 2>&1 </dev/null &";

const WHOLE: &str = "UpToDate/UpToDate";

struct Pair {
    a: Vm,
    b: Vm,
    runbook: String,
}

impl Pair {
    fn start() -> Result<Self> {
        let image = Image::make()?;
        let dir = holdfast_tests::scratch()?;
        let rendered = render(dir.path())?;
        let (one, other) = Cable::pair()?;
        // Nobody fences here.
        let switch = PowerSwitch::default();
        let machine = |name, cable, address| {
            let parts = Parts {
                name,
                cards: vec![(cable, address)],
                disks_mb: &[96],
                memory_mb: 512,
                payload: &rendered,
            };
            Vm::new(&image, &switch, parts)
        };
        let mut a = machine("a", one, "10.10.0.1/30")?;
        let mut b = machine("b", other, "10.10.0.2/30")?;
        for vm in [&mut a, &mut b] {
            vm.switch_on()?;
            vm.run(PREPARE)?;
        }
        let runbook = fs::read_to_string(rendered.join("RUNBOOK.md"))?;
        Ok(Self { a, b, runbook })
    }

    fn node(&mut self, name: &str) -> &mut Vm {
        if name == "a" { &mut self.a } else { &mut self.b }
    }

    /// Does what the runbook says under a heading.
    fn follow(&mut self, heading: &str) -> Result<()> {
        for step in runbook::steps(&self.runbook, heading)? {
            println!("{heading}, on {}:\n{}", step.on, step.script);
            let said = self.node(&step.on).run(&step.script)?;
            print!("{said}");
        }
        Ok(())
    }
}

/// Renders the topology; gives the folder.
fn render(dir: &Path) -> Result<std::path::PathBuf> {
    let (topology, output) = (dir.join("holdfast-ha.conf"), dir.join("rendered"));
    fs::write(&topology, TOPOLOGY)?;
    let rendered = Command::new(holdfast()?)
        .args(["ha", "render"])
        .arg(&topology)
        .arg("--output")
        .arg(&output)
        .output()?;
    ensure!(rendered.status.success(), "ha render: {}", String::from_utf8_lossy(&rendered.stderr));
    Ok(output)
}

fn sum(vm: &mut Vm) -> Result<String> {
    vm.run("sha256sum /srv/catalog/data | cut -d' ' -f1")
}

/// Makes a node the primary. It is refused as long as it takes the other one for there, which is until a ping is not answered.
fn promote(vm: &mut Vm) -> Result<()> {
    let promoted = vm.run_until("drbdadm primary catalog && echo promoted", |said| said.contains("promoted"));
    match promoted {
        Ok(_) => Ok(()),
        Err(error) => Err(error.context(vm.run("dmesg | tail -n 30")?)),
    }
}

fn number(vm: &mut Vm, file: &str) -> Result<u64> {
    vm.run(&format!("cat {file}"))?.trim().parse().context("a number")
}

#[test]
fn a_pair_is_brought_up_loses_its_primary_and_is_repaired_after_a_split_brain() -> Result<()> {
    let mut pair = Pair::start()?;
    pair.follow("Replicated Device catalog")?;
    let whole = pair.a.run_until("drbdadm dstate catalog", |said| said.trim() == WHOLE)?;
    println!("brought up: {whole}");

    // The primary dies in the middle of writing: what was acknowledged is on the other side.
    pair.a.run("head -c 8M /dev/urandom >/srv/catalog/data && sync -f /srv/catalog")?;
    let data = sum(&mut pair.a)?;
    pair.a.run(COUNT)?;
    pair.a.run_until("cat /run/counted", |said| said.trim().parse::<u64>().is_ok_and(|n| n >= 5))?;
    let counted = number(&mut pair.a, "/run/counted")?;
    pair.a.switch_off()?;
    pair.b.run("touch /run/peer-is-off")?;
    promote(&mut pair.b)?;
    pair.b.run("mount -o noatime /dev/drbd0 /srv/catalog")?;
    let there = number(&mut pair.b, "/srv/catalog/count")?;
    println!("killed at {counted} or later; {there} is at the other side");
    ensure!(there >= counted, "{counted} was acknowledged, {there} is there");
    ensure!(sum(&mut pair.b)? == data, "the data differs");

    // It comes back as the other's secondary, and gets what it missed.
    pair.b.run("rm /run/peer-is-off; echo later >/srv/catalog/later && sync -f /srv/catalog")?;
    pair.a.switch_on()?;
    pair.a.run(PREPARE)?;
    pair.a.run("drbdadm up catalog")?;
    pair.a.run_until("drbdadm dstate catalog", |said| said.trim() == WHOLE)?;
    ensure!(pair.a.run("drbdadm role catalog")?.trim() == "Secondary/Primary", "roles after the return");

    // Both sides are written to while the link is cut and the fencing lies: they part.
    pair.b.set_cable(false)?;
    pair.b.run("touch /run/peer-is-off")?;
    pair.a.run("touch /run/peer-is-off && mkdir -p /srv/catalog")?;
    promote(&mut pair.a)?;
    pair.a.run("mount /dev/drbd0 /srv/catalog")?;
    for vm in [&mut pair.a, &mut pair.b] {
        vm.run("hostname >/srv/catalog/written-by && sync -f /srv/catalog")?;
    }
    pair.b.run("umount /srv/catalog && drbdadm secondary catalog && rm /run/peer-is-off")?;
    pair.a.run("rm /run/peer-is-off")?;
    pair.b.set_cable(true)?;
    let is_apart = |said: &str| said.contains("StandAlone");
    let (told, apart) = ("dmesg | grep -i split-brain; cat /run/split-brain", "drbdadm cstate catalog");
    pair.a.run_until(told, |said| said.contains("Split-Brain detected") && said.contains("told"))?;
    let states = [pair.a.run(apart)?, pair.b.run(apart)?];
    println!("split brain: {} / {}", states[0].trim(), states[1].trim());
    ensure!(states.iter().any(|state| is_apart(state)), "{states:?}");

    // By the runbook the first node keeps its data.
    pair.follow("Split brain of Replicated Device catalog")?;
    pair.a.run("umount /srv/catalog && drbdadm secondary catalog")?;
    pair.b.run("drbdadm primary catalog && mount /dev/drbd0 /srv/catalog")?;
    ensure!(
        pair.b.run("cat /srv/catalog/written-by")?.trim() == "a",
        "the side that was given up is still there"
    );
    ensure!(sum(&mut pair.b)? == data, "the data differs after the repair");
    Ok(())
}
