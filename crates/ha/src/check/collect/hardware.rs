//! Disks, links of the services, power, clock.

use super::{Scene, first_of, output, unknown_of, without};
use crate::check::finding::Finding;
use crate::check::judge::{self, Supply};
use crate::check::machine::{Machine, Ran, Read};
use crate::check::source::{bonding, clock as clocks, ipmi, lldp, mdstat, ssacli, storcli};

/// PCI class of a RAID controller.
const RAID_CLASS: &str = "0x0104";

/// Programs that know controllers of Broadcom, with Dell's.
const MEGARAID: &[&str] = &["storcli64", "storcli", "storcli2", "perccli64", "perccli", "perccli2"];

/// Programs that know controllers of HPE, the newest first.
const SMART_ARRAY: &[&str] = &["ssacli", "hpssacli"];

/// Places at which the kernel has a management board.
const BOARDS: &[&str] = &["dev/ipmi0", "dev/ipmi/0", "dev/ipmidev/0"];

pub(super) fn raid(scene: &Scene<'_>) -> Vec<Finding> {
    let machine = &scene.machine;
    let mut found = Vec::new();
    if let Some((program, ran)) = first_of(machine, MEGARAID, &["/call", "show", "all", "J"]) {
        found.extend(megaraid(program, &ran));
    }
    if let Some((program, ran)) = first_of(machine, SMART_ARRAY, &["ctrl", "all", "show", "status"]) {
        found.extend(smart_array(machine, program, &ran));
    }
    let controllers = controllers(machine);
    if found.is_empty() && !controllers.is_empty() {
        let evidence = format!("a controller at PCI {}, and no program that asks it", controllers.join(", "));
        found.push(Finding::unknown(
            "raid.controller",
            evidence,
            "install storcli, perccli or ssacli of its maker",
        ));
    }
    match machine.read("proc/mdstat") {
        Read::Text(text) => found.extend(judge::arrays(&mdstat::parse(&text))),
        Read::Failed(why) => found.push(Finding::unknown("raid.volume", why, "run this as root")),
        Read::Absent => {}
    }
    // Software RAID alone has no cache that a battery would keep.
    let has = |found: &[Finding], check| found.iter().any(|finding: &Finding| finding.check == check);
    if !has(&found, "raid.volume") && !has(&found, "raid.controller") {
        let evidence = "no RAID controller, and no array in /proc/mdstat";
        found.push(Finding::absent(
            "raid.volume",
            evidence,
            "put the catalog and the Volumes on redundant disks",
        ));
    }
    if !has(&found, "raid.cache") && !has(&found, "raid.controller") {
        let remedy = "a controller with a write-back cache and a battery, or SSDs with power-loss protection, make commits fast";
        found.push(Finding::absent("raid.cache", "no controller with a cache", remedy));
    }
    found
}

/// Exit codes are of no use: `storcli` ends with 1 where there is no controller, and says so in its JSON.
fn megaraid(program: &str, ran: &Ran) -> Vec<Finding> {
    let parsed = match ran {
        Ran::Ended { output, .. } if output.trim_start().starts_with('{') => storcli::parse(output),
        Ran::Ended { .. } | Ran::Failed(_) | Ran::Missing => Err(ran.trouble(program)),
    };
    match parsed {
        Ok(controllers) => judge::megaraid(program, &controllers),
        Err(why) => {
            vec![Finding::unknown("raid.controller", why, format!("run {program} /call show all as root"))]
        }
    }
}

fn smart_array(machine: &Machine<'_>, program: &str, ran: &Ran) -> Vec<Finding> {
    let Ran::Ended { output: text, .. } = ran else {
        return vec![Finding::unknown(
            "raid.controller",
            ran.trouble(program),
            format!("run {program} as root"),
        )];
    };
    let controllers = ssacli::parse_controllers(text);
    if controllers.is_empty() {
        // It says "Error: No controllers detected." and fails where there is none.
        let none = ran.trouble(program).contains("o controllers detected");
        let unknown =
            || Finding::unknown("raid.controller", ran.trouble(program), format!("run {program} as root"));
        return if none { Vec::new() } else { vec![unknown()] };
    }
    let volumes = machine.run(program, &["ctrl", "all", "show", "config"]);
    let drives = output(&volumes).map(drives_of_config).unwrap_or_default();
    let mut found = judge::smart_array(&controllers, &drives);
    if drives.is_empty() {
        found.push(without("raid.volume", program, program, &volumes));
    }
    found
}

/// `logicaldrive 1 (279.37 GB, RAID 1, OK)` of `show config` as the lines of `ld all show status` have it.
fn drives_of_config(text: &str) -> Vec<ssacli::Drive> {
    let by_status = ssacli::parse_drives(text);
    if !by_status.is_empty() {
        return by_status;
    }
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with("logicaldrive"));
    let drive = |line: &str| {
        let (head, status) = line.trim_end_matches(')').rsplit_once(", ")?;
        Some(ssacli::Drive { name: format!("{head})"), status: status.to_owned() })
    };
    lines.filter_map(drive).collect()
}

