//! The Director's instances, by their own words.

use std::collections::BTreeMap;

use crate::check::finding::{Finding, Verdict};
use crate::status::{Asked, Grade, one_line, verdict};

/// What `holdfast ha status` says, as a finding.
pub(in crate::check) fn roles(asked: &[Asked]) -> Finding {
    let (grade, text) = verdict(asked);
    let (verdict, remedy) = match grade {
        Grade::Ok => (Verdict::Ok, ""),
        Grade::Warning => (
            Verdict::Warning,
            "until it is well there may be no other to take over; `status cluster` in a console tells more",
        ),
        Grade::Critical => (Verdict::Critical, "look at the logs of the instances and `status cluster`"),
        Grade::Unknown => (Verdict::Unknown, "look at `holdfast ha status`"),
    };
    Finding::new(verdict, "director", "", one_line(&text), remedy)
}

/// Whether all instances have the same configuration, by its hash.
pub(in crate::check) fn configuration(asked: &[Asked]) -> Finding {
    let check = "configuration";
    if asked.len() < 2 {
        return Finding::absent(
            check,
            "this Director stands alone",
            "add a Cluster and two Instance resources",
        );
    }
    let mut hashes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut silent = Vec::new();
    for (place, word) in asked {
        match word {
            Ok(word) if !word.config.is_empty() => hashes.entry(&word.config).or_default().push(&place.name),
            _ => silent.push(place.name.as_str()),
        }
    }
    let said: Vec<String> =
        hashes.iter().map(|(hash, names)| format!("{} {}", names.join(", "), short(hash))).collect();
    if hashes.len() > 1 {
        let remedy =
            "make the files the same, then `reload` on the active instance; `status cluster` tells more";
        return Finding::new(Verdict::Warning, check, "", said.join("; "), remedy);
    }
    if !silent.is_empty() {
        let evidence = format!("{} does not tell", silent.join(", "));
        return Finding::unknown(check, evidence, "start it, and check again");
    }
    Finding::ok(check, "", format!("the same: {}", said.join("; ")))
}

/// Enough of a hash to compare by eye.
fn short(hash: &str) -> String {
    hash.chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::judge::tests_support::check;
    use crate::status::{Place, Word};

    fn says(name: &str, role: &str, config: &str) -> Asked {
        let place = Place { name: name.into(), address: "10.1.0.1".into(), port: 9101, alone: false };
        let word =
            Word { instance: name.into(), role: role.into(), config: config.into(), ..Word::default() };
        (place, Ok(word))
    }

    fn away(name: &str) -> Asked {
        (says(name, "", "").0, Err("connection refused".into()))
    }

    #[test]
    fn configurations() {
        let a = says("a", "active", "0123456789abcdef");
        check(
            &[
                configuration(&[a.clone(), says("b", "standby", "0123456789abcdef")]),
                configuration(&[a.clone(), says("b", "standby", "fedcba9876543210")]),
                configuration(&[a.clone(), away("b")]),
                configuration(&[a.clone(), says("b", "standby", "")]),
                configuration(&[a]),
            ],
            &[
                "OK configuration: the same: a, b 0123456789ab",
                "WARNING configuration: a 0123456789ab; b fedcba987654",
                "UNKNOWN configuration: b does not tell",
                "UNKNOWN configuration: b does not tell",
                "not present configuration: this Director stands alone",
            ],
        );
    }

    #[test]
    fn roles_are_graded_as_by_status() {
        check(
            &[
                roles(&[says("a", "active", ""), says("b", "standby", "")]),
                roles(&[says("a", "active", ""), away("b")]),
                roles(&[away("a")]),
            ],
            &[
                "OK director: a is active; b stands by",
                "WARNING director: a is active; b is missing: connection refused",
                "CRITICAL director: no instance is active; a is missing: connection refused",
            ],
        );
    }
}
