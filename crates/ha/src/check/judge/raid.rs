//! Disks: redundancy, the controller's cache, its battery.

use crate::check::finding::{Finding, Verdict};
use crate::check::source::mdstat::Array;
use crate::check::source::{ssacli, storcli};

const VOLUME: &str = "raid.volume";
const CACHE: &str = "raid.cache";
const BATTERY: &str = "raid.battery";
const DISK: &str = "raid.disk";

const REPLACE_DISK: &str = "replace the disk that failed and let the array rebuild";
const REPLACE_BATTERY: &str =
    "replace the battery or capacitor; until then what is in the cache is lost with the power";

/// Linux's software RAID. It has no cache of its own, and so no battery.
pub(in crate::check) fn arrays(arrays: &[Array]) -> Vec<Finding> {
    arrays.iter().map(array).collect()
}

fn array(array: &Array) -> Finding {
    let Array { name, is_active, level, members, failed, action } = array;
    let members_said = members.map(|(all, up)| format!(", {up} of {all} members work")).unwrap_or_default();
    let lost = if failed.is_empty() { String::new() } else { format!(", failed: {}", failed.join(", ")) };
    let goes_on = action.as_ref().map(|action| format!(", {action}")).unwrap_or_default();
    let evidence = format!("{level}{members_said}{lost}{goes_on}");
    let finding = |verdict, remedy: &str| Finding::new(verdict, VOLUME, name, &evidence, remedy);
    match members {
        _ if !is_active => Finding::new(
            Verdict::Critical,
            VOLUME,
            name,
            "not active",
            "look at `mdadm --detail` and assemble it",
        ),
        None => finding(Verdict::Warning, "this level has no redundancy; use raid1, raid10 or raid6"),
        Some((all, up))
            if up < all && action.as_ref().is_some_and(|action| action.starts_with("recovery")) =>
        {
            finding(Verdict::Warning, "let the recovery end")
        }
        Some((all, up)) if up < all => finding(Verdict::Critical, REPLACE_DISK),
        Some(_) if !failed.is_empty() => finding(Verdict::Warning, REPLACE_DISK),
        Some(_) => finding(Verdict::Ok, ""),
    }
}

/// Controllers of Broadcom and Dell; `program` is the one that told of them.
pub(in crate::check) fn megaraid(program: &str, controllers: &[storcli::Controller]) -> Vec<Finding> {
    controllers.iter().flat_map(|one| megaraid_one(program, one)).collect()
}

fn megaraid_one(program: &str, one: &storcli::Controller) -> Vec<Finding> {
    let subject = |what: &str| format!("controller {} {what}", one.number);
    let mut found = Vec::new();
    for volume in &one.volumes {
        let evidence = format!("{} {} on {}", volume.level, volume.state, one.model);
        let (verdict, remedy) = match volume.state.as_str() {
            "Optl" if volume.level == "RAID0" => {
                (Verdict::Warning, "RAID0 has no redundancy; use RAID1, RAID10 or RAID6")
            }
            "Optl" => (Verdict::Ok, ""),
            "Pdgd" | "Rec" => (Verdict::Warning, REPLACE_DISK),
            _ => (Verdict::Critical, REPLACE_DISK),
        };
        found.push(Finding::new(verdict, VOLUME, subject(&volume.id), evidence, remedy));
    }
    let good = |state: &str| matches!(state, "Onln" | "GHS" | "DHS" | "UGood" | "JBOD" | "Sntze");
    for drive in one.drives.iter().filter(|drive| !good(&drive.state)) {
        let verdict = if drive.state == "Rbld" { Verdict::Warning } else { Verdict::Critical };
        let remedy = if verdict == Verdict::Warning { "let the rebuild end" } else { REPLACE_DISK };
        found.push(Finding::new(verdict, DISK, subject(&drive.place), &drive.state, remedy));
    }
    found.extend(one.volumes.iter().map(|volume| cache(program, one, volume)));
    found.push(battery(one));
    found
}

