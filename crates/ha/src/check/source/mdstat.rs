//! `/proc/mdstat` of Linux's software RAID.

/// An array.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::check) struct Array {
    pub(in crate::check) name: String,
    pub(in crate::check) is_active: bool,
    /// `raid1`; empty for one that is not active.
    pub(in crate::check) level: String,
    /// How many members it should have, and how many work; none for levels without redundancy.
    pub(in crate::check) members: Option<(u32, u32)>,
    /// Members that failed.
    pub(in crate::check) failed: Vec<String>,
    /// What goes on: `recovery = 12.6%`.
    pub(in crate::check) action: Option<String>,
}

pub(in crate::check) fn parse(text: &str) -> Vec<Array> {
    let mut arrays: Vec<Array> = Vec::new();
    for line in text.lines() {
        if let Some((name, rest)) = line.split_once(" : ").filter(|(name, _)| name.starts_with("md")) {
            arrays.push(header(name, rest));
        } else if let Some(array) = arrays.last_mut().filter(|_| line.starts_with(' ')) {
            detail(array, line);
        }
    }
    arrays
}

fn header(name: &str, rest: &str) -> Array {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let level = words.iter().find(|word| word.starts_with("raid") || **word == "linear");
    let failed = words.iter().filter(|word| word.contains("(F)"));
    Array {
        name: name.trim().to_owned(),
        is_active: words.first() == Some(&"active"),
        level: level.map(|level| (*level).to_owned()).unwrap_or_default(),
        failed: failed.filter_map(|word| Some(word.split_once('[')?.0.to_owned())).collect(),
        ..Array::default()
    }
}

fn detail(array: &mut Array, line: &str) {
    for word in line.split_whitespace() {
        let inner = word.strip_prefix('[').and_then(|word| word.strip_suffix(']'));
        let numbers = inner.and_then(|inner| inner.split_once('/'));
        if let Some((Ok(wanted), Ok(there))) = numbers.map(|(all, up)| (all.parse(), up.parse())) {
            array.members = Some((wanted, there));
        }
    }
    for action in ["recovery", "resync", "reshape", "check"] {
        if let Some((_, rest)) = line.split_once(action) {
            let rest: Vec<&str> = rest.split_whitespace().take(2).collect();
            array.action = Some(format!("{action} {}", rest.join(" ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_array_and_a_degraded_one() {
        let whole = parse(include_str!("../../../fixtures/check/mdraid/mdstat.ok.txt"));
        assert_eq!(whole.len(), 1);
        assert_eq!((whole[0].level.as_str(), whole[0].members), ("raid1", Some((2, 2))));
        let degraded = parse(include_str!("../../../fixtures/check/mdraid/mdstat.degraded.txt"));
        assert_eq!((degraded[0].name.as_str(), degraded[0].members), ("md0", Some((2, 1))));
        assert_eq!(degraded[0].failed, ["vdd"]);
    }

    #[test]
    fn a_recovery_goes_on() {
        let text = "md0 : active raid1 vdd[2] vdc[0]\n      64512 blocks super 1.2 [2/1] [U_]\n      \
                    [==>....]  recovery = 12.6% (8192/64512) finish=0.1min\n";
        assert_eq!(parse(text)[0].action.as_deref(), Some("recovery = 12.6%"));
    }
}
