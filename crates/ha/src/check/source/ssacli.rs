//! `ssacli ctrl all show status` and `ssacli ctrl all ld all show status` (HPE Smart Array).

use super::pair;

/// A controller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Controller {
    pub(in crate::check) name: String,
    pub(in crate::check) status: String,
    /// `OK`, `Temporarily Disabled`; empty without a cache.
    pub(in crate::check) cache: String,
    /// Of battery or capacitor; empty without one.
    pub(in crate::check) battery: String,
}

/// A logical drive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Drive {
    /// `logicaldrive 1 (279.37 GB, RAID 1)`.
    pub(in crate::check) name: String,
    pub(in crate::check) status: String,
}

pub(in crate::check) fn parse_controllers(text: &str) -> Vec<Controller> {
    let mut found: Vec<Controller> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if !line.starts_with(' ') {
            if line.contains("in Slot") {
                found.push(Controller { name: line.trim().to_owned(), ..Controller::default() });
            }
            continue;
        }
        let (Some(controller), Some((key, value))) = (found.last_mut(), pair(line, ':')) else { continue };
        match key {
            "Controller Status" => value.clone_into(&mut controller.status),
            "Cache Status" => value.clone_into(&mut controller.cache),
            "Battery/Capacitor Status" => value.clone_into(&mut controller.battery),
            _ => {}
        }
    }
    found
}

pub(in crate::check) fn parse_drives(text: &str) -> Vec<Drive> {
    let lines = text.lines().map(str::trim).filter(|line| line.starts_with("logicaldrive"));
    let drive = |line: &str| {
        let (name, status) = line.rsplit_once(':')?;
        Some(Drive { name: name.trim().to_owned(), status: status.trim().to_owned() })
    };
    lines.filter_map(drive).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_battery_that_failed_and_a_drive_that_is_degraded() {
        let found = parse_controllers(include_str!(
            "../../../fixtures/check/hwraid/ssacli_ctrl_all_show_status.battery-failed.txt"
        ));
        let expected = Controller {
            name: "Smart Array P440ar in Slot 0 (Embedded)".into(),
            status: "OK".into(),
            cache: "Temporarily Disabled".into(),
            battery: "Failed (Replace Batteries)".into(),
        };
        assert_eq!(found, [expected]);
        let drives = parse_drives(include_str!(
            "../../../fixtures/check/hwraid/ssacli_ld_all_show_status.degraded.txt"
        ));
        assert_eq!(drives[0].name, "logicaldrive 1 (279.37 GB, RAID 1)");
        assert_eq!(drives[0].status, "Interim Recovery Mode");
    }
}