/// Whether writes are cached, safely. `WB` is with the battery only, `AWB` always.
fn cache(program: &str, one: &storcli::Controller, volume: &storcli::Volume) -> Finding {
    let subject = format!("controller {} {}", one.number, volume.id);
    let evidence = format!("cache {}", volume.cache);
    let number = volume.id.rsplit('/').next().unwrap_or_default();
    let enable = format!("{program} /c{}/v{number} set wrcache=wb", one.number);
    let battery_is_good = one.batteries.iter().any(|battery| is_good(&battery.state));
    let cache = volume.cache.as_str();
    match () {
        () if cache.contains("AWB") && !battery_is_good => Finding::new(
            Verdict::Critical,
            CACHE,
            subject,
            format!("{evidence}: write back even without a good battery"),
            format!("{enable}, or replace the battery: a power cut loses what was confirmed"),
        ),
        () if cache.contains("WB") => Finding::ok(CACHE, subject, format!("{evidence}: write back")),
        () if cache.contains("WT") => Finding::new(
            Verdict::Warning,
            CACHE,
            subject,
            format!("{evidence}: write through"),
            format!("{enable}: each commit of the catalog waits for the disks"),
        ),
        () => Finding::new(
            Verdict::Unknown,
            CACHE,
            subject,
            evidence,
            format!("look at {program} /c{}/vall show", one.number),
        ),
    }
}

fn is_good(state: &str) -> bool {
    matches!(state, "Optimal" | "Optl")
}

fn battery(one: &storcli::Controller) -> Finding {
    let subject = format!("controller {}", one.number);
    let Some(worst) = one.batteries.iter().find(|b| !is_good(&b.state)).or(one.batteries.first()) else {
        return Finding::new(
            Verdict::NotPresent,
            BATTERY,
            subject,
            format!("{} names no battery and no cache vault", one.model),
            "a write-back cache needs one",
        );
    };
    let evidence = format!("{} {}", worst.model, worst.state);
    let state = worst.state.to_ascii_lowercase();
    if is_good(&worst.state) {
        Finding::ok(BATTERY, subject, evidence)
    } else if ["learn", "charging", "degraded"].iter().any(|word| state.contains(word)) {
        Finding::new(
            Verdict::Warning,
            BATTERY,
            subject,
            evidence,
            "look again when the learn cycle is over; then replace it",
        )
    } else {
        Finding::new(Verdict::Critical, BATTERY, subject, evidence, REPLACE_BATTERY)
    }
}