/// PCI addresses of RAID controllers.
fn controllers(machine: &Machine<'_>) -> Vec<String> {
    let devices = "sys/bus/pci/devices";
    let is_raid = |device: &String| {
        machine.word(&format!("{devices}/{device}/class")).is_some_and(|class| class.starts_with(RAID_CLASS))
    };
    machine.names(devices).into_iter().filter(is_raid).collect()
}

pub(super) fn bonds(scene: &Scene<'_>) -> Vec<Finding> {
    let machine = &scene.machine;
    let names = machine.names("proc/net/bonding");
    if names.is_empty() {
        let remedy = "bond two links (active-backup or 802.3ad) to two independent switches";
        return vec![Finding::absent("bond", "no bond in /proc/net/bonding", remedy)];
    }
    let neighbours = machine.run("lldpctl", &["-f", "keyvalue"]);
    let seen = output(&neighbours).map(lldp::parse);
    let mut found = Vec::new();
    for name in &names {
        let Read::Text(text) = machine.read(&format!("proc/net/bonding/{name}")) else {
            found.push(unknown_of("bond", name, "cannot be read".to_owned(), "run this as root"));
            continue;
        };
        let bond = bonding::parse(&text);
        found.push(judge::bond(name, &bond));
        match &seen {
            Some(seen) => found.push(judge::switches(name, &bond, seen)),
            None => {
                let mut finding = without("bond.switches", "lldpctl", "lldpd", &neighbours);
                finding.subject.clone_from(name);
                found.push(finding);
            }
        }
    }
    found
}

pub(super) fn power(scene: &Scene<'_>) -> Vec<Finding> {
    let machine = &scene.machine;
    let mut found = Vec::new();
    if BOARDS.iter().any(|board| machine.has(board)) {
        let ran = machine.run("ipmitool", &["sdr", "type", "Power Supply"]);
        match output(&ran) {
            Some(text) => return judge::sensors(&ipmi::parse(text)),
            None => found.push(without("power", "ipmitool", "ipmitool", &ran)),
        }
    }
    let supplies = supplies(machine);
    if !supplies.is_empty() {
        return judge::supplies(&supplies);
    }
    if found.is_empty() {
        let remedy =
            "two supplies on two feeds, seen by the management board (ipmi_devintf, package ipmitool)";
        found.push(Finding::absent(
            "power",
            "no management board and no supply that the kernel sees",
            remedy,
        ));
    }
    found
}

/// Supplies behind PMBus (`hwmon`) and mains adapters (`power_supply`).
fn supplies(machine: &Machine<'_>) -> Vec<Supply> {
    let mut found = Vec::new();
    for chip in machine.names("sys/class/hwmon") {
        let word = |file: &str| machine.word(&format!("sys/class/hwmon/{chip}/{file}"));
        // Input power is what a supply has and a voltage regulator has not.
        if word("power1_label").as_deref() != Some("pin") {
            continue;
        }
        let alarms = machine.names(&format!("sys/class/hwmon/{chip}"));
        let alarms: Vec<String> =
            alarms.iter().filter(|file| file.ends_with("_alarm")).filter_map(|f| word(f)).collect();
        let is_good = (!alarms.is_empty()).then(|| alarms.iter().all(|alarm| alarm == "0"));
        found.push(Supply { name: format!("{} {chip}", word("name").unwrap_or_default()), is_good });
    }
    for name in machine.names("sys/class/power_supply") {
        let word = |file: &str| machine.word(&format!("sys/class/power_supply/{name}/{file}"));
        if word("type").as_deref() == Some("Mains") {
            found.push(Supply { is_good: word("online").map(|online| online == "1"), name });
        }
    }
    found
}

pub(super) fn clock(scene: &Scene<'_>) -> Vec<Finding> {
    let machine = &scene.machine;
    let chrony = machine.run("chronyc", &["-c", "tracking"]);
    if let Some(text) = output(&chrony) {
        let tracking = clocks::parse_chrony(text).map(|tracking| judge::tracking(&tracking));
        return vec![
            tracking.unwrap_or_else(|why| Finding::unknown("clock", why, "look at chronyc tracking")),
        ];
    }
    let systemd = machine.run("timedatectl", &["show"]);
    if let Some(kept) = output(&systemd).and_then(clocks::parse_timedatectl) {
        return vec![judge::kept(kept)];
    }
    let finding = match (&chrony, &systemd) {
        (Ran::Missing, Ran::Missing) => Finding::absent(
            "clock",
            "neither chronyc nor timedatectl is installed",
            "install the package chrony",
        ),
        (Ran::Missing, _) => {
            Finding::unknown("clock", systemd.trouble("timedatectl"), "install the package chrony")
        }
        _ => Finding::unknown("clock", chrony.trouble("chronyc"), "start chronyd"),
    };
    vec![finding]
}
