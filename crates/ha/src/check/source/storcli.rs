//! `storcli /call show all J` and `perccli /call show all J` (Broadcom, Dell): controllers as JSON.

use serde_json::Value;

/// A controller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Controller {
    pub(in crate::check) number: String,
    pub(in crate::check) model: String,
    /// `Optimal`, `Needs Attention`.
    pub(in crate::check) status: String,
    pub(in crate::check) volumes: Vec<Volume>,
    pub(in crate::check) drives: Vec<Drive>,
    /// State of each battery or cache vault.
    pub(in crate::check) batteries: Vec<Battery>,
}

/// A virtual drive.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Volume {
    pub(in crate::check) id: String,
    pub(in crate::check) level: String,
    /// `Optl`, `Dgrd`, `Pdgd`, `OfLn`.
    pub(in crate::check) state: String,
    /// `RWBD`: read ahead, write back, direct.
    pub(in crate::check) cache: String,
}

/// A disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Drive {
    /// Enclosure and slot.
    pub(in crate::check) place: String,
    pub(in crate::check) state: String,
}

/// A battery or capacitor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Battery {
    pub(in crate::check) model: String,
    pub(in crate::check) state: String,
}

/// The controllers; none when the program says that there is none.
///
/// # Errors
/// One line, when it is not what the program writes, or the program failed.
pub(in crate::check) fn parse(text: &str) -> Result<Vec<Controller>, String> {
    let all: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let all = all.get("Controllers").and_then(Value::as_array).ok_or("no \"Controllers\" in it")?;
    let mut found = Vec::new();
    for one in all {
        let command = &one["Command Status"];
        if command["Status"].as_str() != Some("Success") {
            match word(command, "Description") {
                why if why.contains("No Controller") => continue,
                why => return Err(format!("the program reports: {why}")),
            }
        }
        found.push(controller(&one["Response Data"]));
    }
    Ok(found)
}

fn controller(data: &Value) -> Controller {
    let volume = |row: &Value| Volume {
        id: word(row, "DG/VD"),
        level: word(row, "TYPE"),
        state: word(row, "State"),
        cache: word(row, "Cache"),
    };
    let drive = |row: &Value| Drive { place: word(row, "EID:Slt"), state: word(row, "State") };
    let battery = |row: &Value| Battery { model: word(row, "Model"), state: word(row, "State") };
    let batteries = ["BBU_Info", "Cachevault_Info"].into_iter().flat_map(|list| rows(data, list));
    Controller {
        number: word(&data["Basics"], "Controller"),
        model: word(&data["Basics"], "Model"),
        status: word(&data["Status"], "Controller Status"),
        volumes: rows(data, "VD LIST").map(volume).collect(),
        drives: rows(data, "PD LIST").map(drive).collect(),
        batteries: batteries.map(battery).collect(),
    }
}

fn rows<'a>(data: &'a Value, list: &str) -> impl Iterator<Item = &'a Value> {
    data.get(list).and_then(Value::as_array).into_iter().flatten()
}

fn word(row: &Value, key: &str) -> String {
    match row.get(key) {
        Some(Value::String(text)) => text.trim().to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_drives_and_the_battery() {
        let text = include_str!("../../../fixtures/check/hwraid/storcli_call_show_all.degraded.json");
        let found = parse(text).unwrap();
        assert_eq!(found.len(), 1);
        let one = &found[0];
        assert_eq!((one.number.as_str(), one.status.as_str()), ("0", "Needs Attention"));
        assert_eq!((one.volumes[0].state.as_str(), one.volumes[0].cache.as_str()), ("Dgrd", "RWTD"));
        assert_eq!((one.drives[1].place.as_str(), one.drives[1].state.as_str()), ("252:1", "Failed"));
        assert_eq!(one.batteries, [Battery { model: "CVPM02".into(), state: "Optimal".into() }]);
    }

    #[test]
    fn no_controller_is_no_failure_but_another_failure_is() {
        let text = include_str!("../../../fixtures/check/hwraid/storcli_call_show_all.no-controller.json");
        assert_eq!(parse(text).unwrap(), []);
        assert_eq!(
            parse(&text.replace("No Controller found", "Invalid privilege")).unwrap_err(),
            "the program reports: Invalid privilege"
        );
        assert!(parse("Killed").is_err());
    }
}