/// Controllers of HPE and their logical drives.
pub(in crate::check) fn smart_array(
    controllers: &[ssacli::Controller],
    drives: &[ssacli::Drive],
) -> Vec<Finding> {
    let mut found = Vec::new();
    for drive in drives {
        let (verdict, remedy) = match drive.status.as_str() {
            "OK" => (Verdict::Ok, ""),
            status if status.starts_with("Recovering") => (Verdict::Warning, "let the rebuild end"),
            _ => (Verdict::Critical, REPLACE_DISK),
        };
        found.push(Finding::new(verdict, VOLUME, &drive.name, &drive.status, remedy));
    }
    for one in controllers {
        let grade = |check, status: &str, absent: &str, verdict, remedy: &str| match status {
            "OK" => Finding::ok(check, &one.name, "OK"),
            "" => Finding::new(Verdict::NotPresent, check, &one.name, absent, "a write-back cache needs it"),
            _ => Finding::new(verdict, check, &one.name, status, remedy),
        };
        if one.status != "OK" {
            let remedy = "look at ssacli ctrl all show detail";
            found.push(Finding::new(Verdict::Critical, "raid.controller", &one.name, &one.status, remedy));
        }
        let slow = "each commit of the catalog waits for the disks; mend the battery, then enable the cache";
        found.push(grade(CACHE, &one.cache, "no cache is named", Verdict::Warning, slow));
        let verdict = match one.battery.as_str() {
            "Recharging" | "Charging" => Verdict::Warning,
            _ => Verdict::Critical,
        };
        found.push(grade(
            BATTERY,
            &one.battery,
            "no battery and no capacitor is named",
            verdict,
            REPLACE_BATTERY,
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::judge::tests_support::check;
    use crate::check::source::mdstat;

    #[test]
    fn software_raid() {
        let of = |text| arrays(&mdstat::parse(text));
        let whole = include_str!("../../../fixtures/check/mdraid/mdstat.ok.txt");
        check(&of(whole), &["OK raid.volume md0: raid1, 2 of 2 members work"]);
        let degraded = include_str!("../../../fixtures/check/mdraid/mdstat.degraded.txt");
        check(&of(degraded), &["CRITICAL raid.volume md0: raid1, 1 of 2 members work, failed: vdd"]);
        check(
            &of("md1 : active raid0 sda[0] sdb[1]\n      1024 blocks\n"),
            &["WARNING raid.volume md1: raid0"],
        );
        check(&of("md2 : inactive sda[0](S)\n"), &["CRITICAL raid.volume md2: not active"]);
    }

    #[test]
    fn controllers_of_broadcom() {
        let of = |text: &str| megaraid("storcli", &storcli::parse(text).unwrap());
        let whole = include_str!("../../../fixtures/check/hwraid/storcli_call_show_all.ok.json");
        check(
            &of(whole),
            &[
                "OK raid.volume controller 0 0/0: RAID1 Optl on AVAGO MegaRAID SAS 9361-8i",
                "WARNING raid.cache controller 0 0/0: cache RWTD: write through",
                "OK raid.battery controller 0: CVPM02 Optimal",
            ],
        );
        let degraded = include_str!("../../../fixtures/check/hwraid/storcli_call_show_all.degraded.json");
        check(
            &of(degraded),
            &[
                "CRITICAL raid.volume controller 0 0/0: RAID1 Dgrd on AVAGO MegaRAID SAS 9361-8i",
                "CRITICAL raid.disk controller 0 252:1: Failed",
                "WARNING raid.cache controller 0 0/0: cache RWTD: write through",
                "OK raid.battery controller 0: CVPM02 Optimal",
            ],
        );
        let cached = whole.replace("RWTD", "NRWBD");
        assert_eq!(of(&cached)[1].verdict, Verdict::Ok);
        let forced = whole.replace("RWTD", "RAWBD");
        assert_eq!(of(&forced)[1].verdict, Verdict::Ok);
        let broken = forced.replace("\"CVPM02\",\"State\":\"Optimal\"", "\"CVPM02\",\"State\":\"Failed\"");
        check(
            &of(&broken)[1..],
            &[
                "CRITICAL raid.cache controller 0 0/0: cache RAWBD: write back even without a good battery",
                "CRITICAL raid.battery controller 0: CVPM02 Failed",
            ],
        );
    }

    #[test]
    fn controllers_of_hpe() {
        let controllers = ssacli::parse_controllers(include_str!(
            "../../../fixtures/check/hwraid/ssacli_ctrl_all_show_status.battery-failed.txt"
        ));
        let drives = ssacli::parse_drives(include_str!(
            "../../../fixtures/check/hwraid/ssacli_ld_all_show_status.degraded.txt"
        ));
        check(
            &smart_array(&controllers, &drives),
            &[
                "CRITICAL raid.volume logicaldrive 1 (279.37 GB, RAID 1): Interim Recovery Mode",
                "WARNING raid.cache Smart Array P440ar in Slot 0 (Embedded): Temporarily Disabled",
                "CRITICAL raid.battery Smart Array P440ar in Slot 0 (Embedded): Failed (Replace Batteries)",
            ],
        );
        let controllers = ssacli::parse_controllers(include_str!(
            "../../../fixtures/check/hwraid/ssacli_ctrl_all_show_status.ok.txt"
        ));
        assert!(smart_array(&controllers, &[]).iter().all(|finding| finding.verdict == Verdict::Ok));
    }
}
