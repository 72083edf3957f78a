//! Whether PostgreSQL keeps what it has confirmed.

use std::collections::BTreeMap;

use crate::check::finding::{Finding, Verdict};

/// The settings that are asked for.
pub(in crate::check) const SETTINGS: &[&str] = &[
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "synchronous_standby_names",
    "data_checksums",
    "zero_damaged_pages",
    "ignore_checksum_failure",
];

/// Settings that must have one value, and what another one means.
const MUST: &[(&str, &str, &str)] = &[
    ("fsync", "on", "set fsync = on: a power cut destroys the catalog without it"),
    ("full_page_writes", "on", "set full_page_writes = on: a power cut tears pages without it"),
    ("zero_damaged_pages", "off", "set zero_damaged_pages = off: it destroys what could be saved"),
    ("ignore_checksum_failure", "off", "set ignore_checksum_failure = off: damage spreads unseen"),
];

/// The settings by name. With `replicates` the catalog's only second copy is a standby of PostgreSQL's own.
pub(in crate::check) fn postgresql(settings: &BTreeMap<String, String>, replicates: bool) -> Vec<Finding> {
    let mut found: Vec<Finding> = Vec::new();
    let value = |name: &str| settings.get(name).map(String::as_str);
    for (name, wanted, remedy) in MUST {
        let verdict = |value: &str| if value == *wanted { Verdict::Ok } else { Verdict::Critical };
        found.push(setting(name, value(name), verdict, remedy));
    }
    let commit = |value: &str| match value {
        "off" => Verdict::Critical,
        "local" if replicates => Verdict::Critical,
        _ => Verdict::Ok,
    };
    let remedy = "set synchronous_commit = on: a takeover loses jobs that were reported as ended";
    found.push(setting("synchronous_commit", value("synchronous_commit"), commit, remedy));
    if replicates {
        let names = |value: &str| if value.is_empty() { Verdict::Critical } else { Verdict::Ok };
        let remedy = "name the standby, or let Patroni do it (synchronous_mode): without it a failover loses what was confirmed";
        found.push(setting("synchronous_standby_names", value("synchronous_standby_names"), names, remedy));
    }
    let sums = |value: &str| if value == "on" { Verdict::Ok } else { Verdict::Warning };
    let remedy = "enable them (pg_checksums --enable, with the server stopped): damage of disks is then seen";
    found.push(setting("data_checksums", value("data_checksums"), sums, remedy));
    found
}

fn setting(name: &str, value: Option<&str>, verdict: impl Fn(&str) -> Verdict, remedy: &str) -> Finding {
    let Some(value) = value else {
        let evidence = "the server does not say";
        return Finding::new(Verdict::Unknown, "postgresql", name, evidence, "ask it: SHOW as a superuser");
    };
    let verdict = verdict(value);
    let remedy = if verdict == Verdict::Ok { "" } else { remedy };
    let shown = if value.is_empty() { "empty" } else { value };
    Finding::new(verdict, "postgresql", name, shown, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(changed: &[(&str, &str)]) -> BTreeMap<String, String> {
        let good = [
            ("fsync", "on"),
            ("full_page_writes", "on"),
            ("zero_damaged_pages", "off"),
            ("ignore_checksum_failure", "off"),
            ("synchronous_commit", "on"),
            ("synchronous_standby_names", "*"),
            ("data_checksums", "on"),
        ];
        good.iter().chain(changed).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[track_caller]
    fn check(changed: &[(&str, &str)], replicates: bool, expected: &[(&str, Verdict)]) {
        let found = postgresql(&settings(changed), replicates);
        let bad: Vec<_> = found.iter().filter(|one| one.verdict != Verdict::Ok).collect();
        assert_eq!(bad.iter().map(|one| (one.subject.as_str(), one.verdict)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn durable_settings_and_others() {
        use Verdict::{Critical, Warning};
        check(&[], true, &[]);
        check(
            &[("fsync", "off"), ("full_page_writes", "off")],
            false,
            &[("fsync", Critical), ("full_page_writes", Critical)],
        );
        check(&[("synchronous_commit", "off")], false, &[("synchronous_commit", Critical)]);
        check(&[("synchronous_commit", "local")], false, &[]);
        check(&[("synchronous_commit", "local")], true, &[("synchronous_commit", Critical)]);
        check(&[("synchronous_standby_names", "")], false, &[]);
        check(&[("synchronous_standby_names", "")], true, &[("synchronous_standby_names", Critical)]);
        check(&[("data_checksums", "off")], false, &[("data_checksums", Warning)]);
        let found = postgresql(&BTreeMap::new(), true);
        assert!(found.iter().all(|one| one.verdict == Verdict::Unknown) && found.len() == 7);
    }
}
